"""The worker gives way: while doors write and no processor is spare, reading on can wait a little.

Ingest is niced, but its work beside a burst still costs the doors a part of their rate (decision
0006 has the figures). What came in a burst is read just as well after it, in fuller and cheaper
batches. But only as much as is done in a few seconds then: what waits in the journals may grow to
LARGE, no further.

Promises: a wait ends as soon as no door writes any more, half a processor is spare, or more than
LARGE waits, and after PATIENCE looks (3 s) whatever happens; then there is none until ingest has
caught up. So a lasting load is followed as before, only later by those seconds.
Limits: only the processors that this process may run on are looked at (proc(5), /proc/stat); where
they cannot be read the worker never waits.
An edge; one thread.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from proxy.journalread import list_segments, segment_path
from proxy.tail import doors

__all__ = ["LOOK", "PATIENCE", "Lull", "spare_seconds", "written_at"]

LOOK = 0.1  # seconds; /proc/stat counts in hundredths
PATIENCE = 30  # looks
RECENT = 0.1  # a door that wrote within these seconds is writing
SPARE = 0.5  # processors without work, in the mean of a look
LARGE = 64 << 20  # octets of journals: a second or two of ingest
_TICK = 1 / os.sysconf("SC_CLK_TCK")


def spare_seconds(stat: bytes, processors: Iterable[int]) -> float:
    """Seconds for which these processors have had nothing to do so far; waiting for a disk is that
    too. `stat` is the content of /proc/stat."""
    wanted = {b"cpu%d" % number for number in processors}
    spare = 0.0
    for line in stat.splitlines():
        name, *ticks = line.split()
        if name in wanted:
            spare += (int(ticks[3]) + int(ticks[4])) * _TICK
    return spare


def written_at(journal_dir: Path) -> float:
    """When a door last wrote to its journal (Unix time); 0.0 if there is none."""
    last = 0.0
    for door in doors(journal_dir):
        folder = journal_dir / door
        for number in list_segments(folder)[-1:]:
            try:
                last = max(last, segment_path(folder, number).stat().st_mtime)
            except FileNotFoundError:
                continue
    return last


def _spare() -> float | None:
    try:
        with open("/proc/stat", "rb") as file:
            return spare_seconds(file.read(), os.sched_getaffinity(0))
    except (OSError, ValueError, IndexError):
        return None


class Lull:
    """See the page."""

    def __init__(
        self,
        journal_dir: Path,
        *,
        written: Callable[[Path], float] = written_at,
        spare: Callable[[], float | None] = _spare,
        now: Callable[[], float] = time.time,
        behind: Callable[[], int] = lambda: 0,
    ) -> None:
        self._journal_dir = journal_dir
        self._written = written
        self._spare = spare
        self._now = now
        self._behind = behind
        self._left = PATIENCE

    def await_one(self, stop: threading.Event) -> None:
        """Before a step: returns when it may begin, or when `stop` is set."""
        while self._left and self._now() - self._written(self._journal_dir) < RECENT:
            if self._behind() > LARGE:
                return
            before = self._spare()
            if before is None or stop.wait(LOOK):
                return
            after = self._spare()
            if after is None or after - before >= SPARE * LOOK:
                return
            self._left -= 1

    def caught_up(self) -> None:
        """After a step: everything that there was is in the store."""
        self._left = PATIENCE
