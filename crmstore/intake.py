"""Taking captured mail into the store: one batch, one transaction, the same twice as once.

A batch is what ingest read from the journals since the last one: every frame (for the ledger),
messages whose verdict is not there yet (pending), messages that are decided, and how far each
door was read. commit() writes all of it or nothing.

Promises: a frame goes into the ledger exactly once: a door's position in the store must be the
one that the batch began at, else nothing is written (Behind). A capture id that is already known
is left alone. One message, many sightings: what is a copy of what says crmstore/copies.py.
Speed: rows go in by executemany, look-ups are one IN query a batch, ids come in blocks.
Here is the order of the statements. New messages: intakemessages.py; mail that is to be delivered:
intakequeue.py; the values of a batch: batch.py. A keeper.
Cites: architecture.md "Data path"; SCHEMA.md.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from crmstore import (
    capturerules,
    copies,
    filing,
    intakemessages,
    intakequeue,
    linker,
    mailboxes,
    relink,
    schema,
)
from crmstore.batch import Batch, Behind, Decided, Pending, Place, Taken
from crmstore.bulk import among, by_index, insert_rows
from crmstore.facts import Facts
from crmstore.store import Store, counter, micros, next_ids
from crmstore.whose import People, UserRef

__all__ = ["Intake"]

Row = tuple[Any, ...]
_LEDGER = ("door", "journal", "seq", "kind", "capture_id", "header", "hash")
_PARTICIPANTS = (
    "id", "message_id", "role", "address", "name", "evidence", "capture_id", "when_us",
)  # fmt: skip
_SIGHTINGS = (
    "id", "message_id", "capture_id", "owner", "user_id", "address", "direction", "source",
    "status", "seen_us", "when_us", "mailbox", "special", "uidvalidity", "uid", "evidence",
)  # fmt: skip
_NOWHERE = (None, None, None, None)
_CAPTURES = (
    "capture_id", "door", "journal", "seq", "verdict_seq", "role", "at_us", "disposition",
    "reason", "outcome", "sha256", "bytes", "message_id", "segment", "offset",
)  # fmt: skip
_ENDED = ("new_verdict_seq", "new_disposition", "new_reason", "new_outcome", "new_message_id")


class Intake:
    """The one batching writer. `retry_for` is how long queued mail is tried, `delay_notice` after
    which time its sender is told that it waits (seconds; 0 = never)."""

    def __init__(
        self, store: Store, domains: Sequence[str], *, retry_for: float, delay_notice: float = 0.0
    ) -> None:
        self._store = store
        self._domains = frozenset(domain.lower() for domain in domains)
        self._retry_us = micros(retry_for)
        self._delay_us = micros(delay_notice)
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
                rules = capturerules.by_user(connection)
                self._people = People(self._domains, known, version, rules)
                self._version = version
            return self._people

    def places(self) -> dict[str, Place]:
        """How far each door is in the store."""
        with self._store.reading() as connection:
            return _places(connection)

    def begin(self, door: str, place: Place) -> None:
        """Where ingest goes on with a door that the store knew nothing of; a place that is there
        stays. What lies before it is in the archive already."""
        values = {**place.values, "at_us": micros()}
        kept = {"kept_journal": place.journal, "kept_seq": place.seq}
        with self._store.writing() as connection:
            if door not in _places(connection):
                connection.execute(
                    insert(schema.journal_positions).values(door=door, **values, **kept)
                )

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
        people = batch.people or self._people
        assert people is not None
        with self._store.writing() as connection:
            by_index(connection)
            if people.version != counter(connection, "people"):
                raise Behind
            known = _places(connection)
            if any(known.get(door) != place for door, place in batch.starts.items()):
                raise Behind
            times = (self._retry_us, self._delay_us)
            return _Writing(connection, batch, times, people).run()


def _places(connection: Connection) -> dict[str, Place]:
    rows = connection.execute(select(schema.journal_positions))
    return {
        row.door: Place(row.journal, row.segment, row.offset, row.seq, bytes(row.hash))
        for row in rows
    }


class _Writing:
    """One batch inside its transaction."""

    def __init__(
        self, connection: Connection, batch: Batch, times: tuple[int, int], ours: People
    ) -> None:
        self.connection = connection
        self.batch = batch
        self.retry_us, self.delay_us = times
        self.ours = ours
        self.taken = Taken()
        self.now_us = micros()
        self.participants: list[Row] = []
        self.sightings: list[Row] = []
        self.links: list[Row] = []
        self.new: set[int] = set()  # ids of messages that this batch brings
        self.of: dict[str, tuple[copies.Known, str]] = {}  # capture id -> its message, and why

    def run(self) -> Taken:
        batch = self.batch
        self._insert(schema.ledger, _LEDGER, batch.ledger)
        new = self._unknown([d.message.capture_id for d in batch.decided if not d.message.stored])
        decided = [d for d in batch.decided if d.message.stored or d.message.capture_id in new]
        captured = [d for d in decided if d.judgement is not None and not d.judgement.excluded]
        captured.sort(key=lambda item: item.message.at_us)
        self._messages(captured)
        self._around(captured)
        seen = {known.id for known, _ in self.of.values()}
        if len(seen) > self.taken.new_messages:
            relink.seen_again(self.connection, seen)
        self._insert_numbered(schema.participants, _PARTICIPANTS, self.participants)
        self._insert_numbered(schema.sightings, _SIGHTINGS, self.sightings)
        self._links()
        self._captures(decided)
        self.taken.mailboxes = mailboxes.learn(
            self.connection,
            [d.judgement.place for d in decided if d.judgement and d.judgement.place],
        )
        intakequeue.keep(self.connection, [str(item.message.header["sha256"]) for item in captured])
        self._queue(decided)
        if batch.after is not None:
            batch.after(self.connection, decided)
        self._positions()
        return self.taken

    def _insert(
        self, table: Table, columns: tuple[str, ...], rows: Sequence[Row], *, ignore: bool = False
    ) -> int:
        return insert_rows(self.connection, table, columns, rows, ignore=ignore)

    def _insert_numbered(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        if rows:
            ids = next_ids(self.connection, "rows", len(rows))
            self._insert(table, columns, [(id_, *row) for id_, row in zip(ids, rows, strict=True)])

    def _unknown(self, capture_ids: Sequence[str]) -> set[str]:
        """Those that have no row yet."""
        new = set(capture_ids)
        column = schema.captures.c.capture_id
        for chunk in linker.several(capture_ids):
            new.difference_update(
                self.connection.execute(
                    select(column).where(among(self.connection, column, chunk))
                ).scalars()
            )
        return new

    # Messages

    def _messages(self, captured: Sequence[Decided]) -> None:
        """Finds each capture's message; new ones are inserted."""
        found = copies.recognise(
            self.connection, [(_told(item), item.message.at_us) for item in captured]
        )
        for item, of in zip(captured, found.of, strict=True):
            self.of[item.message.capture_id] = of
        if not found.new:
            return
        ids = next_ids(self.connection, "messages", len(found.new))
        for id_, known in zip(ids, found.new, strict=True):
            known.id = id_
            item = captured[known.first]
            self.participants += intakemessages.people(
                id_, known.when_us, item, envelope_only=False
            )
        ours, turned = self.ours.internal, self.batch.turned
        intakemessages.add(self.connection, found.new, captured, ours, turned)
        self.new.update(ids)
        self.taken.new_messages = len(ids)

    def _around(self, captured: Sequence[Decided]) -> None:
        """What each sighting adds: its owners, its envelope's people, its links."""
        judged = [(item, item.judgement) for item in captured if item.judgement is not None]
        keyed = linker.find(
            self.connection, {o.address for _, judgement in judged for o in judgement.outsiders}
        )
        for item, judgement in judged:
            message = item.message
            capture_id = message.capture_id
            known, why = self.of[capture_id]
            id_, when = known.id, known.when_us
            self.participants += intakemessages.people(id_, when, item, envelope_only=True)
            if keyed.records:
                self.links += linker.link_rows(keyed, id_, when, capture_id, judgement.outsiders)
            if judgement.filed:
                self.links += filing.link_rows(id_, when, judgement.filed)
            place = judgement.place
            where = (
                (place.mailbox, place.special, place.uidvalidity, place.uid) if place else _NOWHERE
            )
            way = (judgement.direction, judgement.source)
            times = (message.at_us, when)
            self.sightings += [
                (id_, capture_id, name, user, own, *way, status, *times, *where, why)
                for name, user, status, own in judgement.owners
            ]

    def _links(self) -> None:
        """A new message has no links but those of this batch; of known ones some may be there."""
        table, columns = schema.links, linker.LINK_COLUMNS
        rows: dict[Row, Row] = {}
        for row in self.links:
            rows.setdefault(row[:4], row)  # of two copies in one batch what the first told
        fresh = [row for row in rows.values() if row[0] in self.new]
        others = [row for row in rows.values() if row[0] not in self.new]
        self.taken.links = self._insert(table, columns, fresh)
        self.taken.links += self._insert(table, columns, others, ignore=True)

    def _queue(self, decided: Sequence[Decided]) -> None:
        times = {"retry_us": self.retry_us, "delay_us": self.delay_us}
        for item in decided:
            self.taken.queued += intakequeue.add(self.connection, item, now_us=self.now_us, **times)

    # Captures and positions

    def _captures(self, decided: Sequence[Decided]) -> None:
        """What became of each: a new row, or the end of a pending one."""
        rows: list[Row] = []
        ended: list[dict[str, Any]] = []
        for item in decided:
            message = item.message
            disposition, reason = _disposition(item)
            self.taken.count(str(message.header.get("role", "")), disposition)
            outcome = str(item.verdict.get("outcome", ""))[:16]
            id_ = self.of[message.capture_id][0].id if disposition == "captured" else None
            if message.stored:
                values = (item.verdict_seq, disposition, reason, outcome, id_)
                ended.append({"id": message.capture_id, **dict(zip(_ENDED, values, strict=True))})
            else:
                rows.append(_capture(message, item.verdict_seq, disposition, reason, outcome, id_))
        fresh = self._unknown([p.capture_id for p in self.batch.pending if not p.stored])
        rows += [
            _capture(message, None, "pending", "", "", None)
            for message in self.batch.pending
            if message.capture_id in fresh
        ]
        self._insert(schema.captures, _CAPTURES, rows)
        if ended:
            columns = schema.captures.c
            self.connection.execute(
                update(schema.captures)
                .where(columns.capture_id == bindparam("id"), columns.disposition == "pending")
                .values({name[4:]: bindparam(name) for name in _ENDED}),
                ended,
            )

    def _positions(self) -> None:
        table = schema.journal_positions
        for door, place in self.batch.ends.items():
            values = {**place.values, "at_us": self.now_us}
            if self.batch.starts.get(door) is None:
                self.connection.execute(insert(table).values(door=door, **values))
            else:
                self.connection.execute(update(table).where(table.c.door == door).values(**values))


def _told(item: Decided) -> copies.Told:
    header = item.message.header
    return copies.told(item.facts or Facts(), str(header["sha256"]), item.message.at_us)


def _disposition(item: Decided) -> tuple[str, str]:
    if item.failed:
        return "failed", item.failed
    if item.judgement is None:
        return "refused", ""
    if item.judgement.excluded:
        return "excluded", item.judgement.excluded
    return "captured", item.judgement.left_out


def _capture(
    message: Pending,
    verdict_seq: int | None,
    disposition: str,
    reason: str,
    outcome: str,
    id_: int | None,
) -> Row:
    header = message.header
    return (
        message.capture_id,
        message.door,
        message.journal,
        message.seq,
        verdict_seq,
        str(header.get("role", ""))[:16],
        message.at_us,
        disposition,
        reason,
        outcome,
        header["sha256"],
        header["size"],
        id_,
        message.segment,
        message.offset,
    )
