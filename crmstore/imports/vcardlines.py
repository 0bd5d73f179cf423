"""vCard content lines: bytes of a file to properties, of versions 2.1, 3.0 and 4.0. A core.

Promises: never raises; linear time; at most MAX_LINE bytes of one property are kept, none of those
nobody reads (a photo of megabytes costs its reading only). Folding is undone on bytes, because
writers fold inside a character; quoted-printable lines go on after "=" (2.1, as Japanese phones
write); the text is decoded before it is split, because Shift_JIS has a backslash inside characters
(表). Cites: RFC 6350 section 3, RFC 2426 section 2, vCard 2.1 section 2.
"""

import binascii
import codecs
import quopri
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from crmstore.charsets import decode, decode_raw

__all__ = ["MAX_LINE", "Property", "properties", "split_text", "unescaped"]

MAX_LINE = 32_768

_HEAD = re.compile(
    rb"\s*(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]{1,60})((?:;(?:[^\";:]++|\"[^\"]*+\"?)*+)*+)\s*:",
    re.DOTALL,
)
_PARAMETER = re.compile(rb";((?:[^\";]++|\"[^\"]*+\"?)*+)")
_UNREAD = frozenset(["PHOTO", "LOGO", "SOUND", "KEY", "AGENT"])
_BARE_ENCODINGS = frozenset(["QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT"])
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Property(NamedTuple):
    """One content line. `name` is "" for a line that is none, and `long` for one cut off."""

    line: int
    name: str
    parameters: tuple[tuple[str, str], ...]  # names and values in upper case, unquoted
    value: str
    long: bool

    def values_of(self, parameter: str) -> Iterator[str]:
        """The values of a parameter; a value without a name (2.1) is a type."""
        for name, value in self.parameters:
            if name == parameter:
                yield from (part for part in value.split(",") if part)


class _Line:
    """A content line in the making."""

    def __init__(self, number: int, data: bytes) -> None:
        self.number = number
        self.data = bytearray()
        self.long = False
        self.head = head = _HEAD.match(data[:2_000])
        self.name = head[1].decode("ascii").upper() if head else ""
        parameters = head[2].upper() if head else b""
        self.quoted_printable = b"QUOTED-PRINTABLE" in parameters
        self.kept = self.name not in _UNREAD
        self.add(data)

    def add(self, data: bytes) -> None:
        if not self.kept:
            return
        room = MAX_LINE - len(self.data)
        self.long = self.long or len(data) > room
        self.data += data[:room]

    @property
    def open(self) -> bool:
        """Does a quoted-printable value go on in the next line, whatever that begins with?"""
        return self.quoted_printable and self.data.endswith(b"=") and not self.long


def properties(chunks: Iterable[bytes], encoding: str = "") -> Iterator[Property]:
    """The content lines of a file; `encoding` is that of values that name none ("" = by value)."""
    current: _Line | None = None
    for number, data in enumerate(_physical(chunks), 1):
        if current is not None:
            if current.open:
                del current.data[-1:]
                current.add(data.lstrip(b" \t") if data[:1] in (b" ", b"\t") else data)
                continue
            if data[:1] in (b" ", b"\t"):
                current.add(data[1:])
                continue
            yield _property(current, encoding)
            current = None
        if data.strip():
            current = _Line(number, data)
    if current is not None:
        yield _property(current, encoding)


def _physical(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, cut where they get too long to be kept."""
    rest = b""
    first = True
    for chunk in chunks:
        if first:
            chunk, first = chunk.removeprefix(codecs.BOM_UTF8), False
        lines = (rest + chunk).splitlines(keepends=True)
        rest = b""
        # "\r" at the end of a chunk may be half of "\r\n"
        if lines and (not lines[-1].endswith(b"\n")):
            rest = lines.pop()
        for line in lines:
            yield line.rstrip(b"\r\n")
        if len(rest) > 4 * MAX_LINE:
            yield rest[: 2 * MAX_LINE]
            rest = b" " + rest[2 * MAX_LINE :]
    for line in rest.splitlines():
        yield line


def _property(line: _Line, encoding: str) -> Property:
    data = bytes(line.data)
    # parameters may be folded too: then the head was not whole in the first line
    head = (line.head or _HEAD.match(data[:2_000])) if line.kept else None
    if head is None:
        return Property(line.number, line.name, (), "", line.long)
    name = line.name or head[1].decode("ascii").upper()
    parameters: list[tuple[str, str]] = []
    charset = encoding
    how = ""
    for found in _PARAMETER.finditer(head[2]):
        text = found[1].decode("utf-8", "replace").strip()
        key, equals, value = text.partition("=")
        key, value = (key.strip().upper(), value.strip(' "')) if equals else ("TYPE", text)
        if key == "CHARSET":
            charset = value
        elif key == "ENCODING" or (not equals and value.upper() in _BARE_ENCODINGS):
            how = value.upper()
        parameters.append((key, value.upper()))
    raw = data[head.end() :]
    if how == "QUOTED-PRINTABLE":
        raw = quopri.decodestring(raw)
    elif how in ("B", "BASE64"):
        raw = _base64(raw)
    text = decode(raw, charset) if charset else decode_raw(raw)
    return Property(line.number, name, tuple(parameters), text.strip(), line.long)


def _base64(raw: bytes) -> bytes:
    plain = re.sub(rb"[^A-Za-z0-9+/]+", b"", raw)
    plain = plain[: len(plain) // 4 * 4 + (0 if len(plain) % 4 == 1 else len(plain) % 4)]
    return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4))


def split_text(value: str, separator: str = ";") -> list[str]:
    """The components of a structured value, unescaped."""
    parts = [""]
    for piece in re.split(rf"(\\.|{separator})", value, flags=re.DOTALL):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return [unescaped(part) for part in parts]


def unescaped(text: str) -> str:
    """RFC 6350 section 3.4; a backslash before anything else stays."""
    return _ESCAPE.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    character = found[1]
    if character in "nN":
        return "\n"
    return character if character in "\\,;:" else found[0]
