"""Both directions of an IMAP connection, split into lines and literals; understanding comes later
(core).

    end = stream.feed(buffer, begin, end)      # what lies behind is half a line: bring it again

A malformed line must never shift a boundary, so nothing is decided here but where lines and
literals end (RFC 3501 section 4.3, RFC 7888, RFC 3516 for `~{n}`):

* A line ends with LF; the CR before it may be missing, as Dovecot has it.
* `{n}` announces a literal only as the last thing of a line, outside of quotes, and from the server
  never in the text of a status response or a continuation (`* OK text {5}` is a text).
* `{n+}` of a client is a literal at once. `{n}` is one only after the server's `+` (`go_on`); until
  then the client's octets are held. After a tagged NO or BAD (`called_off`) what comes next is a
  command.
* The octets of a literal are counted, never looked at.

Bounded: a line of more than `longest` octets is passed on as it comes, with only its first
HEAD octets kept for `long_line`, and its last TAIL to see whether it announces a literal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.imap.grammar import PLAIN_ANSWER
from proxy.imap.message import Tee

HEAD: Final = 4096
TAIL: Final = 32
LONGEST: Final = 65_536

_ANNOUNCED = re.compile(rb"~?\{([0-9]{1,19})(\+?)\}\Z")
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STATUS: Final = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))
_FETCH = re.compile(rb"\* [0-9]+ (?:UID)?FETCH\b", re.IGNORECASE)
# The head of a body, and nothing else; whole quotes may be in it.
_BODY = re.compile(rb'\* [0-9]{1,10} FETCH \((?:[^\r\n{"]++|"[^\r\n{"\\]*+")*\{([0-9]{1,12})\}\r\n')
_STAR, _PLUS, _BRACE, _CR = b"*+}\r"

Line = Callable[[bytes, int, int, int, bool], None]


def announced(text: bytes) -> tuple[int, bool] | None:
    """The literal that the end of a line announces: its size, and whether it is a `{n+}`."""
    if text[-1:] != b"}":
        return None
    found = _ANNOUNCED.search(text, max(0, len(text) - TAIL))
    if found is None or in_quotes(text):
        return None
    return int(found[1]), found[2] != b""


def in_quotes(text: bytes) -> bool:
    """Does the line end inside a quoted string? Then nothing in there means anything."""
    if b'"' not in text:
        return False
    return _ESCAPED.sub(b"", text).count(b'"') % 2 == 1


class Fragments:
    """What both directions share. Subclasses are told by `long_begins`, `long_line` and `dropped`;
    `tee`, if set, gets the octets of the literal at hand."""

    __slots__ = ("_tail", "continued", "drop", "head", "hold", "line", "literal", "longest", "tee")

    def __init__(self, line: Line, longest: int = LONGEST) -> None:
        self.line = line
        """Is told of each line without its end, where it lies in the buffer with its end (from,
        to), the size of the literal that follows (-1: none), and whether a command or response
        begins here."""
        self.longest = longest
        self.literal = 0
        """Octets of the literal at hand that are still to come."""
        self.continued = False
        """The next line goes on with the command or response that a literal interrupted."""
        self.hold = False
        """Nothing more is taken until somebody says so."""
        self.tee: Tee | None = None
        self.drop = False
        """Literals of a command that is refused here are not passed on."""
        self.head: bytes | None = None
        """The beginning of the line at hand, if it is longer than is kept."""
        self._tail = b""

    @property
    def between(self) -> bool:
        """At a place where a command or response may begin."""
        return not (self.literal or self.continued or self.head is not None)

    def inside(self, end: int) -> bool:
        """Will these octets be a literal's, all of them, and pass?"""
        return self.literal >= end and not self.drop

    def feed(self, buffer: bytearray, pos: int, end: int) -> int:
        """Take the octets from `pos` to `end`; where the part begins that was not taken."""
        find = buffer.find
        while pos < end:
            left = self.literal
            if left:
                upto = min(pos + left, end)
                if self.tee is not None:
                    self.tee(memoryview(buffer)[pos:upto])
                if self.drop:
                    self.dropped(pos, upto)
                self.literal = left - (upto - pos)
                pos = upto
                continue
            if self.hold:
                return pos
            stop = find(b"\n", pos, end) + 1
            if not stop:
                if self.head is None and end - pos <= self.longest:
                    return pos
                self._part(bytes(memoryview(buffer)[pos:end]))
                return end
            if self.head is not None:
                self._part(bytes(memoryview(buffer)[pos:stop]))
                self._long_end()
            else:
                last = stop - 2 if stop - 2 >= pos and buffer[stop - 2] == _CR else stop - 1
                self._line(bytes(memoryview(buffer)[pos:last]), pos, stop)
            pos = stop
        return pos

    def over(self) -> None:
        """Nothing more comes: let go of who listens, so that all of a session is freed when it ends
        and not when the collector comes by."""
        self.line, self.tee = _nobody, None

    def _part(self, part: bytes) -> None:
        """A part of a line that is longer than is kept."""
        if self.head is None:
            self.head = part[:HEAD]
            self.long_begins(self.head, not self.continued)
        self._tail = (self._tail + part[-TAIL:])[-TAIL:]

    def _long_end(self) -> None:
        head, tail = self.head or b"", self._tail.rstrip(b"\r\n")
        self.head, self._tail = None, b""
        first, self.continued = not self.continued, False
        # Whether the end is inside quotes nobody has counted: a quoted string that ends in `{5}`
        # and has no closing quote is no IMAP in any case.
        found = announced(tail.replace(b'"', b" ")) if self._may_announce(head, first) else None
        self.long_line(head, -1 if found is None else found[0], first)
        if found is not None:
            self._announce(*found)

    def long_begins(self, head: bytes, first: bool) -> None:
        """A line is longer than is kept; it is passed on as it comes."""
        raise NotImplementedError

    def long_line(self, head: bytes, size: int, first: bool) -> None:
        """That line has ended."""
        raise NotImplementedError

    def dropped(self, start: int, stop: int) -> None:
        """Octets of a literal that are not to be passed on (`drop`)."""
        raise NotImplementedError

    def _line(self, text: bytes, start: int, stop: int) -> None:
        raise NotImplementedError

    def _may_announce(self, head: bytes, first: bool) -> bool:
        raise NotImplementedError

    def _announce(self, size: int, at_once: bool) -> None:
        raise NotImplementedError

    def _begin(self, size: int) -> None:
        """From here on a literal."""
        self.continued = True
        self.literal = size


