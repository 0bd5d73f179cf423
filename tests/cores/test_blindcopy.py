"""Bcc does not go onward (proxy/smtp/blindcopy.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.blindcopy import without_bcc
from tests.cores.world import World, by_script

BODY = b"\r\nBcc: this is text\r\n"


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (b"To: a@x.jp\r\nBcc: b@x.jp\r\nSubject: x\r\n", b"To: a@x.jp\r\nSubject: x\r\n"),
        (b"BCC : b@x.jp,\r\n c@x.jp,\r\n\td@x.jp\r\nSubject: x\r\n", b"Subject: x\r\n"),
        (b"Subject: x\r\nResent-Bcc: b@x.jp\r\nbcc:\r\n", b"Subject: x\r\n"),
        (b"Bcc: b@x.jp\r\nBcc: c@x.jp\r\n", b""),
        (b"X-Bcc: b@x.jp\r\nSubject: Bcc: x\r\n Bcc: y\r\n", None),
        (b"DKIM-Signature: v=1; h=From:To;\r\n b=x\r\nBcc: b@x.jp\r\n",
         b"DKIM-Signature: v=1; h=From:To;\r\n b=x\r\n"),
        (b"DKIM-Signature: v=1; h=From:\r\n Bcc:To; b=x\r\nBcc: b@x.jp\r\n", None),
    ],
)  # fmt: skip
def test_what_goes_and_what_stays(header: bytes, left: bytes | None) -> None:
    assert without_bcc(header + BODY) == (header if left is None else left) + BODY
    assert without_bcc(header, whole=True) == (header if left is None else left)


def test_a_header_without_an_end_is_left_alone() -> None:
    assert without_bcc(b"Bcc: b@x.jp\r\nSubject: x") == b"Bcc: b@x.jp\r\nSubject: x"


def test_a_body_alone_is_no_header() -> None:
    assert without_bcc(b"\r\nBcc: b@x.jp\r\n\r\n") == b"\r\nBcc: b@x.jp\r\n\r\n"


@given(
    st.lists(st.sampled_from([b"\r\n", b"Bcc", b":", b" ", b"a", b"\t", b"h=bcc;"])), st.booleans()
)
def test_only_lines_go(parts: list[bytes], whole: bool) -> None:
    message = b"".join(parts)
    left = without_bcc(message, whole)
    lines = iter(message.split(b"\r\n"))
    assert all(line in lines for line in left.split(b"\r\n")) or left == b""


MESSAGE = b"To: b@y.example\r\nBcc: c@y.example\r\n\r\nhello\r\n"


def passed(world: World) -> bytes:
    """What reaches the next hop."""
    world.send(b"EHLO me\r\nMAIL FROM:<a@y.example>\r\n")
    world.send(b"RCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n")
    world.send(b"DATA\r\n")
    world.send(MESSAGE + b".\r\n")
    assert list(world.bodies.values()) == [MESSAGE]
    (message,) = world.hop.messages
    return message.body


@pytest.mark.parametrize("spool_above", [10, 100_000])
def test_a_submission_goes_without_it_and_is_captured_with_it(spool_above: int) -> None:
    world = by_script(role="submission", trusted=True, spool_above=spool_above)
    assert passed(world) == b"To: b@y.example\r\n\r\nhello\r\n"


def test_inbound_mail_stays_as_it_is() -> None:
    assert passed(by_script()) == MESSAGE
