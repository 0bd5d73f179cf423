"""The parts of a MIME message, found in one pass over its bytes. A core.

Why not the stdlib's parser: it makes a str of every line, 0.8 ms for a mail of 17 kB with an
attachment, 1.6 s and 430 MB for one of 50 MB, and recursion errors on nested bombs. This reads
only header blocks and lines that begin with "--", keeps offsets, and is held to the stdlib's
answers over the test corpus (tests/cores/test_mimetree.py). Decision:
docs/decisions/0031.

Promises: never raises, linear time, at most `MAX_PARTS` leaves and `MAX_DEPTH` levels; what is
beyond is reported as a flag. A part ends at a delimiter of any multipart around it (RFC 2046
section 5.1.2), a missing end is no error. message/rfc822 is one leaf: what is inside is not ours.
A multipart that does not say what delimits its parts is one text (flag "no_parts"), and stays so,
for this is what messages are known by (identity.py); guessed() has its parts for a reader.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from crmstore.headers import Block, blank_line, parameters, split

__all__ = ["MAX_DEPTH", "MAX_PARTS", "Leaf", "Tree", "guessed", "parse", "transfer_encoding"]

MAX_PARTS = 1_000
MAX_DEPTH = 100
MAX_LINES = 300_000  # that begin with "--"
MAX_BOUNDARY = 1_000  # RFC 2046 says 70; longer ones are real, a megabyte is not
SHORT = 240  # octets of a part's header that is worth remembering


class Leaf(NamedTuple):
    """A part that holds content: data[start:end], still in its transfer encoding."""

    type: str
    parameters: Mapping[str, str]
    fields: dict[bytes, list[bytes]]
    start: int
    end: int
    parent: str  # the type of the multipart around it; "" for the message itself
    alternative: int = 0  # which multipart/alternative it is of (the outermost); 0: of none


class Tree(NamedTuple):
    """The message's own header and its leaves in order."""

    header: Block
    leaves: list[Leaf]
    flags: tuple[str, ...]


def transfer_encoding(leaf: Leaf) -> str:
    """How a part is carried, in lower case; "" if it does not say."""
    raw = leaf.fields.get(b"content-transfer-encoding")
    if raw is None:
        return ""
    return _encoding_named(raw[0][:100])


@lru_cache(maxsize=256)
def _encoding_named(raw: bytes) -> str:
    return raw.strip().strip(b'"').decode("ascii", "replace").lower()


