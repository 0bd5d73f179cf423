"""One message with everything that is known of it: sightings, envelope, links, evidence; and raw.

A keeper, read side. The envelope is not stored twice: it is read from the ledger's frames, which
are the evidence. They know more than the stored copy may tell: of their recipients are shown those
only who take part in this copy. So whom [capture].never keeps out is nowhere, and a Bcc stands at
nobody's sighting but the sender's. Who may see what is sharing.py's: what is not shown to a viewer
is, in the same words, not there.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from crmstore import addresses, delivery, schema
from crmstore.archive import Archive
from crmstore.sharing import Viewer, viewer_of
from crmstore.store import Store
from crmstore.timeline import rows_for
from crmstore.times import moment

__all__ = ["NoSuchEmail", "email", "raw"]


class NoSuchEmail(LookupError):
    """There is no message of this id."""


def email(store: Store, id_: int, *, viewer: str | None = None) -> dict[str, Any]:
    """The timeline's row of a message, and "participants", "sightings", "links", "bytes", and
    "delivery": what became of it (delivery.py). NoSuchEmail, also for what is not shown."""
    with store.reading() as connection:
        message = _message(connection, id_)
        who = viewer_of(connection, viewer)
        sightings = _sightings(connection, id_, who)
        document = rows_for(connection, [id_], viewer=who)[0]
        everybody = _all(connection, schema.participants, id_)
        linked = _all(connection, schema.links, id_)
        people: Sequence[Row[Any]] = everybody
        if who is not None:
            people = who.people(everybody, sightings)
            linked = [link for link in who.people(linked, sightings) if not link.hidden]
        once: dict[tuple[str, str], dict[str, Any]] = {}
        for p in people:  # several copies may tell of the same Bcc
            shown = {"role": p.role, "address": p.address, "name": p.name, "evidence": p.evidence}
            once.setdefault((p.role, p.address), {**shown, "envelope_only": bool(p.capture_id)})
        document["participants"] = list(once.values())
        document["bcc"] = [p["address"] for p in once.values() if p["role"] == "bcc"]
        document["links"] = [
            {
                "record": link.record_id,
                "role": link.role,
                "address": link.address,
                "evidence": link.evidence,
            }
            for link in linked
        ]
        copies = [(sighting, _of_copy(everybody, sighting)) for sighting in sightings]
        document["sightings"] = [
            _sighting(connection, message, sighting, those) for sighting, those in copies
        ]
        own = [s["sha256"] for s in document["sightings"] if "sha256" in s]
        told = {
            sighting.capture_id: those for sighting, those in copies if sighting.direction == "sent"
        }
        document["delivery"] = delivery.of_message(connection, told)
        document["bytes"] = message.bytes
        document["sha256"] = message.sha256 if message.sha256 in own or not own else own[0]
        document["thread_evidence"] = message.thread_why
        document["date_header"] = message.date_header
        return document


def raw(
    store: Store,
    archive: Archive,
    id_: int,
    *,
    capture_id: str | None = None,
    viewer: str | None = None,
) -> Iterator[bytes]:
    """The message as it was captured, to the byte: the copy that was seen first, or that of one
    sighting. A viewer gets a copy of their own: the sender's may tell a Bcc.
    NoSuchEmail, also for what is not shown; BlobMissing, BlobDamaged while reading."""
    captures = schema.captures.c
    with store.reading() as connection:
        message = _message(connection, id_)
        who = viewer_of(connection, viewer)
        sightings = _sightings(connection, id_, who)
        if capture_id is None and who is None:
            return archive.stream(message.sha256)
        those = [seen for seen in sightings if capture_id in (None, seen.capture_id)]
        if not those:
            whose = f" for {who.login}" if who is not None else ""
            raise NoSuchEmail(f"email {id_} has no sighting {capture_id or ''}{whose}".rstrip())
        sha256 = connection.execute(
            select(captures.sha256).where(captures.capture_id == those[0].capture_id)
        ).scalar()
    return archive.stream(sha256 if sha256 is not None else message.sha256)


def _message(connection: Connection, id_: int) -> Row[Any]:
    row = connection.execute(
        select(schema.messages).where(schema.messages.c.id == id_)
    ).one_or_none()
    if row is None:
        raise NoSuchEmail(f"no email {id_}")
    return row


def _sightings(connection: Connection, id_: int, who: Viewer | None) -> Sequence[Row[Any]]:
    """Those of a message that are shown. NoSuchEmail if none is: in the words for one that is not
    there, so that nobody learns which messages there are."""
    rows = _all(connection, schema.sightings, id_)
    if who is None:
        return rows
    shown = who.sightings(rows)
    if not shown:
        raise NoSuchEmail(f"no email {id_}")
    return shown


def _all(connection: Connection, table: Any, id_: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(table).where(table.c.message_id == id_).order_by(*table.primary_key)
    ).all()


def _of_copy(people: Sequence[Row[Any]], sighting: Row[Any]) -> set[str]:
    """Who takes part in this copy, as far as its owner may know."""
    shown = Viewer(sighting.owner).people(people, [sighting])
    return {person.address for person in shown}


def _sighting(
    connection: Connection,
    message: Row[Any],
    sighting: Row[Any],
    people: set[str],
) -> dict[str, Any]:
    """How, where and when, and as whom the owner wrote if that is another address than the login;
    the envelope with those of `people` whom the next hop did not refuse."""
    capture = connection.execute(
        select(schema.captures).where(schema.captures.c.capture_id == sighting.capture_id)
    ).one_or_none()
    shown: dict[str, Any] = {
        "capture_id": sighting.capture_id,
        "owner": sighting.owner,
        "direction": sighting.direction,
        "source": sighting.source,
        "status": sighting.status,
        "seen": moment(sighting.seen_us),
        "evidence": sighting.evidence,
    }
    if sighting.direction == "sent" and message.from_address not in ("", sighting.owner):
        shown["sent_as"] = message.from_address
    if sighting.mailbox is not None:
        shown["mailbox"] = {
            "name": sighting.mailbox,
            "special": sighting.special or None,
            "uidvalidity": sighting.uidvalidity,
            "uid": sighting.uid,
        }
    if capture is None:  # not by a door
        return shown
    shown["door"] = capture.door
    shown["outcome"] = capture.outcome
    shown["sha256"] = capture.sha256
    shown["bytes"] = capture.bytes
    header = _frame(connection, capture, capture.seq)
    verdict = _frame(connection, capture, capture.verdict_seq)
    replies = {r.get("address"): r for r in verdict.get("recipients", []) if isinstance(r, dict)}
    recipients: list[dict[str, Any]] = []
    others: list[str] = []
    for written in (str(r.get("address", "")) for r in header.get("recipients", [])):
        said = replies.get(written, {})
        if addresses.key(written) in people and said.get("outcome") != "refused":
            told = {"outcome": said.get("outcome"), "reply": said.get("reply")}
            recipients.append({"address": written, **told})
        else:
            others.append(written.lower())
    reply = str(verdict.get("reply") or "")
    shown["client"] = header.get("client")
    shown["reply"] = None if any(other in reply.lower() for other in others) else reply or None
    shown["envelope"] = {"sender": header.get("sender"), "recipients": recipients}
    return shown


def _frame(connection: Connection, capture: Row[Any], seq: int | None) -> dict[str, Any]:
    ledger = schema.ledger.c
    header = connection.execute(
        select(ledger.header).where(
            ledger.door == capture.door, ledger.journal == capture.journal, ledger.seq == seq
        )
    ).scalar()
    found = json.loads(bytes(header)) if header is not None else {}
    return found if isinstance(found, dict) else {}
