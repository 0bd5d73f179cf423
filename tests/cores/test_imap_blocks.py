"""Memory that is used again, and never too early (proxy/imap/blocks.py)."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.imap.blocks import BLOCK, SPARE, Blocks

SIZES = st.integers(0, 5 * BLOCK) | st.sampled_from(
    [BLOCK // 2 - 1, BLOCK // 2, BLOCK - 1, BLOCK, BLOCK + 1]
)


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=20))
def test_pieces_stay_as_they_were_until_they_are_given_back(bodies: list[tuple[int, bool]]) -> None:
    blocks = Blocks()
    buffer = bytearray(5 * BLOCK)
    kept = []
    for number, (size, gives) in enumerate(bodies):
        want = bytes([number + 1]) * size
        buffer[:size] = want
        pieces = blocks.keep(memoryview(buffer)[:size])
        assert sum(len(piece) for piece in pieces) == size
        memory = sum(BLOCK if isinstance(p, memoryview) else len(p) for p in pieces)
        assert memory <= 2 * size
        buffer[:size] = bytes(size)
        kept.append((want, pieces))
        if gives:
            blocks.give(kept.pop(0)[1])
        for other, its in kept:
            assert b"".join(its) == other


def test_memory_comes_back_and_is_used_again() -> None:
    blocks = Blocks()
    first = blocks.keep(bytes(2 * BLOCK))
    places = {id(piece.obj) for piece in first if isinstance(piece, memoryview)}
    blocks.give(first)
    again = blocks.keep(b"x" * 2 * BLOCK)
    assert {id(piece.obj) for piece in again if isinstance(piece, memoryview)} == places


def spare(blocks: Blocks) -> int:
    return len(blocks._spare)


def test_what_nobody_needs_is_let_go_of() -> None:
    blocks = Blocks()
    kept = [blocks.keep(bytes(BLOCK)) for _ in range(SPARE + 10)]
    for pieces in kept:
        blocks.give(pieces)
    assert spare(blocks) == SPARE
    blocks.trim()
    assert spare(blocks) == SPARE, "they were in use a moment ago"
    for _ in range(3):
        blocks.give(blocks.keep(bytes(3 * BLOCK)))
    blocks.trim()
    assert spare(blocks) == 3, "so many were needed"
    blocks.trim()
    assert spare(blocks) == 0
