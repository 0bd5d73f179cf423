"""What the queue holds, as values: messages, recipients, results of an attempt; and reading them.

Nothing here changes a row; queue.py and reporting.py do. Bodies are in the archive, by sha256.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection, select

from crmstore import schema
from crmstore.bulk import among
from crmstore.meaning import Meaning

__all__ = ["QueuedMessage", "QueuedRecipient", "Result", "Settled", "load"]

messages = schema.queue_messages
recipients = schema.queue_recipients


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient that still waits (or, from show(), one with its end)."""

    id: int
    address: str
    params: tuple[str, ...]
    state: str
    attempts: int
    reply: str
    category: str = ""  # what the reply meant; "" = nothing bad
    remote: str = ""  # whose reply it was
    passed_on: bool = False  # that server tells the sender by itself
    told: str = ""  # what the sender was told last
    changed: float = 0.0


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message whose lease we hold. `recipients` are those that still wait."""

    id: int
    capture_id: str
    listener: str
    sender: str
    sender_params: tuple[str, ...]
    recipients: tuple[QueuedRecipient, ...]
    trace: str
    sha256: str
    bytes: int
    flags: tuple[str, ...]
    attempts: int
    created: float
    expires: float
    state: str = "sending"
    lease: str = field(default="", repr=False)
    next: float = 0.0
    report_us: int | None = None  # when its sender is to be told something


_NOTHING = Meaning()


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt gave for one recipient; `reply` is the remote's words to the letter."""

    recipient_id: int
    outcome: Literal["delivered", "failed", "later"]
    reply: str
    meaning: Meaning = _NOTHING


@dataclass(frozen=True, slots=True)
class Settled:
    """What settle() made of it: the message's state, and recipients that ended by expiry."""

    state: str
    expired: tuple[int, ...] = ()


def load(connection: Connection, ids: Sequence[int], *, waiting_only: bool) -> list[QueuedMessage]:
    """Messages with their recipients, in the order of `ids`."""
    columns = recipients.c
    wanted = select(recipients).where(among(connection, columns.queue_id, ids)).order_by(columns.id)
    if waiting_only:
        wanted = wanted.where(columns.state == "queued")
    by_message: dict[int, list[QueuedRecipient]] = {}
    for row in connection.execute(wanted):
        by_message.setdefault(row.queue_id, []).append(
            QueuedRecipient(
                row.id,
                row.address,
                tuple(json.loads(row.params)),
                row.state,
                row.attempts,
                row.reply,
                row.category,
                row.remote,
                bool(row.passed_on),
                row.told,
                row.changed_us / 1e6,
            )
        )
    rows = connection.execute(select(messages).where(among(connection, messages.c.id, ids)))
    found = {
        row.id: QueuedMessage(
            id=row.id,
            capture_id=row.capture_id,
            listener=row.listener,
            sender=row.sender,
            sender_params=tuple(json.loads(row.sender_params)),
            recipients=tuple(by_message.get(row.id, ())),
            trace=row.trace,
            sha256=row.sha256,
            bytes=row.bytes,
            flags=tuple(json.loads(row.flags)),
            attempts=row.attempts,
            created=row.created_us / 1e6,
            expires=row.expires_us / 1e6,
            state=row.state,
            lease=row.lease or "",
            next=row.next_us / 1e6,
            report_us=row.report_us,
        )
        for row in rows
    }
    return [found[i] for i in ids if i in found]
