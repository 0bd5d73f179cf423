"""Who is believed to report a bounce, case by case: the same words from a machine, a program,
a list and a person (taxonomy.md, false alarms; bounce/fromtext.py `_believed`).

Each case changes one thing of the one above it.
"""

import pytest

from bounce.detect import read
from bounce.report import Report

QMAIL = (
    "Hi. This is the qmail-send program at mx.example.net.\n\n"
    "<client@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
)
PLAIN = "Your message could not be delivered to client@example.net\n\n550 5.1.1 no such user\n"
PARCEL = "Your parcel could not be delivered.\nWrite to client@example.net to try again.\n"
FIELDS = (
    "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; client@example.net\n"
    "Action: failed\nStatus: 5.1.1\n"
)
FAILED, ORDINARY = "Undelivered Mail Returned to Sender", "Our meeting on Tuesday"
DAEMON, PROGRAM, PERSON = (
    "MAILER-DAEMON@mx.example.net",
    "noreply@shop.example.net",
    "bob@example.net",
)


def mail(text: str, author: str, subject: str, *more: str) -> bytes:
    head = [f"From: {author}", "To: alice@example.com", f"Subject: {subject}", *more]
    return "\r\n".join([*head, "", *text.splitlines(), ""]).encode()


def heard(
    text: str, author: str, subject: str, *more: str, sender: str = "x@example.net"
) -> Report:
    return read(mail(text, author, subject, *more), sender=sender)


@pytest.mark.parametrize(
    ("author", "subject", "text", "more", "sender", "kind"),
    [
        # a machine: the words of a known program do, whatever the subject
        (DAEMON, FAILED, QMAIL, (), "", "bounce"),
        (DAEMON, ORDINARY, QMAIL, (), "", "bounce"),
        (DAEMON, ORDINARY, QMAIL, (), "x@example.net", "bounce"),
        # unknown words: the subject must tell, or both the author and the null sender
        (DAEMON, FAILED, PLAIN, (), "x@example.net", "bounce"),
        (DAEMON, ORDINARY, PLAIN, (), "x@example.net", "mail"),
        (DAEMON, ORDINARY, PLAIN, (), "", "bounce"),
        (PERSON, FAILED, PLAIN, (), "", "bounce"),
        (PERSON, ORDINARY, PLAIN, (), "", "mail"),
        # no word of failure at all
        (DAEMON, FAILED, "See client@example.net\n", (), "", "mail"),
        # a program that writes about parcels, too: only with a reply's words
        (PROGRAM, FAILED, PLAIN, (), "x@example.net", "bounce"),
        (PROGRAM, ORDINARY, PLAIN, (), "x@example.net", "mail"),
        (PROGRAM, FAILED, PARCEL, (), "x@example.net", "mail"),
        (PROGRAM, FAILED, PARCEL, (), "", "mail"),
        (PROGRAM, FAILED, PLAIN, (), "", "bounce"),
        (PERSON, FAILED, PLAIN, ("Auto-Submitted: auto-generated",), "x@example.net", "bounce"),
        (PERSON, FAILED, PARCEL, ("Auto-Submitted: auto-generated",), "x@example.net", "mail"),
        ("sales-owner@lists.example.net", FAILED, PLAIN, (), "x@example.net", "bounce"),
        # a person: not on the subject and the words of a reply
        (PERSON, FAILED, PLAIN, (), "x@example.net", "mail"),
        # ... but with those of a known program, unless it is a conversation or introduced
        (PERSON, FAILED, QMAIL, (), "x@example.net", "bounce"),
        (PERSON, ORDINARY, QMAIL, (), "x@example.net", "mail"),
        (PERSON, FAILED, QMAIL, ("In-Reply-To: <1@example.com>",), "x@example.net", "mail"),
        (PERSON, FAILED, QMAIL, ("References: <1@example.com>",), "x@example.net", "mail"),
        (PERSON, FAILED, QMAIL, ("List-Id: <talk.example.net>",), "x@example.net", "mail"),
        (PERSON, FAILED, "I got this, what now?\n\n" + QMAIL, (), "x@example.net", "mail"),
        (PERSON, FAILED, "> " + QMAIL.replace("\n", "\n> "), (), "x@example.net", "mail"),
        (PERSON, "Fwd: " + FAILED, QMAIL, (), "x@example.net", "mail"),
        # X-Failed-Recipients is enough
        (PERSON, ORDINARY, "Sorry.\n", ("X-Failed-Recipients: client@example.net",), "x@y.example",
         "bounce"),
        # the fields of a report in a text: of a machine, not of a person
        (DAEMON, ORDINARY, FIELDS, (), "x@example.net", "bounce"),
        (PERSON, ORDINARY, FIELDS, (), "", "bounce"),
        (PERSON, ORDINARY, FIELDS, (), "x@example.net", "mail"),
        (PERSON, FAILED, FIELDS, (), "x@example.net", "mail"),
    ],
)  # fmt: skip
def test_who_is_believed(
    author: str, subject: str, text: str, more: tuple[str, ...], sender: str, kind: str
) -> None:
    report = heard(text, author, subject, *more, sender=sender)
    assert report.kind == kind
    if kind == "bounce":
        assert [one.address for one in report.recipients] == ["client@example.net"]
    else:
        assert report.recipients == ()


