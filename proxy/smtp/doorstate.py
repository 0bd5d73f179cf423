"""What the connections of one door process share (edge): journal, next hop, limits, clock.

It is the `Surroundings` of every session (proxy/smtp/policy.py).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from config.settings import Network
from proxy.captureid import CaptureIds
from proxy.journal import JournalWriter
from proxy.metrics import SmtpCounters
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.limits import ConnectionCounts, LoginFailures, client_key, within
from proxy.smtp.nexthop import NextHop
from proxy.smtp.policy import DoorPolicy
from proxy.smtp.trace import mail_date

if TYPE_CHECKING:
    from proxy.smtp.listener import Door

#: Above this part of the connection limit a door behaves as under attack.
STRESS = 0.8


class DoorState:
    """One door process. All of it lives in the loop's thread."""

    def __init__(
        self,
        policy: DoorPolicy,
        *,
        journal: JournalWriter,
        next_hop: NextHop,
        counters: SmtpCounters,
        tls_context: ssl.SSLContext | None,
        connections: int,
        per_client: int,
        proxy_from: tuple[Network, ...] = (),
        on_broken: Callable[[], None],
        failures: LoginFailures | None = None,
    ) -> None:
        self.policy = policy
        self.journal = journal
        self.next_hop = next_hop
        self.counters = counters
        #: One reply, for the metrics.
        self.count: Callable[[str, int], None] = counters.reply
        self.tls_context = tls_context
        self.connections = connections
        self.proxy_from = proxy_from
        self.counts = ConnectionCounts(per_client)
        self.doors: set[Door] = set()
        #: Sessions between the end of a message and its verdict; their client may be gone.
        self.committing = 0
        journal.company = lambda: len(self.doors) - self.committing
        self.stopping = False
        self.now = time.monotonic
        self._direct = policy.hop_kind == "mx"
        #: May this client relay without AUTH? Looked up once for an address, not for a session.
        self.trusts = lru_cache(maxsize=1000)(policy.trusts)
        self._failures = failures or LoginFailures()
        self._on_broken = on_broken
        self._ids = CaptureIds()
        # Seeded by the system: ids must be unique, not secret, and 80 bits are enough for that.
        self._random = Random()
        self._tasks: set[asyncio.Task[None]] = set()
        self._second = -1
        self._date = ""
        self._iso = ""

    # ------------------------------------------------------------------ Surroundings

    @property
    def capabilities(self) -> Capabilities | None:
        """What the next hop offered last; with direct delivery there are many, and no last one."""
        return None if self._direct else self.next_hop.capabilities

    @property
    def journal_full(self) -> bool:
        """Below the configured free space, or no journal at all."""
        return self.journal.full

    @property
    def stress(self) -> bool:
        """Close to the connection limit."""
        return len(self.doors) > self.connections * STRESS

    def new_id(self) -> str:
        """A capture id of this process."""
        return self._ids.next(time.time_ns() // 1_000_000, self._random.getrandbits(80))

    def times(self) -> tuple[str, str]:
        """Now, for the journal and for a header; the slow part is done once a second."""
        stamp = time.time()
        second = int(stamp)
        if second != self._second:
            self._second = second
            moment = datetime.fromtimestamp(second, UTC)
            self._date = mail_date(moment)
            self._iso = moment.strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._iso}.{int((stamp - second) * 1_000_000):06d}Z", self._date

    def login_blocked(self, ip: str) -> bool:
        """Has this address guessed too often?"""
        return self._failures.blocked(client_key(ip), self.now())

    # ------------------------------------------------------------------ the listener's needs

    def login(self, ip: str, good: bool) -> None:
        """A login has ended."""
        key = client_key(ip)
        if good:
            self._failures.succeeded(key, self.now())
        else:
            self._failures.failed(key, self.now())

    @property
    def busy(self) -> bool:
        """A client is still here, or a message of one that has gone is still on its way."""
        return bool(self.doors or self.committing)

    def may_proxy(self, ip: str) -> bool:
        """May this peer speak for others?"""
        return within(ip, self.proxy_from)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that no client's disconnect may cancel."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def journal_broken(self) -> None:
        """The disk has lied: nothing more may be accepted by this process."""
        self._on_broken()