class _Stack:
    """The multiparts that we are inside of, and which lines delimit them."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.alternatives: list[int] = []  # at each level, as in Leaf
        self._serial = 0
        self._delimiters: list[bytes] = []
        self._lines: dict[bytes, tuple[int, bool]] = {}  # line -> (level, is it the end)

    def push(self, boundary: bytes, kind: str) -> None:
        level = len(self.types)
        self._serial += 1
        around = self.alternatives[-1] if self.alternatives else 0
        mine = self._serial if kind == "multipart/alternative" else 0
        self.alternatives.append(around or mine)
        self.types.append(kind)
        self._delimiters.append(boundary)
        self._lines[boundary] = (level, False)
        self._lines[boundary + b"--"] = (level, True)

    def cut(self, length: int) -> None:
        """Leave all but the outermost `length`."""
        if length == len(self.types):
            return
        del self.types[length:]
        alternatives = self.alternatives[:length]
        self.alternatives.clear()
        rest = self._delimiters[:length]
        self._delimiters.clear()
        kinds = self.types[:]
        self.types.clear()
        self._lines.clear()
        for boundary, kind in zip(rest, kinds, strict=True):
            self.push(boundary, kind)
        self.alternatives[:] = alternatives

    def match(self, data: bytes, start: int) -> tuple[int, bool, int]:
        """The line at `start` as a delimiter: (level or -1, is it the end, the next line)."""
        stop = data.find(b"\n", start, start + MAX_BOUNDARY + 200)
        if stop < 0:
            stop = len(data)
            if stop - start > MAX_BOUNDARY + 200:
                return -1, False, start
        level, closing = self._lines.get(data[start:stop].rstrip(b" \t\r"), (-1, False))
        return level, closing, min(stop + 1, len(data))


def parse(data: bytes) -> Tree:
    """Split a whole message."""
    header = split(data, lenient=True)
    kind, params = _type(header.fields, "")
    boundary = _boundary(kind, params)
    if not boundary and not kind.startswith("multipart/"):
        only = Leaf(kind, params, header.fields, header.body, len(data), "")
        return Tree(header, [only], header.flags)
    leaves: list[Leaf] = []
    flags: list[str] = []
    if boundary:
        stack = _Stack()
        stack.push(boundary, kind)
        leaves, flags = _parts(data, header.body, stack)
    if not leaves:  # says it is a multipart and has no parts: all of it is text
        flags.append("no_parts")
        leaves.append(Leaf("text/plain", {}, header.fields, header.body, len(data), ""))
    return Tree(header, leaves, tuple(dict.fromkeys((*header.flags, *flags))))


# What looks like a delimiter of RFC 2046: above the header of a part.
_MARK = re.compile(rb"(?im)^(--[!-~](?:[ -~]{0,68}[!-~])?)[ \t]{0,99}\r?\ncontent-[a-z-]+[ \t]*:")
MAX_LOOK = 262_144  # octets in which it is looked for
_AS_IT_IS = frozenset(["", "7bit", "8bit", "binary"])


def guessed(data: bytes, leaf: Leaf) -> tuple[list[Leaf], int]:
    """The parts of such a multipart by the first line that looks like a delimiter, and where they
    begin; none if there is no such line, or `leaf` is something else."""
    kind, _ = parameters(leaf.fields.get(b"content-type", [b""])[0])
    if not kind.startswith("multipart/") or transfer_encoding(leaf) not in _AS_IT_IS:
        return [], leaf.end
    found = _MARK.search(data, leaf.start, min(leaf.end, leaf.start + MAX_LOOK))
    if found is None:
        return [], leaf.end
    stack = _Stack()
    stack.push(found[1], kind)
    before = leaf.start - 1  # of a line feed: what has a type has a header
    own, _ = _parts(data[before : leaf.end], 1, stack)
    parts = [one._replace(start=before + one.start, end=before + one.end) for one in own]
    # the first of them may have no header
    begin = data.find(b"\n" + found[1], before, found.start())
    return parts, begin + 1 if begin >= 0 else found.start()


def _parts(data: bytes, body: int, stack: _Stack) -> tuple[list[Leaf], list[str]]:
    leaves: list[Leaf] = []
    flags: list[str] = []
    # open, ends at the next delimiter: a leaf but for that; None in preamble and epilogue
    leaf: tuple[str, Mapping[str, str], Block, str, int] | None = None
    position = max(body - 1, 0)  # the line feed before the body's first line
    lines = 0
    while (line := data.find(b"\n--", position)) >= 0:
        lines += 1
        level, closing, after = stack.match(data, line + 1)
        if level < 0:
            position = line + 1
            if lines < MAX_LINES:
                continue
        if leaf is not None and level >= 0:
            leaves.append(_leaf(leaf, line - 1 if data[line - 1] == 13 else line))
            leaf = None
        if lines >= MAX_LINES or len(leaves) >= MAX_PARTS:
            flags.append("part_limit")
            break
        position = after - 1
        stack.cut(level if closing else level + 1)
        if closing:
            if not stack.types:
                break
            continue
        # nothing between two delimiters: no header to look for
        empty = data.startswith(b"--", after) and stack.match(data, after)[0] >= 0
        block = split(data, after, after) if empty else _header(data, after)
        inner = _delimiter_inside(data, after, block.body, stack)
        if inner >= 0:  # no blank line: the header block ran into the next delimiter
            block = split(data, after, inner)
        if "header_limit" in block.flags:
            flags.append("header_limit")
        around = stack.types[-1]
        kind, params = _type(block.fields, around)
        boundary = _boundary(kind, params)
        position = max(position, block.body - 1)
        if boundary and len(stack.types) < MAX_DEPTH:
            stack.push(boundary, kind)
            continue
        if boundary:
            flags.append("depth_limit")
        elif kind.startswith("multipart/"):  # no boundary: as above
            flags.append("no_parts")
            kind, params = "text/plain", {}
        alternative = stack.alternatives[-1]
        leaf = (kind, params, block, around, alternative)
    if leaf is not None:
        leaves.append(_leaf(leaf, len(data)))
    return leaves, flags


def _header(data: bytes, start: int) -> Block:
    """The header of a part, as split() has it."""
    blank = blank_line(data, start, start + SHORT)
    if blank is None:
        return split(data, start)
    fields, body, flags = _header_again(data[start : blank[1]])
    return Block(fields, start + body, flags)


# The same few stand in nearly all mail. Who gets their fields changes none of them.
_header_again = lru_cache(maxsize=512)(split)


def _leaf(begun: tuple[str, Mapping[str, str], Block, str, int], end: int) -> Leaf:
    kind, params, block, around, alternative = begun
    start = block.body
    return Leaf(kind, params, block.fields, start, max(start, end), around, alternative)


def _delimiter_inside(data: bytes, start: int, end: int, stack: _Stack) -> int:
    """Where the first delimiter line in data[start:end] begins; -1 if there is none."""
    position = start - 1
    while (line := data.find(b"\n--", position, end)) >= 0:
        if stack.match(data, line + 1)[0] >= 0:
            return line + 1
        position = line + 1
    return -1


def _type(fields: dict[bytes, list[bytes]], around: str) -> tuple[str, Mapping[str, str]]:
    raw = fields.get(b"content-type")
    if raw is None:
        # RFC 2046 section 5.1.5
        return ("message/rfc822" if around == "multipart/digest" else "text/plain"), {}
    kind, params = parameters(raw[0])
    if kind.count("/") != 1 or kind.startswith("/") or kind.endswith("/"):
        kind = "text/plain"  # RFC 2045 section 5.2
    return kind, params


def _boundary(kind: str, params: Mapping[str, str]) -> bytes:
    if not kind.startswith("multipart/"):
        return b""
    boundary = params.get("boundary", "").rstrip()
    if not boundary or len(boundary) > MAX_BOUNDARY:
        return b""
    return b"--" + boundary.encode("utf-8", "surrogateescape")
