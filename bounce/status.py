"""Enhanced status codes (RFC 3463, RFC 5248 registry, RFC 7505) to categories. A core.

A code is `specific` if by itself it says what happened, so that only clear words may overrule it
("5.1.1 ... rate limited"). Of the others the weak words are asked first: 5.0.0, 5.5.0 and their
like are what servers say who have no better one.
"""

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Meaning", "enhanced_in", "meaning"]


class Meaning(NamedTuple):
    """What a status says: a category, and whether it can be believed without words."""

    category: str
    specific: bool


# subject.detail -> what it means at 5 and at 4.
_TABLE: dict[str, tuple[str, str, bool]] = {
    "1.0": ("invalid_address", "deferred", False),
    "1.1": ("invalid_address", "deferred", True),
    "1.2": ("invalid_address", "server_unavailable", True),
    "1.3": ("invalid_address", "deferred", True),
    "1.4": ("invalid_address", "deferred", True),
    "1.5": ("undetermined", "deferred", False),
    "1.6": ("invalid_address", "deferred", True),
    "1.7": ("policy_block", "deferred", True),  # about the sender's address
    "1.8": ("policy_block", "deferred", True),
    "1.9": ("undetermined", "deferred", False),
    "1.10": ("invalid_address", "invalid_address", True),  # null MX (RFC 7505)
    "2.0": ("undetermined", "deferred", False),
    "2.1": ("inactive_mailbox", "deferred", True),
    "2.2": ("mailbox_full", "mailbox_full", True),
    "2.3": ("message_too_large", "message_too_large", True),
    "2.4": ("server_unavailable", "server_unavailable", True),
    "3.0": ("undetermined", "server_unavailable", False),
    "3.1": ("server_unavailable", "server_unavailable", True),
    "3.2": ("server_unavailable", "server_unavailable", False),
    "3.3": ("server_unavailable", "server_unavailable", False),
    "3.4": ("message_too_large", "message_too_large", True),
    "3.5": ("server_unavailable", "server_unavailable", True),
    "3.6": ("server_unavailable", "server_unavailable", False),
    "4.0": ("server_unavailable", "server_unavailable", False),
    "4.1": ("server_unavailable", "server_unavailable", False),
    "4.2": ("server_unavailable", "server_unavailable", True),
    "4.3": ("server_unavailable", "server_unavailable", True),
    "4.4": ("invalid_address", "server_unavailable", False),
    "4.5": ("throttled", "throttled", True),
    "4.6": ("server_unavailable", "server_unavailable", True),
    "4.7": ("server_unavailable", "server_unavailable", True),
    "4.14": ("server_unavailable", "server_unavailable", True),  # Exchange: a loop
    "4.310": ("invalid_address", "server_unavailable", True),  # Exchange Online: no such domain
    "5.3": ("throttled", "throttled", True),
    "6.7": ("undetermined", "deferred", False),  # RFC 6531: not a next hop for this address
    "6.9": ("undetermined", "deferred", False),
    "7.13": ("inactive_mailbox", "deferred", True),
    "7.17": ("inactive_mailbox", "deferred", True),  # RFC 7293: the mailbox has a new owner
    "7.18": ("inactive_mailbox", "deferred", True),
}
# By the subject alone, for details that the table does not have.
_SUBJECTS: dict[str, tuple[str, str, bool]] = {
    "0": ("undetermined", "deferred", False),
    "1": ("invalid_address", "deferred", False),
    "2": ("undetermined", "deferred", False),
    "3": ("server_unavailable", "server_unavailable", False),
    "4": ("server_unavailable", "server_unavailable", False),
    "5": ("undetermined", "deferred", False),
    "6": ("content_block", "deferred", False),
    "7": ("policy_block", "deferred", True),
}
_UNKNOWN = Meaning("undetermined", False)
# Not inside a number: 10.5.1.1, 5.1.1.10 and 15.20.1.1 are no status.
_STATUS = re.compile(r"(?<![\d.])[245]\.\d\.\d{1,3}(?![\d]|\.\d)")


@lru_cache(maxsize=1024)
def meaning(status: str) -> Meaning:
    """What "5.1.1" means; undetermined for what is no status."""
    parts = status.split(".")
    if len(parts) != 3 or parts[0] not in ("4", "5"):
        return _UNKNOWN
    found = _TABLE.get(f"{parts[1]}.{parts[2]}") or _SUBJECTS.get(parts[1])
    if found is None:
        return _UNKNOWN
    permanent, temporary, specific = found
    return Meaning(permanent if parts[0] == "5" else temporary, specific)


def enhanced_in(text: str) -> str:
    """The status in a text: the first that says more than x.0.0, else the first; "" if none."""
    first = ""
    for found in _STATUS.finditer(text[:4_096]):
        if not found[0].endswith(".0.0"):
            return found[0]
        first = first or found[0]
    return first
