"""Many rows in one statement: the fast way in, where SQLAlchemy's own costs as much as SQLite.

Rows are tuples in the order of the columns that are named once. Where the driver takes positional
parameters (SQLite) the compiled statement is kept and handed over as it is, 5 µs a row less;
elsewhere the rows become dictionaries for Core's executemany.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_rows"]

Row = tuple[Any, ...]


def insert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Row],
    *,
    ignore: bool = False,
) -> int:
    """INSERT; with `ignore`, rows that are there already are left alone. Returns how many came
    to be new."""
    if not rows:
        return 0
    dialect = connection.dialect
    if dialect.positional and dialect.paramstyle == "qmark":
        text = _compiled(dialect, table, columns, ignore)
        return max(connection.exec_driver_sql(text, list(rows)).rowcount, 0)
    statement = _statement(dialect, table, ignore)
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return max(connection.execute(statement, named).rowcount, 0)


@cache
def _compiled(dialect: Dialect, table: Table, columns: tuple[str, ...], ignore: bool) -> str:
    compiled = _statement(dialect, table, ignore).compile(
        dialect=dialect, column_keys=list(columns)
    )
    if list(compiled.positiontup or ()) != list(columns):
        raise AssertionError(f"{table.name}: the columns must stand in the table's order")
    return str(compiled)


def _statement(dialect: Dialect, table: Table, ignore: bool) -> Any:
    if dialect.name == "postgresql":
        plain = postgresql.insert(table)
        return plain.on_conflict_do_nothing() if ignore else plain
    other = sqlite.insert(table)
    return other.on_conflict_do_nothing() if ignore else other
