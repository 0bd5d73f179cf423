"""What is known of a message in a mailbox besides its octets (core)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Source = Literal["imap_fetch", "imap_append", "companion"]
Outcome = Literal["accepted", "refused", "unknown"]


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

    def write(self, chunk: bytes) -> None:
        """More octets."""

    def finish(
        self, outcome: Outcome, reply: str = "", *, learned: dict[str, int] | None = None
    ) -> None:
        """All octets were there."""

    def discard(self) -> None:
        """It is no message after all."""
