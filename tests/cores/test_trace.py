"""The line that we add, and the lines that we count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.trace import HEADER_LIMIT, count_hops, mail_date, protocol_name, received_line


def line(**more: object) -> str:
    values: dict[str, object] = {
        "helo": "laptop.example",
        "ip": "192.0.2.7",
        "hostname": "mx.example.com",
        "protocol": "ESMTPS",
        "capture_id": "01KABC",
        "recipient": None,
        "date": "Sun, 22 Nov 2026 00:40:01 +0000",
    }
    return received_line(**{**values, **more})  # type: ignore[arg-type]


def test_the_line() -> None:
    assert line(recipient="b@y.example") == (
        "Received: from laptop.example ([192.0.2.7])\r\n"
        "\tby mx.example.com (Mailweir) with ESMTPS id 01KABC\r\n"
        "\tfor <b@y.example>; Sun, 22 Nov 2026 00:40:01 +0000\r\n"
    )


def test_no_for_clause_without_a_single_recipient() -> None:
    """Row: Received "for" leak."""
    assert "for" not in line()
    assert line().endswith("id 01KABC; Sun, 22 Nov 2026 00:40:01 +0000\r\n")


def test_an_ipv6_client_is_written_as_a_literal() -> None:
    assert "([IPv6:2001:db8::1])" in line(ip="2001:db8::1")


@pytest.mark.parametrize(
    ("helo", "written"),
    [
        ("a b", "a?b"),
        ("a(b)c\\d", "a?b?c?d"),
        ("日本", "??"),
        ("x;y", "x;y"),
        ("\r\nX-Evil: 1", "??X-Evil:?1"),
        ("", "unknown"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_cannot_end_the_line_or_open_a_comment(helo: str, written: str) -> None:
    assert line(helo=helo).split("\r\n")[0] == f"Received: from {written} ([192.0.2.7])"


@pytest.mark.parametrize(
    "recipient", ['"b c"@y.example', '"b>;"@y.example', '"b\\"@y.example', "b" * 480 + "@y.example"]
)
def test_a_recipient_that_could_break_the_clause_is_left_out(recipient: str) -> None:
    assert "for" not in line(recipient=recipient)


@given(st.text(max_size=300), st.text(max_size=300).filter(lambda t: not set(t) & set("\r\n")))
def test_always_the_same_shape(helo: str, recipient: str) -> None:
    written = line(helo=helo, recipient=recipient)
    lines = written.removesuffix("\r\n").split("\r\n")
    assert len(lines) in (2, 3)
    assert lines[0].startswith("Received: from ") and all(x.startswith("\t") for x in lines[1:])
    assert all(len(x) < 998 for x in lines)
    assert count_hops(written.encode("utf-8", "replace") + b"\r\n") == 1


@pytest.mark.parametrize(
    ("esmtp", "lmtp", "tls", "auth", "utf8", "name"),
    [
        (False, False, False, False, False, "SMTP"),
        (False, False, True, True, False, "SMTP"),
        (True, False, False, False, False, "ESMTP"),
        (True, False, True, False, False, "ESMTPS"),
        (True, False, False, True, False, "ESMTPA"),
        (True, False, True, True, False, "ESMTPSA"),
        (True, True, False, False, False, "LMTP"),
        (True, True, True, False, False, "LMTPS"),
        (True, False, True, True, True, "UTF8SMTPSA"),
        (True, False, False, False, True, "UTF8SMTP"),
        (True, True, False, False, True, "UTF8LMTP"),
    ],
)
def test_protocol_names(
    esmtp: bool, lmtp: bool, tls: bool, auth: bool, utf8: bool, name: str
) -> None:
    """RFC 3848, RFC 6531 section 4.3."""
    assert protocol_name(esmtp=esmtp, lmtp=lmtp, tls=tls, auth=auth, utf8=utf8) == name


@pytest.mark.parametrize(
    ("head", "hops"),
    [
        (b"", 0),
        (b"Subject: x\r\n\r\nReceived: no\r\n", 0),
        (b"Received: a\r\nReceived: b\r\n\r\n", 2),
        (b"RECEIVED: a\r\nreceived : b\r\nX-Received: c\r\n\r\n", 2),
        (b"Received: a\r\n Received: folded\r\n\r\n", 1),
        (b"\r\nReceived: body, for there is no header section\r\n\r\n", 0),
        (b"Received: a", 1),
    ],
)
def test_hops_are_counted_in_the_header_section(head: bytes, hops: int) -> None:
    assert count_hops(head) == hops


def test_hops_are_counted_up_to_the_limit_only() -> None:
    assert count_hops(b"X: " + b"x" * HEADER_LIMIT + b"\r\nReceived: late\r\n\r\n") == 0


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)))
def test_a_date_reads_back(moment: datetime) -> None:
    for zone in (UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=3, minutes=30))):
        aware = moment.replace(microsecond=0, tzinfo=zone)
        assert parsedate_to_datetime(mail_date(aware)) == aware
