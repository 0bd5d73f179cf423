"""Finds roles that live but do nothing: no heartbeat for `LIMIT` seconds of the machine's time.

A door whose loop hangs still holds its share of the port, so its part of the connections would
wait for ever; it must be killed, and started again. Time is the monotonic clock of the one who
looks (a set clock or a suspended machine makes nobody hang), and a role must have beaten once
before it can be missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.heartbeat import Beat

LIMIT = 60.0


@dataclass(slots=True)
class Hung:
    """Remembers when each role's beat was last seen to change."""

    limit: float = LIMIT
    _seen: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    def look(self, pids: Mapping[str, int], beats: Mapping[str, Beat], now: float) -> list[str]:
        """The roles to end. `pids` are the running processes, `now` is monotonic."""
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
