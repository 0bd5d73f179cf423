"""Commands that the server has not answered yet, by their tags (core).

    pending.expect(b"a1", b"NOOP")     # False: no more until it is not `crowded` any longer
    pending.answered(b"a1")            # b"NOOP"; None: nobody waits for that

Some clients give all their commands one tag; the answers come in the order of the commands then.
Limits: PENDING commands, if who sends them heeds `expect`.
"""

from __future__ import annotations

from typing import Final

PENDING: Final = 10_000
GO_ON: Final = 7_500


class Pending(dict[bytes, bytes]):
    """Tag and verb of each command that waits."""

    __slots__ = ("again",)

    def __init__(self) -> None:
        super().__init__()
        self.again: list[tuple[bytes, bytes]] = []
        """Commands whose tag is in use: their turn comes when it has been answered."""

    def expect(self, tag: bytes, verb: bytes) -> bool:
        """A tagged answer is to come. False: these are enough."""
        if tag in self:
            self.again.append((tag, verb))
        elif tag:
            self[tag] = verb
        return len(self) + len(self.again) < PENDING

    @property
    def crowded(self) -> bool:
        """Are there more than some, once there were enough?"""
        return len(self) + len(self.again) > GO_ON

    def answered(self, tag: bytes) -> bytes | None:
        """The verb of the command whose answer it is; None if nobody waits for it."""
        verb = self.pop(tag, None)
        if self.again:
            for at, (other, next_verb) in enumerate(self.again):
                if other == tag:
                    del self.again[at]
                    self[tag] = next_verb
                    break
        return verb
