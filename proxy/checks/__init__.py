"""What `mailweir check` looks at, one file for each place where it looks; see proxy/check.py.

A check yields Notes: what was seen, by the name of a text and its values. Checks never raise on
what they find, change nothing that stays, and are bounded in time.
"""

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Note:
    """One thing seen. `name` names its texts in proxy/wording/checks; `about` the very thing."""

    level: Level
    name: str
    about: str = ""
    values: dict[str, object] = field(default_factory=dict)


def ok(name: str, about: str = "", **values: object) -> Note:
    return Note("ok", name, about, values)


def warn(name: str, about: str = "", **values: object) -> Note:
    return Note("warn", name, about, values)


def fail(name: str, about: str = "", **values: object) -> Note:
    return Note("fail", name, about, values)
