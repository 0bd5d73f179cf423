"""Reading messages in a process that can be killed: the parent's side.

Promises: read() gives an answer for every job, in order. A message that costs more than
`CPU_SECONDS`, or `WALL_SECONDS` however little it computes, or more memory than the child may
have, is answered with Unread, its child is killed, and the others are read by the next one.
The child is asked for a group of messages, which it reads side by side. If it dies, or has no
memory left, the next one is asked for each of that group that has no answer, alone: only a message
that does this to a reader by itself is Unread.
The time is the child's processor time: the worker is niced, and a busy machine must not make
ordinary mail unreadable.
Limits: one child; what was started first is finished first; one thread at a time. ReaderFailed only
if no child can be started at all.
Cites: architecture.md "Ingest"; threats.md "one hostile message".
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from crmstore.facts import Facts
from crmstore.tokens import PAIR, Tokens
from proxy.readerframe import LENGTHS, MAX_FRAME

__all__ = ["Job", "Reader", "ReaderFailed", "Unread"]

CPU_SECONDS = 1.0
WALL_SECONDS = 10.0
START_SECONDS = 30.0
PIPE = 1 << 20  # octets of answers that wait for us
HELD = 8 << 20  # of them that drain() holds
DRAINED = 0.015  # seconds; the child needs twice as long to fill the pipe
GROUP = 64  # messages that are read side by side
GROUP_OCTETS = 3 << 20  # of their bodies; a larger one is alone
RECYCLE = 20_000  # messages; a child grown large by a few odd ones does not stay so
_NONSENSE = "reader sent nonsense"
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


Group = tuple[Job, ...]  # not empty


def groups(jobs: Sequence[Job]) -> Iterator[Group]:
    """Jobs as the child gets them, in their order."""
    some: list[Job] = []
    octets = 0
    for job in jobs:
        octets += job.length
        if some and (len(some) == GROUP or octets > GROUP_OCTETS):
            yield tuple(some)
            some, octets = [], job.length
        some.append(job)
    if some:
        yield tuple(some)


class Unread(NamedTuple):
    """The message could not be read: it is to be stored raw, flagged, counted."""

    why: str


_NO_MEMORY = Unread("memory")  # as reader_child.py says it


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
        self._buffer = bytearray(PIPE)  # a new one for each read costs its pages anew
        self._received = bytearray()  # what the child has sent, and (up to `_taken`) we have seen
        self._taken = 0
        self._asked: deque[Group] = deque()  # those that the child has not answered
        self._answered = 0  # of the first group
        self._served = 0
        self.kills = 0

    def start(self, jobs: Sequence[Job]) -> "Reading":
        """Hand the jobs over; collect the answers with Reading.finish() (work meanwhile)."""
        return Reading(self, jobs)

    def read(self, jobs: Sequence[Job]) -> list[Facts | Unread]:
        """Hand over and wait."""
        return self.start(jobs).finish()

    def drain(self, stop: threading.Event) -> None:
        """Until `stop`: take answers out of the pipe, so that the child goes on while their reader
        has other work. Now and then, and all that there is: whoever computes beside this thread
        waits for it each time."""
        child = self._child
        if child is None or child.stdout is None:
            return
        fd = child.stdout.fileno()
        with contextlib.suppress(OSError):  # it died: _await() finds out
            while not stop.wait(DRAINED) and len(self._received) < HELD:
                if select.select([fd], [], [], 0)[0] and not self._receive(fd):
                    return

    def close(self) -> None:
        """End the child. What it has not answered, the next one is asked."""
        child, self._child = self._child, None
        self._received, self._taken = bytearray(), 0
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()

    # The child

    def _ask(self, jobs: Sequence[Job]) -> None:
        fresh = list(groups(jobs))
        self._asked.extend(fresh)
        if self._child is None or self._served >= RECYCLE:
            self.close()
            self._start()
        else:
            self._send(fresh)

    def _start(self) -> None:
        """A child that has everything that was not answered."""
        if self._answered:
            self._asked[0] = self._asked[0][self._answered :]
            self._answered = 0
        try:
            self._child = _spawn()
            self._served = 0
            *_, self._taken = self._await_frame(START_SECONDS, START_SECONDS)
        except (_Gone, ReaderFailed) as error:  # nobody gets an answer: all is to be asked again
            self.close()
            self._asked.clear()
            raise ReaderFailed(f"the process that reads mail does not start: {error}") from None
        if self._asked:
            self._send(list(self._asked))

    def _send(self, asked: Sequence[Group]) -> None:
        """Neither side waits for the other for ever: what it answers meanwhile is taken."""
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None
        lines = b"".join(json.dumps(one).encode("ascii") + b"\n" for one in asked)
        answers = child.stdout.fileno()
        try:
            while lines:
                ready, free, _ = select.select([answers], [child.stdin], [], WALL_SECONDS)
                if free:
                    lines = lines[child.stdin.write(lines) or 0 :]
                elif ready:
                    if not self._receive(answers):
                        return  # it died: _await() finds out
                else:
                    return  # it hangs: _await() finds out
        except OSError:
            pass  # it died: _await() finds out

    def _answer(self) -> Facts | Unread:
        """To the first job that has none."""
        while True:
            if not self._asked:
                raise ReaderFailed("the process that reads mail did not start")
            if self._child is None:
                self._start()
            group = self._asked[0]
            try:
                found = self._read_answer()
                if len(group) > 1 and found == _NO_MEMORY:  # another of them may have had it all
                    raise _Gone(found.why)
            except _Gone as gone:
                self.close()
                if len(group) > 1:  # which of them it was will be seen
                    self._asked.popleft()
                    self._asked.extendleft((job,) for job in reversed(group[self._answered :]))
                    self._answered = 0
                    continue
                self.kills += 1
                found = Unread(str(gone))
            self._answered += 1
            if self._answered == len(group):
                self._asked.popleft()
                self._answered = 0
            self._served += 1
            return found

    def _read_answer(self) -> Facts | Unread:
        told, document, words, end = self._await_frame(self._cpu_seconds, self._wall_seconds)
        begin, self._taken = self._taken, end
        try:
            with memoryview(self._received) as all_of_it, all_of_it[begin:end] as parts:
                found = from_json(bytes(parts[:told]), cache_strings="none")
                if isinstance(found, dict):
                    return Unread(str(found.get("error", "")))
                packed = bytes(parts[told : told + document])
                behind = told + document + words
                if (end - begin - behind) % PAIR:
                    raise _Gone(_NONSENSE)
                tokens = Tokens(bytes(parts[told + document : behind]), bytes(parts[behind:]))
                return Facts.unpack(found, packed, tokens)
        except (ValueError, TypeError, IndexError):
            raise _Gone(_NONSENSE) from None

    def _await_frame(self, cpu_seconds: float, wall_seconds: float) -> tuple[int, int, int, int]:
        """The child's next frame is whole, its parts begin at `_taken`: octets of the first three,
        and the end of the fourth. Or _Gone."""
        self._await(LENGTHS.size, cpu_seconds, wall_seconds)
        told, document, words, pairs = LENGTHS.unpack_from(self._received, self._taken)
        self._taken += LENGTHS.size
        size = told + document + words + pairs
        if size > MAX_FRAME:
            raise _Gone(_NONSENSE)
        self._await(size, cpu_seconds, wall_seconds)
        return told, document, words, self._taken + size

    def _await(self, size: int, cpu_seconds: float, wall_seconds: float) -> None:
        """So many of the octets that the child sends are there, or _Gone."""
        child = self._child
        assert child is not None and child.stdout is not None
        fd = child.stdout.fileno()
        begun = 0.0
        spent_before = 0.0
        while len(self._received) - self._taken < size:
            ready, _, _ = select.select([fd], [], [], _STEP)
            if ready:
                if not self._receive(fd):
                    raise _Gone(_death(child.wait()))
            elif not begun:
                begun = time.monotonic()
                spent_before = _processor_time(child.pid)
            else:
                spent = _processor_time(child.pid) - spent_before
                if spent > cpu_seconds or time.monotonic() - begun > wall_seconds:
                    raise _Gone("time")

    def _receive(self, fd: int) -> int:
        """Take what the child has sent; how many octets."""
        del self._received[: self._taken]
        self._taken = 0
        size = os.readv(fd, [self._buffer])
        with memoryview(self._buffer) as octets, octets[:size] as fresh:
            self._received += fresh
        return size


class Reading:
    """Jobs under way."""

    def __init__(self, reader: Reader, jobs: Sequence[Job]) -> None:
        self._reader = reader
        self._count = len(jobs)
        if jobs:
            reader._ask(jobs)

    def finish(self) -> list[Facts | Unread]:
        """An answer for each job, in order."""
        count, self._count = self._count, 0
        return [self._reader._answer() for _ in range(count)]


def _spawn() -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    if (_ROOT / "pyproject.toml").exists():  # a checkout; else the package is installed
        paths = [str(_ROOT), *filter(None, [environ.get("PYTHONPATH")])]
        environ["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "proxy.reader_child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback quotes what it read
            env=environ,
            bufsize=0,
        )
    except OSError as error:
        raise ReaderFailed(str(error.strerror)) from error
    with contextlib.suppress(OSError):  # it reads ahead while we do our part
        assert child.stdin is not None and child.stdout is not None
        os.set_blocking(child.stdin.fileno(), False)
        fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, PIPE)
    return child


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
