"""The file with the keys of signed return paths: made, read, rotated (a keeper).

A line is `name created secret`: one character, seconds since 1970, 64 hexadecimal digits. The
first line signs. `keep` makes the file, puts a new key on top when the first is older than ROTATE,
and drops those that no return path in the world can still be signed with.
Promises: written whole or not at all, mode 0600; a file that cannot be understood is never
overwritten. A file that the configuration names (`bounce.key_file`, several machines share it) is
read and never written.
Cites: bounce/verp.py; docs/operating.md.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from bounce.verp import LIFETIME, Key

__all__ = ["NAME", "BadKeyFile", "keep", "read"]

NAME = "return-path.keys"  # in data_dir
ROTATE = 90 * 86_400.0
_NAMES = "0123456789abcdefghijklmnopqrstuvwxyz"
_MOST = len(_NAMES)


class BadKeyFile(ValueError):
    """The file is not one of keys; the words say which line."""


class _Line(NamedTuple):
    name: str
    created: int
    secret: str


def read(path: Path) -> list[Key]:
    """The keys, the one that signs first. OSError, BadKeyFile."""
    return [Key(line.name, bytes.fromhex(line.secret)) for line in _lines(path)]


def keep(path: Path, now: float) -> bool:
    """Make the file, or rotate its keys when it is time; True if it was written."""
    try:
        lines = _lines(path)
    except FileNotFoundError:
        lines = []
    if lines and now - lines[0].created < ROTATE:
        return False
    # A key signs until the next one comes, and what it signed is believed for LIFETIME more.
    ends = [line.created for line in lines]
    kept = [
        line
        for number, line in enumerate(lines)
        if number == 0 or now - ends[number - 1] < LIFETIME + 86_400
    ][: _MOST - 1]
    taken = {line.name for line in lines}
    name = next((n for n in _NAMES if n not in taken), lines[-1].name if lines else "0")
    kept = [line for line in kept if line.name != name]
    _write(path, [_Line(name, int(now), secrets.token_hex(32)), *kept])
    return True


def _lines(path: Path) -> list[_Line]:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadKeyFile(f"{path}: others may read it (chmod 600)")
    found: list[_Line] = []
    for number, text in enumerate(path.read_text("ascii", "replace").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        words = text.split()
        good = len(words) == 3 and words[0] in _NAMES and len(words[0]) == 1
        good = good and words[1].isdigit() and len(words[1]) < 12 and len(words[2]) == 64
        if not good or words[2].strip("0123456789abcdefABCDEF"):
            raise BadKeyFile(f"{path}, line {number}: allowed is: name, seconds, 64 hex digits")
        if any(line.name == words[0] for line in found):
            raise BadKeyFile(f"{path}, line {number}: the name {words[0]} comes twice")
        found.append(_Line(words[0], int(words[1]), words[2]))
    if not found:
        raise BadKeyFile(f"{path}: no key in it")
    return found


def _write(path: Path, lines: list[_Line]) -> None:
    new = path.with_name(path.name + ".tmp")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write("".join(f"{' '.join(map(str, line))}\n" for line in lines))
        file.flush()
        os.fsync(fd)
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
