"""Search over mail that ingest took in: whose, on which record, which way, and no Bcc."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmstore.search import Wanted, search
from tests.paths.office import Office

ALICE, BOB, CAROL = "alice@ours.example", "bob@x.example", "carol@x.example"


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    """1: Alice to Bob, Carol by Bcc. 2: Bob to Alice. 3: Carol to Dan of ours."""
    made = Office(tmp_path, store_url)
    made.user(ALICE)
    made.user("dan@ours.example")
    sub, mx = made.door(), made.door("mx-0", "inbound")
    sent = f"From: {ALICE}\r\nTo: {BOB}\r\nBcc: {CAROL}\r\nSubject: offer\r\n\r\nお見積り\r\n"
    sub.mail(sent.encode(), auth=ALICE, sender=ALICE, to=[BOB, CAROL])
    made.take()
    for writer, reader in ((BOB, ALICE), (CAROL, "dan@ours.example")):
        body = f"From: {writer}\r\nTo: {reader}\r\nSubject: re\r\n\r\nthe offer お見積り\r\n"
        mx.mail(body.encode(), sender=writer, to=[reader])
        made.take()
    yield made
    made.close()
    made.store.close()


def found(office: Office, text: str, viewer: str | None = None, **wanted: object) -> list[int]:
    page = search(office.store, text, Wanted(**wanted), viewer=viewer)  # type: ignore[arg-type]
    return [row["id"] for row in page.rows]


def test_filters(office: Office) -> None:
    bob = office.contact(BOB)
    assert found(office, "見積り") == [3, 2, 1]
    assert found(office, "見積り", record=bob.id) == [2, 1]
    assert found(office, "offer", user=ALICE) == [2, 1]
    assert found(office, "offer", user=ALICE, direction="received") == [2]
    assert found(office, "offer", direction="sent") == [1]
    assert found(office, "offer", source="inbound", address=CAROL) == [3]
    assert found(office, "the", user=ALICE, record=bob.id) == [2]
    assert found(office, "nothing", record=bob.id) == []


def test_a_bcc_is_no_text_and_found_as_a_person_by_its_sender_alone(office: Office) -> None:
    dan = "dan@ours.example"
    assert found(office, "carol@x.example") == [3] == found(office, "carol", viewer=dan)
    assert found(office, "carol", viewer=ALICE) == []
    assert found(office, "offer", address=CAROL, viewer=ALICE) == [1]
    assert found(office, "offer", address=CAROL, viewer=dan) == [3]
    carol = office.contact(CAROL, name="Carol")
    assert found(office, "offer", record=carol.id, viewer=dan) == [3]
    assert found(office, "offer", record=carol.id, viewer=ALICE) == [1]


def test_a_viewer_finds_their_own_mail(office: Office) -> None:
    assert found(office, "offer", viewer=ALICE) == [2, 1]
    assert found(office, "offer", viewer="dan@ours.example") == [3]
    assert found(office, "offer", viewer="dan@ours.example", user=ALICE) == []
    assert found(office, "offer", viewer=BOB) == []


def test_a_filter_that_leaves_many_gives_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few messages are read, of many the index is asked: the answers are the same."""
    monkeypatch.setattr("crmstore.search.FEW", 0)
    test_filters(office)
    test_a_viewer_finds_their_own_mail(office)
