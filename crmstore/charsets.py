"""Bytes of a mail to text, whatever charset was declared. A core: no disk, no clock, no socket.

Promises: never raises; linear time; the result holds no lone surrogate that was not in the bytes'
own encoding (clean() removes those too). Order, as in libraries.md "charsets": declared →
ISO-2022-JP by its escapes → strict UTF-8 → cp932 → EUC-JP (both if it is not Latin-1 by chance) →
(for bodies) a detector on the first bytes.

Japanese as it is really sent:
- Python's ISO-2022-JP knows neither the vendor rows (①㈱髙) nor half-width kana, so JIS is
  mapped to cp932 here, run by run.
- "shift_jis" means cp932, "euc-jp" has the vendor rows too.
- UTF-8 under another label is common; strictly valid UTF-8 with wide characters is never cp932
  or EUC-JP by chance.
Only charsets of the list below are asked of Python's codecs: some codecs are no charsets
(idna, punycode: quadratic; unicode_escape; base64).
"""

import codecs
import re

__all__ = ["clean", "decode", "decode_header", "decode_raw", "storable"]

_ALLOWED = frozenset(
    ["ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
    + ["utf-7", "cp932", "shift_jis_2004", "euc_jp", "euc_jis_2004", "iso2022_jp", "gb18030"]
    + ["big5", "big5hkscs", "cp950", "cp949", "johab", "iso2022_kr", "hz", "koi8-r", "koi8-u"]
    + [f"iso8859-{n}" for n in range(1, 17) if n != 12]
    + [f"cp{n}" for n in (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864)]
    + [f"cp{n}" for n in (865, 866, 869, 874, 1125)]
    + [f"cp125{n}" for n in range(9)]
    + ["mac-roman", "mac-cyrillic", "mac-greek", "mac-turkish", "mac-latin2", "mac-iceland"]
    + ["tis-620", "kz1048", "ptcp154", "hp-roman8"]
)
# What senders mean by a name; the keys have no "-" or "_".
_MEANT = {
    "usascii": "ascii",
    "iso646us": "ascii",
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "xsjis": "cp932",
    "mskanji": "cp932",
    "windows31j": "cp932",
    "cswindows31j": "cp932",
    "xeucjp": "euc_jp",
    "eucjpms": "euc_jp",
    "cp51932": "euc_jp",
    "cp50220": "iso2022_jp",
    "cp50221": "iso2022_jp",
    "cp50222": "iso2022_jp",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "xgbk": "gb18030",
    "cp936": "gb18030",
    "euckr": "cp949",
    "ksc56011987": "cp949",
    "ksc5601": "cp949",
    "xwindows949": "cp949",
    "windows874": "cp874",
    "iso88598i": "iso8859-8",
    "iso88598e": "iso8859-8",
    "xmacroman": "mac-roman",
    "macintosh": "mac-roman",
    "unicode11utf7": "utf-7",
    "utf8mb4": "utf-8",
}
_MULTIBYTE_CJK = frozenset(["cp932", "euc_jp", "gb18030", "big5", "big5hkscs", "cp950", "cp949"])
_NOT_ASCII_BASED = ("utf-16", "utf-32", "utf-7", "hz", "iso2022")
# Charsets that say something of a header that nobody labelled.
_EIGHT_BIT = {c for c in _ALLOWED if not c.startswith(_NOT_ASCII_BASED)} - {"ascii", "utf-8"}
_known: dict[str, str | None] = {}


def _codec(declared: str) -> str | None:
    """The codec that is meant by a declared name; None if it names no charset."""
    if declared in _known:
        return _known[declared]
    name = re.sub(r"[-_ .:]", "", declared.lower())[:40]
    found: str | None = _MEANT.get(name)
    if found is None and name.startswith("iso2022jp"):
        found = "iso2022_jp"
    if found is None:
        try:
            found = codecs.lookup(declared[:40].strip().partition(" ")[0]).name
        except (LookupError, ValueError, UnicodeError):
            found = None
        if found not in _ALLOWED:
            found = None
    if len(_known) < 500:
        _known[declared] = found
    return found


def decode(data: bytes, declared: str = "", *, guess: bool = False) -> str:
    """Text of `data`, which says it is in the charset `declared`. `guess`: as in decode_raw()."""
    codec = _codec(declared) if declared else None
    plain = data.isascii()
    plain_meant = codec is None or not codec.startswith(_NOT_ASCII_BASED)
    if plain and plain_meant and b"\x1b" not in data:
        return data.decode("ascii")
    # Seven bits with escapes are ISO-2022-JP, whatever is written on them
    if codec is None or codec == "ascii" or (plain and plain_meant):
        return decode_raw(data, guess=guess)
    if codec == "iso2022_jp":
        return _iso2022jp(data)
    if not plain and codec != "utf-8" and not codec.startswith(_NOT_ASCII_BASED):
        text = _utf8(data)
        if text is not None and (codec not in _MULTIBYTE_CJK or max(text) >= "\u0800"):
            return text
    text = _strict(data, codec)
    if text is not None:
        return text
    if codec == "euc_jp":
        return _euc(data)
    if codec == "utf-8" and _looks_cut(data):
        return data.decode("utf-8", "replace")
    if b"\x1b$" in data:
        return _iso2022jp(data)
    for other in ("utf-8", "cp932"):
        if codec != other and (text := _strict(data, other)) is not None:
            return text
    return data.decode(codec, "replace")


def decode_raw(data: bytes, *, guess: bool = False) -> str:
    """Text of bytes that declare nothing (a raw header, or a label that cannot be true).

    `guess`: ask a detector if nothing else fits. For the one body, not for headers: it costs
    milliseconds, there may be a thousand of them, and it misjudges short text anyway.
    """
    if b"\x1b$" in data or b"\x1b(" in data:
        return _iso2022jp(data)
    if data.isascii():
        return data.decode("ascii")
    for codec in ("utf-8", "cp932", "euc_jp", "euc_jis_2004"):  # the last has the vendor rows
        text = _utf8_to_its_end(data) if codec == "utf-8" else _strict(data, codec)
        if text is not None:
            if codec != "utf-8" and _latin(data):
                return data.decode("cp1252", "replace")
            if codec == "cp932" and _half_width(text):
                if euc := _strict(data, "euc_jp") or _strict(data, "euc_jis_2004"):
                    return euc
                if not _KANA_WORD.search(text):
                    return data.decode("cp1252", "replace")
            return text
    if _looks_cut(data):
        return data.decode("utf-8", "replace")
    return _detect(data) if guess else data.decode("cp1252", "replace")


def decode_header(data: bytes, charset: str) -> str:
    """Text of a raw header in a message whose body says that it is in `charset`: a program that
    does not encode its headers writes both in one. Where they cannot be that, decode_raw()."""
    codec = _codec(charset) if charset else None
    if codec in _EIGHT_BIT and b"\x1b" not in data and _utf8(data) is None:
        text = _strict(data, codec)
        if text is not None:
            return text
    return decode_raw(data)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, LookupError, OverflowError):
        return None


