"""emails, email: what was captured, newest first, and one message with its evidence."""

import base64
import sys
from typing import Annotated, Any, Literal

import typer

from proxy.commands.common import (
    MAX_ID,
    Desk,
    LinkedTo,
    Refusal,
    SeenFor,
    TakesPart,
    Viewer,
    bare,
    desk,
    no,
    note_nobody,
    put,
    put_json,
    put_lines,
    put_pairs,
    put_table,
    size,
    warn,
)
from proxy.commands.explain import Id, explain, kind_of, shared
from proxy.commands.suppression import put_delivery
from proxy.evidence import told

# As contract.md has them; no mail has come by the last three yet.
Source = Literal[
    "submission", "inbound", "imap_append", "imap_fetch", "companion", "drop", "api", "import"
]


def add_to(app: typer.Typer) -> None:
    app.command("emails")(emails)
    group = typer.Typer(rich_markup_mode=None)
    group.command("show")(show)
    group.command("raw")(raw)
    group.command("file")(file)
    group.command("explain")(explain)
    app.add_typer(group, name="email", help="One message.")


def emails(
    ctx: typer.Context,
    address: TakesPart = None,
    record: LinkedTo = None,
    user: SeenFor = None,
    source: Annotated[Source | None, typer.Option(help="How it came to us.")] = None,
    thread: Annotated[
        int | None,
        typer.Option(metavar="ID", min=1, max=MAX_ID, help="Of this thread, as rows name it."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000)] = 50,
    before: Annotated[
        str | None, typer.Option(metavar="PLACE", help="The next page, as this one names it.")
    ] = None,
    viewer: Viewer = None,
) -> None:
    """The timeline, newest first."""
    from crmstore import records, timeline

    with desk(ctx) as work:
        if record is not None:
            records.show(work.store, record)  # one that is not there is not an empty timeline
        note_nobody(work, viewer=viewer, user=user)
        try:
            page = timeline.page(
                work.store,
                address=bare(address),
                record=record,
                user=user,
                source=source,
                thread=thread,
                limit=limit,
                before=before,
                viewer=viewer,
            )
        except ValueError as error:
            raise Refusal(f"--{error}") from None
        if work.json:
            put_lines(page.rows)
        else:
            put_table(
                "",
                [work.say(f"mail.{name}") for name in _COLUMNS],
                [_row(work, row) for row in page.rows],
            )
        if page.next is not None:
            warn(work.say("mail.more", place=page.next), work.lang)


_COLUMNS = ("id", "date", "direction", "from", "to", "subject", "status", "records")


def _row(work: Desk, row: dict[str, Any]) -> tuple[object, ...]:
    files = len(row["attachments"])
    added = work.say("mail.files" if files > 1 else "mail.file", count=files)
    return (
        row["id"],
        work.local(row["date"]),
        work.say(f"mail.direction.{row['direction']}") if row["direction"] else "",
        row["from"],
        ", ".join([*row["to"], *row["cc"]]),
        row["subject"] + (f" {added}" if files else ""),
        work.say(f"mail.status.{row['status']}") if row["status"] else "",
        ", ".join(
            f"{kind_of(one, work.lang)} {one['id']}{shared(one, work.lang)}"
            for one in row["records"]
        ),
    )


def show(ctx: typer.Context, id: Id, viewer: Viewer = None) -> None:
    """One message: people, files, sightings, records."""
    from crmstore import message

    with desk(ctx) as work:
        found = message.email(work.store, id, viewer=viewer)
        if work.json:
            put_json(found)
            return
        pairs = {
            "id": found["id"],
            "subject": found["subject"],
            "date": work.local(found["date"]),
            "message-id": found["message_id"],
            "thread": found["thread"],
            "size": size(found["bytes"]),
            "flags": " ".join(found["flags"]),
            **_people(found),
        }
        put_pairs({work.say(f"mail.{name}"): value for name, value in pairs.items()})
        for number, item in enumerate(found["attachments"], 1):
            words = {"name": item["name"], "type": item["type"], "size": size(item["bytes"])}
            put(work.say("mail.show.file", number=number, **words))
        for record in found["records"]:
            words = {
                "kind": kind_of(record, work.lang),
                "evidence": told(record["evidence"], work.lang),
            }
            line = work.say("mail.show.record", id=record["id"], name=record["name"], **words)
            put(line + shared(record, work.lang))
        for sighting in found["sightings"]:
            put(_sighting(work, sighting))
            for recipient in sighting.get("envelope", {}).get("recipients", []):
                outcome = work.say(f"mail.outcome.{recipient['outcome'] or 'unknown'}")
                put(f"    {recipient['address']}: {outcome} {recipient['reply'] or ''}".rstrip())
        put_delivery(ctx, work, found)
        if found["preview"]:
            put()
            put(found["preview"])


