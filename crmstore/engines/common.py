"""What a store may raise, and what is different from one database engine to the next.

Everything above crmstore/store.py is the same on all of them: it says what it wants of the data,
and a Backend says how a transaction begins, what an error means, and whether what is committed
will still be there after the power went.
"""

from typing import Protocol

from sqlalchemy import Connection, Engine

__all__ = ["Backend", "SchemaOld", "StoreError", "StoreGone", "StoreUnavailable", "StoreUnsafe"]


class StoreError(Exception):
    """The store cannot be used."""


class SchemaOld(StoreError):
    """The schema is not the one of this version; `mailweir migrate` brings it up."""


class StoreUnsafe(StoreError):
    """The database would not keep what it was given; its settings are not those we ask for."""


class StoreGone(StoreError):
    """The database file was moved away or replaced while it was open."""


class StoreUnavailable(StoreError):
    """Locked, full, unreadable or not answering: to be tried again."""


class Backend(Protocol):
    """One database. Safe to use from several threads."""

    engine: Engine
    elsewhere: bool  # another process does the work: while it does, ours can do its own
    busy_ms: int  # how long a writer waits for another; for connections to come

    @property
    def about(self) -> str:
        """Where it is, for people and logs; never with a password."""

    def check(self) -> None:
        """StoreGone if what is there now is not what we have open."""

    def begin(self, connection: Connection, *, writing: bool, alone: bool) -> None:
        """The first words of a transaction. `alone`: no other writer until it ends."""

    def loosen(self, connection: Connection) -> None:
        """Before the first words: a migration may make tables anew that others refer to."""

    def failure(self, error: Exception) -> StoreError | None:
        """The trouble with the store that an error means; None if it is the caller's own."""

    def doubts(self) -> tuple[str, ...]:
        """What the last connection found that is no reason to refuse, in words of `check`."""

    def is_new(self) -> bool:
        """Whether there is nothing here yet, so that migrating would lose nothing."""

    def prepare(self) -> None:
        """What must be there before the first migration."""

    def checkpoint(self) -> None:
        """Give back disk space that a write-ahead log holds. Never raises for a busy store."""

    def rest(self) -> None:
        """The same now and then, when there is nothing to write: it waits for nobody."""

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