def _utf8(data: bytes) -> str | None:
    return _strict(data, "utf-8")


def _utf8_to_its_end(data: bytes) -> str | None:
    """UTF-8, also if a limit has cut its last character: what is left may be cp932 as well. Only
    with wide characters, for é alone at the end of a Latin-1 text looks like the half of one."""
    try:
        text, read = codecs.utf_8_decode(data, "strict", False)
    except UnicodeError:
        return None
    if read == len(data):
        return text
    return f"{text}\ufffd" if text and max(text) >= "\u0800" else None


def _looks_cut(data: bytes) -> bool:
    """UTF-8 but for a character cut in two, or for very little damage."""
    text = data.decode("utf-8", "replace")
    return text.count("\ufffd") * 20 <= sum(c > "\x7f" for c in text[:20_000]) or (
        _utf8(data[:-3]) is not None and not data[:-3].isascii()
    )


# Latin-1 or cp1252 that is cp932 or EUC-JP by chance: "Réunion" would be "R騏nion", and "it's" with
# the apostrophe of Windows "it痴". Each accented letter stands in a word of small letters, alone or
# with one more, and each 0x92 where an apostrophe does; one of those words at least has three
# letters of ASCII. In Japanese this were a text with no kana and no kanji but rare ones (0xE0 and
# more, in cp932 with an ASCII letter behind), each with Latin letters and no blank around it.
_NOT_ASCII = re.compile(rb"[\x81-\x9f\xa1-\xff]+")
_ACCENT = re.compile(
    rb"""(?<=[A-Za-z])[\xe0-\xfc][\xdf-\xfc]?(?=[a-z])
    | (?<![A-Za-z])[\xc0-\xfc](?=[a-z]{2})
    | (?<=[a-z])[\xc0-\xdf](?=[a-z])
    | (?<=[A-Za-z])\x92(?=(?:[st]|re|ve|ll)(?![A-Za-z\x80-\xff]))
    | (?<=\bI)\x92(?=[md](?![A-Za-z\x80-\xff]))
    | (?<=\b[CcDdJjLlMmNnSsTt])\x92(?=[a-z]{2})
    """,
    re.VERBOSE,
)
_WORD = re.compile(
    rb"""[A-Za-z]{2}[\xc0-\xfc]{1,2}[a-z]
    | [A-Za-z][\xc0-\xfc][a-z]{2}
    | [\xc0-\xfc][a-z]{3}
    | [A-Za-z]{2}\x92[a-z]
    | [A-Za-z]\x92[a-z]{2}
    """,
    re.VERBOSE,
)


