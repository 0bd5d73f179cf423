"""Ingest: from the journals to archive and store, a batch at a time.

One step, in the order that makes a crash harmless (numbers of JOURNAL.md):
   9  frames are read; verdicts meet their messages; bodies are read by the killable child
  10  blobs are written   11  and synced, all of a batch at once; then the journals are synced, so
      that the store never knows more than they do
  12  one transaction: ledger, captures, messages, sightings, links, queue rows, positions
  13  segments that are done are deleted
A crash before 12 repeats the step, after 12 it is done: the positions are part of the transaction.

Promises: a message that cannot be read is stored raw and flagged; one that the store refuses on
its own is counted as failed, with the reason, and stops nothing. Everything else that goes wrong
(disk full, store locked or gone) is raised by step() and can be tried again: nothing was lost.
Limits: a batch is at most BATCH messages, BATCH_BYTES of bodies, BATCH_PEOPLE participants; after
trouble it begins smaller.
Cites: architecture.md "Ingest"; threats.md "MIME bomb".
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bounce.process import Figures, is_report
from config.settings import Settings
from crmstore import headerlog
from crmstore.archive import Archive, BlobDamaged
from crmstore.facts import Facts
from crmstore.intake import Batch, Behind, Decided, Intake, Pending, Taken
from crmstore.store import Store, StoreError
from crmstore.times import at_us
from crmstore.whose import People, Rules, judge
from proxy.afterwards import is_queued, job, processor, sent_last
from proxy.enroll import enroll_writers
from proxy.failpoint import failpoint
from proxy.journalfmt import Damage
from proxy.reader import Reader, Unread
from proxy.tail import Item, Tail, doors

__all__ = ["Ingest", "Step"]

BATCH = 500
BATCH_BYTES = 16 << 20
BATCH_PEOPLE = 20_000
READ_AT_ONCE = 64
KEEP_AGAIN = 30.0  # seconds after an archive that could not keep headers


@dataclass(slots=True)
class Step:
    """What one step did; for log and metrics."""

    taken: Taken = field(default_factory=Taken)
    messages: int = 0  # decided
    frames: int = 0
    at_us: list[int] = field(default_factory=list)  # when the captured ones were accepted
    unread: list[tuple[str, str]] = field(default_factory=list)  # capture id, why
    failed: list[tuple[str, str]] = field(default_factory=list)
    damage: list[tuple[str, int, Damage]] = field(default_factory=list)
    doors: set[str] = field(default_factory=set)
    bounces: Figures = field(default_factory=Figures)
    enrolled: list[str] = field(default_factory=list)  # users that first logins made
    # doors whose headers could not be kept in the archive
    trouble: list[tuple[str, Exception]] = field(default_factory=list)
    upto_us: int = 0  # when the last frame of the batch was written
    more: bool = False  # the batch was full: there may be more
    removed: int = 0


@dataclass(slots=True)
class _Work:
    """A decided message on its way through the step."""

    item: Decided
    tail: Tail
    keep: bool  # its body is to be stored
    packed: bytes | None = None  # None: in a big file

    def fail(self, why: str) -> None:
        """It cannot be captured: there is no body that is the one we acknowledged."""
        self.keep = False
        self.item.body_lost = True
        self.item.failed, self.item.judgement = why, None


class Ingest:
    """Owns the positions between steps; one thread."""

    def __init__(
        self, settings: Settings, store: Store, archive: Archive, *, reader: Reader | None = None
    ) -> None:
        self._journal_dir = settings.journal_dir
        self._retain = settings.journal.retain
        self._store = store
        self._archive = archive
        self._reader = reader or Reader()
        self._intake = Intake(
            store,
            settings.node.domains,
            retry_for=settings.outbound.retry_for,
            delay_notice=settings.bounce.delay_notice,
        )
        self._bounces = processor(settings)
        self._order = sent_last(settings)
        self._rules = Rules(settings.capture.internal, settings.capture.matches_never)
        self._tails: dict[str, Tail] | None = None
        self._pending: dict[str, Pending] = {}
        self._enrolling = settings.capture.enroll
        self._limit = BATCH
        self._keep_again = 0.0
        self._trying: list[str] = []  # the capture ids of the commit under way
        self._rejected: dict[str, str] = {}  # capture id -> why the store refuses it

    def close(self) -> None:
        """End the reading process."""
        self._reader.close()
        for tail in (self._tails or {}).values():
            tail.close()

    def forget(self) -> None:
        """Read positions from the store again: something went wrong, or it changed."""
        for tail in (self._tails or {}).values():
            tail.close()
        self._tails = None
        self._pending = {}

    @property
    def tails(self) -> Mapping[str, Tail]:
        """The doors we follow."""
        return self._tails or {}

    # The step

    def step(self) -> Step:
        """Take the next batch into the store; a Step without frames if there is nothing."""
        tails = self._follow()
        step = Step()
        try:
            self._intake.people()  # before the batch: who changes meanwhile makes it Behind
            items = self._gather(tails, step)
            if not items or self._take(items, tails, step):
                for tail in tails.values():
                    tail.caught_up()
        except Behind:
            self.forget()
            step.more = True
            return step
        except (StoreError, OSError):
            # A full disk may have room for less, and what gets through frees a segment.
            self._limit = max(1, self._limit // 4)
            self._store.checkpoint()
            self.forget()
            raise
        except (SQLAlchemyError, UnicodeError, OverflowError, ValueError, TypeError) as error:
            self._isolate(error)
            step.more = True
            return step
        finally:
            for tail in tails.values():
                tail.close()
        step.removed = self._tidy(tails, step)
        return step

    def _follow(self) -> dict[str, Tail]:
        if self._tails is None:
            places = self._intake.places()
            self._pending = {p.capture_id: p for p in self._intake.pending()}
            self._tails = {
                door: Tail(self._journal_dir / door, place) for door, place in places.items()
            }
        for door in doors(self._journal_dir):
            if door not in self._tails:
                self._tails[door] = Tail(self._journal_dir / door, None)
        return self._tails

    def _gather(self, tails: Mapping[str, Tail], step: Step) -> list[tuple[Tail, Item]]:
        """Frames of all doors, each door's in order, until the batch is full."""
        items: list[tuple[Tail, Item]] = []
        share = max(1, self._limit // max(1, len(tails)))
        for tail in sorted(tails.values(), key=self._order):
            if tail.quiet() or (self._limit == 1 and step.more):
                continue
            messages = octets = 0
            for item in tail.read():
                items.append((tail, item))
                if item.kind == "verdict":
                    messages += 1
                octets += item.frame.body_length
                if messages >= share or octets >= BATCH_BYTES or len(items) >= 4 * BATCH:
                    step.more = True
                    break
            step.damage += [(tail.door, number, damage) for number, damage in tail.damage]
        return items

    def _take(
        self,
        items: Sequence[tuple[Tail, Item]],
        tails: Mapping[str, Tail],
        step: Step,
    ) -> bool:
        """All of the items, or as many as go into one transaction: then False."""
        failpoint("9.ingest.read")
        works = self._meet(items)
        people = self._intake.people()
        if self._enrolling:
            messages = [work.item.message for work in works]
            step.enrolled = enroll_writers(self._store, messages, people)
            people = self._intake.people()
        read = self._read(works, people, step)
        whole = read == len(works)
        if not whole:  # too many participants: cut behind the last that was read
            last = works[read - 1].item
            cut = next(
                i
                for i, (tail, item) in enumerate(items)
                if tail.door == last.message.door and item.frame.seq == last.verdict_seq
            )
            items, works = items[: cut + 1], works[:read]
            step.more = True
        self._store_blobs(works)
        for work in works:
            why = self._rejected.get(work.item.message.capture_id)
            if why is not None:
                work.item.failed, work.item.judgement = why, None
        batch = self._batch(items, works, tails)
        touched: dict[str, set[int]] = {}
        for tail, item in items:
            touched.setdefault(tail.door, set()).add(item.segment)
        for door, segments in touched.items():
            tails[door].sync(segments)
        self._trying = [work.item.message.capture_id for work in works]
        step.taken = self._intake.commit(batch)
        failpoint("12.store.committed")
        self._committed(items, works, batch, step)
        return whole

    def _meet(self, items: Sequence[tuple[Tail, Item]]) -> list[_Work]:
        """Verdicts and their messages, in the order of the verdicts."""
        fresh: dict[str, Pending] = {}
        met: set[str] = set()
        works: list[_Work] = []
        for tail, item in items:
            if item.message is not None:
                fresh[item.capture_id] = item.message
            elif item.kind == "verdict":
                message = fresh.get(item.capture_id) or self._pending.get(item.capture_id)
                if message is None or item.capture_id in met or message.door != tail.door:
                    continue  # the ledger keeps it; audit tells
                met.add(item.capture_id)
                verdict = item.frame.header
                decided = Decided(message, verdict, item.frame.seq)
                works.append(_Work(decided, tail, verdict.get("outcome") != "refused"))
        return works

    # Reading bodies

    def _read(self, works: Sequence[_Work], people: People, step: Step) -> int:
        """Facts and judgement of each; how many were read before the batch held too many people."""
        seen = 0
        for start in range(0, len(works), READ_AT_ONCE):
            some = works[start : start + READ_AT_ONCE]
            reading = [work for work in some if work.keep]
            jobs = [job(*w.tail.where(w.item.message), w.item.message.header) for w in reading]
            under_way = self._reader.start(jobs)
            for work in reading:  # our part, while the child does its own
                self._load(work)
            for work, found in zip(reading, under_way.finish(), strict=True):
                if work.keep:
                    self._judge(work, found, people, step)
                    judgement = work.item.judgement
                    seen += len(judgement.participants) if judgement else 0
            if seen > BATCH_PEOPLE:
                return start + len(some)
        return len(works)

    def _load(self, work: _Work) -> None:
        """Check a body against its digest and pack it for the archive."""
        header = work.item.message.header
        if header.get("file"):
            return  # put_file() checks it
        try:
            data = work.tail.body(work.item.message)
        except FileNotFoundError:
            work.fail("body is missing")
            return
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            work.fail("body is damaged")
            return
        work.packed = self._archive.pack(data)

    def _judge(self, work: _Work, found: Facts | Unread, people: People, step: Step) -> None:
        item, message = work.item, work.item.message
        if isinstance(found, Unread):
            step.unread.append((message.capture_id, found.why))
            item.facts = Facts(flags=["unread"])
            facts = None
        else:
            item.facts = facts = found
        flags = message.header.get("flags")
        if isinstance(flags, list):
            item.facts.flags += [str(flag)[:32] for flag in flags[:20]]
        try:
            item.judgement = judge(message.header, item.verdict, facts, people, self._rules)
            if is_report(item.facts.report):  # it hangs on the mail that it is about
                item.judgement = item.judgement._replace(outsiders=())
            if item.judgement.excluded and not is_queued(item.verdict):
                work.keep = False
        except Exception as error:  # a fault of ours in one message must not stop the others
            item.failed, item.judgement = f"fault: {type(error).__name__}", None

    # Archive

    def _store_blobs(self, works: Sequence[_Work]) -> None:
        for work in works:
            if not work.keep:
                continue
            message = work.item.message
            sha256 = str(message.header["sha256"])
            if work.packed is not None:
                self._archive.put_packed(sha256, work.packed)
                work.packed = None
                continue
            path, _, _ = work.tail.where(message)
            try:
                self._archive.put_file(sha256, Path(path))
            except FileNotFoundError:
                work.fail("body is missing")
            except BlobDamaged:
                work.fail("body is damaged")
        failpoint("10.blobs.written")
        self._archive.sync()
        failpoint("11.blobs.synced")

    # Store

    def _batch(
        self,
        items: Sequence[tuple[Tail, Item]],
        works: Sequence[_Work],
        tails: Mapping[str, Tail],
    ) -> Batch:
        decided = {work.item.message.capture_id for work in works}
        batch = Batch(decided=[work.item for work in works], after=self._bounces)
        last: dict[str, Item] = {}
        for tail, item in items:
            batch.ledger.append(item.row)
            last[tail.door] = item
            if item.message is not None and item.message.capture_id not in decided:
                batch.pending.append(item.message)
        batch.ends = {door: item.place for door, item in last.items()}
        batch.starts = {door: tails[door].place for door in batch.ends}
        return batch

    def _committed(
        self,
        items: Sequence[tuple[Tail, Item]],
        works: Sequence[_Work],
        batch: Batch,
        step: Step,
    ) -> None:
        for tail, item in {tail.door: (tail, item) for tail, item in items}.values():
            tail.moved(item.place, item.kind)
            step.doors.add(tail.door)
        for message in batch.pending:
            message.stored = True
            self._pending[message.capture_id] = message
        for work in works:
            message = work.item.message
            self._pending.pop(message.capture_id, None)
            self._rejected.pop(message.capture_id, None)
            judgement = work.item.judgement
            if work.item.failed:
                step.failed.append((message.capture_id, work.item.failed))
            elif judgement is not None and not judgement.excluded:
                step.at_us.append(message.at_us)
        step.bounces = self._bounces.last
        ends = {tail.door: at_us(item.frame.header.get("time"), 0) for tail, item in items}
        step.upto_us = min(ends.values(), default=0)
        step.messages = len(works)
        step.frames = len(items)
        if self._limit < BATCH:
            self._store.checkpoint()
            self._limit = min(BATCH, self._limit * 2)

    def _isolate(self, error: Exception) -> None:
        """The store refuses a batch for what is in it: find the message, and let the rest pass.

        First in batches of one message; the one that is refused alone is tried once more as a
        failed capture, which writes nothing of it but its capture id.
        """
        trying, self._trying = self._trying, []
        if len(trying) == 1 and trying[0] not in self._rejected:
            self._rejected[trying[0]] = f"store: {type(error).__name__}"
        elif len(trying) > 1:
            self._limit = 1
        else:
            raise error

    def keep_headers(self) -> None:
        """Keep the frames that came since in the archive, also of segments that stay."""
        for door in self.tails:
            headerlog.keep(self._store, self._archive, door)

    def _tidy(self, tails: Mapping[str, Tail], step: Step) -> int:
        removed = 0
        for door, tail in tails.items():
            waiting = {m.segment for m in self._pending.values() if m.door == door}
            numbers = tail.done(waiting, self._retain)
            if not numbers or time.monotonic() < self._keep_again:
                continue
            try:
                headerlog.keep(self._store, self._archive, door)
            except (StoreError, OSError) as error:  # they stay, and so does what this step did
                step.trouble.append((door, error))
                self._keep_again = time.monotonic() + KEEP_AGAIN
                continue
            removed += tail.remove(numbers)
        if removed:
            failpoint("13.segment.deleted")
        return removed
