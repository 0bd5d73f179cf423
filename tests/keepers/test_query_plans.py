"""The cost of a page and of a batch does not grow with the store: every statement that they run
is recorded and its plan must go along an index. A plan that scans or sorts fails here, long before
somebody has a million messages. Without statistics (we never ask for them) SQLite plans as if
every table were large, so the plans of a small store are those of a large one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from crmstore import capturerules, message, outcomes, records, relink, seasons, timeline
from crmstore.personal import wanted
from tests.paths.office import BODY, Office, opened


def some_mail(made: Office) -> None:
    office_user = made.user("alice@ours.example")
    bob = made.contact("bob@x.example")
    records.add(made.store, "deal", "Big", main_contact=bob.id)
    door = made.door()
    for year in (2019, 2023, 2024):  # of several seasons, so that all of them are asked for
        old = BODY + b"%d" % year
        door.mail(old, auth=office_user.login, time=f"{year}-06-01T08:00:00.000000Z")
    door.mail(auth=office_user.login)
    made.take()


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    with opened(tmp_path, store_url, some_mail) as made:
        yield made


class Recorded:
    """The statements that run inside a `with`, with their parameters."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.statements: dict[str, Any] = {}

    def _note(self, _c: Any, _cur: Any, statement: str, given: Any, _x: Any, many: bool) -> None:
        if not statement.startswith(("PRAGMA", "EXPLAIN", "BEGIN", "SET")):
            self.statements[statement] = given[0] if many else given

    def __enter__(self) -> "Recorded":
        event.listen(self.office.store.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.office.store.engine, "before_cursor_execute", self._note)

    def scans(self) -> list[str]:
        """Plan lines that read a table or an index from end to end, or sort."""
        assert self.statements
        bad = []
        with self.office.store.reading() as connection:
            if connection.dialect.name == "postgresql":
                # It plans for the few rows there are, unless that is forbidden: then what is left
                # of scans and sorts is what no index can answer.
                for way in ("seqscan", "sort", "bitmapscan", "hashjoin", "mergejoin"):
                    connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
            for statement, given in self.statements.items():
                for line in _plan(connection, statement, given):
                    if line.startswith(("SCAN asked VIRTUAL TABLE", "SCAN texts VIRTUAL TABLE")):
                        continue  # the values that are looked for (crmstore/bulk.py)
                    if line.startswith("SCAN found") and "RECURSIVE" in statement:
                        continue  # the seasons that there are (crmstore/seasons.py)
                    if line.startswith("SCAN anon") and "count(*)" in statement:
                        continue  # how much mail there is, up to FEW
                    if line.startswith("USE TEMP") and any(way in statement for way in SEVERAL):
                        continue  # what there is of it, if it is FEW at most
                    if line.startswith("SCAN") or "TEMP B-TREE" in line:
                        bad.append(f"{line}: {statement}")
        return bad


def _plan(connection: Connection, statement: str, given: Any) -> Iterator[str]:
    """The lines of a plan, in SQLite's words."""
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given):
            yield str(row[3])
        return
    for (text,) in connection.exec_driver_sql(f"EXPLAIN {statement}", given):
        line = text.strip().removeprefix("->").strip()
        if line.startswith("Seq Scan on "):
            yield "SCAN " + line.removeprefix("Seq Scan on ")
        elif line.startswith(("Sort ", "Incremental Sort ")):
            yield "USE TEMP B-TREE"


SEVERAL = (">> 43) IN (", ">> 43) = ANY (")
# A row for each door, read whole; the oldest job; the messages that wait to be indexed (255 at
# most); and an index that is in order already, read up to the limit.
FINE = (
    "SCAN journal_positions",
    "SCAN relinks",
    "SCAN search_pending",
    "SCAN messages USING INDEX ix_messages_when_us_id",
)
FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "address": {"address": "bob@x.example"},
    "record": {"record": 1},
    "user": {"user": "alice@ours.example"},
    "source": {"source": "submission"},
    "viewer": {"viewer": "alice@ours.example"},
    "viewer of a record": {"record": 1, "viewer": "alice@ours.example"},
    "viewer of a thread": {"thread": 1, "viewer": "alice@ours.example"},
    "user and source": {"user": "alice@ours.example", "source": "submission"},
    "all of them": {
        "record": 1,
        "address": "bob@x.example",
        "user": "alice@ours.example",
        "source": "submission",
        "viewer": "alice@ours.example",
    },
}


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
@pytest.mark.parametrize("before", [None, "9999999999999999:5"])
def test_a_page(office: Office, filters: dict[str, Any], before: str | None) -> None:
    with Recorded(office) as recorded:
        timeline.page(office.store, **filters, before=before)
        with pytest.MonkeyPatch.context() as patch:  # as of somebody with much mail
            patch.setattr(seasons, "FEW", 0)
            timeline.page(office.store, **filters, before=before)
    if filters.keys() & {"record", "address"}:
        asked = [s for s in recorded.statements if ">> 43)" in s and "RECURSIVE" not in s]
        assert len(asked) >= 3, asked  # of one season, how much in others, of these
    scans = [s for s in recorded.scans() if not s.startswith(FINE)]
    # Sorting is for what is looked up for the rows of one page: these are few.
    assert [s for s in scans if s.startswith("SCAN") or "LIMIT" in s] == []


