"""The store, whichever engine it is on: opened at the right version, writing is all or nothing."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from crmstore import migrating
from crmstore.store import SchemaOld, Store, StoreUnavailable, counter, micros, next_ids
from tests.conftest import store_at

Opener = Callable[..., Store]


@pytest.fixture
def another(store: Store, store_url: str, tmp_path: Path) -> Opener:
    """Opens the same database once more, as another process would."""
    return lambda **how: store_at(store_url, tmp_path / "mailweir.db", **how)


def test_migrating_twice_is_migrating_once(store: Store) -> None:
    store.check_schema()
    assert not store.is_new()
    assert store.migrate() == migrating.head()
    store.check_schema()


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_another_schema_is_refused(store: Store, version: str) -> None:
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(SchemaOld, match=version):
        store.check_schema()


def test_a_failed_block_changes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        next_ids(connection, "messages", 5)
        1 / 0  # noqa: B018
    with store.writing() as connection:
        assert list(next_ids(connection, "messages", 2)) == [1, 2]
    with store.writing() as connection:
        assert list(next_ids(connection, "messages", 2)) == [3, 4]


def test_writers_wait_and_then_say_so_and_readers_never_wait(store: Store, another: Opener) -> None:
    other = another(busy_ms=50)
    with store.writing() as connection:
        next_ids(connection, "users", 1)
        with pytest.raises(StoreUnavailable, match="lock"), other.writing():
            pass
        with other.reading() as reader:
            assert counter(reader, "users") == 0
    with other.writing():  # and is none the worse for it
        pass
    other.close()


def test_what_is_read_is_of_one_moment(store: Store, another: Opener) -> None:
    other = another()
    with store.reading() as reader:
        assert counter(reader, "users") == 0
        with other.writing() as connection:
            next_ids(connection, "users", 1)
        assert counter(reader, "users") == 0
    with store.reading() as reader:
        assert counter(reader, "users") == 1
    other.close()


def test_blocks_of_ids_never_overlap(store: Store, another: Opener) -> None:
    """Four writers, each with connections of its own; the later sees what the earlier did."""
    given: list[int] = []

    def take(own: Store) -> None:
        for _ in range(10):
            with own.writing() as connection:
                before = counter(connection, "messages")
                time.sleep(0.001)
                block = next_ids(connection, "messages", 3)
                assert block[0] == before + 1  # nobody came between
            given.extend(block)
        own.close()

    threads = [threading.Thread(target=take, args=(another(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(given) == list(range(1, 121))


def test_reading_cannot_write_by_mistake_what_nobody_would_see(store: Store) -> None:
    """PostgreSQL refuses it; on SQLite it is a transaction like any other."""
    if store.engine.dialect.name == "postgresql":
        with pytest.raises(StoreUnavailable, match="read-only"), store.reading() as connection:
            next_ids(connection, "users", 1)


def test_micros() -> None:
    assert micros(1.5) == 1_500_000
    assert abs(micros() - micros(time.time())) < 5_000_000
