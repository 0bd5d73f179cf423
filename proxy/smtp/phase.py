"""What the next octets from a client mean (core). The rules stand in proxy/smtp/session.py."""

from __future__ import annotations

from typing import Final


class Phase:
    """The states of a session's input.

    Plain constants: a member of an Enum costs 0.1 µs each time it is named (CPython 3.11), and a
    session names some eighty of them for one message.
    """

    COMMAND: Final = "command"
    AUTH: Final = "auth"
    DATA: Final = "data"
    CHUNK: Final = "chunk"
    WAIT: Final = "wait"
    CLOSED: Final = "closed"
