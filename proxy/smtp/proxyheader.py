"""The PROXY protocol header at the start of a connection (edge), read by aiosmtpd.

Only peers of the listener's `proxy_from` get this far. A header that is missing, malformed or
late ends the connection without a word (the specification's section 2).
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Final, NamedTuple

from aiosmtpd.proxy_protocol import V2_CMD, get_proxy

TIMEOUT: Final = 5.0
#: The v1 header has at most 107 octets; a v2 header says its length in 16 bits.
MAX_LINE: Final = 108
MAX_HEADER: Final = 16 + 65_535


class Early:
    """Octets that came before the session began; aiosmtpd's `AsyncReader`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._eof = False
        self._more = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """More octets from the peer."""
        self._buffer += data
        self._more.set()

    def feed_eof(self) -> None:
        """No more will come."""
        self._eof = True
        self._more.set()

    def rest(self) -> bytes:
        """What is behind the header."""
        return bytes(self._buffer)

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` octets."""
        if not self._buffer:
            await self._wait()
        return self._take(len(self._buffer) if n < 0 else n)

    async def readexactly(self, n: int) -> bytes:
        """Just `n` octets; IncompleteReadError at the end."""
        while len(self._buffer) < n:
            await self._wait()
        return self._take(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Up to and with the separator; LimitOverrunError when a line gets too long."""
        while (end := self._buffer.find(separator)) < 0:
            if len(self._buffer) > MAX_LINE:
                raise asyncio.LimitOverrunError("PROXY line too long", MAX_LINE)
            await self._wait()
        return self._take(end + len(separator))

    async def _wait(self) -> None:
        if self._eof or len(self._buffer) > MAX_HEADER:
            raise asyncio.IncompleteReadError(bytes(self._buffer), None)
        self._more.clear()
        await self._more.wait()

    def _take(self, n: int) -> bytes:
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken


class Peer(NamedTuple):
    """Who connects in truth; `ip` is "" when the header does not say (a balancer's own check)."""

    ip: str
    port: int


async def read_proxy_header(early: Early) -> Peer | None:
    """Read the header, version 1 or 2. None when there is no valid one."""
    try:
        async with asyncio.timeout(TIMEOUT):
            header = await get_proxy(early)
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    if header.error or header.version is None:
        return None
    if header.command == V2_CMD.LOCAL or header.src_addr is None:
        return Peer("", 0)
    try:
        return Peer(str(ipaddress.ip_address(str(header.src_addr))), int(header.src_port or 0))
    except ValueError:
        return None
