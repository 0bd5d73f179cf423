"""Text for terminals and one-line places: what is not printable is escaped. A core.

Controls (ESC, CR, LF), separators (U+2028), direction marks and lone surrogates become \\x1b,
\\u2028 and so on; Japanese and every other script stay as they are, with their blanks (U+3000),
which str.isprintable() does not count (threats.md, "log injection").
"""

import unicodedata


def printable(text: str) -> str:
    """The same text when all of it is printable (the usual case, and quick), else escaped."""
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )
