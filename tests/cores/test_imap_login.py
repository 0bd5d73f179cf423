"""Who logs in: two plain words are read in one go, and mean what the long way would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.imap.grammar import NotUnderstood, arguments
from proxy.imap.login import from_login

WORD = st.lists(
    st.sampled_from(
        [b"a", b"alice@example.com", b'"', b'""', b"\\", b'\\"', b"%", b"]", b"[", b"BODY[", b"(",
         b")", b"{3}", b"{3+}", b"}", b"*", b"\xc3\xa4", b"\x00", b"\t", b"\r", b"  "]
    ),
    min_size=1, max_size=4,
).map(b"".join)  # fmt: skip
LINES = st.lists(WORD, min_size=1, max_size=3).map(b" ".join)


def the_long_way(text: bytes, at: int) -> tuple[bytes, bytes] | None:
    """Name and password, as the tokens of the line say."""
    try:
        given = arguments(text, at)
    except NotUnderstood:
        return None
    if len(given) != 2:
        return None
    name, secret = given
    return (name, secret) if isinstance(name, bytes) and isinstance(secret, bytes) else None


@given(LINES)
def test_the_short_way_ends_where_the_long_one_does(words: bytes) -> None:
    text = b"a1 LOGIN " + words
    found, expected = from_login(text, 9, ()), the_long_way(text, 9)
    if expected is None:
        assert (found.user, found.credentials) == ("", None)
        return
    name, secret = (part.decode("utf-8", "replace") for part in expected)
    assert found.user == (name if name.isprintable() else "")
    if found.user and secret:
        assert found.credentials is not None
        assert found.credentials.secret.reveal() == secret
    else:
        assert found.credentials is None


@pytest.mark.parametrize(
    ("said", "user", "secret"),
    [
        (b"alice secret", "alice", "secret"),
        (b'"alice b" "se cret"', "alice b", "se cret"),
        (b'alice "se\\"cret"', "alice", 'se"cret'),
        (b'"" secret', "", None),
        (b'alice ""', "alice", None),
    ],
)
def test_how_it_is_said(said: bytes, user: str, secret: str | None) -> None:
    found = from_login(b"a LOGIN " + said, 8, ())
    assert found.user == user
    kept = found.credentials
    assert (None if kept is None else kept.secret.reveal()) == secret
