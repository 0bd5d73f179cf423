"""Taking captured mail into the store: one batch, one transaction, the same twice as once.

A batch is what ingest read from the journals since the last one: every frame (for the ledger),
messages whose verdict is not there yet (pending), messages that are decided, and how far each
door was read. commit() writes all of it or nothing.

Promises: a frame goes into the ledger exactly once: a door's position in the store must be the
one that the batch began at, else nothing is written (Behind). A capture id that is already known
is left alone. One message = one body by its sha-256; seen again, it gets another sighting.
Speed: rows go in by executemany, look-ups are one IN query a batch, ids come in blocks.
A keeper. Cites: architecture.md "Data path"; SCHEMA.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from crmstore import linker, schema
from crmstore.charsets import clean, storable
from crmstore.facts import Facts
from crmstore.store import Store, counter, micros, next_ids
from crmstore.whose import Judgement, People, UserRef

__all__ = ["Batch", "Behind", "Decided", "Intake", "LedgerRow", "Pending", "Place", "Taken"]

_WEEK_US = 7 * 86_400 * 1_000_000


class Behind(Exception):
    """The store is not where the batch began (another worker, a restored database, people who
    changed meanwhile): read position and people again, and make the batch anew."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a door's journal is in the store: the end of a frame, its seq and hash."""

    journal: str
    segment: int
    offset: int
    seq: int
    hash: bytes


@dataclass(slots=True)
class LedgerRow:
    """One frame of a journal."""

    door: str
    journal: str
    seq: int
    kind: str
    capture_id: str
    header: bytes
    hash: bytes


@dataclass(slots=True)
class Pending:
    """A message frame, and where its body lies."""

    capture_id: str
    door: str
    journal: str
    seq: int
    segment: int
    offset: int  # of the body in the segment
    header: Mapping[str, Any]
    at_us: int
    stored: bool = False  # it has its row in captures already


@dataclass(slots=True)
class Decided:
    """A message with its verdict. `failed`: why it could not be captured; "" if it could."""

    message: Pending
    verdict: Mapping[str, Any]
    verdict_seq: int
    judgement: Judgement | None = None  # None: refused or failed
    facts: Facts | None = None
    failed: str = ""


@dataclass(slots=True)
class Batch:
    """Made by proxy/ingest.py."""

    ledger: list[LedgerRow] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    starts: dict[str, Place | None] = field(default_factory=dict)  # where the batch began
    ends: dict[str, Place] = field(default_factory=dict)


@dataclass(slots=True)
class Taken:
    """What a commit did."""

    captures: dict[tuple[str, str], int] = field(default_factory=dict)  # (role, disposition)
    new_messages: int = 0
    links: int = 0
    queued: int = 0

    def count(self, role: str, disposition: str) -> None:
        key = (role, disposition)
        self.captures[key] = self.captures.get(key, 0) + 1


