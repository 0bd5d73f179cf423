"""How much one client address may have at once: connections, and failed logins (core).

Counts are those of one door process; with several processes on one port the kernel spreads a
client's connections, so the limit of the whole door is a little above the configured one. An
IPv6 client is its /64: one customer gets a whole one (RFC 6177).

Bounded: an address is remembered only while it is connected, and failed logins of at most 10,000
addresses for ten minutes.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

REMEMBERED = 10_000
FORGIVE_AFTER = 600.0
#: Failed logins from one address, over all its connections, before AUTH is refused.
TOLERATED = 20


def client_key(ip: str) -> str:
    """The address that limits are counted for."""
    if ":" not in ip:
        return ip
    try:
        address = ipaddress.IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class ConnectionCounts:
    """Open connections of each client."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    def enter(self, key: str) -> bool:
        """A client wants one more connection; false if it has enough."""
        count = self._open.get(key, 0)
        if count >= self._most:
            return False
        self._open[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        """A connection that `enter` let in is gone."""
        count = self._open.get(key, 0) - 1
        if count > 0:
            self._open[key] = count
        else:
            self._open.pop(key, None)


class LoginFailures:
    """Who guesses passwords; also over many connections."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, key: str, now: float) -> None:
        """A login was refused by the next hop."""
        count, until = self._failures.pop(key, (0, 0.0))
        self._failures[key] = (1 if now > until else count + 1, now + FORGIVE_AFTER)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """A login was accepted: an office behind one address has typed wrongly before."""
        self._failures.pop(key, None)

    def blocked(self, key: str, now: float) -> bool:
        """Too many, and the last one not long ago."""
        count, until = self._failures.get(key, (0, 0.0))
        return count >= TOLERATED and now <= until
