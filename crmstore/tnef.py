"""What Outlook hides in winmail.dat: the body and the files of a TNEF stream. A core.

Why our own: the library there is copies the rest of the stream at every attribute, so a stream of
many small ones takes quadratic time, and one odd attribute costs it all of the message.
Promises: never raises; linear time; at most MAX_ATTRIBUTES, MAX_PROPERTIES and MAX_FILES; what
was understood before the damage is kept, and `damaged` says that there is some.
Cites: MS-OXTNEF section 2.1; MS-OXRTFCP section 3.1; docs/decisions/0093.
"""

from dataclasses import dataclass, field
from struct import Struct

from crmstore import htmltext, rtf
from crmstore.charsets import decode

__all__ = ["File", "Winmail", "is_tnef", "read"]

SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_ATTRIBUTES = 5_000
MAX_PROPERTIES = 5_000  # of the whole stream
MAX_FILES = 200
MAX_RTF = 300_000  # octets, decompressed

_ATTRIBUTE = Struct("<BII")  # level, id, length
_U16, _U32 = Struct("<H"), Struct("<I")

# Attributes: type in the upper half, name in the lower (MS-OXTNEF 2.1.3).
_BODY, _MAPI = 0x0002800C, 0x00069003
_RENDERING, _TITLE, _DATA, _ATTACHMENT = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_OEM_CODEPAGE = 0x00069007

# Properties (MS-OXPROPS) and their types (MS-OXCDATA 2.11.1).
_P_BODY, _P_RTF, _P_HTML, _P_CODEPAGE = 0x1000, 0x1009, 0x1013, 0x3FDE
_P_DATA, _P_NAME, _P_LONG_NAME, _P_TYPE, _P_SHOWN = 0x3701, 0x3704, 0x3707, 0x370E, 0x3001
_SIZES = {
    0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8,
    0x48: 16,
}  # fmt: skip
_OBJECT, _STRING, _UNICODE, _BINARY = 0x0D, 0x1E, 0x1F, 0x102
_VARIABLE = frozenset([_OBJECT, _STRING, _UNICODE, _BINARY])


@dataclass(slots=True)
class File:
    """An attachment inside; `type` as told, or ""."""

    name: str = ""
    type: str = ""
    data: bytes = b""


@dataclass(slots=True)
class Winmail:
    """`text` is the body, whatever form it had."""

    text: str = ""
    files: list[File] = field(default_factory=list)
    damaged: bool = False


class _Damaged(Exception):
    """The stream does not go on as it says."""


def is_tnef(data: bytes) -> bool:
    return data.startswith(SIGNATURE)


def read(data: bytes) -> Winmail:
    """A whole stream."""
    reading = _Reading(data)
    try:
        reading.run()
    except _Damaged:
        reading.found.damaged = True
    reading.finish()
    return reading.found


