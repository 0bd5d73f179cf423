"""SMTP replies: what a next hop said, kept to the letter, and what we say ourselves (core).

A core: bytes in, replies out; no socket, no clock. One parser serves the next hop (SMTP and
LMTP); `Reply.of` makes the replies that are ours.

Promises
- A reply is the same however the bytes were cut on their way (RFC 5321 section 4.2).
- The words of the hop are kept: 8-bit octets too (RFC 6531 section 3.7.4 lets replies be UTF-8).
  Only control characters become "?": a bare CR, a NUL or an ESC that a hop sends must never reach
  the client's wire or a log as such. A line ends at CRLF, or at a bare LF, which a few hops send.
- What does not look like a reply is a `ProtocolError`, and after one the parser is closed for
  good: whoever lost count of the replies must not guess which answer belongs to which command.
  `ProtocolError.replies` holds the complete replies that came before it in the same feed.
- Bounded: a line has at most 4,096 octets (512 by RFC 5321 section 4.5.3.1.5), a reply 100 lines.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_LINE: Final = 4096
MAX_LINES: Final = 100

# Everything below space but TAB, and DEL, becomes "?".
_CLEAN: Final = bytes(63 if (c < 32 and c != 9) or c == 127 else c for c in range(256))
_ENHANCED: Final = re.compile(rb"([245])\.(\d{1,3})\.(\d{1,3})(?:[ \t]|$)")

_SPACE, _DASH, _CR = 0x20, 0x2D, 0x0D


class ProtocolError(Exception):
    """The peer does not speak SMTP, or speaks without end."""

    def __init__(self, reason: str, replies: list[Reply] | None = None) -> None:
        super().__init__(reason)
        self.replies: list[Reply] = replies or []


class Reply:
    """A complete reply: the code, and the text of each line without code and line end."""

    __slots__ = ("_text", "_wire", "code", "lines")

    def __init__(self, code: int, lines: tuple[bytes, ...]) -> None:
        self.code = code
        self.lines = lines
        self._wire: bytes | None = None
        self._text: str | None = None

    @classmethod
    def of(cls, code: int, enhanced: str, *texts: str) -> Reply:
        """A reply of ours: the enhanced code (RFC 2034, may be "") stands on every line."""
        prefix = enhanced + " " if enhanced else ""
        lines = tuple((prefix + text).encode("utf-8", "replace") for text in texts or ("",))
        return cls(code, tuple(line.translate(_CLEAN) for line in lines))

    @property
    def positive(self) -> bool:
        """2xx: done."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """4xx: later, perhaps."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5xx: not like this."""
        return self.code >= 500

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code, if there is one that fits the code (RFC 2034 section 4)."""
        match = _ENHANCED.match(self.lines[0])
        if match is None or ord(match[1]) - 48 != self.code // 100:
            return None
        return (match[1] + b"." + match[2] + b"." + match[3]).decode("ascii")

    @property
    def text(self) -> str:
        """Code and words in one line, for logs, rows and people."""
        text = self._text
        if text is None:
            words = " / ".join([line.decode("utf-8", "backslashreplace") for line in self.lines])
            text = self._text = f"{self.code} {words}"
        return text

    def wire(self) -> bytes:
        """The reply as it goes to a client, CRLF at the end."""
        wire = self._wire
        if wire is None:
            code = b"%d" % self.code
            parts = [code + b"-" + line + b"\r\n" for line in self.lines[:-1]]
            parts.append(code + b" " + self.lines[-1] + b"\r\n")
            wire = self._wire = b"".join(parts)
        return wire

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reply):
            return NotImplemented
        return self.code == other.code and self.lines == other.lines

    def __hash__(self) -> int:
        return hash((self.code, self.lines))

    def __repr__(self) -> str:
        return f"Reply({self.text!r})"


@lru_cache(maxsize=256)
def _whole(data: bytes) -> Reply | None:
    """One short single-line reply and nothing else, as a next hop says the same all day."""
    end = len(data) - 2
    if end < 4 or data[3] != _SPACE or data.find(b"\r\n") != end:
        return None
    code = data[:3]
    if not (code.isdigit() and b"200" <= code < b"600" and data.find(b"\n") == end + 1):
        return None
    return Reply(int(code), (data[4:end].translate(_CLEAN),))


class ReplyParser:
    """Bytes from the hop in, complete replies out."""

    __slots__ = ("_code", "_error", "_lines", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._code = 0
        self._error: str | None = None

    @property
    def idle(self) -> bool:
        """No reply is half read."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes complete, in order; raises ProtocolError on garbage."""
        # The hot path: one single-line reply came in one read. Nothing is kept between reads then.
        if not self._rest and not self._lines and self._error is None:
            reply = _whole(data) if len(data) <= 128 else None
            if reply is not None:
                return [reply]
        replies: list[Reply] = []
        try:
            self._feed(data, replies)
        except ProtocolError as error:
            self._error = str(error)
            error.replies = replies
            raise
        return replies

    def _feed(self, data: bytes, replies: list[Reply]) -> None:
        if self._error is not None:
            raise ProtocolError(self._error)
        if self._rest:
            data = self._rest + data
            self._rest = b""
        start = 0
        while True:
            end = data.find(b"\n", start, start + MAX_LINE)
            if end < 0:
                break
            stop = end - 1 if end > start and data[end - 1] == _CR else end
            self._line(data[start:stop], replies)
            start = end + 1
        rest = data[start:]
        if len(rest) >= MAX_LINE:
            raise ProtocolError("a reply line is too long")
        # Garbage is told at once, not after the line end that may never come.
        head = rest[:3]
        if head and not (head.isdigit() and b"2" <= head[:1] <= b"5"):
            raise ProtocolError("not an SMTP reply")
        self._rest = rest

    def _line(self, line: bytes, replies: list[Reply]) -> None:
        digits = line[:3]
        mark = line[3] if len(line) > 3 else _SPACE
        if not (len(digits) == 3 and digits.isdigit() and b"200" <= digits < b"600"):
            raise ProtocolError("not an SMTP reply")
        if mark != _SPACE and mark != _DASH:
            raise ProtocolError("not an SMTP reply")
        code = int(digits)
        lines = self._lines
        if lines and code != self._code:
            # RFC 5321 section 4.2.1: the same code on every line. Which one counts is a guess.
            raise ProtocolError("a reply with two codes")
        lines.append(line[4:].translate(_CLEAN))
        if mark == _SPACE:
            replies.append(Reply(code, tuple(lines)))
            lines.clear()
        elif len(lines) >= MAX_LINES:
            raise ProtocolError("a reply with too many lines")
        else:
            self._code = code
