"""Many rows or values in one statement, where SQLAlchemy's own way costs as much as the engine.

Rows are tuples in the order of the columns that are named once. On SQLite the compiled statement is
kept and handed to the driver as it is. On PostgreSQL rows go in by COPY; where rows that are there
already are left alone, which COPY cannot, all of them are one JSON parameter of one INSERT (a
parameter for each value costs ten times as much; both measured, docs/decisions/0061).
Values that are looked for are one JSON parameter on both: IN with 500 parameters costs 8 ms of
ours on psycopg, 1.4 ms on SQLite. Errors are SQLAlchemy's on both engines.
"""

import json
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

__all__ = [
    "among", "among_given", "by_index", "given", "insert_ignoring", "insert_rows", "numbers",
    "rows_among", "texts",
]  # fmt: skip

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
        asked = {"rows": json.dumps(rows, separators=(",", ":"))}
        return max(connection.execute(_ignoring(table, columns), asked).rowcount, 0)
    text = _compiled(dialect, table, columns, ignore)
    return max(connection.exec_driver_sql(text, list(rows)).rowcount, 0)


def among(
    connection: Connection, column: ColumnElement[Any], values: Collection[str] | Collection[int]
) -> ColumnElement[bool]:
    """The condition that the column has one of these values, as cheap as each engine takes it.

    As many values as linker.several gives at once; an index on the column is used.
    """
    asked = bindparam(None, json.dumps(list(values)), type_=Text)
    return _among(connection.dialect.name, column, asked)


def rows_among(
    connection: Connection,
    wanted: Select[Any],
    column: ColumnElement[Any],
    values: Collection[str] | Collection[int],
) -> CursorResult[Any]:
    """The rows of a query where the column has one of these values. The query and the column are
    constants of a module: the statement is put together once, which is five sixths of our cost."""
    statement = _with_values(connection.dialect.name, wanted, column)
    return connection.execute(statement, given(values))


def among_given(engine: str, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition of among(), of a statement that is run for several lists: each time with the
    parameters that given() makes of one. `engine` is the dialect's name."""
    return _among(engine, column, bindparam("given", type_=Text))


def given(values: Collection[str] | Collection[int]) -> dict[str, str]:
    """The parameters of among_given()."""
    return {"given": json.dumps(list(values))}


def numbers(connection: Connection, values: Collection[int]) -> ColumnElement[int]:
    """The column of a table of these whole numbers, to ask something of each of them."""
    return _each(connection, values, BigInteger(), "asked")


def texts(connection: Connection, values: Collection[str]) -> ColumnElement[str]:
    """The same of texts."""
    return _each(connection, values, Text(), "texts")


def _each(
    connection: Connection,
    values: Collection[str] | Collection[int],
    kind: TypeEngine[Any],
    name: str,
) -> ColumnElement[Any]:
    asked = bindparam(None, json.dumps(list(values)), type_=Text)
    if connection.dialect.name != "postgresql":
        return func.json_each(asked).table_valued(column("value", kind), name=name).c.value
    each = func.json_array_elements_text(cast(asked, JSON)).table_valued("value")
    return select(cast(each.c.value, kind).label("value")).subquery(name).c.value


def by_index(connection: Connection) -> None:
    """For this transaction: no statement reads a table whole where an index would do. PostgreSQL
    thinks of it while it knows little of a table (one that is new, or empty), and keeps to what it
    thought then: in a burst into a new store looking for threads cost as much as writing."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")


@cache
def _with_values(engine: str, wanted: Select[Any], column: ColumnElement[Any]) -> Select[Any]:
    return wanted.where(_among(engine, column, bindparam("given", type_=Text)))


def _among(
    engine: str, column: ColumnElement[Any], values: BindParameter[str]
) -> ColumnElement[bool]:
    if engine != "postgresql":
        asked = func.json_each(values)
        return column.in_(select(asked.table_valued("value", name="asked").c.value))
    each: ColumnElement[Any] = func.json_array_elements_text(cast(values, JSON))
    if not isinstance(column.type, String):  # a text as it is: a cast to VARCHAR would cut it
        each = cast(each, column.type)
    return column == any_(func.array(select(each).scalar_subquery()))


def insert_ignoring(
    engine: str, table: Table, columns: Sequence[str], rows: Select[Any]
) -> postgresql.Insert | sqlite.Insert:
    """INSERT from a query; rows that are there already are left alone."""
    names = list(columns)
    if engine == "postgresql":
        return postgresql.insert(table).from_select(names, rows).on_conflict_do_nothing()
    return sqlite.insert(table).from_select(names, rows).on_conflict_do_nothing()


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
