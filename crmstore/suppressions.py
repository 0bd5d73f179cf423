"""The suppression list: who is on it and why, runs of soft bounces, what lifts them (a keeper).

An address comes onto the list by a bounce that counts (bounce/suppression.py decides that), by a
run of soft ones, or by a person. It leaves it by a person, or by a success that says as much as the
bounce did; what a person has put there only a person takes away.
Promises: functions with a Connection work in the caller's transaction; every change raises the
counter "suppressions", by which the worker sees that the doors need a new list.
Cites: taxonomy.md; SCHEMA.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, select, true, update

from crmstore import addresses, schema
from crmstore.bulk import insert_rows
from crmstore.charsets import storable
from crmstore.linker import several
from crmstore.outcomes import Outcome
from crmstore.store import Store, counter, micros

__all__ = ["Entry", "add", "bounced", "entries", "listing", "remove", "succeeded", "version"]

MAX_WORDS = 500
MAX_PAGE = 10_000
CHUNK = 5_000

_COLUMNS = (
    "address", "category", "status", "words", "source", "evidence", "capture_id", "who", "since_us",
)  # fmt: skip
_RUN = ("address", "bounces", "source", "first_us", "last_us")

table = schema.suppressions
runs = schema.soft_runs


@dataclass(frozen=True, slots=True)
class Entry:
    """A suppressed address. `since`: seconds since 1970. `source`: live, dsn, report, manual."""

    address: str
    category: str
    status: str
    words: str
    source: str
    evidence: str
    capture_id: str | None
    who: str
    since: float


# What bounces and successes do


def bounced(connection: Connection, one: Outcome, patience: tuple[int, float]) -> bool:
    """A bounce that counts. True if it brought its recipient onto the list.

    `patience`: how many soft ones in a row, over at least how many seconds, do so.
    """
    address = one.address
    if one.state != "hard" and not _run_is_over(
        connection, address, one.source, one.at_us, patience
    ):
        return False
    if connection.execute(select(table.c.address).where(table.c.address == address)).first():
        return False
    row = (
        address, one.category, one.status[:16], storable(one.words)[:MAX_WORDS], one.source,
        one.evidence, one.capture_id, "", one.at_us,
    )  # fmt: skip
    if not insert_rows(connection, table, _COLUMNS, [row], ignore=True):
        return False  # another writer was faster
    connection.execute(delete(runs).where(runs.c.address == address))
    _changed(connection)
    return True


def _run_is_over(
    connection: Connection, address: str, source: str, at_us: int, patience: tuple[int, float]
) -> bool:
    run = connection.execute(select(runs).where(runs.c.address == address)).first()
    if run is None:
        first = (address, 1, source, at_us, at_us)
        insert_rows(connection, runs, _RUN, [first], ignore=True)
        return False
    # A report says more than a live reply: what it began, only a success of its kind ends.
    source = source if run.source == "live" else run.source
    first, last = min(run.first_us, at_us), max(run.last_us, at_us)
    connection.execute(
        update(runs)
        .where(runs.c.address == address)
        .values(bounces=run.bounces + 1, source=source, first_us=first, last_us=last)
    )
    times, seconds = patience
    return bool(run.bounces + 1 >= times and last - first >= micros(seconds))


def succeeded(connection: Connection, found: Iterable[str], *, everything: bool) -> int:
    """Mail to these addresses was taken: what bounces had brought is lifted; how many that freed.

    `everything`: also what reports had told; else only what live replies had.
    """
    freed = 0
    for chunk in several(sorted(set(found))):
        troubled = (
            select(runs.c.address)
            .where(runs.c.address.in_(chunk))
            .union_all(select(table.c.address).where(table.c.address.in_(chunk)))
        )
        if connection.execute(troubled.limit(1)).first() is None:
            continue  # nearly always: mail that arrives is no news
        connection.execute(delete(runs).where(runs.c.address.in_(chunk), _told(runs, everything)))
        freed += connection.execute(
            delete(table).where(
                table.c.address.in_(chunk), table.c.who == "", _told(table, everything)
            )
        ).rowcount
    if freed:
        _changed(connection)
    return freed


def _told(where: Table, everything: bool) -> ColumnElement[bool]:
    return true() if everything else where.c.source == "live"


def _changed(connection: Connection) -> None:
    counters = schema.counters.c
    connection.execute(
        update(schema.counters)
        .where(counters.name == "suppressions")
        .values(value=counters.value + 1)
    )


# What people do


def add(store: Store, address: str, *, words: str, who: str, category: str = "manual") -> bool:
    """Put an address onto the list; False if it was there. ValueError if it is no address."""
    key = addresses.key(address)
    if not key:
        raise ValueError(f"{address}: allowed is an address like bob@example.com")
    with store.writing() as connection:
        row = (
            key, category, "", storable(words)[:MAX_WORDS], "manual", "", None,
            storable(who)[:200] or "operator", micros(),
        )  # fmt: skip
        new = insert_rows(connection, table, _COLUMNS, [row], ignore=True) > 0
        if new:
            _changed(connection)
        return new


def remove(store: Store, address: str) -> bool:
    """Take an address off the list, and forget its soft bounces; False if it was not there."""
    key = addresses.key(address)
    with store.writing() as connection:
        connection.execute(delete(runs).where(runs.c.address == key))
        there = connection.execute(delete(table).where(table.c.address == key)).rowcount > 0
        if there:
            _changed(connection)
        return there


def listing(
    store: Store, *, address: str | None = None, limit: int = 1_000, after: str = ""
) -> list[Entry]:
    """Entries by address; pages by `after`, the last address of the page before."""
    wanted = select(table).where(table.c.address > after).order_by(table.c.address)
    if address is not None:
        wanted = wanted.where(table.c.address == (addresses.key(address) or address))
    with store.reading() as connection:
        return [_entry(row) for row in connection.execute(wanted.limit(min(limit, MAX_PAGE)))]


def entries(store: Store) -> Iterator[Entry]:
    """All of them, in pages."""
    after = ""
    while page := listing(store, limit=CHUNK, after=after):
        yield from page
        after = page[-1].address


def version(store: Store) -> int:
    """It is higher after every change."""
    with store.reading() as connection:
        return counter(connection, "suppressions")


def find(connection: Connection, found: Sequence[str]) -> dict[str, Entry]:
    """The entries of these addresses."""
    rows = connection.execute(select(table).where(table.c.address.in_(found)))
    return {row.address: _entry(row) for row in rows}


def _entry(row: Any) -> Entry:
    return Entry(
        row.address,
        row.category,
        row.status,
        row.words,
        row.source,
        row.evidence,
        row.capture_id,
        row.who,
        row.since_us / 1e6,
    )