def _people(found: dict[str, Any]) -> dict[str, str]:
    people: dict[str, list[str]] = {}
    for person in found["participants"]:
        name = f"{person['name']} <{person['address']}>" if person["name"] else person["address"]
        people.setdefault(person["role"], []).append(name)
    return {role: ", ".join(names) for role, names in people.items()}


def _sighting(work: Desk, sighting: dict[str, Any]) -> str:
    client = sighting.get("client") or {}
    parts = [
        work.say(
            f"mail.show.seen.{sighting['direction']}",
            time=work.local(sighting["seen"]),
            owner=sighting["owner"],
        ),
        work.say("mail.show.source", source=sighting["source"]),
    ]
    if "mailbox" in sighting:
        parts.append(work.say("mail.show.mailbox", mailbox=sighting["mailbox"]["name"]))
    if client.get("ip"):
        parts.append(work.say("mail.show.client", ip=client["ip"]))
    if client.get("auth"):
        parts.append(work.say("mail.show.login", login=client["auth"]))
    if sighting.get("sent_as"):
        parts.append(work.say("mail.show.sent_as", address=sighting["sent_as"]))
    status = work.say(f"mail.status.{sighting['status']}")
    return " ".join(
        [*parts, work.say("mail.show.capture", status=status, id=sighting["capture_id"])]
    )


def raw(
    ctx: typer.Context,
    id: Id,
    sighting: Annotated[
        str | None,
        typer.Option(
            metavar="CAPTURE", help="The copy of this sighting, as `email show` names it."
        ),
    ] = None,
    viewer: Viewer = None,
) -> None:
    """The bytes as they were sent, to standard output: the copy that was seen first, with --as
    theirs."""
    from crmstore import message
    from crmstore.archive import BlobDamaged, BlobMissing, open_archive

    with desk(ctx) as work:
        try:
            archive = open_archive(work.settings)
            chunks = message.raw(work.store, archive, id, capture_id=sighting, viewer=viewer)
            if work.json:
                content = b"".join(chunks)
                text = base64.b64encode(content).decode("ascii")
                put_json({"id": id, "bytes": len(content), "base64": text})
                return
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except (BlobMissing, BlobDamaged) as error:
            raise Refusal(f"email {id}: {type(error).__name__}: {error}", code=1) from None


def file(
    ctx: typer.Context,
    id: Id,
    number: Annotated[
        int, typer.Argument(metavar="N", min=1, help="As `mailweir email show` numbers them.")
    ],
    viewer: Viewer = None,
) -> None:
    """One of its files, to standard output; those inside of winmail.dat too."""
    from crmstore import message, unpack
    from crmstore.archive import BlobDamaged, BlobMissing, open_archive

    with desk(ctx) as work:
        known = message.email(work.store, id, viewer=viewer)["attachments"]
        try:
            copy = message.raw(work.store, open_archive(work.settings), id, viewer=viewer)
            whole = b"".join(copy)
        except (BlobMissing, BlobDamaged) as error:
            raise Refusal(f"email {id}: {type(error).__name__}: {error}", code=1) from None
        octets = unpack.file(whole, number - 1) if number <= len(known) else None
        if octets is None:
            no(f"email {id} has no file {number}")
        if work.json:
            text = base64.b64encode(octets).decode("ascii")
            name = known[number - 1]["name"]
            put_json({"id": id, "name": name, "bytes": len(octets), "base64": text})
            return
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
