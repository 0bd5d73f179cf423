"""The one line that we add to a message, and the count of those that are there (core).

RFC 5321 section 4.4: `Received:` on top. No `for` clause with several recipients: it would tell
one of them about another (section 7.2). Loops: section 6.3.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_RECEIVED: Final = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_UNSAFE: Final = re.compile(r"[^\x21-\x27\x2a-\x5b\x5d-\x7e]")
_NO_FOR: Final = re.compile(r'[ "\\;()]')
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

#: How much of a message is searched for its header section.
HEADER_LIMIT: Final = 131_072


def mail_date(moment: datetime) -> str:
    """An aware time as RFC 5322 section 3.3 writes it, whatever the locale."""
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} "
        f"{moment.year:04d} {moment:%H:%M:%S %z}"
    )


def protocol_name(*, esmtp: bool, lmtp: bool, tls: bool, auth: bool, utf8: bool) -> str:
    """The name after `with` (RFC 3848, RFC 6531 section 4.3)."""
    name = "LMTP" if lmtp else "ESMTP" if esmtp else "SMTP"
    if name != "SMTP":
        name += ("S" if tls else "") + ("A" if auth else "")
    return "UTF8" + name.removeprefix("E") if utf8 else name


def received_line(
    *,
    helo: str,
    ip: str,
    hostname: str,
    protocol: str,
    capture_id: str,
    recipient: str | None,
    date: str,
) -> str:
    """The trace line with its CRLF. `recipient` only when there is just one."""
    literal = f"IPv6:{ip}" if ":" in ip else ip
    name = _UNSAFE.sub("?", helo)[:255] or "unknown"
    lines = [
        f"Received: from {name} ([{literal}])",
        f"\tby {hostname} (Mailweir) with {protocol} id {capture_id}",
    ]
    # A quoted local part may hold what would end the clause, or a very long one the line.
    if recipient and len(recipient) <= 400 and not _NO_FOR.search(recipient):
        lines.append(f"\tfor <{recipient}>; {date}")
    else:
        lines[-1] += f"; {date}"
    return "\r\n".join(lines) + "\r\n"


def count_hops(head: bytes) -> int:
    """How many `Received:` lines stand in the header section of these first octets."""
    if head.startswith(b"\r\n"):
        return 0  # an empty first line: there is no header section
    end = head.find(b"\r\n\r\n", 0, HEADER_LIMIT)
    return len(_RECEIVED.findall(head, 0, end if end >= 0 else HEADER_LIMIT))
