"""How much mail there is, on both engines: of all, of a user, of a record; and the quota."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from crmstore import message, records, usage, users
from crmstore.usage import EACH, GB, MOST, Usage
from tests.paths.office import Office

ALICE, DAN, BOB = "alice@ours.example", "dan@ours.example", "bob@x.example"


def mail(subject: str, octets: int) -> bytes:
    head = f"From: {BOB}\r\nTo: {ALICE}, {DAN}\r\nSubject: {subject}\r\n\r\n".encode()
    return head + b"x" * (octets - len(head) - 2) + b"\r\n"


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    made.user(ALICE)
    made.user(DAN)
    yield made
    made.close()
    made.store.close()


def receive(office: Office, subject: str, octets: int, *to: str) -> None:
    office.door(f"mx-{subject}", "inbound").mail(mail(subject, octets), sender=BOB, to=list(to))
    office.take()


def test_each_message_counts_once_and_for_each_who_has_it(office: Office) -> None:
    assert usage.usage(office.store).mail_bytes == 0
    receive(office, "1", 1000, ALICE, DAN)
    receive(office, "2", 500, ALICE)
    receive(office, "3", 1000, ALICE, DAN)
    office.door("again", "inbound").mail(
        mail("1", 1000), sender=BOB, to=[DAN]
    )  # a copy of the first
    office.take()
    assert usage.usage(office.store).mail_bytes == 2500
    assert usage.of_user(office.store, ALICE) == 2500
    assert usage.of_user(office.store, "DAN@ours.example") == 2000
    assert usage.of_user(office.store, "nobody@ours.example") == 0


def test_of_a_record_it_is_what_the_record_shows(office: Office) -> None:
    receive(office, "1", 1000, ALICE, DAN)
    contact = office.contact(BOB)
    deal = records.add(office.store, "deal", "Big", main_contact=contact.id)
    receive(office, "2", 400, ALICE)
    for record in (contact, deal):
        assert usage.of_record(office.store, record.id) == 1400
    assert usage.of_record(office.store, 99) == 0


def test_mail_that_waits_for_somebody_becomes_theirs(office: Office) -> None:
    receive(office, "1", 700, "eve@ours.example")
    assert usage.of_user(office.store, "eve@ours.example") == 700
    users.add(office.store, "eve", emails=["eve@ours.example", "e@ours.example"])
    for name in ("eve", "e@ours.example"):
        assert usage.of_user(office.store, name) == 700


def test_the_sum_goes_on_from_where_it_stood(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmstore.usage.STEP", 2)
    assert usage.settle(office.store) is False
    total = 0
    for number in range(5):
        receive(office, str(number), 100 + number, ALICE)
        total += 100 + number
        assert usage.usage(office.store).mail_bytes == total
    assert [usage.settle(office.store) for _ in range(4)] == [True, True, False, False]
    statements: list[str] = []
    event.listen(
        office.store.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    assert usage.settle(office.store) is False
    assert not any("INSERT" in one for one in statements), "nothing is written for nothing"
    assert usage.usage(office.store).mail_bytes == total
    receive(office, "5", 900, ALICE)
    assert usage.usage(office.store).mail_bytes == total + 900


def test_the_quota_grows_with_those_whose_mail_is_captured(office: Office) -> None:
    assert usage.usage(office.store).quota == 2 * EACH == 10 * GB
    users.set_enabled(office.store, DAN, False)
    assert usage.usage(office.store).quota == EACH
    users.set_enabled(office.store, ALICE, False)
    assert usage.usage(office.store).quota == EACH, "with nobody there it is not over at once"
    for number in range(21):
        office.user(f"u{number}@ours.example")
    assert usage.usage(office.store).quota == MOST == 100 * GB
    assert usage.usage(office.store, 123).quota == 123
    assert usage.usage(office.store, "none") == Usage(0, None)


@pytest.mark.parametrize(
    ("used", "quota", "level"),
    [
        (0, 100, "ok"),
        (79, 100, "ok"),
        (80, 100, "warn"),
        (94, 100, "warn"),
        (95, 100, "high"),
        (100, 100, "high"),
        (101, 100, "over"),
        (101, None, ""),
    ],
)
def test_levels(used: int, quota: int | None, level: str) -> None:
    assert Usage(used, quota).level == level


def test_beyond_the_quota_nothing_is_lost(office: Office) -> None:
    """More than there should be: captured whole, linked, and the audit has no gap."""
    office.contact(BOB)
    for number in range(3):
        receive(office, str(number), 1000, ALICE)
        usage.settle(office.store)
    assert usage.usage(office.store, 1500).level == "over"
    assert [row["status"] for row in office.rows(record=1)] == ["received"] * 3
    report = office.audit(deep=True)
    assert (report.ok, report.captured, report.excluded) == (True, 3, {})


def test_an_attachment_beyond_the_limits_of_plans_is_ordinary(office: Office) -> None:
    """Plans limit what a CRM sends (10 MB, features.md F1); what passes is captured whole."""
    contact = office.contact(BOB)
    head = f"From: {BOB}\r\nTo: {ALICE}\r\nSubject: plans\r\n".encode()
    head += b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee\r\n--b\r\n"
    head += b"Content-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n"
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    body = head + b"\r\n" + line * (12 * 2**20 // 57) + b"--b--\r\n"
    office.door("mx-0", "inbound").mail(body, sender=BOB, to=[ALICE], big=True)
    office.take()
    (row,) = office.rows(record=contact.id)
    assert [(f["name"], f["bytes"]) for f in row["attachments"]] == [
        ("plan.pdf", 12 * 2**20 // 57 * 57)
    ]
    assert b"".join(message.raw(office.store, office.archive, row["id"])) == body
    assert usage.of_record(office.store, contact.id) == len(body)
