"""What a queued message needs of its next hop, and the commands that carry it there (core).

A core. A door asks its client to be fitted to what the next hop can do; queued mail was taken
before anybody knew its hop, so here the fitting comes after:

- A parameter goes on, to the letter, only where its extension is offered. SIZE is counted anew
  (the trace line came on top).
- DSN (RFC 3461): where it is not offered NOTIFY, ORCPT, RET and ENVID are dropped, which section
  5.2.2 allows a relay. What it asks for in return, a report "relayed" where NOTIFY=SUCCESS was
  wished, is ours to write (proxy/reports.py).
- An 8-bit message is never converted (a signature would break) and never sent to a hop without
  8BITMIME (RFC 6152 section 3): 5.6.3. What was declared does not count, only what is there.
- An address or a header beyond ASCII needs SMTPUTF8 (RFC 6531 section 3.5): 5.6.7. A message
  that was declared so and needs nothing of it goes to any hop.
- AUTH= of MAIL is dropped: who submitted it is between us and our client (RFC 4954 section 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.replies import Reply

NEEDS_8BITMIME: Final = Reply.of(554, "5.6.3", "the next hop takes no 8-bit message")
NEEDS_SMTPUTF8: Final = Reply.of(554, "5.6.7", "the next hop takes no UTF-8 address or header")
NOT_AN_ADDRESS: Final = Reply.of(554, "5.1.3", "this address cannot be said in SMTP")

_MAIL_NEEDS: Final = {"BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN"}
_RCPT_NEEDS: Final = {"NOTIFY": "DSN", "ORCPT": "DSN"}


class Octets(NamedTuple):
    """Where a message leaves ASCII."""

    header: bool
    anywhere: bool


def scan(pieces: Iterable[bytes]) -> Octets:
    """Looks at a message that comes in pieces."""
    anywhere = False
    in_header = True
    tail = b"\r\n"
    for piece in pieces:
        if in_header:
            joined = tail + piece
            end = joined.find(b"\r\n\r\n")
            if not joined[: end if end >= 0 else None].isascii():
                return Octets(True, True)
            in_header = end < 0
            tail = joined[-3:]
        anywhere = anywhere or not piece.isascii()
        if anywhere and not in_header:
            break
    return Octets(False, anywhere)


def must_scan(caps: Capabilities, sender_params: Sequence[str]) -> bool:
    """Does it matter to this hop what the octets are?"""
    if not caps.has("8BITMIME"):
        return True
    return not caps.has("SMTPUTF8") and "SMTPUTF8" in map(str.upper, sender_params)


def obstacle(caps: Capabilities, octets: Octets | None, sender: str) -> Reply | None:
    """Why the hop cannot have this message at all; `octets` if `must_scan` said so."""
    if not _sayable(sender):
        return NOT_AN_ADDRESS
    if not caps.has("SMTPUTF8") and (not sender.isascii() or (octets and octets.header)):
        return NEEDS_SMTPUTF8
    if not caps.has("8BITMIME") and octets and octets.anywhere:
        return NEEDS_8BITMIME
    return None


def rcpt_obstacle(caps: Capabilities, address: str) -> Reply | None:
    """Why this recipient cannot be told to the hop."""
    if not address or not _sayable(address):
        return NOT_AN_ADDRESS
    return None if address.isascii() or caps.has("SMTPUTF8") else NEEDS_SMTPUTF8


def mail_line(caps: Capabilities, sender: str, params: Sequence[str], size: int) -> bytes:
    """MAIL, with its CRLF."""
    said = _offered(caps, params, _MAIL_NEEDS)
    if caps.has("SIZE"):
        said.insert(0, f"SIZE={size}")
    return _line(f"MAIL FROM:<{sender}>", said)


def rcpt_line(caps: Capabilities, address: str, params: Sequence[str]) -> bytes:
    """RCPT, with its CRLF."""
    return _line(f"RCPT TO:<{address}>", _offered(caps, params, _RCPT_NEEDS))


def _offered(caps: Capabilities, params: Sequence[str], needs: dict[str, str]) -> list[str]:
    return [
        param
        for param in params
        if (extension := needs.get(param.partition("=")[0].upper()))
        and caps.has(extension)
        and _sayable(param)
    ]


def _line(command: str, params: list[str]) -> bytes:
    return " ".join([command, *params]).encode("utf-8") + b"\r\n"


def _sayable(text: str) -> bool:
    """Our doors refuse control characters; whatever else filled the queue, no line is forged."""
    return not any(c < " " or c == "\x7f" for c in text)
