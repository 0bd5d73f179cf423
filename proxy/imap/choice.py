"""What the companion looks at: which folders, which messages, in which portions (core).

Cites: RFC 6154 (special uses), RFC 3501 section 2.3.3 (INTERNALDATE), RFC 5530 (response codes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from crmstore.uidset import UidSet
from proxy.imap.grammar import FetchItems, encoded_name, mailbox_name
from proxy.imap.mailboxes import NEVER, special_by_attributes, special_by_name

__all__ = ["Folder", "chosen", "chunks", "imap_date", "is_before", "is_draft", "passes"]

RANGE: Final = 200
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Folder(NamedTuple):
    """A line of LIST: `raw` is the name as the server writes it."""

    attributes: tuple[bytes, ...]
    raw: bytes


def chosen(folders: Sequence[Folder], wanted: Sequence[str]) -> list[tuple[Folder, str, str]]:
    """The folders to look into: (folder, name, special use), each once.

    A special use is the server's word; where it gives none for a use, the name's. A wanted name
    that is no special use is compared with the folder's. Junk, Trash and Drafts never.
    """
    named = [
        (folder, mailbox_name(folder.raw, utf8=False), special_by_attributes(folder.attributes))
        for folder in folders
        if b"\\NOSELECT" not in (attribute.upper() for attribute in folder.attributes)
    ]
    told = {special for _, _, special in named if special}
    wishes = {wish.casefold() for wish in wanted}
    names = wishes - {"inbox", "sent"}
    found: list[tuple[Folder, str, str]] = []
    for folder, name, special in named:
        if not special:
            special = special_by_name(name)
            if special in told:
                special = ""
        if special in NEVER:
            continue
        if special in wishes or name.casefold() in names:
            raw = folder.raw if folder.raw.isascii() else encoded_name(name)
            found.append((Folder(folder.attributes, raw), name, special))
    return found[:20]


def passes(words: str) -> bool:
    """Is a login refused for now only (RFC 5530)?"""
    code = words[1:].split("]")[0].upper() if words.startswith("[") else ""
    return code in ("UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG")


def chunks(uids: UidSet) -> Iterator[str]:
    """Sets of at most RANGE messages, the highest UIDs first."""
    parts: list[str] = []
    count = 0
    for low, high in reversed(list(uids.ranges())):
        while high >= low:
            begin = max(low, high - (RANGE - count) + 1)
            parts.append(f"{begin}:{high}" if begin < high else str(high))
            count += high - begin + 1
            high = begin - 1
            if count == RANGE:
                yield ",".join(parts)
                parts, count = [], 0
    if parts:
        yield ",".join(parts)


def imap_date(day: date) -> str:
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"


def is_draft(item: FetchItems) -> bool:
    return any(flag.lower() == "\\draft" for flag in item.flags or ())


def is_before(item: FetchItems, begin: datetime) -> bool:
    """Did it arrive before that time? What has no date that can be read did not."""
    try:
        # "17-Jul-1996 02:44:25 -0700"
        arrived = parsedate_to_datetime((item.internaldate or "").strip().replace("-", " ", 2))
    except (ValueError, TypeError, IndexError):
        return False
    return arrived.tzinfo is not None and arrived < begin
