"""The mailboxes of the practice server: what lies where, in memory (a keeper that keeps nothing).

Promises: UIDs only go up and never come back, UIDVALIDITY neither (RFC 9051 2.3.1.1),
not even of the next server; a message's octets never change. Safe from several
threads. Limits: at most KEEP messages a mailbox (the oldest goes), MAILBOXES mailboxes a user.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

KEEP: Final = 1000
MAILBOXES: Final = 50
#: Name -> attribute of RFC 6154.
FOLDERS: Final = {
    "INBOX": "", "Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash",
}  # fmt: skip


@dataclass(slots=True)
class Kept:
    """One message in one mailbox. `arrived` is its INTERNALDATE."""

    uid: int
    content: bytes = field(repr=False)
    arrived: datetime
    flags: set[str]


@dataclass(slots=True)
class Box:
    """A mailbox; `attribute` is what it is for."""

    validity: int
    attribute: str = ""
    next_uid: int = 1
    mails: list[Kept] = field(default_factory=list)


class Mailboxes:
    """Those of all users; `lock` is held while somebody reads or changes several things."""

    def __init__(self, users: Iterable[str], now: float | None = None) -> None:
        self.lock = threading.RLock()
        # Never one of a server before this one: with `try --data` the appliance remembers them.
        self._validity = int(time.time() if now is None else now)
        self._boxes: dict[str, dict[str, Box]] = {}
        for user in users:
            self._boxes[user] = {}
            for name, attribute in FOLDERS.items():
                self.create(user, name, attribute)

    def of(self, user: str) -> Mapping[str, Box]:
        """A user's mailboxes by name. KeyError for a stranger."""
        return self._boxes[user]

    def create(self, user: str, name: str, attribute: str = "") -> bool:
        """A new mailbox; False if it is there or there are too many."""
        with self.lock:
            boxes = self._boxes[user]
            if name in boxes or len(boxes) >= MAILBOXES:
                return False
            self._validity += 1
            boxes[name] = Box(self._validity, attribute)
            return True

    def delete(self, user: str, name: str) -> bool:
        """False for INBOX and what is not there."""
        with self.lock:
            return name != "INBOX" and self._boxes[user].pop(name, None) is not None

    def put(
        self, user: str, name: str, content: bytes, arrived: datetime, flags: Iterable[str] = ()
    ) -> tuple[int, int]:
        """UIDVALIDITY and UID of a message that was put in. KeyError if there is no such place."""
        with self.lock:
            box = self._boxes[user][name]
            uid, box.next_uid = box.next_uid, box.next_uid + 1
            box.mails.append(Kept(uid, content, arrived, set(flags)))
            del box.mails[:-KEEP]
            return box.validity, uid

    def deliver(self, sender: str, recipients: Iterable[str], content: bytes, at: datetime) -> None:
        """Into the INBOX of each recipient who is a user, with the lines that delivery adds."""
        for user in dict.fromkeys(recipient.lower() for recipient in recipients):
            if user in self._boxes:
                head = f"Return-Path: <{sender}>\r\nDelivered-To: {user}\r\n"
                self.put(user, "INBOX", head.encode("utf-8", "replace") + content, at)
