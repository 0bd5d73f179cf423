"""EHLO replies of good, old and odd servers."""

import pytest

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.replies import Reply


def of(*lines: bytes) -> Capabilities:
    return Capabilities.from_reply(Reply(250, (b"mx.example.net greets you", *lines)))


def test_keywords_and_their_words() -> None:
    caps = of(b"PIPELINING", b"size 1000", b"8bitmime ", b"AUTH PLAIN login")
    assert caps.has("PIPELINING") and caps.has("SIZE") and caps.has("8BITMIME")
    assert not caps.has("DSN")
    assert caps.size == 1000
    assert caps.auth == ("PLAIN", "LOGIN")
    assert caps.keywords["AUTH"] == "PLAIN login"


def test_the_greeting_is_no_keyword_and_nonsense_is_dropped() -> None:
    caps = Capabilities.from_reply(Reply(250, (b"STARTTLS",)))
    assert not caps.has("STARTTLS")
    assert of(b"", b"=x", b"\xff\xfe", b"X_Y 1", b"-A").keywords == {}


@pytest.mark.parametrize(
    ("line", "size"),
    [(b"SIZE", None), (b"SIZE 0", None), (b"SIZE x", None), (b"SIZE -1", None), (b"SIZE 52", 52)],
)
def test_size(line: bytes, size: int | None) -> None:
    assert of(line).size == size


def test_the_old_form_of_auth_is_read_too() -> None:
    assert of(b"AUTH=LOGIN PLAIN").auth == ("LOGIN", "PLAIN")
    assert of(b"AUTH PLAIN", b"AUTH=PLAIN LOGIN").auth == ("PLAIN", "LOGIN")


def test_nothing_was_offered() -> None:
    assert Capabilities().auth == () and Capabilities().size is None
