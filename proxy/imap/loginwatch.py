"""One login on its way, as the dialogue passes it on: who it is, known when it is answered (core).

    watch = LoginWatch(found, text)                  # a LOGIN or AUTHENTICATE begins
    watch.literal, watch.more(text), watch.response(line)
    watch.found()                                    # when the tagged answer is there

login.py reads what was said; this only keeps it, and no longer than the answer takes.
Limits: a LOGIN has two literals of LITERAL octets at most; more end the connection.
"""

from __future__ import annotations

from typing import Final

from proxy.imap.grammar import Command
from proxy.imap.login import Exchange, Found, from_login
from proxy.imap.message import Octets

#: Octets of a literal before the login.
LITERAL: Final = 8_192


class LoginWatch:
    """Made for each LOGIN and AUTHENTICATE."""

    __slots__ = ("_args", "_literals", "_text", "exchange", "tag")

    def __init__(self, command: Command, text: bytes) -> None:
        self.tag = command.tag
        self.exchange: Exchange | None = None
        """Of an AUTHENTICATE; None for a LOGIN."""
        self._args = command.args
        self._text = text
        self._literals: list[bytes] = []
        if command.verb == b"AUTHENTICATE":
            words = text[command.args :].split(b" ")
            initial = words[1] if len(words) > 1 else None
            self.exchange = Exchange(mechanism(text, command.args), initial)

    @property
    def mechanism(self) -> str:
        return "LOGIN" if self.exchange is None else self.exchange.mechanism

    def more(self, text: bytes) -> None:
        """A LOGIN goes on behind a literal."""
        self._text += text

    def announced(self, size: int) -> bool:
        """A literal of a LOGIN comes. False: more than a login has."""
        if size > LITERAL or len(self._literals) > 2:
            return False
        self._literals.append(b"")
        return True

    def literal(self, part: Octets) -> None:
        """Octets of that literal."""
        self._literals[-1] += bytes(part)

    def found(self) -> Found:
        """What was said so far."""
        if self.exchange is not None:
            return self.exchange.found()
        return from_login(self._text, self._args, self._literals)


def mechanism(text: bytes, at: int) -> str:
    """The mechanism of an AUTHENTICATE whose arguments begin at `at`."""
    return text[at:].split(b" ", 1)[0].decode("ascii", "replace").upper()
