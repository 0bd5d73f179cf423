"""Message content on the wire: end of data, transparency, bare CR and LF (core).

`DotDecoder` turns the octets after DATA into the message, `ChunkDecoder` does the same for the
octets of BDAT, `stuff` turns a message back into what DATA carries onward.

Promises
- Only CRLF.CRLF ends DATA (RFC 5321 sections 2.3.8 and 4.1.1.4), wherever the packets are cut.
- What comes out never holds a bare CR or a bare LF, so nothing that we send onward can be read
  as two messages by a laxer server behind us (design page threats.md, "Bare CR and LF").
- A message without bare CR and LF comes out octet for octet.
- Cost is linear in the input, and nothing is held back but the last four octets.

A message that must be refused is still read to its end: stopping early would leave its rest to
be read as commands, which is the very attack.
"""

from __future__ import annotations

import re
from typing import Final

END: Final = b"\r\n.\r\n"
# Longest first: the tail of a chunk that may turn out to be the start of the end.
_HELD: Final = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
# A dot alone on its line with a bare LF on at least one side. (In BDAT a dot alone on a proper
# line is content like any other.)
_LONE_DOT: Final = re.compile(rb"(?<!\r)\n\.\r?\n|\n\.\n")

#: Oddities that are recorded with the capture.
BARE_LF: Final = "bare_lf"
BARE_CR: Final = "bare_cr"
LONE_DOT: Final = "bare_lf_dot"
NO_FINAL_CRLF: Final = "no_final_crlf"


class _LineEnds:
    """What both decoders share: finds bare CR and LF, mends bare LF where that is safe."""

    __slots__ = ("_seen", "_tail", "refuse_bare_lf", "size")

    def __init__(self, refuse_bare_lf: bool = False) -> None:
        self.refuse_bare_lf = refuse_bare_lf
        #: Octets of message given out so far.
        self.size = 0
        self._seen: set[str] = set()
        self._tail = b"\r\n"

    @property
    def flags(self) -> list[str]:
        """Oddities seen so far, sorted: what was seen must not depend on packet cuts."""
        return sorted(self._seen)

    @property
    def refused(self) -> str | None:
        """The oddity for which the message is to be refused, or None."""
        if not self._seen:
            return None
        for flag in (BARE_CR, LONE_DOT):
            if flag in self._seen:
                return flag
        return BARE_LF if self.refuse_bare_lf and BARE_LF in self._seen else None

    def _examine(self, raw: bytes) -> bool:
        """Look at octets as they came, before transparency; true if a bare LF is in them."""
        # What is left without the pairs; three times as fast as counting each kind.
        single = raw.replace(b"\r\n", b"")
        bare_lf = b"\n" in single
        if b"\r" in single:
            self._seen.add(BARE_CR)
        if bare_lf:
            self._seen.add(BARE_LF)
        if BARE_LF in self._seen and _LONE_DOT.search(self._tail + raw):
            # Some server would end the message here: there is no reading of it that is safe.
            self._seen.add(LONE_DOT)
        self._tail = raw[-3:] if len(raw) >= 3 else (self._tail + raw)[-3:]
        return bare_lf


class DotDecoder(_LineEnds):
    """Reads what follows DATA. `feed` until `ended`; the octets after the end are `rest`."""

    __slots__ = ("_carry", "_skip", "ended", "plain", "rest")

    def __init__(self, refuse_bare_lf: bool = False) -> None:
        super().__init__(refuse_bare_lf)
        # The CRLF of the DATA command itself makes ".CRLF" at once an empty message.
        self._carry = b"\r\n"
        self._skip = 2
        self.ended = False
        self.rest = b""
        #: No line of the message so far begins with a dot, so there is nothing to stuff either.
        self.plain = True

    def feed(self, data: bytes) -> bytes:
        """Take octets from the wire, give the octets of the message that are now certain."""
        buffer = self._carry + data
        # One search finds both that there is no end and that there is no dot to take away.
        dot = buffer.find(b"\r\n.")
        end = buffer.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            self.ended = True
            self.rest = buffer[end + 5 :]
            raw = buffer[: end + 2]
            self._carry = b""
        else:
            held = 0
            for tail in _HELD:
                if buffer.endswith(tail):
                    held = len(tail)
                    break
            raw = buffer[: len(buffer) - held]
            self._carry = buffer[len(buffer) - held :]
        if not raw:
            return b""
        bare_lf = self._examine(raw)
        # RFC 5321 section 4.5.2: the first dot of a line goes, and only CRLF makes a line.
        dots = 0 <= dot < len(raw) - 2
        content = raw.replace(b"\r\n.", b"\r\n") if dots else raw
        if dots or bare_lf:
            self.plain = False
        if self._skip:
            content = content[self._skip :]
            self._skip = 0
        if bare_lf:
            content = _BARE_LF.sub(b"\r\n", content)
        self.size += len(content)
        return content


class ChunkDecoder(_LineEnds):
    """Reads the octets of BDAT chunks (RFC 3030), which carry no dots of transparency."""

    __slots__ = ("_carry",)
    #: A chunk's lines may begin with a dot; nobody has looked.
    plain = False

    def __init__(self, refuse_bare_lf: bool = False) -> None:
        super().__init__(refuse_bare_lf)
        self._carry = b""

    def feed(self, data: bytes, last: bool = False) -> bytes:
        """Take octets of a chunk; with `last` the message ends here.

        A message that does not end in CRLF gets one: onward it goes by DATA, where the last line
        must be a line. The oddity is flagged (docs/decisions/0003).
        """
        raw = self._carry + data
        self._carry = b""
        if raw.endswith(b"\r") and not last:
            raw, self._carry = raw[:-1], b"\r"
        bare_lf = self._examine(raw) if raw else False
        content = _BARE_LF.sub(b"\r\n", raw) if bare_lf else raw
        if last and self._tail[-1:] != b"\n":
            self._seen.add(NO_FINAL_CRLF)
            content += b"\r\n"
        self.size += len(content)
        return content


class Stuffer:
    """Adds the dots of transparency to a message that comes in pieces (RFC 5321 section 4.5.2).

    A piece may be cut anywhere, between CR and LF as well.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """The octets to send for this piece."""
        if not piece:
            return piece
        tail = self._tail
        self._tail = piece[-2:] if len(piece) >= 2 else (tail + piece)[-2:]
        lead = b""
        if tail == b"\r\n" and piece.startswith(b"."):
            lead = b"."
        elif tail[-1:] == b"\r" and piece.startswith(b"\n."):
            # The pair was cut: `replace` below cannot see it.
            return b"\n.." + piece[2:].replace(b"\r\n.", b"\r\n..")
        if b"\r\n." in piece:
            return lead + piece.replace(b"\r\n.", b"\r\n..")
        return lead + piece if lead else piece

    def pass_by(self, piece: bytes) -> None:
        """A piece that is known to have no line with a dot at its beginning goes out as it is."""
        if piece:
            self._tail = piece[-2:] if len(piece) >= 2 else (self._tail + piece)[-2:]

    def end(self) -> bytes:
        """The end of data that fits the last piece: every message's last line ends."""
        return b".\r\n" if self._tail == b"\r\n" else END
