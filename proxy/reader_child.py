"""The process that reads strangers' mail: bytes in, facts out, nothing else.

Run by proxy/reader.py as `python -m proxy.reader_child`. A line of JSON on standard input is a
group, [[path, offset, length, look, sender], ...], read side by side, a step of each at a time
(docs/decisions/0035 tells what that gains); when all of it is read there is a frame for each on
standard output, in order (proxy/readerframe.py). A group that takes long is read one after the
other from then on, each answered at once, so that what is done is not lost when the parent has
waited enough. Who of several killed the process is not seen.
Promises: bounded in memory (RLIMIT_AS) and time (RLIMIT_CPU, besides the parent's watch), can
write no file, dies with its parent. Cites: architecture.md "Ingest"; setrlimit(2); prctl(2).
"""

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator

from bounce import detect, matcher
from crmstore import facts
from proxy.readerframe import frame, told

Job = tuple[str, int, int, bool, str | None]  # as proxy/reader.py has it

MAX_MEMORY = 768 << 20
MAX_READ = 96 << 20  # of one message; what is behind is not looked at
# Seconds of the clock (that of the processor costs ten times as much to read, and is asked for
# before each step). An ordinary group needs a hundredth of a second; the parent waits for a second.
SIDE_BY_SIDE = 0.25
# Reports come from nobody, or have one of these in their header: other mail, nearly all of it, is
# not looked at a second time.
FIRST = 16_384
REPORTS = (
    b"report-type", b"daemon", b"postmaster", b"delivery", b"undeliver", b"x-failed-recipients",
    b"returned mail", b"failure notice", b"auto-submitted",
)  # fmt: skip
_PR_SET_PDEATHSIG = 1


def confine(parent: int) -> None:
    """Take away what reading mail does not need."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)  # it died before we asked to be told
    # Ctrl-C and systemd reach the whole group: it is the parent who decides, after its batch
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


class Files:
    """The file that was read last stays open: a batch comes mostly from one segment."""

    def __init__(self) -> None:
        self._path = ""
        self._fd = -1

    def read(self, path: str, offset: int, length: int) -> bytes:
        if path != self._path:
            self.close()
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._path = path
        return os.pread(self._fd, min(length, MAX_READ), offset)

    def close(self) -> None:
        """Segments are deleted: hold none of them longer than a group."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path = -1, ""


READY = frame(told("ready"))  # the first one: from here on, a death is the fault of a message


def answers(files: Files, jobs: Iterable[Job]) -> Iterator[bytes]:
    """The frames for these jobs: a step of each, then the next step of each. They are one piece if
    that is done within SIDE_BY_SIDE; else each job is read to its end, and its frame is a piece."""
    under_way = deque(enumerate(_answer(files, *job) for job in jobs))
    done = [b""] * len(under_way)
    until = time.monotonic() + SIDE_BY_SIDE
    while under_way and time.monotonic() < until:
        place, steps = under_way.popleft()
        try:
            next(steps)
            under_way.append((place, steps))
        except StopIteration as end:
            done[place] = end.value
    sent = 0
    for place, steps in sorted(under_way):
        done[place] = _rest(steps)
        yield b"".join(done[sent : place + 1])
        sent = place + 1
    yield b"".join(done[sent:])


def _rest(steps: Generator[None, None, bytes]) -> bytes:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bytes(end.value)


def _answer(
    files: Files, path: str, offset: int, length: int, look: bool, sender: str | None
) -> Generator[None, None, bytes]:
    try:
        data = files.read(path, offset, length)
        if len(data) < min(length, MAX_READ):
            return _error("body is cut short")
        yield
        found = yield from facts.reading(data)
        yield
        if length > MAX_READ:
            found.flags.append("read_in_part")
            found.key = ""  # what lies behind may differ
        if look and (sender == "" or _may_report(data)):
            report = detect.read(data, sender=sender)
            if report.kind in matcher.TOLD:
                found.report = matcher.pack(report)
        yield
        return frame(told(found.pack()), found.document, found.tokens)
    except MemoryError:
        return _error("memory")
    except OSError as error:
        return _error(f"body: {error.strerror}")
    except Exception as error:  # the message is stored raw and flagged with this
        return _error(f"fault: {type(error).__name__}")


def _error(why: str) -> bytes:
    return frame(told({"error": why}))


def _may_report(data: bytes) -> bool:
    end = data.find(b"\n\r\n", 0, FIRST)
    head = data[: end if end >= 0 else FIRST].lower()
    for sign in REPORTS:  # noqa: SIM110 - any() would cost as much as the looking
        if sign in head:
            return True
    return False


def main() -> None:
    confine(int(sys.argv[1]))
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # facts are small and hold no cycles
    files = Files()
    os.write(1, READY)
    unlimited = resource.RLIM_INFINITY
    for line in sys.stdin.buffer:
        jobs = json.loads(line)
        until = int(time.process_time()) + 2 + len(jobs)  # a second each, as the parent has it
        resource.setrlimit(resource.RLIMIT_CPU, (until, unlimited))
        for data in answers(files, jobs):
            while data:
                data = data[os.write(1, data) :]
        files.close()


if __name__ == "__main__":
    main()
