"""The journal's format: frames, hash chain, damage told from an unfinished end (core).

A segment is a row of frames; a frame is a fixed binary header, a JSON header and the raw body.
`JOURNAL.md` has the byte table and the reasons; this module is the only place that knows them.

Promises:
* A frame is accepted only if magic, segment key, CRC-32 and sequence number all fit. The key is
  8 random octets per segment that no sender can know, so a message whose body holds a forged
  frame is never mistaken for one, not even while the reader looks for a way past damage.
* `Decoder` never raises, whatever the bytes, and reads the same frames however they are cut.
* What was acknowledged is never called a torn tail: each frame says up to which frame the segment
  was already on the disk when it was made (`durable`), so a hole below that number is damage.

Limits: MAX_HEADER, MAX_BODY; the decoder holds at most one frame, or, once it met bytes that are
no frame, the rest of the segment.

A core: no socket, disk, clock or randomness. See architecture.md "Data path", JOURNAL.md.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

VERSION = 1
# Like PNG's: the first octet is no ASCII, CR LF and LF show a copy in text mode, SUB ends a `type`.
MAGIC = b"\x89MWJ\r\n\x1a\n"
# magic, crc32 of all that follows, JSON length, body length, segment key, durable seq, chain hash
FIXED = struct.Struct(">8sIII8sQ32s")
FIXED_SIZE = FIXED.size
_REST = struct.Struct(">II8sQ32s")  # the part of FIXED that the CRC covers
_CRC = struct.Struct(">I")
_CRC_FROM = 12  # magic and the CRC itself are outside
_KEY_FROM = 20

KEY_SIZE = 8
GENESIS = bytes(32)  # the "previous hash" of a journal's very first frame
MAX_HEADER = 4 << 20
MAX_BODY = 64 << 20

Kind = Literal["open", "message", "verdict", "close"]

_encode = json.JSONEncoder(
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,  # a circle ends as RecursionError
).encode


class JournalError(Exception):
    """The journal could not take this; nothing is promised, answer 451 4.3.0."""


class JournalFull(JournalError):
    """No room on the disk; later tries may work, answer 452 4.3.1."""


class JournalBroken(JournalError):
    """A sync failed: nobody knows what is on the disk. The process must end (answer 451)."""


class JournalLocked(JournalError):
    """Another process holds the folder."""


class Frame(NamedTuple):
    """One verified frame. Offsets are in its segment file."""

    header: dict[str, Any]
    header_bytes: bytes
    offset: int
    body_offset: int
    body_length: int
    end_offset: int
    hash: bytes
    seq: int
    durable: int
    """Every frame of the segment up to this seq was synced when this one was made."""
    linked: bool | None
    """Does the chain lead here from the frame before? None: the one before is not known."""

    @property
    def kind(self) -> str:
        return str(self.header.get("type", ""))

    @property
    def id(self) -> str:
        return str(self.header.get("id", ""))


class Damage(NamedTuple):
    """Bytes that should hold frames and do not. A seq is None where it cannot be known."""

    offset: int
    end_offset: int
    first_seq: int | None
    last_seq: int | None
    reason: str


def chain(previous: bytes, header_bytes: bytes) -> bytes:
    """sha256(previous hash + JSON header). The header names its body's sha256."""
    return hashlib.sha256(previous + header_bytes).digest()


class Framer:
    """Makes the frames of one segment: owns the sequence number and the hash of the chain."""

    __slots__ = ("durable", "hash", "key", "seq", "size")

    def __init__(self, key: bytes, seq: int, previous: bytes, durable: int) -> None:
        if len(key) != KEY_SIZE or len(previous) != len(GENESIS):
            raise ValueError("key or hash of the wrong length")
        self.key = key
        self.seq = seq
        """Of the last frame made."""
        self.hash = previous
        self.durable = durable
        """Every frame up to this one is synced; the owner of the file keeps it up to date."""
        self.size = 0
        """Of the last frame made, body included."""

    def frame(
        self, kind: Kind, header: dict[str, Any], body: Sequence[bytes | memoryview] = ()
    ) -> bytes:
        """All of the next frame but its body, which follows as it is.

        ValueError (or TypeError for what JSON does not know) leaves the chain where it was.
        """
        seq = self.seq + 1
        fields = {"v": VERSION, "type": kind, "seq": seq, **header}
        if len(fields) != len(header) + 3:
            raise ValueError("v, type and seq are set by the journal")
        # ASCII with \\u escapes: also lone surrogates, as of undecodable octets, come back as sent
        encoded = _encode(fields).encode("ascii")
        length = 0
        for chunk in body:
            length += len(chunk)
        if len(encoded) > MAX_HEADER or length > MAX_BODY:
            raise ValueError("frame too large")
        link = hashlib.sha256(self.hash + encoded).digest()
        rest = _REST.pack(len(encoded), length, self.key, self.durable, link) + encoded
        crc = zlib.crc32(rest)
        for chunk in body:
            crc = zlib.crc32(chunk, crc)
        self.seq = seq
        self.hash = link
        self.size = FIXED_SIZE + len(encoded) + length
        return MAGIC + _CRC.pack(crc) + rest

    def mark(self) -> tuple[int, bytes]:
        return self.seq, self.hash

    def back_to(self, mark: tuple[int, bytes]) -> None:
        """Forget the frames made since (they were not written)."""
        self.seq, self.hash = mark


class _Need:
    """The bytes end before the frame does."""


class _Bad:
    """These bytes are no frame, whatever may follow."""


