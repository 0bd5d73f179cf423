"""What a message says about mail that was sent, as plain values. A core.

The words are those of the contract ("bounce parse") and of taxonomy.md; TAXONOMY.md beside this
file has them in a table. Everything in here was written by strangers: it is evidence, bounded in
size and clean of controls, and proves nothing by itself (threats.md "forged DSN").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = [
    "CATEGORIES",
    "HARD",
    "KINDS",
    "MAX_RECIPIENTS",
    "Action",
    "Class",
    "Kind",
    "Recipient",
    "Report",
    "class_of",
]

Class = Literal["hard", "soft"]
Kind = Literal[
    "bounce",
    "delayed",
    "delivered",
    "auto_reply",
    "feedback",
    "receipt",
    "challenge",
    "mail",
    "unreadable",
]
Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

KINDS: tuple[Kind, ...] = get_args(Kind)
HARD = frozenset(
    ["invalid_address", "inactive_mailbox", "unsubscribed", "policy_block", "content_block"]
)
SOFT = frozenset(
    "mailbox_full message_too_large server_unavailable throttled deferred undetermined".split()
)
# What is no bounce: a recipient of such a report has one of these, and no class.
OTHER = frozenset(
    ["delayed", "delivered", "relayed", "auto_reply", "receipt", "challenge", "feedback"]
)
CATEGORIES = HARD | SOFT | OTHER
MAX_RECIPIENTS = 1_000  # of one report; more are dropped and flagged (threats.md "DSN bomb")


def class_of(category: str) -> Class | None:
    """The class of a category; None where there is none."""
    if category in HARD:
        return "hard"
    return "soft" if category in SOFT else None


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of the mail to one address."""

    address: str  # in crmstore.addresses.key() form; the one that we sent to, where it is told
    klass: Class | None  # None but for a failure
    category: str  # of CATEGORIES
    action: Action
    status: str  # enhanced status "5.1.1", "" if nothing gives one
    diagnostic: str  # the remote's words, one line
    remote_mta: str = ""
    final: str = ""  # where it was forwarded to (Final-Recipient), if that is another address
    original: str = ""  # ORCPT as it came back, "" if it did not
    rule: str = ""  # what decided the category


@dataclass(frozen=True, slots=True)
class Report:
    """What a message is and whom it is about. Only kind "bounce" has recipients with a class."""

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    original_message_id: str = ""  # with its brackets, as it stands in the returned header
    oddities: tuple[str, ...] = ()
    envelope_id: str = ""  # ENVID as it came back
    reporting_mta: str = ""
    arrival: str = ""  # Arrival-Date, as it stands
    shape: str = ""  # what recognised it: "dsn", "qmail", "exim" ...
    # Fields of the returned message, lower-case names: the first of each of RETURNED
    returned: Mapping[str, str] = field(default_factory=dict)
    feedback_type: str = ""  # of an ARF report: "abuse", "opt-out" ...
