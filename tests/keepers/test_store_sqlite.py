"""A database in a file is opened safely or not at all, and noticed when it is not the same."""

import sqlite3
from pathlib import Path

import pytest

from crmstore.store import SchemaOld, Store, StoreError, StoreGone, StoreUnsafe, next_ids


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mailweir.db"


@pytest.fixture
def store(path: Path) -> Store:
    made = Store(path, busy_ms=50)
    assert made.is_new()
    made.migrate()
    return made


def test_no_database_is_an_old_schema_and_is_not_made_by_looking(tmp_path: Path) -> None:
    store = Store(tmp_path / "mailweir.db")
    with pytest.raises(SchemaOld, match="mailweir migrate"):
        store.check_schema()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_for_its_owner_only(store: Store, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_committed_is_synced(store: Store) -> None:
    with store.reading() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_pages_of_a_new_database_and_of_one_that_is_there(store: Store, tmp_path: Path) -> None:
    """Only a VACUUM changes them: an upgrade does not take hours."""
    older = tmp_path / "older.db"
    with sqlite3.connect(older) as made:
        made.execute("PRAGMA page_size = 4096")
        made.execute("CREATE TABLE before (n)")
    made.close()
    for opened, octets in ((store, 8192), (Store(older), 4096)):
        opened.migrate()
        with opened.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA page_size").scalar() == octets


def test_a_long_log_is_cut_off_at_rest_unless_somebody_reads(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = path.with_name(f"{path.name}-wal")
    with store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE more (n)")
    before = log.stat().st_size
    store.rest()
    assert log.stat().st_size == before > 0  # not a long one
    monkeypatch.setattr("crmstore.engines.sqlite.WAL_AT_REST", before - 1)
    with store.reading() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM more").scalar()
        with store.writing() as other:
            other.exec_driver_sql("INSERT INTO more VALUES (1)")
        store.rest()  # and nobody is waited for: the reader is this thread
        assert log.stat().st_size >= before
    store.rest()
    assert log.stat().st_size == 0
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM more").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() not in (0, None)


def test_a_database_without_write_ahead_log_is_refused(store: Store, path: Path) -> None:
    store.close()
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    other.close()
    with pytest.raises(StoreUnsafe, match="journal_mode=delete"), store.reading():
        pass
    store.migrate()  # which puts it right
    store.check_schema()


def test_a_file_that_was_exchanged_is_noticed(store: Store, path: Path, tmp_path: Path) -> None:
    with store.reading():
        pass
    other = Store(tmp_path / "other.db")
    other.migrate()
    other.close()
    (tmp_path / "other.db").rename(path)
    with pytest.raises(StoreGone), store.writing():
        pass
    with store.writing():  # noticed once; from now on it is the one
        pass


def test_a_file_that_goes_while_we_write_fails_the_write(store: Store, path: Path) -> None:
    with pytest.raises(StoreGone), store.writing() as connection:
        next_ids(connection, "users", 1)
        path.unlink()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_garbage_instead_of_a_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError):
        Store(path).check_schema()


def test_paths_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100% #1"
    store = Store(folder / "mailweir.db")
    store.migrate()
    store.check_schema()
    assert (folder / "mailweir.db").exists()
