"""Alembic, driven from Python: which schema version there is, and bringing it up.

Promises: an upgrade is one transaction; a failed one changes nothing. A new database is made
readable by its owner only, with the write-ahead log switched on.
Cites: libraries.md "database" (Alembic).
"""

import os
import sqlite3
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def head() -> str:
    """The version that this program was written for."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise RuntimeError("no migrations in the package")
    return found


def current(connection: Connection) -> str | None:
    """The version that the database has; None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> str:
    """Run every migration that is missing, in the caller's transaction."""
    command.upgrade(_config(connection), "head")
    return head()


def prepare_file(path: Path) -> None:
    """Make the database file if there is none, and switch its write-ahead log on."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with sqlite3.connect(path, timeout=30) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
