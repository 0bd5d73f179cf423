"""Owners, participants and exclusion of one capture, as a table of cases."""

from typing import Any

import pytest

from crmstore.facts import Facts
from crmstore.whose import Judgement, Owner, People, Rules, UserRef, judge, kinds

ALICE = UserRef(1, "alice@ours.example", True)
HR = UserRef(2, "hr@ours.example", True)
OFF = UserRef(3, "off@ours.example", False)
PEOPLE = People(
    frozenset({"ours.example"}),
    {
        "alice@ours.example": ALICE,
        "alice@private.example": ALICE,
        "hr@ours.example": HR,
        "off@ours.example": OFF,
    },
)


def decide(
    role: str = "submission",
    sender: str = "alice@ours.example",
    to: list[str] | None = None,
    *,
    head: list[tuple[str, str]] | None = None,
    auth: str | None = None,
    outcome: str = "accepted",
    outcomes: dict[str, str] | None = None,
    never: list[str] | None = None,
    internal: bool = False,
    unread: bool = False,
    listed: list[str] | None = None,
    observe: bool = False,
) -> Judgement:
    recipients = ["bob@x.example"] if to is None else to
    header: dict[str, Any] = {
        "role": role,
        "sender": sender,
        "client": {"auth": auth},
        "recipients": [{"address": r} for r in recipients],
    }
    verdict = {
        "outcome": outcome,
        "recipients": [
            {"address": r, "outcome": (outcomes or {}).get(r, outcome)} for r in recipients
        ],
    }
    head = [("from", sender), *(("to", r) for r in recipients)] if head is None else head
    facts = Facts(people=[(role, address, "") for role, address in head])

    def forbids(address: str) -> object | None:
        patterns = never or []
        return next((p for p in patterns if address == p or address.endswith(p.strip("*"))), None)

    rules = Rules(internal, forbids, lambda a: listed is None or a in listed, observe)
    return judge(header, verdict, None if unread else facts, PEOPLE, rules)


def outsiders(found: Judgement) -> list[tuple[str, str, str]]:
    return [(p.role, p.address, p.evidence) for p in found.outsiders]


def test_sent_mail_belongs_to_who_authenticated() -> None:
    found = decide(auth="alice@ours.example", sender="team@ours.example")
    assert found.owners == [Owner("alice@ours.example", 1, "delivered", "alice@ours.example")]
    assert (found.direction, found.source) == ("sent", "submission")


def test_or_to_the_sender_address_whichever_of_theirs_it_is() -> None:
    assert decide(sender="Alice@private.example").owners[0].user_id == 1
    assert decide(sender="new@ours.example").owners == [
        Owner("new@ours.example", None, "delivered", "new@ours.example")
    ]


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ({}, "delivered"),
        ({"bob@x.example": "queued"}, "queued"),
        ({"bob@x.example": "accepted", "carol@x.example": "queued"}, "queued"),
        ({"bob@x.example": "unknown", "carol@x.example": "unknown"}, "sent"),
    ],
)
def test_status_of_sent_mail(outcomes: dict[str, str], status: str) -> None:
    to = ["bob@x.example", "carol@x.example"]
    outcome = "unknown" if status == "sent" else "accepted"
    assert decide(to=to, outcome=outcome, outcomes=outcomes).owners[0].status == status


def test_received_mail_belongs_to_each_recipient_of_ours() -> None:
    found = decide(
        "inbound",
        "bob@x.example",
        ["alice@ours.example", "alice@private.example", "new@ours.example"],
    )
    assert found.owners == [
        Owner("alice@ours.example", 1, "received", "alice@ours.example"),
        Owner("new@ours.example", None, "received", "new@ours.example"),
    ]
    assert outsiders(found) == [("from", "bob@x.example", "from header and envelope")]


def test_a_recipient_that_was_refused_owns_nothing() -> None:
    to = ["alice@ours.example", "hr@ours.example"]
    found = decide("lmtp", "bob@x.example", to, outcomes={"hr@ours.example": "refused"})
    assert [owner.name for owner in found.owners] == ["alice@ours.example"]


def test_mail_for_a_domain_that_is_not_ours_still_has_an_owner() -> None:
    found = decide("inbound", "bob@x.example", ["carol@relayed.example"])
    assert found.owners == [Owner("carol@relayed.example", None, "received")]


def test_bcc_is_known_by_the_envelope_only() -> None:
    found = decide(
        to=["bob@x.example", "secret@x.example"],
        head=[("from", "alice@ours.example"), ("to", "bob@x.example")],
    )
    assert [(p.role, p.address, p.envelope_only) for p in found.participants] == [
        ("from", "alice@ours.example", False),
        ("to", "bob@x.example", False),
        ("bcc", "secret@x.example", True),
    ]
    assert outsiders(found)[-1] == ("bcc", "secret@x.example", "envelope recipient")


def test_a_list_that_hides_its_recipients() -> None:
    found = decide(
        "inbound",
        "bounce+1@list.example",
        ["alice@ours.example"],
        head=[("from", "bob@x.example"), ("to", "list@list.example")],
    )
    assert outsiders(found) == [
        ("from", "bob@x.example", "from header"),
        ("to", "list@list.example", "to header"),
        ("envelope", "bounce+1@list.example", "envelope sender"),
    ]
    assert ("envelope", "alice@ours.example") in [(p.role, p.address) for p in found.participants]


