"""Refusals in the language of the reader: the last line that a call says, exit 1 or 2.

They are raised in English where something is refused, in the store too, which speaks no language.
`refused` finds the line again in proxy/wording/refusals.py: the whole of it, or as much as it can
behind a colon (after an option, a file). What it does not know stays as it is: nothing is lost by
being translated. A core.
"""

import re
import string
from functools import cache

from proxy.texts import Language
from proxy.wording.refusals import TEXTS

__all__ = ["refused"]

WITHIN = "why"  # the placeholder of a refusal within a refusal
LONGEST = 2_000  # characters; to look for lines in more (an argument) would take its time


def refused(line: str, lang: Language) -> str:
    """The line, for people."""
    if lang != "ja" or len(line) > LONGEST:
        return line
    known = [(found, text) for pattern, text in _lines() if (found := pattern.fullmatch(line))]
    if not known:
        return line
    found, japanese = min(known, key=lambda one: len(one[0]["before"]))
    values = found.groupdict()
    before = values.pop("before")
    if WITHIN in values:
        values[WITHIN] = refused(values[WITHIN], lang)
    return before + japanese.format_map(values)


@cache
def _lines() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns with what they become; those that say most first."""
    texts = sorted(TEXTS.values(), key=lambda text: -len(_fixed(text.en)))
    return tuple((re.compile(_pattern(text.en), re.DOTALL), text.ja) for text in texts)


def _fixed(english: str) -> str:
    return "".join(text for text, *_ in string.Formatter().parse(english))


def _pattern(english: str) -> str:
    parts = [r"(?P<before>(?:.*?: )??)"]
    for text, name, _, _ in string.Formatter().parse(english):
        parts.append(re.escape(text))
        if name is not None and len(parts) == 2 and not text:
            # what stands in front of a colon is none of it: "--address: x is no mail domain"
            parts.append(f"(?P<{name}>(?:(?!: ).)+?)")
        elif name is not None:
            parts.append(f"(?P<{name}>.+?)")
    return "".join(parts)
