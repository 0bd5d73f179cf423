"""Bodies too large for a segment: written to a file of their own while they stream in.

Promises: after `finish` has called back without an error, file and folder entry are on the disk.
The loop never waits for the disk: pieces are handed to a few threads, one piece of a body at a
time. On an error the file is gone and `finish` (or, if asked, `error`) tells.

Limits: a body holds at most PAUSE_AT + one piece + one chunk in memory, if its writer heeds the
answer of `write`. Synced every SYNC_EVERY octets, so that `finish` never waits for much and a
client sends no faster than the disk takes it.
A keeper; lives in the loop of its door. See JOURNAL.md steps 1 and 2.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proxy.failpoint import failpoint
from proxy.journalfmt import JournalError, JournalFull
from proxy.journalread import big_name, sync_folder
from proxy.journalsegment import Disk, is_full, write_at

Done = Callable[[Exception | None], None]

THREADS = 4
PIECE = 256 << 10
PAUSE_AT = 512 << 10
SYNC_EVERY = 8 << 20


class BigBodies:
    """The big files of one door: the threads that write them, and which are unfinished."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, disk: Disk) -> None:
        self.folder = folder
        self.loop = loop
        self.disk = disk
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="journal-big")
        self.unfinished: set[BigBody] = set()
        self._none_left = asyncio.Event()

    def spool(self, capture_id: str) -> BigBody:
        body = BigBody(self, big_name(capture_id))
        self.unfinished.add(body)
        return body

    def settled(self, body: BigBody) -> None:
        """Its file is durable or gone."""
        self.unfinished.discard(body)
        if not self.unfinished:
            self._none_left.set()

    async def close(self) -> None:
        """Drop what is unfinished (nobody was promised anything) and end the threads."""
        for body in list(self.unfinished):
            body.discard()
        # a body that is being written drops its file only after that; so wait for each
        if self.unfinished:
            self._none_left.clear()
            await self._none_left.wait()
        await self.loop.run_in_executor(None, self.threads.shutdown)


class BigBody:
    """One body. All methods are called in the loop, and call back there."""

    def __init__(self, owner: BigBodies, name: str) -> None:
        self.name = name
        """For the message header's "file"."""
        self.size = 0
        self.error: JournalError | None = None
        """Set as soon as writing failed; the file is gone, what comes later is thrown away."""
        self.on_resume: Callable[[], None] | None = None
        self.on_written: Callable[[list[bytes | memoryview]], None] | None = None
        """Is told of the chunks that are in the file: they may change from then on."""
        self._owner = owner
        self._path = owner.folder / name
        self._waiting: list[bytes | memoryview] = []
        self._waiting_size = 0
        self._busy = False
        self._paused = False
        self._discarded = False
        self._done: Done | None = None
        self._fd = -1  # this and the next two belong to the thread that is at work
        self._at = 0
        self._synced = 0

    def write(self, *chunks: bytes | memoryview) -> bool:
        """Take chunks. True: please pause until `on_resume` is called."""
        if self.error is not None or self._discarded:
            return False
        size = sum(map(len, chunks))
        self.size += size
        self._waiting += chunks
        self._waiting_size += size
        if self._waiting_size >= PIECE and not self._busy:
            self._hand_over()
        self._paused = self._waiting_size >= PAUSE_AT
        return self._paused

    def finish(self, done: Done) -> None:
        """All is given: call back when it is durable, or with a JournalError when it is not."""
        if self.error is not None:
            self._owner.loop.call_soon(done, self.error)
            return
        self._done = done
        if not self._busy:
            self._hand_over()

    def discard(self) -> None:
        """Remove the file. Allowed until the body's message is appended; `done` is not called."""
        if self._discarded:
            return
        self._discarded = True
        self._done = None
        self._waiting.clear()
        self._owner.unfinished.add(self)
        if not self._busy:
            self._hand_over()

    def _hand_over(self) -> None:
        """The next piece of work to a thread; never two of one body at a time."""
        pieces, self._waiting, self._waiting_size = self._waiting, [], 0
        self._busy = True
        last = self._done is not None
        self._owner.threads.submit(self._work, pieces, last, self._discarded)

    def _work(self, pieces: list[bytes | memoryview], last: bool, discard: bool) -> None:
        error: JournalError | None = None
        try:
            if discard:
                self._remove()
            else:
                self._write(pieces)
                if last:
                    self._sync()
        except OSError as reason:
            error = JournalFull("disk full") if is_full(reason) else JournalError(str(reason))
            self._remove()
        try:
            self._owner.loop.call_soon_threadsafe(self._worked, pieces, last, discard, error)
        except RuntimeError:
            pass  # the loop is closed, nobody waits for an answer; recovery removes the file

    def _worked(
        self,
        pieces: list[bytes | memoryview],
        last: bool,
        discard: bool,
        error: JournalError | None,
    ) -> None:
        self._busy = False
        if self.on_written is not None:
            self.on_written(pieces)
        if error is not None:
            self.error = error
            self._waiting.clear()
            self._waiting_size = 0
        if self._discarded:
            if discard:
                self._owner.settled(self)
            else:
                self._hand_over()
        elif last or error is not None:
            self._owner.settled(self)
            if self._done is not None:
                self._done(error)
        elif self._done is not None or self._waiting_size >= PIECE:
            self._hand_over()
        if self._paused and self._waiting_size < PAUSE_AT:
            self._paused = False
            if self.on_resume is not None:
                self.on_resume()

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        disk = self._owner.disk
        for piece in write_at(disk, self._fd, pieces, self._at):
            self._at += piece
        if self._at - self._synced >= SYNC_EVERY:
            disk.fdatasync(self._fd)
            self._synced = self._at

    def _sync(self) -> None:
        failpoint("1.big.written")
        self._owner.disk.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        sync_folder(self._owner.folder)
        failpoint("2.big.synced")

    def _remove(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):  # what stays behind is removed by recovery
            self._path.unlink(missing_ok=True)
