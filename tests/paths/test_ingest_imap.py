"""What an IMAP door has seen, in the store: whose it is, which way it went, what stays out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmstore import mailboxes, message, users
from crmstore.mailplace import Look
from crmstore.uidset import UidSet
from crmstore.whose import People, Rules, judge
from tests.paths.office import BODY, Office

ALICE = "alice@ours.example"
FROM_BOB = b"From: Bob <bob@x.example>\r\nTo: alice@ours.example\r\nSubject: hi\r\n\r\nHi Alice\r\n"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()
    made.store.close()


def test_mail_that_was_read_is_received_and_linked_by_its_header(office: Office) -> None:
    bob = office.contact("bob@x.example")
    office.imap().seen(FROM_BOB, uid=5)
    office.take()
    (row,) = office.rows(record=bob.id)
    assert (row["direction"], row["owner"], row["status"]) == ("received", ALICE, "received")
    assert row["source"] == ["imap_fetch"]
    assert row["records"][0]["evidence"] == "from header: bob@x.example"
    (seen,) = message.email(office.store, row["id"])["sightings"]
    assert seen["mailbox"] == {"name": "INBOX", "special": "inbox", "uidvalidity": 7, "uid": 5}
    assert b"".join(message.raw(office.store, office.archive, row["id"])) == FROM_BOB
    report = office.audit()
    assert (report.ok, report.accepted, report.captured) == (True, 1, 1)


def test_mail_from_one_of_the_owners_addresses_is_sent_wherever_it_lies(office: Office) -> None:
    office.user(ALICE, ALICE, "alice@private.example")
    body = BODY.replace(b"alice@ours.example", b"alice@private.example")
    office.imap().seen(body, mailbox="Archive", special="")
    office.take()
    assert [(r["direction"], r["status"]) for r in office.rows()] == [("sent", "sent")]


def test_what_is_filed_in_sent_is_sent_whoever_it_is_from(office: Office) -> None:
    body = BODY.replace(b"alice@ours.example", b"team@elsewhere.example")
    office.imap().seen(body, source="imap_append", mailbox="Sent", special="sent", uid=None)
    office.take()
    (row,) = office.rows()
    assert (row["direction"], row["source"]) == ("sent", ["imap_append"])


def test_seen_at_submission_and_filed_in_sent_is_one_message(office: Office) -> None:
    office.door().mail(auth=ALICE)
    office.take()
    office.imap().seen(
        source="imap_append", mailbox="Sent", special="sent", uidvalidity=None, uid=None,
        learned={"uidvalidity": 3, "uid": 9},
    )  # fmt: skip
    office.take()
    (row,) = office.rows()
    assert row["source"] == ["imap_append", "submission"]
    assert row["owners"] == [ALICE]
    assert (row["direction"], row["status"]) == ("sent", "delivered")
    (_, filed) = message.email(office.store, row["id"])["sightings"]
    assert (filed["mailbox"]["uidvalidity"], filed["mailbox"]["uid"]) == (3, 9)
    report = office.audit()
    assert (report.ok, report.captured) == (True, 2)


TRACE = (
    b"Return-Path: <bob@x.example>\r\nDelivered-To: alice@ours.example\r\n"
    b"Received: from mx by imap.ours.example with LMTP id 1;\r\n"
    b"\tSun, 22 Nov 2026 01:00:00 +0000\r\n"
)


def test_received_at_the_mx_and_read_in_the_mailbox_is_one_message(office: Office) -> None:
    """A delivery agent adds lines on top."""
    office.user(ALICE)
    office.door("mx-0", "inbound").mail(FROM_BOB, sender="bob@x.example", to=[ALICE])
    office.take()
    office.imap().seen(TRACE + FROM_BOB, source="companion")
    office.take()
    (row,) = office.rows()
    assert row["source"] == ["companion", "inbound"]
    assert office.audit().ok


@pytest.mark.parametrize("filed_first", [False, True])
def test_filed_with_its_bcc_it_is_the_same_message_and_the_bcc_stays_the_senders(
    office: Office, filed_first: bool
) -> None:
    """The mail program sends without the Bcc and files its copy with it."""
    office.user(ALICE)
    office.user("carol@ours.example")
    secret = office.contact("secret@x.example", name="Secret")
    body = (
        b"From: alice@ours.example\r\nTo: bob@x.example, carol@ours.example\r\n"
        b"Message-ID: <1@ours.example>\r\nSubject: plan\r\n\r\nHello\r\n"
    )
    copy = body.replace(b"Subject", b"Bcc: secret@x.example\r\nSubject")

    def file() -> None:
        office.imap().seen(copy, source="imap_append", mailbox="Sent", special="sent")
        office.take()

    if filed_first:
        file()
    to = ["bob@x.example", "carol@ours.example", "secret@x.example"]
    office.door().mail(body, auth=ALICE, to=to)
    office.door("mx-0", "inbound").mail(body, sender=ALICE, to=["carol@ours.example"])
    office.take()
    if not filed_first:
        file()
    (row,) = office.rows(user=ALICE)
    assert row["source"] == ["imap_append", "inbound", "submission"]
    assert office.rows(record=secret.id, viewer=ALICE)
    assert office.rows(record=secret.id, viewer="carol@ours.example") == []
    shown = message.email(office.store, row["id"], viewer="carol@ours.example")
    assert "secret@x.example" not in str(shown)


def test_read_by_two_colleagues_it_is_one_message_of_both(office: Office) -> None:
    door = office.imap()
    body = FROM_BOB.replace(b"To: ", b"To: carol@ours.example, ")
    door.seen(body)
    door.seen(body, user="carol@ours.example")
    office.take()
    (row,) = office.rows()
    assert row["owners"] == [ALICE, "carol@ours.example"]


def test_a_bcc_in_the_senders_own_copy_is_shown_to_the_sender_only(office: Office) -> None:
    secret = office.contact("secret@x.example", name="Secret")
    body = BODY.replace(b"Subject", b"Bcc: secret@x.example\r\nSubject")
    office.imap().seen(body, source="imap_append", mailbox="Sent", special="sent")
    office.take()
    assert office.rows(record=secret.id, viewer=ALICE)
    assert office.rows(record=secret.id, viewer="carol@ours.example") == []
    with pytest.raises(message.NoSuchEmail):  # it is nothing of hers
        message.email(office.store, 1, viewer="carol@ours.example")
    assert message.email(office.store, 1, viewer=ALICE)["bcc"] == ["secret@x.example"]


@pytest.mark.parametrize("special", ["junk", "trash", "drafts"])
def test_what_lies_in_junk_trash_or_drafts_is_excluded(office: Office, special: str) -> None:
    office.imap().seen(FROM_BOB, mailbox="X", special=special)
    office.take()
    report = office.audit()
    assert (report.ok, report.excluded) == (True, {f"folder {special}": 1})
    assert office.rows() == [] and not list(office.settings.blob_dir.rglob("*.zst"))


def test_a_draft_in_another_folder_is_excluded(office: Office) -> None:
    office.imap().seen(source="imap_append", special="", keywords=["\\Seen", "\\DRAFT"])
    office.take()
    assert office.audit().excluded == {"draft": 1}


def test_mail_among_ourselves_is_excluded(office: Office) -> None:
    office.imap().seen(b"From: hr@ours.example\r\nTo: alice@ours.example\r\n\r\nx")
    office.take()
    assert office.audit().excluded == {"internal": 1}


def test_mail_that_cannot_be_read_is_kept_raw() -> None:
    header = {"role": "imap", "imap": {"user": ALICE, "mailbox": "INBOX"}}
    people = People(frozenset({"ours.example"}), {})
    found = judge(header, {}, None, people, Rules(False, lambda _: None))
    assert (found.excluded, found.owners[0].name) == ("", ALICE)


def test_never_and_disabled_users(tmp_path: Path) -> None:
    office = Office(tmp_path, capture={"never": ["*@lawyer.example", "hr@ours.example"]})
    office.user("off@ours.example")
    users.set_enabled(office.store, "off@ours.example", False)
    door = office.imap()
    door.seen(FROM_BOB.replace(b"bob@x", b"a@lawyer"))
    door.seen(FROM_BOB, user="hr@ours.example")
    door.seen(FROM_BOB, user="off@ours.example")
    office.take()
    assert office.audit().excluded == {
        "never *@lawyer.example": 1,
        "never hr@ours.example": 1,
        "user disabled": 1,
    }
    assert office.rows() == []
    office.close()
    office.store.close()


def test_an_append_that_the_server_refused_is_not_stored(office: Office) -> None:
    office.imap().seen(source="imap_append", outcome="refused")
    office.take()
    assert office.rows() == [] and office.audit().refused == 1


def test_mail_stays_on_the_timeline_wherever_it_goes(office: Office) -> None:
    """Moved, then read again in the other folder: one message; expunged: nobody tells us."""
    door = office.imap()
    door.seen(FROM_BOB, uid=5)
    door.seen(FROM_BOB, mailbox="Archive", special="", uid=1)
    office.take()
    assert len(office.rows()) == 1


def test_a_frame_that_says_nonsense_does_no_harm(office: Office) -> None:
    office.imap().message(
        FROM_BOB, sender="", to=(), auth=None, imap={"user": 5, "uid": "x", "keywords": {"a": 1}}
    )
    door = office.imap("imap-1")
    door.seen(FROM_BOB, mailbox="M" * 9_000 + "\0\ud800", uidvalidity=-1, uid=2**40)
    office.take()
    (row,) = office.rows()
    (seen,) = message.email(office.store, row["id"])["sightings"]
    assert len(seen["mailbox"]["name"]) == 2_000 and seen["mailbox"]["uid"] is None


# Who is enrolled


def test_the_first_login_of_an_address_of_ours_makes_a_user(office: Office) -> None:
    office.imap().seen(FROM_BOB, user="Alice@Ours.example")
    office.door().mail(auth="carol@ours.example", sender="carol@ours.example")
    steps = office.take()
    assert [step.enrolled for step in steps if step.enrolled] == [[ALICE, "carol@ours.example"]]
    alice = users.get(office.store, ALICE)
    assert alice.enabled and alice.addresses == (ALICE,)
    assert alice.enrolled is not None and alice.enrolled <= alice.created
    assert office.query("SELECT count(*) FROM sightings WHERE user_id IS NULL") == [(0,)]


def test_nobody_else_is_enrolled(office: Office) -> None:
    door = office.imap()
    door.seen(FROM_BOB, user="bob@x.example")  # not a domain of ours
    door.seen(FROM_BOB, user="alice")  # no address
    office.door("mx-0", "inbound").mail(FROM_BOB, sender="bob@x.example", to=[ALICE])
    office.take()
    assert users.listing(office.store) == []
    assert office.rows(user="alice")


def test_enrolling_can_be_switched_off(tmp_path: Path) -> None:
    office = Office(tmp_path, capture={"enroll": False})
    office.imap().seen(FROM_BOB)
    office.take()
    assert users.listing(office.store) == []
    assert office.rows()[0]["owner"] == ALICE
    office.close()
    office.store.close()


def test_a_disabled_user_stays_disabled_and_an_alias_enrolls_nobody(office: Office) -> None:
    office.user("alice", ALICE)
    users.set_enabled(office.store, "alice", False)
    assert users.enroll(office.store, {ALICE: 1, "ALICE@ours.example": 2, "nonsense": 3}) == []
    assert not users.get(office.store, ALICE).enabled


def test_a_login_without_a_domain_is_the_user_of_that_address(office: Office) -> None:
    office.user(ALICE)
    office.imap().seen(FROM_BOB, user="alice")
    office.take()
    assert office.rows()[0]["owner"] == ALICE


# What is known of a mailbox


def known(office: Office, login: str = ALICE) -> dict[str, str]:
    return {box.mailbox: str(box.known) for box in mailboxes.of_logins(office.store, [login])}


def test_the_store_knows_each_message_that_it_has_or_has_excluded(office: Office) -> None:
    door = office.imap()
    for uid in (1, 2, 3, 9):
        door.seen(FROM_BOB, uid=uid)
    door.seen(b"From: hr@ours.example\r\n\r\nx", uid=4)
    door.seen(source="imap_append", uid=5, outcome="refused")
    door.seen(mailbox="Sent", special="sent", uidvalidity=None, uid=None)
    steps = office.take()
    assert known(office) == {"INBOX": "1:4,9"}
    assert {box.mailbox for step in steps for box in step.taken.mailboxes} == {"INBOX"}


def test_a_new_uidvalidity_begins_anew(office: Office) -> None:
    door = office.imap()
    door.seen(FROM_BOB, uid=1)
    office.take()
    door.seen(FROM_BOB, uid=8, uidvalidity=9)
    office.take()
    assert known(office) == {"INBOX": "8"}
    (box,) = mailboxes.of_logins(office.store, [ALICE])
    assert box.uidvalidity == 9


def test_coverage_is_known_of_present(office: Office) -> None:
    door = office.imap()
    door.seen(FROM_BOB, uid=2)
    office.take()
    assert mailboxes.coverage(office.store) == {}  # nobody has looked
    look = Look(ALICE, "INBOX", "inbox", 7, UidSet.parse("1:10"), UidSet.parse("4"))
    for _ in range(2):
        with office.store.writing() as connection:
            mailboxes.looked(connection, [look])
    assert mailboxes.coverage(office.store) == {"inbox": (1, 2, 10, 1)}
    door.seen(FROM_BOB, uid=3)
    door.seen(FROM_BOB, uid=11)  # came since
    office.take()
    assert mailboxes.coverage(office.store)["inbox"].known == 3
    assert known(office) == {"INBOX": "2:4,11"}
    assert [box.mailbox for box in mailboxes.all_known(office.store)[0]] == ["INBOX"]
