"""Delivery status notifications (RFC 3464, RFC 6533), as they should be and as they are. A core.

Promises: never raises, linear in the part, at most report.MAX_RECIPIENTS recipients.
Read leniently: recipients without a blank line between them, several blank lines, lines that are
no field (a folded line that lost its indent), unknown address types, brackets and names around an
address, xtext that nobody decoded (RFC 3461 section 4), actions spelled as sentences.
"""

import re
from typing import NamedTuple

from bounce.report import MAX_RECIPIENTS, Action
from bounce.status import enhanced_in
from bounce.view import View
from crmstore.addresses import key
from crmstore.charsets import clean
from crmstore.mimetree import Leaf

__all__ = ["Entry", "Status", "address_in", "is_disguised", "is_status", "parse"]

TYPES = frozenset(
    "message/delivery-status message/global-delivery-status message/delivery_status"
    " message/xdelivery-status message/x-delivery-status".split()
)
MAX_DIAGNOSTIC = 1_000


class Entry(NamedTuple):
    """The fields of one recipient; addresses in key() form, "" if they are none."""

    final: str
    original: str
    action: Action | None
    status: str
    diagnostic: str  # without its type
    remote_mta: str
    named: str  # the final recipient as it stands, where it is no whole address


class Status(NamedTuple):
    """A delivery-status part."""

    reporting_mta: str
    envelope_id: str
    arrival: str
    entries: list[Entry]
    limited: bool


def is_status(kind: str) -> bool:
    """Whether a part of this type is a delivery status."""
    return kind in TYPES


_BEGINS = re.compile(
    rb"\s{0,20}(?:reporting-mta|final-recipient|original-recipient|original-envelope-id)[ \t]*:",
    re.IGNORECASE,
)


def is_disguised(view: View, leaf: Leaf) -> bool:
    """Whether a part is a delivery status that a gateway has relabelled as text or as a file."""
    if leaf.type not in ("text/plain", "application/octet-stream") or not leaf.parent:
        return False
    return _BEGINS.match(view.raw, leaf.start, leaf.end) is not None


_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:(.*)")
_RECIPIENT = ("final-recipient", "original-recipient")


def parse(text: str) -> Status:
    """The delivery status in the text of its part."""
    whole: dict[str, str] = {}
    current = whole
    blocks: list[dict[str, str]] = []
    last = ""
    fresh = False  # a blank line was just passed
    for line in text.split("\n"):
        if not line.strip():
            fresh = True
            last = ""
            continue
        if line[0] in " \t":
            if last and len(current[last]) < MAX_DIAGNOSTIC * 2:
                current[last] += " " + line.strip()
            continue
        found = _FIELD.match(line)
        if found is None:
            if last == "diagnostic-code" and len(current[last]) < MAX_DIAGNOSTIC * 2:
                current[last] += " " + line.strip()
            continue
        name = found[1].lower()
        if name in _RECIPIENT and (current is whole or name in current or fresh):
            # of two recipient fields in one group only the first opens it
            if len(blocks) >= MAX_RECIPIENTS:
                return _status(whole, blocks, True)
            current = {}
            blocks.append(current)
        elif fresh and name == "action" and (whole if current is whole else "action" in current):
            # Exim begins a recipient's group with its action
            current = {}
            blocks.append(current)
        fresh = False
        last = name
        if name not in current:
            current[name] = found[2].strip()
        else:
            last = ""
    if not blocks and ("action" in whole or "status" in whole):
        blocks.append(whole)
    return _status(whole, blocks, False)


def _status(whole: dict[str, str], blocks: list[dict[str, str]], limited: bool) -> Status:
    return Status(
        _typed(whole.get("reporting-mta", ""))[1],
        clean(whole.get("original-envelope-id", ""))[:500],
        clean(whole.get("arrival-date", ""))[:100],
        [_entry(block) for block in blocks],
        limited,
    )


def _entry(block: dict[str, str]) -> Entry:
    named = _typed(block.get("final-recipient", ""))[1]
    diagnostic = _typed(block.get("diagnostic-code", ""))[1]
    return Entry(
        address_in(block.get("final-recipient", "")),
        address_in(block.get("original-recipient", "")),
        _action(block.get("action", "")),
        enhanced_in(" " + block.get("status", "")),
        diagnostic[:MAX_DIAGNOSTIC],
        _typed(block.get("remote-mta", ""))[1],
        named[:500],
    )


def _typed(value: str) -> tuple[str, str]:
    """("smtp", "550 no") of "smtp; 550 no"; the type is "" where none stands."""
    kind, semicolon, rest = value.partition(";")
    if semicolon and kind and len(kind) < 30 and " " not in kind.strip() and "@" not in kind:
        return clean(kind).strip().lower(), " ".join(clean(rest).split())
    return "", " ".join(clean(value).split())


_ACTIONS: tuple[tuple[str, Action], ...] = (
    ("fail", "failed"),
    ("delay", "delayed"),
    ("deliver", "delivered"),
    ("relay", "relayed"),
    ("expand", "expanded"),
    ("deferred", "delayed"),
    ("warning", "delayed"),
    ("transient", "delayed"),
    ("undeliver", "failed"),
)


def _action(value: str) -> Action | None:
    word = value.strip().lower()
    for start, action in _ACTIONS:
        if word.startswith(start):
            return action
    return "failed" if word else None


_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RFC 6533 section 3: utf-8-addr-xtext
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_LIKE = re.compile(r"(?<![^\s<>;:,\"'(])[^\s<>;:,\"'()]{1,128}@[^\s<>;:,\"'()]{1,255}")


def address_in(value: str) -> str:
    """The address of a recipient field in key() form; "" if there is none."""
    rest = _typed(value[:2_000])[1]
    if "\\x{" in rest:
        rest = _HEX.sub(_character, rest)
    if "<" in rest and ">" in rest:
        inside = rest[rest.index("<") + 1 : rest.rindex(">")]
        rest = inside or rest
    if "+2B" in rest or "+3D" in rest:
        rest = _XTEXT.sub(lambda found: chr(int(found[1], 16)), rest)
    whole = key(rest.removeprefix("mailto:"))
    if whole:
        return whole
    found = _LIKE.search(rest)
    return key(found[0].strip(".")) if found else ""


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
