"""Tokens and questions, against a naive reading: a term is found where its text stands."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore import tokens
from crmstore.snippet import cut

WORDS = st.text(alphabet="ab1 .・-漢字々かなカナｶﾅｰー髙Ａ\n\u3000é𠀋", max_size=12)
MAYBE = st.lists(WORDS, max_size=6).map(" ".join)


def naive(text: str) -> str:
    """Folded; a space between words and scripts and nothing within Japanese."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("髙", "高")
    japanese = "[漢字々かなカナー高𠀋]"
    text = re.sub(rf"(?<={japanese})[\s・]+(?={japanese})", "", text)
    pieces = re.findall(rf"{japanese}+|[a-z0-9é]+", text)
    return f" {' '.join(pieces)} "


@given(MAYBE)
def test_canonical_text_is_the_naive_one(text: str) -> None:
    assert tokens.canonical(text) == naive(text)


def told(text: str) -> list[str]:
    """The tokens of a text, one by one."""
    return tokens.tokens(text).text.decode().split(" ")


@given(MAYBE, WORDS)
def test_the_index_never_misses_what_the_text_has(text: str, asked: str) -> None:
    """And where tokens alone decide, they decide as the text does."""
    term = tokens.term(asked)
    if term is None:
        return
    have = told(text)
    named = set(term.asked) <= set(have) and any(t.startswith(term.prefix) for t in have)
    stands = term.needle in tokens.canonical(text)
    assert named or not stands
    if term.exact:
        assert named == stands


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("了解\n\n> 先日の見積\n> 書の件\n", "見積書の件"),
        ("＞ 先日の見積\n>> ＞書の件", "見積書"),
        ("\u845b\U000e0100城市", "葛城"),
        ("葛城市", "\u845b\U000e0100城"),
        ("見\u200b積\u00ad書", "見積書"),
        ("Donau\u00addampf\u200bschiff é", "donaudampfschiff"),
        ("\u26a0\ufe0f注意", "注意"),
    ],
)
def test_quoted_lines_and_what_nobody_sees_part_no_word(text: str, asked: str) -> None:
    wanted = tokens.term(asked)
    assert wanted is not None and tokens.Sight(text).has(wanted)
    assert set(wanted.asked) <= set(told(text))
    assert cut([text], [wanted]).marks


@given(st.text(alphabet="aB1_ .\n\0-", max_size=300))
def test_words_of_ascii_text(text: str) -> None:
    assert tokens.tokens(text).text.decode().split() == re.findall("[a-z0-9]+", text.lower())


def test_long_words_are_cut_and_a_long_text_has_each_word_once() -> None:
    long = "x" * 100
    assert told(f"{long} b {long} c") == ["x" * 64, "b", "x" * 64, "c"]
    assert told("word " * 10_000) == ["word"]
    assert sorted(told(f"word {long} " * 1_000)) == ["word", "x" * 64]


def test_pairs_with_and_without_characters_that_utf16_writes_in_two() -> None:
    text = "見積り 山田、田 A社"
    found = tokens.tokens(text)
    assert found.words == b"a" and len(found.pairs) == 4 * len("見積り山田\n田\n社\n"[1:])
    wanted = ["a", "見積", "積り", "り山", "山田", "田", "田", "社"]
    assert told(text) == wanted
    assert sorted(told(text + "、\U0002000b田")) == sorted({*wanted, "\U0002000b田"})


def test_of_a_long_text_as_many_as_a_message_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_SURELY_FITS", 10)
    monkeypatch.setattr(tokens, "MAX_TOKENS", 3)
    assert told("見積り書、見積り書") == ["見積", "積り", "り書"]


@given(MAYBE)
def test_pairs_are_those_of_the_runs(text: str) -> None:
    """And the last of a run by itself."""
    runs = [run for run in tokens.runs(text) if tokens.spaceless(run)]
    words = {run for run in tokens.runs(text) if not tokens.spaceless(run)}
    pairs = {run[at : at + 2] for run in runs for at in range(len(run))}
    assert set(told(text)) - {""} == words | pairs


SYNTAX = re.compile(r"[^0-9a-z\x80-\U0010ffff]|[\s\u200b-\u200f]")


@given(st.text(max_size=200))
def test_tokens_have_nothing_that_an_engine_could_take_for_syntax(text: str) -> None:
    assert [token for token in told(text) if SYNTAX.search(token)] == []


@given(st.text(max_size=200))
def test_a_question_is_read_or_refused(text: str) -> None:
    try:
        query = tokens.parse(text)
    except tokens.Refused as refused:
        assert refused.code == "nothing"
        return
    for term in (*query.terms, *query.without):
        assert [t for t in (*term.asked, term.prefix) if SYNTAX.search(t)] == []


@given(MAYBE, WORDS)
def test_a_snippet_highlights_a_term_that_stands_there(text: str, asked: str) -> None:
    term = tokens.term(asked)
    if term is None or term.needle not in tokens.canonical(text):
        return
    found = cut([text], [term])
    assert found.marks
    for start, end in found.marks:
        assert term.needle.strip() in tokens.canonical(found.text[start:end])


@pytest.mark.parametrize(
    ("text", "asked", "marks"),
    [
        ("㈱高橋様", ["㈱"], [(0, 1)]),
        ("株式会社㈱髙島屋", ["株"], [(0, 1), (4, 5)]),
        ("新㍿山田", ["株式", "会社"], [(1, 2)]),
        ("ﾊﾞﾗ", ["バラ"], [(0, 3)]),
    ],
)
def test_a_character_that_stands_for_several_is_highlighted_whole(
    text: str, asked: list[str], marks: list[tuple[int, int]]
) -> None:
    terms = [term for term in map(tokens.term, asked) if term is not None]
    assert list(cut([text], terms).marks) == marks


@given(st.text(max_size=300), st.text(min_size=1, max_size=5))
def test_a_snippet_of_anything(text: str, asked: str) -> None:
    term = tokens.term(asked)
    found = cut([text], [term] if term else [])
    assert all(0 <= start < end <= len(found.text) for start, end in found.marks)
