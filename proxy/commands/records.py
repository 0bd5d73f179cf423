"""record: leads, contacts and deals, whom our people write with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from proxy.commands import recordio
from proxy.commands.common import (
    Desk,
    Refusal,
    desk,
    put,
    put_json,
    put_lines,
    put_pairs,
    put_table,
    typed_addresses,
    warn,
)

if TYPE_CHECKING:
    from crmstore.records import Record

Kind = Literal["lead", "contact", "deal"]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("add")(add)
    group.command("list")(list_)
    group.command("show")(show)
    recordio.add_to(group)
    app.add_typer(group, name="record", help="Leads, contacts and deals.")


def add(
    ctx: typer.Context,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="lead, contact or deal.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the person or the deal.")],
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="A", help="An address; may be repeated. Earlier mail is linked too."),
    ] = None,
    contact: Annotated[
        int | None, typer.Option(metavar="ID", help="Of a deal: its main contact.")
    ] = None,
) -> None:
    """Add a record."""
    from crmstore import records

    if (kind == "deal") != (contact is not None):
        needed = "needed" if kind == "deal" else "allowed"
        raise Refusal(f"--contact: {needed} with a deal{'' if kind == 'deal' else ' only'}")
    emails = typed_addresses("--address", address or [])
    with desk(ctx) as work, _arguments("record add"):
        record = records.add(
            work.store,
            kind,
            name,
            emails=emails,
            main_contact=contact,
            domains=work.settings.node.domains,
            never=work.settings.capture.matches_never,
        )
        _answer(work, record, "added")


def list_(
    ctx: typer.Context,
    kind: Annotated[Kind | None, typer.Option(help="Of this kind only.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000)] = 100,
    after: Annotated[int, typer.Option(metavar="ID", min=0, help="Go on behind this one.")] = 0,
) -> None:
    """List records."""
    from crmstore import records

    with desk(ctx) as work:
        found = records.listing(work.store, kind=kind, limit=limit, after=after)
        if work.json:
            put_lines(_document(work, record) for record in found)
        else:
            put_table(
                "",
                ("id", "kind", "name", "addresses", "mails", "last mail"),
                [
                    (
                        r.id,
                        r.kind if r.state == "open" else f"{r.kind} ({r.state})",
                        r.name,
                        ", ".join(r.addresses),
                        r.emails,
                        work.when(r.last_email) or "",
                    )
                    for r in found
                ],
            )


def show(
    ctx: typer.Context,
    id: Annotated[int, typer.Argument(metavar="ID", min=1)],
) -> None:
    """Show a record."""
    from crmstore import records

    with desk(ctx) as work:
        _answer(work, records.show(work.store, id), "")


@contextmanager
def _arguments(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Refusal(f"{name}: {error}") from None


def _answer(work: Desk, record: "Record", done: str) -> None:
    for warning in record.warnings:
        warn(warning)
    if work.json:
        put_json(_document(work, record))
        return
    if done:
        linked = f", {record.linked} earlier mails linked" if record.linked else ""
        put(f"{done}: {record.kind} {record.id}{linked}")
    former = [f"{a.address} (until {work.when(a.until)})" for a in record.history if a.until]
    put_pairs(
        {
            "id": record.id,
            "kind": record.kind,
            "name": record.name,
            "state": record.state,
            "addresses": ", ".join(record.addresses),
            "formerly": ", ".join(former),
            "main contact": record.main_contact,
            "deals": ", ".join(map(str, record.deals)),
            "mails": record.emails,
            "last mail": work.when(record.last_email),
            "since": work.when(record.created),
        }
    )


def _document(work: Desk, record: "Record") -> dict[str, Any]:
    document = asdict(record)
    document["history"] = [
        {"address": a.address, "since": work.when(a.since), "until": work.when(a.until)}
        for a in record.history
    ]
    return document | {
        "created": work.when(record.created),
        "last_email": work.when(record.last_email),
    }