_NEED = _Need()
_BAD = _Bad()


class Decoder:
    """Bytes of one segment in; frames and damage out.

    sealed: a later segment exists, so nobody writes here any more: bytes that are no frame are
    damage, and reading goes on at the next frame that fits. Otherwise such bytes are most likely
    a frame that is being written or was torn by a crash: reading stops in front of them, unless a
    later frame proves (by `durable`) that they had been on the disk.

    Feed until the end of the file, `eof=True` with the last bytes (they may be empty).
    """

    def __init__(
        self,
        offset: int = 0,
        *,
        key: bytes | None = None,
        seq: int | None = None,
        previous: bytes | None = None,
        sealed: bool = False,
    ) -> None:
        self.offset = offset
        """End of the last frame or damage given out: where to go on, where to cut."""
        self.key = key
        self.seq = seq
        """Of the last frame before here, if known."""
        self.hash = previous
        self.sealed = sealed
        self.state: Literal["more", "end", "partial"] = "more"
        """After eof: "end" (nothing or only zeros follow) or "partial" (half a frame follows)."""
        self.stranded = 0
        """Whole frames behind the partial one. Their batch was never acknowledged as a whole."""
        self._buffer = b""
        self._at = 0

    def feed(self, data: bytes, eof: bool = False) -> Iterator[Frame | Damage]:
        """What these bytes complete. Exhaust the iterator before the next feed."""
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        while True:
            got = self._read(self._at)
            if isinstance(got, Frame) and (self.seq is None or got.seq == self.seq + 1):
                yield self._accept(got)
            elif not eof:
                # bad bytes too wait for the end: only what follows them tells what they are
                return
            else:
                found = self._search()
                if found is None:
                    yield from self._finish()
                    return
                known = self.seq is not None
                first, last = (self.seq or 0) + 1, found.seq - 1
                yield Damage(
                    self.offset,
                    found.offset,
                    first if known else None,
                    last if known else None,
                    "unreadable bytes" if found.offset > self.offset else "frames missing",
                )
                self.hash = None  # of the frame before the next one: it is lost
                self._at += found.offset - self.offset
                self.offset = found.offset
                yield self._accept(found)

    def again(self) -> None:
        """Instead of going on behind a Damage just given out: feed from `offset` anew."""
        self._buffer, self._at = b"", 0
        self.stranded = 0
        self.state = "more"

    def _accept(self, frame: Frame) -> Frame:
        if self.key is None:
            self.key = self._buffer[self._at + _KEY_FROM : self._at + _KEY_FROM + KEY_SIZE]
        self._at += frame.end_offset - self.offset
        self.offset = frame.end_offset
        self.seq = frame.seq
        self.hash = frame.hash
        return frame

    def _read(self, at: int) -> Frame | _Need | _Bad:
        buffer = self._buffer
        if len(buffer) - at < FIXED_SIZE:
            return _NEED
        magic, crc, header_length, body_length, key, durable, link = FIXED.unpack_from(buffer, at)
        if magic != MAGIC or header_length > MAX_HEADER or body_length > MAX_BODY:
            return _BAD
        if self.key is not None and key != self.key:
            return _BAD
        body_at = at + FIXED_SIZE + header_length
        end = body_at + body_length
        if end > len(buffer):
            return _NEED
        if zlib.crc32(memoryview(buffer)[at + _CRC_FROM : end]) != crc:
            return _BAD
        header_bytes = buffer[at + FIXED_SIZE : body_at]
        try:
            header = _header(header_bytes)
        except (ValueError, RecursionError):
            return _BAD
        if not isinstance(header, dict):
            return _BAD
        seq = header.get("seq")
        if type(seq) is not int:
            return _BAD
        base = self.offset - self._at
        previous = self.hash
        if base + at == 0 and header.get("type") == "open":
            # the first frame of a segment names its predecessor itself
            named = _unhex(header.get("prev"))
            previous = named if previous is None or previous == named else b""
        return Frame(
            header,
            header_bytes,
            base + at,
            base + body_at,
            body_length,
            base + end,
            link,
            seq,
            durable,
            None if previous is None else chain(previous, header_bytes) == link,
        )

    def _search(self) -> Frame | None:
        """The next frame that may be believed after bytes that are none."""
        at = self._buffer.find(MAGIC, self._at)
        while at >= 0:
            got = self._read(at)
            step = 1
            if isinstance(got, Frame) and (self.seq is None or got.seq > self.seq):
                if self.sealed or self.seq is None or got.durable > self.seq:
                    return got._replace(linked=None)
                self.stranded += 1
                step = got.end_offset - got.offset
            at = self._buffer.find(MAGIC, at + step)
        return None

    def _finish(self) -> Iterator[Damage]:
        rest = len(self._buffer) - self._at
        # room that was made ahead of the writing is zeros; a frame never begins with one
        if self._buffer.count(0, self._at) == rest:
            self.state = "end"
        elif self.sealed:
            self.state = "end"
            begin = self.offset
            self.offset += rest
            self._at += rest
            first = None if self.seq is None else self.seq + 1
            yield Damage(begin, self.offset, first, None, "unreadable bytes at the end")
        else:
            self.state = "partial"


def _header(octets: bytes) -> object:
    """The JSON of a frame. Pydantic's reader takes half of the time, and is not asked about what
    it knows less of: lone surrogates, which json writes as they came."""
    try:
        return from_json(octets)
    except ValueError:
        return json.loads(str(octets, "utf-8"))


def _unhex(text: object) -> bytes | None:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else None
    except ValueError:
        return None
