"""The writer of a door's journal: `done` is called without an error only when it is on the disk.

One thread owns the segment and the chain. It takes all that was appended meanwhile, writes it in
one call, syncs once, and answers in the loop (group commit). The loop's part is one queue put and
one callback. There is one writer per folder: it holds the folder's lock and has run recovery.

Promises:
* `done(None)`: the frame, and every frame before it, was written and synced.
* `done(JournalFull)`: no room; the frame is not in the journal, later ones are tried again.
* `done(JournalBroken)`: writing or syncing failed. Nobody knows whether the frame is on the disk.
  The writer refuses all that comes after; the process must end, its next start recovers.
* A verdict without `done` is never given up for a full disk: room is kept for verdicts, and one
  that finds none waits for it. It is written at once and synced with the next batch, or alone
  after LINGER seconds.

Limits: one batch is at most BATCH frames. What waits is bounded by the callers: at most one
message a session.
A keeper; lives in the loop of its door. See JOURNAL.md steps 3, 4, 7; RFC 5321 section 6.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from proxy.failpoint import failpoint
from proxy.journalbig import BigBodies, BigBody
from proxy.journalfmt import (
    KEY_SIZE,
    Framer,
    JournalBroken,
    JournalError,
    JournalFull,
    JournalLocked,
    Kind,
)
from proxy.journalrecover import FolderLock, Recovery, open_header, recover, timestamp
from proxy.journalsegment import RESERVE, STEP, Disk, Segment, is_full

__all__ = [
    "BigBody",
    "JournalBroken",
    "JournalError",
    "JournalFull",
    "JournalLocked",
    "JournalWriter",
    "Stats",
]

Done = Callable[[Exception | None], None]
Answers = list[tuple[Done | None, Exception | None]]

BATCH = 256
LINGER = 0.02
RETRY = 1.0  # seconds between tries to begin a segment or write held verdicts on a full disk


class Stats(NamedTuple):
    """Since the start, for the metrics."""

    bytes: int
    frames: int
    syncs: int
    held: int
    """Verdicts that wait for room."""


class _Item(NamedTuple):
    kind: Kind
    header: dict[str, Any]
    body: Sequence[bytes]
    done: Done | None


class _Made(NamedTuple):
    """A frame in the batch at hand, and the state of chain and file behind it."""

    item: _Item
    mark: tuple[int, bytes]
    end: int


class JournalWriter:
    """Made in the loop; takes the lock (JournalLocked), recovers, begins a new segment.

    On a full disk it starts without a segment and begins one as soon as there is room.
    """

    def __init__(
        self,
        folder: Path,
        door: str,
        *,
        loop: asyncio.AbstractEventLoop,
        segment_bytes: int = 64 << 20,
        min_free: int = 512 << 20,
        spool_above: int = 256 << 10,
        lock_wait: float = 5.0,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self.door = door
        self.recovery: Recovery | None = None
        """What was found at the start; None while a full disk has kept recovery from ending."""
        self.spool_above = spool_above
        """Bodies above this go through `spool`; the caller counts."""
        self.broken: JournalBroken | None = None
        self._loop = loop
        self._segment_bytes = segment_bytes
        self._min_free = min_free
        self._disk = disk or Disk()
        self._queue: SimpleQueue[list[_Item] | None] = SimpleQueue()
        self._fresh: list[_Item] = []
        self._closed = False
        self._full = False
        self._full_checked = 0.0
        # what follows belongs to the thread
        self._segment: Segment | None = None
        self._framer = Framer(bytes(KEY_SIZE), 0, bytes(32), 0)
        self._undecided: dict[str, int] = {}  # message without verdict: its segment
        self._held: list[_Item] = []
        self._unsynced = False
        self._sync_by = 0.0
        self._not_before = 0.0
        self._bytes = self._frames = self._syncs = 0

        self._lock = FolderLock(folder, lock_wait)
        try:
            self._begin()
        except JournalFull:
            pass
        except BaseException:
            self._lock.close()
            raise
        self._big = BigBodies(folder, loop, self._disk)
        self._thread = threading.Thread(target=self._run, name=f"journal-{door}", daemon=True)
        self._thread.start()

    # -- the loop's side

    def append(self, header: dict[str, Any], body: Sequence[bytes], done: Done) -> None:
        """Journal a message. The header (without v, type, seq) must not be changed afterwards;
        `time` is filled in where it is missing. A big body is named by "file" instead."""
        self._put(_Item("message", header, body, done))

    def append_verdict(self, header: dict[str, Any], done: Done | None = None) -> None:
        """Journal what became of a message; `done` only where an answer hangs on it."""
        self._put(_Item("verdict", header, (), done))

    def _put(self, item: _Item) -> None:
        if self._closed:
            if item.done is not None:
                self._loop.call_soon(item.done, JournalError("the journal is closed"))
        else:
            self._fresh.append(item)
            if len(self._fresh) == 1:
                # Once a turn of the loop: under load one wake of the thread serves many sessions,
                # and an idle loop turns at once.
                self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        fresh, self._fresh = self._fresh, []
        if fresh:
            self._queue.put(fresh)

    def spool(self, capture_id: str) -> BigBody:
        """A file for a large body; finish it, then append its message with "file": body.name."""
        return self._big.spool(capture_id)

    @property
    def full(self) -> bool:
        """Less than min_free is left: take no new mail (452 4.3.1). Looks once a second."""
        now = time.monotonic()
        if now >= self._full_checked:
            self._full_checked = now + 1.0
            try:
                free = os.statvfs(self.folder)
                self._full = free.f_bavail * free.f_frsize < self._min_free
            except OSError:
                self._full = True
        return self._full

    @property
    def stats(self) -> Stats:
        return Stats(self._bytes, self._frames, self._syncs, len(self._held))

    async def close(self) -> None:
        """Write what was appended, end the segment, give up the lock.

        The `close` frame is left out while a message has no verdict: recovery gives it one.
        """
        if self._closed:
            return
        self._closed = True
        await self._big.close()
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._lock.close()

    def _deliver(self, answers: list[tuple[Done, Exception | None]]) -> None:
        for done, error in answers:
            try:
                done(error)
            except Exception as fault:
                self._loop.call_exception_handler(
                    {"message": "a journal callback failed", "exception": fault}
                )

    # -- the thread's side

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if self.broken is None:
                try:
                    answers = self._commit(batch)
                except Exception as fault:
                    # a write or sync failed, or a fault of ours: either way nothing is known
                    answers = self._give_up(fault, batch)
            else:
                answers = [(item.done, self.broken) for item in batch]
            self._answer(answers)
            if self.broken is None:
                try:
                    self._prepare() if going else self._end()
                except Exception as fault:
                    self._give_up(fault, ())
        if self._segment is not None:
            self._segment.abandon()

    def _give_up(self, fault: Exception, batch: Sequence[_Item]) -> Answers:
        self.broken = JournalBroken(f"{type(fault).__name__}: {fault}")
        self.broken.__cause__ = fault
        return [(item.done, self.broken) for item in batch]

    def _answer(self, answers: Answers) -> None:
        wanted = [(done, error) for done, error in answers if done is not None]
        if wanted:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there
                self._loop.call_soon_threadsafe(self._deliver, wanted)

    def _gather(self) -> tuple[list[_Item], bool]:
        """Wait for work; all that is there, and whether to go on afterwards."""
        wait = None
        if self.broken is None:
            wait = LINGER if self._unsynced else RETRY if self._held else None
        batch: list[_Item] = []
        try:
            items = self._queue.get(timeout=wait)
            while items is not None:
                batch.extend(items)
                if len(batch) >= BATCH:
                    return batch, True
                items = self._queue.get_nowait()
            return batch, False
        except Empty:
            return batch, True

    def _commit(self, batch: list[_Item]) -> Answers:
        """Write a batch, sync it if somebody waits for that, and tell what to answer."""
        answers: Answers = []
        if self._segment is None and not self._begin_again():
            # no message was taken yet, so there is no verdict to keep either
            return [(item.done, JournalFull("the disk is full")) for item in batch]
        segment = self._segment
        assert segment is not None
        held, self._held = self._held, []
        before, begin = self._framer.mark(), segment.end
        made, buffers = self._frame([*held, *batch], segment, answers)
        if not made:
            if self._unsynced:
                self._sync(segment)
            return answers
        try:
            segment.write(buffers)
        except OSError as error:
            if not is_full(error):
                raise
            made = self._keep_whole(made, before, segment, answers)
        messages = 0
        wait = False
        for item, _, _ in made:
            if item.kind == "message":
                messages += 1
                self._undecided[item.header["id"]] = segment.number
            else:
                self._undecided.pop(item.header["id"], None)
            if item.done is not None:
                wait = True
                answers.append((item.done, None))
        if made and not self._unsynced:
            self._unsynced = True
            self._sync_by = time.monotonic() + LINGER
        self._frames += len(made)
        self._bytes += segment.end - begin
        if messages:
            failpoint("3.frame.written")
        if len(made) > messages:
            failpoint("7.verdict.written")
        if wait or (self._unsynced and time.monotonic() >= self._sync_by):
            self._sync(segment)
            if messages:
                failpoint("4.frame.synced")
        return answers

    def _frame(
        self, items: list[_Item], segment: Segment, answers: Answers
    ) -> tuple[list[_Made], list[bytes]]:
        """Frames for all that finds room. The others are answered, or held."""
        framer = self._framer
        made: list[_Made] = []
        buffers: list[bytes] = []
        now = timestamp()
        end = segment.end
        for item in items:
            kind, header, body, done = item
            before = framer.mark()
            if not isinstance(header.get("id"), str):
                answers.append((done or self._complain, JournalError("a frame without an id")))
                continue
            if "time" not in header:
                header = {"time": now, **header}
            try:
                head = framer.frame(kind, header, body)
            except (TypeError, ValueError, RecursionError) as fault:
                answers.append((done or self._complain, JournalError(f"not a frame: {fault}")))
                continue
            upto = end + framer.size
            if segment.make_room(upto + RESERVE if kind == "message" else upto):
                made.append(_Made(item, framer.mark(), upto))
                buffers.append(head)
                buffers.extend(body)
                end = upto
            else:
                framer.back_to(before)
                self._refuse(item, answers)
        return made, buffers

    def _refuse(self, item: _Item, answers: Answers) -> None:
        """No room for it: whoever waits is told, a verdict nobody waits for is tried again."""
        if item.done is None:
            self._held.append(item)
        else:
            answers.append((item.done, JournalFull("the disk is full")))

    def _keep_whole(
        self, made: list[_Made], before: tuple[int, bytes], segment: Segment, answers: Answers
    ) -> list[_Made]:
        """The disk filled up in the middle of a write, in spite of the room made before.

        Frames that are wholly written stay: the worker may have read them already, so their
        numbers must not be used for others.
        """
        whole = [frame for frame in made if frame.end <= segment.reached]
        if whole:
            self._framer.back_to(whole[-1].mark)
            segment.keep(whole[-1].end)
        else:
            self._framer.back_to(before)
            segment.keep(segment.end)
        for frame in made[len(whole) :]:
            self._refuse(frame.item, answers)
        return whole

    def _complain(self, error: Exception | None) -> None:
        """A verdict that is no frame, and nobody waits for it: our caller's fault, be loud."""
        self._loop.call_exception_handler({"message": "a verdict was lost", "exception": error})

    def _sync(self, segment: Segment) -> None:
        segment.sync()
        self._framer.durable = self._framer.seq
        self._syncs += 1
        self._unsynced = False

    # -- segments

    def _begin(self) -> None:
        if self.recovery is None:
            self.recovery = recover(self._lock, self._disk)
        found = self.recovery
        self._open(found.next_segment, found.seq, found.hash, found.next_segment)

    def _begin_again(self) -> bool:
        try:
            if time.monotonic() >= self._not_before:
                self._begin()
        except JournalFull:
            self._not_before = time.monotonic() + RETRY
        return self._segment is not None

    def _open(self, number: int, seq: int, previous: bytes, since: int) -> None:
        assert self.recovery is not None
        framer = Framer(secrets.token_bytes(KEY_SIZE), seq, previous, seq)
        header = open_header(self.door, self.recovery.journal, number, previous, since)
        segment = Segment.create(self.folder, number, framer.frame("open", header), self._disk)
        framer.durable = framer.seq
        self._segment, self._framer = segment, framer

    def _prepare(self) -> None:
        """After a batch, when those who waited have their answer: the next segment, or room."""
        segment = self._segment
        if segment is None or time.monotonic() < self._not_before:
            return
        if segment.end >= self._segment_bytes:
            self._rotate(segment)
        elif segment.size - segment.end < RESERVE + STEP // 4 and self._queue.empty():
            if segment.make_room(segment.end + RESERVE + STEP // 4):
                self._sync(segment)
            else:
                self._not_before = time.monotonic() + RETRY

    def _rotate(self, old: Segment) -> None:
        if self._unsynced:
            self._sync(old)  # the new segment's `prev` must not be ahead of the disk
        number = old.number + 1
        try:
            since = min(self._undecided.values(), default=number)
            self._open(number, self._framer.seq, self._framer.hash, since)
        except JournalFull:
            self._not_before = time.monotonic() + RETRY  # the old one grows a little longer
            return
        old.give_back()
        old.abandon()

    def _end(self) -> None:
        """Nothing comes any more. A `close` frame only if there is nothing left to recover."""
        segment = self._segment
        if segment is None or self._held or self._undecided:
            return
        end = segment.end
        frame = self._framer.frame("close", {"time": timestamp()})
        try:
            if segment.make_room(end + len(frame)):
                segment.write([frame])
                self._sync(segment)
                segment.give_back()
        except OSError:
            segment.keep(end)  # recovery must not take it for granted
            raise
