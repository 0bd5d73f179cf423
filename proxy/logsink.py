"""Lines to standard error from a thread of their own, so that logging never blocks or raises.

Promises: `put` costs about a microsecond, never waits and never raises; lines keep their order.
A reader that stops reading (a full pipe) or a closed descriptor costs lines, never mail: at most
`LIMIT` lines wait, what comes on top is counted and told in one line when writing works again.
Limits: lines are gathered for `PAUSE` seconds and written together (one system call for many
messages under load), so a kill -9 loses the last of them. The log is for people; the journal and
the ledger are the record.
"""

import atexit
import os
import select
import sys
import threading
import time
from collections import deque

LIMIT = 10_000
PAUSE = 0.2


class LineSink:
    """Writes whole lines to one descriptor; see the module's head for what it promises."""

    def __init__(self, fd: int = 2, *, limit: int = LIMIT, pause: float = PAUSE) -> None:
        # A process started without a standard error would give number 2 to the next file it
        # opens: lines must never end up in a journal segment.
        self._fd = -1 if fd == 2 and sys.stderr is None else fd
        self._limit = limit
        self._pause = pause
        self._lines: deque[str] = deque()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        # From idle to awake and back in one piece: "idle" is never said with a line waiting.
        self._turning = threading.Lock()
        self.lost = 0

    def put(self, line: str) -> None:
        """Take one line (without its newline). Safe from every thread."""
        if len(self._lines) >= self._limit or self._fd < 0:
            self.lost += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            with self._turning:
                self._idle.clear()
                self._wake.set()
                if self._thread is None:
                    self._start()

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until everything taken so far is written; False when the reader is too slow."""
        return self._thread is None or self._idle.wait(timeout)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(self._pause)
            self._wake.clear()
            self._drain()
            with self._turning:
                if not self._wake.is_set():
                    self._idle.set()

    def _drain(self) -> None:
        while self._lines:
            chunk: list[str] = []
            while self._lines and len(chunk) < 500:
                chunk.append(self._lines.popleft())
            lost, self.lost = self.lost, 0
            if lost:
                chunk.append(f'{{"event": "log.lost", "lines": {lost}}}')
            data = ("\n".join(chunk) + "\n").encode("utf-8", "backslashreplace")
            if not self._write(data):
                self.lost += lost + len(chunk)

    def _write(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Somebody made the shared descriptor non-blocking: wait here, in our own thread.
                # (poll: of a number beyond 1023, or one that is closed, select makes an exception)
                writable = select.poll()
                writable.register(self._fd, select.POLLOUT)
                writable.poll(1000)
            except OSError:
                return False
        return True
