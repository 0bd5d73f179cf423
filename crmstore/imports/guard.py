"""Cells that a spreadsheet would run: marked on the way out, unmarked on the way in. A core.

A cell that begins with = + - @ (in their wide forms too), a tab or a return is a formula to Excel
and others, and a stranger chose the names in our records (OWASP, "CSV Injection"). Such a cell gets
an apostrophe in front, which is how a person types text there. A cell that already begins with
apostrophes before such a character gets one more, so that taking one off gives back exactly what
was there.
"""

import re

__all__ = ["guarded", "unguarded"]

_DANGEROUS = re.compile("'*[=+\\-@\t\r＝＋－＠]")
_MARKED = re.compile("'+[=+\\-@\t\r＝＋－＠]")


def guarded(cell: str) -> str:
    """The cell as text for a spreadsheet."""
    return "'" + cell if _DANGEROUS.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell without the mark; any other apostrophe stays."""
    return cell[1:] if cell[:1] == "'" and _MARKED.match(cell) else cell
