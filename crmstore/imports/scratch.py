"""What one import must remember and memory must not hold: a database of its own, gone at the end.

A keeper of a temporary SQLite file (connect("") makes one that no name leads to, kept in memory
while it is small, then in the folder for temporary files): which keys the files had so far and
where, the names of the store's records for rows without an address, and deals that wait for a
contact further down. A full disk there is StoreUnavailable, as it is for the store.
"""

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
            "CREATE TABLE seen (key TEXT PRIMARY KEY, file INTEGER, line INTEGER) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE names (kind TEXT, folded TEXT, id INTEGER,"
            " PRIMARY KEY (kind, folded, id)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE waiting (file INTEGER, line INTEGER, kind TEXT, name TEXT,"
            " addresses TEXT, state TEXT, contact TEXT)"
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
        """INSERT of rows of three."""
        try:
            self._db.executemany(f"{query} VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"temporary file of the import: {error}") from error

    # Keys of the files

    def first_with(self, wanted: Wanted, record: int) -> Place | None:
        """Where this record's key stood before; if nowhere, it stands here from now on.

        `record`: the one of the store that it is, or 0; two rows must not both be about it.
        """
        own = [f"{wanted.kind} @ {address}" for address in wanted.addresses]
        # by its name too: a later row without address, or without contact, may mean this one
        folded = folded_name(wanted.name)
        names = [
            f"{wanted.kind} = {folded} = {contact}"
            for contact in dict.fromkeys((wanted.contact, ""))
        ]
        own = own or names[:1]
        if record:
            own.append(f"# {record}")
        for key in own:
            row = self._do("SELECT file, line FROM seen WHERE key = ?", (key,)).fetchone()
            if row is not None:
                return Place(*row)
        keys = (*own, *(names if folded else ()))
        self._do_all("INSERT OR IGNORE INTO seen", [(key, *wanted.place) for key in keys])
        return None

    def has_person(self, address: str) -> bool:
        """Did the files have a record with this address that a deal may have as its contact?"""
        keys = [f"{kind} @ {address}" for kind in ("contact", "lead")]
        query = "SELECT 1 FROM seen WHERE key IN (?, ?)"
        return self._do(query, keys).fetchone() is not None

    # Names of the store

    def learn_names(self, kind: str, names: Iterable[tuple[int, str]]) -> None:
        """(id, name) of records of a kind."""
        rows = ((kind, folded_name(name), id_) for id_, name in names)
        self._do_all("INSERT OR IGNORE INTO names", rows)

    def ids_of_name(self, kind: str, folded: str, limit: int = 20) -> Sequence[int]:
        """Ids of records that had this name when it was learned."""
        query = "SELECT id FROM names WHERE kind = ? AND folded = ? ORDER BY id LIMIT ?"
        return [row[0] for row in self._do(query, (kind, folded, limit))]

    # Deals before their contacts

    def wait(self, wanted: Wanted) -> None:
        """To be tried again at the end."""
        addresses = " ".join(wanted.addresses)
        row = (*wanted.place, wanted.kind, wanted.name, addresses, wanted.state, wanted.contact)
        self._do("INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def waiting(self) -> Iterator[Wanted]:
        """Those that wait, in their order."""
        query = "SELECT * FROM waiting ORDER BY rowid"
        for file, line, kind, name, addresses, state, contact in self._do(query):
            place = Place(file, line)
            yield Wanted(place, kind, name, tuple(addresses.split()), state, contact)
