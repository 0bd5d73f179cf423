"""Filters of a mail program as rules: which can be taken. A core.

What is taken, if its conditions are by whom mail is from or to and nothing else: filters that throw
mail away, and those that file it into a folder that was named. Such mail is left out of the CRM;
or it goes onto the record that was named for its folder.
Promises: a rule never concerns more than its filter meant, but that From counts with Sender, To
with Cc and Bcc, and sent mail with what came in. A condition that a rule cannot say
(the subject, a size, "not", two at once) refuses the whole filter, with the reason; so does a
filter before it that may stop (`Filter.stops`), unless no mail can meet both; and whatever would
leave out mail by or to the user's own addresses, or is about addresses that key no record. Which
record is meant is never guessed.
Both readers (gmailfilters.py, sieve.py) give Filters; `decide` does not know where they come from.
Cites: features.md A19.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from config.targets import parse_pattern
from crmstore.personal import Wanted, same_folder, wanted

__all__ = [
    "MAX_FILTERS", "MAX_OCTETS", "Decision", "Filter", "NotOne", "Onto", "decide", "domain",
    "patterns",
]  # fmt: skip

MAX_OCTETS: Final = 1 << 20
MAX_FILTERS: Final = 5_000
_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
#: Where mail programs throw mail; in the languages of the folders that we know otherwise, too.
_AWAY: Final = frozenset(
    {"trash", "junk", "spam", "deleted items", "deleted messages", "bin", "ゴミ箱", "迷惑メール"}
)


class NotOne(ValueError):
    """A condition that is no rule; `code` is the end of a text's name, `value` what it is about."""

    def __init__(self, code: str, value: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.value = value


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as it was read. `place`: its number (Gmail) or line (Sieve); `refused`: why its
    conditions cannot be rules, with what it is about; `stops`: later ones may not see such mail."""

    place: int
    words: str
    conditions: tuple[Wanted, ...] = ()
    away: bool = False
    folders: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a filter: its rules, or (`why`, `value`) why there are none."""

    place: int
    words: str
    rules: tuple[Wanted, ...] = field(default=())
    why: str = ""
    value: str = ""


class Onto(NamedTuple):
    """What goes onto records. `records`: (folder, record id) as a person said; `unclear`: of other
    folders, why they name no record (the end of a text's name, what it is about); `keyless`: of
    patterns, why they key no record ("ours", "never")."""

    records: Sequence[tuple[str, int]] = ()
    unclear: Mapping[str, tuple[str, str]] = {}
    keyless: Mapping[str, str] = {}

    def of(self, folders: Iterable[str]) -> list[int]:
        """The records of these folders, each once."""
        found = (r for f in folders for name, r in self.records if same_folder(name, f))
        return list(dict.fromkeys(found))


NOWHERE: Final = Onto()


def decide(
    filters: Iterable[Filter], folders: Collection[str], own: Collection[str], onto: Onto = NOWHERE
) -> list[Decision]:
    """One for each. `folders`: whose mail is to be left out; `own`: the user's addresses."""
    made: list[Decision] = []
    before: list[Filter] = []  # those that may stop, and leave nothing out
    for one in filters:
        out = one.away or any(
            _is_away(folder) or any(same_folder(name, folder) for name in folders)
            for folder in one.folders
        )
        records = [] if out else onto.of(one.folders)
        why = _refusal(one, out, records, own, onto, before)
        if why is None:
            where: Sequence[int | None] = [None] if out else records
            rules = tuple(rule._replace(record=r) for r in where for rule in one.conditions)
            made.append(Decision(one.place, one.words, rules))
        else:
            made.append(Decision(one.place, one.words, (), *why))
        if one.stops and (why is not None or not out):
            before.append(one)
    return made


def patterns(value: str) -> list[str]:
    """A word of a filter as patterns: an address, "@domain", "*@domain", or a domain with all below
    it. NotOne if it is none of these."""
    text = value.strip().strip('"').lower().strip("<>")
    name = text.removeprefix("*").removeprefix("@")
    if "@" not in name and "*" not in name:
        if not _NAME.fullmatch(name):
            raise NotOne("pattern", value)
        exactly = [f"*@{name}"]
        return exactly if text != name else [*exactly, f"*@*.{name}"]
    try:
        return [wanted("from", text).pattern]
    except ValueError:
        raise NotOne("pattern", value) from None


def domain(value: str) -> str:
    """A domain and no other."""
    text = value.strip().lower()
    if not _NAME.fullmatch(text):
        raise NotOne("pattern", value)
    return f"*@{text}"


def _refusal(
    one: Filter,
    out: bool,
    records: Sequence[int],
    own: Collection[str],
    onto: Onto,
    before: Sequence[Filter],
) -> tuple[str, str] | None:
    if one.refused is not None:
        return one.refused
    if not out and not records:
        unclear = (onto.unclear[folder] for folder in one.folders if folder in onto.unclear)
        nowhere = ("folder", ", ".join(one.folders)) if one.folders else ("action", "")
        return next(unclear, nowhere)
    if not one.conditions:
        return ("everything", "")
    for condition in one.conditions:
        if not out and (why := onto.keyless.get(condition.pattern)):
            return (why, condition.pattern)
        pattern = parse_pattern(condition.pattern)
        mine = next((address for address in own if pattern.matches(address)), None)
        if out and mine is not None:
            return ("own", mine)
    for earlier in before:
        if not _apart(earlier.conditions, one.conditions):
            return ("order", str(earlier.place))
    return None


def _is_away(folder: str) -> bool:
    return any(same_folder(name, folder.lower().replace("inbox", "INBOX", 1)) for name in _AWAY)


def _apart(some: Sequence[Wanted], others: Sequence[Wanted]) -> bool:
    """Can no mail meet both? Mail has one sender, but many recipients."""
    if not some or any(one.field != "from" for one in (*some, *others)):
        return False
    return not any(_meet(a.pattern, b.pattern) for a in some for b in others)


def _meet(a: str, b: str) -> bool:
    if "*" not in a:
        return parse_pattern(b).matches(a)
    if "*" not in b:
        return parse_pattern(a).matches(b)
    left, right = a.removeprefix("*@"), b.removeprefix("*@")
    if "@" in left + right:  # a wildcard somewhere else: who knows
        return True
    if "*" not in left and "*" not in right:
        return left == right
    left, right = left.removeprefix("*."), right.removeprefix("*.")
    if "*" in left + right:
        return True
    return f".{left}".endswith(f".{right}") or f".{right}".endswith(f".{left}")
