"""Taking captured mail into the store: one batch, one transaction, the same twice as once.

A batch is what ingest read from the journals since the last one: every frame (for the ledger),
messages whose verdict is not there yet (pending), messages that are decided, and how far each
door was read. commit() writes all of it or nothing.

Promises: a frame goes into the ledger exactly once: a door's position in the store must be the
one that the batch began at, else nothing is written (Behind). A capture id that is already known
is left alone. One message, many sightings: what is a copy of what says crmstore/copies.py.
Speed: rows go in by executemany, look-ups are one IN query a batch, ids come in blocks.
A keeper. Cites: architecture.md "Data path"; SCHEMA.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from crmstore import copies, document, linker, mailboxes, relink, schema, searchindex, threads
from crmstore.answers import base_subject
from crmstore.bulk import among, insert_rows
from crmstore.charsets import clean, storable
from crmstore.facts import Facts
from crmstore.identity import print_of, prints_of
from crmstore.mailboxes import Mailbox
from crmstore.store import Store, counter, micros, next_ids
from crmstore.tokens import tokens
from crmstore.whose import Judgement, People, UserRef

__all__ = ["Batch", "Behind", "Decided", "Intake", "LedgerRow", "Pending", "Place", "Taken"]

Row = tuple[Any, ...]
_LEDGER = ("door", "journal", "seq", "kind", "capture_id", "header", "hash")
_MESSAGES = (
    "id", "sha256", "bytes", "when_us", "date_us", "message_id", "subject", "from_address",
    "from_name", "date_header", "attachments", "preview", "flags", "identity", "hint",
    "print", "thread", "thread_why",
)  # fmt: skip
_ATTACHMENTS = ("message_id", "position", "name", "type", "bytes", "inline")
_PARTICIPANTS = ("message_id", "role", "address", "name", "evidence", "capture_id", "when_us")
_SIGHTINGS = (
    "message_id", "capture_id", "owner", "user_id", "address", "direction", "source", "status",
    "seen_us", "when_us", "mailbox", "special", "uidvalidity", "uid", "evidence",
)  # fmt: skip
_NOWHERE = (None, None, None, None)
_CAPTURES = (
    "capture_id", "door", "journal", "seq", "verdict_seq", "role", "at_us", "disposition",
    "reason", "outcome", "sha256", "bytes", "message_id", "segment", "offset",
)  # fmt: skip
_ENDED = ("new_verdict_seq", "new_disposition", "new_reason", "new_outcome", "new_message_id")
_QUEUE_RECIPIENTS = ("queue_id", "address", "params", "state", "attempts", "reply", "changed_us")
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


# One frame of a journal: door, journal, seq, kind, capture id, JSON header, hash.
LedgerRow = tuple[str, str, int, str, str, bytes, bytes]


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
    """A message with its verdict. `failed`: why it could not be captured; "" if it could.
    `body_lost`: that is because there is no body, so it cannot be delivered either."""

    message: Pending
    verdict: Mapping[str, Any]
    verdict_seq: int
    judgement: Judgement | None = None  # None: refused or failed
    facts: Facts | None = None
    failed: str = ""
    body_lost: bool = False
    deliver: bool = True  # False: nobody knows whether its queued mail was delivered long ago


@dataclass(slots=True)
class Batch:
    """Made by proxy/ingest.py."""

    ledger: list[LedgerRow] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    starts: dict[str, Place | None] = field(default_factory=dict)  # where the batch began
    ends: dict[str, Place] = field(default_factory=dict)
    people: People | None = None  # by whom it was judged; None: those that were read last
    # more that is to be written of the decided ones, in the same transaction
    after: Callable[[Connection, Sequence[Decided]], None] | None = None


@dataclass(slots=True)
class Taken:
    """What a commit did."""

    captures: dict[tuple[str, str], int] = field(default_factory=dict)  # (role, disposition)
    new_messages: int = 0
    links: int = 0
    queued: int = 0
    mailboxes: list[Mailbox] = field(default_factory=list)  # those of which more is known now

    def count(self, role: str, disposition: str) -> None:
        key = (role, disposition)
        self.captures[key] = self.captures.get(key, 0) + 1


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
                self._people = People(self._domains, known, version)
                self._version = version
            return self._people

    def places(self) -> dict[str, Place]:
        """How far each door is in the store."""
        with self._store.reading() as connection:
            return _places(connection)

    def begin(self, door: str, place: Place) -> None:
        """Where ingest goes on with a door that the store knew nothing of; a place that is there
        stays. What lies before it is in the archive already."""
        values = {**_place_values(place), "at_us": micros()}
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


def _place_values(place: Place) -> dict[str, Any]:
    return {
        "journal": place.journal,
        "segment": place.segment,
        "offset": place.offset,
        "seq": place.seq,
        "hash": place.hash,
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
        self._insert(schema.participants, _PARTICIPANTS, self.participants)
        self._insert(schema.sightings, _SIGHTINGS, self.sightings)
        self._links()
        self._captures(decided)
        self.taken.mailboxes = mailboxes.learn(
            self.connection,
            [d.judgement.place for d in decided if d.judgement and d.judgement.place],
        )
        self._kept([str(item.message.header["sha256"]) for item in captured])
        for item in decided:
            self._queue(item)
        if batch.after is not None:
            batch.after(self.connection, decided)
        self._positions()
        return self.taken

    def _insert(
        self, table: Table, columns: tuple[str, ...], rows: Sequence[Row], *, ignore: bool = False
    ) -> int:
        return insert_rows(self.connection, table, columns, rows, ignore=ignore)

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
        self.new.update(ids)
        placed = threads.place(
            self.connection,
            [_in_thread(known, captured[known.first]) for known in found.new],
            self.ours.internal,
        )
        rows_in: list[Row] = []
        attachments: list[Row] = []
        texts: list[searchindex.Entry] = []
        for known in found.new:
            id_, placing = known.id, placed[known.id]
            item = captured[known.first]
            facts = item.facts or Facts(flags=["unread"])
            flags = [*facts.flags, threads.FOREIGN] if placing.foreign else facts.flags
            when = known.when_us
            header = item.message.header
            sha256 = str(header["sha256"])
            _, writer, name = next((p for p in facts.people if p[0] == "from"), ("", "", ""))
            rows_in.append(
                (
                    id_,
                    sha256,
                    header["size"],
                    when,
                    _date(facts.date, when),
                    known.learned.get("message_id", facts.message_id),
                    facts.subject,
                    writer or clean(str(header.get("sender", "")))[:320],
                    name,
                    known.learned.get("date_header", facts.date_header),
                    len(facts.attachments),
                    facts.preview,
                    " ".join(flags),
                    known.key,
                    known.hint.place,
                    print_of(known.key, known.hint.place),
                    placing.thread,
                    placing.why,
                )
            )
            attachments += [
                (id_, position, a.name, a.type, a.bytes, int(a.inline))
                for position, a in enumerate(facts.attachments)
            ]
            if facts.document:
                texts.append(searchindex.Entry(id_, when, *_searched(item, facts)))
            self._participants(id_, when, item, envelope_only=False)
        self._insert(schema.messages, _MESSAGES, rows_in)
        self._insert(schema.attachments, _ATTACHMENTS, attachments)
        searchindex.add(self.connection, texts)
        self.taken.new_messages = len(rows_in)

    def _participants(self, id_: int, when: int, item: Decided, *, envelope_only: bool) -> None:
        """The header's people belong to the message, the envelope's to this sighting of it."""
        capture = item.message.capture_id if envelope_only else None
        for role, address, name, evidence, only in (
            item.judgement.participants if item.judgement is not None else ()
        ):
            if only == envelope_only:
                self.participants.append((id_, role, address, name, evidence, capture, when))

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
            self._participants(id_, when, item, envelope_only=True)
            if keyed.records:
                self.links += linker.link_rows(keyed, id_, when, capture_id, judgement.outsiders)
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
            values = {**_place_values(place), "at_us": self.now_us}
            if self.batch.starts.get(door) is None:
                self.connection.execute(insert(table).values(door=door, **values))
            else:
                self.connection.execute(update(table).where(table.c.door == door).values(**values))

    # Mail that is ours

    def _queue(self, item: Decided) -> None:
        """The queue row of a message: its recipients whose outcome is "queued"."""
        if item.body_lost or not item.deliver:
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
        excluded = item.judgement is not None and bool(item.judgement.excluded)
        only_copy = excluded and not self._stored_too(item)
        created = item.message.at_us
        sender = storable(str(header.get("sender", "")))
        table = schema.queue_messages
        queue_id = self.connection.execute(
            insert(table)
            .values(
                capture_id=item.message.capture_id,
                listener=str(header.get("listener", "")),
                sender=sender,
                sender_params=json.dumps(header.get("sender_params", [])),
                trace=storable(str(header.get("trace", ""))),
                sha256=str(header["sha256"]),
                bytes=int(header["size"]),
                flags=json.dumps(header.get("flags", [])),
                only_copy=int(only_copy),
                state="queued",
                attempts=0,
                created_us=created,
                expires_us=created + self.retry_us,
                next_us=self.now_us,
                report_us=created + self.delay_us if sender and self.delay_us else None,
            )
            .returning(table.c.id)
        ).scalar_one()
        self._insert(
            schema.queue_recipients,
            _QUEUE_RECIPIENTS,
            [
                (queue_id, storable(a), json.dumps(params.get(a, [])), "queued", 0, "", self.now_us)
                for a in queued
            ],
        )
        self.taken.queued += 1

    def _stored_too(self, item: Decided) -> bool:
        """Whether a captured message has the same octets: then the queue's copy is not its own."""
        sha256 = str(item.message.header["sha256"])
        messages, sightings, captures = schema.messages.c, schema.sightings.c, schema.captures.c
        wanted = (
            select(captures.capture_id)
            .join(schema.sightings, sightings.capture_id == captures.capture_id)
            .join(schema.messages, messages.id == sightings.message_id)
            .where(messages.print.between(*prints_of(_told(item).key)), captures.sha256 == sha256)
            .limit(1)
        )
        return self.connection.execute(wanted).first() is not None

    def _kept(self, digests: Sequence[str]) -> None:
        """These blobs are captured now: they stay when the queue is done with them."""
        queued = schema.queue_messages.c
        for chunk in linker.several(digests):
            self.connection.execute(
                update(schema.queue_messages)
                .where(queued.only_copy == 1, among(self.connection, queued.sha256, chunk))
                .values(only_copy=0)
            )


