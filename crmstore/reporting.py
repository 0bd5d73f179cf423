"""Which senders of queued mail are to be told something, and that it is done once (a keeper).

queue.py sets `report_us` of a message when something is to be told: recipients failed, its time is
over, it waits for too long. `due` gives those; who composes the report calls `done` with it.
Promises: `done` writes the queue row of the report, what is told of each recipient, and when there
is more to tell, in one transaction, and only if the message is as it was when it was read: a crash
before it leaves all of it to do, after it nothing. So each failure is told exactly once.
The report is mail that is ours, delivered by the same queue: its return path is null, so nothing is
ever told about it. It did not come through a door, so the ledger does not know it and the audit
counts it on no side (decision 0131).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from crmstore import schema
from crmstore.queued import QueuedMessage, load
from crmstore.store import Store, micros

__all__ = ["NewReport", "Reporting"]

messages = schema.queue_messages
recipients = schema.queue_recipients


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report to be sent; its content is in the archive already."""

    capture_id: str
    sha256: str
    bytes: int
    params: tuple[str, ...]


class Reporting:
    """The tables. Blocking: call it from a thread. Clock: `now` is seconds since 1970."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self, now: float, limit: int) -> list[QueuedMessage]:
        """Messages with all their recipients whose senders may have to be told something."""
        wanted = (
            select(messages.c.id)
            .where(messages.c.report_us.is_not(None), messages.c.report_us <= micros(now))
            .order_by(messages.c.report_us)
            .limit(limit)
        )
        with self._store.reading() as connection:
            return load(connection, connection.execute(wanted).scalars().all(), waiting_only=False)

    def done(
        self,
        message: QueuedMessage,
        told: Mapping[int, str],
        *,
        report: NewReport | None,
        next_at: float | None,
        now: float,
        retry_for: float,
    ) -> bool:
        """What `told` says of recipients (id -> word) is told by `report`. False, and nothing is
        written, if the message has changed since it was read: then it is due again."""
        at = micros(now)
        with self._store.writing() as connection:
            gate = connection.execute(
                update(messages)
                .where(messages.c.id == message.id, messages.c.report_us == message.report_us)
                .values(report_us=None if next_at is None else micros(next_at))
            )
            if gate.rowcount != 1:
                return False
            if told:
                connection.execute(
                    update(recipients)
                    .where(recipients.c.id == bindparam("r"), recipients.c.queue_id == message.id)
                    .values(told=bindparam("w")),
                    [{"r": ident, "w": word} for ident, word in told.items()],
                )
            if report is not None:
                self._send(connection, message, report, at, micros(now + retry_for))
            return True

    @staticmethod
    def _send(
        connection: Connection, message: QueuedMessage, report: NewReport, at: int, expires: int
    ) -> None:
        values = {
            "capture_id": report.capture_id,
            "listener": message.listener,
            "sender": "",
            "sender_params": json.dumps(report.params),
            "trace": "",
            "sha256": report.sha256,
            "bytes": report.bytes,
            "flags": "[]",
            "only_copy": 1,
            "state": "queued",
            "attempts": 0,
            "created_us": at,
            "expires_us": expires,
            "next_us": at,
        }
        made = connection.execute(insert(messages).values(values).returning(messages.c.id))
        connection.execute(
            insert(recipients).values(
                queue_id=made.scalar_one(),
                address=message.sender,
                params="[]",
                state="queued",
                attempts=0,
                reply="",
                changed_us=at,
            )
        )
