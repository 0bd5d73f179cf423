"""Replay: what the archive knows and the store does not, taken in again.

A database that was lost, or put back from an old copy, lacks frames that the journals no longer
have. The archive has them: headers and what became of each message in notes (headerlog.py), bodies
as blobs. Replay reads them in the order of time and takes them in as ingest does; then ingest
takes what the journals still hold, and the ledger is whole again.

Promises: changes nothing that is there already, so it may be stopped and run again, or run beside
a worker. What was captured, excluded, refused or failed then is so now, with the same reason.
Queued mail is not queued again: nobody knows whether it was delivered long ago; it is counted.
Memory: one batch, and the messages without verdict.
Limits: it knows mail. Users (but those whom a login enrolled) and records are the database's own:
add them again, and mail is linked and owned as if it had just come.
Cites: architecture.md "Journal", "Ingest"; JOURNAL.md.
"""

import heapq
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from bounce.process import is_report
from config.settings import Settings
from crmstore import headerlog, ledger
from crmstore.archive import Archive, BlobDamaged, BlobMissing
from crmstore.batch import Batch, Behind, Decided, LedgerRow, Pending, Place
from crmstore.facts import Facts
from crmstore.headerlog import Note
from crmstore.intake import Intake
from crmstore.store import Store
from crmstore.times import at_us
from crmstore.whose import Judgement, People, Rules, judge
from proxy.afterwards import is_queued, job, processor
from proxy.captureid import is_capture_id
from proxy.enroll import enroll_writers
from proxy.ingest import Ingest
from proxy.journalfmt import Frame
from proxy.journalread import follow, list_segments, read_frames, segment_path
from proxy.reader import Job, Reader, Unread
from proxy.tail import KINDS, is_whole

__all__ = ["Replay", "Replayed"]

BATCH = 400  # messages
BATCH_FRAMES = 4_000
BATCH_BYTES = 32 << 20
TRIES = 5

Progress = Callable[[int, int], None]  # notes read, of how many


@dataclass(slots=True)
class Replayed:
    """What was done. `frames` and `messages` are those that the store did not have."""

    notes: int = 0
    frames: int = 0
    messages: int = 0
    captured: int = 0
    excluded: int = 0
    refused: int = 0
    failed: int = 0
    queued: int = 0  # were queued, and were not queued again
    pending: int = 0  # their verdict is nowhere
    damaged: list[str] = field(default_factory=list)  # notes that could not be read


class _Found(NamedTuple):
    """A frame that the store does not have."""

    row: LedgerRow
    header: dict[str, Any]
    at_us: int
    disposition: str
    reason: str

    @property
    def door(self) -> str:
        return self.row[0]


