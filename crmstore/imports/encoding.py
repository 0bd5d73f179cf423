"""Which encoding a file of records is in, and its text line by line. A core: chunks of bytes in.

The order of libraries.md "charsets" on the whole file, not on a sample: byte order mark, strict
UTF-8, ISO-2022-JP by its escapes, cp932, EUC-JP. cp932 and EUC-JP that both fit are told apart by
half-width kana, which EUC-JP read as cp932 is full of. A file that fits none is not guessed: names
read wrongly would be stored as if they were right.

Promises: bytes that do not belong to the encoding come out as a lone surrogate, for the
reader of the rows to refuse that row; a line is at most MAX_LINE characters; linear time.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from crmstore.charsets import decode
from crmstore.imports.rows import Unreadable

__all__ = ["ENCODINGS", "Guess", "guess", "has_bad_bytes", "text_lines"]

MAX_LINE = 1_000_000
_HEAD = 512
_ENOUGH = 20_000  # characters that tell cp932 from EUC-JP

# What `--encoding` takes, and the codec that reads it.
ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp932": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso-2022-jp",
    "cp1252": "cp1252",
    "iso-8859-1": "cp1252",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc-kr": "cp949",
}
# Read by crmstore.charsets, which knows the vendor rows that Python's codecs do not.
_BY_LINE = frozenset(["euc-jp", "iso-2022-jp"])

_EUC = re.compile(rb"(?:[\x00-\x7f]++|[\xa1-\xfe]{2}|\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2})*+")
_JIS = re.compile(rb"\x1b(?:\$[@B]|\([BJI]|\$\([DOQ])")
_SEPARATOR = re.compile("[\r\n\t,;|]")
_WIDE = re.compile("[^\x00-\x7f]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BAD = "\udcff"  # stands where bytes did not belong
_GETA = "\u3013"
_WRITTEN_GETA = re.compile(rb"\x22\x2e|\xa2\xae")  # where somebody wrote one, JIS X 0208 2-14

_ERRORS = "mailweir.imports.bad"
codecs.register_error(_ERRORS, lambda error: (_BAD, getattr(error, "end", 0)))


class Guess(NamedTuple):
    """`sure`: a mark or strict UTF-8 says so, it is not one of several that fit."""

    encoding: str
    sure: bool


def guess(chunks: Iterable[bytes]) -> Guess | None:
    """The encoding of a whole file; None if it is none of those we know."""
    pieces = iter(chunks)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _HEAD:
            break
    if marked := _mark(head):
        return Guess(marked, True)
    candidates = _Candidates()
    for chunk in chain([head], pieces):
        candidates.feed(chunk)
        if candidates.none:
            return None
    return candidates.result()


def _mark(head: bytes) -> str:
    """The encoding that the first octets say."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:  # text of Windows programs without its mark: "n\0a\0m\0e\0"
        little = head[1::2].count(0) >= head[::2].count(0)
        encoding = "utf-16-le" if little else "utf-16-be"
        # what is no more than a stray NUL in a file gives no line and no delimiter that way
        if _SEPARATOR.search(head.decode(encoding, "replace")):
            return encoding
    return ""


class _Candidates:
    """The encodings that fit all chunks so far."""

    def __init__(self) -> None:
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._cp932: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("cp932")()
        self._euc: bytes | None = b""  # the bytes of a character that is not whole yet
        self._plain = True  # seven bits only
        self._jis = False
        self._end = b""  # an escape may be cut in two
        self._wide = 0
        self._half_width = 0

    @property
    def none(self) -> bool:
        return self._utf8 is None and self._cp932 is None and self._euc is None

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        if self._plain and chunk.isascii():
            self._jis = self._jis or bool(_JIS.search(self._end + chunk))
            self._end = chunk[-3:]
            return
        self._plain = False
        self._utf8 = self._tried(self._utf8, chunk, final)[0]
        self._cp932, text = self._tried(self._cp932, chunk, final)
        if self._wide < _ENOUGH:
            self._wide += len(_WIDE.findall(text))
            self._half_width += len(_HALF_WIDTH.findall(text))
        if self._euc is not None:
            data = self._euc + chunk
            fits = _EUC.match(data)
            rest = data[fits.end() :] if fits else data
            cut = len(rest) <= 2 and not final and rest[:1] >= b"\x8e"
            self._euc = rest if not rest or cut else None

    @staticmethod
    def _tried(
        decoder: codecs.IncrementalDecoder | None, chunk: bytes, final: bool
    ) -> tuple[codecs.IncrementalDecoder | None, str]:
        if decoder is None:
            return None, ""
        try:
            return decoder, decoder.decode(chunk, final)
        except UnicodeDecodeError:
            return None, ""

    def result(self) -> Guess | None:
        if self._plain:
            return Guess("iso-2022-jp" if self._jis else "utf-8-sig", True)
        self.feed(b"", final=True)
        if self._utf8 is not None:
            return Guess("utf-8-sig", True)
        if self._cp932 is not None and self._euc is not None:
            kana = self._half_width * 2 > self._wide
            return Guess("euc-jp" if kana else "cp932", False)
        if self._cp932 is not None or self._euc is not None:
            return Guess("cp932" if self._cp932 is not None else "euc-jp", False)
        return None


def _line(line: bytes, encoding: str) -> str:
    text = decode(line, encoding)
    # Mail shows the geta mark for a character that no table has; nobody is called that.
    if _GETA in text and text.count(_GETA) > len(_WRITTEN_GETA.findall(line)):
        text = text.replace(_GETA, _BAD)
    return text.replace("\ufffd", _BAD)


def text_lines(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The lines of a file, each with "\\n" at its end whatever the file ends its lines with."""
    decode_chunk: Callable[[bytes, bool], str]
    if encoding in _BY_LINE:
        chunks = _whole_lines(chunks)

        def decode_chunk(data: bytes, final: bool) -> str:
            return "".join(_line(line, encoding) for line in data.splitlines(keepends=True))
    else:
        decode_chunk = codecs.getincrementaldecoder(encoding)(_ERRORS).decode
    rest = ""
    number = 0
    for chunk, final in _with_final(chunks):
        text = rest + decode_chunk(chunk, final)
        # "\r" at the end may be half of "\r\n"
        held = "\r" if text.endswith("\r") and not final else ""
        text = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        rest += held
        for line in lines:
            number += 1
            yield line + "\n"
        if len(rest) > MAX_LINE:
            raise Unreadable("line_too_long", line=number + 1, allowed=MAX_LINE)
    if rest:
        yield rest


def _with_final(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at the end of a line: these encodings start anew on each."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        rest = data[end:]
        if end:
            yield data[:end]
        elif len(rest) > 4 * MAX_LINE:
            raise Unreadable("line_too_long", line=1, allowed=MAX_LINE)
    if rest:
        yield rest


def has_bad_bytes(text: str) -> bool:
    """Did something in this text not belong to the file's encoding?"""
    return not text.isascii() and _SURROGATE.search(text) is not None
