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
_STROKES = str.maketrans("łøđ", "lod")  # letters that do not come apart in Unicode
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
        parts = unicodedata.normalize("NFKD", text.casefold().translate(_STROKES))
        text = "".join(c for c in parts if not unicodedata.combining(c))
    text = _DROPPED.sub("", text.lower()).translate(_SPACES).replace("e mail", "email")
    return f" {' '.join(text.split())} "


def prepare(text: str) -> Text:
    """`text` without addresses, folded."""
    text = text[:MAX_TEXT]
    words = fold(_ADDRESS.sub(" ", text) if "@" in text else text)
    return Text(words, "" if words.isascii() else words.replace(" ", ""))


Parts = tuple[str, ...]


class Phrases:
    """A table of rules: which of them have a phrase in a text.

    Phrases are found by their beginning: a word and two letters of the next one, or three letters
    of a single word. So a text costs a look-up for each of its words, not a search for each phrase.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self._index: dict[str, list[tuple[str, Parts]]] = {}
        self._dense: list[tuple[str, Parts]] = []
        for rule, phrases in table.items():
            for phrase in filter(None, (one.strip() for one in phrases.split(";"))):
                if _writes_spaces(phrase):
                    parts = _parts(phrase, False)
                    self._index.setdefault(_key(parts[0]), []).append((rule, parts))
                else:
                    self._dense.append((rule, _parts(phrase, True)))

    def rules(self, text: Text) -> set[str]:
        """The rules that have a phrase in `text`."""
        found: set[str] = set()
        words = text.words.split(" ")  # an empty one at both ends
        index = self._index
        before = ""
        for word in words:
            for key in (word[:3], f"{before} {word[:2]}"):
                for rule, parts in index.get(key, ()):
                    if rule not in found and _stands(parts, text.words):
                        found.add(rule)
            before = word
        if text.dense:
            for rule, parts in self._dense:
                if rule not in found and _stands(parts, text.dense):
                    found.add(rule)
        return found

    def starts(self, text: Text) -> bool:
        """Whether `text` begins with a phrase of any rule."""
        words = text.words[1:].split(" ", 2)
        keys = [words[0][:3], f"{words[0]} {words[1][:2]}"] if len(words) > 1 else []
        return any(
            text.words.startswith(parts[0]) for key in keys for _, parts in self._index.get(key, ())
        ) or any(text.dense.startswith(parts[0]) for _, parts in self._dense)


def _key(first: str) -> str:
    """Under which a phrase is found: as rules() cuts a text. `first` begins with a space."""
    words = first[1:].split(" ")
    if len(words) > 1 and words[1]:
        return f"{words[0]} {words[1][:2]}"
    return words[0][:3]


def _writes_spaces(phrase: str) -> bool:
    """Whether the script of a phrase has words: Han, kana, Thai and their like have none."""
    return not any("\u0e00" <= c <= "\u0e7f" or "\u3040" <= c <= "\u9fff" for c in phrase)


def _parts(phrase: str, dense: bool) -> Parts:
    parts = []
    for part in phrase.split(" .. "):
        folded = fold(part)
        if dense:
            folded = folded.replace(" ", "")
        elif not part.endswith("|"):
            folded = folded[:-1]
        parts.append(folded)
    return tuple(parts)


def _stands(parts: Parts, text: str) -> bool:
    at = text.find(parts[0])
    return at >= 0 and (len(parts) == 1 or _follows(parts, text, at))


def _follows(parts: Parts, text: str, at: int) -> bool:
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
