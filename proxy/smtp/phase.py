"""What the next octets from a client mean (core). The rules stand in proxy/smtp/session.py."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """The states of a session's input."""

    COMMAND = auto()
    AUTH = auto()
    DATA = auto()
    CHUNK = auto()
    WAIT = auto()
    CLOSED = auto()