def test_rows_of_a_page_are_asked_for_together(office: Office) -> None:
    """On PostgreSQL, by bitmaps: one row after the other, each would be a wait for the disk."""
    with Recorded(office) as recorded:
        timeline.page(office.store, record=1)
    with office.store.reading() as connection:
        if connection.dialect.name != "postgresql":
            assert not any("enable_" in statement for statement in recorded.statements)
            return  # SQLite reads one block after the other, whatever it is asked
        timeline.all_at_once(connection)
        plans = [
            str(line)
            for statement, given in recorded.statements.items()
            for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", given)
        ]
    read = {line.split(" on ")[1].split()[0] for line in plans if "Bitmap Heap Scan" in line}
    assert {"messages", "sightings", "participants", "links", "records"} <= read


def test_one_message(office: Office) -> None:
    with Recorded(office) as recorded:
        message.email(office.store, 1)
        message.email(office.store, 1, viewer="alice@ours.example")
    assert [s for s in recorded.scans() if s.startswith("SCAN")] == []


def test_a_batch(office: Office) -> None:
    door = office.door("sub-1")
    waiting = door.message(BODY + b"w")
    office.take()
    with Recorded(office) as recorded:
        door.verdict(waiting)
        door.mail(BODY + b"2", to=["bob@x.example", "secret@x.example"])
        door.mail(BODY + b"3", outcome="queued", plan="queue")
        office.take()
    scans = [s for s in recorded.scans() if not s.startswith(FINE)]
    assert [s for s in scans if "SELECT" not in s or "ORDER BY" not in s] == []


def test_late_linking(office: Office) -> None:
    with Recorded(office) as recorded:
        office.contact("carol@x.example")
    scans = [s for s in recorded.scans() if s.startswith("SCAN") and not s.startswith(FINE)]
    assert scans == []


def test_who_a_bounce_is_about(office: Office) -> None:
    """Strangers decide how many bounces come."""
    with Recorded(office) as recorded, office.store.reading() as connection:
        sent = outcomes.by_recipient(connection, "bob@x.example", 0)
    assert [one.recipients for one in sent] == [{"bob@x.example"}] * 4
    scans = [s for s in recorded.scans() if s.startswith("SCAN") and not s.startswith(FINE)]
    assert scans == []


def test_rules_onto_records(office: Office) -> None:
    def rule(field: str, pattern: str) -> int:
        asked = [(wanted(field, pattern, 1), "")]
        return capturerules.add(office.store, "alice@ours.example", asked)[0][0]

    office.take()
    with Recorded(office) as recorded:
        one = rule("to", "bob@x.example")
        rule("folder", "Clients/Acme")
        relink.run(office.store)
        office.door("sub-1").mail(BODY + b"2", auth="alice@ours.example")
        office.take()
        capturerules.remove(office.store, [one])
        relink.run(office.store)
    # people and their rules are read whole when somebody has changed them
    fine = (*FINE, "SCAN capture_rules", "SCAN user")
    plans = [s for s in recorded.scans() if not s.startswith(fine)]
    assert [s for s in plans if s.startswith("SCAN") or "LIMIT" in s] == []


def test_the_queue(office: Office) -> None:
    office.door("sub-2").mail(BODY + b"q", outcome="queued", plan="queue")
    office.take()
    with Recorded(office) as recorded:
        (claimed,) = office.queue.claim(5, 4e9, 60, "x")
        office.queue.settle(claimed, [], 1.0, 2.0)
        office.queue.figures(4e9, history=False)
        office.queue.spent_blobs()
    scans = [s for s in recorded.scans() if s.startswith("SCAN")]
    assert [s for s in scans if "only_copy" not in s] == []
