"""The text of RTF, also of the kind that carries HTML, as Outlook writes it. A core.

Bytes stand in the code page of the font they are written in: so they are collected and decoded
together, and the second octet of a Japanese character may be a letter.
Promises: never raises; one pass, linear time. Cites: RTF 1.9.1; MS-OXRTFEX section 2.1.
"""

import re

from crmstore.charsets import decode

__all__ = ["text"]

MAX_DEPTH = 500

_TOKENS = re.compile(
    rb"\\([a-z]{1,32})(-?[0-9]{1,9})?[ ]?|\\'([0-9a-f]{2})|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\",
    re.IGNORECASE | re.DOTALL,
)
_CHARSETS = {
    0: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030",
    136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256",
    186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 255: "cp850",
}  # fmt: skip
# Groups that hold no text of the message.
_SILENT = frozenset(
    b"fonttbl colortbl stylesheet info pict object header footer headerl headerr footerl footerr"
    b" fldinst themedata colorschememapping listtable listoverridetable rsidtbl generator xmlnstbl"
    b" mmathPr latentstyles datastore bkmkstart bkmkend".split()
)
_BREAKS = frozenset([b"par", b"line", b"row", b"sect", b"page"])
_SYMBOLS = {
    b"tab": "\t", b"cell": " ", b"emdash": "\u2014", b"endash": "\u2013", b"bullet": "\u2022",
    b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d",
}  # fmt: skip
_HTML_BREAK = re.compile(rb"</?(?:p|br|div|tr|li|h[1-6]|table)\b", re.I)


def text(rtf: bytes) -> str:
    """What it says."""
    if not rtf.lstrip().startswith(b"{\\rtf"):
        return ""
    reading = _Reading()
    for token in _TOKENS.finditer(rtf):
        reading.token(token)
    reading.flush()
    # a character beyond the first plane is told as two surrogates
    said = "".join(reading.out).encode("utf-16-le", "surrogatepass")
    return said.decode("utf-16-le", "replace").strip()


class _Reading:
    def __init__(self) -> None:
        self.out: list[str] = []
        self._bytes = bytearray()
        self._charset = "cp1252"  # of the document
        self._fonts: dict[int, str] = {}
        self._font = -1
        self._defining = -1  # the font that the font table speaks of
        self._skip = 0  # characters that stand for one told by \\u
        self._after_u = 1
        # what a group changes: silent, html tag, hidden by \\htmlrtf, font, \\uc
        self._state: tuple[bool, bool, bool] = (False, False, False)
        self._stack: list[tuple[tuple[bool, bool, bool], int, int]] = []
        self._starred = False

    def flush(self) -> None:
        if self._bytes:
            charset = self._fonts.get(self._font, self._charset)
            self.out.append(decode(bytes(self._bytes), charset))
            self._bytes.clear()

    def token(self, token: re.Match[bytes]) -> None:
        word, number, octet, symbol, brace, plain = token.groups()
        if brace is not None:
            self._brace(brace)
        elif word is not None:
            self._word(word.lower(), int(number) if number is not None else None)
        elif octet is not None:
            self._put(bytes([int(octet, 16)]))
        elif symbol is not None:
            self._symbol(symbol)
        elif plain is not None:
            self._put(plain)

    def _brace(self, brace: bytes) -> None:
        self._skip = 0
        self._starred = False
        if brace == b"{":
            if len(self._stack) < MAX_DEPTH:
                self._stack.append((self._state, self._font, self._after_u))
        elif self._stack:
            state, font, self._after_u = self._stack.pop()
            self._set_font(font)
            self._state = state

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._starred = True
        elif symbol == b"~":
            self._put(b" ")
        elif symbol in b"{}\\":
            self._put(symbol)
        elif symbol in b"\r\n":
            self._say("\n")

    def _word(self, word: bytes, number: int | None) -> None:
        silent, tag, hidden = self._state
        if word == b"htmltag":
            self._state, self._starred = (silent, True, hidden), False
        elif word == b"htmlrtf":
            self._state = (silent, tag, number != 0)
        elif self._starred or word in _SILENT:
            self._starred = False
            self._state = (True, tag, hidden)
            self._defining = -1
        elif word == b"ansicpg" and number:
            self._charset = "utf-8" if number == 65001 else f"cp{number}"
        elif word == b"f" and number is not None:
            self._defining = number
            self._set_font(number)
        elif word == b"fcharset" and number in _CHARSETS and self._defining >= 0:
            if len(self._fonts) < 1_000:
                self._fonts[self._defining] = _CHARSETS[number]
        elif word == b"uc" and number is not None:
            self._after_u = max(0, min(number, 10))
        elif word == b"u" and number is not None:
            self._say(chr(number % 0x10000))
            self._skip = self._after_u
        elif word in _BREAKS:
            self._say("\n")
        elif word in _SYMBOLS:
            self._say(_SYMBOLS[word])

    def _set_font(self, font: int) -> None:
        if font != self._font:
            self.flush()
            self._font = font

    def _say(self, said: str) -> None:
        if not any(self._state):
            self.flush()
            self.out.append(said)

    def _put(self, raw: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(raw))
            self._skip -= skipped
            raw = raw[skipped:]
        silent, tag, hidden = self._state
        if tag and not silent and _HTML_BREAK.search(raw[:200]):
            self.flush()
            self.out.append("\n")
        if not (silent or tag or hidden):
            self._bytes += raw
