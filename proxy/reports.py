"""Tells the senders of queued mail what became of it: once each, also through crashes (edge).

In the worker, beside the queue runner. A round: which messages have something to tell
(crmstore/reporting.py), what and how (bounce/compose.py), the report into the archive, then one
transaction that queues it and notes that it was told.

What a crash leaves (failpoints by number)
  17 report.written  a blob that no row names; the round is done again, with another report
  18 report.queued   nothing: it is told
Promises: never raises out of `once`; a message whose bytes are gone is reported without them; a
report that cannot be written stops no other one.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final

from bounce.compose import MAX_FULL, MAX_HEADER, Composed, Original, Told, compose, wanted
from config.settings import Settings
from crmstore.archive import Archive, BlobDamaged, BlobMissing
from crmstore.queued import QueuedMessage, QueuedRecipient
from crmstore.reporting import NewReport, Reporting
from crmstore.store import Store, StoreError
from proxy import maillog, metrics
from proxy.captureid import new_capture_id
from proxy.failpoint import failpoint

ROUND: Final = 50
PAUSE: Final = 2.0


class Reporter:
    """One a worker. `once` blocks: call it from a thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        archive: Archive,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hostname = settings.node.hostname
        self._retry_for = settings.outbound.retry_for
        self._delay = settings.bounce.delay_notice
        self._reporting = Reporting(store)
        self._archive = archive
        self._clock = clock

    def once(self) -> int:
        """Tell all that is due; how many reports that made."""
        made = 0
        try:
            for message in self._reporting.due(self._clock(), ROUND):
                try:
                    made += self._tell(message)
                except (ValueError, TypeError, UnicodeError, OverflowError) as error:
                    maillog.worker_fault("writing a report to a sender", error)
        except (StoreError, OSError) as error:
            maillog.store_trouble("reports to senders", error, PAUSE)
        return made

    def _tell(self, message: QueuedMessage) -> bool:
        now = self._clock()
        late = bool(self._delay) and now >= message.created + self._delay
        words = {
            r.id: word
            for r in message.recipients
            if (word := wanted(r.state, r.params, r.told, passed_on=r.passed_on, late=late))
        }
        if not message.sender:  # never an answer to a null return path (RFC 5321 section 4.5.5)
            words = {}
        told = [
            _told(recipient, word)
            for recipient in message.recipients
            if (word := words.get(recipient.id, "none")) != "none"
        ]
        report = self._compose(message, told, now) if told else None
        waiting = any(r.state == "queued" and r.told == "" for r in message.recipients)
        next_at = message.created + self._delay if waiting and not late and self._delay else None
        done = self._reporting.done(
            message,
            words,
            report=report,
            next_at=next_at,
            now=now,
            retry_for=self._retry_for,
        )
        if not done or report is None:
            return False
        failpoint("18.report.queued")
        for one in told:
            maillog.sender_told(message.capture_id, message.sender, one.address, one.action)
            metrics.sent_report(one.action)
        return True

    def _compose(self, message: QueuedMessage, told: list[Told], now: float) -> NewReport:
        content, whole = self._content(message)
        original = Original(
            message.capture_id,
            message.sender,
            message.sender_params,
            message.created,
            message.expires,
            content,
            whole and not any("5.6.3" in one.reply for one in told),
        )
        ident = new_capture_id(int(now * 1000), secrets.randbits(80))
        composed: Composed = compose(original, told, ident=ident, hostname=self._hostname, now=now)
        digest = hashlib.sha256(composed.content).hexdigest()
        self._archive.put(digest, composed.content)
        self._archive.sync()
        failpoint("17.report.written")
        return NewReport(ident, digest, len(composed.content), composed.params)

    def _content(self, message: QueuedMessage) -> tuple[bytes, bool]:
        """As much of the message as a report can quote, and whether that is all of it."""
        most = MAX_FULL if message.bytes <= MAX_FULL else MAX_HEADER
        read = bytearray()
        try:
            for piece in self._archive.stream(message.sha256, most):
                read += piece
                if len(read) > most:
                    break
        except (BlobMissing, BlobDamaged) as error:
            maillog.worker_fault("reading a message for a report", error)
        return bytes(read[:most]), len(read) == message.bytes <= MAX_FULL


def _told(recipient: QueuedRecipient, word: str) -> Told:
    return Told(
        recipient.address,
        word,  # type: ignore[arg-type]  # wanted() gives nothing else but "none"
        recipient.reply,
        recipient.category,
        recipient.remote,
        recipient.params,
        recipient.changed,
        expired=recipient.state == "expired",
    )
