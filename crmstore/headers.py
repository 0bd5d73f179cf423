"""A header block split into fields, and the parameters of the structured ones. A core.

Promises: never raises, linear time, bounded: at most `MAX_HEADERS` fields and `MAX_BLOCK` octets
of a block are looked at (threats.md: 100 kB, 1,000); what lies behind is reported as a flag.
Reads bytes; the result is text that still holds its encoded words (decode with words.py).
Fields as RFC 5322 section 2.2; parameters as RFC 2045 section 5.1 and RFC 2231 sections 3, 4,
and as they are really sent: raw 8 bit, encoded words in quotes, unquoted spaces.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from crmstore.charsets import clean, decode, decode_header
from crmstore.words import decode_words

__all__ = ["MAX_BLOCK", "MAX_HEADERS", "Block", "blank_line", "parameters", "split", "unfold"]

MAX_BLOCK = 100_000
MAX_HEADERS = 1_000
MAX_VALUE = 65_536
MAX_PARAMETERS = 100
SHORT = 120  # octets of a value that is worth remembering

# A name, then its value with the folded lines. Names are printable ASCII without the colon.
_FIELD = re.compile(rb"([!-9;-~]{1,200}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
# The same, or a line that is no field: so findall() steps over nothing.
_FIELDS = re.compile(_FIELD.pattern + rb"|[^\n]*\n|[^\n]+")
_FOLD = re.compile(r"[\r\n]+[ \t]*")


class Block(NamedTuple):
    """The fields of a block: lower-case name -> raw values in their order."""

    fields: dict[bytes, list[bytes]]
    body: int  # where the body begins
    flags: tuple[str, ...]


def split(data: bytes, start: int = 0, end: int | None = None, *, lenient: bool = False) -> Block:
    """The header block at `start`: up to a blank line or, as the stdlib has it, the first line
    that is no field. `lenient` steps over such lines if a blank line follows: for the header of
    a message, where a broken line in the middle must not hide the From below it.
    """
    stop = len(data) if end is None else end
    if data.startswith((b"\n", b"\r\n"), start):
        return Block({}, start + (1 if data[start] == 10 else 2), ())
    limit = min(stop, start + MAX_BLOCK)
    blank = blank_line(data, start, limit)
    edge = blank[0] if blank else limit
    fields: dict[bytes, list[bytes]] = {}
    flags: list[str] = []
    count = 0
    position = start
    # All at once, at the speed of C, if all of them are fields.
    found = _FIELDS.findall(data, start, edge)
    if len(found) < MAX_HEADERS and (b"", b"") not in found:
        position = edge
        for name, value in found:
            fields.setdefault(name.lower(), []).append(value)
    while position < edge:
        field = _FIELD.match(data, position, edge)
        if field is None:
            newline = data.find(b"\n", position, edge)
            following = newline + 1 if newline >= 0 else edge
            if position == start and data.startswith(b"From ", start):
                position = following  # an mbox separator
                continue
            if not lenient or blank is None:
                return Block(fields, position, (*flags, "header_unended"))
            if "header_garbage" not in flags:
                flags.append("header_garbage")
            position = following
            continue
        name = field[1].lower()
        values = fields.get(name)
        if values is None:
            fields[name] = [field[2]]
        else:
            values.append(field[2])
        count += 1
        if count >= MAX_HEADERS:
            flags.append("header_limit")
            break
        position = field.end()
    if blank is not None:
        return Block(fields, blank[1], tuple(flags))
    if limit < stop:
        # The block goes on behind what we look at: find its end, read no more of it.
        flags.append("header_limit")
        far = blank_line(data, max(start, limit - 3), stop)
        return Block(fields, far[1] if far else stop, tuple(dict.fromkeys(flags)))
    return Block(fields, stop, (*flags, "header_unended"))


def blank_line(data: bytes, start: int, stop: int) -> tuple[int, int] | None:
    """Where the first blank line of data[start:stop] begins (with the end of the line above it)
    and ends. Two searches for octets cost a hundredth of one for a pattern; the kind of line end
    that the first line has is looked for first, so that the other need not be looked for in all
    of a message that has none."""
    line = data.find(b"\n", start, stop)
    if line > start and data[line - 1] == 13:
        crlf = data.find(b"\n\r\n", line, stop)
        bare = data.find(b"\n\n", line, stop if crlf < 0 else crlf + 1)
    else:
        bare = data.find(b"\n\n", start, stop)
        crlf = data.find(b"\n\r\n", start, stop if bare < 0 else bare + 2)
    at, end = (crlf, crlf + 3) if bare < 0 or 0 <= crlf < bare else (bare, bare + 2)
    if at < 0:
        return None
    return (at - 1 if at > start and data[at - 1] == 13 else at), end


def unfold(raw: bytes, limit: int = MAX_VALUE, charset: str = "") -> str:
    """A field's value as one line of text. Raw 8-bit bytes are read as what they seem to be:
    `charset`, what the body of the message says of itself, if they fit."""
    raw = raw[:limit]
    if raw.isascii() and b"\x1b" not in raw:
        text = raw.decode("ascii")
    else:
        # Folded before decoded: a line end would reset ISO-2022-JP
        text = decode_header(re.sub(rb"\r?\n[ \t]*", b" ", raw), charset)
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(" ", text)
    return text.strip()


# name = "quoted" or unquoted up to the next semicolon.
_PARAMETER = re.compile(
    r'[;\s]*+([^\s=;"]{1,100})\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)[^;]*|([^;]*))'
    r"|[;\s]++|[^;]++",
    re.DOTALL,
)
_ESCAPE = re.compile(r'\\(["\\])')
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?$")


def parameters(raw: bytes) -> tuple[str, Mapping[str, str]]:
    """("text/plain", {"charset": "utf-8"}): both lower case but for the values."""
    return _parameters_again(raw) if len(raw) <= SHORT else _parameters(raw)


def _parameters(raw: bytes) -> tuple[str, Mapping[str, str]]:
    text = unfold(raw)
    main, semicolon, rest = text.partition(";")
    value = clean(main).strip().lower()[:200]
    if not semicolon:
        return value, {}
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(rest)):
        if count >= MAX_PARAMETERS:
            break
        if found[1] is None:
            continue
        name = found[1].lower()
        content = _ESCAPE.sub(r"\1", found[2]) if found[2] is not None else found[3].strip()
        section = _SECTION.match(name) if "*" in name else None
        if section is not None:
            number = int(section[2] or 0)
            sections.setdefault(section[1], {}).setdefault(number, (bool(section[3]), content))
        else:
            plain.setdefault(name, content)
    result = {name: _words(content) for name, content in plain.items()}
    for name, parts in sections.items():  # RFC 2231 wins over the fallback beside it
        result[name] = clean(_join(parts))
    return value, result


# The same few types stand in nearly all mail.
_parameters_again = lru_cache(maxsize=4096)(_parameters)


def _words(content: str) -> str:
    """Encoded words have no place here (RFC 2047 section 5), and half of the world puts them."""
    return decode_words(content) if "=?" in content else clean(content)


def _join(parts: dict[int, tuple[bool, str]]) -> str:
    """The sections of one value (RFC 2231 section 3); the first names the charset (section 4)."""
    charset = ""
    data = b""
    for place, number in enumerate(sorted(parts)):
        encoded, content = parts[number]
        if encoded:
            if place == 0 and content.count("'") >= 2:
                charset, _, content = content.split("'", 2)
            data += unquote_to_bytes(content)
        else:
            data += content.encode("utf-8", "replace")
    return decode(data, charset)
