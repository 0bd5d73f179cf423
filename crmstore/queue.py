"""The queue: mail that is ours to deliver, its states, leases and conditional transitions.

States of a message (maillog and metrics use the same words):

    queued ──claim──▶ sending ──settle──▶ delivered   every recipient was taken
       ▲                 │                failed      at least one was refused for good
       └──settle, release┘ lease over     expired     at least one was tried until the end

A recipient is `queued` until it is `delivered`, `failed` or `expired`; those never change again.
Promises: every transition is one conditional UPDATE on state and lease, so of two runners that
hold the same message (the first was so slow that its lease ran out) only the second is believed.
A message is delivered at least once: a crash between delivery and settle() repeats it.
Runners hold rows, not the store (writing(alone=False)): on PostgreSQL several work side by side,
beside ingest, and claim() skips what another has locked (libraries.md "queue on many nodes").
What a refusal or the end of its time means for a recipient is written down in the same transaction:
outcomes, suppressions (queueends.py), and that its sender is to be told (reporting.py).
Ids never come back. Finished rows stay, with the remote's words, as the history.
Limits: bodies are in the archive, by sha256. Clock: `now` is seconds since 1970, an argument.
Cites: architecture.md "Store"; models.md F (invariants in SQL).
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, select, update

from crmstore import outcomes, schema
from crmstore.bulk import among
from crmstore.queued import QueuedMessage, Result, Settled, load
from crmstore.queueends import Ended
from crmstore.store import Store, micros

__all__ = ["FINAL", "Queue"]

FINAL = ("delivered", "failed", "expired")
PATIENCE = (5, 7 * 86_400.0)
MAX_REPLY = 4000

messages = schema.queue_messages
recipients = schema.queue_recipients


def _token() -> str:
    return secrets.token_hex(12)


class Queue:
    """The queue tables. Blocking: call it from a thread."""

    def __init__(
        self,
        store: Store,
        *,
        token: Callable[[], str] = _token,
        patience: tuple[int, float] = PATIENCE,
    ) -> None:
        """`token` makes a text that is never the same twice (a lease). `patience`: so many soft
        bounces in a row, over so many seconds, bring a recipient onto the suppression list."""
        self._store = store
        self._token = token
        self._patience = patience

    # Taking and giving back

    def claim(self, n: int, now: float, lease_seconds: float, owner: str) -> list[QueuedMessage]:
        """Up to `n` due messages, oldest due first, ours until the lease ends.

        Messages whose runner died are due again when its lease is over.
        """
        at = micros(now)
        lease = f"{owner[:30]}:{self._token()}"[:64]
        due = (
            select(messages.c.id)
            .where(messages.c.state.in_(("queued", "sending")), messages.c.next_us <= at)
            .order_by(messages.c.next_us, messages.c.id)
            .limit(n)
        )
        # Of two runners that look at the same time, each gets what the other did not.
        mine = due.with_for_update(skip_locked=True)
        with self._store.reading() as connection:  # do not take the lock for nothing
            if connection.execute(due.limit(1)).first() is None:
                return []
        with self._store.writing(alone=False) as connection:
            ids = connection.execute(mine).scalars().all()
            connection.execute(
                update(messages)
                .where(among(connection, messages.c.id, ids))
                .values(state="sending", lease=lease, next_us=at + micros(lease_seconds))
            )
            return load(connection, ids, waiting_only=True)

    def extend(self, message: QueuedMessage, now: float, lease_seconds: float) -> bool:
        """Keep the lease longer; False if it is not ours any more."""
        with self._store.writing(alone=False) as connection:
            return _transition(connection, message, next_us=micros(now + lease_seconds))

    def release(self, message: QueuedMessage, now: float) -> bool:
        """Give it back untried (we are stopping): due at once, no attempt is counted."""
        with self._store.writing(alone=False) as connection:
            return _transition(connection, message, state="queued", lease=None, next_us=micros(now))

    def release_owner(self, owner: str, now: float) -> int:
        """What an earlier life of this owner held when it died is due at once; how many that was.

        Only for an owner who is alone of that name, else the other's mail goes out twice.
        """
        held = and_(
            messages.c.state.in_(("queued", "sending")),  # the words of the index
            messages.c.lease.startswith(f"{owner[:30]}:", autoescape=True),
        )
        with self._store.writing(alone=False) as connection:
            freed = update(messages).where(held)
            values = {"state": "queued", "lease": None, "next_us": micros(now)}
            return connection.execute(freed.values(values)).rowcount

    # Ending an attempt

    def settle(
        self,
        message: QueuedMessage,
        results: Sequence[Result],
        now: float,
        next_at: float | None = None,
    ) -> Settled | None:
        """Record one attempt. None if the lease was lost: then nothing was changed.

        Recipients without a result, and those with "later", wait until `next_at` (default: now),
        unless the message's time is over: then they are expired with the words we have.
        """
        return self.settle_many([(message, results, next_at)], now)[0]

    def settle_many(
        self,
        done: Iterable[tuple[QueuedMessage, Sequence[Result], float | None]],
        now: float,
    ) -> list[Settled | None]:
        """The same for several messages in one transaction (one sync)."""
        at = micros(now)
        with self._store.writing(alone=False) as connection:
            ended = Ended(connection, at, self._patience)
            settled = [_settle(connection, m, r, at, next_at, ended) for m, r, next_at in done]
            ended.write()
            return settled

    def record(self, message: QueuedMessage, results: Sequence[Result], now: float) -> bool:
        """Write down what is final (delivered, failed) while other recipients are on their way.

        The attempt goes on, and so does the lease; False if it was lost. settle() may name these
        recipients again: what is final does not change.
        """
        final = [result for result in results if result.outcome != "later"]
        with self._store.writing(alone=False) as connection:
            if not _transition(connection, message, lease=message.lease):
                return False
            ended = Ended(connection, micros(now), self._patience)
            _write(connection, message, final, micros(now))
            ended.add(message, final)
            ended.write()
            return True

    # For people

    def retry(self, queue_id: int, now: float) -> bool:
        """Make a waiting message due now; False if it does not wait."""
        with self._store.writing(alone=False) as connection:
            changed = connection.execute(
                update(messages)
                .where(messages.c.id == queue_id, messages.c.state == "queued")
                .values(next_us=micros(now))
            )
            return changed.rowcount == 1

    def listing(
        self, *, states: Sequence[str] = ("queued", "sending"), limit: int = 50, after: int = 0
    ) -> list[QueuedMessage]:
        """Messages of these states by id, with all their recipients; pages by `after`."""
        with self._store.reading() as connection:
            ids = connection.execute(
                select(messages.c.id)
                .where(messages.c.state.in_(states), messages.c.id > after)
                .order_by(messages.c.id)
                .limit(limit)
            ).scalars()
            return load(connection, ids.all(), waiting_only=False)

    def show(self, queue_id: int) -> QueuedMessage | None:
        """One message with all its recipients."""
        with self._store.reading() as connection:
            found = load(connection, [queue_id], waiting_only=False)
            return found[0] if found else None

    def figures(self, now: float, *, history: bool = True) -> dict[str, tuple[int, float]]:
        """state -> (messages, age of the oldest in seconds), as metrics.queue() takes it.

        Without `history` only what waits is counted: the cost is that of the waiting mail.
        """
        wanted = select(messages.c.state, func.count(), func.min(messages.c.created_us))
        if not history:
            wanted = wanted.where(messages.c.state.in_(("queued", "sending")))
        with self._store.reading() as connection:
            rows = connection.execute(wanted.group_by(messages.c.state))
            return {
                state: (count, max(0.0, now - oldest / 1e6) if state not in FINAL else 0.0)
                for state, count, oldest in rows
            }

    # For maintenance

    def spent_blobs(self, limit: int = 500) -> list[str]:
        """Blobs that only a finished queue row still names: excluded mail after its delivery."""
        other = messages.alias()
        with self._store.reading() as connection:
            return list(
                connection.execute(
                    select(messages.c.sha256)
                    .where(
                        messages.c.only_copy == 1,
                        messages.c.state.in_(FINAL),
                        messages.c.report_us.is_(None),  # the report quotes it
                        ~select(other.c.id)
                        .where(other.c.sha256 == messages.c.sha256, other.c.state.not_in(FINAL))
                        .exists(),
                    )
                    .distinct()
                    .limit(limit)
                ).scalars()
            )

    def blobs_removed(self, digests: Sequence[str]) -> None:
        """These blobs of spent_blobs() are gone: do not name them again."""
        with self._store.writing() as connection:
            connection.execute(
                update(messages)
                .where(
                    messages.c.sha256.in_(digests),
                    messages.c.only_copy == 1,
                    messages.c.state.in_(FINAL),
                )
                .values(only_copy=0)
            )


def _transition(connection: Connection, message: QueuedMessage, **values: Any) -> bool:
    """The one gate: only who holds the lease moves the message."""
    changed = connection.execute(
        update(messages)
        .where(
            messages.c.id == message.id,
            messages.c.state == "sending",
            messages.c.lease == message.lease,
        )
        .values(**values)
    )
    return changed.rowcount == 1


def _settle(
    connection: Connection,
    message: QueuedMessage,
    results: Sequence[Result],
    now_us: int,
    next_at: float | None,
    ended: Ended,
) -> Settled | None:
    over = now_us >= micros(message.expires)
    next_us = now_us if next_at is None else micros(next_at)
    # First the gate, so that a lost lease changes nothing below.
    if not _transition(
        connection,
        message,
        state="queued",
        lease=None,
        attempts=messages.c.attempts + 1,
        next_us=min(next_us, micros(message.expires)) if not over else next_us,
    ):
        return None
    _write(connection, message, results, now_us)
    ended.add(message, results)
    expired: tuple[int, ...] = ()
    waiting = and_(recipients.c.queue_id == message.id, recipients.c.state == "queued")
    if over:
        rows = connection.execute(select(recipients).where(waiting).order_by(recipients.c.id)).all()
        expired = tuple(row.id for row in rows)
        connection.execute(
            update(recipients).where(waiting).values(state="expired", changed_us=now_us)
        )
        ended.expired(message, rows)
    state = _finish(connection, message, now_us)
    if message.sender and (state != "queued" or expired):
        tell = bool(expired) or _worth_telling(message, results)
        connection.execute(
            update(messages)
            .where(messages.c.id == message.id)
            .values(report_us=now_us if tell else None)
        )
    return Settled(state, expired)


def _worth_telling(message: QueuedMessage, results: Sequence[Result]) -> bool:
    """Something failed, or somebody asked to hear of success: reporting.py looks closer."""
    asked = any("SUCCESS" in param.upper() for r in message.recipients for param in r.params)
    return asked or any(result.outcome == "failed" for result in results)


def _write(
    connection: Connection, message: QueuedMessage, results: Sequence[Result], now_us: int
) -> None:
    """Results of recipients that still wait; the others keep what they have."""
    known = {recipient.id for recipient in message.recipients}
    changes = [
        {
            "r": result.recipient_id,
            "s": "queued" if result.outcome == "later" else result.outcome,
            "w": result.reply[:MAX_REPLY],
            "c": result.meaning.category[:32],
            "h": result.meaning.remote[:255],
            "p": int(result.meaning.passed_on),
        }
        for result in results
        if result.recipient_id in known
    ]
    if changes:
        connection.execute(
            update(recipients)
            .where(
                recipients.c.id == bindparam("r"),
                recipients.c.queue_id == message.id,
                recipients.c.state == "queued",
            )
            .values(
                state=bindparam("s"),
                reply=bindparam("w"),
                category=bindparam("c"),
                remote=bindparam("h"),
                passed_on=bindparam("p"),
                attempts=recipients.c.attempts + 1,
                changed_us=now_us,
            ),
            changes,
        )


def _finish(connection: Connection, message: QueuedMessage, now_us: int) -> str:
    """The message's state follows from its recipients'; the timeline follows the message."""
    found = set(
        connection.execute(
            select(recipients.c.state).where(recipients.c.queue_id == message.id).distinct()
        ).scalars()
    )
    if "queued" in found:
        return "queued"
    state = next(
        word for word in ("failed", "expired", "delivered") if word in found or word == "delivered"
    )
    connection.execute(
        update(messages).where(messages.c.id == message.id).values(state=state, finished_us=now_us)
    )
    sightings = schema.sightings
    connection.execute(
        update(sightings)
        .where(sightings.c.capture_id == message.capture_id, sightings.c.status == "queued")
        .values(
            status=case(
                (sightings.c.direction == "received", "received"),
                else_={"failed": "hard_bounce", "expired": "soft_bounce"}.get(state, "delivered"),
            )
        )
    )
    outcomes.refresh(connection, [message.capture_id])
    return state
