"""Client addresses: what one may have at once of connections and failed logins (core).

Connections are counted by each door process for itself; the kernel spreads a client's connections
over the processes of a port, so a client may have that many at each. Failed logins are counted for
all of them together, in a table that they share. An IPv6 client is its /64: one customer gets a
whole one (RFC 6177).

Bounded: an address is remembered only while it is connected; the table has REMEMBERED places for
addresses with failed logins, each for ten minutes after the last one. It has no lock: two failures
in the same microsecond may count as one.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from config.settings import Network

REMEMBERED = 4096
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


def within(ip: str, networks: Collection[Network]) -> bool:
    """Is the address in one of them? IPv4 inside of IPv6 counts as what it is; what cannot be read
    is in none."""
    if not networks:
        return False
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


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


#: A hash of the address, until when it counts (seconds, monotonic), how many failures.
_PLACE: Final = struct.Struct("<16sdI")
_WAYS: Final = 8
TABLE_SIZE: Final = REMEMBERED * _PLACE.size


class LoginFailures:
    """Who guesses passwords; also over many connections, and over all processes that give it the
    same `table` of TABLE_SIZE octets."""

    def __init__(self, table: bytearray | memoryview | None = None) -> None:
        self._table = bytearray(TABLE_SIZE) if table is None else table

    def failed(self, key: str, now: float) -> None:
        """A login was refused by the next hop."""
        digest = _digest(key)
        at, count = self._find(digest, now)
        if at < 0:
            at = self._oldest(digest, now)
        _PLACE.pack_into(self._table, at, digest, now + FORGIVE_AFTER, min(count + 1, 1 << 20))

    def succeeded(self, key: str, now: float) -> None:
        """A login was accepted: an office behind one address has typed wrongly before."""
        at, _ = self._find(_digest(key), now)
        if at >= 0:
            _PLACE.pack_into(self._table, at, bytes(16), 0.0, 0)

    def blocked(self, key: str, now: float) -> bool:
        """Too many, and the last one not long ago."""
        return self.count(key, now) >= TOLERATED

    def count(self, key: str, now: float) -> int:
        """Its failures that are not forgotten yet."""
        return self._find(_digest(key), now)[1]

    def _find(self, digest: bytes, now: float) -> tuple[int, int]:
        """Its place and its failures; (-1, 0) if there are none that count."""
        places = _places(digest)
        region = bytes(self._table[places.start : places.stop])
        at = region.find(digest)  # nearly always nowhere, and every login asks twice
        while at >= 0:
            if at % _PLACE.size == 0:
                _, until, count = _PLACE.unpack_from(region, at)
                # Times of before a restart of the machine lie anywhere.
                if now <= until <= now + FORGIVE_AFTER:
                    return places.start + at, count
            at = region.find(digest, at + 1)
        return -1, 0

    def _oldest(self, digest: bytes, now: float) -> int:
        """The place to use: a free one, else that of the address that has been quiet longest."""

        def rest(at: int) -> float:
            until: float = _PLACE.unpack_from(self._table, at)[1]
            return until if now <= until <= now + FORGIVE_AFTER else 0.0

        return min(_places(digest), key=rest)


@lru_cache(maxsize=1024)
def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()


@lru_cache(maxsize=1024)
def _places(digest: bytes) -> range:
    """The places that an address may have, in octets: its hash says where."""
    first = int.from_bytes(digest[:4], "big") % (REMEMBERED // _WAYS) * _WAYS
    return range(first * _PLACE.size, (first + _WAYS) * _PLACE.size, _PLACE.size)
