"""PostgreSQL, for one machine or for several: a store that other programs may read as well.

Promises, read back on every new connection (PostgreSQL manual, 20.5): fsync is on, else it is
refused (StoreUnsafe); synchronous_commit is at least "local", for us, whatever the server's
default; the database is UTF-8. A standby is not written.
Writers come one after the other, as on SQLite: who writes alone takes one advisory lock at the
start and sees all that was committed before, so ids in blocks, "is this address taken?" and
positions of ingest are right with any number of workers and commands. Only the queue's runners
do without it: they hold single rows (FOR UPDATE SKIP LOCKED). Reading sees one moment (REPEATABLE
READ) and waits for nobody.
The server may go at any time: every such error is a StoreUnavailable, its connection is dropped,
and each connection is tried before it is used again. A transaction that was cut off at its COMMIT
may be done or not: whoever tries again looks first (intake's positions, the queue's leases).
Bounded: CONNECT_SECONDS to connect, busy_ms for a lock, IDLE_SECONDS for a transaction that does
nothing (a process that was stopped holds no lock for ever), TCP keepalives for a silent network.
Limits: a connection pooler must be in session mode. full_page_writes=off is for file systems that
never tear a page, which nobody can ask: `mailweir check` warns.
Cites: architecture.md "Store"; libraries.md "database", "queue on many nodes".
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, create_engine, event, func, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.database import Database
from config.secret import Secret
from crmstore.engines.common import StoreError, StoreUnavailable, StoreUnsafe

__all__ = ["PostgresServer", "copy_rows"]

CONNECT_SECONDS = 10
IDLE_SECONDS = 120
WRITER = 0x6D61_696C_7765_6972  # "mailweir": the advisory lock of who writes alone

_SET = """
SELECT set_config('lock_timeout', %(busy)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle)s, false),
       set_config('TimeZone', 'UTC', false),
       set_config('jit', 'off', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
# Tokens and texts are packed twice as fast as by pglz, and smaller; where a server has no lz4
# (PostgreSQL 13, or built without), it stays as it is.
_PACK = """SELECT set_config(name, 'lz4', false) FROM pg_settings
 WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"""
_ASK = """
SELECT current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('full_page_writes'), current_setting('server_encoding'),
       pg_is_in_recovery()
"""
# What a message's own content can do (manual, appendix A): data exceptions, broken constraints.
_CALLERS = ("22", "23")


class PostgresServer:
    """See Backend. `password` is asked for each connection, so that it may change."""

    def __init__(
        self, database: Database, busy_ms: int, password: Callable[[], Secret | None]
    ) -> None:
        self.database = database
        self.busy_ms = busy_ms
        self.elsewhere = True
        self._password = password
        self._doubts: tuple[str, ...] = ()
        self.engine = create_engine(
            "postgresql+psycopg://",
            pool_size=4,
            max_overflow=4,
            pool_pre_ping=True,
            pool_use_lifo=True,
            # psycopg counts the rows of INSERT ... ON CONFLICT; SQLAlchemy would forget it
            execution_options={"preserve_rowcount": True},
            hide_parameters=True,
        )
        event.listen(self.engine, "do_connect", self._connecting)
        event.listen(self.engine, "connect", self._connected)

    @property
    def about(self) -> str:
        return str(self.database)

    # Connections

    def _connecting(self, _dialect: object, _record: object, _args: object, how: Any) -> None:
        """Where to: nothing of it goes through a URL, which somebody might print."""
        database = self.database
        how.update(
            connect_timeout=CONNECT_SECONDS,
            application_name="mailweir",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            client_encoding="UTF8",
        )
        given = {"host": database.host, "user": database.user, "dbname": database.name}
        how.update({key: value for key, value in given.items() if value})
        if database.port.strip(","):
            how["port"] = database.port
        how.update(database.options)
        try:
            password = self._password()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no password in it"
            raise StoreUnavailable(f"store.password_file: {reason}") from None
        if password is not None:
            how["password"] = password.reveal()

    def _connected(self, connection: Any, _record: object) -> None:
        """Set what durability needs and read it back."""
        connection.autocommit = True  # BEGIN is ours
        run = connection.execute
        idle = str(IDLE_SECONDS * 1000)
        try:
            run(_SET, {"busy": str(int(self.busy_ms)), "idle": idle})
            run(_PACK)
            fsync, commit, pages, encoding, standby = run(_ASK).fetchone()
        except psycopg.Error as error:
            raise self._trouble(error) from error
        if fsync != "on" or commit == "off":
            raise StoreUnsafe(
                f"{self.about}: fsync={fsync} synchronous_commit={commit}, allowed is fsync=on"
                " synchronous_commit=on (postgresql.conf): what is committed would be lost with"
                " the power"
            )
        if encoding != "UTF8":
            raise StoreUnsafe(
                f"{self.about}: its encoding is {encoding}, allowed is UTF8 (CREATE DATABASE ..."
                " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8')"
            )
        if standby:
            raise StoreUnavailable(f"{self.about}: a standby, which cannot be written")
        self._doubts = ("torn",) if pages != "on" else ()
        if not connection.pgconn.ssl_in_use and not _near(connection.info.hostaddr):
            self._doubts += ("clear",)

    def begin(self, connection: Connection, *, writing: bool, alone: bool) -> None:
        run = connection.exec_driver_sql
        if not writing:
            run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        elif alone:
            run("BEGIN")
            connection.execute(select(func.pg_advisory_xact_lock(WRITER)))
        else:
            run("BEGIN")

    def loosen(self, connection: Connection) -> None:
        pass  # tables are altered in place

    # Errors

    def failure(self, error: Exception) -> StoreError | None:
        if isinstance(error, PoolTimeout):
            return StoreUnavailable(f"{self.about}: every connection is in use")
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, psycopg.Error):
            return None
        if cause.sqlstate is None:
            # Without a word from the server: the connection, or a value that cannot be sent.
            ours = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
            return self._trouble(cause) if ours else None
        return None if cause.sqlstate.startswith(_CALLERS) else self._trouble(cause)

    def _trouble(self, cause: psycopg.Error) -> StoreUnavailable:
        words = " ".join(str(cause).split()) or type(cause).__name__
        return StoreUnavailable(f"{self.about}: {words[:500]}")

    def check(self) -> None:
        pass  # who answers at this address is the database

    def doubts(self) -> tuple[str, ...]:
        """ "torn": full_page_writes=off. "clear": mail crosses the network unencrypted."""
        return self._doubts

    def is_new(self) -> bool:
        """Whether no table of ours is there. StoreUnavailable if the server cannot be asked."""
        try:
            with self.engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
        except Exception as error:
            failure = self.failure(error)
            if failure is None:
                raise
            raise failure from error
        return found is None

    def prepare(self) -> None:
        pass  # the database itself, and who may use it, are made by whoever runs the server

    def checkpoint(self) -> None:
        pass  # the server's own business

    def rest(self) -> None:
        pass  # as above

    def close(self) -> None:
        self.engine.dispose()


def _near(address: str) -> bool:
    """On this machine: a unix socket, which has no address, or loopback."""
    return not address or address.startswith("/") or ip_address(address).is_loopback


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> int:
    """COPY ... FROM STDIN, in the transaction of the connection; returns how many rows."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        return len(rows)
    except psycopg.Error as error:
        raise _told(f"COPY {table}", error) from error


def _told(statement: str, error: psycopg.Error) -> DBAPIError:
    """The driver's error as SQLAlchemy would have it."""
    if isinstance(error, psycopg.IntegrityError):
        return IntegrityError(statement, None, error)
    if isinstance(error, psycopg.DataError):
        return DataError(statement, None, error)
    return OperationalError(statement, None, error)
