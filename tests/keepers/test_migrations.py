"""All migrations applied = the schema, in every table, constraint and index, on each engine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from crmstore import capturerules, document, migrating, schema
from crmstore.search import search
from crmstore.store import Store
from tests.conftest import blank, store_at

SQLITE = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
POSTGRESQL = """
SELECT 'column ' || table_name || '.' || column_name,
       concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default, is_identity)
FROM information_schema.columns WHERE table_schema = 'public'
UNION SELECT 'constraint ' || conname, conrelid::regclass || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""
OWN = ("alembic_version", "sqlite_sequence")


def described(connection: Connection) -> dict[str, str]:
    """Name -> definition of everything in a database, without differences of layout."""
    if connection.dialect.name == "postgresql":
        rows = connection.execute(text(POSTGRESQL)).all()
        return {name: sql for name, sql in rows if OWN[0] not in name}
    found = connection.execute(text(SQLITE)).all()
    return {
        name: "".join(sorted(re.split(r'[\s,"]+', sql.replace("(", "( ").replace(")", " )"))))
        for name, sql in found
        if name not in OWN
    }


@pytest.fixture
def made(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Iterator[Store]:
    """A database that schema.py made, without migrations."""
    url = store_url if store_url == "sqlite" else request.getfixturevalue("postgres_url")
    empty = store_at(url, tmp_path / "made.db")
    empty.backend.prepare()
    with empty.writing() as connection:
        schema.metadata.create_all(connection)
    yield empty
    empty.close()


@pytest.mark.slow
def test_migrations_give_the_schema(store: Store, made: Store) -> None:
    with store.reading() as migrated, made.reading() as plain:
        assert described(migrated) == described(plain)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*expression-based index")  # test_migrations_give_the_schema
def test_alembic_sees_no_difference(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_the_index_of_search_is_built_anew_of_the_texts(
    request: pytest.FixtureRequest, store_url: str, tmp_path: Path
) -> None:
    """From the engine's own index (0012) to tables of ours, with mail that is there already."""
    url = store_url if store_url == "sqlite" else request.getfixturevalue("postgres_url")
    old = store_at(url, tmp_path / "old.db")
    old.backend.prepare()
    with old.writing() as connection:
        command.upgrade(migrating._config(connection), "0012_links")
        for id_ in (3, 5, 400, 90_000):
            row = blank(schema.messages, id=id_, sha256=f"{id_:064}", identity=f"{id_:032}")
            connection.execute(insert(schema.messages).values(row))
            packed = document.packed(f"見積書 number{id_}")
            row = {"message_id": id_, "document": packed}
            connection.execute(insert(schema.search_texts).values(row))
    old.migrate()
    assert [row["id"] for row in search(old, "見積書").rows] == [90_000, 400, 5, 3]
    assert [row["id"] for row in search(old, "number400 積").rows] == [400]
    old.close()


def test_rules_and_what_is_to_be_done_stay(
    request: pytest.FixtureRequest, store_url: str, tmp_path: Path
) -> None:
    """From rules that leave out (0015) to those that put mail onto records, too."""
    url = store_url if store_url == "sqlite" else request.getfixturevalue("postgres_url")
    old = store_at(url, tmp_path / "old.db")
    old.backend.prepare()
    with old.writing() as connection:
        command.upgrade(migrating._config(connection), "0015_rules")
        for sql in (
            "INSERT INTO users (id, login, name, enabled, created_us) VALUES (1, 'a', '', 1, 0)",
            "INSERT INTO capture_rules VALUES (3, 1, 'from', 'b@x.example', 'hand', '', 0)",
            "INSERT INTO relinks (what, address, contact_id, user_id, from_us, when_us, message_id)"
            " VALUES ('hide', 'a@x.example', 0, 1, 0, 5, 6)",
        ):
            connection.exec_driver_sql(sql)
    old.migrate()
    (rule,) = capturerules.listing(old, "a")
    assert (rule.id, rule.field, rule.pattern, rule.record) == (3, "from", "b@x.example", None)
    with old.reading() as connection:
        (job,) = connection.execute(select(schema.relinks)).all()
    assert (job.what, job.user_id, job.when_us, job.message_id) == ("hide", 1, 5, 6)
    twice = (
        "INSERT INTO capture_rules (id, user_id, field, pattern, origin, words, created_us)"
        " VALUES (4, 1, 'from', 'b@x.example', 'hand', '', 0)"
    )
    with pytest.raises(IntegrityError), old.writing() as connection:
        connection.exec_driver_sql(twice)
    old.close()


def test_counters_begin_at_nothing(store: Store) -> None:
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT name, value FROM counters ORDER BY name").all()
    assert [tuple(row) for row in rows] == [(name, 0) for name in sorted(schema.COUNTED)]


def test_identifiers_fit_postgresql() -> None:
    names = [
        str(getattr(item, "name", ""))
        for table in schema.metadata.sorted_tables
        for item in [table, *table.constraints, *table.indexes]
    ]
    assert [name for name in names if len(name) > 63] == []
