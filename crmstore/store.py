"""The database: opening it safely, its schema version, and transactions.

Promises: what a finished `writing()` block did is on the disk, whichever engine it is: SQLite in
the data folder (crmstore/engines/sqlite.py) or PostgreSQL (crmstore/engines/postgres.py). Their
settings that make it so are read back on every new connection. Writing blocks come one after the
other; reading never waits for writing. Trouble with the database is a StoreError, which says
whether trying again can help; what a caller did wrong is SQLAlchemy's.

Limits: nothing above this module knows which engine it is, but for the two ways to say "insert
unless it is there" (bulk.py, linker.py). Synchronous: callers use it from threads.
Cites: architecture.md "Store", libraries.md "database".
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, event, select, update

from config.database import Database
from config.secret import Secret
from crmstore import schema
from crmstore.engines.common import (
    Backend,
    SchemaOld,
    StoreError,
    StoreGone,
    StoreUnavailable,
    StoreUnsafe,
)
from crmstore.engines.sqlite import SqliteFile

__all__ = [
    "SchemaOld",
    "Store",
    "StoreError",
    "StoreGone",
    "StoreUnavailable",
    "StoreUnsafe",
    "counter",
    "micros",
    "next_ids",
    "open_store",
]

BUSY_MS = 10_000
_WRITING = "mailweir_writing"
_ALONE = "mailweir_alone"
_MIGRATING = "mailweir_migrating"


class _Place(Protocol):
    """What we need of config.settings.Store."""

    @property
    def url(self) -> Database: ...
    @property
    def password(self) -> Secret | None: ...


class _HasPlace(Protocol):
    """What we need of config.settings.Settings."""

    @property
    def data_dir(self) -> Path: ...
    @property
    def store(self) -> _Place: ...


def micros(seconds: float | None = None) -> int:
    """Seconds since 1970 (now, if not given) as the whole microseconds that the tables hold."""
    return time.time_ns() // 1000 if seconds is None else round(seconds * 1e6)


def open_store(settings: _HasPlace) -> "Store":
    """The store of these settings. Nothing is opened or made before it is used."""
    place = settings.store
    if place.url.engine == "sqlite":
        return Store(settings.data_dir / "mailweir.db")
    return Store(place.url, password=lambda: place.password)


class Store:
    """One database. Safe to use from several threads, each block its own connection."""

    def __init__(
        self,
        place: Path | Database,
        *,
        busy_ms: int | None = None,
        password: Callable[[], Secret | None] | None = None,
    ) -> None:
        """A file, or a server. `busy_ms` is how long a writer waits for another (None: BUSY_MS)."""
        self.backend: Backend
        busy_ms = BUSY_MS if busy_ms is None else busy_ms
        if isinstance(place, Path):
            self.backend = SqliteFile(place, busy_ms)
        else:
            from crmstore.engines.postgres import PostgresServer  # 40 ms that SQLite need not pay

            self.backend = PostgresServer(place, busy_ms, password or (lambda: place.password))
        event.listen(self.engine, "begin", self._begin)

    @property
    def engine(self) -> Engine:
        return self.backend.engine

    @property
    def elsewhere(self) -> bool:
        """Whether another process does the work of the store."""
        return self.backend.elsewhere

    @property
    def about(self) -> str:
        """Where it is, for people."""
        return self.backend.about

    # Transactions

    @contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[Connection]:
        """One transaction that writes: all of it, on the disk, or nothing.

        No other such block runs meanwhile. `alone=False` allows others beside it where the engine
        can: for who touches only rows that it holds.
        """
        with self._transaction(writing=True, alone=alone) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that reads: everything in it is of one moment."""
        with self._transaction(writing=False, alone=False) as connection:
            yield connection

    @contextmanager
    def _transaction(
        self, *, writing: bool, alone: bool, migrating: bool = False
    ) -> Iterator[Connection]:
        self.backend.check()
        try:
            with self.engine.connect() as plain:
                connection = plain.execution_options(
                    **{_WRITING: writing, _ALONE: alone, _MIGRATING: migrating}
                )
                try:
                    with connection.begin():
                        yield connection
                except Exception as error:
                    if self.backend.failure(error) is not None and not connection.closed:
                        connection.invalidate()  # nobody goes on with what may be half dead
                    raise
                # The commit went into the database that is there, not into a deleted one.
                if writing:
                    self.backend.check()
        except Exception as error:
            failure = self.backend.failure(error)
            if failure is None:
                raise
            raise failure from error

    def _begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        writing, alone = options.get(_WRITING, False), options.get(_ALONE, False)
        if options.get(_MIGRATING, False):
            self.backend.loosen(connection)
        self.backend.begin(connection, writing=writing, alone=alone)

    def doubts(self) -> tuple[str, ...]:
        """What is not as it should be with a database that was opened all the same."""
        return self.backend.doubts()

    def checkpoint(self) -> None:
        """Cut off a write-ahead log of ours: for a disk with little room. Never raises for a
        store that is busy."""
        self.backend.checkpoint()

    def rest(self) -> None:
        """Now and then, when there is nothing to write: a long log of ours is cut off, unless
        somebody is reading."""
        self.backend.rest()

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self.backend.close()

    # Schema

    def is_new(self) -> bool:
        """Whether there is no database here yet, so that migrate() makes it."""
        return self.backend.is_new()

    def migrate(self) -> str:
        """Bring the schema to this version, making the database if there is none.

        Returns the version. Needs no other step before it.
        """
        from crmstore import migrating

        self.backend.prepare()
        try:
            with self._transaction(writing=True, alone=True, migrating=True) as connection:
                return migrating.upgrade(connection)
        finally:
            self.close()  # a connection that is good for nothing else

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
                f"{self.about}: schema {found or 'none'}, this version needs {wanted}:"
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
