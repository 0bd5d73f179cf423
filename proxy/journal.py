"""The writer of a door's journal: `done` is called without an error only when it is on the disk.

One thread owns the segment and the chain (journalcommit). It takes all that was appended meanwhile,
writes it in one call, syncs once, and answers in the loop (group commit). The loop's part is an
append to a list, and the callback. There is one writer per folder: it holds the folder's lock and
has run recovery.

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
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from proxy.journalbig import BigBodies, BigBody
from proxy.journalcommit import LINGER, RETRY, Answers, Committer, Done, Item
from proxy.journalfmt import JournalBroken, JournalError, JournalFull, JournalLocked
from proxy.journallock import FolderLock
from proxy.journalrecover import Recovery
from proxy.journalsegment import Disk

__all__ = [
    "BigBody",
    "Done",
    "JournalBroken",
    "JournalError",
    "JournalFull",
    "JournalLocked",
    "JournalWriter",
    "Stats",
]

BATCH = 256

# Group commit under load, as PostgreSQL's commit_delay and commit_siblings do it: with CROWD others
# about, and a batch handed over less than RECENT seconds ago, a batch waits for GATHER seconds or
# until all who are there wait. A sync, and the threads' turns around it, cost more than the
# rest of journalling a message.
CROWD = 4
RECENT = 0.02
GATHER = 0.005
#: Octets of bodies that wait for nothing, whatever the owner's `patience`.
GATHERED = 4 << 20


class Stats(NamedTuple):
    """Since the start, for the metrics."""

    bytes: int
    frames: int
    syncs: int
    held: int
    """Verdicts that wait for room."""


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
        patience: float = 0.0,
        disk: Disk | None = None,
    ) -> None:
        """`patience`: seconds that an append may wait for others to share a sync with, where no
        client waits for its answer."""
        self.folder = folder
        self.door = door
        self.spool_above = spool_above
        """Bodies above this go through `spool`; the caller counts."""
        self.broken: JournalBroken | None = None
        self.company: Callable[[], int] = int
        """How many others may append soon; the owner sets it. 0 (int()): never wait for them."""
        self._loop = loop
        self._min_free = min_free
        self._queue: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._fresh: list[Item] = []
        self._gathered = 0
        self._patience = patience
        self._handed = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._closed = False
        self._full = False
        self._full_checked = 0.0
        self._lock = FolderLock(folder, lock_wait)
        disk = disk or Disk()
        try:
            # from here on it belongs to the thread
            self._commits = Committer(self._lock, door, segment_bytes, disk, self._complain)
        except BaseException:
            self._lock.close()
            raise
        self._big = BigBodies(folder, loop, disk)
        self._thread = threading.Thread(target=self._run, name=f"journal-{door}", daemon=True)
        self._thread.start()

    # -- the loop's side

    def append(
        self, header: dict[str, Any], body: Sequence[bytes | memoryview], done: Done
    ) -> None:
        """Journal a message. The header (without v, type, seq) must not be changed afterwards;
        `time` is filled in where it is missing. A big body is named by "file" instead."""
        self._put(Item("message", header, body, done))

    def append_verdict(self, header: dict[str, Any], done: Done | None = None) -> None:
        """Journal what became of a message; `done` only where an answer hangs on it."""
        self._put(Item("verdict", header, (), done))

    def _put(self, item: Item) -> None:
        if self._closed:
            if item.done is not None:
                self._loop.call_soon(item.done, JournalError("the journal is closed"))
        else:
            fresh = self._fresh
            fresh.append(item)
            if len(fresh) == 1:
                if self._patience or self._crowded():
                    wait = self._patience or GATHER
                    self._gathering = self._loop.call_later(wait, self._hand_over)
                else:
                    # Once a turn of the loop, and an idle loop turns at once.
                    self._loop.call_soon(self._hand_over)
            elif (
                self._gathering is not None
                and not self._patience
                and len(fresh) >= 2 * self.company()
            ):
                self._hand_over()
            if self._patience:
                self._gathered += sum(map(len, item.body))
                if self._gathered > GATHERED:
                    self._hand_over()

    def _crowded(self) -> bool:
        """Will others append soon, so that waiting for them spares a sync for each?"""
        return self.company() >= CROWD and time.monotonic() - self._handed < RECENT

    def _hand_over(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        fresh, self._fresh = self._fresh, []
        self._gathered = 0
        if fresh:
            self._handed = time.monotonic()
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
    def recovery(self) -> Recovery | None:
        """What was found at the start; None while a full disk has kept recovery from ending."""
        return self._commits.recovery

    @property
    def stats(self) -> Stats:
        now = self._commits
        return Stats(now.bytes, now.frames, now.syncs, len(now.held))

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
                    answers = self._commits.commit(batch)
                except Exception as fault:
                    # a write or sync failed, or a fault of ours: either way nothing is known
                    answers = self._give_up(fault, batch)
            else:
                answers = [(item.done, self.broken) for item in batch]
            self._answer(answers)
            if self.broken is None:
                try:
                    if going:
                        self._commits.prepare(idle=self._queue.empty())
                    else:
                        self._commits.end()
                except Exception as fault:
                    self._give_up(fault, ())
        self._commits.close()

    def _give_up(self, fault: Exception, batch: Sequence[Item]) -> Answers:
        self.broken = JournalBroken(f"{type(fault).__name__}: {fault}")
        self.broken.__cause__ = fault
        return [(item.done, self.broken) for item in batch]

    def _answer(self, answers: Answers) -> None:
        wanted = [(done, error) for done, error in answers if done is not None]
        if wanted:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there
                self._loop.call_soon_threadsafe(self._deliver, wanted)

    def _gather(self) -> tuple[list[Item], bool]:
        """Wait for work; all that is there, and whether to go on afterwards."""
        wait = None
        if self.broken is None:
            wait = LINGER if self._commits.unsynced else RETRY if self._commits.held else None
        batch: list[Item] = []
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

    def _complain(self, error: Exception | None) -> None:
        """A verdict that is no frame, and nobody waits for it: our caller's fault, be loud."""
        self._loop.call_exception_handler({"message": "a verdict was lost", "exception": error})
