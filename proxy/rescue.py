"""Doors that went and did not come back: the worker puts their journals in order.

A door recovers its own folder when it starts again. One that does not (its listener was taken out
of the configuration, its machine's folder was moved here) would leave messages without a verdict
waiting for ever. Whoever gets the folder's lock knows that nobody writes, and may recover.
Promises: a folder is touched only after it was still for `STILL` seconds and its lock is free; a
folder whose last frame is `close` is in order and is not touched.
Cites: JOURNAL.md, "Recovery".
"""

import time

from proxy import maillog
from proxy.journalfmt import JournalError, JournalLocked
from proxy.journallock import FolderLock
from proxy.journalrecover import Recovery, recover
from proxy.tail import Tail

__all__ = ["Rescuer"]

STILL = 10.0  # the supervisor starts a door again sooner, and the door does this itself


class Rescuer:
    """Remembers how long each folder has been still."""

    def __init__(self, still: float = STILL) -> None:
        self._still = still
        self._since: dict[str, float] = {}
        self._done: set[str] = set()

    def look(self, tail: Tail, now: float | None = None) -> Recovery | None:
        """Recover the folder of `tail` if its door is gone; call it every few seconds."""
        now = time.monotonic() if now is None else now
        if not tail.quiet():
            self._since.pop(tail.door, None)
            self._done.discard(tail.door)
            return None
        since = self._since.setdefault(tail.door, now)
        if now - since < self._still or tail.door in self._done or tail.last_kind == "close":
            return None
        try:
            with FolderLock(tail.folder) as lock:
                found = recover(lock)
        except JournalLocked:
            return None  # its door lives and has nothing to do
        except (JournalError, OSError) as error:
            maillog.journal_trouble(tail.door, "recovery by the worker", error)
            self._since[tail.door] = now  # not again at once
            return None
        self._done.add(tail.door)
        if found.cut or found.verdicts or found.orphans or found.damage:
            maillog.journal_recovered(tail.door, found.cut, len(found.verdicts), len(found.orphans))
        return found