def test_a_notice_that_names_nobody_says_so() -> None:
    text = QMAIL.replace("<client@example.net>:\n", "")
    report = heard(text, DAEMON, FAILED, sender="")
    assert (report.kind, report.recipients) == ("bounce", ())
    assert "recipient_unknown" in report.oddities


def test_the_subject_names_whom_no_other_place_does() -> None:
    text = "The message could not be delivered.\n550 5.1.1 no such user\n"
    subject = "Undelivered mail: client@example.net"
    (one,) = heard(text, DAEMON, subject, sender="").recipients
    assert (one.address, one.klass) == ("client@example.net", "hard")
    two = "Undelivered mail: client@example.net, other@example.net"
    assert heard(text, DAEMON, two, sender="").recipients == ()


def test_what_a_known_program_says_is_truer_than_a_header() -> None:
    """X-Failed-Recipients names the address that was written to, the notice where it went."""
    listed = "X-Failed-Recipients: info@example.org"
    (one,) = heard(QMAIL, DAEMON, FAILED, listed, sender="").recipients
    assert (one.address, one.category) == ("client@example.net", "invalid_address")
    both = "X-Failed-Recipients: client@example.net, second@example.net"
    first, second = heard(QMAIL, DAEMON, FAILED, both, sender="").recipients
    assert (first.address, first.category) == ("client@example.net", "invalid_address")
    assert second.address == "second@example.net"


def status_report(fields: str, text: str, *more: str) -> Report:
    body = (
        f"--b\n\n{text}\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; mx.example.net\n\n{fields}\n--b--\n"
    )
    kind = "Content-Type: multipart/report; report-type=delivery-status; boundary=b"
    return heard(body, DAEMON, FAILED, kind, *more, sender="")


def test_a_status_part_without_recipients_is_noted() -> None:
    report = status_report("X-Nothing: here", QMAIL)
    assert "status_without_recipients" in report.oddities
    assert [one.address for one in report.recipients] == ["client@example.net"]  # its text says it


@pytest.mark.parametrize(
    ("named", "text", "more", "address"),
    [
        ("client", QMAIL, (), "client@example.net"),
        ("info", QMAIL, (), "client@example.net"),
        ("info", "It failed.", ("X-Failed-Recipients: c@example.net",), "c@example.net"),
        ("info", "It failed.", (), "info"),
        ("", "It failed.", (), ""),
    ],
)
def test_a_recipient_field_that_is_no_address(
    named: str, text: str, more: tuple[str, ...], address: str
) -> None:
    fields = f"Final-Recipient: rfc822; {named}\nAction: failed\nStatus: 5.1.1"
    (one,) = status_report(fields, text, *more).recipients
    assert one.address == address


def test_of_two_recipients_each_gets_its_own_name_and_words() -> None:
    text = (
        "Hi. This is the qmail-send program at mx.example.net.\n\n"
        "<client@example.net>:\nSorry, no mailbox here by that name.\n\n"
        "<second@example.net>:\nSorry, that mailbox is full.\n"
    )
    entry = "Final-Recipient: rfc822; {}\nAction: failed\nStatus: 5.0.0\n{}"
    first = entry.format("client@example.net", "Diagnostic-Code: smtp; 550 5.1.1 no such user\n")
    second = entry.format("second", "")
    found = status_report(first + "\n" + second, text).recipients
    assert [(one.address, one.category) for one in found] == [
        ("client@example.net", "invalid_address"),
        ("second@example.net", "mailbox_full"),
    ]
