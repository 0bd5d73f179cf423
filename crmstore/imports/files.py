"""Files of records on the disk: which format and encoding they are, and their rows. A keeper.

Promises: only reads; a file is read in pieces, twice (once to know its encoding) and a third time
for an import that looks before it writes, and open only while it is read: a phone gives out a
thousand cards as a thousand files. What can be read only once (standard input, a named pipe) is
laid down in a temporary file first.
"""

import codecs
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from crmstore.imports.csvfile import CsvFile
from crmstore.imports.encoding import ENCODINGS, guess, text_lines
from crmstore.imports.rows import Remark, Row, Unreadable
from crmstore.imports.vcard import VcardFile

__all__ = ["RecordFile", "open_file"]

PIECE = 1 << 16
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # .xlsx and .ods, .xls


@dataclass
class RecordFile:
    """One file: what it is, and its rows as often as they are wanted."""

    shown: str
    size: int
    format: str  # "csv" or "vcard"
    encoding: str
    guessed: bool  # the encoding is one of several that fit
    _source: Path | IO[bytes]
    _delimiter: str | None
    _reader: CsvFile | VcardFile | None = field(default=None, init=False)

    def rows(self, progress: Callable[[int], None] = lambda octets: None) -> Iterable[Row | Remark]:
        """The rows from the beginning; Unreadable if this is no list of records."""
        pieces = _pieces(self._source, progress)
        if self.format == "csv":
            self._reader = CsvFile(text_lines(pieces, self.encoding), self._delimiter)
        elif self.encoding.startswith("utf-16"):
            lines = text_lines(pieces, self.encoding)
            self._reader = VcardFile(line.encode("utf-8", "replace") for line in lines)
        else:
            self._reader = VcardFile(pieces, self.encoding)
        return self._reader

    def is_at(self, path: Path) -> bool:
        """Is it the file that this path leads to?"""
        try:
            return isinstance(self._source, Path) and self._source.samefile(path)
        except OSError:
            return False  # nothing is there

    @property
    def not_taken(self) -> Sequence[str]:
        """Columns or properties that nothing was taken from, after the rows were read."""
        if isinstance(self._reader, CsvFile):
            return self._reader.unknown
        return [name for name, _ in self._reader.unknown.most_common()] if self._reader else []


@contextmanager
def open_file(path: Path, encoding: str | None, delimiter: str | None) -> Iterator[RecordFile]:
    """A file, opened and looked at. Path("-") is standard input. Unreadable for a guess that
    fails, OSError for a file that cannot be opened."""
    if str(path) != "-" and path.is_file():
        yield _look(path, path.stat().st_size, str(path), encoding, delimiter)
        return
    with tempfile.TemporaryFile() as copy:
        if str(path) == "-":
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with path.open("rb") as once:
                shutil.copyfileobj(once, copy)
        yield _look(copy, copy.tell(), str(path), encoding, delimiter)


def _look(
    source: Path | IO[bytes], size: int, shown: str, encoding: str | None, delimiter: str | None
) -> RecordFile:
    head = next(_pieces(source), b"")[:2_000]
    if head.startswith(_WORKBOOK):
        raise Unreadable("workbook")
    is_vcard = _is_vcard(head) or shown.lower().endswith((".vcf", ".vcard"))
    guessed = False
    if encoding is not None:
        codec = ENCODINGS[encoding]
    else:
        found = guess(_pieces(source))
        if found is None and not is_vcard:
            raise Unreadable("encoding")
        # Cards may each say their own; values that say nothing are then looked at one by one.
        codec, guessed = (found.encoding, not found.sure) if found else ("", True)
    format_ = "vcard" if is_vcard else "csv"
    return RecordFile(shown, size, format_, codec, guessed, source, delimiter)


def _is_vcard(head: bytes) -> bool:
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").lstrip()[:11].upper() == b"BEGIN:VCARD"


def _pieces(
    source: Path | IO[bytes], progress: Callable[[int], None] = lambda octets: None
) -> Iterator[bytes]:
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
            progress(len(piece))
