"""What one import must remember and memory must not hold: a database of its own, gone at the end.

A keeper of a temporary SQLite file (connect("") makes one that no name leads to, kept in memory
while it is small, then in the folder for temporary files): which keys the files had so far and
where, which records the marks of an export became, the names of the store's records for rows
without an address, and deals that wait for a contact further down. A full disk there is
StoreUnavailable, as it is for the store.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from crmstore.imports.check import Wanted
from crmstore.imports.rows import Place
from crmstore.imports.terms import folded_name
from crmstore.store import StoreUnavailable

__all__ = ["Scratch"]

CACHE_KIB = 32_768


class Scratch:
    """One import's memory. Used by one thread."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE seen (key TEXT, mark TEXT, file INTEGER, line INTEGER,"
            " PRIMARY KEY (key, mark)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE marks (mark TEXT PRIMARY KEY, record INTEGER, became INTEGER)"
            " WITHOUT ROWID"
        )
        self._db.execute("CREATE INDEX marks_by_record ON marks (record)")
        self._db.execute(
            "CREATE TABLE names (kind TEXT, folded TEXT, id INTEGER,"
            " PRIMARY KEY (kind, folded, id)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE waiting (file INTEGER, line INTEGER, kind TEXT, name TEXT,"
            " addresses TEXT, state TEXT, contact TEXT, type TEXT, company TEXT, mark TEXT,"
            " contact_mark TEXT)"
        )
        # one transaction to the end: otherwise each row costs one of its own
        self._db.execute("BEGIN")
        self.named_to: dict[str, int] = {}
        """Up to which record id the names of a kind are known."""

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def _do(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"temporary file of the import: {error}") from error

    def _do_all(self, query: str, rows: Iterable[tuple[str | int, ...]]) -> None:
        """A statement for each of the rows."""
        try:
            self._db.executemany(query, rows)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"temporary file of the import: {error}") from error

    # Keys of the files

    def first_with(self, wanted: Wanted, record: int, *, note: bool = True) -> Place | None:
        """Where this record's key stood before; if nowhere, it stands here from now on, unless
        `note` says that this row is none to go by.

        `record`: the one of the store that it is, or 0; two rows must not both be about it. Rows
        with different marks were two records, whatever their keys.
        """
        kind = f"{wanted.kind}:{wanted.type}" if wanted.type else wanted.kind
        addresses = [f"{kind} @ {address}" for address in wanted.addresses]
        # by its name too: a later row without address, or without contact, may mean this one
        folded = folded_name(wanted.name)
        names = [f"{kind} = {folded} = {one}" for one in dict.fromkeys((wanted.contact, ""))]
        own = names[:1] if wanted.by_name else addresses
        if record:
            own.append(f"# {record}")
        mark = wanted.mark
        for key in own:
            query = "SELECT file, line FROM seen WHERE key = ?"
            if mark:
                row = self._do(f"{query} AND mark IN (?, '')", (key, mark)).fetchone()
            else:
                row = self._do(query, (key,)).fetchone()
            if row is not None:
                return Place(*row)
        if not note:
            return None
        keys = (*own, *(names if folded else ()))
        self._do_all(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)",
            [(key, mark, *wanted.place) for key in keys],
        )
        return None

    def has_person(self, address: str) -> bool:
        """Did the files have a record with this address that a deal may have as its contact?"""
        keys = [f"{kind} @ {address}" for kind in ("contact", "lead")]
        query = "SELECT 1 FROM seen WHERE key IN (?, ?)"
        return self._do(query, keys).fetchone() is not None

    # What became of the marks of an export

    def note_marks(self, rows: Iterable[tuple[str, int, bool]]) -> None:
        """(mark, record that its row is about, is the record as the row says?). Record 0 = one
        that a dry run did not make."""
        query = "INSERT INTO marks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
        self._do_all(f"{query} record = excluded.record WHERE marks.record = 0", rows)

    def records_of(self, marks: Iterable[str]) -> dict[str, int]:
        """The records of those of these marks that the files have had."""
        query = "SELECT mark, record FROM marks WHERE mark IN (SELECT value FROM json_each(?))"
        return dict(self._do(query, (json.dumps(list(marks)),)).fetchall())

    def marks_of(self, records: Iterable[int]) -> dict[int, str]:
        """The marks of the rows that these records of the store have become."""
        query = "SELECT record, mark FROM marks WHERE record IN (SELECT value FROM json_each(?))"
        return dict(self._do(f"{query} AND became", (json.dumps(list(records)),)).fetchall())

    # Names of the store

    def learn_names(self, kind: str, names: Iterable[tuple[int, str]]) -> None:
        """(id, name) of records of a kind."""
        rows = ((kind, folded_name(name), id_) for id_, name in names)
        self._do_all("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", rows)

    def ids_of_name(self, kind: str, folded: str, limit: int = 2_000) -> Sequence[int]:
        """Ids of records that had this name when it was learned."""
        query = "SELECT id FROM names WHERE kind = ? AND folded = ? ORDER BY id LIMIT ?"
        return [row[0] for row in self._do(query, (kind, folded, limit))]

    # Deals before their contacts

    def wait(self, wanted: Wanted) -> None:
        """To be tried again at the end."""
        addresses = " ".join(wanted.addresses)
        row = (*wanted.place, *wanted[1:3], addresses, *wanted[4:])
        self._do("INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def waiting(self) -> Iterator[Wanted]:
        """Those that wait, in their order."""
        query = "SELECT * FROM waiting ORDER BY rowid"
        for file, line, kind, name, addresses, *words in self._do(query):
            yield Wanted(Place(file, line), kind, name, tuple(addresses.split()), *words)
