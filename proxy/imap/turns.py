"""Commands that share a tag, told apart (core).

    turns.named(b"x")    # b"x 1": what a command is called while another x waits for its answer
    turns.next(b"x")     # b"x 1": that x is answered; this one is x from now on. None: no other

Some clients give all their commands one tag; the answers come in the order of the commands then
(pending.py, which also bounds how many wait).
"""

from __future__ import annotations


class Turns:
    """Those of one session."""

    __slots__ = ("_serial", "_waiting")

    def __init__(self) -> None:
        self._serial = 0
        self._waiting: dict[bytes, list[bytes]] = {}

    def named(self, tag: bytes) -> bytes:
        """A name that is no tag, for no tag has a space."""
        self._serial += 1
        name = b"%b %d" % (tag, self._serial)
        self._waiting.setdefault(tag, []).append(name)
        return name

    def next(self, tag: bytes) -> bytes | None:
        """The first of those that wait behind this tag; it waits no longer."""
        waiting = self._waiting.get(tag)
        if waiting is None:
            return None
        name = waiting.pop(0)
        if not waiting:
            del self._waiting[tag]
        return name
