"""Which record a row of our own export was: its mark, `mw17-642f1a0b2c3d4`. A core.

The number of the record and the microsecond at which it was made: no two records of any store have
the same, so a mark means nothing in another store and cannot be taken for one of its numbers. The
letters in front keep a spreadsheet from reading a number or a date into it.
A mark tells rows apart that the rule of plan.py would take for one, says which of several records
a row is about, and names a main contact (who has the address beside it, if there is one); it never
finds a record that the rule would not.
"""

import re

__all__ = ["is_mark", "mark_of", "record_of"]

_MARK = re.compile(r"mw(\d{1,18})-[0-9a-f]{1,16}", re.ASCII)


def mark_of(record: int, created_us: int) -> str:
    """The mark of a record."""
    return f"mw{record}-{created_us:x}"


def is_mark(text: str) -> bool:
    """Is it one of ours? Other programs have such columns and properties, too."""
    return _MARK.fullmatch(text) is not None


def record_of(mark: str) -> int:
    """The number of the record in the store that the mark is from."""
    found = _MARK.fullmatch(mark)
    return int(found[1]) if found is not None else 0
