"""Memory for bodies on their way to the disk, used again and again (core).

    pieces = blocks.keep(octets)     # a copy: the octets may change after the call
    blocks.give(pieces)              # written: others may have the memory

A copy of 256 KB into memory that the kernel has to clear first costs three times what it costs
into memory that was used a moment ago (decision 0119). What is small is kept as it is.

Promises: a piece stays as it is until it is given back; who forgets to give it back wastes nothing.
Limits: pieces take at most twice their size. SPARE blocks are kept at most, and those that nobody
needed for a second are let go of (`trim`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BLOCK: Final = 64 << 10
SPARE: Final = 128

Octets = bytes | memoryview


class Blocks:
    """Those of one door process. Lives in its loop."""

    def __init__(self) -> None:
        self._spare: list[memoryview] = []
        self._least = 0  # so many nobody needed since the last `trim`

    def keep(self, octets: Octets) -> list[Octets]:
        """A copy of these, in order."""
        size = len(octets)
        if size < BLOCK // 2:
            return [bytes(octets)]
        pieces: list[Octets] = []
        for at in range(0, size, BLOCK):
            part = octets[at : at + BLOCK]
            count = len(part)
            if count < BLOCK // 2:
                pieces.append(bytes(part))
            else:
                block = self._take()
                block[:count] = part
                pieces.append(block[:count])
        return pieces

    def _take(self) -> memoryview:
        spare = self._spare
        if not spare:
            return memoryview(bytearray(BLOCK))
        block = spare.pop()
        if len(spare) < self._least:
            self._least = len(spare)
        return block

    def give(self, pieces: Iterable[Octets]) -> None:
        """They come back, each once, and nobody reads them any more."""
        spare = self._spare
        for piece in pieces:
            if isinstance(piece, memoryview) and len(spare) < SPARE:
                spare.append(memoryview(piece.obj))

    def trim(self) -> None:
        """Once a second: let go of what was not needed."""
        if self._least:
            del self._spare[: self._least]
        self._least = len(self._spare)
