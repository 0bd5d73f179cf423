"""The client's side of AUTH, for the service account of [outbound]: PLAIN and LOGIN (core).

A core: replies in, lines out (RFC 4954; PLAIN is RFC 4616; LOGIN an old draft that everybody has).
The password stays inside a `Secret`; it appears in the lines that go to the wire and nowhere else.
What a client of ours sends as AUTH is relayed by the door and never comes here.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.smtp.replies import Reply

if TYPE_CHECKING:
    from config.settings import Secret


class NoMechanism(Exception):
    """The server offers neither PLAIN nor LOGIN."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a password that does not show."""

    user: str
    password: Secret


class ClientAuth:
    """One AUTH exchange; lines are given without CRLF."""

    def __init__(self, account: Account, offered: Sequence[str]) -> None:
        """PLAIN if there, it is one line; else LOGIN."""
        user = account.user.encode("utf-8")
        password = account.password.reveal().encode("utf-8")
        if "PLAIN" in offered:
            self._first = b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password)
            self._answers: list[bytes] = []
        elif "LOGIN" in offered:
            self._first = b"AUTH LOGIN"
            self._answers = [base64.b64encode(user), base64.b64encode(password)]
        else:
            raise NoMechanism(f"offered: {' '.join(offered)[:200] or 'nothing'}")

    def first(self) -> bytes:
        """The AUTH command."""
        return self._first

    def next(self, challenge: Reply) -> bytes:
        """The answer to a 334; "*" cancels when the server asks once too often (section 4)."""
        return self._answers.pop(0) if self._answers else b"*"
