"""What users have left out of the CRM by rules of their own. A core.

A rule is a field and a pattern: "from" and "to" an address or a glob of addresses, as
[capture].never has them; "folder" the name of a mailbox. It concerns its user alone: mail that
matches has no sighting of theirs, and who else has it keeps it.
Promises: `hit` costs two look-ups an address, however many plain addresses and domains a user has
listed; patterns with other wildcards are tried one by one.
Cites: features.md A19, A25.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, cast, get_args

from config.targets import AddressPattern, parse_pattern

__all__ = ["MAX_PATTERN", "Field", "PersonalRules", "Wanted", "same_folder", "wanted"]

Field = Literal["from", "to", "folder"]
MAX_PATTERN: Final = 320


class Wanted(NamedTuple):
    """A rule as somebody asks for it."""

    field: Field
    pattern: str


def wanted(field: str, pattern: str) -> Wanted:
    """Checked, in the one form in which it is kept. ValueError says what is allowed."""
    if field not in get_args(Field):
        raise ValueError(f"one of: {', '.join(get_args(Field))}")
    if field == "folder":
        name = pattern.strip()
        if not 0 < len(name) <= MAX_PATTERN or not name.isprintable():
            raise ValueError(f"the name of a folder, of at most {MAX_PATTERN} characters")
        return Wanted("folder", name)
    return Wanted(cast(Field, field), str(parse_pattern(pattern.strip())))


def same_folder(rule: str, mailbox: str) -> bool:
    """Servers have folders beside INBOX or below it (RFC 2342): "Private" is "INBOX.Private"."""
    return mailbox == rule or (mailbox[:6] in ("INBOX.", "INBOX/") and mailbox[6:] == rule)


class PersonalRules:
    """Those of one user."""

    def __init__(self, rules: Iterable[tuple[int, str, str]]) -> None:
        """`rules`: (id, field, pattern), as they are kept."""
        self._exact: dict[str, dict[str, int]] = {"from": {}, "to": {}}
        self._domains: dict[str, dict[str, int]] = {"from": {}, "to": {}}
        self._globs: dict[str, list[tuple[AddressPattern, int]]] = {"from": [], "to": []}
        self._folders: list[tuple[str, int]] = []
        for id_, field, text in rules:
            if field == "folder":
                self._folders.append((text, id_))
            elif "*" not in text:
                self._exact[field][text] = id_
            elif text.startswith("*@") and "*" not in text[2:]:
                self._domains[field][text[2:]] = id_
            else:
                self._globs[field].append((parse_pattern(text), id_))

    def hit(self, writers: Iterable[str], readers: Iterable[str], mailbox: str) -> int | None:
        """The rule that leaves mail out that these write, that goes to these, that was seen
        there; None if none does."""
        for field, found in (("from", writers), ("to", readers)):
            exact, domains, globs = self._exact[field], self._domains[field], self._globs[field]
            if not (exact or domains or globs):
                continue
            for address in found:
                id_ = exact.get(address) or domains.get(address.rpartition("@")[2])
                if id_ is None:
                    id_ = next((number for glob, number in globs if glob.matches(address)), None)
                if id_ is not None:
                    return id_
        if mailbox:
            return next((id_ for name, id_ in self._folders if same_folder(name, mailbox)), None)
        return None
