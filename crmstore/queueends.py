"""What recipients of queued mail came to: evidence, and who is refused or free again.

Written in the transaction that settles them (queue.py), so a result and its consequences are there
together or not at all. Cites: bounce/MATCHING.md; SCHEMA.md "What became of mail".
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from crmstore import addresses, outcomes, suppressions
from crmstore.meaning import Meaning
from crmstore.outcomes import Outcome
from crmstore.queued import QueuedMessage, Result

__all__ = ["Ended"]


class Ended:
    """One transaction's worth of it."""

    def __init__(self, connection: Connection, now_us: int, patience: tuple[int, float]) -> None:
        self._connection = connection
        self._now_us = now_us
        self._patience = patience
        self._outcomes: list[tuple[Outcome, bool]] = []  # and whether it counts
        self._good: dict[bool, set[str]] = {True: set(), False: set()}

    def add(self, message: QueuedMessage, results: Sequence[Result]) -> None:
        """Results of one message."""
        if not message.sender:
            return  # a report of ours: nobody waits for it
        known = {recipient.id: recipient for recipient in message.recipients}
        for result in results:
            recipient = known.get(result.recipient_id)
            if recipient is None or result.outcome == "later":
                continue
            address, meaning = addresses.key(recipient.address), result.meaning
            if result.outcome == "delivered":
                self._good[meaning.final_hop].add(address)
                continue
            hard = meaning.hard or not meaning.category
            self._bounce(message, address, hard, meaning, result.reply, "live")

    def expired(self, message: QueuedMessage, rows: Sequence[Any]) -> None:
        """Recipients that were tried until the end."""
        for row in rows if message.sender else ():
            category = row.category or "server_unavailable"
            meaning = Meaning(category=category, status="4.4.7", counts=True)
            self._bounce(message, addresses.key(row.address), False, meaning, row.reply, "report")

    def _bounce(
        self,
        message: QueuedMessage,
        address: str,
        hard: bool,
        meaning: Meaning,
        words: str,
        source: str,
    ) -> None:
        outcome = Outcome(
            message.capture_id,
            address,
            "hard" if hard else "soft",
            meaning.category or "undetermined",
            meaning.status,
            words,
            source,
            source,
            None,
            self._now_us,
        )
        self._outcomes.append((outcome, meaning.counts))

    def write(self) -> None:
        """Once, at the end of the transaction."""
        for everything, found in self._good.items():
            suppressions.succeeded(self._connection, found, everything=everything)
        if not self._outcomes:
            return
        counted = {outcome[:3] for outcome, counts in self._outcomes if counts}
        for one in outcomes.record(self._connection, [outcome for outcome, _ in self._outcomes]):
            if one[:3] in counted:
                suppressions.bounced(self._connection, one, self._patience)
