"""Who logs in: the name is found, and a password is never what is taken for it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.saslwatch import RELAYABLE, user_name

CANARY = "c4n4ry-s3cr3t"


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("mechanism", "response", "name"),
    [
        ("PLAIN", f"\0alice@x.example\0{CANARY}", "alice@x.example"),
        ("PLAIN", f"admin\0alice\0{CANARY}", "alice"),
        ("PLAIN", f"\0日本\0{CANARY}", "日本"),
        ("LOGIN", "alice@x.example", "alice@x.example"),
        ("XOAUTH2", f"user=alice@x.example\x01auth=Bearer {CANARY}\x01\x01", "alice@x.example"),
        (
            "OAUTHBEARER",
            f"n,a=alice@x.example,\x01host=mx\x01port=587\x01auth=Bearer {CANARY}\x01\x01",
            "alice@x.example",
        ),
        ("OAUTHBEARER", "n,a=a=2Cb=3Dc,\x01auth=Bearer x\x01\x01", "a,b=c"),
        ("OAUTHBEARER", f"n,,\x01auth=Bearer {CANARY}\x01\x01", None),
        ("SCRAM-SHA-256", "n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL", "alice"),
        ("SCRAM-SHA-1", "y,,n=alice,r=x", "alice"),
        ("SCRAM-SHA-512", "n,a=admin,n=al=2Cice,r=x", "al,ice"),
    ],
)
def test_the_name_is_found(mechanism: str, response: str, name: str | None) -> None:
    assert user_name(mechanism, b64(response)) == name


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("PLAIN", b"not base64!"),
        ("PLAIN", b""),
        ("PLAIN", b"="),
        ("PLAIN", b64(f"alice\0{CANARY}")),
        ("PLAIN", b64(f"\0alice\0{CANARY}\0more")),
        ("PLAIN", b64(f"\0\0{CANARY}")),
        ("PLAIN", b64(CANARY)),
        ("LOGIN", b64("")),
        ("LOGIN", b64("x" * 321)),
        ("LOGIN", b64("alice\r\nX-Evil: 1")),
        ("LOGIN", b64("alice\x00")),
        ("LOGIN", b64("a\u202eb")),
        ("XOAUTH2", b64(f"auth=Bearer {CANARY}\x01\x01")),
        ("SCRAM-SHA-256", b64("n,,r=fyko")),
        ("SCRAM-SHA-256", b64("p=tls-unique,,r=x")),
        ("CRAM-MD5", b64(f"alice {CANARY}")),
    ],
)
def test_what_names_nobody_gives_nothing(mechanism: str, response: bytes) -> None:
    assert user_name(mechanism, response) is None


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x01,="), min_size=1, max_size=40
)


@given(NAMES.filter(lambda name: CANARY not in name))
def test_a_password_is_never_the_name(name: str) -> None:
    for mechanism, response in (
        ("PLAIN", f"\0{name}\0{CANARY}"),
        ("PLAIN", f"{name}\0{name}\0{CANARY}"),
        ("PLAIN", f"{name}\0{CANARY}"),
        ("XOAUTH2", f"user={name}\x01auth=Bearer {CANARY}\x01\x01"),
        ("XOAUTH2", f"auth=Bearer {CANARY}\x01user={name}\x01\x01"),
        ("OAUTHBEARER", f"n,a={name},\x01auth=Bearer {CANARY}\x01\x01"),
    ):
        found = user_name(mechanism, b64(response))
        assert found is None or CANARY not in found


@given(st.sampled_from(RELAYABLE), st.binary(max_size=200))
def test_any_octets_give_a_printable_name_or_none(mechanism: str, response: bytes) -> None:
    for wire in (response, base64.b64encode(response)):
        name = user_name(mechanism, wire)
        assert name is None or (name.isprintable() and 0 < len(name) <= 320)


def test_channel_binding_is_not_offered() -> None:
    """SCRAM-…-PLUS is bound to a TLS channel, and there are two of them here."""
    assert not [name for name in RELAYABLE if name.endswith("-PLUS")]
