"""What people read, in English and in Japanese: one look-up for all commands.

Promises: every text exists in both languages with the same placeholders (a test compares them), so
a translation cannot fail where the other one works. What is put in is made harmless first: words
of other machines come with control characters, which a terminal would obey.
The texts stand in proxy/wording/, one file for each part; a part is added to `_CATALOGUE` here.
Logs, replies on the wire and configuration errors are English only: other programs read them.
Refusals are raised in English and told in the caller's language at the end (proxy/refusals.py).
"""

import os
from collections.abc import Mapping
from typing import Literal

from proxy.printable import printable
from proxy.wording import (
    Text,
    bounces,
    checks,
    evidence,
    explain,
    help,
    mail,
    people,
    quickstart,
    recordio,
    refusals,
    rules,
    search,
    service,
    trial,
)

Language = Literal["en", "ja"]

# The first that is set decides; LC_ALL before LC_MESSAGES before LANG, as in POSIX (XBD 8.2).
VARIABLES = ("MAILWEIR_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
LONGEST_VALUE = 500

_CATALOGUE: dict[str, Text] = {
    **bounces.TEXTS,
    **checks.TEXTS,
    **evidence.TEXTS,
    **explain.TEXTS,
    **help.TEXTS,
    **mail.TEXTS,
    **people.TEXTS,
    **quickstart.TEXTS,
    **recordio.TEXTS,
    **refusals.TEXTS,
    **rules.TEXTS,
    **search.TEXTS,
    **service.TEXTS,
    **trial.TEXTS,
}


def language(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> Language:
    """The language to speak: --lang, else the environment, else English."""
    chosen = explicit or next(filter(None, map(environ.get, VARIABLES)), "")
    return "ja" if chosen.lower().replace("-", "_").split(".")[0] in ("ja", "ja_jp") else "en"


def t(name: str, lang: Language, /, **values: object) -> str:
    """The text of that name; KeyError if there is none, or if a value is missing."""
    text: str = getattr(_CATALOGUE[name], lang)
    return text.format_map({key: _harmless(value) for key, value in values.items()})


def help_text(english: str, lang: Language) -> str:
    """A sentence of `--help`, however its lines were broken; as it is where there is no other."""
    found = _CATALOGUE.get(f"help.{unbroken(english)}")
    return english if found is None else str(getattr(found, lang))


def unbroken(text: str) -> str:
    """One line a paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def known(name: str) -> bool:
    """Is there such a text? For texts that not every message has."""
    return name in _CATALOGUE


def _harmless(value: object) -> object:
    """Numbers stay numbers, for format specifications; all else is bounded, printable text."""
    if isinstance(value, int | float):
        return value
    text = printable(str(value))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
