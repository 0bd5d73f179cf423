"""record: leads, contacts, deals, quotes and what else there is, and by which addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from proxy.commands import recordio
from proxy.commands.common import (
    MAX_ID,
    Desk,
    Refusal,
    desk,
    no,
    put,
    put_json,
    put_lines,
    put_pairs,
    put_table,
    size,
    typed_addresses,
    warn,
)
from proxy.evidence import told
from proxy.texts import known

if TYPE_CHECKING:
    from crmstore.records import Record, RecordAddress

Company = Annotated[str | None, typer.Option(metavar="C", help="Whom they work for.")]
Type = Annotated[
    str | None,
    typer.Option(metavar="T", help="Of a general record: quote, invoice, any word."),
]
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=MAX_ID)]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("add")(add)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("set")(set_)
    group.command("remove")(remove)
    recordio.add_to(group)
    app.add_typer(group, name="record", help="Leads, contacts, deals, quotes...")


def add(
    ctx: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="lead, contact, deal or general; quote, order, sales_order, purchase_order and"
            " invoice are types of general.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the person or the deal.")],
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="A", help="An address; may be repeated. Earlier mail is linked too."),
    ] = None,
    contact: Annotated[
        int | None,
        typer.Option(
            "--contact",
            "--main-contact",
            metavar="ID",
            min=1,
            max=MAX_ID,
            help="Of a deal: its main contact.",
        ),
    ] = None,
    type: Type = None,
    company: Company = None,
) -> None:
    """Add a record."""
    from crmstore import records
    from crmstore.kinds import WITH_CONTACT

    meant, what = kind_named("KIND", kind)
    if type and what:
        raise Refusal(f"--type: allowed with KIND general only; {kind} says it already")
    if meant == "deal" and contact is None:
        raise Refusal("--contact: needed with a deal")
    if meant not in WITH_CONTACT and contact is not None:
        raise Refusal(f"--contact: allowed with {' and '.join(WITH_CONTACT)} only")
    emails = typed_addresses(ctx, "--address", address or [])
    with desk(ctx) as work, _arguments("record add"):
        work.agree()
        record = records.add(
            work.store,
            meant,
            name,
            type=type or what,
            company=company or "",
            emails=emails,
            main_contact=contact,
            domains=work.settings.node.domains,
            never=work.settings.capture.matches_never,
        )
        _answer(work, record, "added")


def list_(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Of this kind (or type) only.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000)] = 100,
    after: Annotated[
        int, typer.Option(metavar="ID", min=0, max=MAX_ID, help="Go on behind this one.")
    ] = 0,
) -> None:
    """List records."""
    from crmstore import records

    meant, what = kind_named("--kind", kind) if kind is not None else (None, "")
    with desk(ctx) as work:
        found = records.listing(work.store, kind=meant, type=what, limit=limit, after=after)
        if work.json:
            put_lines(_document(work, record) for record in found)
        else:
            put_table(
                "",
                [work.say(f"record.{name}") for name in _COLUMNS],
                [
                    (
                        r.id,
                        _kind_and_state(work, r),
                        r.name,
                        r.company,
                        ", ".join(r.addresses),
                        r.emails,
                        work.when(r.last_email) or "",
                    )
                    for r in found
                ],
            )


_COLUMNS = ("id", "kind", "name", "company", "addresses", "mails", "last")


def _kind_and_state(work: Desk, record: "Record") -> str:
    if record.state == "open":
        return _kind(work, record)
    state = work.say(f"record.state.{record.state}")
    return work.say("record.kind.closed", kind=_kind(work, record), state=state)


def show(ctx: typer.Context, id: Id) -> None:
    """Show a record."""
    from crmstore import records, usage

    with desk(ctx) as work:
        _answer(work, records.show(work.store, id), "", usage.of_record(work.store, id))


def set_(
    ctx: typer.Context,
    id: Id,
    name: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    company: Company = None,
    type: Type = None,
    state: Annotated[
        Literal["open", "closed"] | None,
        typer.Option(help="A closed deal keeps its mail and gets no more by its main contact."),
    ] = None,
    main_contact: Annotated[
        int | None,
        typer.Option(
            "--main-contact", "--contact", metavar="ID", min=1, max=MAX_ID, help="Of a deal."
        ),
    ] = None,
    add_address: Annotated[
        list[str] | None, typer.Option(metavar="A", help="One more address; may be repeated.")
    ] = None,
    remove_address: Annotated[
        list[str] | None, typer.Option(metavar="A", help="No longer theirs; may be repeated.")
    ] = None,
    address_from: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The added ones are theirs since then; no older mail."),
    ] = None,
    address_until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The removed (else the added) ones were, until then."),
    ] = None,
) -> None:
    """Change a record: its name, its addresses and since when, the main contact of a deal."""
    from crmstore import records

    words = {"name": name, "company": company, "type": type, "state": state}
    given = {key: value for key, value in words.items() if value is not None}
    added, removed = add_address or [], remove_address or []
    if not given and main_contact is None and not added and not removed:
        raise Refusal(
            "record set: allowed are --name, --company, --type, --state, --main-contact,"
            " --add-address and --remove-address, one needed"
        )
    if address_from is not None and not added:
        raise Refusal("--address-from: allowed with --add-address only")
    if address_until is not None and not added and not removed:
        raise Refusal("--address-until: allowed with --remove-address or --add-address only")
    emails = typed_addresses(ctx, "--add-address", added)
    with desk(ctx) as work, _arguments("record set"):
        work.agree()
        changed = records.change(
            work.store,
            id,
            name=name,
            company=company,
            type=type,
            state=state,
            main_contact=main_contact,
            add_emails=emails,
            remove_emails=removed,
            since=_time(work, "--address-from", address_from),
            until=_time(work, "--address-until", address_until),
            domains=work.settings.node.domains,
            never=work.settings.capture.matches_never,
        )
        _answer(work, changed, "changed")


def remove(ctx: typer.Context, id: Id) -> None:
    """Remove a record for good. Its mail stays, and is on it no more."""
    from crmstore import recordremove

    with desk(ctx) as work:
        try:
            gone = recordremove.remove(work.store, id)
        except recordremove.Needed as error:
            no(work.say("record.needed", id=id, ids=", ".join(map(str, error.of))))
        if work.json:
            counts = {"unlinked": gone.unlinked, "rules": gone.rules}
            put_json(_document(work, gone.record) | counts)
            return
        words = {"kind": work.say(f"record.kind.{gone.record.kind}"), "id": id}
        put(work.say("record.removed", **words, name=gone.record.name, count=gone.record.emails))
        if gone.rules:
            put(work.say("record.removed.rules", count=gone.rules))


def kind_named(argument: str, word: str) -> tuple[str, str]:
    """The kind and type that a word names; for the commands that are given one."""
    from crmstore.kinds import KINDS, TYPES, kind_of

    kind, what = kind_of(word)
    if not kind:
        raise Refusal(f"{argument} {word}: allowed is one of: {', '.join((*KINDS, *TYPES))}")
    return kind, what


def _time(work: Desk, option: str, text: str | None) -> float | None:
    """A date or a time, in the node's own zone if it names none."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(work.settings.node.timezone))
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        seconds = -1.0
    if seconds < 0:
        raise Refusal(f'{option} {text}: allowed is a time like "2026-11-22" or "2026-11-22T09:00"')
    return seconds


