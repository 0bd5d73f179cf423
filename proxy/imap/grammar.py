"""IMAP's words: tokens of a command or response, mailbox names, response codes (core).

A command or response that had literals is given as one text: its lines joined, each literal still
standing there as its announcement (`{12}`), and the octets of the small ones beside it. RFC 3501
section 9, RFC 9051, RFC 5092 (modified UTF-7: RFC 3501 section 5.1.3).

`NotUnderstood` is raised for all that is no IMAP; texts are bounded by those who call.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_TOKEN = re.compile(
    rb"""[ ]*(?:
      "((?:[^"\\]|\\.)*)"                                        # 1 quoted
    | (~?\{[0-9]{1,19}\+?\})                                     # 2 literal
    | ([()])                                                     # 3 list
    | ((?:BODY|BINARY(?:\.SIZE)?)\[[^\]"{]*\](?:<[0-9]+>)?)      # 4 section
    | ([^\s()"{]+)                                               # 5 atom
    )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SHIFT = re.compile(r"&([A-Za-z0-9+,]*)-")
_COMMAND = re.compile(rb"([^\x00-\x20\x7f(){%*\"\\+]+) (UID )?([A-Za-z0-9_.-]{1,40})(?: |\Z)", re.I)

# The two lines that most of a session is made of. Neither brace nor quote: so there is no literal,
# and nothing that only looks like one; no code in brackets: it may be a list of capabilities.
PLAIN_COMMAND: Final = re.compile(
    rb"([A-Za-z0-9.$_-]{1,32}) (?:UID )?"
    rb"(?:NOOP|CHECK|FETCH|STORE|SEARCH|SORT|THREAD|STATUS|LIST|LSUB)(?: [^\x00\r\n{}\"]*)?\r\n"
)
PLAIN_ANSWER: Final = re.compile(rb"([A-Za-z0-9.$_-]{1,32}) (?:OK|NO|BAD) [^\r\n\[]*\r\n")

MOST_TOKENS: Final = 20_000


class NotUnderstood(ValueError):
    """This is no IMAP that we know."""


class Token(NamedTuple):
    """`kind`: "quoted", "literal", "(", ")", "atom". `value` is the string itself; of a literal its
    octets where they were kept, else None. `end`: where it ends in the text."""

    kind: str
    value: bytes | None
    end: int


def tokens(text: bytes, pos: int = 0, literals: Sequence[bytes | None] = ()) -> Iterator[Token]:
    """The tokens of a text from `pos` on."""
    taken = count = 0
    match = _TOKEN.match
    end = len(text.rstrip(b" "))
    while pos < end:
        found = match(text, pos)
        count += 1
        if found is None or count > MOST_TOKENS:
            raise NotUnderstood("not a token")
        pos = found.end()
        which = found.lastindex
        if which == 1:
            yield Token("quoted", _UNESCAPE.sub(rb"\1", found[1]), pos)
        elif which == 2:
            yield Token("literal", literals[taken] if taken < len(literals) else None, pos)
            taken += 1
        elif which == 3:
            yield Token(found[3].decode(), None, pos)
        else:
            yield Token("atom", found[4] or found[5], pos)


class Command(NamedTuple):
    """The beginning of a client's command: verb in upper case ("UID FETCH" is "FETCH" with uid)."""

    tag: bytes
    verb: bytes
    uid: bool
    args: int


def command(text: bytes) -> Command | None:
    """Tag and verb of a command's first line; None if it has none."""
    found = _COMMAND.match(text)
    if found is None:
        return None
    return Command(found[1], found[3].upper(), found[2] is not None, found.end())


def arguments(
    text: bytes, pos: int, literals: Sequence[bytes | None] = ()
) -> list[bytes | list[bytes] | None]:
    """Arguments of a command: strings, one-level lists of strings; None for a literal not kept.

    Deeper lists are flattened; a list that is not closed ends with the text.
    """
    found: list[bytes | list[bytes] | None] = []
    inner: list[bytes] = []
    depth = 0
    for token in tokens(text, pos, literals):
        if token.kind == "(":
            depth += 1
        elif token.kind == ")":
            depth -= 1
            if depth < 0:
                raise NotUnderstood("a list that was not opened")
            if not depth:
                found.append(inner)
                inner = []
        elif not depth:
            found.append(token.value)
        elif token.value is not None:
            inner.append(token.value)
    if depth:
        found.append(inner)
    return found


def mailbox_name(raw: bytes, utf8: bool) -> str:
    """A mailbox as UTF-8 text. Never raises: what cannot be decoded stays as it stands."""
    if raw.upper() == b"INBOX":
        return "INBOX"
    if utf8 or not raw.isascii():
        return raw.decode("utf-8", "replace")
    text = raw.decode("ascii")
    try:
        return _SHIFT.sub(_unshift, text) if "&" in text else text
    except (ValueError, binascii.Error):
        return text


def _unshift(found: re.Match[str]) -> str:
    if not found[1]:
        return "&"
    data = found[1].replace(",", "/")
    return b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-16-be")


def encoded_name(name: str) -> bytes:
    """A mailbox name in modified UTF-7, the other way round."""
    out: list[str] = []
    shifted = ""
    for char in name + "\0":  # the NUL ends a shift; no mailbox name holds one
        if " " <= char <= "~" or char == "\0":
            if shifted:
                coded = binascii.b2a_base64(shifted.encode("utf-16-be"), newline=False)
                out.append("&" + coded.decode().rstrip("=").replace("/", ",") + "-")
                shifted = ""
            out.append("&-" if char == "&" else char)
        else:
            shifted += char
    return "".join(out)[:-1].encode("ascii")


def response_code(text: bytes) -> tuple[bytes, bytes] | None:
    """Name (upper case) and arguments of the `[CODE ...]` that a status text begins with."""
    if text[:1] != b"[":
        return None
    end = text.find(b"]")
    if end < 0:
        return None
    name, _, rest = text[1:end].partition(b" ")
    return name.upper(), rest


class FetchItems(NamedTuple):
    """What a FETCH response says besides its bodies, and its bodies in order.

    bodies: (name in upper case, the token of its value).
    """

    uid: int | None
    size: int | None
    flags: tuple[str, ...] | None
    internaldate: str | None
    bodies: list[tuple[bytes, Token]]


_BODY = re.compile(rb"(?:RFC822|(?:BODY|BINARY)\[\])(?:<[0-9]+>)?\Z", re.IGNORECASE)


def fetch_items(text: bytes, pos: int) -> FetchItems:
    """The items of a FETCH response from its "(" on, as far as the text goes.

    A text may end behind a literal's announcement: what follows the literal is not there yet.
    Raises NotUnderstood.
    """
    stream = tokens(text, pos)
    uid = size = internaldate = None
    flags: tuple[str, ...] | None = None
    bodies: list[tuple[bytes, Token]] = []
    opening = next(stream, None)
    if opening is None or opening.kind != "(":
        raise NotUnderstood("a FETCH without a list")
    for token in stream:
        if token.kind == ")":
            if next(stream, None) is not None:
                raise NotUnderstood("text behind a FETCH")
            break
        if token.kind != "atom" or token.value is None:
            raise NotUnderstood("an item without a name")
        name = token.value.upper()
        value = next(stream, None)
        if value is None:
            break
        if value.kind == "(":
            inner = _list(stream)
            if name == b"FLAGS":
                flags = tuple(flag.decode("ascii", "replace") for flag in inner)
        elif name == b"UID":
            uid = _number(value)
        elif name == b"RFC822.SIZE":
            size = _number(value)
        elif name == b"INTERNALDATE":
            internaldate = (value.value or b"").decode("ascii", "replace")
        elif _BODY.match(name):
            bodies.append((name, value))
    return FetchItems(uid, size, flags, internaldate, bodies)


def _list(stream: Iterator[Token]) -> list[bytes]:
    """The strings of a list whose "(" was read, and its inner lists, without their structure."""
    inner = []
    depth = 1
    for token in stream:
        if token.kind == "(":
            depth += 1
        elif token.kind == ")":
            depth -= 1
            if not depth:
                break
        elif token.value is not None:
            inner.append(token.value)
    return inner


def _number(token: Token) -> int:
    value = token.value or b""
    if token.kind != "atom" or not value.isdigit() or len(value) > 19:
        raise NotUnderstood("not a number")
    return int(value)
