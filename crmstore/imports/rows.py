"""What the readers of files give: a row for each record, a remark on what is odd. A core.

A `code` names a text of the program (proxy/wording/recordio.py has them in two languages);
`values` are what is put in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["NOTHING", "Checked", "Place", "Remark", "Row", "Unreadable"]

NOTHING: Mapping[str, object] = {}


class Place(NamedTuple):
    """Where a row stands: the number of its file in this import, and its first line."""

    file: int
    line: int


class Remark(NamedTuple):
    """Something to tell about a line. `refused`: the whole row stays out."""

    line: int
    code: str
    refused: bool
    values: Mapping[str, object] = NOTHING


class Checked(NamedTuple):
    """One address of a cell. `key` "" = refused for `reason`. `note`: taken, but odd. `meant`: a
    guess at what was meant, of a refused one too."""

    written: str
    key: str
    reason: str = ""
    note: str = ""
    meant: str = ""


class Row(NamedTuple):
    """One record as the file has it, cleaned, not yet judged. Empty = the file says nothing."""

    line: int
    name: str = ""
    addresses: tuple[str, ...] = ()
    kind: str = ""
    state: str = ""
    company: str = ""
    contact: str = ""  # the address of a deal's main contact
    type: str = ""
    remarks: tuple[Remark, ...] = ()
    hint: str = ""  # the kind that the file's header tells, for rows that say none
    mark: str = ""  # which record it was, where our own export says so (marks.py)
    contact_mark: str = ""  # the same of its main contact


@dataclass
class Unreadable(Exception):
    """The file as a whole cannot be taken."""

    code: str
    values: Mapping[str, object]

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values
