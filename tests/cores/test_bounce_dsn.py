"""RFC 3464 and 6533 parts as they should be and as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce import dsn
from bounce.detect import read
from bounce.report import KINDS

REPORTING = "Reporting-MTA: dns; mx.example.net\n\n"


def entries(text: str) -> list[tuple[str, str | None, str]]:
    return [(one.final, one.action, one.status) for one in dsn.parse(text).entries]


def test_recipients_are_groups_of_lines() -> None:
    text = REPORTING + (
        "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n\n"
        "Original-Recipient: rfc822;b@example.org\nFinal-Recipient: rfc822; b@example.net\n"
        "Action: delayed\nStatus: 4.4.1\n"
    )
    assert entries(text) == [
        ("a@example.net", "failed", "5.1.1"),
        ("b@example.net", "delayed", "4.4.1"),
    ]
    assert dsn.parse(text).entries[1].original == "b@example.org"


def test_no_blank_line_between_anything() -> None:
    text = (
        "Reporting-MTA: dns; mx\nFinal-Recipient: rfc822; a@example.net\nAction: failed\n"
        "Status: 5.1.1\nFinal-Recipient: rfc822; b@example.net\nAction: failed\nStatus: 5.2.2\n"
    )
    assert entries(text) == [
        ("a@example.net", "failed", "5.1.1"),
        ("b@example.net", "failed", "5.2.2"),
    ]


def test_blank_lines_within_a_group() -> None:
    text = (
        REPORTING + "\n\nFinal-Recipient: rfc822; a@example.net\n\nAction: failed\n\nStatus: 5.1.1"
    )
    assert entries(text) == [("a@example.net", "failed", "5.1.1")]


def test_a_diagnostic_that_lost_its_fold() -> None:
    text = REPORTING + (
        "Final-Recipient: rfc822; a@example.net\nAction: failed\nDiagnostic-Code: smtp; 550 no\n"
        "more of it without an indent\nStatus: 5.1.1\n"
    )
    (one,) = dsn.parse(text).entries
    assert one.diagnostic == "550 no more of it without an indent"
    assert one.status == "5.1.1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rfc822; a@example.net", "a@example.net"),
        ("RFC822;<A@Example.Net>", "a@example.net"),
        ("a@example.net", "a@example.net"),
        ("LOCAL; Client <a@example.net>", "a@example.net"),
        ("rfc822; a+2Bb@example.net", "a+b@example.net"),
        ("rfc822; a+tag@example.net", "a+tag@example.net"),
        ("utf-8; \\x{7530}\\x{4E2D}@example.net", "田中@example.net"),
        ("utf-8; 田中@example.net", "田中@example.net"),
        ("utf-8; \\x{110000}@example.net", "\ufffd@example.net"),
        ("x400; /c=jp/s=client/", ""),
        ("system;<>", ""),
        ("", ""),
    ],
)
def test_addresses(value: str, expected: str) -> None:
    assert dsn.address_in(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("failed", "failed"),
        ("Failed (bad destination mailbox)", "failed"),
        ("FAILURE", "failed"),
        ("delayed", "delayed"),
        ("relayed (to non-DSN-aware system)", "relayed"),
        ("expanded", "expanded"),
        ("delivered", "delivered"),
        ("", None),
    ],
)
def test_actions(value: str, expected: str | None) -> None:
    text = f"Final-Recipient: rfc822; a@example.net\nAction: {value}\nStatus: 5.0.0"
    assert dsn.parse(text).entries[0].action == expected


@given(st.text(max_size=400))
def test_any_text_is_parsed(text: str) -> None:
    dsn.parse(text)
    dsn.parse(REPORTING + "Final-Recipient: " + text)


@given(st.binary(max_size=400), st.sampled_from([None, "", "a@example.com", "<>"]))
def test_any_octets_are_read(raw: bytes, sender: str | None) -> None:
    assert read(raw, sender=sender).kind in KINDS


FRAGMENTS = st.sampled_from(
    [
        b"Return-Path: <>\r\n",
        b"From: MAILER-DAEMON@mx.example.net\r\n",
        b"Subject: failure notice\r\n",
        b"Content-Type: multipart/report; boundary=b\r\n",
        b"Content-Type: text/html; charset=utf-16\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Content-Type: message/feedback-report\r\n\r\n",
        b"Content-Type: message/disposition-notification\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Final-Recipient: rfc822; a@example.net\r\n",
        b"Original-Recipient: utf-8; \\x{0}\\x{d800}\r\n",
        b"Action: failed\r\n",
        b"<a@example.net>: 550 5.1.1 no\r\n",
        b"--- Below this line is a copy of the message.\r\n",
        b'{"notificationType":"Bounce","bounce":[{}]}\r\n',
        b"\xff\xfe\0\0",
        b"\r",
    ]
)


@given(st.lists(FRAGMENTS, max_size=14))
def test_any_pieces_of_reports_are_read(pieces: list[bytes]) -> None:
    report = read(b"".join(pieces))
    assert report.kind in KINDS
    assert not any(oddity.startswith("fault") for oddity in report.oddities)
