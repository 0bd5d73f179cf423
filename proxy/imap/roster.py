"""Who of those that log in by IMAP is a user, since when, and whether their mail is captured.

Doors never ask the database. The worker writes an answer for everybody who has logged in, a small
file each under data_dir/imap-roster, and renews it when users change; a door reads it at a login.
Without one a door captures as always, since the worker decides again when it takes mail in; only
the companion waits for it.

Files: `<40 hex digits of SHA-256 over the login>.json`, holding {"v": 1, "login", "user",
"enabled", "since_us"}; written whole and renamed. A keeper.
"""

import hashlib
import json
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FOLDER", "Entry", "entries", "read_entry", "write_entry"]

FOLDER: Final = "imap-roster"
MOST_BYTES: Final = 4_096


class Entry(NamedTuple):
    """`since_us`: the day from which mail in the mailbox is of interest; 0 for who is no user."""

    login: str
    user: bool
    enabled: bool
    since_us: int


def _path(folder: Path, login: str) -> Path:
    return folder / f"{hashlib.sha256(login.encode('utf-8', 'replace')).hexdigest()[:40]}.json"


def write_entry(folder: Path, entry: Entry) -> None:
    """Raises OSError. Not synced: after a power cut the worker writes it again."""
    path = _path(folder, entry.login)
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"v": 1, **entry._asdict()}), encoding="ascii")
    fresh.replace(path)


def read_entry(folder: Path, login: str) -> Entry | None:
    """What is known of a login; None if nothing is. Never raises."""
    entry = _read(_path(folder, login))
    return entry if entry is not None and entry.login == login else None


def entries(folder: Path) -> dict[str, Entry]:
    """All of them, by login: for the worker's start."""
    try:
        found = [_read(path) for path in folder.glob("*.json")]
    except OSError:
        return {}
    return {entry.login: entry for entry in found if entry is not None}


def _read(path: Path) -> Entry | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = json.loads(path.read_bytes())
        if content["v"] != 1:
            return None
        return Entry(
            str(content["login"]),
            bool(content["user"]),
            bool(content["enabled"]),
            int(content["since_us"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
