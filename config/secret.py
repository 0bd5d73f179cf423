"""A text that hides itself: passwords never stand in a log line, a traceback or a dump."""

from dataclasses import dataclass
from pathlib import Path


class Secret:
    """Holds a secret; only `reveal()` shows it, so that each use can be found by its name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def read_secret(path: Path) -> Secret:
    """The first line of a file, without its line end. Raises OSError or ValueError."""
    with path.open("rb") as file:
        raw = file.read(4097)
    line = raw.splitlines()[0] if raw.splitlines() else b""
    if not line or len(raw) > 4096:
        raise ValueError("a file with the password on its first line, at most 4096 octets")
    return Secret(line.decode("utf-8"))


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The two halves of a key to a bucket."""

    id: str
    secret: Secret


def read_access_key(path: Path) -> AccessKey:
    """The first line of a file, ID:SECRET. Raises OSError or ValueError."""
    ident, colon, secret = read_secret(path).reveal().strip().partition(":")
    if not colon or not ident or not secret or not (ident + secret).isascii():
        raise ValueError("a file with ACCESS_KEY_ID:SECRET_ACCESS_KEY on its first line")
    return AccessKey(ident, Secret(secret))