def test_a_message_that_cannot_be_read_is_known_by_its_envelope() -> None:
    found = decide(unread=True)
    assert [(p.role, p.address) for p in found.participants] == [
        ("from", "alice@ours.example"),
        ("bcc", "bob@x.example"),
    ]


EXCLUDED: dict[str, tuple[dict[str, Any], str]] = {
    "among ourselves": ({"to": ["hr@ours.example"]}, "internal"),
    "among ourselves, wanted": ({"to": ["hr@ours.example"], "internal": True}, ""),
    "a user's private address is ours": (
        {"sender": "hr@ours.example", "to": ["alice@private.example"]},
        "internal",
    ),
    "an outsider in the header only": (
        {
            "to": ["hr@ours.example"],
            "head": [("from", "alice@ours.example"), ("cc", "b@x.example")],
        },
        "",
    ),
    "the owner is never captured": (
        {"sender": "hr@ours.example", "never": ["hr@ours.example"]},
        "never hr@ours.example",
    ),
    "the lawyer alone": (
        {"to": ["a@lawyer.example"], "never": ["*@lawyer.example"]},
        "never *@lawyer.example",
    ),
    "the lawyer and a customer": (
        {"to": ["a@lawyer.example", "bob@x.example"], "never": ["*@lawyer.example"]},
        "",
    ),
    "the lawyer writes": (
        {
            "role": "inbound",
            "sender": "a@lawyer.example",
            "to": ["alice@ours.example"],
            "never": ["*@lawyer.example"],
        },
        "never *@lawyer.example",
    ),
    "a user who is switched off": ({"sender": "off@ours.example"}, "user disabled"),
}


@pytest.mark.parametrize(("case", "reason"), EXCLUDED.values(), ids=EXCLUDED.keys())
def test_exclusion(case: dict[str, Any], reason: str) -> None:
    assert decide(**case).excluded == reason


def test_what_is_never_captured_for_one_is_for_the_others() -> None:
    found = decide(
        "inbound",
        "bob@x.example",
        ["hr@ours.example", "off@ours.example", "alice@ours.example"],
        never=["hr@ours.example"],
    )
    assert [owner.name for owner in found.owners] == ["alice@ours.example"]


def test_never_one_of_somebodys_addresses_is_never_any() -> None:
    found = decide(
        "inbound",
        "bob@x.example",
        ["alice@private.example", "hr@ours.example"],
        head=[("from", "bob@x.example"), ("to", "hr@ours.example")],
        never=["alice@ours.example"],
    )
    assert [owner.name for owner in found.owners] == ["hr@ours.example"]
    assert "alice@private.example" not in [p.address for p in found.participants]


def test_where_answers_go_is_not_where_it_went() -> None:
    head = [("from", "alice@ours.example"), ("reply-to", "bob@x.example")]
    found = decide(head=[*head, ("to", "bob@x.example")])
    said = {p.role: p.evidence for p in found.participants}
    assert said["reply-to"] == "reply-to header" and said["to"] == "to header and envelope"


def test_the_lawyer_keys_no_record_in_mail_to_others() -> None:
    found = decide(to=["a@lawyer.example", "bob@x.example"], never=["*@lawyer.example"])
    assert [address for _, address, _ in outsiders(found)] == ["bob@x.example"]


@pytest.mark.parametrize("auth", ["", None, "not an address", "x\r\ny", "\ud800", "a" * 5_000])
def test_odd_logins_do_no_harm(auth: str | None) -> None:
    owner = decide(auth=auth, sender="").owners[0]
    owner.name.encode("utf-8")
    assert len(owner.name) <= 320


# Some people first ([capture].users), and only looking ([capture].mode)


def test_listed_are_users_and_whom_the_list_names() -> None:
    assert decide(listed=[]).excluded == ""  # alice is a user
    assert decide(sender="new@ours.example", listed=[]).excluded == "not enrolled"
    assert decide(sender="new@ours.example", listed=["new@ours.example"]).excluded == ""
    relayed = decide("lmtp", "bob@x.example", ["dave@relayed.example"], listed=[])
    assert relayed.excluded == "not enrolled"
    off = decide(sender="off@ours.example", listed=["off@ours.example"])
    assert off.excluded == "user disabled"  # the list does not switch anybody on again


def test_mail_to_some_who_are_listed_is_theirs_alone() -> None:
    to = ["alice@ours.example", "new@ours.example", "blind@ours.example"]
    head = [("from", "bob@x.example"), *(("to", one) for one in to[:2])]
    found = decide("inbound", "bob@x.example", to, head=head, listed=[])
    assert [owner.name for owner in found.owners] == ["alice@ours.example"]
    assert found.left_out == "not enrolled" and kinds(found.left_out) == ["not enrolled"]
    # Who stands in the header is in the message; whom the envelope alone tells of is not.
    named = [p.address for p in found.participants]
    assert "new@ours.example" in named and "blind@ours.example" not in named
    only = decide("inbound", "bob@x.example", to[1:], listed=[], never=["blind@ours.example"])
    assert only.excluded == "never blind@ours.example"


def test_while_observing_everything_is_excluded_by_its_own_reason_or_by_this() -> None:
    assert decide(observe=True).excluded == "observe"
    assert decide(to=["hr@ours.example"], observe=True).excluded == "internal"
    assert decide(never=["bob@x.example"], observe=True).excluded == "never bob@x.example"
    assert decide(sender="new@ours.example", listed=[], observe=True).excluded == "not enrolled"
    assert decide(unread=True, observe=True).excluded == "observe"
