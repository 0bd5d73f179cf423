"""What became of what we sent, recipient by recipient: evidence in, status out (a keeper).

A row of `outcomes` is one piece of evidence about one recipient of one sent capture: a reply of a
next hop (live), a report that came in (dsn), our own queue that gave up (report). Rows are added
and never changed; the last one that says bounced or delivered is what became of the recipient. The
worst of the recipients is the status of the sighting, and so of the timeline.

Promises: works in the caller's transaction; a report that comes twice adds nothing; at most
MAX_EVIDENCE rows for one recipient of one message, whatever is sent to us.
Limits: `find_*` look at what we really sent: the envelope in the ledger's frames, Bcc included.
Cites: taxonomy.md; bounce/MATCHING.md; SCHEMA.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import BigInteger, Connection, Row, String, and_, bindparam, select, update

from crmstore import addresses, schema, seasons
from crmstore.bulk import among, insert_rows
from crmstore.charsets import storable
from crmstore.linker import several
from crmstore.sentids import id_hash

__all__ = [
    "Outcome", "Sent", "Transaction", "by_capture", "by_message_id", "by_recipient", "by_time",
    "know_ids", "of_captures", "record", "refresh",
]  # fmt: skip

MAX_EVIDENCE = 20
MAX_WORDS = 1_000
MAX_CANDIDATES = 20

#: What floors above hand back to us, and never look into.
Transaction: TypeAlias = Connection

outcomes = schema.outcomes
_COLUMNS = (
    "capture_id", "address", "state", "category", "status", "words", "source", "evidence",
    "report", "at_us",
)  # fmt: skip
#: States that say where the mail ended; "delayed" and "relayed" only tell of the way.
ENDS = ("hard", "soft", "delivered")


class Outcome(NamedTuple):
    """One piece of evidence. `state`: hard, soft, delivered, delayed, relayed. `address` in key()
    form. `report`: the capture of the report that told it, None for a live reply."""

    capture_id: str
    address: str
    state: str
    category: str
    status: str
    words: str
    source: str
    evidence: str
    report: str | None
    at_us: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours as it went out: `recipients` are all of its envelope, in key() form."""

    capture_id: str
    at_us: int
    sender: str
    sender_params: tuple[str, ...]
    recipients: frozenset[str]


# Writing


def know_ids(connection: Connection, sent: Iterable[tuple[str, str]]) -> None:
    """(Message-ID, capture id) of mail that goes out: reports give the Message-ID back."""
    rows = {(id_hash(message_id), capture_id) for message_id, capture_id in sent if message_id}
    insert_rows(connection, schema.sent_ids, ("hash", "capture_id"), sorted(rows), ignore=True)


def record(connection: Connection, found: Sequence[Outcome]) -> list[Outcome]:
    """Write down what is new and bring the timeline up to date; returns what was new."""
    known: dict[tuple[str, str], list[Row[Any]]] = {}
    for chunk in several({one.capture_id for one in found}):
        for row in connection.execute(select(outcomes).where(outcomes.c.capture_id.in_(chunk))):
            known.setdefault((row.capture_id, row.address), []).append(row)
    new: list[Outcome] = []
    said: set[tuple[str, ...]] = {_gist(row) for rows in known.values() for row in rows}
    counts = {key: len(rows) for key, rows in known.items()}
    for one in found:
        one = one._replace(
            words=storable(one.words)[:MAX_WORDS],
            status=one.status[:16],
            category=one.category[:32],
            address=one.address[: addresses.MAX_ADDRESS],
        )
        key = (one.capture_id, one.address)
        if _gist(one) in said or counts.get(key, 0) >= MAX_EVIDENCE:
            continue
        said.add(_gist(one))
        counts[key] = counts.get(key, 0) + 1
        new.append(one)
    insert_rows(connection, outcomes, _COLUMNS, [tuple(one) for one in new])
    refresh(connection, {one.capture_id for one in new})
    return new


def _gist(one: Any) -> tuple[str, ...]:
    return (one.capture_id, one.address, one.state, one.status, one.words, one.source)


