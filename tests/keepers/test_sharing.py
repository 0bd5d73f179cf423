"""Who may see what, as a table: each viewer on every surface, on both engines."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import message, users
from crmstore.explain import explain
from crmstore.search import Wanted, search
from tests.paths.office import Office, opened

BOSS, ALICE, DAN, EVE = (f"{name}@ours.example" for name in ("boss", "alice", "dan", "eve"))
BOB, CAROL = "bob@x.example", "carol@x.example"


def mail(writer: str, to: str, subject: str, more: str = "") -> bytes:
    return (
        f"From: {writer}\r\nTo: {to}\r\n{more}Subject: {subject} word\r\n\r\n{subject}\r\n".encode()
    )


def some_mail(made: Office) -> None:
    """1: the boss to Bob. 2: Bob to Alice. 3: Alice to Bob and Dan, Carol by Bcc; Dan got it.
    4: Bob to Eve, who is no user yet. 5: Bob to Dan's old address. Bob and Carol are contacts."""
    for login in (BOSS, ALICE):
        made.user(login)
    users.add(made.store, DAN, emails=[DAN, "daniel@ours.example"])
    sub, mx = made.door(), made.door("mx-0", "inbound")
    sub.mail(mail(BOSS, BOB, "salary"), auth=BOSS, sender=BOSS, to=[BOB])
    made.take()
    mx.mail(mail(BOB, ALICE, "question"), sender=BOB, to=[ALICE])
    made.take()
    offer = mail(ALICE, f"{BOB}, {DAN}", "offer")
    sub.mail(offer, auth=ALICE, sender=ALICE, to=[BOB, DAN, CAROL])
    made.take()
    mx.mail(offer, sender=ALICE, to=[DAN])
    made.take()
    mx.mail(mail(BOB, EVE, "hello"), sender=BOB, to=[EVE])
    made.take()
    mx.mail(mail(BOB, "daniel@ours.example", "old"), sender=BOB, to=["daniel@ours.example"])
    made.take()
    for address in (BOB, CAROL):
        made.contact(address)


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    with opened(tmp_path, store_url, some_mail) as made:
        yield made


SEES = {
    None: [1, 2, 3, 4, 5],
    BOSS: [1],
    ALICE: [2, 3],
    DAN: [3, 5],
    "Daniel@OURS.example": [3, 5],
    EVE: [4],
    BOB: [],  # a customer
    "nobody@ours.example": [],
    "' OR 1=1 --": [],
}


def surfaces(office: Office, viewer: str | None) -> dict[str, list[int]]:
    """Which messages each surface shows."""
    store, all_of_them = office.store, range(1, 6)

    def shown(look: Callable[[int], Any]) -> list[int]:
        found = []
        for id_ in all_of_them:
            try:
                look(id_)
            except message.NoSuchEmail as error:
                assert str(error) == f"no email {id_}", "the words for one that is not there"
            else:
                found.append(id_)
        return found

    def pages(**filters: Any) -> list[int]:
        return sorted(row["id"] for row in office.rows(viewer=viewer, **filters))

    threads = {row["thread"] for row in office.rows()}
    sources = ("submission", "inbound")
    owners = {owner for row in office.rows() for owner in row["owners"]}
    records = {record["id"] for row in office.rows() for record in row["records"]}
    return {
        "emails": pages(),
        "emails --thread": sorted(id_ for one in threads for id_ in pages(thread=one)),
        "emails --source": sorted({id_ for one in sources for id_ in pages(source=one)}),
        "emails --user": sorted({id_ for one in owners for id_ in pages(user=one)}),
        "emails --record": sorted({id_ for one in records for id_ in pages(record=one)}),
        "search": sorted(row["id"] for row in search(store, "word", viewer=viewer).rows),
        "email show": shown(lambda id_: message.email(store, id_, viewer=viewer)),
        "email raw": shown(
            lambda id_: b"".join(message.raw(store, office.archive, id_, viewer=viewer))
        ),
        "email explain": [
            id_
            for id_ in all_of_them
            if explain(store, id_, viewer=viewer).get("viewer", {"sees": True})["sees"]
        ],
    }


