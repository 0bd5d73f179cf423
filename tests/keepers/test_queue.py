"""The queue: one owner at a time, every transition conditional, nothing forgotten."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from crmstore import schema
from crmstore.queue import FINAL, Queue
from crmstore.queued import QueuedMessage, Result
from crmstore.store import Store, micros, next_ids
from tests.conftest import blank, migrate, store_at

NOW = 1_000_000.0
LIFE = 1_000.0


def over(store: Store) -> Queue:
    tokens = itertools.count()
    return Queue(store, token=lambda: str(next(tokens)))


@pytest.fixture
def queue(store: Store) -> Queue:
    return over(store)


def put(queue: Queue, number: int, recipients: int = 1, now: float = NOW, **more: Any) -> int:
    values = {
        "capture_id": f"{number:026}",
        "listener": "submission",
        "sender": "a@ours.example",
        "sender_params": '["RET=HDRS"]',
        "trace": "Received: x\r\n",
        "sha256": f"{number:064}",
        "bytes": 5,
        "flags": "[]",
        "only_copy": 0,
        "state": "queued",
        "attempts": 0,
        "created_us": micros(now),
        "expires_us": micros(now + LIFE),
        "next_us": micros(now),
        **more,
    }
    with queue._store.writing() as connection:
        table = schema.queue_messages
        id_ = connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one()
        for n in range(recipients):
            connection.execute(
                insert(schema.queue_recipients).values(
                    queue_id=id_,
                    address=f"r{n}@x.example",
                    params=json.dumps(["NOTIFY=NEVER"]),
                    state="queued",
                    attempts=0,
                    reply="",
                    changed_us=micros(now),
                )
            )
    return int(id_)


def results(message: QueuedMessage, *outcomes: Any) -> list[Result]:
    pairs = zip(message.recipients, outcomes, strict=False)
    return [Result(r.id, outcome, f"250 {outcome}") for r, outcome in pairs]


def states(queue: Queue, id_: int) -> tuple[str, list[str]]:
    shown = queue.show(id_)
    assert shown is not None
    return shown.state, [r.state for r in shown.recipients]


def test_claiming_is_exclusive_until_the_lease_ends(queue: Queue) -> None:
    put(queue, 1)
    (message,) = queue.claim(10, NOW, 60, "one")
    assert message.sender_params == ("RET=HDRS",)
    assert message.recipients[0].params == ("NOTIFY=NEVER",)
    assert queue.claim(10, NOW + 59, 60, "two") == []
    assert [m.id for m in queue.claim(10, NOW + 60, 60, "two")] == [message.id]


def test_oldest_due_first_and_no_more_than_asked(queue: Queue) -> None:
    for n, due in enumerate((3, 1, 2, 9), start=1):
        put(queue, n, next_us=micros(NOW + due))
    assert [m.id for m in queue.claim(2, NOW + 5, 60, "x")] == [2, 3]
    assert [m.id for m in queue.claim(2, NOW + 5, 60, "x")] == [1]
    assert queue.claim(2, NOW + 5, 60, "x") == []


def test_delivered(queue: Queue) -> None:
    id_ = put(queue, 1, recipients=2)
    (message,) = queue.claim(1, NOW, 60, "x")
    settled = queue.settle(message, results(message, "delivered", "delivered"), NOW + 1)
    assert settled is not None and settled.state == "delivered"
    assert states(queue, id_) == ("delivered", ["delivered", "delivered"])
    assert queue.claim(1, NOW + 999, 60, "x") == []


def test_later_keeps_the_words_and_waits(queue: Queue) -> None:
    id_ = put(queue, 1, recipients=2)
    (message,) = queue.claim(1, NOW, 60, "x")
    queue.settle(message, results(message, "later", "delivered"), NOW + 1, NOW + 100)
    assert states(queue, id_) == ("queued", ["queued", "delivered"])
    assert queue.claim(1, NOW + 99, 60, "x") == []
    (again,) = queue.claim(1, NOW + 100, 60, "x")
    assert [(r.address, r.attempts, r.reply) for r in again.recipients] == [
        ("r0@x.example", 1, "250 later")
    ]
    assert again.attempts == 1


def test_a_lost_lease_changes_nothing(queue: Queue) -> None:
    """The first runner was slow; the second has the message: only the second is believed."""
    id_ = put(queue, 1)
    (slow,) = queue.claim(1, NOW, 60, "slow")
    (quick,) = queue.claim(1, NOW + 61, 60, "quick")
    assert queue.settle(slow, results(slow, "failed"), NOW + 62) is None
    assert queue.extend(slow, NOW, 60) is False and queue.release(slow, NOW) is False
    assert states(queue, id_) == ("sending", ["queued"])
    assert queue.extend(quick, NOW + 62, 60) is True
    assert queue.settle(quick, results(quick, "delivered"), NOW + 63) is not None
    assert queue.settle(quick, results(quick, "failed"), NOW + 64) is None
    assert states(queue, id_) == ("delivered", ["delivered"])


def test_a_final_recipient_never_changes_again(queue: Queue) -> None:
    id_ = put(queue, 1, recipients=2)
    (message,) = queue.claim(1, NOW, 60, "x")
    queue.settle(message, results(message, "delivered", "later"), NOW, NOW)
    (again,) = queue.claim(1, NOW, 60, "x")
    wrong = [Result(message.recipients[0].id, "failed", "no"), Result(99_999, "failed", "no")]
    queue.settle(again, wrong, NOW, NOW)
    assert states(queue, id_) == ("queued", ["delivered", "queued"])


@pytest.mark.parametrize(
    ("outcomes", "state", "expired"),
    [
        (["later", "later"], "expired", 2),
        (["delivered", "later"], "expired", 1),
        (["failed", "later"], "failed", 1),
        (["delivered", "failed"], "failed", 0),
        ([], "expired", 2),
    ],
)
def test_the_end_of_its_time(
    queue: Queue, outcomes: Sequence[str], state: str, expired: int
) -> None:
    put(queue, 1, recipients=2)
    (message,) = queue.claim(1, NOW + LIFE, 60, "x")
    settled = queue.settle(message, results(message, *outcomes), NOW + LIFE)
    assert settled is not None
    assert (settled.state, len(settled.expired)) == (state, expired)


def test_the_last_attempt_is_at_the_end_not_after_it(queue: Queue) -> None:
    put(queue, 1)
    (message,) = queue.claim(1, NOW, 60, "x")
    queue.settle(message, results(message, "later"), NOW, NOW + 10 * LIFE)
    assert len(queue.claim(1, NOW + LIFE, 60, "x")) == 1


def test_release_counts_no_attempt(queue: Queue) -> None:
    put(queue, 1)
    (message,) = queue.claim(1, NOW, 60, "x")
    assert queue.release(message, NOW)
    (again,) = queue.claim(1, NOW, 60, "x")
    assert again.attempts == 0


def test_retry_makes_a_waiting_message_due(queue: Queue) -> None:
    id_ = put(queue, 1, next_us=micros(NOW + 500))
    assert queue.retry(id_, NOW) and len(queue.claim(1, NOW, 60, "x")) == 1
    assert not queue.retry(id_, NOW) and not queue.retry(999, NOW)


def test_ids_never_come_back(queue: Queue) -> None:
    last = put(queue, 1)
    with queue._store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM queue_messages")
        assert connection.exec_driver_sql("SELECT count(*) FROM queue_recipients").scalar() == 0
    assert put(queue, 1) == last + 1


def test_impossible_states_are_impossible(queue: Queue) -> None:
    impossible: list[dict[str, Any]] = [{"state": "lost"}, {"state": "sending"}, {"lease": "x"}]
    for values in impossible:
        with pytest.raises(IntegrityError):
            put(queue, 1, **values)


def test_figures_and_listing(queue: Queue) -> None:
    for n in range(1, 4):
        put(queue, n)
    (message,) = queue.claim(1, NOW, 60, "x")
    queue.settle(message, results(message, "delivered"), NOW)
    assert queue.figures(NOW + 7) == {"queued": (2, 7.0), "delivered": (1, 0.0)}
    assert queue.figures(NOW, history=False) == {"queued": (2, 0.0)}
    assert [m.id for m in queue.listing()] == [2, 3]
    assert [m.id for m in queue.listing(after=2)] == [3]
    assert [m.id for m in queue.listing(states=FINAL)] == [1]
    assert queue.show(99) is None


def test_settle_many_is_one_transaction(queue: Queue) -> None:
    for n in range(1, 4):
        put(queue, n)
    claimed = queue.claim(3, NOW, 60, "x")
    done = [(m, results(m, "delivered"), None) for m in claimed]
    assert [s.state for s in queue.settle_many(done, NOW) if s] == ["delivered"] * 3


@pytest.mark.peers
def test_a_runner_waits_for_no_batch_and_no_other_runner(postgres_url: str) -> None:
    """What is locked is passed over; on SQLite there is one writer at a time."""
    store = store_at(postgres_url, Path())
    store.migrate()
    queue = over(store)
    ids = [put(queue, n) for n in range(1, 5)]
    table = schema.queue_messages
    with store.writing() as batch, store.writing(alone=False) as other:
        next_ids(batch, "messages", 1)
        held = select(table.c.id).where(table.c.id.in_(ids[:2])).with_for_update()
        assert len(other.execute(held).all()) == 2
        claimed = queue.claim(4, NOW, 60, "second")
        assert [message.id for message in claimed] == ids[2:]
        assert queue.settle(claimed[0], results(claimed[0], "delivered"), NOW) is not None
    assert [message.id for message in queue.claim(4, NOW, 60, "first")] == ids[:2]
    store.close()


def test_the_timeline_follows(queue: Queue) -> None:
    with queue._store.writing() as connection:
        row = blank(schema.messages, id=1, sha256="0" * 64)
        connection.execute(insert(schema.messages).values(row))
        for n, direction in ((1, "sent"), (2, "received"), (3, "sent")):
            seen = {"capture_id": f"{n:026}", "direction": direction, "status": "queued"}
            connection.execute(
                insert(schema.sightings).values(blank(schema.sightings, message_id=1, id=n, **seen))
            )
    for n, outcome in ((1, "failed"), (2, "delivered"), (3, "later")):
        put(queue, n)
        (message,) = queue.claim(1, NOW + LIFE, 60, "x")
        queue.settle(message, results(message, outcome), NOW + LIFE)
    with queue._store.reading() as connection:
        found = connection.exec_driver_sql("SELECT status FROM sightings ORDER BY id").scalars()
        assert found.all() == ["hard_bounce", "received", "soft_bounce"]


class Runners(RuleBasedStateMachine):
    """Two runners, any order of steps, any loss of leases: a recipient ends once, nothing stays
    in nobody's hands, and what waits can always be claimed again."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        store = Store(Path(self.folder.name) / "mailweir.db")
        migrate(store)
        self.queue = over(store)
        self.now = NOW
        self.held: list[QueuedMessage] = []
        self.ended: dict[int, str] = {}

    @initialize(count=st.integers(1, 4), recipients=st.integers(1, 3))
    def begin(self, count: int, recipients: int) -> None:
        for n in range(1, count + 1):
            put(self.queue, n, recipients)

    @rule(n=st.integers(1, 3))
    def claim(self, n: int) -> None:
        self.held += self.queue.claim(n, self.now, 60, "r")

    @rule(seconds=st.sampled_from([1, 30, 61, 500]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(index=st.integers(0, 9), outcome=st.sampled_from(["delivered", "failed", "later"]))
    def settle(self, index: int, outcome: Any) -> None:
        if not self.held:
            return
        message = self.held.pop(index % len(self.held))
        given = results(message, outcome)
        settled = self.queue.settle(message, given, self.now, self.now + 30)
        if settled is None:
            return
        for result in given:
            if result.outcome != "later":
                assert result.recipient_id not in self.ended
                self.ended[result.recipient_id] = result.outcome
        for id_ in settled.expired:
            assert id_ not in self.ended
            self.ended[id_] = "expired"

    @invariant()
    def rows_agree(self) -> None:
        for message in self.queue.listing(states=("queued", "sending", *FINAL), limit=100):
            waiting = [r for r in message.recipients if r.state == "queued"]
            assert bool(waiting) == (message.state in ("queued", "sending"))
            for recipient in message.recipients:
                assert self.ended.get(recipient.id, "queued") == recipient.state

    def teardown(self) -> None:
        waiting = {m.id for m in self.queue.listing()}
        claimed = {m.id for m in self.queue.claim(100, self.now + 10_000, 60, "last")}
        assert waiting == claimed
        self.queue._store.close()
        self.folder.cleanup()


TestRunners = pytest.mark.slow(Runners.TestCase)
TestRunners.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
