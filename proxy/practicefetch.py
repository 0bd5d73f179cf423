"""What the practice IMAP server tells of a message, and which ones a set or a search means.

Sections of a FETCH that programs ask of plain mail; the search keys by which they find new mail.
ValueError for all others. RFC 3501 sections 6.4.4, 6.4.5 and 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from proxy.practiceboxes import Kept

_ITEM = re.compile(
    r"(UID|FLAGS|INTERNALDATE|RFC822\.SIZE|RFC822\.HEADER|RFC822(?![.\w])"
    r"|BODY(?:\.PEEK)?\[(HEADER|TEXT|HEADER\.FIELDS(?:\.NOT)? \([^)]*\))?\](?:<(\d+)\.(\d+)>)?)"
    r"(?:\s+|\Z)",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(\d{1,10}|\*)(?::(\d{1,10}|\*))?\Z", re.ASCII)
_MACROS = {"ALL": "FLAGS INTERNALDATE RFC822.SIZE", "FAST": "FLAGS INTERNALDATE RFC822.SIZE"}


def items(asked: str) -> list[re.Match[str]]:
    """The items of a FETCH command."""
    asked = asked[1:-1] if asked.startswith("(") and asked.endswith(")") else asked
    asked = _MACROS.get(asked.upper(), asked)
    found = list(_ITEM.finditer(asked))
    if "".join(one[0] for one in found) != asked:
        raise ValueError("an item that is not known")
    return found


def sees(name: str) -> bool:
    """Does fetching it set the flag \\Seen?"""
    return name.startswith("BODY[") or name == "RFC822"


def numbers(text: str, last: int) -> Callable[[int], bool]:
    """What a set like 1:3,7:* holds; ValueError if it is none."""
    pairs: list[tuple[int, int]] = []
    for part in text.split(","):
        found = _RANGE.match(part)
        if found is None:
            raise ValueError("not a set")
        ends = [last if end == "*" else int(end) for end in found.groups() if end is not None]
        pairs.append((min(ends), max(ends)))
    return lambda number: any(low <= number <= high for low, high in pairs)


def deleted(mail: Kept) -> bool:
    return "\\Deleted" in mail.flags


def told_flags(mail: Kept) -> bytes:
    return f"({' '.join(sorted(mail.flags))})".encode()


def several(one: object) -> list[bytes]:
    return one if isinstance(one, list) else [one] if isinstance(one, bytes) else []


def item(found: re.Match[str], mail: Kept) -> bytes:
    """One item of a FETCH response."""
    name = found[1].upper().replace(".PEEK", "")
    if name == "UID":
        return b"UID %d" % mail.uid
    if name == "FLAGS":
        return b"FLAGS " + told_flags(mail)
    if name == "INTERNALDATE":
        return f'INTERNALDATE "{mail.arrived:%d-%b-%Y %H:%M:%S %z}"'.encode()
    if name == "RFC822.SIZE":
        return b"RFC822.SIZE %d" % len(mail.content)
    head, _, text = mail.content.partition(b"\r\n\r\n")
    head += b"\r\n\r\n"
    section = (found[2] or "").upper()
    if name == "RFC822.HEADER" or section == "HEADER":
        octets = head
    elif section == "TEXT":
        octets = text
    elif section:
        wanted = section[section.index("(") + 1 : -1].split()
        keep = ".NOT" not in section
        fields = re.findall(rb"(?m)^[^ \t\r\n].*\r\n(?:[ \t].*\r\n)*", head)
        octets = b"".join(
            one for one in fields
            if (one.partition(b":")[0].decode("latin-1").strip().upper() in wanted) == keep
        ) + b"\r\n"  # fmt: skip
    else:
        octets = mail.content
    if found[3] is not None:
        octets = octets[int(found[3]) : int(found[3]) + int(found[4])]
        name = name[: name.rindex("<")] + f"<{found[3]}>"
    return f"{name} {{{len(octets)}}}\r\n".encode() + octets


def matches(mail: Kept, keys: list[str], last: int) -> bool:
    """The few search keys that programs use to find what is new; ValueError for others."""
    while keys:
        key = keys.pop(0)
        wanted = True
        if key == "NOT":
            key, wanted = keys.pop(0), False
        if key in ("ALL", "UNDELETED", "SEEN", "UNSEEN", "DELETED", "FLAGGED", "ANSWERED"):
            flag = key.removeprefix("UN")
            has = key == "ALL" or f"\\{flag.capitalize()}" in mail.flags
            good = has if key == "ALL" or not key.startswith("UN") else not has
        elif key == "SINCE":
            day = datetime.strptime(keys.pop(0), "%d-%b-%Y").date()
            good = mail.arrived.date() >= day
        elif key == "UID":
            good = numbers(keys.pop(0), last)(mail.uid)
        else:
            raise ValueError("a search that is not known")
        if good != wanted:
            return False
    return True