def assert_sees(office: Office, viewer: str | None, expected: list[int]) -> None:
    found = surfaces(office, viewer)
    assert {name: ids for name, ids in found.items() if ids != expected} == {}


@pytest.mark.parametrize("viewer", SEES, ids=str)
def test_every_surface_shows_the_same(office: Office, viewer: str | None) -> None:
    assert_sees(office, viewer, SEES[viewer])


def test_the_boss_as_a_contact_opens_nothing(office: Office) -> None:
    """The example of the documents: whoever adds the boss's address reads the boss's mail."""
    with pytest.raises(ValueError, match=BOSS):
        office.contact(BOSS)
    assert office.rows(address=BOSS, viewer=ALICE) == []
    assert search(office.store, "salary", Wanted(address=BOSS), viewer=ALICE).rows == []


def test_of_shared_mail_each_sees_their_own_sighting(office: Office) -> None:
    (hers,) = office.rows(address=BOB, viewer=ALICE, source="submission")
    (his,) = office.rows(address=ALICE, viewer=DAN)
    assert hers["id"] == his["id"] == 3
    assert (hers["direction"], hers["owners"], hers["source"]) == ("sent", [ALICE], ["submission"])
    assert (his["direction"], his["owners"], his["source"]) == ("received", [DAN], ["inbound"])
    shown = message.email(office.store, 3, viewer=DAN)
    assert [seen["owner"] for seen in shown["sightings"]] == [DAN]
    assert shown["bcc"] == shown["delivery"] == []
    assert CAROL not in str(shown) and CAROL not in str(his)
    assert message.email(office.store, 3, viewer=ALICE)["bcc"] == [CAROL]


def test_a_copy_of_somebody_else_is_not_given(office: Office) -> None:
    captures = {s["owner"]: s["capture_id"] for s in message.email(office.store, 3)["sightings"]}
    for viewer, other in ((ALICE, DAN), (DAN, ALICE)):
        with pytest.raises(message.NoSuchEmail, match="has no sighting"):
            message.raw(office.store, office.archive, 3, capture_id=captures[other], viewer=viewer)


@pytest.mark.parametrize(
    ("viewer", "id_", "why"),
    [
        (ALICE, 2, "own"),
        (ALICE, 1, "private"),
        (EVE, 4, "own"),
        (EVE, 1, "private"),
        ("nobody@ours.example", 1, "nobody"),
    ],
)
def test_explain_says_why(office: Office, viewer: str, id_: int, why: str) -> None:
    found = explain(office.store, id_, viewer=viewer)
    assert found["viewer"] == {"login": viewer, "sees": why == "own", "why": why}
    assert ("subject" in found) == (why == "own"), "what is not seen is not told"


def test_a_disabled_user_sees_nothing(office: Office) -> None:
    users.set_enabled(office.store, ALICE, False)
    assert_sees(office, ALICE, [])
    assert explain(office.store, 2, viewer=ALICE)["viewer"]["why"] == "disabled"
    users.set_enabled(office.store, ALICE, True)
    assert_sees(office, ALICE, SEES[ALICE])


def test_mail_of_an_address_that_was_given_up(office: Office) -> None:
    from crmstore import relink

    relink.agree(office.store, ["ours.example"], "hide")
    users.change(office.store, DAN, remove_emails=["daniel@ours.example"])
    assert_sees(office, DAN, [3])
    assert explain(office.store, 5, viewer=DAN)["viewer"]["why"] == "former"


def test_no_email(office: Office) -> None:
    with pytest.raises(message.NoSuchEmail, match="no email 99"):
        explain(office.store, 99, viewer=ALICE)
