"""Transfer encodings undone: base64 is read as the standard library reads it, whoever does it."""

import base64
import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmstore.content import from_base64

OCTETS = bytes(range(256)) * 40
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"=", b"==", b"\r\n", b"\n", b"-", b"_", b"A", b"QUJD", b"\0", b"\xff"]),
    st.binary(max_size=400).map(base64.encodebytes),  # long enough for its wide instructions
)


def told(raw: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        return None


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 3), st.integers(0, 3))
@example(b"QUI=", 0, 0)
@example(b"QUI==", 0, 0)
@example(b"QUJD=", 0, 0)
@example(b"QQ==QUJD", 0, 0)
@example(b"QQ=\r\n=\r\n", 0, 0)
@example(b"QQ=" + b"\r\n" * 20 + b"=", 0, 0)
@example(b"QQ==QUJD", 0, 4)
def test_both_readers_of_base64_agree(raw: bytes, before: int, behind: int) -> None:
    end = max(before, len(raw) - behind)
    expected = told(raw[before:end])
    if expected is None:
        with pytest.raises(binascii.Error):
            from_base64(raw, before, end)
    else:
        assert from_base64(raw, before, end) == expected


@pytest.mark.parametrize("odd", [b"\r\n", b"=", b"==", b"-", b" ", b"\xff"])
def test_an_odd_octet_is_seen_wherever_it_stands(odd: bytes) -> None:
    whole = base64.b64encode(OCTETS[:240])
    for place in range(len(whole) + 1):
        raw = whole[:place] + odd + whole[place:]
        assert from_base64(raw, 0, len(raw)) == told(raw)


def test_a_long_part_as_it_is_sent() -> None:
    raw = base64.encodebytes(OCTETS).replace(b"\n", b"\r\n")
    assert from_base64(raw, 0, len(raw)) == OCTETS
