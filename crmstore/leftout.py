"""Whom the rules of [capture] keep out of the CRM, and by which rule. A core.

`judge` (crmstore/whose.py) asks it of one capture: of its owners, then of who takes part.
Promises: each that is left out leaves its reason; what names an address (a pattern of `never`) is
for the ledger, `kinds` is for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from config.settings import Capture

if TYPE_CHECKING:
    from crmstore.whose import Owner, Participant, People

__all__ = ["READS", "WRITES", "LeftOut", "Rules", "kinds"]

WRITES = frozenset(("from", "sender"))
READS = frozenset(("to", "cc", "bcc"))
DISABLED, NOT_ENROLLED = "user disabled", "not enrolled"


class Rules(NamedTuple):
    """[capture]. `never` gives the pattern that matches an address, or None; `takes` says whether
    the mail of an address that is no user's is taken."""

    internal: bool
    never: Callable[[str], object | None]
    takes: Callable[[str], bool] = lambda address: True
    observe: bool = False

    @classmethod
    def of(cls, capture: Capture) -> Rules:
        """As the configuration has them."""
        observe = capture.mode == "observe"
        return cls(capture.internal, capture.matches_never, capture.takes, observe)


def kinds(left_out: str) -> list[str]:
    """Which kinds of rule a Judgement's `left_out` names: "never", "rule" (a user's own), "user
    disabled", "not enrolled"; without the patterns, which may be the very address that is kept
    out."""
    rules = left_out.split("; ")
    found = [
        kind for kind in ("never", "rule") if any(rule.startswith(f"{kind} ") for rule in rules)
    ]
    return found + [kind for kind in (DISABLED, NOT_ENROLLED) if kind in rules]


def _own_rule(
    owner: Owner, people: People, parts: Sequence[Participant], mailbox: str
) -> int | None:
    """The rule by which this owner leaves out what these take part in."""
    mine = people.rules.get(owner.user_id) if owner.user_id is not None else None
    if mine is None:
        return None
    writers = [one.address for one in parts if one.role in WRITES]
    readers = [one.address for one in parts if one.role in READS]
    return mine.hit(writers, readers, mailbox)


class LeftOut:
    """Who is kept out, and by which rule: [capture].never and .users, switched-off users, rules
    of users."""

    def __init__(self, rules: Rules) -> None:
        self._never = rules.never
        self._takes = rules.takes
        self.reasons: list[str] = []
        self._hidden: set[str] = set()  # addresses of owners that are out

    def _forbidden(self, address: str) -> bool:
        pattern = self._never(address)
        if pattern is not None:
            self.reasons.append(f"never {pattern}")
        return pattern is not None

    def owners(
        self,
        found: Sequence[tuple[Owner, str]],
        people: People,
        parts: Sequence[Participant],
        mailbox: str,
    ) -> list[Owner]:
        """Those that stay, each once. `parts` and `mailbox` are for rules of their own."""
        stay: dict[str, Owner] = {}
        for owner, address in found:
            user = people.users.get(owner.name)
            if self._forbidden(address) or (address != owner.name and self._forbidden(owner.name)):
                self._hidden.add(address)
            elif user is not None and not user.enabled:
                self.reasons.append(DISABLED)
                self._hidden.add(address)
            elif owner.user_id is None and not self._takes(address):
                self.reasons.append(NOT_ENROLLED)
                self._hidden.add(address)
            elif people.rules and (rule := _own_rule(owner, people, parts, mailbox)) is not None:
                self.reasons.append(f"rule {rule}")
                self._hidden.add(address)
            else:
                stay.setdefault(owner.name, owner)
        # "never" is the stronger word where nobody stays
        self.reasons.sort(key=lambda reason: reason.startswith("never"))
        return list(stay.values())

    def participants(self, found: Sequence[Participant], sender: str) -> list[Participant] | None:
        """Those that stay; None if whoever writes is one that does not."""
        stay: list[Participant] = []
        for one in found:
            if self._forbidden(one.address):
                if one.role in WRITES or one.address == sender:
                    return None
            elif not (one.envelope_only and one.address in self._hidden):
                stay.append(one)
        return stay