def refresh(connection: Connection, capture_ids: Iterable[str]) -> None:
    """The status of sent sightings follows from the evidence. What still waits in our queue, or
    was never sent, keeps the status it has."""
    ends: dict[str, dict[str, str]] = {}
    for chunk in several(sorted(capture_ids)):
        rows = connection.execute(
            select(outcomes.c.capture_id, outcomes.c.address, outcomes.c.state)
            .where(outcomes.c.capture_id.in_(chunk), outcomes.c.state.in_(ENDS))
            .order_by(outcomes.c.at_us, outcomes.c.id)
        )
        for capture_id, address, state in rows:
            ends.setdefault(capture_id, {})[address] = state
    sightings = schema.sightings.c
    for capture_id, states in ends.items():
        found = set(states.values())
        status = next((f"{s}_bounce" for s in ("hard", "soft") if s in found), "delivered")
        connection.execute(
            update(schema.sightings)
            .where(
                sightings.capture_id == capture_id,
                sightings.direction == "sent",
                sightings.status.in_(("sent", "delivered", "soft_bounce", "hard_bounce")),
            )
            .values(status=status)
        )


# Reading


def of_captures(
    connection: Connection, capture_ids: Iterable[str]
) -> dict[str, dict[str, list[Row[Any]]]]:
    """Capture -> recipient -> its evidence, oldest first."""
    found: dict[str, dict[str, list[Row[Any]]]] = {}
    for chunk in several(capture_ids):
        rows = connection.execute(
            select(outcomes, schema.captures.c.message_id.label("report_message"))
            .outerjoin(schema.captures, schema.captures.c.capture_id == outcomes.c.report)
            .where(outcomes.c.capture_id.in_(chunk))
            .order_by(outcomes.c.at_us, outcomes.c.id)
        )
        for row in rows:
            found.setdefault(row.capture_id, {}).setdefault(row.address, []).append(row)
    return found


def by_capture(connection: Connection, capture_ids: Sequence[str]) -> list[Sent]:
    """What went out under these ids; those that are no mail of our users are left out."""
    captures, ledger = schema.captures.c, schema.ledger.c
    rows = connection.execute(
        select(captures.capture_id, captures.at_us, ledger.header)
        .join(
            schema.ledger,
            and_(
                ledger.door == captures.door,
                ledger.journal == captures.journal,
                ledger.seq == captures.seq,
            ),
        )
        .where(
            captures.capture_id.in_(capture_ids[:MAX_CANDIDATES]),
            captures.role == "submission",
        )
        .order_by(captures.capture_id)
    )
    return [_sent(row.capture_id, row.at_us, json.loads(bytes(row.header))) for row in rows]


def by_time(connection: Connection, first: str, last: str, tail: str) -> list[Sent]:
    """What went out in one millisecond (bounce.verp.span_of)."""
    column = schema.captures.c.capture_id
    found = connection.execute(
        select(column).where(column.between(first, last)).order_by(column).limit(1_000)
    ).scalars()
    return by_capture(connection, [ident for ident in found if ident.endswith(tail)])


def by_message_id(connection: Connection, message_id: str) -> list[Sent]:
    """What went out with this Message-ID; the newest, if there are many."""
    number = id_hash(message_id)
    if not number:
        return []
    table = schema.sent_ids.c
    found = connection.execute(
        select(table.capture_id)
        .where(table.hash == number)
        .order_by(table.capture_id.desc())
        .limit(MAX_CANDIDATES)
    ).scalars()
    return by_capture(connection, list(found))


def by_recipient(connection: Connection, address: str, since_us: int) -> list[Sent]:
    """What went out to this address since then; the newest, if there is much."""
    seen = schema.sightings.c
    recent = seasons.newest(
        connection,
        _mail_of(connection.dialect.name),
        5 * MAX_CANDIDATES,
        first_us=since_us,
        address=address,
        since=since_us,
    )
    ids = sorted({row.message_id for row in recent})
    found = connection.execute(
        select(seen.capture_id)
        .where(among(connection, seen.message_id, ids), seen.direction == "sent")
        .order_by(seen.capture_id.desc())
        .limit(MAX_CANDIDATES)
    ).scalars()
    return [sent for sent in by_capture(connection, list(found)) if address in sent.recipients]


@cache
def _mail_of(engine: str) -> seasons.Newest:
    people = schema.participants.c
    theirs = people.address == bindparam("address", type_=String)
    wanted = (
        select(people.when_us, people.message_id)
        .where(theirs, people.when_us >= bindparam("since", type_=BigInteger))
        .order_by(people.when_us.desc(), people.message_id.desc())
    )
    return seasons.asked(engine, wanted, people.when_us, [theirs])


def _sent(capture_id: str, at_us: int, header: Mapping[str, Any]) -> Sent:
    written = [r.get("address", "") for r in header.get("recipients", ()) if isinstance(r, dict)]
    return Sent(
        capture_id,
        at_us,
        addresses.key(str(header.get("sender", ""))),
        tuple(str(param) for param in header.get("sender_params", ())),
        frozenset(filter(None, (addresses.key(str(address)) for address in written))),
    )
