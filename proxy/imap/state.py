"""What the sessions of one IMAP door process share (edge): journal, server, limits, the buffer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config.settings import ImapListener, Settings
from proxy.imap.capture import Captures
from proxy.imap.poller import Poller
from proxy.imap.upstream import UpstreamServer
from proxy.metrics import ImapCounters
from proxy.sharedmemory import shared
from proxy.smtp.limits import TABLE_SIZE, ConnectionCounts, LoginFailures, within

if TYPE_CHECKING:
    from proxy.imap.login import Credentials
    from proxy.imap.session import Session

#: One read of a socket, and what was left over of the read before it.
READ: Final = 256 << 10
REST: Final = 64 << 10
#: Users whose folders' purposes are remembered.
USERS: Final = 1_000


class ImapState:
    """One door process. All of it lives in the loop's thread."""

    def __init__(
        self,
        settings: Settings,
        listener: ImapListener,
        *,
        loop: asyncio.AbstractEventLoop,
        captures: Captures,
        server: UpstreamServer,
        counters: ImapCounters,
        tls_context: ssl.SSLContext | None,
    ) -> None:
        self.listener = listener
        self.domains = settings.node.domains
        self.loop = loop
        self.poller = Poller(loop)
        self.captures = captures
        self.server = server
        self.counters = counters
        self.tls_context = tls_context
        self.sessions: set[Session] = set()
        self.clients = ConnectionCounts(listener.max_connections_per_client)
        self.users = ConnectionCounts(listener.max_connections_per_user)
        self.stopping = False
        self.clock = time.monotonic()
        """Renewed every second by the door: close enough for time-outs."""
        # One for all: a read is passed on, or what is left of it is kept, before the next one.
        self.buffer = bytearray(READ + REST)
        self.view = memoryview(self.buffer)
        self.on_login: Callable[[Session, Credentials | None], Callable[[], None] | None] = (
            lambda session, given: None
        )
        """A user is in, with what a second connection would need (if it could be seen). Returns
        whom to call when the session is over."""
        self._failures = LoginFailures(shared(settings.logins_file, TABLE_SIZE))
        self._purposes: OrderedDict[str, dict[str, str]] = OrderedDict()

    def guesses(self, key: str) -> int:
        """How often has this address (client_key) guessed wrong? TOLERATED is too often."""
        return self._failures.count(key, time.monotonic())

    def login_ended(self, key: str, ok: bool) -> None:
        if ok:
            self._failures.succeeded(key, time.monotonic())
        else:
            self._failures.failed(key, time.monotonic())

    def purposes(self, user: str) -> dict[str, str]:
        """What LIST has told of this user's folders; shared by the user's sessions."""
        found = self._purposes.get(user)
        if found is None:
            found = self._purposes[user] = {}
            if len(self._purposes) > USERS:
                self._purposes.popitem(last=False)
        else:
            self._purposes.move_to_end(user)
        return found

    def may_proxy(self, ip: str) -> bool:
        """May this peer speak for others?"""
        return within(ip, self.listener.proxy_from)
