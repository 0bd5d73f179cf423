"""Delivers the mail that is ours: claims from the queue, hands over, records what became of it.

An edge. One `QueueRunner` in the worker process. Messages are claimed with a lease, split by
destination (the recipient's domain where the route is "mx", else the one route), handed over by a
few connections a destination, and settled in batches.

What a crash leaves (failpoints by number)
  14 queue.claimed    a lease: the next start takes it back at once, anybody after LEASE seconds
  15 queue.delivered  the hop has it and the row does not say so: it is delivered once more
  16 queue.recorded   nothing: the row is the truth
So: at least once, never lost (RFC 5321 section 6.1).

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

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from config.settings import Outbound, Settings
from crmstore.archive import Archive
from crmstore.queue import Queue
from crmstore.queued import QueuedRecipient
from proxy import maillog
from proxy.failpoint import failpoint
from proxy.smtp.handover import Handover, Outcome
from proxy.smtp.hoperrors import HopLost, HopUnavailable
from proxy.smtp.nexthop import MailRoutes, NextHop
from proxy.smtp.replies import Reply
from proxy.smtp.retry import Unreachable, next_attempt
from proxy.smtp.sasl import Account
from proxy.smtp.settling import Claimed, Settler
from proxy.smtp.wayback import WayBack

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
MAX_PAUSE: Final = 30.0
# One route for everything is worth a look every five minutes, however long it has been away.
ROUTE_MAX_WAIT: Final = 300.0

_FAULT: Final = Reply.of(451, "4.3.0", "a fault of ours, see the log")
_TOO_LONG: Final = Reply.of(451, "4.4.2", "the next hop takes too long")


class _Part(NamedTuple):
    """A message's recipients at one destination."""

    destination: str
    claimed: Claimed
    recipients: Sequence[QueuedRecipient]


