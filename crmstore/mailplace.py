"""Where in whose mailbox a message was seen: the "imap" part of a journal frame. A core.

A frame is our own door's, but what stands in it a mail server said: place_of() takes nothing for
granted, cuts what is long, and never raises. A mailbox is known to the store by key(): the digest
of login and name, since names may be longer than an index takes.
Cites: RFC 9051 section 2.3.1.1 (UID, UIDVALIDITY), RFC 6154 (special uses).
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from crmstore import addresses
from crmstore.charsets import clean, storable
from crmstore.uidset import HIGHEST, UidSet

__all__ = ["MAX_MAILBOX", "SOURCES", "Look", "Place", "key", "login_name", "place_of"]

MAX_MAILBOX: Final = 2_000  # characters
SOURCES: Final = ("imap_append", "imap_fetch", "companion")
# Folders that are never captured, by their special use.
CLOSED: Final = ("junk", "trash", "drafts")


class Place(NamedTuple):
    """`login` is the user's name in the form of login_name(); UIDVALIDITY and UID may be unknown
    (None), as after an APPEND to a server without UIDPLUS."""

    source: str
    login: str
    mailbox: str
    special: str
    uidvalidity: int | None
    uid: int | None
    draft: bool

    @property
    def closed(self) -> str:
        """Why nobody captures what lies here; "" if it may be."""
        if self.special in CLOSED:
            return f"folder {self.special}"
        return "draft" if self.draft else ""


class Look(NamedTuple):
    """What a look into a mailbox found: the UIDs that should be known, and those of them that are
    too large to be captured."""

    login: str
    mailbox: str
    special: str
    uidvalidity: int
    present: UidSet
    skipped: UidSet


def login_name(text: str) -> str:
    """A login as the mail server knows it, in the one form that we know it by."""
    return addresses.key(text) or clean(text).strip().lower()[: addresses.MAX_ADDRESS]


def key(login: str, mailbox: str) -> str:
    """What a mailbox is known by in the store."""
    return hashlib.sha256(f"{login}\0{mailbox}".encode("utf-8", "replace")).hexdigest()


def place_of(header: Mapping[str, Any], verdict: Mapping[str, Any]) -> Place | None:
    """The place of a capture; None for what did not come by IMAP. The verdict has the last word
    on the UID: an APPEND learns it at its end."""
    told = header.get("imap")
    if header.get("role") != "imap" or not isinstance(told, Mapping):
        return None
    learned = verdict.get("imap")
    numbers = {**told, **(learned if isinstance(learned, Mapping) else {})}
    keywords = told.get("keywords")
    source = str(told.get("source", ""))
    return Place(
        source if source in SOURCES else "imap_fetch",
        login_name(str(told.get("user") or "")),
        storable(str(told.get("mailbox") or ""))[:MAX_MAILBOX],
        str(told.get("special") or "").lower()[:16],
        _number(numbers.get("uidvalidity")),
        _number(numbers.get("uid")),
        isinstance(keywords, list | tuple)
        and any(isinstance(word, str) and word.lower() == "\\draft" for word in keywords),
    )


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 < value <= HIGHEST else None
