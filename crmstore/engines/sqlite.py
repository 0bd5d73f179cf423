"""SQLite in a file of the data folder: for one machine.

Promises: journal_mode=WAL and synchronous=FULL, set and read back on every new connection and
refused when they are not so (threats.md, "Promises"). Who writes takes the lock at the start
(BEGIN IMMEDIATE), so a transaction never fails half way for being second; reading never waits for
writing. A file that was moved away or replaced under us is noticed (StoreGone), not written.
Limits: a local disk. Cites: sqlite.org/wal.html, sqlite.org/uri.html; libraries.md "database".
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from crmstore.engines.common import StoreError, StoreGone, StoreUnavailable, StoreUnsafe

__all__ = ["SqliteFile"]

CACHE_KIB = 65_536
PAGE = 8_192  # octets; of databases that are made now (docs/decisions/0066)
WAL_PAGES = 32_768  # 256 MiB with such pages: docs/decisions/0067
WAL_AT_REST = 32 << 20  # octets


class SqliteFile:
    """See Backend."""

    def __init__(self, path: Path, busy_ms: int) -> None:
        self.path = path
        self.busy_ms = busy_ms
        self.elsewhere = False
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
            hide_parameters=True,  # people's mail does not belong into a log
        )
        event.listen(self.engine, "connect", self._connected)

    @property
    def about(self) -> str:
        return str(self.path)

    def _connected(self, connection: Any, _record: object) -> None:
        """Set what durability needs and read it back."""
        connection.isolation_level = None  # BEGIN is ours
        run = connection.execute
        run(f"PRAGMA busy_timeout = {int(self.busy_ms)}")
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

    def begin(self, connection: Connection, *, writing: bool, alone: bool) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    def loosen(self, connection: Connection) -> None:
        # Dropping the old table would delete what refers to it (sqlite.org/lang_altertable.html,
        # 7); migrating.upgrade() checks at its end that nothing refers to what is gone.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")

    def failure(self, error: Exception) -> StoreError | None:
        if isinstance(error, PoolTimeout):
            return StoreUnavailable(f"{self.path}: every connection is in use")
        # A bare DatabaseError is "malformed" or "not a database".
        if isinstance(error, OperationalError) or type(error) is DatabaseError:
            return StoreUnavailable(str(error.orig))
        return None

    def check(self) -> None:
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

    def doubts(self) -> tuple[str, ...]:
        return ()

    def is_new(self) -> bool:
        try:
            self.path.stat()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror}") from error
        return False

    def prepare(self) -> None:
        """Make the file if there is none, for its owner only; switch its write-ahead log on."""
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with sqlite3.connect(self.path, timeout=30) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE}")  # of a database that is there: nothing
            connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)

    def checkpoint(self) -> None:
        """As much as readers allow."""
        self._cut_off(self.busy_ms)

    def rest(self) -> None:
        """A long log is cut off, unless somebody is reading: nobody is waited for."""
        try:
            long = os.stat(f"{self.path}-wal").st_size > WAL_AT_REST
        except OSError:
            return  # there is none
        if long:
            self._cut_off(0)

    def _cut_off(self, patience_ms: float) -> None:
        """Copy the log into the database and make it empty. What fails here fails in the next
        write as well, which tells of it."""
        try:
            with self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                if driver is not None:  # outside of a transaction, which SQLAlchemy would begin
                    driver.execute(f"PRAGMA busy_timeout = {int(patience_ms)}")
                    try:
                        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                    finally:
                        driver.execute(f"PRAGMA busy_timeout = {int(self.busy_ms)}")
        except (SQLAlchemyError, sqlite3.Error, StoreError):
            pass

    def close(self) -> None:
        self._inode = None
        self.engine.dispose()


def _quoted(path: Path) -> str:
    """A path inside a file: URI (sqlite.org/uri.html, 3.1)."""
    text = str(path.absolute())
    return text.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
