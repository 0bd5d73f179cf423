"""What is known of a message in a mailbox besides its octets, and what an observer needs (core)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Source = Literal["imap_fetch", "imap_append", "companion"]
Outcome = Literal["accepted", "unknown"]

Octets = bytes | memoryview
Tee = Callable[[Octets], None]
"""Takes the octets of a literal as they pass. They are good during the call: who keeps them copies
them."""


def into(parts: list[bytes]) -> Tee:
    """A tee that keeps a short literal."""
    return lambda octets: parts.append(bytes(octets))


@dataclass(slots=True)
class Meta:
    """May be filled in until the capture is finished.

    `mailbox` is UTF-8 text, `special` one of sent, inbox, junk, trash, drafts or "".
    """

    source: Source
    user: str
    mailbox: str
    special: str = ""
    uidvalidity: int | None = None
    uid: int | None = None
    internaldate: str | None = None
    keywords: tuple[str, ...] = ()
    client_ip: str = ""
    client_port: int = 0
    client_tls: str | None = None


class Sink(Protocol):
    """Where the octets of one message go; `proxy.imap.capture.Capture` is the real one."""

    meta: Meta

    def write(self, chunk: Octets) -> None:
        """More octets, as a Tee gets them."""

    def finish(
        self, outcome: Outcome, reply: str = "", *, learned: dict[str, int] | None = None
    ) -> None:
        """All octets were there. A message that was read is dropped if it is known by now."""

    def discard(self) -> None:
        """It is no message after all."""


class World(Protocol):
    """What an observer needs: known mail, captures, and somebody to tell."""

    @property
    def most(self) -> int:
        """The largest message that is captured, in octets."""

    def begin(self, meta: Meta) -> Sink | None:
        """A message comes; None if it will not be captured."""

    def is_known(self, mailbox: str, uidvalidity: int | None, uid: int | None) -> bool:
        """Is it captured already?"""

    def learn(self, mailbox: str, uidvalidity: int, uid: int) -> None:
        """A message that is known lies there as well."""

    def selected(self, mailbox: str, uidvalidity: int) -> None:
        """A mailbox was selected."""

    def blind(self, reason: str) -> None:
        """Something passed that was not understood; `reason` is one of metrics.BLIND_REASONS."""
