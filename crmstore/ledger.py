"""The ledger held against what the store made of it: every frame, every message, the chain.

account() reads the whole ledger in order and looks for gaps: frames that are missing or altered,
messages without capture, captures without message, sighting or blob. Each gap comes with its
evidence: door, seq, capture id. proxy/audit.py goes on with the journals.
Promises: changes nothing; bounded memory at any size (CHUNK rows, MAX_GAPS gaps kept, all
counted); may run beside a working ingest. The chain is always verified from its beginning, also
when only a span of time is counted.
A keeper, read side. Cites: architecture.md "Journal"; beyond.md 1.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, tuple_

from crmstore import schema
from crmstore.archive import Archive
from crmstore.batch import Place
from crmstore.bulk import among
from crmstore.store import Store
from crmstore.times import at_us
from crmstore.whose import kinds

__all__ = ["AuditReport", "Gap", "account", "end_of", "present", "waiting"]

CHUNK = 2_000
MAX_GAPS = 1_000
_GENESIS = bytes(32)


class Gap(NamedTuple):
    """One piece of evidence. seq is 0 and capture_id "" where there is none to name."""

    door: str
    seq: int
    capture_id: str
    what: str


@dataclass(slots=True)
class AuditReport:
    """The account. `pending` are messages that the journals hold and the store does not have yet,
    or had not when it was read, or whose verdict is not there: they are neither accepted nor
    refused so far. `partial`: of those captured, how many without some of their people, by the kind
    of rule."""

    accepted: int = 0
    captured: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    refused: int = 0
    pending: int = 0
    frames: int = 0
    chain_ok: bool = True
    gaps: list[Gap] = field(default_factory=list)
    gap_count: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything is accounted for."""
        return self.gap_count == 0 and self.chain_ok

    def gap(self, door: str, seq: int, capture_id: str, what: str, *, chain: bool = False) -> None:
        self.gap_count += 1
        if chain:
            self.chain_ok = False
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(Gap(door, seq, capture_id, what))


def account(
    store: Store,
    archive: Archive,
    report: AuditReport,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    deep: bool = False,
) -> dict[str, tuple[str, int]]:
    """Fill the report from the ledger; returns the doors that it tells of, each with the journal
    and seq of the last frame that was counted.

    `deep` reads every blob and holds it against its digest; else it is only looked whether the
    blob is there.
    """
    audit = _Audit(store, archive, report, (since_us, until_us), deep)
    audit.ledger()
    if since_us is None and until_us is None:
        audit.captures_without_frames()
    return audit.counted


def end_of(
    store: Store, door: str, counted: tuple[str, int] = ("", 0)
) -> tuple[Place | None, Place | None, int]:
    """(where ingest says it stands, the ledger's last frame as far as it has one, how many messages
    the ledger has behind the frame `counted`), all of one moment."""
    table, ledger = schema.journal_positions, schema.ledger.c
    with store.reading() as connection:
        row = connection.execute(select(table).where(table.c.door == door)).first()
        last = connection.execute(
            select(ledger.journal, ledger.seq, ledger.hash)
            .where(ledger.door == door)
            .order_by(ledger.journal.desc(), ledger.seq.desc())
            .limit(1)
        ).first()
        behind = connection.execute(
            select(func.count())
            .select_from(schema.ledger)
            .where(
                ledger.door == door,
                ledger.kind == "message",
                tuple_(ledger.journal, ledger.seq) > counted,
            )
        ).scalar_one()
    stands = Place(row.journal, row.segment, row.offset, row.seq, bytes(row.hash)) if row else None
    end = Place(last.journal, 0, 0, last.seq, bytes(last.hash)) if last else None
    return stands, end, int(behind)


def present(store: Store, door: str, journal: str, first: int, last: int) -> set[int]:
    """Which of the frames from `first` to `last` the ledger has."""
    frames = schema.ledger.c
    with store.reading() as connection:
        return set(
            connection.execute(
                select(frames.seq).where(
                    frames.door == door,
                    frames.journal == journal,
                    frames.seq.between(first, last),
                )
            ).scalars()
        )


