"""The journal's format: frames come back as given, and nothing else is ever taken for a frame."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.journalfmt import (
    FIXED_SIZE,
    GENESIS,
    MAGIC,
    MAX_BODY,
    MAX_HEADER,
    Damage,
    Decoder,
    Frame,
    Framer,
    chain,
)

KEY = b"8 octets"
BODIES = [b"", b"one\r\n", b"two\r\n" * 300, MAGIC * 3, b"\0" * 100]


def segment(bodies: list[bytes], synced: bool = False, key: bytes = KEY) -> bytes:
    """An open frame and a message with each body; synced: each one durable before the next."""
    framer = Framer(key, 0, GENESIS, 0)
    out = framer.frame("open", {"prev": GENESIS.hex()})
    for number, body in enumerate(bodies):
        if synced:
            framer.durable = framer.seq
        out += framer.frame("message", {"id": str(number)}, [body]) + body
    return out


def decode(data: bytes, sealed: bool = False) -> tuple[list[Frame], list[Damage], Decoder]:
    decoder = Decoder(sealed=sealed)
    items = list(decoder.feed(data, eof=True))
    frames = [item for item in items if isinstance(item, Frame)]
    return frames, [item for item in items if isinstance(item, Damage)], decoder


def bodies_of(data: bytes, frames: list[Frame]) -> list[bytes]:
    return [data[f.body_offset : f.body_offset + f.body_length] for f in frames[1:]]


def test_reads_back_whole() -> None:
    data = segment(BODIES)
    frames, damage, decoder = decode(data)
    assert bodies_of(data, frames) == BODIES
    assert [f.seq for f in frames] == [1, 2, 3, 4, 5, 6]
    assert all(f.linked for f in frames)
    assert (damage, decoder.state, decoder.offset) == ([], "end", len(data))


@pytest.mark.parametrize("seed", ["byte by byte", 1, 2, 3, 4, 5])
def test_cuts_change_nothing(seed: str | int) -> None:
    data = segment(BODIES)
    rng = random.Random(seed)
    decoder, at = Decoder(), 0
    got: list[Frame | Damage] = []
    while at < len(data):
        step = 1 if seed == "byte by byte" else rng.randint(1, 400)
        got += decoder.feed(data[at : at + step])
        at += step
    got += decoder.feed(b"", eof=True)
    assert got == decode(data)[0]


texts = st.text(st.characters(codec=None), max_size=40)  # lone surrogates too


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.dictionaries(texts.map("x".__add__), texts), st.lists(st.binary(max_size=90))),
        max_size=5,
    ),
    st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_any_header_and_body_come_back(
    messages: list[tuple[dict[str, str], list[bytes]]], seq: int
) -> None:
    framer = Framer(KEY, seq, b"h" * 32, seq)
    data = b""
    for header, chunks in messages:
        data += framer.frame("message", header, chunks) + b"".join(chunks)
    decoder = Decoder(key=KEY, seq=seq, previous=b"h" * 32)
    got = list(decoder.feed(data, eof=True))
    assert len(got) == len(messages)
    for number, (item, (header, chunks)) in enumerate(zip(got, messages, strict=True), 1):
        assert isinstance(item, Frame) and item.linked
        assert item.header == {"v": 1, "type": "message", "seq": seq + number, **header}
        assert data[item.body_offset : item.end_offset] == b"".join(chunks)


def test_no_flipped_bit_is_accepted() -> None:
    data = segment([b"body\r\n"])
    first = decode(data)[0][0]
    for bit in range(first.end_offset * 8, len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        frames, _, decoder = decode(bytes(flipped))
        assert len(frames) == 1, f"bit {bit}"
        assert (decoder.offset, decoder.state) == (first.end_offset, "partial")


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises_and_is_no_frame(data: bytes) -> None:
    for sealed in (False, True):
        for begin in (b"", MAGIC):
            frames, _, decoder = decode(begin + data, sealed)
            assert frames == [] and decoder.state in ("end", "partial")


def test_every_cut_is_partial_or_the_end() -> None:
    data = segment([b"one", b"two"])
    ends = {0, *(f.end_offset for f in decode(data)[0])}
    for cut in range(len(data) + 1):
        frames, damage, decoder = decode(data[:cut])
        assert not damage
        assert decoder.offset == max(end for end in ends if end <= cut)
        assert len(frames) == sum(0 < end <= cut for end in ends)
        assert decoder.state == ("end" if cut in ends else "partial")


def test_zeros_behind_the_frames_are_room_not_damage() -> None:
    data = segment([b"one"])
    for sealed in (False, True):
        frames, damage, decoder = decode(data + bytes(5000), sealed)
        assert (len(frames), damage, decoder.state) == (2, [], "end")
        assert decoder.offset == len(data)


def hole(data: bytes, index: int) -> bytes:
    """With the middle of a frame zeroed, as by blocks that did not reach the disk."""
    frame = decode(data)[0][index]
    return data[: frame.offset + 30] + bytes(60) + data[frame.offset + 90 :]


def test_sealed_segment_is_read_on_behind_damage() -> None:
    data = segment([b"a" * 100, b"b" * 100, b"c" * 100])
    whole = decode(data)[0]
    frames, damage, decoder = decode(hole(data, 2), sealed=True)
    assert [f.seq for f in frames] == [1, 2, 4]
    assert damage == [Damage(whole[2].offset, whole[3].offset, 3, 3, "unreadable bytes")]
    assert [f.linked for f in frames] == [True, True, None]
    assert decoder.offset == len(data)


def test_damage_at_the_end_of_a_sealed_segment() -> None:
    data = segment([b"a" * 100])
    frames, damage, decoder = decode(hole(data, 1), sealed=True)
    assert [f.seq for f in frames] == [1]
    assert [(d.first_seq, d.last_seq, d.end_offset) for d in damage] == [(2, None, len(data))]
    assert decoder.state == "end"


def test_open_segment_stops_at_a_torn_batch() -> None:
    # the blocks of one unsynced batch may reach the disk in any order
    data = segment([b"a" * 100, b"b" * 100, b"c" * 100])
    frames, damage, decoder = decode(hole(data, 2))
    assert [f.seq for f in frames] == [1, 2]
    assert (damage, decoder.state, decoder.stranded) == ([], "partial", 1)
    assert decoder.offset == frames[-1].end_offset


def test_open_segment_with_a_hole_in_what_was_synced_is_damaged() -> None:
    frames, damage, _ = decode(hole(segment([b"a" * 100] * 3, synced=True), 2))
    assert [f.seq for f in frames] == [1, 2, 4]
    assert [(d.first_seq, d.last_seq) for d in damage] == [(3, 3)]


def test_forged_frames_in_a_body_are_not_believed() -> None:
    # a message whose body is itself a segment, as a hostile sender would craft it
    forged = segment([b"forged"] * 9, key=b"guessed!", synced=True)
    data = segment([b"a" * 100, forged, b"c" * 100])
    damaged = bytearray(data)
    damaged[decode(data)[0][2].offset + 2] ^= 1
    frames, damage, _ = decode(bytes(damaged), sealed=True)
    assert [f.seq for f in frames] == [1, 2, 4]
    assert len(damage) == 1
    # and without damage they are what they are, a body
    assert bodies_of(data, decode(data)[0])[1] == forged


def test_unreadable_first_frame_leaves_the_rest_readable() -> None:
    frames, damage, _ = decode(hole(segment([b"a", b"b"]), 0), sealed=True)
    assert [f.seq for f in frames] == [2, 3]
    assert [(d.offset, d.first_seq) for d in damage] == [(0, None)]


def test_a_frame_taken_out_or_changed_breaks_the_chain() -> None:
    data = segment([b"a", b"b", b"c"])
    _, one, two, three = decode(data)[0]
    frames, damage, _ = decode(data[: two.offset] + data[three.offset :], sealed=True)
    assert [f.seq for f in frames] == [1, 2, 4]
    assert [(d.first_seq, d.last_seq) for d in damage] == [(3, 3)]

    # somebody who knows the format and mends the CRC still cannot mend the chain behind it
    framer = Framer(KEY, 1, decode(data)[0][0].hash, 0)
    other = framer.frame("message", {"id": "0", "sender": "x"}, [b"a"]) + b"a"
    frames, damage, _ = decode(data[: one.offset] + other + data[two.offset :])
    assert not damage
    assert [f.linked for f in frames] == [True, True, False, True]


def test_the_first_frame_must_name_the_hash_that_the_reader_knows() -> None:
    framer = Framer(KEY, 7, b"p" * 32, 7)
    data = framer.frame("open", {"prev": (b"p" * 32).hex()})
    for known, linked in ((None, True), (b"p" * 32, True), (b"q" * 32, False)):
        (frame,) = Decoder(seq=7, previous=known).feed(data, eof=True)
        assert isinstance(frame, Frame) and frame.linked is linked


def test_chain_is_the_documented_hash() -> None:
    data = segment([b"a"])
    first, second = decode(data)[0]
    assert first.hash == chain(GENESIS, first.header_bytes)
    assert second.hash == chain(first.hash, second.header_bytes)
    assert len(data) == 2 * FIXED_SIZE + len(first.header_bytes) + len(second.header_bytes) + 1


@pytest.mark.parametrize(
    ("header", "body", "fault"),
    [
        ({"seq": 1}, [], ValueError),
        ({"id": b"octets"}, [], TypeError),
        ({"id": float("nan")}, [], ValueError),
        ({"id": "x" * MAX_HEADER}, [], ValueError),
        ({}, [bytes(MAX_BODY // 4)] * 5, ValueError),
        ({}, ["text"], TypeError),
    ],
)
def test_what_is_no_frame_leaves_the_chain_alone(
    header: dict[str, object], body: list[bytes], fault: type[Exception]
) -> None:
    framer = Framer(KEY, 4, b"h" * 32, 0)
    with pytest.raises(fault):
        framer.frame("message", header, body)
    assert framer.mark() == (4, b"h" * 32)
