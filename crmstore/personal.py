"""What users say by rules of their own: what stays out of the CRM, what goes onto which record.
A core.

A rule is a field and a pattern: "from" and "to" an address or a glob of addresses, as
[capture].never has them; "folder" the name of a mailbox. It concerns its user alone. Without a
record, mail that matches has no sighting of theirs, and who else has it keeps it. With a record,
what they have a sighting of is attached to it, beside whatever its addresses bring.
Promises: `hit` and `filed` cost a few look-ups an address, however many addresses and domains
(also "and all below it") a user has listed; patterns with other wildcards are tried one by one.
Cites: features.md A19, A25.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, cast, get_args

from config.targets import AddressPattern, parse_pattern

__all__ = [
    "MAX_PATTERN", "RULE", "Field", "Filed", "PersonalRules", "Wanted", "same_folder", "wanted",
]  # fmt: skip

Field = Literal["from", "to", "folder"]
MAX_PATTERN: Final = 320
RULE: Final = "rule"  # the role of a link that a rule made; its address is the user's login
_WHERE: Final = {"from": "from", "to": "to", "folder": "in folder"}


class Wanted(NamedTuple):
    """A rule as somebody asks for it. `record`: onto which it puts mail; None: it leaves it out."""

    field: Field
    pattern: str
    record: int | None = None


class Filed(NamedTuple):
    """Onto which record mail goes, by which rule, in words."""

    record: int
    rule: int
    evidence: str


def wanted(field: str, pattern: str, record: int | None = None) -> Wanted:
    """Checked, in the one form in which it is kept. ValueError says what is allowed."""
    if field not in get_args(Field):
        raise ValueError(f"one of: {', '.join(get_args(Field))}")
    if field == "folder":
        name = pattern.strip()
        if not 0 < len(name) <= MAX_PATTERN or not name.isprintable():
            raise ValueError(f"the name of a folder, of at most {MAX_PATTERN} characters")
        return Wanted("folder", name, record)
    return Wanted(cast(Field, field), str(parse_pattern(pattern.strip())), record)


def same_folder(rule: str, mailbox: str) -> bool:
    """Servers have folders beside INBOX or below it (RFC 2342): "Private" is "INBOX.Private"."""
    return mailbox == rule or (mailbox[:6] in ("INBOX.", "INBOX/") and mailbox[6:] == rule)


class _Rules:
    """Rules of one kind, found by what they say."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], list[int]] = {}
        self._domains: dict[tuple[str, str], list[int]] = {}
        self._below: dict[tuple[str, str], list[int]] = {}  # all domains that end in ".this"
        self._globs: dict[str, list[tuple[AddressPattern, int]]] = {"from": [], "to": []}
        self._folders: list[tuple[str, int]] = []
        self.there = False

    def add(self, id_: int, field: str, text: str) -> None:
        self.there = True
        domain = text.removeprefix("*@")
        below = domain.removeprefix("*.")
        if field == "folder":
            self._folders.append((text, id_))
        elif "*" not in text:
            self._exact.setdefault((field, text), []).append(id_)
        elif domain != text and "*" not in domain:
            self._domains.setdefault((field, domain), []).append(id_)
        elif domain not in (text, below) and "*" not in below:
            self._below.setdefault((field, below), []).append(id_)
        else:
            self._globs[field].append((parse_pattern(text), id_))

    def of(self, field: str, address: str) -> list[int]:
        """Those that this address hits."""
        _, at, domain = address.rpartition("@")
        found = list(self._exact.get((field, address), ()))
        if not at:
            return found
        found += self._domains.get((field, domain), ())
        dot = domain.find(".") if self._below else -1
        while dot >= 0:
            found += self._below.get((field, domain[dot + 1 :]), ())
            dot = domain.find(".", dot + 1)
        return found + [id_ for glob, id_ in self._globs[field] if glob.matches(address)]

    def in_folder(self, mailbox: str) -> list[int]:
        """Those of this folder."""
        return [id_ for name, id_ in self._folders if same_folder(name, mailbox)]


class PersonalRules:
    """Those of one user. `files`: some of them put mail onto records."""

    def __init__(self, rules: Iterable[tuple[int, Wanted]]) -> None:
        """`rules`: ids, and what they say."""
        self._out, self._onto = _Rules(), _Rules()
        self._filed: dict[int, Filed] = {}
        for id_, (field, text, record) in rules:
            if record is None:
                self._out.add(id_, field, text)
            else:
                self._onto.add(id_, field, text)
                self._filed[id_] = Filed(record, id_, f"rule {id_}: {_WHERE[field]} {text}")
        self.files = self._onto.there

    def hit(self, writers: Iterable[str], readers: Iterable[str], mailbox: str) -> int | None:
        """The rule that leaves mail out that these write, that goes to these, that was seen
        there; None if none does."""
        if not self._out.there:
            return None
        return next(iter(_hits(self._out, writers, readers, [mailbox])), None)

    def filed(
        self, writers: Iterable[str], readers: Iterable[str], mailboxes: Iterable[str]
    ) -> list[Filed]:
        """Onto which records it goes, by rising number of the rule; several may say the same. Only
        addresses of outsiders may be asked for."""
        return [
            self._filed[id_] for id_ in sorted(set(_hits(self._onto, writers, readers, mailboxes)))
        ]


def _hits(
    rules: _Rules, writers: Iterable[str], readers: Iterable[str], mailboxes: Iterable[str]
) -> Iterable[int]:
    for field, found in (("from", writers), ("to", readers)):
        for address in found:
            yield from rules.of(field, address)
    for mailbox in mailboxes:
        if mailbox:
            yield from rules.in_folder(mailbox)
