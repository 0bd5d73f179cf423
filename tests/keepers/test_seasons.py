"""Mail of several years: its indexes are by season, its pages are not."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmstore import recordremove, records, recordview, relink, seasons, timeline, usage
from crmstore.search import Wanted, search
from tests.paths.office import BODY, Office, opened

# Two in one moment, either side of a season's border, years without any.
TIMES = [
    "2019-03-01T08:00:00.000000Z",
    "2023-10-18T16:19:13.286143Z",  # the last microsecond of a season
    "2023-10-18T16:19:13.286144Z",  # and the first of the next
    "2023-12-01T00:00:00.000000Z",
    "2023-12-01T00:00:00.000000Z",
    "2024-06-01T00:00:00.000000Z",
    "2025-01-01T00:00:00.000000Z",
    "2026-11-20T00:00:00.000000Z",
    "2026-11-21T00:00:00.000000Z",
]


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def years(made: Office) -> None:
    made.user("alice@ours.example")
    door = made.door()
    for number, time in enumerate(TIMES):
        body = BODY.replace(b"\r\n\r\n", b"\r\n\r\nnumber%d " % number, 1)
        door.mail(body, auth="alice@ours.example", time=time)
    made.take()


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    with opened(tmp_path, store_url, years) as made:
        yield made


def walked(office: Office, limit: int, **filters: int | str) -> list[int]:
    """The ids of all pages."""
    found: list[int] = []
    before: str | None = None
    while True:
        page = timeline.page(office.store, limit=limit, before=before, **filters)  # type: ignore[arg-type]
        assert len(page.rows) == limit or page.next is None
        found += [row["id"] for row in page.rows]
        if page.next is None:
            return found
        before = page.next


def test_a_season_is_what_the_index_says(office: Office) -> None:
    """In Python as in SQL."""
    with office.store.reading() as connection:
        found = seasons.seasons(connection)
        assert found == sorted({seasons.of(moment(time)) for time in TIMES}, reverse=True)
        since, upto = moment(TIMES[2]), moment(TIMES[5])
        assert seasons.seasons(connection, since, upto) == sorted(
            {seasons.of(moment(time)) for time in TIMES[2:6]}, reverse=True
        )
    assert seasons.of(moment(TIMES[1])) + 1 == seasons.of(moment(TIMES[2]))


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_are_in_order_across_them(office: Office, limit: int) -> None:
    record = office.contact("bob@x.example").id
    everything = [row["id"] for row in office.rows()]
    assert len(everything) == len(TIMES)
    assert walked(office, limit, record=record) == everything
    assert walked(office, limit, address="bob@x.example") == everything
    assert walked(office, limit, record=record, viewer="alice@ours.example") == everything
    assert walked(office, limit, record=record + 1) == []


def test_what_is_told_of_a_record_is_of_all_of_them(office: Office) -> None:
    record = office.contact("bob@x.example")
    shown = recordview.show(office.store, record.id)
    assert (shown.emails, shown.last_email) == (len(TIMES), moment(TIMES[-1]) / 1e6)
    sizes = office.query("SELECT sum(bytes) FROM messages")[0][0]
    assert usage.of_record(office.store, record.id) == sizes
    assert [
        row["id"] for row in search(office.store, "number0", Wanted(record=record.id)).rows
    ] == [1]
    assert search(office.store, "number0", Wanted(address="carol@x.example")).rows == []
    assert recordremove.remove(office.store, record.id).unlinked == len(TIMES)


def test_linked_since(office: Office) -> None:
    """Late links go back as far as the address is the record's, and no further."""
    record = records.add(office.store, "lead", "Bob", emails=[])
    since = moment(TIMES[4]) / 1e6
    records.change(office.store, record.id, add_emails=["bob@x.example"], since=since)
    assert len(walked(office, 50, record=record.id)) == 6


@pytest.mark.parametrize(("step", "few"), [(2, 500), (3, 500), (2, 0), (3, 0)])
def test_linked_in_steps(
    office: Office, step: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step ends within a season or between two, and the next goes on there; whether there is
    little mail in the others or much."""
    monkeypatch.setattr(relink, "STEP", step)
    monkeypatch.setattr(seasons, "FEW", few)
    record = office.contact("bob@x.example")
    assert (record.linked, record.emails) == (len(TIMES), len(TIMES))
    assert walked(office, 2, record=record.id) == [row["id"] for row in office.rows()]


def test_a_store_without_mail(tmp_path: Path, store_url: str) -> None:
    empty = Office(tmp_path, store_url)
    record = empty.contact("bob@x.example")
    assert (record.emails, usage.of_record(empty.store, record.id)) == (0, 0)
    assert walked(empty, 50, record=record.id) == []
    empty.store.close()
