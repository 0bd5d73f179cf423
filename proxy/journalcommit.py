"""What the journal's thread does with a batch: frames, one write, one sync; segments in a row.

Owns the open segment and the chain; blocks, and is called by one thread only (journal.py).

Promises, in the words of its answers:
* None: the frame, and every frame before it, was written and synced.
* JournalFull: no room; nothing of the frame is in the journal.
* An exception of commit(), prepare() or end(): nobody knows what is on the disk; stop.
* A verdict that nobody waits for is never given up for a full disk: it may use the RESERVE, and
  where even that is used up it is held and tried again with the next batch.

Limits: what is held is bounded by the messages that were accepted.
A keeper. See JOURNAL.md "Writing".
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from proxy.failpoint import failpoint
from proxy.journalfmt import GENESIS, KEY_SIZE, Framer, JournalError, JournalFull, Kind
from proxy.journallock import FolderLock
from proxy.journalrecover import Recovery, open_header, recover, timestamp
from proxy.journalsegment import LARGE, RESERVE, STEP, Disk, Segment, is_full

Done = Callable[[Exception | None], None]
Answers = list[tuple[Done | None, Exception | None]]

LINGER = 0.02  # seconds a verdict may wait for its sync
RETRY = 1.0  # seconds between tries to begin a segment on a full disk


class Item(NamedTuple):
    """Something to journal."""

    kind: Kind
    header: dict[str, Any]
    body: Sequence[bytes | memoryview]
    done: Done | None


class _Made(NamedTuple):
    """A frame in the batch at hand, and the state of chain and file behind it."""

    item: Item
    mark: tuple[int, bytes]
    end: int


class Committer:
    """The journal of one door, whose lock is held. Recovers and begins a segment when made; on a
    full disk it has none, and begins one as soon as there is room."""

    def __init__(
        self, lock: FolderLock, door: str, segment_bytes: int, disk: Disk, complain: Done
    ) -> None:
        self.recovery: Recovery | None = None
        self.held: list[Item] = []
        self.unsynced = False
        self._large = False  # the last batch of messages was: zeros ahead of such gain nothing
        self.bytes = self.frames = self.syncs = 0
        self._lock = lock
        self._door = door
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._complain = complain
        self._segment: Segment | None = None
        self._aside = 0  # octets of the large bodies that its frames name: they go when it goes
        self._framer = Framer(bytes(KEY_SIZE), 0, GENESIS, 0)
        self._undecided: dict[str, int] = {}  # message without verdict: its segment
        self._sync_by = 0.0
        self._not_before = 0.0
        self._begin_again()

    def commit(self, batch: list[Item]) -> Answers:
        """Write a batch, sync it if somebody waits for that, and tell what to answer."""
        answers: Answers = []
        if self._segment is None and not self._begin_again():
            # no message was taken yet, so there is no verdict to keep either
            return [(item.done, JournalFull("the disk is full")) for item in batch]
        segment = self._segment
        assert segment is not None
        held, self.held = self.held, []
        before, begin = self._framer.mark(), segment.end
        made, buffers = self._frame([*held, *batch], segment, answers)
        if not made:
            if self.unsynced:
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
                if item.header.get("file"):
                    self._aside += item.header.get("size", 0)
            else:
                self._undecided.pop(item.header["id"], None)
            if item.done is not None:
                wait = True
                answers.append((item.done, None))
        if made and not self.unsynced:
            self.unsynced = True
            self._sync_by = time.monotonic() + LINGER
        self.frames += len(made)
        self.bytes += segment.end - begin
        if messages:
            self._large = segment.end - begin > LARGE * messages
        if messages:
            failpoint("3.frame.written")
        if len(made) > messages:
            failpoint("7.verdict.written")
        if wait or (self.unsynced and time.monotonic() >= self._sync_by):
            self._sync(segment)
            if messages:
                failpoint("4.frame.synced")
        return answers

    def _frame(
        self, items: list[Item], segment: Segment, answers: Answers
    ) -> tuple[list[_Made], list[bytes | memoryview]]:
        """Frames for all that finds room. The others are answered, or held."""
        framer = self._framer
        made: list[_Made] = []
        buffers: list[bytes | memoryview] = []
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
            wanted = upto + RESERVE if kind == "message" else upto
            if segment.make_room(wanted, framer.size > LARGE):
                made.append(_Made(item, framer.mark(), upto))
                buffers.append(head)
                buffers.extend(body)
                end = upto
            else:
                framer.back_to(before)
                self._refuse(item, answers)
        return made, buffers

    def _refuse(self, item: Item, answers: Answers) -> None:
        """No room for it: whoever waits is told, a verdict nobody waits for is tried again."""
        if item.done is None:
            self.held.append(item)
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

    def _sync(self, segment: Segment) -> None:
        segment.sync()
        self._framer.durable = self._framer.seq
        self.syncs += 1
        self.unsynced = False

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
        header = open_header(self._door, self.recovery.journal, number, previous, since)
        segment = Segment.create(
            self._lock.folder, number, framer.frame("open", header), self._disk
        )
        framer.durable = framer.seq
        self._segment, self._framer = segment, framer
        self._aside = 0

    def prepare(self, idle: bool) -> None:
        """After a batch, when those who waited have their answer: the next segment, or room
        ahead. idle: nobody waits now."""
        segment = self._segment
        if segment is None or time.monotonic() < self._not_before:
            return
        if segment.end + self._aside >= self._segment_bytes:
            self._rotate(segment)
        elif segment.size - segment.end < RESERVE + STEP // 4 and idle and not self._large:
            if segment.make_room(segment.end + RESERVE + STEP // 4):
                self._sync(segment)
            else:
                self._not_before = time.monotonic() + RETRY

    def _rotate(self, old: Segment) -> None:
        if self.unsynced:
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

    def end(self) -> None:
        """Nothing comes any more. A `close` frame only if there is nothing left to recover."""
        segment = self._segment
        if segment is None or self.held or self._undecided:
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

    def close(self) -> None:
        """Let go of the file, as it is."""
        if self._segment is not None:
            self._segment.abandon()
