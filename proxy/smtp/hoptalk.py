"""A connection to a next hop, awaited: for connecting and for queued mail.

The doors use callbacks, because every microsecond of theirs is a message's; here a future per
exchange costs nothing that matters.
"""

from __future__ import annotations

import asyncio

from proxy.smtp.hopconn import HopConnection
from proxy.smtp.hoperrors import HopLost
from proxy.smtp.replies import Reply


class Talk:
    """Asks and waits; every wait ends with what was waited for, or with `HopLost`."""

    def __init__(self, conn: HopConnection) -> None:
        self.conn = conn
        self._loop = asyncio.get_running_loop()
        self._waits: set[asyncio.Future[list[Reply]]] = set()
        self._room: asyncio.Future[None] | None = None
        conn.on_lost = self._on_lost
        conn.on_writable = self._on_writable

    def expect(self, count: int = 1) -> asyncio.Future[list[Reply]]:
        """Replies that will come to what is written afterwards."""
        wait = self._wait()
        self.conn.expect(count, _Collector(wait, count))
        return wait

    async def ask(self, lines: bytes, count: int = 1) -> list[Reply]:
        """Sends command lines, gives their replies."""
        wait = self._wait()
        self.conn.commands(lines, count, _Collector(wait, count))
        return await wait

    async def starttls(self) -> Reply:
        """Sends STARTTLS, see HopConnection.starttls."""
        wait = self._wait()
        self.conn.starttls(_Collector(wait, 1))
        return (await wait)[0]

    async def write(self, data: bytes) -> None:
        """Sends content, and waits while the hop has not taken what went before."""
        if self.conn.over:
            raise self.conn.lost or HopLost("connection closed")
        self.conn.write(data)
        if not self.conn.writable:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _wait(self) -> asyncio.Future[list[Reply]]:
        if self.conn.over:
            raise self.conn.lost or HopLost("connection closed")
        wait: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        return wait

    def _on_writable(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _on_lost(self, error: Exception | None) -> None:
        error = error or HopLost("connection lost")
        if self._room is not None and not self._room.done():
            self._room.set_exception(error)
        for wait in list(self._waits):
            if not wait.done():
                wait.set_exception(error)
                wait.exception()  # seen: it may be that nobody waits for this one any more


class _Collector:
    """An `on_reply` that fills a future."""

    __slots__ = ("_count", "_replies", "_wait")

    def __init__(self, wait: asyncio.Future[list[Reply]], count: int) -> None:
        self._wait = wait
        self._count = count
        self._replies: list[Reply] = []

    def __call__(self, reply: Reply) -> None:
        self._replies.append(reply)
        if len(self._replies) == self._count and not self._wait.done():
            self._wait.set_result(self._replies)
