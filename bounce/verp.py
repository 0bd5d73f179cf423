"""Signed return paths (VERP): a bounce that comes back says which message it is about (core).

    b<key><mark><signature>=<local part of the sender>@<return_path_domain>

The mark names the message: the ten characters of its capture id that tell its millisecond, and the
last six, of chance. The signature (80 bits of HMAC-SHA-256) is over key, mark and sender, so nobody
can make a return path for mail that was never sent, or turn one into another sender's. Letters are
lower case and compared without case: servers on the way change it.

The sender's own address is in it, because a door has to know whom the report is for without asking
a database. RFC 5321 section 4.5.3.1.1 gives a local part 64 octets; a sender whose own local part
is longer than MAX_LOCAL goes out as it is, and so does one beyond ASCII or in quotes: their bounces
are tied to the message by the other rungs of the ladder (MATCHING.md).

What it does not prove: who wrote the report. Whoever got the message knows its return path and can
send a report about it, for LIFETIME; about no other message, and about nobody it was not sent to.
Cites: threats.md "forged DSN"; RFC 3464; the idea is D. J. Bernstein's VERP, and BATV.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["LIFETIME", "MAX_LOCAL", "Decoded", "Key", "ReturnPaths", "mark_of", "span_of"]

LIFETIME: Final = 30 * 86_400.0  # seconds; longer than any server tries (RFC 5321 4.5.4.1: 5 days)
MAX_LOCAL: Final = 29
_AHEAD: Final = 600.0  # another door's clock may be so many seconds before ours
_TIME, _TAIL, _SIGNATURE = 10, 6, 16
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SENDER: Final = re.compile(r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,29})@([^@]+)\Z")
_SIGNED: Final = re.compile(r"b([0-9a-z])([0-9a-z]{16})([0-9a-z]{16})=(.{1,29})\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret to sign with, and its name: one character of 0-9 and a-z."""

    name: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an address at the return path's domain is. `sender` and `mark` only if it is valid."""

    result: Literal["valid", "expired", "forged"]
    sender: str = ""
    mark: str = ""


class ReturnPaths:
    """The first key signs, all of them are believed."""

    def __init__(self, domain: str, domains: Sequence[str], keys: Sequence[Key]) -> None:
        """`domain`: of the return paths. `domains`: ours; only their senders are signed for."""
        self.domain = domain.lower()
        self._domains = tuple(dict.fromkeys(name.lower() for name in domains))
        self._keys = {key.name: key for key in reversed(keys)}
        self._first = keys[0] if keys else None

    def sign(self, sender: str, capture_id: str) -> str | None:
        """The return path of this message; None if its sender is none of ours, or does not fit."""
        found = _SENDER.match(sender)
        if found is None or self._first is None or found[2].lower() not in self._domains:
            return None
        mark = mark_of(capture_id).lower()
        name = self._first.name
        signature = _signature(self._first, mark, f"{found[1]}@{found[2]}")
        return f"b{name}{mark}{signature}={found[1]}@{self.domain}"

    def decode(self, local: str, now: float) -> Decoded:
        """The local part of an address at our domain. `now`: seconds since 1970."""
        found = _SIGNED.match(local)
        key = self._keys.get(found[1].lower()) if found else None
        if found is None or key is None:
            return Decoded("forged")
        mark = found[2].lower()
        for domain in self._domains:
            sender = f"{found[4]}@{domain}"
            if hmac.compare_digest(_signature(key, mark, sender), found[3].lower()):
                age = now - _seconds(mark)
                if not -_AHEAD <= age <= LIFETIME:
                    return Decoded("expired")
                return Decoded("valid", sender, mark.upper())
        return Decoded("forged")


def mark_of(capture_id: str) -> str:
    """What a return path says of a capture id."""
    return capture_id[:_TIME] + capture_id[-_TAIL:]


def span_of(mark: str) -> tuple[str, str, str]:
    """The capture ids that a mark may mean: the first and the last possible, and their end."""
    return mark[:_TIME] + "0" * 16, mark[:_TIME] + "Z" * 16, mark[_TIME:]


def _signature(key: Key, mark: str, sender: str) -> str:
    signed = f"{key.name}\0{mark}\0{sender.lower()}".encode()
    value = int.from_bytes(hmac.digest(key.secret, signed, hashlib.sha256)[:10], "big")
    digits = [_DIGITS[value >> shift & 31] for shift in range(75, -1, -5)]
    return "".join(digits).lower()


def _seconds(mark: str) -> float:
    """When the capture was made; 0 for what is no time."""
    value = 0
    for character in mark[:_TIME].upper():
        digit = _DIGITS.find(character)
        if digit < 0:
            return 0.0
        value = value << 5 | digit
    return value / 1000
