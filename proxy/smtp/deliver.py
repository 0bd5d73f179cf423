"""Delivers the mail that is ours: claims from the queue, hands over, records what became of it.

An edge. One `QueueRunner` in the worker process. Messages are claimed with a lease, split by
destination (the recipient's domain where the route is "mx", else the one route), handed over by a
few connections a destination, and settled in batches.

What a crash leaves (failpoints by number)
  14 queue.claimed    a lease that ends after LEASE seconds; then the message is due again
  15 queue.delivered  the hop has it and the row does not say so: it is delivered once more
  16 queue.recorded   nothing: the row is the truth
So: at least once, never lost. RFC 5321 section 6.1 lets nobody do better.

Promises
- Nothing ends the runner but `stop`: a store that is locked or full, a blob that is missing, a
  fault of ours in one message are logged and tried again.
- A dead destination is tried once per wait, not once per message.
- A slow destination holds its own mail only: a quarter of the places, never all.
- Bounded: MAX_MESSAGES claimed, MAX_DESTINATIONS at work, MAX_PER_DESTINATION connections each,
  TRANSACTION_LIMIT seconds for one message to one destination.
- After `stop` no message is begun; those at work have GRACE seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from crmstore.queue import QueuedMessage, Result, Settled

MAX_MESSAGES: Final = 200
MAX_DESTINATIONS: Final = 20
MAX_PER_DESTINATION: Final = 4
MAX_WAITING: Final = MAX_MESSAGES // 4
BATCH: Final = 50
LEASE: Final = 300.0
TRANSACTION_LIMIT: Final = 3600.0
GRACE: Final = 20.0
POLL: Final = 1.0
CROWDED: Final = 30.0
# One route for everything: worth a look every five minutes, however long it has been away.
ROUTE_MAX_WAIT: Final = 300.0


class Bodies(Protocol):
    """What we need of the archive."""

    def stream(self, sha256: str, chunk: int = ...) -> Iterator[bytes]:
        """The body in pieces."""


class QueueLike(Protocol):
    """What we need of crmstore.queue.Queue."""

    def claim(
        self, n: int, now: float, lease_seconds: float, owner: str
    ) -> list[QueuedMessage]: ...
    def extend(self, message: QueuedMessage, now: float, lease_seconds: float) -> bool: ...
    def release(self, message: QueuedMessage, now: float) -> bool: ...
    def settle(
        self,
        message: QueuedMessage,
        results: Sequence[Result],
        now: float,
        next_at: float | None = None,
    ) -> Settled | None: ...
