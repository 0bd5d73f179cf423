"""All records as the bytes of a file. A keeper that only reads.

Promises: memory of one page; each page is of one moment; what the chosen encoding cannot write is
replaced by "?" and told; deals come after the people who are their contacts. Only current
addresses: the history stays in the store.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from crmstore import recordbulk
from crmstore.brief import Brief
from crmstore.imports.csvout import MAX_ADDRESS_COLUMNS, csv_header, csv_row, for_cp932
from crmstore.imports.vcardout import vcard
from crmstore.store import Store

__all__ = ["CSV_ENCODINGS", "Lost", "export_csv", "export_vcards"]

# By their names on the command line. Excel takes UTF-8 without the mark for cp932.
CSV_ENCODINGS = {"utf-8": "utf-8-sig", "cp932": "cp932"}


class Lost(NamedTuple):
    """Something of a record that is not in the file."""

    record: int
    name: str
    code: Literal["characters", "contact"]


def export_csv(
    store: Store,
    kind: str | None,
    tell: Callable[[Lost], None],
    *,
    type: str = "",
    encoding: str = "utf-8",
    lang: Literal["en", "ja"] = "en",
) -> Iterator[bytes]:
    """A line for each record of `kind` and `type` (None, "" = all)."""
    columns = max(1, min(recordbulk.most_addresses(store, kind), MAX_ADDRESS_COLUMNS))
    mark = b"\xef\xbb\xbf" if CSV_ENCODINGS[encoding] == "utf-8-sig" else b""
    header = csv_header(columns, lang)
    yield mark + header.encode(encoding)
    for record, contact in recordbulk.stream(store, kind, type):
        _contact(record, contact, kind, tell)
        line = csv_row(record, contact, columns)
        try:
            yield line.encode(encoding)
        except UnicodeEncodeError:
            written = for_cp932(line).encode(encoding, "replace")
            if written.decode(encoding) != for_cp932(line):
                tell(Lost(record.id, record.name, "characters"))
            yield written


def export_vcards(
    store: Store,
    kind: str | None,
    tell: Callable[[Lost], None],
    *,
    type: str = "",
    version: Literal["4.0", "3.0"] = "4.0",
) -> Iterator[bytes]:
    """A card for each record of `kind` (None = all)."""
    for record, contact in recordbulk.stream(store, kind, type):
        _contact(record, contact, kind, tell)
        card = vcard(record, contact, version)
        yield card.encode()


def _contact(
    record: Brief,
    contact: Brief | None,
    kind: str | None,
    tell: Callable[[Lost], None],
) -> None:
    """A contact without address is known by its mark, if it is in the same file."""
    if contact is not None and not contact.addresses and kind is not None:
        tell(Lost(record.id, record.name, "contact"))
