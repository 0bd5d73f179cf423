"""Evidence and notes in the language of the reader. The store says them in English, as JSON does.

`told` puts the phrases of proxy/wording/evidence.py into Japanese and leaves as it is what it does
not know: it never raises, and no evidence is lost by being translated. A core.
"""

import re
from functools import cache, partial

from crmstore.kinds import KINDS
from proxy.texts import Language, t
from proxy.wording.evidence import TEXTS

__all__ = ["told"]

_VALUES = {
    "header": r"[a-z]+(?:-[a-z]+)*",
    "id": r"[0-9]+",
    "address": r"[^\s;]+",
    "kind": "|".join(KINDS),
    "name": r".*",
}


def told(evidence: str, lang: Language) -> str:
    """The evidence, or the note, for people."""
    if lang == "ja":
        for pattern, japanese in _phrases():
            evidence = pattern.sub(partial(_put, japanese), evidence)
    return evidence


@cache
def _phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns with what they become; the longest first, since one may be a part of another."""
    texts = sorted(TEXTS.values(), key=lambda text: -len(text.en))
    return tuple((re.compile(_pattern(text.en)), text.ja) for text in texts)


def _pattern(english: str) -> str:
    return re.sub(
        r"\\{(\w+)\\}",
        lambda found: f"(?P<{found[1]}>{_VALUES[found[1]]})",
        re.escape(english),
    )


def _put(japanese: str, found: re.Match[str]) -> str:
    values = found.groupdict()
    if "header" in values:
        values["header"] = values["header"].title()
    if "kind" in values:
        values["kind"] = t(f"record.kind.{values['kind']}", "ja")
    return japanese.format_map(values)
