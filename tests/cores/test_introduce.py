"""What a next hop is told of our client (proxy/smtp/introduce.py)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.introduce import Stranger, proxy_line, xclient, xtext

POSTFIX = "NAME ADDR PROTO HELO LOGIN PORT DESTADDR DESTPORT REVERSE_NAME"


def test_what_postfix_is_told() -> None:
    client = Stranger("192.0.2.7", 4711, "192.0.2.1", 25, "mail.example.net")
    assert xclient(client, POSTFIX) == (
        b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP HELO=mail.example.net"
    )


def test_what_was_not_offered_is_not_told() -> None:
    client = Stranger("2001:db8::7", 4711, helo="a b", esmtp=False)
    assert xclient(client, "addr helo") == b"XCLIENT ADDR=IPV6:2001:db8::7 HELO=a+20b"
    assert xclient(client, "ADDR PROTO") == b"XCLIENT ADDR=IPV6:2001:db8::7 PROTO=SMTP"
    assert xclient(client, "") is None
    assert xclient(client, "NAME HELO") is None


def test_who_is_not_known_is_not_told() -> None:
    assert xclient(Stranger("", 0), POSTFIX) is None
    words = xclient(Stranger("192.0.2.7", 0), POSTFIX)
    assert words is not None and b"PORT=[UNAVAILABLE]" in words and b"HELO" not in words


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_name_ends_the_line(name: str) -> None:
    line = xclient(Stranger("192.0.2.7", 1, helo=name), POSTFIX)
    assert line is not None and re.fullmatch(rb"XCLIENT [!-~ ]+", line) and len(line) <= 512


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_xtext_can_be_read_back(text: str) -> None:
    octets = re.sub(
        rb"\+([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), xtext(text).encode()
    )
    assert octets.decode("utf-8") == text


@pytest.mark.parametrize(
    ("client", "line"),
    [
        (Stranger("192.0.2.7", 4711, "192.0.2.1", 25), b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25"),
        (Stranger("2001:db8::7", 9, "2001:db8::1", 25), b"PROXY TCP6 2001:db8::7 2001:db8::1 9 25"),
        (Stranger("2001:db8::7", 9, "192.0.2.1", 25), b"PROXY TCP6 2001:db8::7 :: 9 25"),
        (Stranger("192.0.2.7", 9), b"PROXY TCP4 192.0.2.7 0.0.0.0 9 0"),
        (Stranger("", 0), b"PROXY UNKNOWN"),
        (None, b"PROXY UNKNOWN"),
    ],
)
def test_the_proxy_line(client: Stranger | None, line: bytes) -> None:
    assert proxy_line(client) == line + b"\r\n"
