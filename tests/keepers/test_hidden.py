"""What is linked late, hidden and shown again: steps, address_change, what becomes ours."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import records, relink, users
from tests.paths.office import BODY, Office

FROM = b"From: %s\r\nTo: alice@ours.example\r\nSubject: %d\r\n\r\n"


@pytest.fixture(params=["keep", "hide"])
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def office(tmp_path: Path, policy: str) -> Iterator[Office]:
    made = Office(tmp_path)
    relink.agree(made.store, ["ours.example"], policy)
    yield made
    made.close()
    made.store.close()


def receive(office: Office, count: int, sender: str = "bob@x.example") -> None:
    door = office.door(f"mx-{time.monotonic_ns()}", "inbound")
    before = len(office.rows(limit=1000))
    for n in range(before, before + count):
        body = FROM % (sender.encode(), n)
        door.mail(body, sender=sender, to=["alice@ours.example"])
    office.take()


def shown(office: Office, record: int) -> int:
    return len(office.rows(record=record, limit=1000))


def test_mail_of_a_former_address(office: Office, policy: str) -> None:
    bob = office.contact("bob@x.example")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    receive(office, 2)
    records.change(office.store, bob.id, remove_emails=["bob@x.example"])
    left = 2 if policy == "keep" else 0
    assert shown(office, bob.id) == shown(office, deal.id) == left
    assert records.show(office.store, bob.id).emails == left
    assert len(office.rows()) == 2  # stored all the same
    records.change(office.store, bob.id, add_emails=["bob@x.example"])
    assert shown(office, bob.id) == shown(office, deal.id) == 2


def test_a_closed_deal_gets_back_what_it_had(office: Office) -> None:
    bob = office.contact("bob@x.example")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    receive(office, 1)
    records.change(office.store, deal.id, state="closed")
    records.change(office.store, bob.id, remove_emails=["bob@x.example"])
    receive(office, 3)
    records.change(office.store, bob.id, add_emails=["bob@x.example"])
    assert (shown(office, bob.id), shown(office, deal.id)) == (4, 1)


def test_another_policy_is_for_what_is_there_too(office: Office, policy: str) -> None:
    bob = office.contact("bob@x.example")
    receive(office, 2)
    records.change(office.store, bob.id, remove_emails=["bob@x.example"])
    before = shown(office, bob.id)
    relink.agree(office.store, ["ours.example"], "hide" if policy == "keep" else "keep")
    relink.run(office.store)
    assert {before, shown(office, bob.id)} == {0, 2}
    relink.agree(office.store, ["ours.example"], policy)
    relink.run(office.store)
    assert shown(office, bob.id) == before


def test_an_address_that_another_way_leads_to_stays(office: Office) -> None:
    """The deal has the address by its old main contact too, and by itself."""
    bob, eve = office.contact("both@x.example"), office.contact("both@x.example", name="Eve")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    receive(office, 1, "both@x.example")
    records.change(office.store, deal.id, main_contact=eve.id)
    records.change(office.store, bob.id, remove_emails=["both@x.example"])
    assert shown(office, deal.id) == 1 == shown(office, eve.id)


def test_a_user_with_another_address(office: Office, policy: str) -> None:
    office.user("alice", "alice@ours.example", "old@ours.example")
    bob = office.contact("bob@x.example")
    mx = office.door("mx-1", "inbound")
    for n, own in enumerate(["old@ours.example", "old@ours.example", "alice@ours.example"]):
        mx.mail(FROM % (b"bob@x.example", n), sender="bob@x.example", to=[own])
    office.take()
    assert len(office.rows(user="alice")) == 3
    changed = users.change(office.store, "alice", remove_emails=["old@ours.example"])
    assert changed.formerly == ("old@ours.example",)
    left = 3 if policy == "keep" else 1
    for page in ({"user": "alice"}, {"record": bob.id}, {"address": "bob@x.example"}, {}):
        assert len(office.rows(**page)) == left, page
    # the same mail seen again by an address that counts
    mx.mail(FROM % (b"bob@x.example", 0), sender="bob@x.example", to=["alice@ours.example"])
    office.take()
    assert shown(office, bob.id) == min(3, left + 1)
    users.change(office.store, "alice", add_emails=["old@ours.example"])
    assert len(office.rows(user="alice")) == 3 == shown(office, bob.id)


def test_the_chief_who_stood_on_a_record(office: Office) -> None:
    """beyond.md 6: whose address becomes ours has mail that nobody reads by a record."""
    boss = office.contact("boss@private.example", name="Boss")
    receive(office, 2, "boss@private.example")
    assert shown(office, boss.id) == 2
    user = office.user("boss@ours.example", "boss@ours.example", "boss@private.example")
    assert "keys no record any more" in user.warnings[0]
    assert shown(office, boss.id) == 0
    (address,) = records.show(office.store, boss.id).history
    assert address.ours
    receive(office, 1, "boss@private.example")
    assert shown(office, boss.id) == 0
    deal = records.add(office.store, "deal", "Big", main_contact=boss.id)
    assert deal.linked == 0
    users.change(office.store, "boss@ours.example", remove_emails=["boss@private.example"])
    assert shown(office, boss.id) == 2


def test_a_domain_that_becomes_ours(office: Office, policy: str) -> None:
    bob = office.contact("bob@x.example")
    other = office.contact("eve@a_x.example", name="Eve")
    receive(office, 2)
    receive(office, 1, "eve@a_x.example")
    relink.agree(office.store, ["ours.example", "x.example"], policy)
    relink.run(office.store)
    assert (shown(office, bob.id), shown(office, other.id)) == (0, 1)
    relink.agree(office.store, ["ours.example"], policy)
    relink.run(office.store)
    assert shown(office, bob.id) == 2


# Times that somebody knows


def test_an_address_is_the_records_from_a_time_until_another(office: Office, policy: str) -> None:
    receive(office, 2)
    between = time.time()
    time.sleep(0.01)
    receive(office, 3)
    bob = office.contact(name="Bob")
    records.change(office.store, bob.id, add_emails=["bob@x.example"], since=between)
    assert shown(office, bob.id) == 3
    anew = records.change(office.store, bob.id, add_emails=["bob@x.example"], since=0)
    assert anew.linked == 2 and shown(office, bob.id) == 5
    records.change(office.store, bob.id, add_emails=["bob@x.example"], since=between)
    assert shown(office, bob.id) == 3
    records.change(office.store, bob.id, remove_emails=["bob@x.example"], until=time.time())
    eve = office.contact(name="Eve")
    records.change(office.store, eve.id, add_emails=["bob@x.example"], until=between)
    left = (3, 2) if policy == "keep" else (0, 0)
    assert (shown(office, bob.id), shown(office, eve.id)) == left
    assert records.show(office.store, eve.id).addresses == ()


def test_an_address_may_have_ended_before_it_was_written_down(office: Office, policy: str) -> None:
    """Records are imported today, and the address was given up last month: newer mail goes."""
    receive(office, 2)
    between = time.time()
    time.sleep(0.01)
    receive(office, 1)
    bob = office.contact("bob@x.example")
    assert shown(office, bob.id) == 3
    left = records.change(office.store, bob.id, remove_emails=["bob@x.example"], until=between)
    assert left.addresses == () and left.history[0].since == left.history[0].until
    assert shown(office, bob.id) == (2 if policy == "keep" else 0)
    eve = office.contact(name="Eve")
    records.change(office.store, eve.id, add_emails=["bob@x.example"], since=between)
    with pytest.raises(ValueError, match="ends before it begins"):
        records.change(office.store, eve.id, remove_emails=["bob@x.example"], until=between - 60)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"since": 4e9}, "from: allowed is a time that is past"),
        ({"until": 4e9}, "until: allowed is a time that is past"),
        ({"since": 200.0, "until": 100.0}, "ends before it begins"),
    ],
)
def test_times_that_cannot_be(office: Office, how: dict[str, Any], message: str) -> None:
    bob = office.contact(name="Bob")
    with pytest.raises(ValueError, match=message):
        records.change(office.store, bob.id, add_emails=["b@x.example"], **how)
    assert records.show(office.store, bob.id).history == ()


# Steps


def test_long_work_goes_in_steps_that_survive(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest mail is linked at once; a crash before the rest forgets nothing."""
    receive(office, 7)
    monkeypatch.setattr(relink, "STEP", 2)
    monkeypatch.setattr(relink, "run", lambda store: 0)
    bob = records.add(office.store, "contact", "Bob", emails=["bob@x.example"])
    assert bob.linked == 2
    assert [row["subject"] for row in office.rows(record=bob.id)] == ["6", "5"]
    receive(office, 1)  # ingest goes between the steps
    steps = [relink.step(office.store) for _ in range(5)]
    assert steps == [(2, True), (2, True), (1, True), (0, False), (0, False)]
    assert shown(office, bob.id) == 8


def test_hiding_goes_in_steps_too(
    office: Office, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relink, "STEP", 2)
    bob = office.contact("bob@x.example")
    office.user("alice", "alice@ours.example")
    receive(office, 7)
    records.change(office.store, bob.id, remove_emails=["bob@x.example"])
    left = 7 if policy == "keep" else 0
    assert shown(office, bob.id) == left
    records.change(office.store, bob.id, add_emails=["bob@x.example"])
    users.change(office.store, "alice", remove_emails=["alice@ours.example"])
    assert shown(office, bob.id) == len(office.rows(user="alice")) == left
    users.change(office.store, "alice", add_emails=["alice@ours.example"])
    assert shown(office, bob.id) == len(office.rows(user="alice")) == 7


def test_what_is_gone_meanwhile_is_not_done(office: Office, policy: str) -> None:
    """A job whose reason has gone does nothing."""
    office.user("alice", "alice@ours.example")
    receive(office, 1)
    with office.store.writing() as connection:
        relink.hide_owner(connection, 1, ["alice@ours.example"])
        relink.late(connection, 99, ["bob@x.example"])
    assert len(office.rows(user="alice")) == 1
    assert office.audit().ok and BODY
