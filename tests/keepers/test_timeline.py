"""Pages of mail: order, filters, keyset, and who sees a Bcc."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from crmstore import message, timeline
from tests.paths.office import BODY, Office


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def fill(office: Office, count: int) -> None:
    """Messages 1..count, from and to a few people, by two ways in."""
    sub, mx = office.door(), office.door("mx-0", "inbound")
    for n in range(count):
        outside = f"p{n % 3}@x.example"
        ours = f"u{n % 2}@ours.example"
        if n % 2:
            body = f"From: {ours}\r\nTo: {outside}\r\nSubject: {n}\r\n\r\n"
            sub.mail(body.encode(), sender=ours, to=[outside])
        else:
            body = f"From: {outside}\r\nTo: {ours}\r\nSubject: {n}\r\n\r\n"
            mx.mail(body.encode(), sender=outside, to=[ours])
    office.take()


FILTERS: dict[str, tuple[Any, ...]] = {
    "address": (None, "p1@x.example", "U1@ours.example", "nobody@x.example"),
    "record": (None, 1, 99),
    "user": (None, "u0@ours.example", "nobody"),
    "source": (None, "inbound", "drop"),
}


@pytest.mark.slow
def test_every_combination_of_filters_and_pages(office: Office) -> None:
    """Against the plain truth: all rows, filtered in Python; newest first, none twice."""
    office.contact("p1@x.example")
    fill(office, 24)
    everything = office.rows(limit=1000)
    assert len(everything) == 24
    order = [row["seen"] for row in everything]
    assert order == sorted(order, reverse=True)
    for values in itertools.product(*FILTERS.values()):
        wanted = dict(zip(FILTERS, values, strict=True))

        def fits(row: dict[str, Any], wanted: dict[str, Any] = wanted) -> bool:
            people = {row["from"], *row["to"]}
            return (
                (wanted["address"] is None or wanted["address"].lower() in people)
                and (
                    wanted["record"] is None
                    or wanted["record"] in [r["id"] for r in row["records"]]
                )
                and (wanted["user"] is None or wanted["user"] in row["owners"])
                and (wanted["source"] is None or wanted["source"] in row["source"])
            )

        expected = ids([row for row in everything if fits(row)])
        for size in (1, 7, 1000):
            found: list[int] = []
            before = None
            while True:
                page = timeline.page(office.store, **wanted, limit=size, before=before)
                found += ids(page.rows)
                before = page.next
                if before is None:
                    break
            assert found == expected, (wanted, size)


@pytest.mark.parametrize("before", ["x", "1", ":", "1:x", "-1:2", "1:2:3", "١:٢", f"{10**19}:1"])
def test_a_cursor_that_is_none(office: Office, before: str) -> None:
    with pytest.raises(ValueError, match="before"):
        office.rows(before=before)


@pytest.mark.slow
def test_sql_in_a_filter_is_text(office: Office) -> None:
    fill(office, 2)
    for text in ("' OR 1=1--", "%", "_", "p0@x.example' --", "\0"):
        assert office.rows(address=text) == [] == office.rows(user=text) == office.rows(source=text)


def test_a_date_that_cannot_be_believed_is_when_we_saw_it(office: Office) -> None:
    door = office.door()
    for n, date in enumerate(("Fri, 1 Jan 2100 00:00:00 +0000", "Thu, 1 Jan 1981 00:00:00 +0000")):
        door.mail(b"Date: %s\r\nTo: bob@x.example\r\n\r\n%d" % (date.encode(), n))
    office.take()
    assert all(row["date"] == row["seen"] for row in office.rows())


def test_a_date_of_the_last_days_is_shown_and_newest_is_what_was_seen_last(office: Office) -> None:
    now = datetime.now(UTC)
    door = office.door()
    for hours in (1, 30):
        date = format_datetime(now - timedelta(hours=hours))
        door.mail(f"Date: {date}\r\nTo: bob@x.example\r\n\r\n".encode())
    office.take()
    dates = [datetime.fromisoformat(row["date"]) for row in office.rows()]
    assert [round((now - date) / timedelta(hours=1)) for date in dates] == [30, 1]


# Bcc


@pytest.fixture
def secret(office: Office) -> Office:
    """Alice wrote to Bob, with Carol in Bcc; both are contacts; Dan is a colleague."""
    for name in ("bob", "carol"):
        office.contact(f"{name}@x.example", name=name)
    office.user("alice@ours.example")
    office.user("dan@ours.example")
    office.door().mail(BODY, auth="alice@ours.example", to=["bob@x.example", "carol@x.example"])
    office.door("mx-0", "inbound").mail(BODY, sender="alice@ours.example", to=["dan@ours.example"])
    office.take()
    return office


def test_a_bcc_is_seen_by_its_sender(secret: Office) -> None:
    (row,) = secret.rows(address="carol@x.example", viewer="alice@ours.example")
    assert [(r["name"], r["role"]) for r in row["records"]] == [("bob", "to"), ("carol", "bcc")]
    assert row["to"] == ["bob@x.example"] and row["cc"] == []
    shown = message.email(secret.store, row["id"], viewer="Alice@ours.example")
    assert shown["bcc"] == ["carol@x.example"]
    hidden = [p["address"] for p in shown["participants"] if p["envelope_only"]]
    assert hidden == ["carol@x.example"]
    sent = next(s for s in shown["sightings"] if s["direction"] == "sent")
    assert [r["address"] for r in sent["envelope"]["recipients"]][-1] == "carol@x.example"


def test_a_bcc_is_seen_by_nobody_else(secret: Office) -> None:
    assert secret.rows(address="carol@x.example", viewer="dan@ours.example") == []
    assert secret.rows(record=2, viewer="dan@ours.example") == []
    (row,) = secret.rows(address="bob@x.example", viewer="dan@ours.example")
    shown = message.email(secret.store, row["id"], viewer="dan@ours.example")
    assert "carol" not in str(row) + str(shown)


def test_the_operator_sees_it_marked(secret: Office) -> None:
    (row,) = secret.rows(record=2)
    assert row["records"][-1]["role"] == "bcc"
    assert message.email(secret.store, row["id"])["bcc"] == ["carol@x.example"]


def test_a_bcc_in_the_header_is_one_too(office: Office) -> None:
    office.user("alice@ours.example")
    body = b"From: alice@ours.example\r\nTo: b@x.example\r\nBcc: c@x.example\r\n\r\n"
    office.door().mail(body, auth="alice@ours.example", to=["b@x.example", "c@x.example"])
    office.take()
    assert office.rows(address="c@x.example", viewer="dan@ours.example") == []
    assert len(office.rows(address="c@x.example", viewer="alice@ours.example")) == 1


# One message


def test_one_message(office: Office) -> None:
    bob = office.contact("bob@x.example")
    office.door().mail()
    office.take()
    shown = message.email(office.store, 1)
    assert shown["links"] == [
        {
            "record": bob.id,
            "role": "to",
            "address": "bob@x.example",
            "evidence": "to header and envelope",
        }
    ]
    (sighting,) = shown["sightings"]
    assert sighting["door"] == "sub-0" and sighting["client"]["ip"] == "192.0.2.1"
    assert sighting["envelope"]["recipients"] == [
        {"address": "bob@x.example", "outcome": "accepted", "reply": "250 2.0.0 Ok"}
    ]
    assert shown["bytes"] == len(BODY)
    with pytest.raises(message.NoSuchEmail):
        message.email(office.store, 2)
    with pytest.raises(message.NoSuchEmail):
        message.raw(office.store, office.archive, 2)