def waiting(store: Store, door: str, limit: int = MAX_GAPS) -> list[tuple[int, str, int]]:
    """(seq, capture id, segment) of a door's messages without verdict."""
    captures = schema.captures.c
    with store.reading() as connection:
        rows = connection.execute(
            select(captures.seq, captures.capture_id, captures.segment)
            .where(captures.door == door, captures.disposition == "pending")
            .order_by(captures.seq)
            .limit(limit)
        )
        return [(row.seq, row.capture_id, row.segment) for row in rows]


class _Chain:
    """Where the verification of one door's chain stands."""

    def __init__(self, door: str) -> None:
        self.door = door
        self.journal = ""
        self.seq = 0
        self.hash = _GENESIS
        self.kind = ""


class _Audit:
    """The ledger against captures, messages, sightings and blobs."""

    def __init__(
        self,
        store: Store,
        archive: Archive,
        report: AuditReport,
        span: tuple[int | None, int | None],
        deep: bool,
    ) -> None:
        self.store = store
        self.archive = archive
        self.report = report
        self.since, self.until = span
        self.deep = deep
        self.counted: dict[str, tuple[str, int]] = {}
        self.message_frames = 0

    def ledger(self) -> None:
        chain = _Chain("")
        for rows, captures, complete in self._chunks():
            for row in rows:
                if row.door != chain.door:
                    chain = _Chain(row.door)
                self.report.frames += 1
                header = _header(row)
                self._link(chain, row, header)
                self.counted[row.door] = (row.journal, row.seq)
                if row.kind == "message":
                    self._message(row, header, captures, complete)
                elif row.kind == "verdict":
                    self._verdict(row, header, captures)

    def _chunks(self) -> Iterator[tuple[Sequence[Row[Any]], dict[str, Row[Any]], set[str]]]:
        """Ledger rows with their captures, and the ids of captures whose message is complete."""
        ledger = schema.ledger.c
        key = tuple_(ledger.door, ledger.journal, ledger.seq)
        last: tuple[str, str, int] = ("", "", -1)
        while True:
            with self.store.reading() as connection:
                rows = connection.execute(
                    select(schema.ledger).where(key > last).order_by(*key.clauses).limit(CHUNK)
                ).all()
                ids = {row.capture_id for row in rows if row.capture_id}
                captures = _captures(connection, ids)
                complete = _complete(connection, captures.values())
            if not rows:
                return
            yield rows, captures, complete
            last = (rows[-1].door, rows[-1].journal, rows[-1].seq)

    # The chain

    def _link(self, chain: _Chain, row: Row[Any], header: dict[str, Any]) -> None:
        """sha256(previous hash + header) must be the hash, and no seq may be missing."""
        report, door = self.report, row.door
        if row.journal != chain.journal:
            if chain.journal and chain.kind != "close":
                report.gap(
                    door, chain.seq, "", "the journal ends here without its end; another follows",
                    chain=True,
                )  # fmt: skip
            chain.journal, chain.seq, chain.hash = row.journal, 0, _GENESIS
        if row.seq != chain.seq + 1:
            report.gap(
                door, chain.seq + 1, "", f"frames {chain.seq + 1} to {row.seq - 1} are missing",
                chain=True,
            )  # fmt: skip
        elif hashlib.sha256(chain.hash + bytes(row.header)).digest() != bytes(row.hash):
            report.gap(
                door, row.seq, row.capture_id, "the chain is broken: this frame or the one before"
                " was altered", chain=True,
            )  # fmt: skip
        if header.get("seq") != row.seq or header.get("type") != row.kind:
            report.gap(door, row.seq, row.capture_id, "the header is not this frame's", chain=True)
        chain.seq, chain.hash, chain.kind = row.seq, bytes(row.hash), row.kind

    # Messages

    def _message(
        self,
        row: Row[Any],
        header: dict[str, Any],
        captures: dict[str, Row[Any]],
        complete: set[str],
    ) -> None:
        report = self.report
        self.message_frames += bool(row.capture_id)

        def gap(what: str) -> None:
            report.gap(row.door, row.seq, row.capture_id, what)

        at = at_us(header.get("time"), 0)
        counted = (self.since is None or at >= self.since) and (
            self.until is None or at < self.until
        )
        capture = captures.get(row.capture_id)
        if capture is None:
            report.accepted += counted
            gap("a message without capture")
            return
        if (capture.door, capture.journal, capture.seq) != (row.door, row.journal, row.seq):
            gap(f"its capture belongs to frame {capture.seq} of {capture.door}")
        if capture.sha256 != header.get("sha256"):
            gap("its capture is of another body")
        if capture.disposition == "pending":
            report.pending += counted
            return
        if capture.disposition == "refused":
            report.refused += counted
            return
        report.accepted += counted
        if capture.disposition == "excluded":
            if counted:
                reasons = report.excluded
                reasons[capture.reason] = reasons.get(capture.reason, 0) + 1
            return
        if capture.disposition == "failed":
            report.failed += counted
            return
        report.captured += counted
        for kind in kinds(capture.reason) if counted else ():
            report.partial[kind] = report.partial.get(kind, 0) + 1
        if row.capture_id not in complete:
            gap("captured, but its message or its sighting is missing")
        there = self.archive.verify if self.deep else self.archive.exists
        if not there(capture.sha256):
            gap("captured, but its body is missing or damaged in the archive")

    def _verdict(
        self, row: Row[Any], header: dict[str, Any], captures: dict[str, Row[Any]]
    ) -> None:
        capture = captures.get(row.capture_id)
        if capture is None:
            self.report.gap(row.door, row.seq, row.capture_id, "a verdict without capture")
        elif capture.disposition == "pending":
            self.report.gap(row.door, row.seq, row.capture_id, "decided, but still pending")
        elif capture.verdict_seq == row.seq:
            refused = header.get("outcome") == "refused"
            if refused != (capture.disposition == "refused"):
                what = f"the verdict is {header.get('outcome')}, the capture {capture.disposition}"
                self.report.gap(row.door, row.seq, row.capture_id, what)

    def captures_without_frames(self) -> None:
        """Captures that no frame tells of: somebody wrote into the store."""
        with self.store.reading() as connection:
            count = connection.execute(
                select(func.count()).select_from(schema.captures)
            ).scalar_one()
            if count <= self.message_frames:
                return
            captures, ledger = schema.captures, schema.ledger
            frame = (
                select(ledger.c.id)
                .where(
                    ledger.c.door == captures.c.door,
                    ledger.c.journal == captures.c.journal,
                    ledger.c.seq == captures.c.seq,
                )
                .exists()
            )
            for row in connection.execute(select(captures).where(~frame).limit(MAX_GAPS)):
                self.report.gap(row.door, row.seq, row.capture_id, "a capture without frame")


def _header(row: Row[Any]) -> dict[str, Any]:
    try:
        header = json.loads(bytes(row.header))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _captures(connection: Connection, ids: set[str]) -> dict[str, Row[Any]]:
    column = schema.captures.c.capture_id
    rows = connection.execute(select(schema.captures).where(among(connection, column, ids)))
    return {row.capture_id: row for row in rows}


def _complete(connection: Connection, captures: Iterable[Row[Any]]) -> set[str]:
    """The captures that have both: a sighting of their own and the message it is of."""
    sightings, messages, known = schema.sightings.c, schema.messages.c, schema.captures.c
    ids = sorted(c.capture_id for c in captures if c.disposition == "captured")
    rows = connection.execute(
        select(sightings.capture_id)
        .join(schema.captures, known.capture_id == sightings.capture_id)
        .join(schema.messages, messages.id == sightings.message_id)
        .where(among(connection, sightings.capture_id, ids), messages.id == known.message_id)
        .distinct()
    )
    return set(rows.scalars())
