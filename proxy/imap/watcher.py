"""What an observer needs of its door process: known mail, captures, the metrics (edge)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.imap.capture import Capture, Captures
from proxy.imap.message import Meta


@dataclass(slots=True)
class Watcher:
    """The `World` of one session's observer."""

    captures: Captures
    user: str
    ip: str
    port: int
    tls: str | None
    most: int

    def begin(self, meta: Meta) -> Capture | None:
        meta.client_ip, meta.client_port, meta.client_tls = self.ip, self.port, self.tls
        return self.captures.begin(meta)

    def is_known(self, mailbox: str, uidvalidity: int | None, uid: int | None) -> bool:
        return self.captures.known.has(self.user, mailbox, uidvalidity, uid)

    def learn(self, mailbox: str, uidvalidity: int, uid: int) -> None:
        self.captures.known.add(self.user, mailbox, uidvalidity, uid)

    def selected(self, mailbox: str, uidvalidity: int) -> None:
        self.captures.known.load(self.user, mailbox, uidvalidity)

    def blind(self, reason: str) -> None:
        self.captures.skip(reason)
