"""Content decoding: whole, octet by octet and at random cuts give the same message."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.octets import BARE_CR, BARE_LF, LONE_DOT, ChunkDecoder, DotDecoder, Stuffer


def decode(wire: bytes, cuts: list[int] | None = None) -> tuple[DotDecoder, bytes, bytes]:
    decoder = DotDecoder()
    content = b""
    edges = [0, *sorted(cuts or []), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    rest = b""
    for piece in pieces:
        if decoder.ended:
            rest += piece
        else:
            content += decoder.feed(piece)
    return decoder, content, decoder.rest + rest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...x\r\n.\r\n", b"..x\r\n"),
        (b"a\r\n..b\r\n.c\r\n.\r\n", b"a\r\n.b\r\nc\r\n"),
        (b"a\x00\r\n.\r\n", b"a\x00\r\n"),
        (b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\r\n"),
    ],
)
def test_transparency_is_undone_at_every_cut(wire: bytes, message: bytes) -> None:
    for cut in range(len(wire)):
        decoder, content, rest = decode(wire + b"QUIT\r\n", [cut])
        assert (decoder.ended, decoder.refused, content, rest) == (True, None, message, b"QUIT\r\n")


# Every mix of CR, LF and NUL around a lone dot that some server took for an end of data.
NOT_THE_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n\x00.\x00\r\n",
]


@pytest.mark.parametrize("end", NOT_THE_END, ids=repr)
def test_only_crlf_dot_crlf_ends_at_every_cut(end: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nevil\r\n"
    wire = b"first\r\n" + b"line" + end + smuggled + b".\r\n"
    reference = None
    for cut in range(len(wire) + 1):
        decoder, content, rest = decode(wire, [cut])
        assert decoder.ended and rest == b""
        assert b"evil" in content
        reference = reference or (content, decoder.refused)
        assert (content, decoder.refused) == reference
    if b"\x00" not in end:
        assert decoder.refused is not None, "a lone dot beside a bare CR or LF is refused"


def test_a_bare_lf_becomes_crlf_and_is_flagged() -> None:
    decoder, content, _ = decode(b"a\nb\r\n.\r\n")
    assert (content, decoder.flags, decoder.refused) == (b"a\r\nb\r\n", [BARE_LF], None)


def test_a_bare_cr_is_refused() -> None:
    decoder, _, _ = decode(b"a\rb\r\n.\r\n")
    assert decoder.refused == BARE_CR


def test_a_dot_line_after_a_bare_lf_is_content() -> None:
    decoder, content, _ = decode(b"a\n.b\r\n.\r\n")
    assert content == b"a\r\n.b\r\n"
    assert decoder.refused is None


def test_refusing_all_bare_lf_can_be_chosen() -> None:
    decoder = DotDecoder(refuse_bare_lf=True)
    decoder.feed(b"a\nb\r\n.\r\n")
    assert (decoder.ended, decoder.refused) == (True, BARE_LF)


octets = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\x00", b"a", b"\r\n", b"\r\n."])).map(
    b"".join
)


@given(octets, st.randoms(use_true_random=False))
def test_cuts_change_nothing(body: bytes, rng: random.Random) -> None:
    wire = body + b"\r\n.\r\n" + b"tail"
    whole = decode(wire)
    single = decode(wire, list(range(1, len(wire))))
    cut = decode(wire, [rng.randrange(len(wire)) for _ in range(5)])
    assert whole[1:] == single[1:] == cut[1:]
    assert whole[0].flags == single[0].flags == cut[0].flags
    assert whole[0].refused == single[0].refused == cut[0].refused


@pytest.mark.slow
@given(octets, st.lists(st.integers(0, 60)))
def test_nothing_bare_ever_comes_out_unless_refused(body: bytes, cuts: list[int]) -> None:
    decoder, content, _ = decode(body + b"\r\n.\r\n", [c for c in cuts if c < len(body)])
    if decoder.refused is None:
        assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")


clean = st.lists(st.sampled_from([b"a", b".", b"..", b"\r\n", b"\r\n.", b"\x00"])).map(b"".join)


@given(clean, st.lists(st.integers(0, 60)), st.lists(st.integers(0, 60)))
def test_stuff_and_decode_are_inverse(message: bytes, cuts: list[int], more: list[int]) -> None:
    message += b"\r\n"
    stuffer = Stuffer()
    edges = [0, *sorted(c for c in cuts if c < len(message)), len(message)]
    wire = b"".join(stuffer.feed(message[a:b]) for a, b in itertools.pairwise(edges))
    wire += stuffer.end()
    decoder, content, rest = decode(wire, [c for c in more if c < len(wire)])
    assert (decoder.ended, content, rest) == (True, message, b"")


def test_stuffer_ends_a_last_line_that_has_no_end() -> None:
    stuffer = Stuffer()
    assert stuffer.feed(b"x") + stuffer.end() == b"x\r\n.\r\n"
    assert Stuffer().end() == b".\r\n"


@given(octets, st.lists(st.integers(0, 60)))
def test_chunks_cut_anywhere_give_the_same(body: bytes, cuts: list[int]) -> None:
    def run(edges: list[int]) -> tuple[bytes, list[str], str | None]:
        decoder = ChunkDecoder()
        pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
        content = b"".join(decoder.feed(piece) for piece in pieces) + decoder.feed(b"", last=True)
        return content, sorted(decoder.flags), decoder.refused

    whole = run([0, len(body)])
    assert run([0, *sorted(c for c in cuts if c < len(body)), len(body)])[0] == whole[0]
    assert run(list(range(len(body) + 1)))[0] == whole[0]
    if whole[2] is None:
        content = whole[0]
        assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")


def test_a_lone_dot_in_chunks_is_content_and_stuffed() -> None:
    decoder = ChunkDecoder()
    content = decoder.feed(b"a\r\n.\r\nb\r\n", last=True)
    assert content == b"a\r\n.\r\nb\r\n" and decoder.refused is None
    assert Stuffer().feed(content) == b"a\r\n..\r\nb\r\n"


def test_a_lone_dot_beside_a_bare_lf_is_refused_in_chunks() -> None:
    decoder = ChunkDecoder()
    decoder.feed(b"a\n.\r\nb\r\n", last=True)
    assert decoder.refused == LONE_DOT


@given(octets, st.lists(st.integers(0, 60)))
def test_plain_means_nothing_to_stuff(body: bytes, cuts: list[int]) -> None:
    """What the door sends without looking again is what the stuffer would have sent."""
    wire = body + b"\r\n.\r\n"
    decoder, checked, passed = DotDecoder(), Stuffer(), Stuffer()
    edges = [0, *sorted(c for c in cuts if c < len(wire)), len(wire)]
    for a, b in itertools.pairwise(edges):
        piece = decoder.feed(wire[a:b])
        stuffed = checked.feed(piece)
        passed.pass_by(piece)
        if decoder.plain:
            assert stuffed == piece
        if decoder.ended:
            break
    assert checked.end() == passed.end()
