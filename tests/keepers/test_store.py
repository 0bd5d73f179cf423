"""The database is opened safely or not at all; writing is all or nothing."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from crmstore.store import (
    SchemaOld,
    Store,
    StoreError,
    StoreGone,
    StoreUnavailable,
    StoreUnsafe,
    micros,
    next_ids,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "mailweir.db", busy_ms=50)
    made.migrate()
    return made


def test_no_database_is_an_old_schema_and_is_not_made_by_looking(tmp_path: Path) -> None:
    store = Store(tmp_path / "mailweir.db")
    with pytest.raises(SchemaOld, match="mailweir migrate"):
        store.check_schema()
    assert list(tmp_path.iterdir()) == []


def test_migrating_twice_is_migrating_once(store: Store) -> None:
    store.check_schema()
    assert store.migrate() == "0001"
    store.check_schema()


def test_the_file_is_for_its_owner_only(store: Store) -> None:
    assert store.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_another_schema_is_refused(store: Store, version: str) -> None:
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(SchemaOld, match=version):
        store.check_schema()


def test_what_was_committed_is_synced(store: Store) -> None:
    with store.reading() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_database_without_write_ahead_log_is_refused(store: Store) -> None:
    store.close()
    other = sqlite3.connect(store.path)
    assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    other.close()
    with pytest.raises(StoreUnsafe, match="journal_mode=delete"), store.reading():
        pass
    store.migrate()  # which puts it right
    store.check_schema()


def test_a_failed_block_changes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        next_ids(connection, "messages", 5)
        1 / 0  # noqa: B018
    with store.writing() as connection:
        assert list(next_ids(connection, "messages", 2)) == [1, 2]
    with store.writing() as connection:
        assert list(next_ids(connection, "messages", 2)) == [3, 4]


def test_writers_wait_and_then_say_so_and_readers_never_wait(store: Store) -> None:
    other = Store(store.path, busy_ms=50)
    with store.writing() as connection:
        next_ids(connection, "users", 1)
        with pytest.raises(StoreUnavailable, match="locked"), other.writing():
            pass
        with other.reading() as reader:
            value = "SELECT value FROM counters WHERE name = 'users'"
            assert reader.exec_driver_sql(value).scalar() == 0
    other.close()


def test_a_file_that_was_exchanged_is_noticed(store: Store, tmp_path: Path) -> None:
    with store.reading():
        pass
    other = Store(tmp_path / "other.db")
    other.migrate()
    other.close()
    (tmp_path / "other.db").rename(store.path)
    with pytest.raises(StoreGone), store.writing():
        pass
    with store.writing():  # noticed once; from now on it is the one
        pass


def test_a_file_that_goes_while_we_write_fails_the_write(store: Store) -> None:
    with pytest.raises(StoreGone), store.writing() as connection:
        next_ids(connection, "users", 1)
        store.path.unlink()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_garbage_instead_of_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mailweir.db"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        Store(path).check_schema()


def test_paths_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100% #1"
    store = Store(folder / "mailweir.db")
    store.migrate()
    store.check_schema()
    assert (folder / "mailweir.db").exists()


def test_micros() -> None:
    assert micros(1.5) == 1_500_000
    assert abs(micros() - micros(__import__("time").time())) < 5_000_000
