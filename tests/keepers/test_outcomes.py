"""Who is refused and what became of mail, on both engines: evidence, runs, lifting, reports."""

from sqlalchemy import select

from crmstore import outcomes, schema, suppressions
from crmstore.meaning import Meaning
from crmstore.outcomes import Outcome
from crmstore.queue import Queue
from crmstore.queued import Result
from crmstore.reporting import NewReport, Reporting
from crmstore.sentids import id_hash
from crmstore.store import Store
from tests.keepers.test_queue import LIFE, NOW, over, put

DAY = 86_400_000_000


def bounce(
    address: str = "bob@x.example",
    *,
    state: str = "hard",
    at: int = 1,
    source: str = "live",
    words: str = "550 no",
    ident: str = "A" * 26,
) -> Outcome:
    category = "invalid_address" if state == "hard" else "mailbox_full"
    return Outcome(ident, address, state, category, "5.1.1", words, source, source, None, at)


def refused(store: Store) -> list[str]:
    return [entry.address for entry in suppressions.entries(store)]


def bounced(store: Store, *each: Outcome, patience: tuple[int, float] = (3, 7 * 86_400)) -> None:
    with store.writing() as connection:
        for one in each:
            suppressions.bounced(connection, one, patience)


def succeeded(store: Store, address: str, *, everything: bool) -> int:
    with store.writing() as connection:
        return suppressions.succeeded(connection, [address], everything=everything)


def test_evidence_is_written_once(store: Store) -> None:
    with store.writing() as connection:
        assert len(outcomes.record(connection, [bounce(), bounce(), bounce(words="other")])) == 2
    with store.writing() as connection:
        assert outcomes.record(connection, [bounce(at=9)]) == []
        found = outcomes.of_captures(connection, ["A" * 26])["A" * 26]["bob@x.example"]
    assert [row.words for row in found] == ["550 no", "other"]


def test_message_ids_are_found_in_any_form(store: Store) -> None:
    assert id_hash("<a@X.example>") == id_hash(" a@x.EXAMPLE\r\n") != id_hash("A@x.example")
    assert id_hash("") == id_hash("<>") == 0
    with store.writing() as connection:
        for _ in range(2):
            outcomes.know_ids(connection, [("<a@x.example>", "A" * 26), ("", "B" * 26)])
        rows = connection.execute(select(schema.sent_ids)).all()
    assert [(row.hash, row.capture_id) for row in rows] == [(id_hash("<a@x.example>"), "A" * 26)]


def test_a_run_of_soft_bounces(store: Store) -> None:
    soft = [bounce(state="soft", at=n * DAY) for n in (0, 1, 6)]
    bounced(store, *soft)
    assert refused(store) == []  # three, but not over a week
    bounced(store, bounce(state="soft", at=7 * DAY))
    assert refused(store) == ["bob@x.example"]


def test_a_success_begins_the_run_anew(store: Store) -> None:
    bounced(store, *[bounce(state="soft", at=n * DAY) for n in (0, 5)])
    succeeded(store, "bob@x.example", everything=False)
    bounced(store, bounce(state="soft", at=8 * DAY))
    assert refused(store) == []


def test_what_lifts_what(store: Store) -> None:
    bounced(store, bounce("live@x.example"), bounce("dsn@x.example", source="dsn"))
    suppressions.add(store, "hand@x.example", words="asked", who="root")
    version = suppressions.version(store)
    for address in ("live@x.example", "dsn@x.example", "hand@x.example"):
        succeeded(store, address, everything=False)
    assert refused(store) == ["dsn@x.example", "hand@x.example"]
    for address in refused(store):
        succeeded(store, address, everything=True)
    assert refused(store) == ["hand@x.example"]
    assert suppressions.version(store) == version + 2
    assert suppressions.remove(store, "Hand@X.example") and refused(store) == []


def test_many_pages(store: Store) -> None:
    bounced(store, *[bounce(f"r{n:04}@x.example") for n in range(30)])
    assert len(suppressions.listing(store, limit=7)) == 7
    assert [e.address for e in suppressions.listing(store, limit=2, after="r0027@x.example")] == [
        "r0028@x.example",
        "r0029@x.example",
    ]


def test_a_report_is_queued_once(store: Store) -> None:
    queue, reporting = Queue(store), Reporting(store)
    ident = put(queue, 1)
    with store.writing() as connection:
        connection.execute(schema.queue_messages.update().values(report_us=5))
    (message,) = reporting.due(1.0, 9)
    told = {message.recipients[0].id: "failed"}
    new = NewReport("R" * 26, "0" * 64, 9, ("BODY=8BITMIME",))

    def done() -> bool:
        return reporting.done(message, told, report=new, next_at=None, now=2.0, retry_for=60.0)

    assert done() is True and done() is False and reporting.due(9.0, 9) == []
    reports = [m for m in queue.listing(limit=9) if not m.sender]
    assert [(m.capture_id, m.recipients[0].address) for m in reports] == [
        ("R" * 26, message.sender)
    ]
    shown = queue.show(ident)
    assert shown is not None and shown.recipients[0].told == "failed"


def test_a_blob_that_a_report_quotes_stays(store: Store) -> None:
    queue = Queue(store)
    put(queue, 1)
    with store.writing() as connection:
        table = schema.queue_messages
        connection.execute(
            table.update().values(only_copy=1, state="failed", report_us=5, lease=None)
        )
    assert queue.spent_blobs() == []
    with store.writing() as connection:
        connection.execute(schema.queue_messages.update().values(report_us=None))
    assert len(queue.spent_blobs()) == 1


def test_the_end_of_an_attempt_writes_evidence_and_suppresses(store: Store) -> None:
    queue = over(store)
    ident = put(queue, 1, recipients=3)
    (message,) = queue.claim(1, NOW, 60, "t")
    dead = Meaning(True, "invalid_address", "5.1.1", "mx", counts=True)
    full = Meaning(False, "mailbox_full", "5.2.2", "mx", counts=True)
    one, two, three = (r.id for r in message.recipients)
    results = [
        Result(one, "failed", "550 5.1.1 no", dead),
        Result(two, "failed", "552 5.2.2 full", full),
        Result(three, "later", "451 wait"),
    ]
    queue.settle(message, results, NOW)
    assert refused(store) == ["r0@x.example"]
    (message,) = queue.claim(1, NOW + 1, 60, "t")
    queue.settle(message, [Result(three, "later", "451 wait")], NOW + LIFE)
    with store.reading() as connection:
        found = outcomes.of_captures(connection, [message.capture_id])[message.capture_id]
    assert {a: (r[-1].state, r[-1].category, r[-1].source) for a, r in found.items()} == {
        "r0@x.example": ("hard", "invalid_address", "live"),
        "r1@x.example": ("soft", "mailbox_full", "live"),
        "r2@x.example": ("soft", "server_unavailable", "report"),
    }
    shown = queue.show(ident)
    assert shown is not None and shown.report_us is not None
