"""The database: opening it safely, its schema version, and transactions.

Promises: what a finished `writing()` block did is on the disk. The settings that make it so are
read back on every new connection and refused when they are not (threats.md, "Promises"): SQLite
with journal_mode=WAL and synchronous=FULL. A writing transaction takes its lock at the start
(BEGIN IMMEDIATE), so it never fails half way for being second. Reading never waits for writing.
A database file that was moved away or replaced under us is noticed (StoreGone) and not written.

Limits: SQLite on a local disk; PostgreSQL comes later, nothing above this module knows which.
Synchronous: callers use it from threads. Cites: architecture.md "Store", libraries.md "database".
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, create_engine, event, select, update
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from crmstore import schema

__all__ = [
    "SchemaOld",
    "Store",
    "StoreError",
    "StoreGone",
    "StoreUnavailable",
    "StoreUnsafe",
    "micros",
    "open_store",
]

BUSY_MS = 10_000
CACHE_KIB = 65_536
WAL_PAGES = 8_192  # 32 MiB: a batch writes 4 MiB, mostly pages that the next one writes again
_WRITING = "mailweir_writing"


class StoreError(Exception):
    """The store cannot be used."""


class SchemaOld(StoreError):
    """The schema is not the one of this version; `mailweir migrate` brings it up."""


class StoreUnsafe(StoreError):
    """The database would not keep what it was given; its settings are not those we ask for."""


class StoreGone(StoreError):
    """The database file was moved away or replaced while it was open."""


class StoreUnavailable(StoreError):
    """Locked, full or unreadable: to be tried again."""


class _HasPaths(Protocol):
    """What we need of config.settings.Settings."""

    @property
    def data_dir(self) -> Path: ...


def micros(seconds: float | None = None) -> int:
    """Seconds since 1970 (now, if not given) as the whole microseconds that the tables hold."""
    return time.time_ns() // 1000 if seconds is None else round(seconds * 1e6)


def open_store(settings: _HasPaths) -> "Store":
    """The store of these settings. Nothing is opened or made before it is used."""
    return Store(settings.data_dir / "mailweir.db")


class Store:
    """One database. Safe to use from several threads, each block its own connection."""

    def __init__(self, path: Path, *, busy_ms: int = BUSY_MS) -> None:
        self.path = path
        self._busy_ms = busy_ms
        self._inode: tuple[int, int] | None = None
        # mode=rw: a lost database must never be replaced by an empty one in silence.
        url = URL.create(
            "sqlite+pysqlite",
            database=f"file:{_quoted(path)}",
            query={"mode": "rw", "uri": "true"},
        )
        self.engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=4,
            # The one used last has the pages in its cache; another's are stale after each write.
            pool_use_lifo=True,
            connect_args={"check_same_thread": False, "timeout": busy_ms / 1000},
        )
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "begin", _begin)

    # Connections

    def _connected(self, connection: Any, _record: object) -> None:
        """Set what durability needs and read it back."""
        connection.isolation_level = None  # BEGIN is ours (see _begin)
        run = connection.execute
        run(f"PRAGMA busy_timeout = {int(self._busy_ms)}")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        run(f"PRAGMA cache_size = -{CACHE_KIB}")
        run("PRAGMA temp_store = MEMORY")
        run(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        mode = run("PRAGMA journal_mode").fetchone()[0]
        synchronous = run("PRAGMA synchronous").fetchone()[0]
        if str(mode).lower() != "wal" or synchronous != 2:
            raise StoreUnsafe(
                f"{self.path}: journal_mode={mode} synchronous={synchronous},"
                " allowed is journal_mode=wal synchronous=2 (run `mailweir migrate`; the file must"
                " be on a local disk)"
            )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that writes: all of it, on the disk, or nothing."""
        with self._transaction(writing=True) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that reads: everything in it is of one moment."""
        with self._transaction(writing=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[Connection]:
        self.check_file()
        try:
            with self.engine.connect() as plain:
                connection = plain.execution_options(**{_WRITING: writing})
                with connection.begin():
                    yield connection
                # The commit went into the file that is at the path, not into a deleted one.
                if writing:
                    self.check_file()
        except OperationalError as error:
            raise StoreUnavailable(str(error.orig)) from error
        except DatabaseError as error:
            if type(error) is DatabaseError:  # "malformed", "not a database"
                raise StoreUnavailable(str(error.orig)) from error
            raise

    def check_file(self) -> None:
        """StoreGone if the file at our path is not the one we have open."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self.close()
            raise StoreGone(f"{self.path}: no such database (run `mailweir migrate`)") from None
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror}") from error
        here = (found.st_dev, found.st_ino)
        if self._inode is None:
            self._inode = here
        elif self._inode != here:
            self.close()
            raise StoreGone(f"{self.path}: the database was replaced by another file")

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database and cut it off: for a disk with little room.

        Does as much as readers allow; never raises for a store that is busy.
        """
        try:
            with self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                if driver is not None:  # outside of a transaction, which SQLAlchemy would begin
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (SQLAlchemyError, sqlite3.Error, StoreError):
            pass

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._inode = None
        self.engine.dispose()

    # Schema

    def migrate(self) -> str:
        """Bring the schema to this version, making the database if there is none.

        Returns the version. Needs no other step before it.
        """
        from crmstore import migrating

        self.path.parent.mkdir(parents=True, exist_ok=True)
        migrating.prepare_file(self.path)
        with self.writing() as connection:
            return migrating.upgrade(connection)

    def check_schema(self) -> None:
        """SchemaOld if the schema is not exactly the one that this version was written for."""
        from crmstore import migrating

        try:
            with self.reading() as connection:
                found = migrating.current(connection)
        except StoreGone as error:
            raise SchemaOld(str(error)) from error
        wanted = migrating.head()
        if found != wanted:
            raise SchemaOld(
                f"{self.path}: schema {found or 'none'}, this version needs {wanted}:"
                " run `mailweir migrate`"
            )


def next_ids(connection: Connection, name: str, count: int) -> range:
    """`count` fresh ids of a table in schema.COUNTED; they are never given again."""
    counters = schema.counters
    last = connection.execute(
        update(counters)
        .where(counters.c.name == name)
        .values(value=counters.c.value + count)
        .returning(counters.c.value)
    ).scalar_one()
    return range(int(last) - count + 1, int(last) + 1)


def counter(connection: Connection, name: str) -> int:
    """The last id that was given (which is also about how many rows there are)."""
    column = schema.counters.c
    return int(connection.execute(select(column.value).where(column.name == name)).scalar_one())


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _quoted(path: Path) -> str:
    """A path inside a file: URI (sqlite.org/uri.html, 3.1)."""
    text = str(path.absolute())
    return text.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
