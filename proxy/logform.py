"""How a line of the log looks: its fields in order, escaped and cut; as JSON or as words.

Promises: no value can forge a line or steer a terminal (ESC, CR, LF, U+2028 and their like leave
escaped; threats.md, "log injection"), and none but a trace is longer than `CUT` characters. JSON
is ASCII. Of an exception only such texts are told as cannot quote mail or credentials: those of the
operating system; of others the kind and the places.
"""

import time
import traceback
from collections.abc import MutableMapping
from json.encoder import encode_basestring_ascii
from typing import Any

from proxy.printable import printable

CUT = 400
CUT_TRACE = 4000

_second = 0
_second_text = ""


def stamp() -> str:
    """The time of day, to the microsecond: the library's own costs twice as much."""
    global _second, _second_text
    now = time.time()
    whole = int(now)
    if whole != _second:
        _second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _second = whole
    return f"{_second_text}.{int((now - whole) * 1e6):06d}Z"


def arrange(level: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Id, time and event first; values cut, and those that are None left out."""
    line: dict[str, Any] = {}
    if (ident := event.pop("id", None)) is not None:
        line["id"] = ident
    line["time"] = stamp()
    line["event"] = event.pop("event")
    if level != "info":
        line["level"] = level
    for key, value in event.items():
        if value is None:
            continue
        if type(value) is bytes:
            value = value[:CUT].decode("ascii", "backslashreplace")
        elif type(value) is str and len(value) > CUT and key != "trace":
            value = value[:CUT] + "…"
        line[key] = value
    return line


def as_json(event: MutableMapping[str, Any]) -> str:
    """Flat JSON, put together by hand: the encoder object costs 5 µs more a line.

    ASCII only, so every control, separator and direction mark leaves as \\uXXXX.
    """
    parts: list[str] = []
    for key, value in event.items():
        kind = type(value)
        if kind is str:
            text = encode_basestring_ascii(value)
        elif kind is int or kind is float:
            text = repr(value)
        elif kind is bool:
            text = "true" if value else "false"
        else:
            text = encode_basestring_ascii(str(value)[:CUT])
        parts.append(f'"{key}": {text}')
    return "{" + ", ".join(parts).replace("\x7f", "\\u007f") + "}"  # DEL is ASCII, and a control


def as_words(event: MutableMapping[str, Any]) -> str:
    """What a person reads at a terminal."""
    head = [str(event.pop("time"))[11:23], event.pop("event")]
    if "id" in event:
        head.insert(0, printable(str(event.pop("id"))))
    return " ".join(head + [f"{key}={printable(str(value))}" for key, value in event.items()])


def _database_code(error: BaseException) -> str:
    """Which error of the database is behind it, by its name: SQLITE_FULL, DiskFull. Names are a
    closed set, and say whether it is locked, full or away."""
    behind = getattr(error.__cause__, "orig", None)  # SQLAlchemy's DBAPIError
    if behind is None:
        return ""
    return str(getattr(behind, "sqlite_errorname", None) or type(behind).__name__)


def fault(error: BaseException | str | None) -> dict[str, str]:
    """What may be told of an exception: texts of other kinds can quote what a client sent."""
    if error is None:
        return {}
    if isinstance(error, str):
        return {"error": error}
    name = type(error).__name__
    if isinstance(error, OSError):
        name = f"{name}: {error.strerror or error}"
    elif code := _database_code(error):
        name = f"{name}: {code}"
    places = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__, limit=-20)
    ]
    return {"error": name, "trace": " < ".join(reversed(places))[:CUT_TRACE]}
