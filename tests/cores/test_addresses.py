"""The tolerant reader of addresses, and the form by which they are compared."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.addresses import MAX_ADDRESSES, key, read

HEADERS = {
    "bob@example.com": [("", "bob@example.com")],
    "Bob <BOB@Example.COM>": [("Bob", "bob@example.com")],
    '"Smith, Bob" <bob@x.example>, carol@x.example': [
        ("Smith, Bob", "bob@x.example"),
        ("", "carol@x.example"),
    ],
    "docomo..user.@docomo.ne.jp": [("", "docomo..user.@docomo.ne.jp")],
    "<.a..b.@ezweb.ne.jp>": [("", ".a..b.@ezweb.ne.jp")],
    '"a..b."@docomo.ne.jp': [("", "a..b.@docomo.ne.jp")],
    "=?UTF-8?B?5bGx55Sw?= <y@x.example>": [("山田", "y@x.example")],
    # an encoded comma or bracket is text, not structure
    "=?utf-8?Q?evil=40x.example=2C_=3Cboss=40x.example=3E?= <y@x.example>": [
        ("evil@x.example, <boss@x.example>", "y@x.example")
    ],
    "team: a@x.example, b@x.example; c@x.example": [
        ("", "a@x.example"),
        ("", "b@x.example"),
        ("", "c@x.example"),
    ],
    "undisclosed-recipients:;": [],
    "bob@x.example (Bob (the) Builder)": [("Bob the Builder", "bob@x.example")],
    "(hidden@x.example) bob@x.example": [("hidden@x.example", "bob@x.example")],
    "Bob Smith bob@x.example": [("", "bob@x.example")],
    "a@evil.example <b@good.example>": [("a@evil.example", "b@good.example")],
    "<@relay.example:bob@x.example>": [("", "bob@x.example")],
    "bob@[192.0.2.1]": [("", "bob@[192.0.2.1]")],
    "bob@x.example; carol@x.example": [("", "bob@x.example"), ("", "carol@x.example")],
    "mailto:bob@x.example": [("", "bob@x.example")],
    "山田 <用户@例え.jp>": [("山田", "用户@xn--r8jz45g.jp")],
    "Bob <bob@x.example": [("", "bob@x.example")],
    '"unclosed <bob@x.example>': [("unclosed", "bob@x.example")],
    '"a b"@x.example': [],
    "bob": [],
    "<>": [],
    "": [],
    ",,;;::": [],
}


@pytest.mark.parametrize(("text", "found"), HEADERS.items(), ids=list(HEADERS))
def test_reads(text: str, found: list[tuple[str, str]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    "bad",
    ["a b@x.example", "a@x.example\r\nRCPT", "a@", "@x", "a\0@x.example", "a@b@", "a" * 400 + "@x"],
)
def test_what_is_no_address_has_no_key(bad: str) -> None:
    assert key(bad) == ""


def test_key_folds_what_people_do_not_tell_apart() -> None:
    assert key(" <Bob@EXAMPLE.com.> ") == "bob@example.com"
    assert key("a+b@example.com") != key("a@example.com")
    assert key("bob@例え.jp") == key("bob@xn--r8jz45g.jp")


@given(st.text(max_size=300))
def test_never_raises(text: str) -> None:
    for name, address in read(text):
        assert key(address) == address
        assert len(name.splitlines()) <= 1


@given(st.text(alphabet='a@b.,;:<>"()\\ =?', max_size=200))
def test_never_raises_on_nothing_but_syntax(text: str) -> None:
    read(text)


@pytest.mark.slow
@given(
    st.lists(st.from_regex(r"[a-z0-9.+_-]{1,20}@[a-z]{1,10}\.example", fullmatch=True), max_size=20)
)
def test_finds_every_ordinary_address(addresses: list[str]) -> None:
    assert [a for _, a in read(", ".join(addresses))] == addresses


@pytest.mark.slow
def test_bounded_and_linear() -> None:
    begun = time.process_time()
    assert len(read("a@x.example," * 100_000)) == MAX_ADDRESSES
    for piece in ("(", '"', "<", "a:", "\\", '"\\', "a ", "<a", ":" * 3):
        read(piece * 60_000)
    assert time.process_time() - begun < 2
