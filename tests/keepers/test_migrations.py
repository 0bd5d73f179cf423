"""All migrations applied = the schema, in every table, constraint and index."""

import re
import sqlite3
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from crmstore import schema
from crmstore.store import Store


def described(path: Path) -> dict[str, str]:
    """Name -> definition of everything in a database, without differences of layout."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {
            name: "".join(sorted(re.split(r"[\s,]+", sql.replace("(", "( ").replace(")", " )"))))
            for name, sql in rows
            if name not in ("alembic_version", "sqlite_sequence")
        }


def test_migrations_give_the_schema(tmp_path: Path) -> None:
    Store(tmp_path / "migrated.db").migrate()
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    schema.metadata.create_all(engine)
    engine.dispose()
    assert described(tmp_path / "migrated.db") == described(tmp_path / "made.db")


def test_alembic_sees_no_difference(tmp_path: Path) -> None:
    store = Store(tmp_path / "mailweir.db")
    store.migrate()
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_counters_begin_at_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "mailweir.db")
    store.migrate()
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT name, value FROM counters ORDER BY name").all()
    assert [tuple(row) for row in rows] == [(name, 0) for name in sorted(schema.COUNTED)]


def test_the_schema_is_also_postgresql() -> None:
    """Nothing in it is SQLite's alone; the engine itself comes with a later issue."""
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_identifiers_fit_postgresql() -> None:
    names = [
        str(getattr(item, "name", ""))
        for table in schema.metadata.sorted_tables
        for item in [table, *table.constraints, *table.indexes]
    ]
    assert [name for name in names if len(name) > 63] == []