class Intake:
    """The one batching writer. `retry_for` is how long queued mail is tried (seconds)."""

    def __init__(self, store: Store, domains: Sequence[str], *, retry_for: float) -> None:
        self._store = store
        self._domains = frozenset(domain.lower() for domain in domains)
        self._retry_us = micros(retry_for)
        self._people: People | None = None
        self._version = -1

    # Before the batch

    def people(self) -> People:
        """Domains and users; read again only when somebody changed them."""
        with self._store.reading() as connection:
            version = counter(connection, "people")
            if self._people is None or version != self._version:
                users, names = schema.users.c, schema.user_addresses.c
                rows = connection.execute(
                    select(names.address, users.id, users.login, users.enabled).join(
                        schema.users, users.id == names.user_id
                    )
                )
                known = {row.address: UserRef(row.id, row.login, bool(row.enabled)) for row in rows}
                for user in list(known.values()):
                    known.setdefault(user.login, user)
                self._people = People(self._domains, known)
                self._version = version
            return self._people

    def places(self) -> dict[str, Place]:
        """How far each door is in the store."""
        with self._store.reading() as connection:
            return _places(connection)

    def pending(self) -> list[Pending]:
        """Messages that wait for their verdict, from earlier batches."""
        captures, ledger = schema.captures.c, schema.ledger
        with self._store.reading() as connection:
            rows = connection.execute(
                select(schema.captures, ledger.c.header)
                .join(
                    ledger,
                    (ledger.c.door == captures.door)
                    & (ledger.c.journal == captures.journal)
                    & (ledger.c.seq == captures.seq),
                )
                .where(captures.disposition == "pending")
            )
            return [
                Pending(
                    row.capture_id,
                    row.door,
                    row.journal,
                    row.seq,
                    row.segment,
                    row.offset,
                    json.loads(row.header),
                    row.at_us,
                    stored=True,
                )
                for row in rows
            ]

    # The batch

    def commit(self, batch: Batch) -> Taken:
        """Write a whole batch, durably, or nothing."""
        with self._store.writing() as connection:
            if self._version != counter(connection, "people"):
                raise Behind
            known = _places(connection)
            if any(known.get(door) != place for door, place in batch.starts.items()):
                raise Behind
            return _Writing(connection, batch, self._retry_us).run()


def _places(connection: Connection) -> dict[str, Place]:
    rows = connection.execute(select(schema.journal_positions))
    return {
        row.door: Place(row.journal, row.segment, row.offset, row.seq, bytes(row.hash))
        for row in rows
    }


