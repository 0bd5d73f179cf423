"""Addresses as they stand in real mail: a tolerant reader, and their form to compare. A core.

A core. For facts only, never for decisions about where mail goes. Promises: never raises, linear
time, at most `MAX_ADDRESSES` a header. Structure is read before encoded words are decoded, so an
encoded comma or "<" never makes an address (RFC 2047 section 5).
Reads what flanker refuses (libraries.md "addresses"): docomo-style a..b.@, groups, domain
literals, UTF-8 local parts, unquoted names with dots or commas in encoded words, comments,
missing brackets, source routes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import idna

from crmstore.charsets import clean
from crmstore.words import decode_words

__all__ = [
    "MAX_ADDRESS",
    "MAX_ADDRESSES",
    "MAX_NAME",
    "MAX_OWNED",
    "domain_of",
    "key",
    "keys",
    "read",
]

MAX_ADDRESSES = 2_000
MAX_OWNED = 200  # of one person or record
MAX_ADDRESS = 320  # RFC 5321 section 4.5.3.1: 64 + 1 + 255
MAX_NAME = 200
SHORT = 160  # characters of a header that is worth remembering

# A quoted string, an address in brackets, a parenthesis, a separator, or a run of the rest. The
# last alternative takes what opens and never closes, a character at a time.
_REST = r"|<([^<>]{0,2000}+)>|([()])|([,;:])|([^\"<>(),;:]++)|([\"<>])"
_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)(?:"|(\\?\Z))' + _REST, re.DOTALL)
# Behind a quote that is never closed there is no quoted string: looking for one again and again
# would be quadratic.
_TOKEN_UNQUOTED = re.compile(r"(?!)()()" + _REST, re.DOTALL)
_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
# Characters that an address never holds where we compare addresses.
_BAD = re.compile(r'[\x00-\x20\x7f-\xa0<>(),;"\\\u2028\u2029\u3000\ud800-\udfff]')


def read(text: str, limit: int = MAX_ADDRESSES) -> Sequence[tuple[str, str]]:
    """(name, address) of each address in a header's unfolded, undecoded text."""
    return _read_again(text, limit) if len(text) <= SHORT else _read(text, limit)


def _read(text: str, limit: int) -> Sequence[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    phrase: list[str] = []
    comment: list[str] = []
    angle = ""
    depth = 0

    def finish() -> None:
        nonlocal angle
        if angle or phrase:
            item = _address(phrase, angle, comment)
            if item is not None:
                found.append(item)
        phrase.clear()
        comment.clear()
        angle = ""

    for token in _tokens(text):
        kind = token.lastindex
        if kind == 4:
            depth = depth + 1 if token[4] == "(" else max(0, depth - 1)
        elif depth:
            if len(comment) < 20:
                comment.append(token[0])
        elif kind == 6:
            phrase.append(token[6])
        elif kind == 3:
            angle = angle or token[3]
        elif kind == 1:
            phrase.append('"' + token[1])
        elif kind == 5:
            if token[5] == ":" and not angle:
                if any("@" in word for word in phrase):
                    phrase.append(":")
                else:
                    phrase.clear()  # the name of a group (RFC 5322 section 3.4), or "mailto:"
                continue
            finish()
            if len(found) >= limit:
                return found
    finish()
    return found[:limit]


# The same people write and are written to again and again.
_read_again = lru_cache(maxsize=8192)(_read)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    for token in _TOKEN.finditer(text):
        if token.lastindex == 2:  # an unclosed quote: what is behind it is read without quotes
            yield from _TOKEN_UNQUOTED.finditer(text, token.start() + 1)
            return
        yield token


def _address(phrase: list[str], angle: str, comment: list[str]) -> tuple[str, str] | None:
    """One item: its name and its address, or None if there is none in it."""
    if angle:
        if angle.startswith("@") and ":" in angle:
            angle = angle[angle.rindex(":") + 1 :]  # a source route (RFC 5321 appendix C)
        address = key(angle)
        name = _name(phrase) or _name(comment)
        return (name, address) if address else None
    bare = "".join(phrase).strip()
    address = key(bare)
    if not address and not any(word.startswith("@") for word in phrase):
        # "Bob Smith bob@example.com", or an address after a lost bracket; but never the tail of
        # a quoted local part
        words = [word for word in bare.replace('"', " ").split() if "@" in word]
        address = key(words[-1]) if words else ""
    return (_name(comment), address) if address else None


def _name(words: list[str]) -> str:
    """A display name: quotes and escapes taken off, encoded words decoded, one line."""
    parts: list[str] = []
    for word in words:
        if word.startswith('"'):
            word = _UNESCAPE.sub(r"\1", word[1:])
        parts.append(word)
    text = "".join(parts)
    text = decode_words(text) if "=?" in text else clean(" ".join(text.split()))
    return text.strip(" '")[:MAX_NAME]


@lru_cache(maxsize=20_000)
def key(address: str) -> str:
    """The form in which addresses are compared and stored; "" if it is no address.

    Lower case on both sides (nobody tells people apart by case), domain in ASCII (IDNA), a quoted
    local part that needs no quotes without them. Nothing else is folded: a+b@ is not a@.
    """
    text = address.strip().strip("<>").strip()
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or len(text) > MAX_ADDRESS:
        return ""
    if local.startswith('"'):
        local = local.strip('"')
        local = _UNESCAPE.sub(r"\1", local)
    if not text.isascii():
        domain = _ascii_domain(domain)
    domain = domain.rstrip(".").lower()
    result = f"{local.lower()}@{domain}"
    if not local or not domain or len(result) > MAX_ADDRESS or _BAD.search(result):
        return ""
    return result


def keys(emails: Iterable[str]) -> list[str]:
    """What somebody typed as the addresses of one person or record, each once, in their order.
    ValueError, to be shown, for what is no address and for more than MAX_OWNED."""
    found: dict[str, None] = {}
    for email in emails:
        address = key(email)
        if not address:
            raise ValueError(f"{email[:100]!r} is no address")
        found[address] = None
    if len(found) > MAX_OWNED:
        raise ValueError(f"at most {MAX_OWNED} addresses")
    return list(found)


def _ascii_domain(domain: str) -> str:
    try:
        return idna.encode(domain[:255], uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return domain


def domain_of(address: str) -> str:
    """The domain of an address in key() form."""
    return address.rpartition("@")[2]
