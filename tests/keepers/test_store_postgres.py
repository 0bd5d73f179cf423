"""A store on a server: what it must promise, what is said when it does not, and its restarts."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from config.secret import Secret
from crmstore import schema
from crmstore.bulk import insert_rows
from crmstore.store import (
    SchemaOld,
    Store,
    StoreError,
    StoreUnavailable,
    StoreUnsafe,
    counter,
    next_ids,
)
from tests.conftest import blank, store_at
from tests.peers.postgres import USER, Postgres

pytestmark = pytest.mark.peers


@pytest.fixture
def fresh(postgres_url: str) -> Iterator[Store]:
    """On an empty database."""
    made = store_at(postgres_url, Path())
    yield made
    made.close()


@pytest.fixture
def full(fresh: Store) -> Store:
    fresh.migrate()
    return fresh


def shows(store: Store, setting: str) -> object:
    with store.reading() as connection:
        return connection.execute(text("SELECT current_setting(:s)"), {"s": setting}).scalar()


# What it promises


def test_an_empty_database_is_new_and_an_old_schema(fresh: Store) -> None:
    assert fresh.is_new()
    with pytest.raises(SchemaOld, match=r"schema none.*mailweir migrate"):
        fresh.check_schema()
    fresh.migrate()
    fresh.check_schema()
    assert not fresh.is_new()


def test_what_was_committed_is_synced_whatever_the_server_s_default(
    postgres: Postgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    with postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = store_at(postgres_url, Path())
    assert shows(store, "synchronous_commit") == "on"
    assert store.doubts() == ()
    store.close()


def test_a_server_that_does_not_sync_is_refused_and_torn_pages_are_told() -> None:
    with Postgres("fsync = off\nfull_page_writes = off\n") as server:
        store = store_at(server.database(), Path())
        for use in (store.migrate, store.check_schema, store.is_new):
            with pytest.raises(StoreUnsafe, match="fsync=off"):
                use()
        with server.connect() as connection:
            connection.execute("ALTER SYSTEM SET fsync = on")
            connection.execute("SELECT pg_reload_conf()")
        end = time.monotonic() + 60  # the server reads it when it gets to it
        while True:
            try:
                assert store.is_new() and store.doubts() == ("torn",)
                break
            except StoreUnsafe:
                assert time.monotonic() < end
                time.sleep(0.1)
        store.close()


def test_a_database_that_is_not_utf8_is_refused(postgres: Postgres) -> None:
    with postgres.connect() as connection:
        connection.execute(
            "CREATE DATABASE octets TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
        )
    store = store_at(postgres.url("octets"), Path())
    with pytest.raises(StoreUnsafe, match="SQL_ASCII"):
        store.migrate()
    store.close()
    postgres.drop(postgres.url("octets"))


# Errors: whose they are


def test_the_server_s_trouble_is_ours_and_a_caller_s_is_the_caller_s(full: Store) -> None:
    columns, row = ("id", "kind", "name", "state", "created_us"), (1, "lead", "A", "open", 1)
    with full.writing() as connection:
        insert_rows(connection, schema.records, columns, [row])
    for rows, ignore, error in (
        ([row], False, IntegrityError),
        ([(2, "lead", "a\0b", "open", 1)], False, SQLAlchemyError),
        ([(2, "lead", "a\0b", "open", 1)], True, DataError),
        ([(2, "x" * 33, "A", "open", 1)], False, DataError),
        ([(2, "x" * 33, "A", "open", 1)], True, DataError),
        ([(2, "lead", "A", "odd", 1)], True, IntegrityError),
    ):
        with pytest.raises(error) as caught, full.writing() as connection:
            insert_rows(connection, schema.records, columns, rows, ignore=ignore)
        assert not isinstance(caught.value, StoreError)
    with full.writing() as connection:
        rows = [row, (3, "lead", 'quo"te \\ 日本', "open", 1)]
        assert insert_rows(connection, schema.records, columns, rows, ignore=True) == 1
    with pytest.raises(StoreUnavailable, match="does not exist"), full.reading() as connection:
        connection.execute(text("SELECT 1 FROM nothing_of_ours"))


def test_who_cannot_be_reached_or_does_not_let_us_in(postgres: Postgres, postgres_url: str) -> None:
    for url, words in (
        (postgres_url.replace(str(postgres.port), "1"), "refused"),
        (postgres.url("nowhere"), "does not exist"),
        (postgres_url.replace(USER, "nobody"), "nobody"),
    ):
        store = store_at(url, Path())
        for use in (store.check_schema, store.migrate, store.is_new):
            with pytest.raises(StoreUnavailable, match=words) as caught:
                use()
            assert len(str(caught.value).splitlines()) == 1
        store.close()


def test_a_password_is_asked_for_each_connection_and_never_told(postgres_url: str) -> None:
    asked = []

    def password() -> Secret:
        asked.append(1)
        return Secret("hunter2")

    store = store_at(postgres_url.replace(USER, "nobody"), Path(), password=password)
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            store.check_schema()
        seen = [f"{error!s}{error!r}" for error in causes(caught.value)]
        assert "hunter2" not in f"{seen}{store.about}{store.engine!r}{store.backend.__dict__!r}"
    assert len(asked) == 2
    store.close()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# Comings and goings


def test_a_restart_costs_one_error_at_most_and_nothing_that_was_committed() -> None:
    with Postgres() as server:
        store = store_at(server.database(), Path())
        store.migrate()

        def stopped_and_started() -> None:
            server.stop()
            server.start()

        for crash in (server.restart_immediate, stopped_and_started):
            with store.writing() as connection:
                before = next_ids(connection, "messages", 5)[-1]
            crash()
            with store.reading() as connection:  # idle connections were tried first
                assert counter(connection, "messages") == before
            with pytest.raises(StoreUnavailable), store.writing() as connection:
                next_ids(connection, "messages", 5)
                crash()
                next_ids(connection, "messages", 5)
            with store.writing() as connection:
                assert counter(connection, "messages") == before
        server.stop()
        with pytest.raises(StoreUnavailable, match="refused"), store.reading():
            pass
        server.start()
        store.check_schema()
        store.close()


def test_a_crash_while_rows_go_in_by_copy(postgres: Postgres, full: Store) -> None:
    message = {"id": 1, "sha256": "0" * 64}
    columns = ("id", "message_id", "role", "address", "name", "evidence", "capture_id", "when_us")
    row = (1, "to", "a@x.example", "A", "to header", None, 1)

    def rows() -> Iterator[tuple[object, ...]]:
        for n in range(50_000):
            if n == 20_000:
                with postgres.connect() as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'mailweir'"
                    )
            yield (n, *row)

    with full.writing() as connection:
        connection.execute(insert(schema.messages).values(blank(schema.messages, **message)))
    with pytest.raises(StoreUnavailable), full.writing() as connection:
        insert_rows(connection, schema.participants, columns, Rows(rows()))  # type: ignore[arg-type]
    with full.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM participants")).scalar() == 0


class Rows:
    """Rows that are made while they are sent."""

    def __init__(self, rows: Iterator[tuple[object, ...]]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return self.rows


def test_a_process_that_sleeps_holds_no_lock_for_ever(
    full: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmstore.engines.postgres.IDLE_SECONDS", 1)
    sleeper = store_at(postgres_url, Path())
    holds, done = threading.Event(), threading.Event()

    def sleep() -> None:
        try:
            with sleeper.writing() as connection:
                next_ids(connection, "users", 1)
                holds.set()
                done.wait(60)
                next_ids(connection, "users", 1)
        except StoreUnavailable:
            pass

    thread = threading.Thread(target=sleep)
    thread.start()
    assert holds.wait(60)
    with full.writing() as connection:  # waits for the sleeper's time to be over
        assert counter(connection, "users") == 0
    done.set()
    thread.join(60)
    assert not thread.is_alive()
    sleeper.close()
