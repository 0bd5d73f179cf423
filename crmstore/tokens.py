"""Words to search by: one reading of text for what is stored, what is asked and what is shown.
A core.

Text is folded (NFKC, so half-width kana and full-width letters become ordinary ones; case; a few
glyphs that names are written with) and cut into runs. Scripts written without spaces between words
(Han, kana, hangul, Thai...) make a run until another script begins; white space and "・" inside do
not end it, since mail is wrapped in the middle of words (also where it is quoted, with ">" before
each line) and 山田 太郎 is 山田太郎. Everything else
makes a run of letters and digits: a word.

The index knows of each message which tokens it has: words, and of the others every pair of
neighbours, and the last character of a run by itself. So a single character is asked for as the
beginning of a token, two are one token, and more are tokens that all must be there; whether they
stand side by side is then seen in the text itself (Term.needle in canonical()).

Promises: linear time; a token has no ASCII but letters and digits; at most MAX_TOKENS different
ones of MAX_TOKEN characters, and MAX_OCTETS together.
Cites: libraries.md "search"; docs/decisions/0091.
"""

import re
import unicodedata
from functools import cached_property
from operator import add
from typing import NamedTuple

__all__ = [
    "FIELD", "ITEM", "MAX_QUERY", "PAIR", "Query", "Refused", "Term", "Tokens", "canonical", "pair",
    "parse", "tokens",
]  # fmt: skip

MAX_TOKEN = 64  # characters of a word that count
MAX_TOKENS = 60_000  # different ones of a long text
MAX_OCTETS = 900_000  # of them all
MAX_REPEATING = (
    16_384  # characters of ASCII text whose words are given as often as they stand there
)
_SURELY_FITS = 150_000  # characters of tokens, whatever they are
MAX_CHARACTERS = 262_144  # of a text, folded
MAX_QUERY = 1_000  # characters of what is asked
MAX_TERMS = 32
MAX_ASKED = 32  # tokens of a term that the index is asked for; the text decides the rest

FIELD = "\0"  # between subject, people, names of files and body: nothing is found across it
ITEM = "\x01"  # between the items of one: ends a run

# Scripts without spaces between words, and hangul, where a word is found inside of another.
_SPACELESS = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"  # 々〆〇 and other marks
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana, ー
    "\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
)
# Marks that are part of a word although \\w does not take them for one.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u0670\u0900-\u0963\u0966-\u0dff"
_WORD = rf"(?:[^\W_{_SPACELESS}]+|[{_MARKS}]+)+"
_WORD_RUNS, _SPACELESS_RUNS = re.compile(_WORD), re.compile(rf"([{_SPACELESS}]+)")
_RUNS = re.compile(rf"[{_SPACELESS}]+|{_WORD}")
_JOIN = re.compile(rf"\n(?=[{_SPACELESS}])")
# str.translate() of ASCII takes a table of characters at the speed of C, bytes.translate() one of
# all octets at twice that.
_ASCII_WORDS = "".join(chr(n).lower() if chr(n).isalnum() else " " for n in range(128))
_OCTET_WORDS = _ASCII_WORDS.encode() + b" " * 128
_OCTET_SHAPE = bytes(32 if octet == 32 else 97 for octet in _OCTET_WORDS)
_LONG = b"a" * (MAX_TOKEN + 1)
_END = "\n"  # between runs of _SPACELESS
_IS_SPACELESS = re.compile(rf"[{_SPACELESS}]")
# Glyphs of names that NFKC leaves apart from the ones people type.
_VARIANTS = (("髙", "高"), ("﨑", "崎"), ("𠮷", "吉"), ("德", "徳"), ("濵", "濱"), ("閒", "間"))
# What is not seen and parts nothing: soft hyphens, joiners, which glyph of a kanji is meant.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]")
_QUOTED_LINE = re.compile(r"\n[> ]*>")
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u300c\u300d\u300e\u300f\uff02", '"'))
_PIECE = re.compile(r'(-?)"([^"]*)(?:"|\Z)|(\S+)')


