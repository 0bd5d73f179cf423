"""Capture ids: ULIDs, 26 characters that sort by time and are unique over doors and machines.

48 bits of milliseconds and 80 random bits in Crockford's base 32 (the ULID specification).
A core: the clock and the randomness are arguments.
"""

from __future__ import annotations

import re

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_RANDOM = 1 << 80
_SHAPE = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_capture_id(now_ms: int, random80: int) -> str:
    """The id for this millisecond and these 80 random bits."""
    if not (0 <= now_ms < 1 << 48 and 0 <= random80 < _RANDOM):
        raise ValueError("a ULID holds 48 bits of time and 80 of randomness")
    value = now_ms << 80 | random80
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in range(120, -1, -10)])


def is_capture_id(text: str) -> bool:
    """Only such a text may become part of a file name."""
    return _SHAPE.fullmatch(text) is not None


class CaptureIds:
    """Ids of one process, each greater than the one before, also when the clock goes back."""

    def __init__(self) -> None:
        self._last = -1

    def next(self, now_ms: int, random80: int) -> str:
        value = now_ms << 80 | random80
        if value <= self._last:
            # same millisecond or a clock set back: one more than the last, as ULID says
            value = self._last + 1
        self._last = value
        return new_capture_id(value >> 80, value & _RANDOM - 1)