def _latin(data: bytes) -> bool:
    return _WORD.search(data) is not None and all(
        _ACCENT.match(data, found.start()) for found in _NOT_ASCII.finditer(data)
    )


# What half-width kana are written for.
_KANA_WORD = re.compile("[\uff61-\uff9f]{2}")


def _half_width(text: str) -> bool:
    """EUC-JP read as cp932 gives half-width kana (two for each kanji), Latin-1 single ones and
    characters of nobody's own (U+E000 to where the emoji of carriers begin); people write few of
    them."""
    kana = sum("\uff61" <= c <= "\uff9f" or "\ue000" <= c < "\ue63e" for c in text)
    return kana * 2 > sum(c > "\x7f" for c in text)


def _detect(data: bytes) -> str:
    """The last resort, on the first bytes only: detectors are slow and misjudge short text."""
    from charset_normalizer import from_bytes

    best = from_bytes(data[:2048], steps=3, chunk_size=256).best()
    codec = _codec(best.encoding) if best else None
    return data.decode(codec or "cp1252", "replace")


# JIS X 0208 with the vendor rows, by cp932.

_ESCAPE = re.compile(rb"\x1b(\([A-Z]|\$\([A-Z]|\$[@AB]|&@)|([\x0e\x0f\r\n])")
# Escapes that Python's codec does not know, and a line end in two-byte mode.
_BEYOND_1468 = re.compile(rb"\x1b(?:(?!\(B|\$[@B])|\$[@B][^\x1b\r\n]*+[\r\n])")
_HIGH = bytes(i | 0x80 if 0x21 <= i <= 0x7E else i for i in range(256))
# Where Python's euc_jp and cp932 name the same character differently, cp932's name.
_LIKE_CP932 = {0x301C: 0xFF5E, 0x2212: 0xFF0D, 0x2016: 0x2225, 0x2014: 0x2015}
_LIKE_CP932 |= {0xA2: 0xFFE0, 0xA3: 0xFFE1, 0xAC: 0xFFE2, 0xA6: 0xFFE4}


def _iso2022jp(data: bytes) -> str:
    """ISO-2022-JP (RFC 1468) with what is sent under its name: vendor rows, kana, raw 8 bit."""
    if _is_plain_1468(data) and (text := _strict(data, "iso2022_jp")) is not None:
        for named, like in _LIKE_CP932.items():
            text = text.replace(chr(named), chr(like))
        return text
    return _iso2022jp_by_runs(data)


