"""The suppression list in a file: written by the worker, mapped by the doors (a keeper).

Doors never ask the database. They map the file and look once a tick whether there is another one.
Promises: a reader sees one whole list or none; whatever is wrong with the file (missing, torn, not
touched by the worker for STALE seconds) means that nothing is refused: mail goes before the list.
Cites: bounce/suppression.py; threats.md "Promises".
"""

import mmap
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bounce.suppression import Packed, Suppressed, pack

__all__ = ["NAME", "STALE", "SuppressionFile", "publish"]

NAME = "suppression.list"  # in run_dir
STALE = 3600.0  # the worker touches it every minute
LOOK = 2.0


def publish(path: Path, entries: Iterable[tuple[str, Suppressed]]) -> None:
    """Put a new list in the place of the old one. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".tmp")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(pack(entries))
    os.replace(new, path)


class SuppressionFile:
    """A door's view of the list. `refresh` now and then, `find` for each recipient."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._next = 0.0
        self._stamp: tuple[int, int] | None = None  # while it is mapped its inode is not reused
        self._packed: Packed | None = None
        self._fresh = False

    def find(self, address: str) -> Suppressed | None:
        """Why this address is refused; None if it is not, or if nobody knows."""
        if self._packed is None or not self._fresh:
            return None
        return self._packed.find(address)

    def refresh(self) -> None:
        """Look at the file, at most every LOOK seconds. Never raises."""
        now = self._clock()
        if now < self._next and self._next - now <= LOOK:
            return
        self._next = now + LOOK
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                self._fresh = now - found.st_mtime < STALE
                stamp = (found.st_ino, found.st_size)
                if stamp != self._stamp:
                    self._packed = None
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    self._packed = Packed(memoryview(mapped))
                    self._stamp = stamp
        except (OSError, ValueError):
            self._packed, self._stamp, self._fresh = None, None, False