def _nobody(text: bytes, start: int, stop: int, size: int, first: bool) -> None:
    """Who listens when a stream is over."""


class ServerStream(Fragments):
    """What the server says."""

    __slots__ = ("_in_fetch",)

    def __init__(self, line: Line, longest: int = LONGEST) -> None:
        super().__init__(line, longest)
        self._in_fetch = False

    def only_bodies(self, buffer: bytearray, end: int) -> bool:
        """Are these octets bodies that FETCH brings, or a part of one, and perhaps the tagged
        answer behind them? No line of them says anything else then, and none is half."""
        body = self.literal
        if not body:
            if self.continued or self.head is not None:
                return False
            body = self._body(buffer, 0, end)
        while 0 < body < end:
            stop = buffer.find(b"\n", body, end) + 1
            if buffer[stop - 3 : stop] != b")\r\n":
                return False
            if stop == end:
                return True
            body = self._body(buffer, stop, end)
            if not body:
                return PLAIN_ANSWER.fullmatch(buffer, stop, end) is not None
        return body > 0

    def _body(self, buffer: bytearray, pos: int, end: int) -> int:
        """Where a body ends whose FETCH begins here; 0: no such thing."""
        found = _BODY.match(buffer, pos, end)
        return 0 if found is None else found.end() + int(found[1])

    def _line(self, text: bytes, start: int, stop: int) -> None:
        first = not self.continued
        size = -1
        if text[-1:] == b"}" and self._may_announce(text, first):
            found = announced(text)
            if found is not None:
                size = found[0]
        if not first and not text and self._in_fetch:
            # Some servers send a CRLF too many behind a literal; a FETCH cannot end like this.
            return
        self.continued = False
        if first:
            self._in_fetch = size >= 0 and _FETCH.match(text) is not None
        self.line(text, start, stop, size, first)
        if size >= 0:
            self._begin(size)

    def _may_announce(self, head: bytes, first: bool) -> bool:
        if not first:
            return True
        if head[:2] != b"* ":
            return False
        return head[2:12].split(b" ", 1)[0].upper() not in _STATUS

    def _announce(self, size: int, at_once: bool) -> None:
        self._begin(size)


class ClientStream(Fragments):
    """What the client says."""

    __slots__ = ("at_once", "denied", "waiting")

    def __init__(self, line: Line, longest: int = LONGEST) -> None:
        super().__init__(line, longest)
        self.waiting: int | None = None
        """Size of the literal for which the server's `+` has not come yet."""
        self.at_once = False
        """The literal that the line announces comes without a `+`."""
        self.denied = False
        """Set in `line`: no `+` will be said, so no literal comes, and the command is over."""

    def _line(self, text: bytes, start: int, stop: int) -> None:
        first, self.continued = not self.continued, False
        found = announced(text) if text[-1:] == b"}" else None
        if found is None:
            self.line(text, start, stop, -1, first)
            return
        self.at_once = found[1]
        self.line(text, start, stop, found[0], first)
        self._announce(*found)

    def _may_announce(self, head: bytes, first: bool) -> bool:
        return True

    def _announce(self, size: int, at_once: bool) -> None:
        if at_once:
            self._begin(size)
        elif self.denied:
            self.denied = False
        else:
            self.waiting = size
            self.hold = True

    def go_on(self) -> None:
        """The server's `+`: what follows is the literal."""
        if self.waiting is not None:
            size, self.waiting = self.waiting, None
            self.hold = False
            self._begin(size)

    def called_off(self) -> None:
        """The server's tagged NO or BAD instead of the `+`: what follows is a command."""
        if self.waiting is not None:
            self.waiting = None
            self.hold = False
            self.tee = None