def _kind(work: Desk, record: "Record") -> str:
    kind = work.say(f"record.kind.{record.kind}")
    if not record.type:
        return kind
    word = f"record.type.{record.type}"
    return f"{kind}: {work.say(word) if known(word) else record.type}"


@contextmanager
def _arguments(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Refusal(f"{name}: {error}") from None


def _answer(work: Desk, record: "Record", done: str, octets: int | None = None) -> None:
    for warning in record.warnings:
        warn(told(warning, work.lang), work.lang)
    if work.json:
        more = {} if octets is None else {"mail_bytes": octets}
        put_json(_document(work, record) | more)
        return
    if done:
        line = work.say(f"record.{done}", kind=work.say(f"record.kind.{record.kind}"), id=record.id)
        if record.linked:
            line = work.say("record.linked", done=line, count=record.linked)
        put(line)
    mails: object = record.emails
    if octets:
        mails = work.say("record.mails.size", count=record.emails, size=size(octets))
    pairs = {
        "id": record.id,
        "kind": _kind(work, record),
        "name": record.name,
        "company": record.company,
        "state": work.say(f"record.state.{record.state}"),
        "addresses": ", ".join(record.addresses),
        "main": record.main_contact,
        "deals": ", ".join(map(str, record.deals)),
        "mails": mails,
        "last": work.when(record.last_email),
        "since": work.when(record.created),
    }
    put_pairs({work.say(f"record.{name}"): value for name, value in pairs.items()})
    if any(a.until or a.mail_since or a.ours for a in record.history):
        for held in record.history:
            put(_history(work, held))


def _history(work: Desk, held: "RecordAddress") -> str:
    """One address of a record, and when it was theirs."""
    since = work.when(held.since)
    parts = [work.say("record.address", address=held.address, since=since)]
    if held.until is not None:
        parts.append(work.say("record.address.until", time=work.when(held.until)))
    if held.mail_since:
        parts.append(work.say("record.address.late"))
    if held.ours:
        parts.append(work.say("record.address.ours"))
    return " ".join(parts)


def _document(work: Desk, record: "Record") -> dict[str, Any]:
    document = asdict(record)
    document["history"] = [
        asdict(a) | {name: work.when(getattr(a, name)) for name in ("since", "until", "mail_since")}
        for a in record.history
    ]
    return document | {
        "created": work.when(record.created),
        "last_email": work.when(record.last_email),
    }
