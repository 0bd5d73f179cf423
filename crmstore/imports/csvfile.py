"""Rows of a CSV file (RFC 4180 and what programs make of it). A core: lines in, rows out.

Promises: never raises on a row, a bad one is a remark with its line; one broken quote costs its own
row only; at most MAX_CELL characters a cell, MAX_ROW a row, MAX_COLUMNS columns, MAX_ROWS rows;
memory of one row. Raises Unreadable for a file that is no list of records at all.

The delimiter is the one under which the header names most that we know. csv.Sniffer is not asked:
it takes the comma in "Yamada, Taro" for a delimiter, is quadratic on long samples, and could only
help where no header is known, where we do not read on.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from crmstore.charsets import clean
from crmstore.imports.columns import Columns, map_header
from crmstore.imports.encoding import has_bad_bytes
from crmstore.imports.guard import unguarded
from crmstore.imports.rows import Remark, Row, Unreadable
from crmstore.imports.terms import compose_name

__all__ = ["DELIMITERS", "MAX_CELL", "MAX_COLUMNS", "MAX_ROW", "MAX_ROWS", "CsvFile"]

DELIMITERS = ",;\t|"
MAX_ROWS = 5_000_000
MAX_COLUMNS = 500
MAX_ROW = 100_000  # characters; below the csv module's limit for one field
MAX_LINES = 500  # lines of one row: cells with line breaks in them
MAX_CELL = 32_767  # as Excel's


class _TooLong(Exception):
    """A row without end: most likely a quote that is never closed."""


class _Source:
    """The lines for csv.reader, with those of a broken row given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._number = 0  # of the last line taken
        self.line = 1  # where the row begins
        self.bad = False  # it holds bytes that do not belong to the encoding

    def begin(self) -> None:
        """The next line begins a row."""
        self._taken.clear()
        self._size = 0
        self.line = self._number + 1
        self.bad = False

    def give_back(self, keep: int) -> None:
        """Of the row that was begun only `keep` lines have been read."""
        self._again.extendleft(reversed(self._taken[keep:]))
        self._number = self.line - 1 + keep

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._number += 1
        self._taken.append(line)
        self._size += len(line)
        if self._size > MAX_ROW or len(self._taken) > MAX_LINES:
            raise _TooLong
        if has_bad_bytes(line):
            self.bad = True
        return line


class CsvFile:
    """One file: its header is read when it is made, its rows when it is iterated (once)."""

    def __init__(self, lines: Iterable[str], delimiter: str | None = None) -> None:
        self._source = _Source(lines)
        self.delimiter, headers = self._header(delimiter)
        self.columns: Columns = map_header(headers)
        if not self.columns.usable:
            raise Unreadable("no_header", header=", ".join(headers)[:200])
        self._width = len(headers)
        self.unknown = tuple(headers[index] for index in self.columns.unknown)
        """Headers of columns that nothing is taken from."""

    def _header(self, delimiter: str | None) -> tuple[str, list[str]]:
        source = self._source
        text = ""
        try:
            while not text.strip():
                source.begin()
                text = next(source)
                if text[:4].lower() == "sep=" and len(text.strip()) == 5:  # a line for Excel
                    delimiter = delimiter or text[4]
                    text = ""
        except StopIteration:
            raise Unreadable("empty") from None
        except _TooLong:
            raise Unreadable("no_header", header=text[:200]) from None
        if delimiter is None:
            delimiter = _delimiter(text)
        source.give_back(0)
        try:
            cells = next(self._reader(delimiter))
        except (csv.Error, _TooLong):
            raise Unreadable("no_header", header=text.strip()[:200]) from None
        if source.bad:
            raise Unreadable("header_bytes", line=source.line)
        if len(cells) > MAX_COLUMNS:
            raise Unreadable("too_many_columns", found=len(cells), allowed=MAX_COLUMNS)
        return delimiter, [clean(unguarded(cell)).strip() for cell in cells]

    def _reader(self, delimiter: str) -> Iterator[list[str]]:
        return csv.reader(self._source, delimiter=delimiter, strict=True, skipinitialspace=True)

    def __iter__(self) -> Iterator[Row | Remark]:
        source = self._source
        reader = self._reader(self.delimiter)
        for count in range(MAX_ROWS + 1):
            source.begin()
            if count == MAX_ROWS:
                if next(source, None) is not None:
                    yield Remark(source.line, "too_many_rows", True, {"allowed": MAX_ROWS})
                return
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooLong) as error:
                code = "row_too_long" if isinstance(error, _TooLong) else "quotes"
                yield Remark(source.line, code, True)
                source.give_back(keep=1)
                reader = self._reader(self.delimiter)
                continue
            if item := self._row(source.line, cells):
                yield item

    def _row(self, line: int, cells: Sequence[str]) -> Row | Remark | None:
        if not any(map(str.strip, cells)):
            return None
        if self._source.bad:
            return Remark(line, "bad_bytes", True)
        remarks: tuple[Remark, ...] = ()
        if len(cells) != self._width:
            wrong = self._wrong_width(line, cells)
            if wrong is not None and wrong.refused:
                return wrong
            remarks = (wrong,) if wrong is not None else ()
            cells = [*cells, *[""] * (self._width - len(cells))]
        if max(map(len, cells)) > MAX_CELL:
            return Remark(line, "cell_too_long", True, {"allowed": MAX_CELL})
        return self._taken(line, cells, remarks)

    def _wrong_width(self, line: int, cells: Sequence[str]) -> Remark | None:
        """A row with more cells has them in the wrong columns, unless the rest is empty. One with
        fewer has lost empty ones at its end (Excel leaves those out), or is half of a row that a
        line break without quotes cut in two: then not all that we look for is there."""
        values = {"found": len(cells), "header": self._width}
        if len(cells) > self._width:
            rest = any(cell.strip() for cell in cells[self._width :])
            return Remark(line, "too_many_cells", True, values) if rest else None
        columns = self.columns
        wanted = (columns.name, columns.given, columns.family, *columns.emails[:1])
        reaches = all(column is None or column < len(cells) for column in wanted)
        if len(cells) < 2 or not reaches:
            return Remark(line, "too_few_cells", True, values)
        return Remark(line, "short_row", False, values)

    def _taken(self, line: int, cells: Sequence[str], remarks: tuple[Remark, ...]) -> Row:
        columns = self.columns

        def text(column: int | None) -> str:
            if column is None or not (cell := cells[column]):
                return ""
            return clean(unguarded(cell)).strip()

        name = text(columns.name)
        if not name and (columns.family is not None or columns.given is not None):
            name = compose_name(text(columns.family), text(columns.given), text(columns.middle))
        addresses = [text(column) for column in columns.emails]
        return Row(
            line,
            name,
            tuple(address for address in addresses if address),
            text(columns.kind),
            text(columns.state),
            text(columns.company),
            text(columns.contact),
            text(columns.type),
            remarks,
            columns.hint,
            text(columns.mark),
            text(columns.contact_mark),
        )


def _delimiter(header: str) -> str:
    """The delimiter of a file, by its header; the first of equals."""
    scores: dict[str, int] = {}
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([header], delimiter=delimiter))
        except (csv.Error, StopIteration):
            continue
        columns = map_header(cells[:MAX_COLUMNS])
        scores[delimiter] = columns.score if columns.usable else 0
    return max(scores, key=scores.__getitem__, default=",")