class _Reading:
    def __init__(self, data: bytes) -> None:
        self.found = Winmail()
        self._data = data
        self._left = MAX_PROPERTIES
        self._codepage = "cp1252"
        self._html = b""
        self._plain: bytes | str = b""
        self._rtf = b""
        self._file: File | None = None

    def run(self) -> None:
        data, place = self._data, 6
        if not is_tnef(data):
            raise _Damaged
        for _ in range(MAX_ATTRIBUTES):
            if place + _ATTRIBUTE.size > len(data):
                if len(data) - place > 0:
                    raise _Damaged
                return
            level, name, length = _ATTRIBUTE.unpack_from(data, place)
            start = place + _ATTRIBUTE.size
            if level not in (1, 2) or start + length > len(data):
                raise _Damaged
            self._attribute(name, start, start + length)
            place = start + length + 2  # the checksum proves nothing that we need
        raise _Damaged

    def _attribute(self, name: int, start: int, end: int) -> None:
        data = self._data
        if name == _OEM_CODEPAGE and end - start >= 4:
            self._codepage = _charset(_U32.unpack_from(data, start)[0])
        elif name == _BODY:
            self._plain = self._plain or data[start:end]
        elif name == _RENDERING:
            if len(self.found.files) >= MAX_FILES:
                raise _Damaged
            self._file = File()
            self.found.files.append(self._file)
        elif name == _MAPI:
            self._properties(start, end, None)
        elif self._file is not None and name == _TITLE:
            self._file.name = self._file.name or self._text(data[start:end])
        elif self._file is not None and name == _DATA:
            self._file.data = data[start:end]
        elif self._file is not None and name == _ATTACHMENT:
            self._properties(start, end, self._file)

    # Properties (MS-OXTNEF 2.1.3.4)

    def _properties(self, place: int, end: int, file: File | None) -> None:
        count, place = self._number(place, end)
        for _ in range(count):
            self._left -= 1
            if self._left < 0:
                raise _Damaged
            head, place = self._number(place, end)
            kind, name = head & 0xFFFF, head >> 16
            if name >= 0x8000:
                place = self._name(place, end)
            several, kind = kind & 0x1000, kind & 0x0FFF
            values = 1
            if several or kind in _VARIABLE:
                values, place = self._number(place, end)
            if kind in _VARIABLE:
                for number in range(values):
                    length, place = self._number(place, end)
                    if place + length > end:
                        raise _Damaged
                    if number == 0:
                        self._property(name, kind, place, place + length, file)
                    place += length + -length % 4
                    self._left -= 1
                    if self._left < 0:
                        raise _Damaged
            elif kind in _SIZES:
                if name == _P_CODEPAGE and place + 4 <= end:
                    self._codepage = _charset(_U32.unpack_from(self._data, place)[0])
                place += _SIZES[kind] * values
            else:
                raise _Damaged
            if place > end + 3:
                raise _Damaged

    def _name(self, place: int, end: int) -> int:
        """Behind the name of a named property."""
        kind, place = self._number(place + 16, end)
        length, place = self._number(place, end)
        return place if kind == 0 else place + length + -length % 4

    def _number(self, place: int, end: int) -> tuple[int, int]:
        if place + 4 > end:
            raise _Damaged
        return _U32.unpack_from(self._data, place)[0], place + 4

    def _property(self, name: int, kind: int, start: int, end: int, file: File | None) -> None:
        data = self._data
        if file is None:
            if name == _P_HTML:
                self._html = data[start:end]
            elif name == _P_RTF:
                self._rtf = data[start:end]
            elif name == _P_BODY:
                self._plain = self._string(kind, start, end)
        elif name == _P_LONG_NAME or (name in (_P_NAME, _P_SHOWN) and not file.name):
            file.name = self._string(kind, start, end) or file.name
        elif name == _P_TYPE:
            file.type = self._string(kind, start, end).lower()[:100]
        elif name == _P_DATA:
            # an object begins with the id of its interface; the data of files stands by itself
            file.data = data[start + 16 : end] if kind == _OBJECT else data[start:end]

    def _string(self, kind: int, start: int, end: int) -> str:
        if kind == _UNICODE:
            return self._data[start:end].decode("utf-16-le", "replace").rstrip("\0")
        return self._text(self._data[start:end])

    def _text(self, raw: bytes) -> str:
        return decode(raw.rstrip(b"\0"), self._codepage, guess=True)

    def finish(self) -> None:
        """The body, of the best form that is there."""
        if self._plain:
            plain = self._plain
            self.found.text = plain if isinstance(plain, str) else self._text(plain)
        elif self._html:
            self.found.text = htmltext.visible(self._text(self._html))
        elif self._rtf:
            self.found.text = rtf.text(decompressed(self._rtf))


def _charset(codepage: int) -> str:
    known = {65001: "utf-8", 20127: "ascii", 51932: "euc-jp", 28591: "cp1252", 51949: "euc-kr"}
    if 50220 <= codepage <= 50222:
        return "iso-2022-jp"
    return known.get(codepage, f"cp{codepage}")


# RTF as Outlook compresses it (MS-OXRTFCP 2.1 and 3.1)

_PRIMED = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    b"\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0"
    b"\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def decompressed(raw: bytes) -> bytes:
    """The RTF, or as much of it as is there, at most MAX_RTF octets."""
    if len(raw) < 16:
        return b""
    if raw[8:12] == b"MELA":
        return raw[16 : 16 + MAX_RTF]
    if raw[8:12] != b"LZFu":
        return b""
    ring = bytearray(4096)
    ring[: len(_PRIMED)] = _PRIMED
    write = len(_PRIMED)
    out = bytearray()
    place, end = 16, len(raw)
    while place < end and len(out) < MAX_RTF:
        control = raw[place]
        place += 1
        for bit in range(8):
            if not control >> bit & 1:
                if place >= end:
                    return bytes(out)
                out.append(raw[place])
                ring[write] = raw[place]
                write = (write + 1) & 0xFFF
                place += 1
                continue
            if place + 2 > end:
                return bytes(out)
            pointer = raw[place] << 8 | raw[place + 1]
            place += 2
            source, length = pointer >> 4, (pointer & 0xF) + 2
            if source == write:  # the end
                return bytes(out)
            for _ in range(length):
                octet = ring[source]
                out.append(octet)
                ring[write] = octet
                write = (write + 1) & 0xFFF
                source = (source + 1) & 0xFFF
    return bytes(out[:MAX_RTF])