class QueueRunner:
    """Runs the queue until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        archive: Archive,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        routes: MailRoutes | None = None,
        owner: str = "worker",
    ) -> None:
        """`routes`: for "mx", another way to hosts than the DNS of this machine. `owner`: only one
        runner of this name may be at work on the store at a time (the worker's lock sees to it)."""
        self._settings = settings
        self._outbound: Outbound = settings.outbound
        self._queue = queue
        self._archive = archive
        self._clock = clock
        self._rng = rng or random.Random()
        self._routes = routes
        self._owner = owner
        self._by_domain = self._outbound.route.kind == "mx"
        longest = self._outbound.retry_max
        self._unreachable = Unreachable(
            self._rng,
            self._outbound.retry_first,
            longest if self._by_domain else min(longest, ROUTE_MAX_WAIT),
        )
        self._way_back = WayBack.of_queue(settings)
        self._waiting: dict[str, deque[_Part]] = {}
        self._working: dict[str, int] = {}
        self._proven: set[str] = set()  # a connection stands: more of them may be tried
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        self._free = asyncio.Event()
        hop = await self._built(stop)
        if hop is None:
            return
        self._hop = hop
        await self._take_back()
        final = self._outbound.route.kind in ("mx", "lmtp")
        self._settler = Settler(self._queue, self._clock, LEASE, self._free.set, final_hop=final)
        helpers = [
            asyncio.create_task(self._settler.run()),
            asyncio.create_task(self._settler.keep_leases()),
        ]
        try:
            await self._claim_until(stop)
            await self._finish()
        finally:
            self._stopping = True
            ending = [*helpers, *self._tasks]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self._hop.close()
        await self._settler.flush(patience=5.0)

    async def _take_back(self) -> None:
        """Mail that we had claimed when we were killed need not wait for its lease to end."""
        try:
            await asyncio.to_thread(self._queue.release_owner, self._owner, self._clock())
        except Exception as error:  # a store that is locked or full: then the lease has to end
            maillog.store_trouble("taking back claimed mail", error, LEASE)

    async def _built(self, stop: asyncio.Event) -> NextHop | None:
        """The next hop; a file of certificates that is not there may come yet."""
        while not stop.is_set():
            try:
                return self._next_hop()
            except (OSError, ValueError) as error:
                maillog.worker_fault("outbound.ca", error)
            try:
                await asyncio.wait_for(stop.wait(), MAX_PAUSE)
            except TimeoutError:
                continue
        return None

    def _next_hop(self) -> NextHop:
        settings, outbound = self._settings, self._outbound
        return NextHop(
            outbound.route,
            helo=settings.node.hostname,
            tls=outbound.tls,
            ca=outbound.ca,
            allow_private=outbound.allow_private,
            own=[(listener.listen.host, listener.listen.port) for listener in settings.smtp],
            pool_size=MAX_DESTINATIONS,
            max_open=2 * MAX_DESTINATIONS * MAX_PER_DESTINATION,
            resolver=self._routes,
            account=self._account if outbound.user else None,
        )

    def _account(self) -> Account:
        password = self._outbound.password
        if password is None:
            raise ValueError("no password_file")
        return Account(self._outbound.user, password)

    # -- claiming -----------------------------------------------------------------------------

    async def _claim_until(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        pause = POLL
        try:
            while not stop.is_set():
                more = False
                try:
                    more = await self._claim()
                    pause = POLL
                except Exception as error:
                    pause = min(2 * pause, MAX_PAUSE)
                    maillog.store_trouble("claiming queued mail", error, pause)
                if not more:
                    await asyncio.wait([stopped], timeout=pause)
                while len(self._settler.held) > MAX_MESSAGES - BATCH and not stop.is_set():
                    self._free.clear()
                    free = asyncio.create_task(self._free.wait())
                    await asyncio.wait([stopped, free], return_when=asyncio.FIRST_COMPLETED)
                    free.cancel()
        finally:
            stopped.cancel()

    async def _claim(self) -> bool:
        """Take what is due; true if there may be more."""
        messages = await asyncio.to_thread(
            self._queue.claim, BATCH, self._clock(), LEASE, self._owner
        )
        if messages:
            failpoint("14.queue.claimed")
        for message in messages:
            parts: dict[str, list[QueuedRecipient]] = {}
            for recipient in message.recipients:
                parts.setdefault(self._destination(recipient.address), []).append(recipient)
            claimed = Claimed(message, len(parts))
            self._settler.hold(claimed)
            for destination, recipients in parts.items():
                self._place(_Part(destination, claimed, recipients))
        self._start_workers()
        return len(messages) == BATCH

    def _destination(self, address: str) -> str:
        return address.rpartition("@")[2].lower() if self._by_domain else ""

    def _place(self, part: _Part) -> None:
        """Into the line of its destination, if there is hope and room."""
        if self._put_off(part):
            return
        line = self._waiting.setdefault(part.destination, deque())
        if self._by_domain and len(line) >= MAX_WAITING:
            self._through(part, {}, self._clock() + CROWDED)
        else:
            line.append(part)

    def _put_off(self, part: _Part) -> bool:
        """A destination that cannot be reached is not asked for each message."""
        hold = self._unreachable.held(part.destination, self._clock())
        if hold is None:
            return False
        later = Outcome("later", hold.words, "connect")
        self._through(part, {r.id: later for r in part.recipients}, hold.until)
        return True

    # -- handing over -------------------------------------------------------------------------

    def _start_workers(self) -> None:
        for destination, line in self._waiting.items():
            if self._stopping:
                return
            at_work = self._working.get(destination, 0)
            if at_work == 0 and len(self._working) >= MAX_DESTINATIONS:
                continue
            # One connection must stand before more are tried.
            wanted = MAX_PER_DESTINATION if destination in self._proven else 1
            for _ in range(min(wanted - at_work, len(line))):
                self._working[destination] = self._working.get(destination, 0) + 1
                task = asyncio.create_task(self._work(destination, line))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work(self, destination: str, line: deque[_Part]) -> None:
        """One connection's worth of work at one destination."""
        try:
            while line and not self._stopping:
                part = line.popleft()
                if not part.claimed.mine:
                    self._through(part, {}, None)
                elif not self._put_off(part):
                    await self._deliver(part)
        finally:
            self._working[destination] -= 1
            if not self._working[destination]:
                del self._working[destination]
                self._proven.discard(destination)
                if not line:
                    del self._waiting[destination]
            self._start_workers()

    async def _deliver(self, part: _Part) -> None:
        """One part, to whatever end; `_through` comes exactly once."""
        outcomes: dict[int, Outcome] = {}
        rest = Outcome("later", _FAULT)
        at: float | None = None
        try:
            async with asyncio.timeout(TRANSACTION_LIMIT):
                await self._hand_over(part, outcomes)
        except HopUnavailable as error:
            rest, at = self._unavailable(part, error)
        except HopLost as error:
            rest = Outcome("later", error.words or error.reply)
        except (TimeoutError, asyncio.CancelledError) as error:
            # Cancelled: we are stopping. The task ends by itself, there is nothing after this.
            rest = Outcome("later", _TOO_LONG)
            at = self._clock() if isinstance(error, asyncio.CancelledError) else None
        except Exception as error:
            maillog.worker_fault("delivering queued mail", error)
        if any(outcome.kind == "delivered" for outcome in outcomes.values()):
            failpoint("15.queue.delivered")
        for recipient in part.recipients:
            outcomes.setdefault(recipient.id, rest)
        if not any(outcome.kind == "later" for outcome in outcomes.values()):
            at = None
        elif at is None:
            at = self._next_attempt(part)
        self._through(part, outcomes, at)

    async def _hand_over(self, part: _Part, outcomes: dict[int, Outcome]) -> None:
        """Fills `outcomes`; raises HopUnavailable or HopLost with those so far."""
        message = part.claimed.message
        for fresh in (False, True):
            self._way_back.refresh()
            conn = await self._hop.connect(part.destination or None, fresh=fresh)
            self._unreachable.worked(part.destination)
            self._proven.add(part.destination)
            self._start_workers()
            handover = Handover(
                conn,
                message,
                part.recipients,
                lambda size: self._archive.stream(message.sha256, size),
                self._way_back.gate,
            )
            try:
                await handover.run()
                self._hop.give_back(conn)
                return
            except HopLost:
                if not conn.reused or handover.answered:
                    raise
                # It had died in the pool, unseen: once more on a fresh one.
            except BaseException:
                conn.abort()
                raise
            finally:
                outcomes.update(handover.outcomes)

    def _unavailable(self, part: _Part, error: HopUnavailable) -> tuple[Outcome, float | None]:
        words = error.words or error.reply
        target = part.destination or str(self._outbound.route)
        maillog.hop_unavailable("outbound", target, error.stage, error.detail or words.text)
        if error.permanent:
            # The recipient's domain takes no mail, or there is none: not about us.
            stage = "domain" if (words.enhanced or "").startswith("5.1.") else "connect"
            return Outcome("failed", words, stage), None
        hold = self._unreachable.failed(part.destination, self._clock(), words)
        return Outcome("later", words, "connect"), hold.until

    def _next_attempt(self, part: _Part) -> float:
        attempts = 1 + max(recipient.attempts for recipient in part.recipients)
        first, longest = self._outbound.retry_first, self._outbound.retry_max
        return next_attempt(attempts, self._clock(), self._rng, first, longest)

    def _through(self, part: _Part, outcomes: dict[int, Outcome], at: float | None) -> None:
        """A part has come to its end; with the last one the message is settled."""
        claimed = part.claimed
        target = part.destination or str(self._outbound.route)
        claimed.outcomes.update({ident: (o, target) for ident, o in outcomes.items()})
        if at is not None:
            claimed.later(at)
        claimed.parts -= 1
        if claimed.parts == 0:
            self._settler.settle(claimed)
        elif any(outcome.kind != "later" for outcome in outcomes.values()):
            self._settler.record(claimed)

    async def _finish(self) -> None:
        """Begin nothing more; wait for what is on its way, but not for ever."""
        self._stopping = True
        for line in self._waiting.values():
            while line:
                self._through(line.popleft(), {}, self._clock())
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
