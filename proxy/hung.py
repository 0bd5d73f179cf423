"""Finds roles that live but do nothing: no heartbeat for `LIMIT` seconds of the machine's time.

A door whose loop hangs still holds its share of the port, so its part of the connections would
wait for ever; it must be killed, and started again. Time is the monotonic clock of the one who
looks, as far as it did look: neither a set clock nor a machine that was paused (the clock of a
virtual one runs on) makes anybody hang. A role must have beaten once before it can be missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.heartbeat import Beat

LIMIT = 60.0


@dataclass(slots=True)
class Hung:
    """Remembers when each role's beat was last seen to change."""

    limit: float = LIMIT
    _looked: float | None = None
    _seen: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    def look(self, pids: Mapping[str, int], beats: Mapping[str, Beat], now: float) -> list[str]:
        """The roles to end. `pids` are the running processes, `now` is monotonic."""
        away = now - self._looked if self._looked is not None else 0.0
        self._looked = now
        if away > self.limit / 3:  # we were not looking, so we cannot say that nobody did a thing
            self._seen = {
                role: (pid, at, seen + away) for role, (pid, at, seen) in self._seen.items()
            }
        found = []
        for role, pid in pids.items():
            beat = beats.get(role)
            if beat is None or beat.pid != pid:
                continue  # it is still starting
            known = self._seen.get(role)
            if known is None or known[:2] != (pid, beat.at):
                self._seen[role] = (pid, beat.at, now)
            elif now - known[2] > self.limit:
                found.append(role)
        return found
