"""Many rows in one statement: the fast way in, where SQLAlchemy's own costs as much as the engine.

Rows are tuples in the order of the columns that are named once. On SQLite the compiled statement is
kept and handed to the driver as it is. On PostgreSQL rows go in by COPY; where rows that are there
already are left alone, which COPY cannot, all of them are one JSON parameter of one INSERT (a
parameter for each value costs ten times as much; both measured, docs/decisions/0061).
Errors are SQLAlchemy's on both engines.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Dialect,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
)
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
    if dialect.name == "postgresql":
        if not ignore:
            from crmstore.engines.postgres import copy_rows

            return copy_rows(connection, table.name, columns, rows)
        given = {"rows": json.dumps(rows, separators=(",", ":"))}
        return max(connection.execute(_ignoring(table, columns), given).rowcount, 0)
    text = _compiled(dialect, table, columns, ignore)
    return max(connection.exec_driver_sql(text, list(rows)).rowcount, 0)


@cache
def _compiled(dialect: Dialect, table: Table, columns: tuple[str, ...], ignore: bool) -> str:
    """For a driver with positional parameters."""
    insert = sqlite.insert(table)
    compiled = (insert.on_conflict_do_nothing() if ignore else insert).compile(
        dialect=dialect, column_keys=list(columns)
    )
    if list(compiled.positiontup or ()) != list(columns):
        raise AssertionError(f"{table.name}: the columns must stand in the table's order")
    return str(compiled)


@cache
def _ignoring(table: Table, columns: tuple[str, ...]) -> postgresql.Insert:
    """From a JSON array of arrays; octets have no place in JSON."""
    if any(isinstance(table.c[name].type, LargeBinary) for name in columns):
        raise AssertionError(f"{table.name}: octets cannot be inserted with ignore=True")
    rows = func.json_array_elements(cast(bindparam("rows", type_=Text), JSON)).table_valued("value")
    values = []
    for position, name in enumerate(columns):
        value, kind = rows.c.value.op("->>")(position), table.c[name].type
        # a cast would cut a text that is too long; unasked, PostgreSQL refuses it
        values.append(value if isinstance(kind, String) else cast(value, kind))
    insert = postgresql.insert(table).from_select(list(columns), select(*values))
    return insert.on_conflict_do_nothing()
