"""One message, many sightings: what the store makes of copies that come by different ways."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from crmstore import message
from crmstore.message import NoSuchEmail
from tests.paths.office import Office

DATE = b"Date: Sun, 22 Nov 2026 09:40:01 +0900\r\n"
ID = b"Message-ID: <1@ours.example>\r\n"
PEOPLE = b"From: alice@ours.example\r\nTo: bob@x.example, carol@ours.example, dan@ours.example\r\n"
BODY = b"\r\nThe offer.\r\n"
MAIL = PEOPLE + b"Subject: offer\r\n" + DATE + ID + BODY
TRACE = b"Received: from a by b\r\n"
NUMBERS = itertools.count()


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    for name in ("alice", "carol", "dan"):
        made.user(f"{name}@ours.example")
    yield made
    made.close()
    made.store.close()


def sent(office: Office, *mails: bytes, day: int = 1) -> None:
    door = office.door(f"sub-{next(NUMBERS)}")
    for mail in mails:
        door.mail(mail, auth="alice@ours.example", time=f"2026-11-{day:02}T10:00:00Z")
    office.take()


def received(office: Office, mail: bytes, *to: str, day: int = 1) -> None:
    office.door(f"mx-{next(NUMBERS)}", "inbound").mail(
        mail, sender="alice@ours.example", to=to, time=f"2026-11-{day:02}T10:01:00Z"
    )
    office.take()


def messages(office: Office) -> list[int]:
    return [count for _, count in sightings(office)]


def sightings(office: Office) -> list[tuple[int, int]]:
    """(message, number of its sightings), in the order in which they were seen."""
    rows = office.query(
        "SELECT message_id, count(*) FROM sightings GROUP BY message_id ORDER BY message_id"
    )
    return [(row[0], row[1]) for row in rows]


def test_at_submission_and_inbound_for_two_colleagues_it_is_one(office: Office) -> None:
    sent(office, b"Bcc: secret@x.example\r\n" + MAIL)
    received(office, TRACE + MAIL, "carol@ours.example", "dan@ours.example")
    received(office, TRACE + b"X-Spam: no\r\n" + MAIL, "carol@ours.example", day=2)
    assert messages(office) == [4]
    shown = message.email(office.store, 1)
    assert [(s["owner"].partition("@")[0], s["evidence"]) for s in shown["sightings"]] == [
        ("alice", "seen first"),
        ("carol", "same content, same Message-ID"),
        ("dan", "same content, same Message-ID"),
        ("carol", "same content, same Message-ID"),
    ]
    assert office.audit(deep=True).captured == 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("one", "two", "count"),
    [
        (MAIL, MAIL, [2]),
        (MAIL, TRACE + MAIL, [2]),
        (MAIL, MAIL.replace(ID, b""), [2]),
        (MAIL, MAIL.replace(ID + BODY, BODY).replace(DATE, b""), [2]),
        (MAIL, MAIL.replace(b"<1@", b"<2@"), [1, 1]),
        (MAIL, MAIL.replace(ID, b"Message-ID: <1@ours.example>>\r\n"), [2]),
        (MAIL, MAIL.replace(b"The offer", b"Another offer"), [1, 1]),  # with one Message-ID
        (MAIL, MAIL.replace(b"Subject: o", b"Subject: O"), [1, 1]),
        (MAIL.replace(ID, b""), MAIL.replace(ID, b"").replace(b":01 ", b":02 "), [1, 1]),
        (
            MAIL.replace(b"<1@", b"<" + b"1" * 20_000 + b"@"),
            MAIL.replace(b"<1@", b"<" + b"1" * 20_000 + b"2@"),
            [1, 1],
        ),
    ],
)
def test_two_copies_in_any_order(
    office: Office, one: bytes, two: bytes, count: list[int], order: tuple[int, int]
) -> None:
    mails = (one, two)
    sent(office, mails[order[0]], day=1)
    sent(office, mails[order[1]], day=1 if count == [2] and DATE not in two else 2)
    assert messages(office) == count


def test_in_one_batch_too(office: Office) -> None:
    bare = MAIL.replace(ID, b"").replace(DATE, b"")
    sent(office, bare, MAIL, TRACE + MAIL, MAIL.replace(b"<1@", b"<2@"), bare)
    assert messages(office) == [4, 1]


def test_nothing_told_and_a_day_later_it_is_another(office: Office) -> None:
    """A script that reports "ok" every day sends the same octets every day."""
    bare = MAIL.replace(ID, b"").replace(DATE, b"")
    for day in (1, 1, 3, 3, 9):
        sent(office, bare, day=day)
    assert messages(office) == [2, 2, 1]
    assert office.audit(deep=True).ok


def test_what_a_copy_told_is_learned(office: Office) -> None:
    """The first copy has no Message-ID; a gateway gives one; another mail has another."""
    sent(office, MAIL.replace(ID, b""))
    sent(office, MAIL, day=2)
    assert office.rows()[0]["message_id"] == "<1@ours.example>"
    sent(office, MAIL.replace(b"<1@", b"<2@"), day=3)
    assert messages(office) == [2, 1]
    sent(office, MAIL, day=4)
    assert messages(office) == [3, 1]


def test_what_cannot_be_read_is_known_by_its_octets(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxy.reader import Unread

    class Under:
        def __init__(self, count: int) -> None:
            self.count = count

        def finish(self) -> list[Unread]:
            return [Unread("time")] * self.count

    monkeypatch.setattr(office.ingest._reader, "start", lambda jobs: Under(len(jobs)))
    sent(office, MAIL, MAIL, TRACE + MAIL)
    assert messages(office) == [2, 1]


# Who may see what of another's copy


def test_the_senders_bcc_is_not_on_the_receivers_copy(office: Office) -> None:
    office.contact("secret@x.example", name="Secret")
    sent(office, b"Bcc: secret@x.example\r\n" + MAIL)
    received(office, TRACE + MAIL, "carol@ours.example")
    ours, theirs = "alice@ours.example", "carol@ours.example"
    assert message.email(office.store, 1, viewer=ours)["bcc"] == ["secret@x.example"]
    assert "secret" not in str(message.email(office.store, 1, viewer=theirs))
    assert office.rows(address="secret@x.example", viewer=theirs) == []
    assert office.rows(record=1, viewer=theirs) == []
    assert len(office.rows(record=1, viewer=ours)) == 1
    (row,) = office.rows(viewer=theirs)
    assert "secret" not in str(row)


def test_everybody_gets_their_own_copy(office: Office) -> None:
    mine = b"Bcc: secret@x.example\r\n" + MAIL
    sent(office, mine)
    received(office, TRACE + MAIL, "carol@ours.example")
    first, second = (s["capture_id"] for s in message.email(office.store, 1)["sightings"])

    def raw(**how: Any) -> bytes:
        return b"".join(message.raw(office.store, office.archive, 1, **how))

    assert raw() == raw(capture_id=first) == raw(viewer="alice@ours.example") == mine
    assert raw(capture_id=second) == raw(viewer="carol@ours.example") == TRACE + MAIL
    with pytest.raises(NoSuchEmail):
        raw(viewer="carol@ours.example", capture_id=first)
    with pytest.raises(NoSuchEmail):
        raw(viewer="dan@ours.example")


# Queue and captures name the same octets


def test_a_captured_copy_keeps_the_blob_of_excluded_queued_mail(
    tmp_path: Path, store_url: str
) -> None:
    """The same octets, first excluded and queued, then captured: or the other way round."""
    office = Office(tmp_path, store_url, capture={"never": ["bob@x.example"]})
    door = office.door()
    one = b"From: alice@ours.example\r\nTo: all\r\n\r\none"
    two = one + b"two"
    door.mail(one, "queued", plan="queue", to=["bob@x.example"])
    door.mail(one, to=["eve@x.example"])
    office.take()
    door.mail(two, to=["eve@x.example"])
    door.mail(two, "queued", plan="queue", to=["bob@x.example"])
    door.mail(two + b"three", "queued", plan="queue", to=["bob@x.example"])
    office.take()
    assert office.query("SELECT only_copy FROM queue_messages ORDER BY id") == [(0,), (0,), (1,)]
    office.close()


# Cost


def test_the_same_content_a_thousand_times_costs_no_more(office: Office) -> None:
    """Reports that differ in their Message-ID only: each finds that it is alone at once."""
    door = office.door()
    for number in range(1000):
        door.mail(MAIL.replace(b"<1@", b"<%d@" % number), auth="alice@ours.example")
    office.take()
    fetched: list[int] = []

    def note(_c: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM messages" in statement and re.search(r"print (IN|= ANY)", statement):
            fetched.append(len(statement))

    door.mail(MAIL, auth="alice@ours.example")
    door.mail(MAIL.replace(b"<1@", b"<new@"), auth="alice@ours.example")
    event.listen(office.store.engine, "after_cursor_execute", note)
    office.take()
    event.remove(office.store.engine, "after_cursor_execute", note)
    assert len(fetched) == 1
    assert len(messages(office)) == 1001