class Replay:
    """One run."""

    def __init__(
        self, settings: Settings, store: Store, archive: Archive, *, reader: Reader | None = None
    ) -> None:
        self._settings = settings
        self._store = store
        self._archive = archive
        self._reader = reader or Reader()
        self._intake = Intake(store, settings.node.domains, retry_for=settings.outbound.retry_for)
        self._rules = Rules.of(settings.capture)
        self._bounces = processor(settings)
        self._waiting: dict[str, Pending] = {}
        self._segments: dict[str, int] = {}  # door -> the segment that the last frame was in
        self._ends: dict[str, _Found] = {}
        self.done = Replayed()

    def run(self, progress: Progress | None = None) -> Replayed:
        """Everything that is missing."""
        try:
            self._waiting = {p.capture_id: p for p in self._intake.pending()}
            known = set(self._waiting)
            self._restore(progress or (lambda done, total: None))
            self._late_verdicts()
            self._positions()
            self.done.pending = len(self._waiting.keys() - known)
        finally:
            self._reader.close()
        self._ingest()
        return self.done

    # What is missing

    def _restore(self, progress: Progress) -> None:
        notes = headerlog.notes(self._archive)
        by_door: dict[str, list[Note]] = {}
        for note in notes:
            by_door.setdefault(note.door, []).append(note)

        def read() -> None:
            self.done.notes += 1
            progress(self.done.notes, len(notes))

        streams = [self._missing(door, some, read) for door, some in by_door.items()]
        batch: list[_Found] = []
        messages = octets = 0
        for found in heapq.merge(*streams, key=lambda found: found.at_us):
            batch.append(found)
            if found.row[3] == "verdict":
                messages += 1
                pending = self._waiting.get(found.row[4])
                octets += int(pending.header["size"]) if pending is not None else 0
            elif found.row[3] == "message" and is_whole(found.header):
                octets += int(found.header["size"])
            if messages >= BATCH or len(batch) >= BATCH_FRAMES or octets >= BATCH_BYTES:
                self._take(batch)
                batch, messages, octets = [], 0, 0
        if batch:
            self._take(batch)

    def _missing(
        self, door: str, notes: Sequence[Note], read: Callable[[], None]
    ) -> Iterator[_Found]:
        """The frames of a door that are neither in the ledger nor in its journal, in order."""
        retained = _first_frame(self._settings.journal_dir / door)
        last = ("", 0)
        for note in notes:
            try:
                kept = list(headerlog.read(self._archive, note))
            except (BlobMissing, BlobDamaged, ValueError):
                self.done.damaged.append(note.name)
                read()
                continue
            frames = [(frame, _parsed(frame.header)) for frame in kept]
            numbers = [header["seq"] for _, header in frames if type(header.get("seq")) is int]
            end = max(numbers, default=note.first)
            there = ledger.present(self._store, door, note.journal, note.first, end)
            for frame, header in frames:
                seq = header.get("seq")
                if type(seq) is not int or (note.journal, seq) <= last:
                    continue
                last = (note.journal, seq)
                if header.get("type") == "open" and isinstance(header.get("segment"), int):
                    self._segments[door] = header["segment"]
                if seq in there:
                    continue
                if retained is not None and note.journal == retained[0] and seq >= retained[1]:
                    continue  # ingest will read it there
                kind, ident = header.get("type"), header.get("id")
                row = (
                    door,
                    note.journal,
                    seq,
                    kind if kind in KINDS else "other",
                    ident if isinstance(ident, str) and is_capture_id(ident) else "",
                    frame.header,
                    frame.hash,
                )
                at = at_us(header.get("time"), time.time_ns() // 1000)
                yield _Found(row, header, at, frame.disposition, frame.reason)
            read()

    # Taking it in

    def _take(self, frames: Sequence[_Found]) -> None:
        """A batch; one that the store refuses is taken in halves, down to the one message."""
        try:
            self._commit(frames, "")
        except (SQLAlchemyError, UnicodeError, OverflowError, ValueError, TypeError) as error:
            if len(frames) == 1:
                self._commit(frames, f"store: {type(error).__name__}")
                return
            middle = len(frames) // 2
            self._take(frames[:middle])
            self._take(frames[middle:])

    def _commit(self, frames: Sequence[_Found], failed: str) -> None:
        batch = Batch(ledger=[found.row for found in frames], after=self._bounces)
        fresh: dict[str, Pending] = {}
        decided: list[tuple[Decided, str, str]] = []
        for found in frames:
            kind, capture_id = found.row[3], found.row[4]
            if kind == "message" and capture_id and is_whole(found.header):
                door, journal, seq, *_ = found.row
                fresh[capture_id] = Pending(
                    capture_id, door, journal, seq, 0, 0, found.header, found.at_us
                )
            elif kind == "verdict":
                message = fresh.pop(capture_id, None) or self._waiting.get(capture_id)
                if message is None or message.door != found.door:
                    continue
                item = Decided(message, found.header, found.row[2], deliver=False, failed=failed)
                decided.append((item, found.disposition, found.reason))
        batch.decided = [item for item, _, _ in decided]
        batch.pending = list(fresh.values())
        self._decide(batch, decided)
        for message in fresh.values():
            message.stored = True
            self._waiting[message.capture_id] = message
        for item in batch.decided:
            self._waiting.pop(item.message.capture_id, None)
        for found in frames:
            self._ends[found.door] = found
        self.done.frames += len(frames)

    def _decide(self, batch: Batch, decided: Sequence[tuple[Decided, str, str]]) -> None:
        """Read the bodies, judge, and write the batch."""
        reading = [item for item, disposition, _ in decided if _has_body(item, disposition)]
        self._settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="replay-", dir=self._settings.run_dir) as folder:
            facts = self._facts(reading, Path(folder) / "bodies")
        if self._settings.capture.enroll:
            writers = [item.message for item, disposition, _ in decided if disposition]
            people = self._intake.people()
            enroll_writers(self._store, writers, people, self._settings.capture.enrolls)
        for _ in range(TRIES):
            people = self._intake.people()
            for item, disposition, reason in decided:
                self._judge(item, disposition, reason, people, facts)
            try:
                taken = self._intake.commit(batch)
                break
            except Behind:
                continue  # users changed meanwhile
        else:
            raise Behind
        for (_, disposition), count in taken.captures.items():
            setattr(self.done, disposition, getattr(self.done, disposition) + count)
        self.done.messages += len(batch.decided)
        self.done.queued += sum(is_queued(item.verdict) for item in batch.decided)

    def _facts(self, reading: Sequence[Decided], path: Path) -> dict[str, Facts | Unread]:
        """Capture id -> facts; none where the archive has no such body."""
        jobs: list[Job] = []
        names: list[str] = []
        with path.open("wb") as file:
            for item in reading:
                start = file.tell()
                try:
                    for piece in self._archive.stream(str(item.message.header["sha256"])):
                        file.write(piece)
                except (BlobMissing, BlobDamaged):
                    file.seek(start)
                    file.truncate()
                    continue
                names.append(item.message.capture_id)
                jobs.append(job(str(path), start, file.tell() - start, item.message.header))
        found: dict[str, Facts | Unread] = {}
        for start in range(0, len(jobs), 64):
            answers = self._reader.read(jobs[start : start + 64])
            found.update(zip(names[start : start + 64], answers, strict=True))
        return found

    def _judge(
        self,
        item: Decided,
        disposition: str,
        reason: str,
        people: People,
        facts: dict[str, Facts | Unread],
    ) -> None:
        """As it was decided then; where that is not told, as the rules have it now."""
        header, verdict = item.message.header, item.verdict
        if item.failed or disposition == "refused" or verdict.get("outcome") == "refused":
            return
        if disposition == "excluded":
            item.judgement = Judgement("", "", (), (), (), reason or "excluded")
            return
        if disposition == "failed":
            item.failed = reason or "failed"
            return
        found = facts.get(item.message.capture_id)
        known = found if isinstance(found, Facts) else None
        if found is not None:
            item.facts = known or Facts(flags=["unread"])
            flags = header.get("flags")
            if isinstance(flags, list):
                more = [str(flag)[:32] for flag in flags[:20]]
                item.facts.flags = list(dict.fromkeys([*item.facts.flags, *more]))
        judgement = judge(header, verdict, known, people, self._rules)
        if judgement.excluded and disposition == "captured":
            free = replace(people, rules={})
            judgement = judge(header, verdict, known, free, Rules(True, lambda address: None))
        if item.facts is not None and is_report(item.facts.report):
            judgement = judgement._replace(outsiders=())
        if found is None and not judgement.excluded:
            item.failed = "body is not in the archive"
            return
        owners = [
            owner._replace(status="sent") if owner.status == "queued" else owner
            for owner in judgement.owners
        ]
        item.judgement = judgement._replace(owners=owners)

    # What the journals tell besides

    def _late_verdicts(self) -> None:
        """Messages of segments that are gone whose verdict stands in one that is not: ingest will
        read the verdict, but has no body for it."""
        lost = {c: m for c, m in self._waiting.items() if m.segment == 0}
        for door in {message.door for message in lost.values()}:
            batch = Batch(after=self._bounces)
            decided: list[tuple[Decided, str, str]] = []
            for _, frame in follow(self._settings.journal_dir / door):
                if isinstance(frame, Frame) and frame.kind == "verdict" and frame.id in lost:
                    item = Decided(lost.pop(frame.id), frame.header, frame.seq, deliver=False)
                    decided.append((item, "", ""))
            batch.decided = [item for item, _, _ in decided]
            if decided:
                self._decide(batch, decided)
            for item in batch.decided:
                self._waiting.pop(item.message.capture_id, None)

    def _positions(self) -> None:
        """Doors that the store knew nothing of: ingest goes on behind what was restored."""
        for door, last in self._ends.items():
            folder = self._settings.journal_dir / door
            segment = self._segments.get(door, 1)
            retained = _first_frame(folder)
            if retained is not None:
                if retained[0] != last.row[1]:
                    continue  # another journal: ingest begins where it begins
                segment = list_segments(folder)[0] - 1
            place = Place(last.row[1], segment, 0, last.row[2], last.row[6])
            self._intake.begin(door, place)

    def _ingest(self) -> None:
        ingest = Ingest(self._settings, self._store, self._archive)
        try:
            while True:
                step = ingest.step()
                self.done.frames += step.frames
                self.done.messages += step.messages
                for (_, disposition), count in step.taken.captures.items():
                    setattr(self.done, disposition, getattr(self.done, disposition) + count)
                if not step.frames and not step.more:
                    return
        finally:
            ingest.close()


def _has_body(item: Decided, disposition: str) -> bool:
    refused = item.verdict.get("outcome") == "refused"
    return not item.failed and not refused and disposition in ("", "captured")


def _first_frame(folder: Path) -> tuple[str, int] | None:
    """(journal, seq) of the first frame that the folder still has."""
    for number in list_segments(folder)[:1]:
        try:
            frame = next(iter(read_frames(segment_path(folder, number))), None)
        except FileNotFoundError:
            continue
        if frame is not None and frame.kind == "open":
            return str(frame.header.get("journal", "")), frame.seq
    return None


def _parsed(header: bytes) -> dict[str, Any]:
    try:
        found = json.loads(header)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
