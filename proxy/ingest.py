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

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from crmstore import headerlog
from crmstore.archive import Archive, BlobDamaged
from crmstore.batch import Batch, Behind, Pending, Place, Taken
from crmstore.intake import Intake
from crmstore.store import Store, StoreError
from crmstore.times import at_us
from crmstore.whose import People, Rules
from proxy.afterwards import processor, sent_last
from proxy.enroll import enroll_writers, newcomers
from proxy.failpoint import failpoint
from proxy.readbatch import AHEAD, ReadBatch, Step, Work, meet
from proxy.reader import Reader
from proxy.tail import Item, Tail, doors

__all__ = ["Ingest", "Step"]

BATCH = 1_000  # messages
BATCH_BYTES = 32 << 20  # of their bodies; packed, they are in memory
AHEAD_OF_COMMIT = 8  # pieces of a batch that the child may read while the one before is written
KEEP_AGAIN = 30.0  # seconds after an archive that could not keep headers

Items = list[tuple[Tail, Item]]


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
        self._rules = Rules.of(settings.capture)
        self._tails: dict[str, Tail] | None = None
        self._pending: dict[str, Pending] = {}
        self._enrolling = settings.capture.enroll and settings.capture.mode == "capture"
        self._enrolls = settings.capture.enrolls
        self._limit = BATCH
        self._keep_again = 0.0
        self._begun: list[ReadBatch] = []  # the batches to come, as far as they are begun
        self._beside = ThreadPoolExecutor(2, thread_name_prefix="beside")  # sync, commit
        self._trying: list[str] = []  # the capture ids of the commit under way
        self._rejected: dict[str, str] = {}  # capture id -> why the store refuses it

    def close(self) -> None:
        """End the reading process."""
        self._drop()
        self._beside.shutdown()
        self._reader.close()
        for tail in (self._tails or {}).values():
            tail.close()

    def forget(self) -> None:
        """Read positions from the store again: something went wrong, or it changed."""
        for tail in (self._tails or {}).values():
            tail.close()
        self._tails = None
        self._pending = {}
        self._drop()

    def _drop(self) -> None:
        begun, self._begun = self._begun, []
        for batch in begun:
            batch.drop()

    @property
    def tails(self) -> Mapping[str, Tail]:
        """The doors we follow."""
        return self._tails or {}

    def behind(self) -> int:
        """Octets of the journals that are not in the store, as far as we know without asking it."""
        return sum(tail.behind() for tail in self.tails.values())

    # The step

    def step(self) -> Step:
        """Take the next batch into the store; a Step without frames if there is nothing.

        Where there seems to be more, the batch after it is begun meanwhile, and kept."""
        tails = self._follow()
        batch: ReadBatch | None = None
        step, done = Step(), False
        try:
            batch = self._begun.pop(0) if self._begun else self._collect(tails)
            step = batch.step
            batch.finish()
            syncing = self._put(batch, tails)
            try:
                self._begin_after([batch], tails)
                while self._begun and not syncing.done() and self._begun[0].read_on():
                    pass  # what a disk takes is not lost
            finally:
                syncing.result()
            if batch.items:
                failpoint("11.blobs.synced")
                self._write(batch, tails)
            if not step.more:  # else there may be frames that were read, and begun by nobody
                for tail in tails.values():
                    tail.caught_up()
            done = True
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
            if batch is not None:
                batch.drop()
            if not done:
                self._drop()
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

    def _collect(self, tails: Mapping[str, Tail]) -> ReadBatch:
        """The next batch, not read yet."""
        people = self._intake.people()  # before the batch: who changes meanwhile makes it Behind
        step = Step()
        items = self._gather(tails, step, {})
        works = meet(items, self._pending)
        if items:
            failpoint("9.ingest.read")
        if self._enrolling:
            messages = [work.item.message for work in works]
            step.enrolled = enroll_writers(self._store, messages, people, self._enrolls)
            people = self._intake.people()
        return self._batch(items, works, step, people)

    def _begin_after(self, before: Sequence[ReadBatch], tails: Mapping[str, Tail]) -> None:
        """Begin the batch after those that are not in the store yet (the last of them is read),
        unless it is begun, or has to wait for them, or there is none. The store is not asked: what
        it would say is checked when the batch is written."""
        batch = before[-1]
        if not batch.step.more or self._limit < BATCH or len(self._begun) == len(before):
            return
        step = Step()
        items = self._gather(tails, step, {d: p for one in before for d, p in one.ends.items()})
        works = meet(items, self._pending, before)
        messages = [work.item.message for work in works]
        if items and not (self._enrolling and newcomers(messages, batch.people, self._enrolls)):
            self._begun.append(self._batch(items, works, step, batch.people))
            # What is given away is lost where a batch ends early, as the last one did then.
            alone = batch.whole and not self._store.elsewhere
            self._begun[-1].begin(AHEAD_OF_COMMIT if alone else AHEAD)

    def _batch(self, items: Items, works: list[Work], step: Step, people: People) -> ReadBatch:
        return ReadBatch(
            items, works, step, people, rules=self._rules, reader=self._reader,
            archive=self._archive,
        )  # fmt: skip

    def _gather(self, tails: Mapping[str, Tail], step: Step, ends: Mapping[str, Place]) -> Items:
        """Frames of all doors, each door's in order, until the batch is full. `ends`: from where
        on, for doors whose place in the store is not the one to go on from."""
        items: Items = []
        awake = [tail for tail in sorted(tails.values(), key=self._order) if not tail.quiet()]
        room = self._limit
        for left, tail in zip(range(len(awake), 0, -1), awake, strict=True):
            if self._limit == 1 and step.more:
                continue
            messages = octets = 0
            share = max(1, room // left)  # what a door leaves is for the others
            for item in tail.read(ends.get(tail.door, tail.place)):
                items.append((tail, item))
                if item.kind == "verdict":
                    messages += 1
                octets += item.frame.body_length
                if messages >= share or octets >= BATCH_BYTES or len(items) >= 4 * BATCH:
                    step.more = True
                    break
            room -= messages
            step.damage += [(tail.door, number, damage) for number, damage in tail.damage]
        return items

    # Archive

    def _put(self, batch: ReadBatch, tails: Mapping[str, Tail]) -> Future[None]:
        """Steps 10 and 11; the sync goes on when this returns."""
        if batch.stored or not batch.items:
            done: Future[None] = Future()
            done.set_result(None)
            return done
        self._store_blobs(batch.works)
        return self._beside.submit(self._sync, batch, tails)

    def _store_blobs(self, works: Sequence[Work]) -> None:
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

    def _sync(self, batch: ReadBatch, tails: Mapping[str, Tail]) -> None:
        """Blobs, then what was read of the journals."""
        self._archive.sync()
        touched: dict[str, set[int]] = {}
        for tail, item in batch.items:
            touched.setdefault(tail.door, set()).add(item.segment)
        for door, segments in touched.items():
            tails[door].sync(segments)
        batch.stored = True

    # Store

    def _write(self, batch: ReadBatch, tails: Mapping[str, Tail]) -> None:
        """Step 12; what is begun goes on meanwhile."""
        for work in batch.works:
            why = self._rejected.get(work.item.message.capture_id)
            if why is not None:
                work.item.failed, work.item.judgement = why, None
        self._trying = [work.item.message.capture_id for work in batch.works]
        rows = Batch(
            ledger=[item.row for _, item in batch.items],
            pending=list(batch.waiting.values()),
            decided=[work.item for work in batch.works],
            starts={door: tails[door].place for door in batch.ends},
            ends=batch.ends,
            after=self._bounces,
            people=batch.people,
            turned=batch.turned,
        )
        if not self._begun:
            batch.step.taken = self._intake.commit(rows)
        elif not self._store.elsewhere:
            stop = threading.Event()
            draining = self._beside.submit(self._reader.drain, stop)  # the child reads on
            try:
                batch.step.taken = self._intake.commit(rows)
            finally:
                stop.set()
                draining.result()
        else:
            under_way = self._beside.submit(self._intake.commit, rows)
            try:
                self._go_on(batch, under_way, tails)
            except Exception as error:
                # No fault of what is committed. It is told, and the next step meets it again.
                batch.step.ahead = error
                self._drop()
            finally:
                batch.step.taken = under_way.result()
        failpoint("12.store.committed")
        self._committed(batch, rows.pending)

    def _go_on(self, batch: ReadBatch, under_way: Future[Taken], tails: Mapping[str, Tail]) -> None:
        """While another process writes `batch`: the next one is read, its blobs are written, and
        the one behind it is begun, that the child has work, and read as far as there is time."""
        begun = self._begun[0]
        begun.finish()
        syncing = self._put(begun, tails)
        try:
            self._begin_after([batch, begun], tails)
            begun.turn()
            for behind in self._begun[1:]:
                while not (under_way.done() and syncing.done()) and behind.read_on():
                    pass
        finally:
            syncing.result()

    def _committed(self, batch: ReadBatch, pending: Sequence[Pending]) -> None:
        step, items = batch.step, batch.items
        for tail, item in {tail.door: (tail, item) for tail, item in items}.values():
            tail.moved(item.place, item.kind)
            step.doors.add(tail.door)
        for message in pending:
            message.stored = True
            self._pending[message.capture_id] = message
        for work in batch.works:
            message = work.item.message
            self._pending.pop(message.capture_id, None)
            self._rejected.pop(message.capture_id, None)
            judgement = work.item.judgement
            if work.item.failed:
                step.failed.append((message.capture_id, work.item.failed))
            elif judgement is not None and not judgement.excluded:
                step.at_us.append(message.at_us)
        step.bounces = self._bounces.last
        last = {tail.door: item.frame.header for tail, item in items}
        step.upto_us = min((at_us(one.get("time"), 0) for one in last.values()), default=0)
        step.messages = len(batch.works)
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
