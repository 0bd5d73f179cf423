"""Records and users: addresses, histories, main contacts, and linking of mail that came before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmstore import records, users
from tests.paths.office import BODY, Office

MAIL = b"From: alice@ours.example\r\nTo: %s\r\nSubject: s\r\n\r\n"


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


def links(office: Office) -> set[tuple[int, str]]:
    return {
        (record["id"], record["evidence"]) for row in office.rows() for record in row["records"]
    }


# Records


def test_a_record_has_several_addresses(office: Office) -> None:
    bob = office.contact("Bob@X.example", "b2@x.example", "bob@x.example")
    assert bob.addresses == ("bob@x.example", "b2@x.example")
    assert records.show(office.store, bob.id) == bob
    assert records.listing(office.store) == [bob]
    assert records.listing(office.store, kind="lead") == []


@pytest.mark.parametrize(
    ("kind", "name", "emails", "message"),
    [
        ("person", "B", [], "allowed are lead, contact, deal"),
        ("contact", " ", [], "needs a name"),
        ("contact", "B", ["bob"], "is no address"),
        ("contact", "B", ["hr@ours.example"], "is ours"),
        ("contact", "B", ["alice@private.example"], "is ours"),
        ("deal", "D", [], "needs a main contact"),
        ("lead", "L", [f"a{n}@x.example" for n in range(201)], "at most 200"),
    ],
)
def test_what_is_refused(
    office: Office, kind: str, name: str, emails: list[str], message: str
) -> None:
    office.user("alice@ours.example", "alice@ours.example", "alice@private.example")
    with pytest.raises(ValueError, match=message):
        records.add(office.store, kind, name, emails=emails, domains=["ours.example"])
    assert records.listing(office.store) == []


def test_one_address_on_two_contacts_warns_and_gives_both_the_mail(office: Office) -> None:
    bob = office.contact("shared@x.example")
    lead = office.contact("shared@x.example", kind="lead")
    carol = office.contact("shared@x.example", name="Carol")
    assert (bob.warnings, lead.warnings) == ((), ())
    assert carol.warnings == (
        f"shared@x.example is also on contact {bob.id} (Bob): both get its mail",
    )
    office.door().mail(MAIL % b"shared@x.example", to=["shared@x.example"])
    office.take()
    assert {id_ for id_, _ in links(office)} == {bob.id, lead.id, carol.id}


def test_mail_that_came_before_is_linked(office: Office) -> None:
    office.door().mail()
    office.door("mx-0", "inbound").mail(
        b"From: bob@x.example\r\n\r\n", sender="bob@x.example", to=["alice@ours.example"]
    )
    office.take()
    assert links(office) == set()
    bob = office.contact("bob@x.example")
    assert bob.linked == 2
    assert links(office) == {
        (bob.id, "to header and envelope: bob@x.example"),
        (bob.id, "from header and envelope: bob@x.example"),
    }
    shown = records.show(office.store, bob.id)
    assert shown.emails == 2 and shown.last_email is not None


def test_an_address_that_leaves_keeps_its_links_and_history(office: Office) -> None:
    bob = office.contact("bob@x.example")
    door = office.door()
    door.mail()
    office.take()
    left = records.change(
        office.store, bob.id, add_emails=["new@x.example"], remove_emails=["bob@x.example"]
    )
    assert left.addresses == ("new@x.example",)
    assert [(h.address, h.until is None) for h in left.history] == [
        ("bob@x.example", False),
        ("new@x.example", True),
    ]
    door.mail(BODY + b"2")
    office.take()
    assert len(office.rows(record=bob.id)) == 1
    back = records.change(office.store, bob.id, add_emails=["bob@x.example"])
    assert back.linked == 1 and len(office.rows(record=bob.id)) == 2


def test_an_open_deal_has_the_mail_of_its_main_contact(office: Office) -> None:
    bob = office.contact("bob@x.example")
    door = office.door()
    door.mail()
    office.take()
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    assert deal.linked == 1 and records.show(office.store, bob.id).deals == (deal.id,)
    door.mail(BODY + b"2")
    office.take()
    assert len(office.rows(record=deal.id)) == 2
    evidence = f"main contact {bob.id}: to header and envelope: bob@x.example"
    assert (deal.id, evidence) in links(office)
    records.change(office.store, deal.id, state="closed")
    door.mail(BODY + b"3")
    office.take()
    assert len(office.rows(record=deal.id)) == 2
    assert records.change(office.store, deal.id, state="open").linked == 1
    records.change(office.store, bob.id, add_emails=["bob2@x.example"])
    door.mail(MAIL % b"bob2@x.example", to=["bob2@x.example"])
    office.take()
    assert len(office.rows(record=deal.id)) == 4


def test_the_main_contact_of_a_deal_is_a_person(office: Office) -> None:
    bob = office.contact("bob@x.example")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    with pytest.raises(ValueError, match="is a deal"):
        records.add(office.store, "deal", "Bigger", main_contact=deal.id)
    with pytest.raises(records.NoSuchRecord):
        records.add(office.store, "deal", "Bigger", main_contact=99)
    with pytest.raises(records.NoSuchRecord):
        records.show(office.store, 99)


def test_what_is_never_captured_is_not_linked_late(office: Office) -> None:
    office.door().mail()
    office.take()
    bob = records.add(
        office.store, "contact", "Bob", emails=["bob@x.example"], never=lambda a: "*@x.example"
    )
    assert bob.linked == 0 and "capture.never" in bob.warnings[0]


# Users


def test_a_user_has_a_login_and_addresses(office: Office) -> None:
    alice = office.user("Alice@Ours.example")
    assert (alice.login, alice.addresses) == ("alice@ours.example", ("alice@ours.example",))
    bob = users.add(office.store, "bob", name="Bob", emails=["bob@ours.example"])
    assert users.get(office.store, "bob@ours.example") == bob == users.get(office.store, "BOB")
    assert users.listing(office.store) == [alice, bob]
    assert users.listing(office.store, after="alice@ours.example") == [bob]
    with pytest.raises(users.NoSuchUser):
        users.get(office.store, "carol")


@pytest.mark.parametrize("login", ["", "  ", "two words", "a\r\nb", "x" * 400])
def test_what_is_no_login(office: Office, login: str) -> None:
    with pytest.raises(ValueError, match="no login"):
        users.add(office.store, login)


def test_an_address_belongs_to_one_user(office: Office) -> None:
    office.user("alice@ours.example")
    with pytest.raises(users.Conflict, match="belongs to alice"):
        office.user("bob", "alice@ours.example")
    with pytest.raises(users.Conflict, match="exists"):
        office.user("alice@ours.example")
    bob = office.user("bob", "bob@ours.example")
    with pytest.raises(users.Conflict):
        users.change(office.store, "bob", add_emails=["alice@ours.example"])
    with pytest.raises(users.Conflict, match="has no address"):
        users.change(office.store, "bob", remove_emails=["x@ours.example"])
    assert users.get(office.store, "bob") == bob


def test_change(office: Office) -> None:
    office.user("bob", "bob@ours.example")
    bob = users.change(
        office.store,
        "bob",
        name="Robert",
        add_emails=["rob@ours.example"],
        remove_emails=["bob@ours.example"],
    )
    assert (bob.name, bob.addresses) == ("Robert", ("rob@ours.example",))


def test_a_new_user_has_the_mail_that_was_seen_for_their_addresses(office: Office) -> None:
    mx = office.door("mx-0", "inbound")
    to = ["alice@ours.example", "al@ours.example"]
    mx.mail(b"From: bob@x.example\r\n\r\n", sender="bob@x.example", to=to)
    mx.mail(b"From: bob@x.example\r\n\r\n2", sender="bob@x.example", to=to[1:])
    office.take()
    office.user("alice", *to)
    assert [row["owner"] for row in office.rows(user="alice")] == ["alice", "alice"]
    assert len(office.rows(user="al@ours.example")) == 2
    mx.mail(b"From: bob@x.example\r\n\r\n3", sender="bob@x.example", to=to)
    office.take()
    assert len(office.rows(user="alice")) == 3
    assert office.audit().ok


def test_disabling_stops_the_capture_from_the_next_batch_on(office: Office) -> None:
    office.user("alice@ours.example")
    door = office.door()
    door.mail(auth="alice@ours.example")
    office.take()
    assert users.set_enabled(office.store, "alice@ours.example", False).enabled is False
    door.mail(BODY + b"2", auth="alice@ours.example")
    office.take()
    assert office.audit().excluded == {"user disabled": 1}
    users.set_enabled(office.store, "alice@ours.example", True)
    door.mail(BODY + b"3", auth="alice@ours.example")
    office.take()
    assert len(office.rows()) == 2


def test_a_user_whose_address_is_on_a_record_is_warned_of(office: Office) -> None:
    bob = office.contact("bob@private.example")
    user = office.user("bob", "bob@private.example")
    assert user.warnings == (
        f"bob@private.example is also on record {bob.id}: it is ours now, and keys no record any"
        " more",
    )