def _searched(item: Decided, facts: Facts) -> tuple[bytes, str]:
    """The document and its tokens; without those whom the rules keep out of a captured mail."""
    judgement = item.judgement
    if judgement is None or not judgement.left_out:
        return facts.document, facts.tokens
    stay = {p.address for p in judgement.participants}
    people = [person for person in facts.people if person[1] in stay]
    full = document.with_people(document.unpacked(facts.document), people)
    return document.packed(full), tokens(full)


def _in_thread(known: copies.Known, item: Decided) -> threads.New:
    """What a new message says about the conversation that it belongs to."""
    facts = item.facts or Facts()
    people = item.judgement.participants if item.judgement is not None else ()
    named = {p.address for p in people if p.role in ("from", "to", "cc")}
    subject, answer = base_subject(facts.subject)
    return threads.New(
        known.id,
        known.when_us,
        known.hint.id,
        facts.refs,
        frozenset(p.address for p in people if p.role == "from" or p.evidence == "envelope sender"),
        frozenset(p.address for p in people),
        (min(named), max(named)) if len(named) == 2 else None,
        subject,
        answer,
        facts.quoted,
        facts.preview,
    )


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


def _date(date: int | None, seen_us: int) -> int:
    """The mail's own date where it can be believed, else when we saw it: a date in the future or
    long ago is a wrong clock, or spam that wants to be on top."""
    if date is not None:
        own = date * 1_000_000
        if seen_us - _WEEK_US <= own <= seen_us:
            return own
    return seen_us
