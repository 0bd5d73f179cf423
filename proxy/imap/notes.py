"""Notes from IMAP doors to the worker: who has logged in, what a look into a mailbox has found.

What is not mail is not in the journal, and a door never touches the database: so it leaves a note,
a small file under data_dir/imap-notes. A later note of the same login or mailbox takes the place of
an earlier one, so there are never more than these, whoever is away. The worker takes the notes (a
rename, so that none written meanwhile is lost), does what they say in one transaction, and only
then deletes them; all of it may happen twice without harm.

Promise: leave() returns when the note is on the disk. It blocks for that: call it in a thread.
Limits: MOST_BYTES a note. A keeper.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from crmstore.mailplace import Look
from crmstore.uidset import UidSet

__all__ = ["FOLDER", "Login", "Taken", "leave", "take"]

FOLDER: Final = "imap-notes"
MOST_BYTES: Final = 4 << 20
MOST_NOTES: Final = 500  # taken at once
_FRESH, _TAKEN = ".json", ".taken"


class Login(NamedTuple):
    """Somebody has logged in; `at_us` is when."""

    login: str
    at_us: int


class Taken(NamedTuple):
    """Notes that the worker holds; done() when the store has them."""

    notes: Sequence[Login | Look]
    paths: Sequence[Path]
    more: bool

    def done(self) -> None:
        for path in self.paths:
            path.unlink(missing_ok=True)


def leave(folder: Path, note: Login | Look) -> None:
    """Write a note, durably. Raises OSError."""
    name = f"{note.login}\0{note.mailbox}" if isinstance(note, Look) else note.login
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:40]
    path = folder / f"{digest}{_FRESH}"
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh = folder / f"{digest}.{os.getpid()}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_packed(note))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(where)
    finally:
        os.close(where)


def take(folder: Path) -> Taken:
    """The notes that there are, those first that an earlier worker held and did not finish."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return Taken((), (), False)
    held = [folder / name for name in names if name.endswith(_TAKEN)]
    fresh = [folder / name for name in names if name.endswith(_FRESH)]
    for path in fresh[: max(0, MOST_NOTES - len(held))]:
        taken = path.with_suffix(_TAKEN)
        if taken not in held:
            path.rename(taken)
            held.append(taken)
    held = held[:MOST_NOTES]
    notes = [note for note in map(_read, held) if note is not None]
    return Taken(notes, held, len(fresh) >= MOST_NOTES)


def _packed(note: Login | Look) -> bytes:
    content: dict[str, Any] = {"v": 1, "login": note.login}
    if isinstance(note, Look):
        content |= {
            "kind": "look",
            "mailbox": note.mailbox,
            "special": note.special,
            "uidvalidity": note.uidvalidity,
            "present": str(note.present),
            "skipped": str(note.skipped),
        }
    else:
        content |= {"kind": "login", "at_us": note.at_us}
    return json.dumps(content).encode("ascii")


def _read(path: Path) -> Login | Look | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = json.loads(path.read_bytes())
        if content["kind"] == "login":
            return Login(str(content["login"]), int(content["at_us"]))
        return Look(
            str(content["login"]),
            str(content["mailbox"]),
            str(content["special"])[:16],
            int(content["uidvalidity"]),
            UidSet.parse(content["present"]),
            UidSet.parse(content["skipped"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
