"""When to try again: exponential back-off with jitter, and hosts that do not answer (core).

A core: clock and randomness are arguments. Whether a message's time is over is decided where it
is recorded (crmstore/queue.py, `settle`), by the time of expiry that the message carries.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from proxy.smtp.replies import Reply

MAX_HOSTS: Final = 10_000


def next_attempt(attempts: int, now: float, rng: random.Random, first: float, cap: float) -> float:
    """The time of the next attempt after `attempts` (1 or more) that failed.

    The wait doubles from `first` up to `cap`. A fifth of it is left to chance, downward, so that
    mail that failed together does not come back together, and `cap` is what the admin wrote.
    """
    delay = min(cap, first * 2.0 ** min(attempts - 1, 40))
    return now + delay * rng.uniform(0.8, 1.0)


class Hold(NamedTuple):
    """A destination that is left alone until a time, and why."""

    until: float
    words: Reply


class Unreachable:
    """Destinations to which no connection came about: one of them is tried once a wait, not once

    a message. Bounded: the longest known are forgotten first.
    """

    def __init__(self, rng: random.Random, first: float, cap: float) -> None:
        self._rng = rng
        self._first = first
        self._cap = cap
        self._known: dict[str, tuple[int, Hold]] = {}

    def held(self, destination: str, now: float) -> Hold | None:
        """Is it too early to try?"""
        known = self._known.get(destination)
        return known[1] if known is not None and now < known[1].until else None

    def failed(self, destination: str, now: float, words: Reply) -> Hold:
        """A connection failed. Several that fail side by side count as one."""
        held = self.held(destination, now)
        if held is not None:
            return held
        failures = self._known.pop(destination, (0, None))[0] + 1
        hold = Hold(next_attempt(failures, now, self._rng, self._first, self._cap), words)
        self._known[destination] = (failures, hold)
        if len(self._known) > MAX_HOSTS:
            del self._known[next(iter(self._known))]
        return hold

    def worked(self, destination: str) -> None:
        """A connection stands."""
        self._known.pop(destination, None)
