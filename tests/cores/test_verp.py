"""Signed return paths: what signs decodes, and nothing else does."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce.verp import LIFETIME, Decoded, Key, ReturnPaths, mark_of, span_of
from proxy.captureid import new_capture_id

NOW = 1_790_000_000.0
IDENT = new_capture_id(int(NOW * 1000), 123456789)
PATHS = ReturnPaths("b.example", ["ours.example", "also.example"], [Key("k", b"s" * 32)])


def signed(sender: str = "alice.aoki@ours.example", ident: str = IDENT) -> str:
    path = PATHS.sign(sender, ident)
    assert path is not None
    return path


def local(path: str) -> str:
    return path.rpartition("@")[0]


def test_what_was_signed_is_decoded() -> None:
    path = signed()
    assert path.endswith("=alice.aoki@b.example") and len(local(path)) <= 64
    assert PATHS.decode(local(path), NOW + 60) == Decoded(
        "valid", "alice.aoki@ours.example", mark_of(IDENT)
    )


def test_servers_on_the_way_may_change_the_case() -> None:
    assert PATHS.decode(local(signed()).upper(), NOW).result == "valid"
    assert PATHS.decode(local(signed()).upper(), NOW).mark == mark_of(IDENT)


@pytest.mark.parametrize(
    "sender",
    ["x" * 30 + "@ours.example", "a@theirs.example", '"a b"@ours.example', "", "花@ours.example"],
)
def test_who_cannot_be_signed_for(sender: str) -> None:
    assert PATHS.sign(sender, IDENT) is None


def test_the_longest_sender_fits_the_64_octets_of_a_local_part() -> None:
    assert len(local(signed("x" * 29 + "@ours.example"))) == 64


def test_it_ends() -> None:
    assert PATHS.decode(local(signed()), NOW + LIFETIME + 1).result == "expired"
    assert PATHS.decode(local(signed()), NOW - 3600).result == "expired"  # from the future


@given(st.integers(0, 62), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz.=_+"))
def test_one_changed_character_is_a_forgery(at: int, character: str) -> None:
    text = local(signed())
    if at >= len(text) or text[at] == character:
        return
    changed = text[:at] + character + text[at + 1 :]
    assert PATHS.decode(changed, NOW).result == "forged"


@given(st.text(max_size=80))
def test_anything_else_is_a_forgery(text: str) -> None:
    assert PATHS.decode(text, NOW).result == "forged"


def test_another_sender_of_ours_cannot_take_it_over() -> None:
    text = local(signed())
    assert PATHS.decode(text.replace("alice.aoki", "bob"), NOW).result == "forged"


def test_rotation_believes_the_old_key_and_signs_with_the_new() -> None:
    new = ReturnPaths("b.example", ["ours.example"], [Key("n", b"n" * 32), Key("k", b"s" * 32)])
    assert new.decode(local(signed()), NOW).result == "valid"
    later = new.sign("alice@ours.example", IDENT)
    assert later is not None and later.startswith("bn")
    assert PATHS.decode(local(later), NOW).result == "forged"


def test_a_key_never_shows_its_secret() -> None:
    assert "sss" not in repr(Key("k", b"s" * 32))
    assert dataclasses.asdict(Key("k", b"x"))["secret"] == b"x"


def test_a_mark_finds_its_capture() -> None:
    first, last, tail = span_of(mark_of(IDENT))
    assert first <= IDENT <= last and IDENT.endswith(tail)
