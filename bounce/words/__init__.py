"""Tables of the words in which servers say why mail was not taken, a file for each language.

A core. The form of a phrase is told in bounce/phrases.py; what a rule means stands in
bounce/reply.py and TAXONOMY.md.
"""

from collections.abc import Mapping

from bounce.words import en, europe, ja, zhko

__all__ = ["STRONG", "WEAK"]


def _together(*tables: Mapping[str, str]) -> dict[str, str]:
    together: dict[str, str] = {}
    for table in tables:
        for rule, phrases in table.items():
            together[rule] = f"{together[rule]};{phrases}" if rule in together else phrases
    return together


STRONG = _together(en.STRONG, europe.STRONG, ja.STRONG, zhko.STRONG)
WEAK = _together(en.WEAK, europe.WEAK)
