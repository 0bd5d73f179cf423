"""Sets of UIDs as ranges, and their notation in IMAP. A core.

A mailbox of a million messages is usually a few ranges: a set costs what its gaps cost.
Notation: RFC 3501 section 9 `sequence-set`, here without `*`, which only a client may say.

Limits: a UID is a number from 1 to 2^32 - 1; at most MOST_RANGES ranges in a set (`add` then
refuses what would make another), so hostile UIDs cannot take the memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

HIGHEST: Final = 2**32 - 1
MOST_RANGES: Final = 100_000
_PART = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?", re.ASCII)


class UidSet:
    """Ascending ranges that never touch."""

    __slots__ = ("_first", "_last")

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """ "1:300,305" as a set; ValueError for anything else. "" is the empty set."""
        found = cls()
        for low, high in parse_ranges(text):
            found.add(low, high)
        return found

    def __contains__(self, uid: int) -> bool:
        at = bisect_right(self._first, uid) - 1
        return at >= 0 and uid <= self._last[at]

    def add(self, low: int, high: int | None = None) -> bool:
        """Put `low` to `high` (both included) in; false if the set has too many ranges for it."""
        high = low if high is None else high
        first, last = self._first, self._last
        # The common case by far: the next UID of a mailbox that is read from its beginning.
        if last and low == last[-1] + 1:
            last[-1] = high
            return True
        begin = bisect_right(last, low - 2)  # the first range that overlaps or touches
        end = bisect_right(first, high + 1)  # behind the last one that does
        if begin < end:
            low, high = min(low, first[begin]), max(high, last[end - 1])
        elif len(first) >= MOST_RANGES:
            return False
        first[begin:end] = [low]
        last[begin:end] = [high]
        return True

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The ranges, ascending."""
        return zip(self._first, self._last, strict=True)

    def __len__(self) -> int:
        """How many UIDs."""
        return sum(last - first + 1 for first, last in self.ranges())

    def __str__(self) -> str:
        return ",".join(
            str(first) if first == last else f"{first}:{last}" for first, last in self.ranges()
        )


def common(one: UidSet, other: UidSet) -> int:
    """How many UIDs are in both."""
    count = 0
    ranges = other.ranges()
    low, high = next(ranges, (0, 0))
    for first, last in one.ranges():
        while high and high < first:
            low, high = next(ranges, (0, 0))
        while high and low <= last:
            count += min(last, high) - max(first, low) + 1
            if high > last:
                break
            low, high = next(ranges, (0, 0))
    return count


def without(one: UidSet, other: UidSet) -> UidSet:
    """The UIDs that are in `one` and not in `other`."""
    found = UidSet()
    ranges = other.ranges()
    low, high = next(ranges, (0, 0))
    for first, last in one.ranges():
        start = first
        while high and high < start:
            low, high = next(ranges, (0, 0))
        while high and low <= last and start <= last:
            if low > start:
                found.add(start, low - 1)
            start = high + 1
            if high <= last:
                low, high = next(ranges, (0, 0))
        if start <= last:
            found.add(start, last)
    return found


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """The parts of a set in the order they stand, each (low, high). ValueError if it is none.

    COPYUID and APPENDUID pair sets by position (RFC 4315 section 3), so order matters there.
    """
    if not text:
        return []
    found = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError("a set of UIDs like 1:300,305")
        low = int(match[1])
        high = int(match[2]) if match[2] else low
        low, high = min(low, high), max(low, high)  # "5:1" means the same (RFC 3501, seq-range)
        if not 1 <= low <= high <= HIGHEST:
            raise ValueError("UIDs from 1 to 2^32 - 1")
        found.append((low, high))
    return found


def listed(text: str, most: int) -> list[int]:
    """The UIDs of a set one by one, in the order they stand; ValueError if more than `most`."""
    ranges = parse_ranges(text)
    if sum(high - low + 1 for low, high in ranges) > most:
        raise ValueError(f"a set of at most {most} UIDs")
    return [uid for low, high in ranges for uid in range(low, high + 1)]
