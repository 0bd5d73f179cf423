"""The lock of a door's folder: whoever holds it may append and recover, nobody else.

An flock, so the end of the process, however it comes, gives it up. It is not inherited.
A keeper. See JOURNAL.md.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from proxy.journalfmt import JournalLocked
from proxy.journalread import sync_folder


class FolderLock:
    """The exclusive lock of a door's folder; given up by close() or by the end of the process.

    Makes the folder, durably. wait: seconds to try, since the worker may be recovering it.
    """

    def __init__(self, folder: Path, wait: float = 0.0) -> None:
        _make_folder(folder)
        self.folder = folder
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(self._fd)
                    raise JournalLocked(f"another process holds {folder}") from None
                time.sleep(0.05)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)