def fold(text: str) -> str:
    """Text as it is compared."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text)[:MAX_CHARACTERS]  # one may become eighteen
    text = _UNSEEN.sub("", text)
    cased = text.casefold()
    if cased != text:
        text = unicodedata.normalize("NFKC", cased)
    for variant, usual in _VARIANTS:
        text = text.replace(variant, usual)
    return text


def runs(text: str) -> list[str]:
    """The runs of a text, folded."""
    if text.isascii():
        return text[:MAX_CHARACTERS].translate(_ASCII_WORDS).split()
    return _RUNS.findall(_joined(fold(text)[:MAX_CHARACTERS]))


def _joined(folded: str) -> str:
    """Without the white space before what is written without (and without "・"): behind another
    script or a comma a run begins all the same."""
    if "\n>" in folded:
        folded = _QUOTED_LINE.sub("\n", folded)
    return _JOIN.sub("", "\n".join(folded.replace("\u30fb", " ").split()))


def canonical(text: str) -> str:
    """The text in which a needle is looked for: runs with a space around each."""
    return "\n".join(f" {' '.join(runs(field))} " for field in text.split(FIELD))


def spaceless(run: str) -> bool:
    """Whether a run is of a script that is cut into pairs."""
    return not run.isascii() and _IS_SPACELESS.match(run) is not None


PAIR = 4  # octets of a pair


class Tokens(NamedTuple):
    """The tokens of a text; one may be there several times.

    `words`: in UTF-8, white space between them. `pairs`: of scripts without spaces, two UTF-16
    code units each, the second a line feed where a run ends, the first where one begins: such a
    pair is no token. They are told as they are, since a number is looked up in half of the time
    that a run of octets takes."""

    words: bytes = b""
    pairs: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.words or self.pairs)

    @property
    def octets(self) -> int:
        """How long it is."""
        return len(self.words) + len(self.pairs)

    @property
    def text(self) -> bytes:
        """All of them in UTF-8, a space between them."""
        units = self.pairs.decode("utf-16-le", "replace")
        told = [units[place : place + 2].strip(_END) for place in range(0, len(units), 2)]
        found = [one for one, begins in zip(told, units[::2], strict=True) if begins != _END]
        return b" ".join([*self.words.split(), *(one.encode() for one in found)])


def pair(units: bytes) -> str:
    """The token that a pair is; "" for none."""
    told = units.decode("utf-16-le", "replace")
    if len(told) != 2 or told[0] < "\x80":
        return ""
    return told[0] if told[1] == _END else told if told[1] >= "\x80" else ""


def tokens(text: str) -> Tokens:
    """The tokens of a text."""
    if text.isascii():
        raw = text.encode("ascii")
        told = raw.translate(_OCTET_WORDS).strip()
        # to the index a word that it has seen just now costs less than to find it here
        if len(told) > MAX_REPEATING:
            told = b" ".join(set(told.split()))
        if _LONG in raw.translate(_OCTET_SHAPE):
            told = b" ".join([word[:MAX_TOKEN] for word in told.split()])
        return _fitting(told, b"")
    folded = _joined(fold(text.replace(FIELD, f" {ITEM} "))[:MAX_CHARACTERS])
    pieces = _SPACELESS_RUNS.split(folded)  # every second one is a run
    found = {word[:MAX_TOKEN] for word in _WORD_RUNS.findall(" ".join(pieces[::2]))}
    words = " ".join(found).encode()
    others = _END.join(pieces[1::2]) + _END
    units = others.encode("utf-16-le")
    if len(units) == 2 * len(others):
        return _fitting(words, _pairs(units))
    # There are characters beyond U+FFFF.
    pairs = dict.fromkeys(map(add, others, others[1:]))
    told = " ".join([one.rstrip(_END) for one in pairs if one[0] != _END]).encode()
    return _fitting(b"%b %b" % (words, told), b"")


def _pairs(units: bytes) -> bytes:
    """Every code unit with its right neighbour."""
    out = bytearray(2 * len(units) - PAIR)
    for place in range(2):
        each = units[place::2]
        out[place::PAIR] = each[:-1]
        out[place + 2 :: PAIR] = each[1:]
    return bytes(out)


def _fitting(words: bytes, pairs: bytes) -> Tokens:
    found = Tokens(words, pairs)
    if found.octets <= _SURELY_FITS or len(told := found.text.decode()) <= _SURELY_FITS:
        return found
    return Tokens(_bounded(told.encode()))


def _bounded(joined: bytes) -> bytes:
    """The different ones, as many as a message may have."""
    kept: list[bytes] = []
    left = MAX_OCTETS
    for token in dict.fromkeys(joined.split()):
        left -= len(token)
        if left < 0 or len(kept) == MAX_TOKENS:
            break
        kept.append(token)
    return b" ".join(kept)


# What is asked.


class Refused(ValueError):
    """The query cannot be answered; `code` is one of "long", "terms", "nothing"."""

    def __init__(self, code: str) -> None:
        super().__init__(
            {
                "long": f"allowed are at most {MAX_QUERY} characters",
                "terms": f"allowed are at most {MAX_TERMS} words",
                "nothing": "allowed is text with at least one word to look for",
            }[code]
        )
        self.code = code


class Term(NamedTuple):
    """A word or phrase. `asked` are tokens that a message must have for it, `prefix` one that
    some token must begin with. `exact`: having them is enough, the text need not be looked at.
    `part`: it is one run of a script without spaces. `near`: a pattern that folded text must have
    for it, "" if there is none: most texts are done with then, in a fraction of the time."""

    needle: str
    asked: tuple[str, ...]
    prefix: str
    exact: bool
    part: bool
    near: str


class Query(NamedTuple):
    """All of `terms` and none of `without`."""

    terms: tuple[Term, ...]
    without: tuple[Term, ...]


def parse(text: str) -> Query:
    """Words that must all be there, "phrases", -words that must not. Refused if there is nothing
    to look for or too much; whatever else stands in it is taken as text."""
    if len(text) > MAX_QUERY:
        raise Refused("long")
    terms: dict[str, Term] = {}
    without: dict[str, Term] = {}
    for minus, phrase, word in _PIECE.findall(text.translate(_QUOTES)):
        if word.startswith("-"):
            minus = "-"
        made = term(phrase or word)
        if made is not None:
            (without if minus else terms)[made.needle] = made
    if not terms:
        raise Refused("nothing")
    if len(terms) + len(without) > MAX_TERMS:
        raise Refused("terms")
    return Query(tuple(terms.values()), tuple(without.values()))


def term(text: str) -> Term | None:
    """A term; None if there is no letter and no digit in it."""
    found = runs(text.replace(FIELD, " "))
    if not found:
        return None
    asked: list[str] = []
    prefix = ""
    for run in found:
        if not spaceless(run):
            asked.append(run[:MAX_TOKEN])
        elif len(run) > 1:
            asked += map(add, run, run[1:])
        else:
            prefix = run
    needle = " ".join(found)
    needle = needle if spaceless(found[0]) else f" {needle}"
    needle = needle if spaceless(found[-1]) else f"{needle} "
    exact = len(found) == 1 and len(asked) + bool(prefix) == 1 and len(found[0]) < MAX_TOKEN
    different = list(dict.fromkeys(asked))
    part = len(found) == 1 and spaceless(found[0])
    near = ""
    if len(found) > 1 and not any(map(spaceless, found)):
        near = r"[\W_]+".join(map(re.escape, found))
    return Term(needle, tuple(different[:MAX_ASKED]), prefix, exact, part, near)


class Sight:
    """A text in which terms are looked for, read no further than they need."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._folded = fold(text.replace(FIELD, f" {ITEM} "))[:MAX_CHARACTERS]

    @cached_property
    def _canonical(self) -> str:
        return canonical(self._text)

    @cached_property
    def _without_spaces(self) -> str:
        return _joined(self._folded)

    def has(self, wanted: Term) -> bool:
        """Whether the term stands in it."""
        if wanted.part:  # of a run: there is no end of a word to be seen
            return wanted.needle in self._without_spaces
        whole = len(self._folded) < MAX_CHARACTERS // 2  # nothing of it was cut off
        if whole and wanted.near and not re.search(wanted.near, self._folded):
            return False
        return wanted.needle in self._canonical
