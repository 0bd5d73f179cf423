"""Enrolment: who logs in for the first time with an address of ours is a user from then on.

Doors relay logins and never touch the store; that somebody has logged in stands in the frames of
their mail. Only an
address in node.domains makes a user, and only one that `allowed` takes ([capture].enroll, .users);
who is there already stays as they are, disabled or not.
Cites: features.md A15 (set up nothing for each user), B15 (disabled stays disabled).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crmstore import addresses, users
from crmstore.batch import Pending
from crmstore.store import Store
from crmstore.whose import People

Allowed = Callable[[str], bool]

__all__ = ["enroll_writers", "newcomers"]


def enroll_writers(
    store: Store, messages: Iterable[Pending], people: People, allowed: Allowed
) -> list[str]:
    """Enroll whose mail it is; returns the logins of the new users."""
    fresh = newcomers(messages, people, allowed)
    return [user.login for user in users.enroll(store, fresh)] if fresh else []


def newcomers(messages: Iterable[Pending], people: People, allowed: Allowed) -> dict[str, int]:
    """Who would be enrolled for these (login -> when first, in microseconds)."""
    logins: dict[str, int] = {}
    for message in messages:
        login = _login(message.header)
        if login:
            logins.setdefault(login, message.at_us)
    return {
        login: at
        for login, at in logins.items()
        if login.rpartition("@")[2] in people.domains
        and login not in people.users
        and allowed(login)
    }


def _login(header: Mapping[str, Any]) -> str:
    """Who had logged in, in the form of an address; "" for nobody, or at a door without logins."""
    client = header.get("client")
    if header.get("role") not in ("submission", "imap") or not isinstance(client, Mapping):
        return ""
    return addresses.key(str(client.get("auth") or ""))
