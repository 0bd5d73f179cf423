"""Blocks of the search index: what was put in is found, and nothing else; damage is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore import blockindex
from crmstore.blockindex import BUCKETS, Damaged, Probe, bucket, has, having
from crmstore.tokens import Tokens

# Few and short, so that they meet; line feeds and what looks like a head stand among the postings
# by themselves, since ids are given as octets.
WORD = st.text(alphabet="abmw1é\u0439", min_size=1, max_size=4)
PAIR = st.text(alphabet="漢字のかカー안녕ค\U00020bb7", min_size=1, max_size=2)
TOKENS = st.lists(st.one_of(WORD, PAIR), max_size=12)
GAPS = st.integers(1, 300)
MAIL = st.lists(st.tuples(GAPS, TOKENS), min_size=1, max_size=40)


def messages(mail: list[tuple[int, list[str]]]) -> list[blockindex.Message]:
    """Pairs by turns as numbers and in UTF-8, as those of messages that waited."""
    made, id_ = [], 10
    for gap, tokens in mail:
        id_ += gap
        made.append((id_, told(tokens) if id_ % 2 else Tokens(" ".join(tokens).encode())))
    return made


def told(tokens: list[str]) -> Tokens:
    words, pairs = [], []
    for token in tokens:
        if token[0] > "\u0e00" and max(token) <= "\uffff" and len(token) <= 2:
            pairs += [f"\n{token[0]}", token.ljust(2, "\n")]
        else:
            words.append(token)
    return Tokens(" ".join(words).encode(), "".join(pairs).encode("utf-16-le"))


def blocks(mail: list[blockindex.Message], ends: set[int]) -> list[bytes]:
    """As the index makes them: parts, some of them joined, one after the other."""
    several: list[list[bytes]] = [[] for _ in range(BUCKETS)]
    for number, some in enumerate(blockindex.cuts(mail)):
        for block, part in zip(several, blockindex.parts(some), strict=True):
            block.append(part)
            if number in ends:
                block[:] = [blockindex.joined(block)]
    return [blockindex.joined(block) if len(ends) % 2 else whole(block) for block in several]


def whole(block: list[bytes]) -> bytes:
    return b"".join(blockindex._raw(one) for one in block)


def ids(block: bytes, probe: Probe) -> list[int]:
    return sorted({base + more for base, some in having(block, probe).items() for more in some})


@given(MAIL, st.sets(st.integers(0, 9), max_size=4), st.one_of(WORD, PAIR))
def test_what_is_found_is_what_was_put_in(
    mail: list[tuple[int, list[str]]], ends: set[int], other: str
) -> None:
    made = messages(mail)
    built = blocks(made, ends)
    for token in {other, *(token for _, tokens in mail for token in tokens)}:
        probe = Probe(token.encode())
        wanted = [id_ for id_, tokens in made if token.encode() in tokens.text.split()]
        assert ids(built[bucket(probe.token)], probe) == wanted
        assert [id_ for id_, tokens in made if has(b" %b " % tokens.text, probe)] == wanted


@given(MAIL, PAIR)
def test_a_character_is_found_as_the_beginning_of_pairs(
    mail: list[tuple[int, list[str]]], pair: str
) -> None:
    made = messages(mail)
    built = blocks(made, set())
    probe = Probe(pair[0].encode(), whole=False)
    wanted = [
        id_
        for id_, tokens in made
        if any(one.startswith(probe.token) for one in tokens.text.split())
    ]
    assert ids(built[bucket(probe.token)], probe) == wanted
    assert [id_ for id_, tokens in made if has(b" %b " % tokens.text, probe)] == wanted


def test_a_token_in_every_message_and_often_in_each() -> None:
    made = [(7 + n, Tokens(b"the " * 300 + b"n%d" % n)) for n in range(700)]
    cut = list(blockindex.cuts(made))
    assert [len(some) for some in cut] == [256, 256, 188]
    built = blocks(made, {1})
    assert ids(built[bucket(b"the")], Probe(b"the")) == [id_ for id_, _ in made]
    assert all(ids(built[bucket(b"n%d" % n)], Probe(b"n%d" % n)) == [7 + n] for n in range(700))


def test_long_tokens_make_smaller_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockindex, "PART_OCTETS", 100)
    made = [(n, Tokens(b"x" * 30, b"pair" * 8)) for n in range(5)]
    assert [len(some) for some in blockindex.cuts(made)] == [2, 2, 1]


def test_pairs_that_are_no_tokens_are_left_out() -> None:
    """Whatever the process that reads mail says: they could end a name, or be one that has no
    bucket."""
    odd = ["a漢", "漢a", "\n\n", "\0漢", "漢 ", "\U00020bb7"]
    units = "".join(odd).encode("utf-16-le") + b"\x00\xd8\x01\x6f" + "漢字".encode("utf-16-le")
    built = blocks([(7, Tokens(b"", units)), (8, told(["漢字"]))], set())
    assert ids(built[bucket("漢字".encode())], Probe("漢字".encode())) == [7, 8]
    names = b"".join(built).count("漢".encode())
    assert names == 1 and sum(map(bool, built)) <= 2


@given(st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    """One octet of a block is another, or its end is missing."""
    made = [(100 + n, Tokens(b"alpha beta%d gamma" % n)) for n in range(20)]
    block = blocks(made, data.draw(st.sampled_from([set(), {0}])))[bucket(b"alpha")]
    place = data.draw(st.integers(0, len(block) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != block[place]))
    changed = block[:place] + bytes([octet]) + block[place + 1 :]
    for damaged in (changed, block[:place] if place else b"?"):
        try:
            found = having(damaged, Probe(b"alpha"))
        except Damaged:
            continue
        # a zstd frame has bits that nobody reads (RFC 8878, 3.1.1.1: "unused")
        assert damaged[:4] == b"\x28\xb5\x2f\xfd" and found == having(block, Probe(b"alpha"))
