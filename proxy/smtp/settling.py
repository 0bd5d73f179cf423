"""Records what became of claimed messages: in batches, until the store takes it.

An edge of the queue runner. Settling is the only place where an attempt becomes a fact, so it
does not give up: a store that is locked or full is asked again, with back-off, while the results
wait in memory (as many as messages may be claimed). Only then the mail log and the metrics hear
of it. It also keeps the leases of what is claimed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bounce.live import said
from crmstore.meaning import Meaning
from crmstore.queue import Queue
from crmstore.queued import QueuedMessage, Result, Settled
from proxy import maillog, metrics
from proxy.failpoint import failpoint
from proxy.smtp.handover import Outcome

MAX_PAUSE: Final = 30.0


@dataclass(slots=True)
class Claimed:
    """A message whose lease we hold, while its parts are on their way."""

    message: QueuedMessage
    parts: int
    mine: bool = True
    outcomes: dict[int, tuple[Outcome, str]] = field(default_factory=dict)  # and the target
    next_at: float | None = None

    def later(self, at: float) -> None:
        """Not after this time is it to be tried again."""
        self.next_at = at if self.next_at is None else min(self.next_at, at)


class Settler:
    """Takes claimed messages that are through, writes them down, lets go of them."""

    def __init__(
        self,
        queue: Queue,
        clock: Callable[[], float],
        lease: float,
        on_settled: Callable[[], None],
        *,
        final_hop: bool = False,
    ) -> None:
        """`final_hop`: what answers is the recipients' own server, no relay of ours."""
        self._queue = queue
        self._clock = clock
        self._lease = lease
        self._on_settled = on_settled
        self._final_hop = final_hop
        self._done: list[Claimed] = []
        self._early: list[tuple[Claimed, list[Result]]] = []
        self._something = asyncio.Event()
        self.held: dict[int, Claimed] = {}

    def hold(self, claimed: Claimed) -> None:
        """From now on its lease is kept."""
        self.held[claimed.message.id] = claimed

    def settle(self, claimed: Claimed) -> None:
        """Its parts are through."""
        self._done.append(claimed)
        self._something.set()

    def record(self, claimed: Claimed) -> None:
        """A part of it is through; others may take long, and a crash must not repeat this one."""
        self._early.append((claimed, self._results(claimed)))
        self._something.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._something.wait()
            try:
                await self.flush()
            except Exception as error:  # of the log or the metrics: what is settled is settled
                maillog.worker_fault("settling queued mail", error)

    async def flush(self, patience: float | None = None) -> None:
        """Write all that is there; with `patience` give up after so many seconds."""
        end = None if patience is None else asyncio.get_running_loop().time() + patience
        pause = 0.5
        while self._done or self._early:
            batch, early = self._done[:], self._early[:]
            self._something.clear()
            now = self._clock()
            try:
                settled = await asyncio.to_thread(self._write, batch, early, now)
            except Exception as error:
                if end is not None and asyncio.get_running_loop().time() > end:
                    return
                maillog.store_trouble("settling queued mail", error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
                continue
            failpoint("16.queue.recorded")
            pause = 0.5
            del self._done[: len(batch)]
            del self._early[: len(early)]
            for claimed, fact in zip(batch, settled, strict=True):
                self.held.pop(claimed.message.id, None)
                self._on_settled()
                if fact is not None:
                    _tell(claimed, fact, now)

    def _write(
        self, batch: list[Claimed], early: list[tuple[Claimed, list[Result]]], now: float
    ) -> list[Settled | None]:
        """In a thread. What nobody tried is given back without counting an attempt."""
        for claimed, results in early:
            if claimed.parts:  # else it is in this batch or was in one
                self._queue.record(claimed.message, results, now)
        tried = [claimed for claimed in batch if claimed.outcomes]
        for claimed in batch:
            if not claimed.outcomes:
                self._queue.release(claimed.message, claimed.next_at or now)
        settled = iter(
            self._queue.settle_many([(c.message, self._results(c), c.next_at) for c in tried], now)
            if tried
            else ()
        )
        return [next(settled) if claimed.outcomes else None for claimed in batch]

    def _results(self, claimed: Claimed) -> list[Result]:
        return [
            Result(ident, outcome.kind, outcome.reply.text, meaning_of(outcome, self._final_hop))
            for ident, (outcome, _) in claimed.outcomes.items()
        ]

    async def keep_leases(self) -> None:
        """Until cancelled: what is held stays ours."""
        while True:
            await asyncio.sleep(self._lease / 3)
            for claimed in list(self.held.values()):
                try:
                    claimed.mine = await asyncio.to_thread(
                        self._queue.extend, claimed.message, self._clock(), self._lease
                    )
                except Exception as error:
                    maillog.store_trouble("keeping leases", error, self._lease / 3)
                    break


def meaning_of(outcome: Outcome, final_hop: bool) -> Meaning:
    """What an outcome says of its recipient."""
    if outcome.kind == "delivered":
        return Meaning(remote=outcome.remote, final_hop=final_hop, passed_on=outcome.passed_on)
    return said(outcome.reply.text, outcome.stage, final_hop=final_hop, remote=outcome.remote)


def _tell(claimed: Claimed, fact: Settled, now: float) -> None:
    """The log and the metrics, a line and a count for each recipient."""
    message = claimed.message
    for recipient in message.recipients:
        outcome, target = claimed.outcomes.get(recipient.id, (None, ""))
        words = outcome.reply.text if outcome else recipient.reply
        if recipient.id in fact.expired:
            maillog.undeliverable(message.capture_id, recipient.address, "expired", words)
            metrics.delivery_attempt("expired")
            if message.sender:
                said = meaning_of(outcome, False).category if outcome else recipient.category
                metrics.bounce("soft", said or "server_unavailable", "report")
        elif outcome is None:
            continue
        elif outcome.kind == "delivered":
            tries = recipient.attempts + 1
            maillog.delivered(message.capture_id, recipient.address, target, words, tries)
            metrics.delivery_attempt("delivered")
        elif outcome.kind == "failed":
            maillog.undeliverable(message.capture_id, recipient.address, "failed", words)
            metrics.delivery_attempt("failed")
            meaning = meaning_of(outcome, False)
            if message.sender:
                metrics.bounce("hard" if meaning.hard else "soft", meaning.category, "live")
        else:
            wait = max(0.0, (claimed.next_at or now) - now)
            maillog.deferred(message.capture_id, recipient.address, target, words, wait)
            metrics.delivery_attempt("deferred")
