"""Reading messages in a process that can be killed: the parent's side.

Promises: read() gives an answer for every job, in order. A message that costs more than
`CPU_SECONDS`, or `WALL_SECONDS` however little it computes, or more memory than the child may
have, is answered with Unread, its child is killed, and the others are read by the next one.
The time is the child's processor time: the worker is niced, and a busy machine must not make
ordinary mail unreadable.
Limits: one child, one batch at a time. ReaderFailed only if no child can be started at all.
Cites: architecture.md "Ingest"; threats.md "one hostile message".
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crmstore.facts import Facts

__all__ = ["Job", "Reader", "ReaderFailed", "Unread"]

CPU_SECONDS = 1.0
WALL_SECONDS = 10.0
START_SECONDS = 30.0
RECYCLE = 20_000  # messages; a child grown large by a few odd ones does not stay so
_STEP = 0.1
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parents[1]


class Job(NamedTuple):
    """Where a body lies; whether to look for a delivery report in it, and whom its envelope says
    it is from (None: not known)."""

    path: str
    offset: int
    length: int
    look: bool = False
    sender: str | None = None


class Unread(NamedTuple):
    """The message could not be read: it is to be stored raw, flagged, counted."""

    why: str


class ReaderFailed(Exception):
    """The child process cannot be started; to be tried again later."""


class _Gone(Exception):
    """The child is dead, or has to be; the words say why."""


class Reader:
    """One child process, started when it is needed."""

    def __init__(
        self, *, cpu_seconds: float = CPU_SECONDS, wall_seconds: float = WALL_SECONDS
    ) -> None:
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._served = 0
        self.kills = 0

    def start(self, jobs: Sequence[Job]) -> "Reading":
        """Hand the jobs over; collect the answers with Reading.finish() (work meanwhile)."""
        return Reading(self, jobs)

    def read(self, jobs: Sequence[Job]) -> list[Facts | Unread]:
        """Hand over and wait."""
        return self.start(jobs).finish()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        self._lines.clear()
        self._rest = b""
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()

    # The child

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._served >= RECYCLE:
            self.close()
        if self._child is None:
            self._child = _spawn()
            self._served = 0
            try:
                self._line(START_SECONDS, START_SECONDS)
            except _Gone as gone:
                self.close()
                raise ReaderFailed(f"the process that reads mail does not start: {gone}") from None
        return self._child

    def _send(self, jobs: Sequence[Job]) -> None:
        child = self._running()
        line = json.dumps(jobs, separators=(",", ":")).encode("ascii") + b"\n"
        assert child.stdin is not None
        try:
            while line:  # the child takes the whole line before it answers: no deadlock
                line = line[child.stdin.write(line) or 0 :]
        except OSError:
            pass  # it died: _line() finds out

    def _answer(self) -> bytes:
        line = self._line(self._cpu_seconds, self._wall_seconds)
        self._served += 1
        return line

    def _line(self, cpu_seconds: float, wall_seconds: float) -> bytes:
        """The child's next line, or _Gone."""
        child = self._child
        assert child is not None and child.stdout is not None
        fd = child.stdout.fileno()
        begun = 0.0
        spent_before = 0.0
        while not self._lines:
            ready, _, _ = select.select([fd], [], [], _STEP)
            if ready:
                data = os.read(fd, 1 << 18)
                if not data:
                    raise _Gone(_death(child.wait()))
                *lines, self._rest = (self._rest + data).split(b"\n")
                self._lines.extend(lines)
            elif not begun:
                begun = time.monotonic()
                spent_before = _processor_time(child.pid)
            else:
                spent = _processor_time(child.pid) - spent_before
                if spent > cpu_seconds or time.monotonic() - begun > wall_seconds:
                    raise _Gone("time")
        return self._lines.popleft()


class Reading:
    """Jobs under way."""

    def __init__(self, reader: Reader, jobs: Sequence[Job]) -> None:
        self._reader = reader
        self._jobs = list(jobs)
        if self._jobs:
            reader._send(self._jobs)

    def finish(self) -> list[Facts | Unread]:
        """An answer for each job, in order."""
        reader = self._reader
        answers: list[Facts | Unread] = []
        while len(answers) < len(self._jobs):
            try:
                found = json.loads(reader._answer())
            except _Gone as gone:
                reader.close()
                reader.kills += 1
                answers.append(Unread(str(gone)))
                if len(answers) < len(self._jobs):
                    reader._send(self._jobs[len(answers) :])
                continue
            if isinstance(found, dict):
                answers.append(Unread(str(found.get("error", ""))))
            else:
                answers.append(Facts.unpack(found))
        return answers


def _spawn() -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    if (_ROOT / "pyproject.toml").exists():  # a checkout; else the package is installed
        paths = [str(_ROOT), *filter(None, [environ.get("PYTHONPATH")])]
        environ["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "proxy.reader_child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback quotes what it read
            env=environ,
            bufsize=0,
        )
    except OSError as error:
        raise ReaderFailed(f"the process that reads mail: {error.strerror}") from error


def _processor_time(pid: int) -> float:
    """Seconds that a process has computed, as /proc tells (proc(5): fields 14 and 15)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK
    except (OSError, IndexError, ValueError):
        return 0.0  # it is gone: the pipe will say so


def _death(status: int) -> str:
    if status == -signal.SIGXCPU:
        return "time"
    return f"reader ended by signal {-status}" if status < 0 else f"reader ended with {status}"
