"""What every test may use: a port that is free, a database, a bucket; the rule for peers.

A test that needs a real server asks for its fixture (tests/peers/), which calls `need`: a missing
program skips the test on a developer's machine and fails it under CI=true, so that a green run
there never means "not tried". Tests that use `postgres_url` or `bucket` are marked `peers`.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import ports

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

    from crmstore.store import Store
    from tests.peers.postgres import Postgres
    from tests.peers.s3 import Place, S3Server

# A busy machine is no failure, of one example or of making the first ten; --quick (bin/test) looks
# at fewer.
hypothesis.settings.register_profile(
    "default", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "quick", hypothesis.settings.get_profile("default"), max_examples=20
)
hypothesis.settings.load_profile("default")


# Where one file may take a minute, where some seconds, where some tenths.
DEAR_FIRST = ("crash", "test_launcher.py", "peers", "paths", "keepers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Among several workers, each of which takes a file at a time (bin/test), the long files come
    first: those left for the end are short, and all workers end together."""
    if hasattr(config, "workerinput"):
        rank = {folder: number for number, folder in enumerate(DEAR_FIRST)}
        items.sort(
            key=lambda item: min(
                rank.get(name, len(rank)) for name in (item.path.name, item.path.parent.name)
            )
        )


@pytest.fixture(scope="session", autouse=True)
def patient_search() -> Iterator[None]:
    """A page ends after BUDGET seconds with what was found: on a busy machine that is less than
    there is. That it does has a test, with a clock of its own."""
    from crmstore import search as module

    defaults = module.search.__kwdefaults__
    assert defaults is not None and defaults["budget"] == module.BUDGET
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "budget", 600.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_cache_of_statements() -> Iterator[None]:
    """SQLAlchemy compiles a statement once for each engine, and nearly every test has a store of
    its own: a third of their time. Those on SQLite share one dialect, and what it has compiled
    (the execution option `compiled_cache`; the keys have the dialect in them)."""
    from sqlalchemy import Engine, create_engine

    from crmstore.engines import sqlite

    shared = create_engine("sqlite://")
    compiled: dict[Any, Any] = {}
    shared.connect().close()  # from now on the dialect knows the library's version

    def sharing(*args: Any, **how: Any) -> Engine:
        made = create_engine(*args, execution_options={"compiled_cache": compiled}, **how)
        made.dialect = shared.dialect
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "create_engine", sharing)
        yield


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    return ports.free_port()


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """One PostgreSQL for the whole run. Whoever stops it starts it again."""
    from tests.peers.postgres import Postgres

    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "Postgres") -> Iterator[str]:
    """An empty database of its own, as store.url names it."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[S3Server]":
    """One S3 server for the whole run. Whoever kills it starts it again."""
    from tests.peers.s3 import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: "S3Server") -> "Place":
    """A bucket, with a prefix of its own; `bucket.toml()` is the [store] table for it."""
    return s3_server.place()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peers)])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """`store.url` of a new, migrated store, on each engine in turn: what keeps mail is tested on
    both. With "sqlite" it is in the data folder, which the test makes."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.database(_migrate)
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> "Iterator[Store]":
    """A store that is open and migrated, on each engine in turn."""
    opened = store_at(store_url, tmp_path / "mailweir.db")
    migrate(opened)
    yield opened
    opened.close()


def store_at(url: str, path: Path, **how: Any) -> "Store":
    """The store of a `store_url`; `path` is SQLite's file."""
    from config.database import parse_database
    from crmstore.store import Store

    return Store(path if url == "sqlite" else parse_database(url), **how)


def migrate(store: "Store") -> None:
    """store.migrate(), for who tests something else: a new SQLite file is a copy of one that was
    migrated, for every migration there is takes longer than most tests."""
    from crmstore.engines.sqlite import SqliteFile

    if not isinstance(store.backend, SqliteFile) or not store.is_new():
        store.migrate()
        return
    path = store.backend.path
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name("half-written")  # nobody sees a database that is not whole
    with open(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(_migrated())
    half.rename(path)


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mailweir.db"
        _migrate_new(store_at("sqlite", path))
        return path.read_bytes()  # all of it: who closes last empties the write-ahead log


def _migrate(url: str) -> None:
    _migrate_new(store_at(url, Path()))


def _migrate_new(made: "Store") -> None:
    made.migrate()
    made.close()


def blank(table: "Table", **given: Any) -> dict[str, Any]:
    """A row with something in each column that must have something; keys only as given."""
    from sqlalchemy import LargeBinary, String

    def nothing(column: "Column[Any]") -> object:
        if isinstance(column.type, LargeBinary):
            return b""
        return "" if isinstance(column.type, String) else 0

    needed = [c for c in table.c if not c.nullable and not (c.primary_key or c.unique)]
    return {c.name: nothing(c) for c in needed} | given
