"""A batch on its way into the store: what ingest read, and what a commit did with it. Values only.

Made by proxy/ingest.py and proxy/replay.py, written by crmstore/intake.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from crmstore.facts import Facts
from crmstore.mailboxes import Mailbox
from crmstore.searchindex import Turned
from crmstore.whose import Judgement, People

__all__ = ["Batch", "Behind", "Decided", "LedgerRow", "Pending", "Place", "Taken"]


class Behind(Exception):
    """The store is not where the batch began (another worker, a restored database, people who
    changed meanwhile): read position and people again, and make the batch anew."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a door's journal is in the store: the end of a frame, its seq and hash."""

    journal: str
    segment: int
    offset: int
    seq: int
    hash: bytes

    @property
    def values(self) -> dict[str, Any]:
        """The columns of journal_positions."""
        return {
            "journal": self.journal,
            "segment": self.segment,
            "offset": self.offset,
            "seq": self.seq,
            "hash": self.hash,
        }


# One frame of a journal: door, journal, seq, kind, capture id, JSON header, hash.
LedgerRow = tuple[str, str, int, str, str, bytes, bytes]


@dataclass(slots=True)
class Pending:
    """A message frame, and where its body lies."""

    capture_id: str
    door: str
    journal: str
    seq: int
    segment: int
    offset: int  # of the body in the segment
    header: Mapping[str, Any]
    at_us: int
    stored: bool = False  # it has its row in captures already


@dataclass(slots=True)
class Decided:
    """A message with its verdict. `failed`: why it could not be captured; "" if it could.
    `body_lost`: that is because there is no body, so it cannot be delivered either."""

    message: Pending
    verdict: Mapping[str, Any]
    verdict_seq: int
    judgement: Judgement | None = None  # None: refused or failed
    facts: Facts | None = None
    failed: str = ""
    body_lost: bool = False
    deliver: bool = True  # False: nobody knows whether its queued mail was delivered long ago


@dataclass(slots=True)
class Batch:
    """Made by proxy/ingest.py."""

    ledger: list[LedgerRow] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    starts: dict[str, Place | None] = field(default_factory=dict)  # where the batch began
    ends: dict[str, Place] = field(default_factory=dict)
    people: People | None = None  # by whom it was judged; None: those that were read last
    turned: Turned | None = None  # tokens of those that are thought to be new messages
    # more that is to be written of the decided ones, in the same transaction
    after: Callable[[Connection, Sequence[Decided]], None] | None = None


@dataclass(slots=True)
class Taken:
    """What a commit did."""

    captures: dict[tuple[str, str], int] = field(default_factory=dict)  # (role, disposition)
    new_messages: int = 0
    links: int = 0
    queued: int = 0
    mailboxes: list[Mailbox] = field(default_factory=list)  # those of which more is known now

    def count(self, role: str, disposition: str) -> None:
        key = (role, disposition)
        self.captures[key] = self.captures.get(key, 0) + 1
