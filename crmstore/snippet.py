"""The piece of a message that shows why it was found, with the places to highlight. A core.

The text is folded character by character, so that places in what is compared are places in what
is shown; a voiced half-width kana is two characters of one place.
Promises: linear time on the first MAX_LOOK characters; never raises; clean, one line.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from crmstore.charsets import clean
from crmstore.tokens import ITEM, Term, fold, spaceless

__all__ = ["Snippet", "cut"]

MAX_LOOK = 20_000
WIDTH = 160  # characters shown
BEFORE = 40  # of them, before the first hit
MAX_MARKS = 20

_CLUSTERS = re.compile(
    r"[^\uff9e\uff9f\u3099\u309a\u0300-\u036f][\uff9e\uff9f\u3099\u309a\u0300-\u036f]*|.", re.S
)
_SPACES = re.compile(rf"[\s{ITEM}]+")


class Snippet(NamedTuple):
    """Text, and (start, end) of what to highlight in it, in order, not overlapping."""

    text: str
    marks: tuple[tuple[int, int], ...]


def cut(texts: Sequence[str], terms: Sequence[Term]) -> Snippet:
    """From the first of the texts that has one of the terms; else the beginning of the last."""
    wanted = _pattern(tuple(term.needle for term in terms))
    for text in texts:
        shown = _SPACES.sub(" ", text[:MAX_LOOK]).strip()
        hit = next(_found(shown, wanted), None)
        if hit is not None:
            return _around(shown, hit[0], wanted)
    last = _SPACES.sub(" ", texts[-1][:MAX_LOOK]).strip() if texts else ""
    return Snippet(clean(last[:WIDTH]), ())


def _around(text: str, hit: int, wanted: re.Pattern[str]) -> Snippet:
    start = max(0, hit - BEFORE) if len(text) > WIDTH else 0
    if start:  # not in the middle of a word, if one begins near
        space = text.find(" ", start, hit)
        start = space + 1 if space >= 0 else start
    piece = clean(text[start : start + WIDTH])
    head = "…" if start else ""
    tail = "…" if len(text) > start + WIDTH else ""
    marks = [
        (begin + len(head), end + len(head))
        for (begin, end), _ in zip(_found(piece, wanted), range(MAX_MARKS), strict=False)
    ]
    return Snippet(head + piece + tail, tuple(marks))


def _found(text: str, wanted: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """(start, end) of each hit in the text as it stands."""
    folded, places = _folded(text)
    marked = 0
    for match in wanted.finditer(folded):
        start, end = places[match.start()], match.end()
        while 0 < end < len(folded) and places[end] == places[end - 1]:
            end += 1  # ㈱ is (株): what is shown is one character, and it is marked whole
        if marked <= start < places[end]:  # of ㍿ two words may be found: it is marked once
            marked = places[end]
            yield start, marked


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """The folded text, and for each of its characters (and its end) the place it comes from."""
    whole = fold(text)
    if len(whole) == len(text) and all(
        a == b or fold(a) == b for a, b in zip(text, whole, strict=True)
    ):
        return whole, range(len(text) + 1)
    out: list[str] = []
    places: list[int] = []
    for cluster in _CLUSTERS.finditer(text):
        made = fold(cluster[0])
        out.append(made)
        places += [cluster.start()] * len(made)
    places.append(len(text))
    return "".join(out), places


@lru_cache(maxsize=64)
def _pattern(needles: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the needles, with whatever may stand between two of its runs or inside of one."""
    return re.compile("|".join(filter(None, map(_needle, needles))) or r"(?!)")


def _needle(needle: str) -> str:
    parts = []
    for run in needle.split():
        if spaceless(run):
            parts.append(r"[\s\u30fb>]*".join(map(re.escape, run)))
        else:
            parts.append(re.escape(run))
    body = r"[\W_]*".join(parts)
    before = r"(?<![0-9a-z])" if needle.startswith(" ") else ""
    after = r"(?![0-9a-z])" if needle.endswith(" ") else ""
    return before + body + after
