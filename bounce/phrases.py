"""Finding known words in what a server said: one folded form, plain substring searches. A core.

Promises: never raises; linear in the text, which is cut at `MAX_TEXT`; no regular expression that
could backtrack. The tables in bounce/words are data: a rule name and its phrases.

Phrases are separated by ";". A phrase begins at the beginning of a word and may end inside one
("block" finds "blocked"); a final "|" asks for the end of a word. " .. " stands for up to `GAP`
characters of anything. Case, accents, punctuation, apostrophes and the kinds of white space make
no difference, so a table says "doesnt exist" and "over quota". In scripts that write no spaces,
spaces and word ends do not count at all.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

__all__ = ["GAP", "MAX_TEXT", "Phrases", "Text", "fold"]

MAX_TEXT = 4_096
GAP = 60

_SPACES = str.maketrans(dict.fromkeys('\t\n\r\v\f\0.,:;!?()[]{}<>"*=#/\\|-_~+&$%@^', " "))
_DROPPED = re.compile("['`\u00b4\u2018\u2019\u02bc]|\\b(?:and|or)/(?:or|and)\\b")
# Addresses say nothing of the reason, though people are called mailbox-full@. The look-behind
# makes this linear: no search begins inside a run.
_ADDRESS = re.compile(
    r"(?<![^\s<>()\[\]\"',;:|=])[^\s<>()\[\]\"',;:|=]{1,128}@[^\s<>()\[\]\"',;:|]+"
)


class Text(NamedTuple):
    """Words to look in: with single spaces around each, and without any space (if not ASCII)."""

    words: str
    dense: str


def fold(text: str) -> str:
    """Words in lower case without accents, a space before and behind each."""
    text = text[:MAX_TEXT]
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(c for c in parts if not unicodedata.combining(c))
    text = _DROPPED.sub("", text.lower()).translate(_SPACES).replace("e mail", "email")
    return f" {' '.join(text.split())} "


def prepare(text: str) -> Text:
    """`text` without addresses, folded."""
    text = text[:MAX_TEXT]
    words = fold(_ADDRESS.sub(" ", text) if "@" in text else text)
    return Text(words, "" if words.isascii() else words.replace(" ", ""))


class Phrases:
    """A table of rules: which of them has a phrase in a text."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._spaced: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._dense: dict[str, tuple[tuple[str, ...], ...]] = {}
        for rule, phrases in table.items():
            spaced: list[tuple[str, ...]] = []
            dense: list[tuple[str, ...]] = []
            for phrase in filter(None, (one.strip() for one in phrases.split(";"))):
                into = spaced if _writes_spaces(phrase) else dense
                into.append(_parts(phrase, into is dense))
            self._spaced[rule] = tuple(spaced)
            self._dense[rule] = tuple(dense)

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(self._spaced)

    def has(self, rule: str, text: Text) -> bool:
        """Whether any phrase of `rule` stands in `text`."""
        return _any(self._spaced.get(rule, ()), text.words) or (
            text.dense != "" and _any(self._dense.get(rule, ()), text.dense)
        )


def _writes_spaces(phrase: str) -> bool:
    """Whether the script of a phrase has words: Han, kana, Thai and their like have none."""
    return not any("\u0e00" <= c <= "\u0e7f" or "\u3040" <= c <= "\u9fff" for c in phrase)


def _parts(phrase: str, dense: bool) -> tuple[str, ...]:
    parts = []
    for part in phrase.split(" .. "):
        folded = fold(part)
        if dense:
            folded = folded.replace(" ", "")
        elif not part.endswith("|"):
            folded = folded[:-1]
        parts.append(folded)
    return tuple(parts)


def _any(phrases: tuple[tuple[str, ...], ...], text: str) -> bool:
    for parts in phrases:
        at = text.find(parts[0])
        if at < 0:
            continue
        if len(parts) == 1 or _follows(parts, text, at):
            return True
    return False


def _follows(parts: tuple[str, ...], text: str, at: int) -> bool:
    """Whether the other parts come behind the first, each within GAP; the first place that fits
    counts, and so many places are tried."""
    for _ in range(8):
        end = at + len(parts[0])
        for part in parts[1:]:
            found = text.find(part, end - 1, end + GAP + len(part))
            if found < 0:
                break
            end = found + len(part)
        else:
            return True
        at = text.find(parts[0], at + 1)
        if at < 0:
            return False
    return False


prepared = lru_cache(maxsize=1024)(prepare)
