"""What is captured already, by user, mailbox, UIDVALIDITY and UID: it is not captured again.

A door asks before it tees a body, and adds what it has captured. The truth is the store: the
worker writes it, one file for each mailbox and UIDVALIDITY, under data_dir/imap-known; a door reads
that file when a mailbox is selected, and again when it has changed. A file that is lost, torn or
old costs captures made twice, which the store recognises; it never costs a capture. So it is with
what another process has captured a moment ago.

Files: `<40 hex digits of SHA-256 over user, mailbox, UIDVALIDITY>.json`, holding
{"v": 1, "user", "mailbox", "uidvalidity", "uids": "1:300,305"}; written whole and renamed.

Bounded: MAILBOXES mailboxes are remembered by a process, those used last; a file above MOST_BYTES
is not read. A keeper.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

from crmstore.uidset import UidSet

FOLDER: Final = "imap-known"
MAILBOXES: Final = 10_000
MOST_BYTES: Final = 4 << 20

Key = tuple[str, str, int]


def known_path(folder: Path, user: str, mailbox: str, uidvalidity: int) -> Path:
    """The file of a mailbox; `folder` is data_dir/imap-known."""
    text = f"{user}\0{mailbox}\0{uidvalidity}".encode("utf-8", "surrogatepass")
    return folder / f"{hashlib.sha256(text).hexdigest()[:40]}.json"


def write_known(folder: Path, user: str, mailbox: str, uidvalidity: int, uids: UidSet) -> None:
    """Replace a mailbox's file (the worker, after ingest). Raises OSError.

    Not synced: after a power cut an old or empty file is as good as none.
    """
    path = known_path(folder, user, mailbox, uidvalidity)
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(".new")
    content = {
        "v": 1,
        "user": user,
        "mailbox": mailbox,
        "uidvalidity": uidvalidity,
        "uids": str(uids),
    }
    fresh.write_text(json.dumps(content), encoding="ascii")
    fresh.replace(path)


def read_known(folder: Path, user: str, mailbox: str, uidvalidity: int) -> UidSet:
    """What the file says; empty where it says nothing that can be believed. Never raises."""
    path = known_path(folder, user, mailbox, uidvalidity)
    try:
        if path.stat().st_size > MOST_BYTES:
            return UidSet()
        content = json.loads(path.read_bytes())
        named = (content["user"], content["mailbox"], content["uidvalidity"])
        if content["v"] == 1 and named == (user, mailbox, uidvalidity):
            return UidSet.parse(content["uids"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return UidSet()


class _Mailbox:
    """What one process knows of a mailbox: from the file, and since."""

    __slots__ = ("stamp", "uids")

    def __init__(self) -> None:
        self.uids = UidSet()
        self.stamp = (0, 0, 0)


class Known:
    """All that one door process knows. Lives in its loop; `load` reads a small file."""

    def __init__(self, folder: Path, most: int = MAILBOXES) -> None:
        self._folder = folder
        self._most = most
        self._mailboxes: OrderedDict[Key, _Mailbox] = OrderedDict()
        self._coming: set[tuple[str, str, int, int]] = set()

    def load(self, user: str, mailbox: str, uidvalidity: int) -> None:
        """A mailbox has been selected: look whether the worker has written what it knows."""
        entry = self._entry((user, mailbox, uidvalidity))
        try:
            found = os.stat(known_path(self._folder, user, mailbox, uidvalidity))
        except OSError:
            return
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != entry.stamp:
            entry.stamp = stamp
            for low, high in read_known(self._folder, user, mailbox, uidvalidity).ranges():
                entry.uids.add(low, high)

    def has(self, user: str, mailbox: str, uidvalidity: int | None, uid: int | None) -> bool:
        """Is this message captured already? Without UIDVALIDITY or UID nobody can say so."""
        if uidvalidity is None or uid is None:
            return False
        entry = self._mailboxes.get((user, mailbox, uidvalidity))
        return entry is not None and uid in entry.uids

    def expect(self, user: str, mailbox: str, uidvalidity: int | None, uid: int | None) -> bool:
        """It is whole and goes to the disk now; `came` is to follow. False: it is captured already,
        or was on its way before."""
        if uidvalidity is None or uid is None:
            return True
        place = (user, mailbox, uidvalidity, uid)
        if place in self._coming or self.has(*place):
            return False
        self._coming.add(place)
        return True

    def came(
        self, user: str, mailbox: str, uidvalidity: int | None, uid: int | None, durable: bool
    ) -> None:
        """It is on the disk, or will not be."""
        if uidvalidity is not None and uid is not None:
            self._coming.discard((user, mailbox, uidvalidity, uid))
            if durable:
                self.add(user, mailbox, uidvalidity, uid)

    def add(self, user: str, mailbox: str, uidvalidity: int | None, uid: int | None) -> None:
        """It is captured now (its frame is durable)."""
        if uidvalidity is not None and uid is not None and uid > 0:
            self._entry((user, mailbox, uidvalidity)).uids.add(uid)

    def uids(self, user: str, mailbox: str, uidvalidity: int) -> UidSet:
        """All that is known of a mailbox: not to be changed by the caller."""
        return self._entry((user, mailbox, uidvalidity)).uids

    def _entry(self, key: Key) -> _Mailbox:
        entry = self._mailboxes.get(key)
        if entry is None:
            entry = self._mailboxes[key] = _Mailbox()
            if len(self._mailboxes) > self._most:
                self._mailboxes.popitem(last=False)
        else:
            self._mailboxes.move_to_end(key)
        return entry