class _Writing:
    """One batch inside its transaction."""

    def __init__(self, connection: Connection, batch: Batch, retry_us: int) -> None:
        self.connection = connection
        self.batch = batch
        self.retry_us = retry_us
        self.taken = Taken()
        self.now_us = micros()
        self.participants: list[dict[str, Any]] = []
        self.sightings: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.captures: list[dict[str, Any]] = []
        self.decided_captures: list[dict[str, Any]] = []

    def run(self) -> Taken:
        batch = self.batch
        self._ledger()
        new = self._unknown([d.message.capture_id for d in batch.decided if not d.message.stored])
        decided = [d for d in batch.decided if d.message.stored or d.message.capture_id in new]
        captured = [d for d in decided if d.judgement is not None and not d.judgement.excluded]
        ids = self._messages(captured)
        self._around(captured, ids)
        for item in decided:
            self._capture(item, ids)
        pending = self._unknown([p.capture_id for p in batch.pending if not p.stored])
        self.captures += [
            self._capture_row(p, None) for p in batch.pending if p.capture_id in pending
        ]
        self._insert(schema.participants, self.participants)
        linker.insert_new(self.connection, schema.sightings, self.sightings)
        self.taken.links = linker.insert_new(self.connection, schema.links, self.links)
        self._insert(schema.captures, self.captures)
        if self.decided_captures:
            columns = schema.captures.c
            changes = ("verdict_seq", "disposition", "reason", "outcome", "message_id")
            self.connection.execute(
                update(schema.captures)
                .where(columns.capture_id == bindparam("id"), columns.disposition == "pending")
                .values({name: bindparam(f"new_{name}") for name in changes}),
                self.decided_captures,
            )
        for item in decided:
            self._queue(item)
        self._positions()
        return self.taken

    def _insert(self, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self.connection.execute(insert(table), rows)

    def _ledger(self) -> None:
        self._insert(
            schema.ledger,
            [
                {
                    "door": row.door,
                    "journal": row.journal,
                    "seq": row.seq,
                    "kind": row.kind,
                    "capture_id": row.capture_id,
                    "header": row.header,
                    "hash": row.hash,
                }
                for row in self.batch.ledger
            ],
        )

    def _unknown(self, capture_ids: Sequence[str]) -> set[str]:
        """Those that have no row yet."""
        new = set(capture_ids)
        column = schema.captures.c.capture_id
        for chunk in linker.several(capture_ids):
            new.difference_update(
                self.connection.execute(select(column).where(column.in_(chunk))).scalars()
            )
        return new

    # Messages

    def _messages(self, captured: Sequence[Decided]) -> dict[str, tuple[int, int]]:
        """Digest -> (message id, its sort time); new ones are inserted."""
        columns = schema.messages.c
        ids: dict[str, tuple[int, int]] = {}
        first: dict[str, Decided] = {}
        for item in captured:
            first.setdefault(str(item.message.header["sha256"]), item)
        for chunk in linker.several(first):
            rows = self.connection.execute(
                select(columns.sha256, columns.id, columns.when_us).where(columns.sha256.in_(chunk))
            )
            ids.update((sha256, (id_, when)) for sha256, id_, when in rows)
        new = [(sha256, item) for sha256, item in first.items() if sha256 not in ids]
        if not new:
            return ids
        rows_in: list[dict[str, Any]] = []
        attachments: list[dict[str, Any]] = []
        for id_, (sha256, item) in zip(
            next_ids(self.connection, "messages", len(new)), new, strict=True
        ):
            facts = item.facts or Facts(flags=["unread"])
            when = _when(facts.date, item.message.at_us)
            ids[sha256] = (id_, when)
            writer = next((p for p in facts.people if p[0] == "from"), ("from", "", ""))
            header = item.message.header
            rows_in.append(
                {
                    "id": id_,
                    "sha256": sha256,
                    "bytes": int(header["size"]),
                    "when_us": when,
                    "message_id": facts.message_id,
                    "subject": facts.subject,
                    "from_address": writer[1] or clean(str(header.get("sender", "")))[:320],
                    "from_name": writer[2],
                    "date_header": facts.date_header,
                    "attachments": len(facts.attachments),
                    "preview": facts.preview,
                    "flags": " ".join(facts.flags),
                }
            )
            attachments += [
                {
                    "message_id": id_,
                    "position": position,
                    "name": attachment.name,
                    "type": attachment.type,
                    "bytes": attachment.bytes,
                    "inline": int(attachment.inline),
                }
                for position, attachment in enumerate(facts.attachments)
            ]
            if item.judgement is not None:
                self._participants(id_, when, item, envelope_only=False)
        self._insert(schema.messages, rows_in)
        self._insert(schema.attachments, attachments)
        self.taken.new_messages = len(new)
        return ids

    def _participants(self, id_: int, when: int, item: Decided, *, envelope_only: bool) -> None:
        if item.judgement is None:
            return
        for role, address, name, evidence, only in item.judgement.participants:
            if only == envelope_only:
                self.participants.append(
                    {
                        "message_id": id_,
                        "role": role,
                        "address": address,
                        "name": name,
                        "evidence": evidence,
                        "capture_id": item.message.capture_id if only else None,
                        "when_us": when,
                    }
                )

    def _around(self, captured: Sequence[Decided], ids: Mapping[str, tuple[int, int]]) -> None:
        """What each sighting adds: its owners, its envelope's people, its links."""
        addresses = {
            outsider.address
            for item in captured
            if item.judgement is not None
            for outsider in item.judgement.outsiders
        }
        keyed = linker.find(self.connection, addresses)
        for item in captured:
            judgement, message = item.judgement, item.message
            if judgement is None:
                continue
            id_, when = ids[str(message.header["sha256"])]
            self._participants(id_, when, item, envelope_only=True)
            if keyed.records:
                self.links += linker.link_rows(
                    keyed, id_, when, message.capture_id, judgement.outsiders
                )
            self.sightings += [
                {
                    "message_id": id_,
                    "capture_id": message.capture_id,
                    "owner": owner.name,
                    "user_id": owner.user_id,
                    "direction": judgement.direction,
                    "source": judgement.source,
                    "status": owner.status,
                    "seen_us": message.at_us,
                    "when_us": when,
                }
                for owner in judgement.owners
            ]

    # Captures and positions

    def _capture(self, item: Decided, ids: Mapping[str, tuple[int, int]]) -> None:
        message, judgement = item.message, item.judgement
        if item.failed:
            disposition, reason = "failed", item.failed
        elif judgement is None:
            disposition, reason = "refused", ""
        elif judgement.excluded:
            disposition, reason = "excluded", judgement.excluded
        else:
            disposition, reason = "captured", ""
        sha256 = str(message.header["sha256"])
        result = {
            "verdict_seq": item.verdict_seq,
            "disposition": disposition,
            "reason": reason,
            "outcome": str(item.verdict.get("outcome", ""))[:16],
            "message_id": ids[sha256][0] if disposition == "captured" else None,
        }
        self.taken.count(str(message.header.get("role", "")), disposition)
        if message.stored:
            changed = {f"new_{name}": value for name, value in result.items()}
            self.decided_captures.append({"id": message.capture_id, **changed})
        else:
            self.captures.append(self._capture_row(message, result))

    def _capture_row(self, message: Pending, result: Mapping[str, Any] | None) -> dict[str, Any]:
        header = message.header
        row = {
            "capture_id": message.capture_id,
            "door": message.door,
            "journal": message.journal,
            "seq": message.seq,
            "role": str(header.get("role", ""))[:16],
            "at_us": message.at_us,
            "sha256": str(header["sha256"]),
            "bytes": int(header["size"]),
            "segment": message.segment,
            "offset": message.offset,
            "verdict_seq": None,
            "disposition": "pending",
            "reason": "",
            "outcome": "",
            "message_id": None,
        }
        return {**row, **result} if result else row

    def _positions(self) -> None:
        table = schema.journal_positions
        for door, place in self.batch.ends.items():
            values = {
                "journal": place.journal,
                "segment": place.segment,
                "offset": place.offset,
                "seq": place.seq,
                "hash": place.hash,
                "at_us": self.now_us,
            }
            if self.batch.starts.get(door) is None:
                self.connection.execute(insert(table).values(door=door, **values))
            else:
                self.connection.execute(update(table).where(table.c.door == door).values(**values))

    # Mail that is ours

    def _queue(self, item: Decided) -> None:
        """The queue row of a message: its recipients whose outcome is "queued"."""
        if item.failed:
            return
        header = item.message.header
        params = {
            str(r.get("address")): r.get("params", [])
            for r in header.get("recipients", ())
            if isinstance(r, dict)
        }
        queued = dict.fromkeys(
            str(r.get("address"))
            for r in item.verdict.get("recipients", ())
            if isinstance(r, dict) and r.get("outcome") == "queued"
        )
        if not queued:
            return
        excluded = item.judgement is None or bool(item.judgement.excluded)
        created = item.message.at_us
        table = schema.queue_messages
        queue_id = self.connection.execute(
            insert(table)
            .values(
                capture_id=item.message.capture_id,
                listener=str(header.get("listener", "")),
                sender=storable(str(header.get("sender", ""))),
                sender_params=json.dumps(header.get("sender_params", [])),
                trace=storable(str(header.get("trace", ""))),
                sha256=str(header["sha256"]),
                bytes=int(header["size"]),
                flags=json.dumps(header.get("flags", [])),
                only_copy=int(excluded),
                state="queued",
                attempts=0,
                created_us=created,
                expires_us=created + self.retry_us,
                next_us=self.now_us,
            )
            .returning(table.c.id)
        ).scalar_one()
        self._insert(
            schema.queue_recipients,
            [
                {
                    "queue_id": queue_id,
                    "address": storable(address),
                    "params": json.dumps(params.get(address, [])),
                    "state": "queued",
                    "attempts": 0,
                    "reply": "",
                    "changed_us": self.now_us,
                }
                for address in queued
            ],
        )
        self.taken.queued += 1


def _when(date: int | None, seen_us: int) -> int:
    """The mail's own date where it can be believed, else when we saw it.

    Dates in the future or far in the past (wrong clocks, spam that wants to be on top) would put
    the mail where nobody looks.
    """
    if date is not None:
        own = date * 1_000_000
        if seen_us - _WEEK_US <= own <= seen_us:
            return own
    return seen_us
