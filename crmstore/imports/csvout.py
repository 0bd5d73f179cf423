"""Records as CSV (RFC 4180) that csvfile.py reads back to the same. A core.

Formulas are guarded (guard.py). The last address column holds all the rest, between "; ".
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from crmstore.imports.guard import guarded

__all__ = ["MAX_ADDRESS_COLUMNS", "Exported", "csv_header", "csv_line", "csv_row", "for_cp932"]

MAX_ADDRESS_COLUMNS = 5

_HEADERS = {
    "en": ("Kind", "Name", "State", "Main contact", "Company", "Type", "E-mail"),
    "ja": ("種別", "氏名", "状態", "主な連絡先", "会社", "種類", "メールアドレス"),
}
_MARKS = {
    "en": ("Mailweir ID", "Main contact Mailweir ID"),
    "ja": ("Mailweir ID", "主な連絡先の Mailweir ID"),
}
# Two names for one character: Unicode's own mapping and Microsoft's (see crmstore.charsets).
_CP932 = {0x301C: 0xFF5E, 0x2212: 0xFF0D, 0x2016: 0x2225, 0x2014: 0x2015}


def csv_header(address_columns: int, lang: Literal["en", "ja"]) -> str:
    """The first line; `address_columns` is at most MAX_ADDRESS_COLUMNS."""
    *single, email = _HEADERS[lang]
    space = " " if lang == "en" else ""
    more = [f"{email}{space}{n}" for n in range(2, address_columns + 1)]
    return csv_line([*single, email, *more, *_MARKS[lang]])


class Exported(Protocol):
    """A record, as far as a file has it."""

    @property
    def kind(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def company(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def addresses(self) -> Sequence[str]: ...
    @property
    def mark(self) -> str: ...


def csv_row(record: Exported, contact: Exported | None, address_columns: int) -> str:
    """The line of one record; `contact` is its main contact."""
    addresses = record.addresses
    cells = list(addresses[:address_columns])
    if len(addresses) > address_columns:
        cells[-1] = "; ".join(addresses[address_columns - 1 :])
    cells += [""] * (address_columns - len(cells))
    person = contact.addresses[0] if contact is not None and contact.addresses else ""
    words = (record.kind, record.name, record.state, person, record.company, record.type)
    return csv_line([*words, *cells, record.mark, contact.mark if contact is not None else ""])


def csv_line(cells: Sequence[str]) -> str:
    """Cells as text that no spreadsheet runs, in quotes where they need them."""
    return ",".join(_quoted(guarded(cell)) for cell in cells) + "\r\n"


def _quoted(cell: str) -> str:
    plain = not any(mark in cell for mark in '",;\t|\r\n') and cell == cell.strip()
    return cell if plain else '"' + cell.replace('"', '""') + '"'


def for_cp932(text: str) -> str:
    """The text with the characters that cp932 has under another name."""
    return text.translate(_CP932)