def _iso2022jp_by_runs(data: bytes) -> str:
    out: list[str] = []
    mode = b"(B"
    kana = False  # by shift-out
    position = 0
    for escape in _ESCAPE.finditer(data):
        if escape.start() > position:
            out.append(_jis_run(data[position : escape.start()], b"(I" if kana else mode))
        position = escape.end()
        if escape[1] is not None:
            mode, kana = escape[1], False
        elif escape[2] in b"\r\n":
            # RFC 1468: a line ends in ASCII; a sender who forgot to say so meant it
            mode, kana = b"(B", False
            out.append(escape[2].decode("ascii"))
        else:
            kana = escape[2] == b"\x0e"
    if position < len(data):
        out.append(_jis_run(data[position:], b"(I" if kana else mode))
    return "".join(out)


def _is_plain_1468(data: bytes) -> bool:
    """Whether Python's codec reads these octets as they are meant, or not at all."""
    return (
        data.isascii()
        and b"\x0e" not in data
        and b"\x0f" not in data
        and data.count(b"\r") == data.count(b"\r\n")
        and _BEYOND_1468.search(data) is None
    )


def _jis_run(run: bytes, mode: bytes) -> str:
    if mode in (b"$B", b"$@"):
        return _pairs(run)
    if mode == b"(I":
        return bytes(b | 0x80 if 0x21 <= b <= 0x5F else b for b in run).decode("cp932", "replace")
    if mode == b"$(D":  # JIS X 0212 is not in cp932
        high = run.translate(_HIGH)
        each = (b"\x8f" + high[i : i + 2] for i in range(0, len(high), 2))
        return b"".join(each).decode("euc_jp", "replace")
    if mode in (b"$(O", b"$(Q"):  # JIS X 0213, first plane
        return run.translate(_HIGH).decode("euc_jis_2004", "replace")
    if run.isascii():
        return run.decode("ascii")
    # an ESC that begins no escape we know must not bring us here again, and again
    return decode_raw(run.replace(b"\x1b", b" "))


def _pairs(run: bytes) -> str:
    """Two-byte JIS: Python's codec where it knows the characters, else pair by pair."""
    text = _strict(run.translate(_HIGH), "euc_jp")
    if text is not None:
        return text.translate(_LIKE_CP932)
    out = bytearray()
    i = 0
    while i < len(run):
        high = run[i] & 0x7F
        if high < 0x21 or high > 0x7E or i + 1 >= len(run):
            out.append(high)
            i += 1
            continue
        pair = _shifted(high, run[i + 1] & 0x7F)
        out += pair if _strict(pair, "cp932") is not None else _NO_CHARACTER
        i += 2
    return out.decode("cp932", "replace")


_NO_CHARACTER = "\u3013".encode("cp932")  # the geta mark, as printers put it where type is missing


def _shifted(high: int, low: int) -> bytes:
    """A JIS X 0208 pair in Shift_JIS form."""
    if low < 0x21:
        return b"?"
    lead = (high - 0x21) // 2 + 0x81
    if lead > 0x9F:
        lead += 0x40
    odd = low + (0x1F if low < 0x60 else 0x20)
    return bytes((lead, odd if high & 1 else low + 0x7E))


def _euc(data: bytes) -> str:
    """EUC-JP with vendor rows: runs of pairs by the same map as ISO-2022-JP."""
    parts = re.split(rb"((?:[\xa1-\xfe][\xa1-\xfe])+|\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2})", data)
    return "".join(
        _pairs(part) if 0xA1 <= part[0] <= 0xFE else part.decode("euc_jp", "replace")
        for part in parts
        if part
    )


# What may be kept of decoded text.

_TO_SPACE = [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029]
_REMOVED = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN: dict[int, str | None] = dict.fromkeys(_TO_SPACE, " ")
_CLEAN |= dict.fromkeys(_REMOVED)  # direction overrides: they forge what a reader sees
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """One line, storable anywhere: no controls (a decoded CR LF would be a header of its own,
    threats.md "header injection"), no NUL, no lone surrogates, no direction overrides."""
    if text.isprintable():
        return text
    return _SURROGATE.sub("\ufffd", text.translate(_CLEAN))


def storable(text: str) -> str:
    """Text of an envelope as a database takes it: no NUL, no lone surrogates, all else as it is."""
    if text.isprintable():
        return text
    return _SURROGATE.sub("\ufffd", text).replace("\0", "\ufffd")
