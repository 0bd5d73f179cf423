"""The pool of connections to one next hop, and the one timer that makes them older.

An edge. `take` is the hot path: an idle, healthy connection at once, or None. `give_back` lets it
rest for the next transaction.

Promises
- What is given out is not known to be dead, unsettled or suspicious; a connection that relayed a
  client's AUTH never comes back here.
- Bounded: `size` idle connections, each at most `idle_timeout` seconds and `max_uses` transactions.
- The timer runs only while there are connections.
"""

from __future__ import annotations

import asyncio
import math

from proxy.smtp.hopconn import HopConnection
from proxy.smtp.replies import Reply


class HopPool:
    """Idle connections on a shelf for each domain, and the set of all that are open."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        size: int,
        idle_timeout: float,
        max_uses: int,
        reply_timeout: float,
    ) -> None:
        self._loop = loop
        self._size = size
        self._max_uses = max_uses
        self._shelves: dict[str, list[HopConnection]] = {}
        self._idle = 0
        self._open: set[HopConnection] = set()
        self._closed = False
        # Eight ticks of the shortest time-out: late by an eighth of it at most.
        self._tick_seconds = max(0.02, min(1.0, reply_timeout / 8, idle_timeout / 8))
        self._ticker: asyncio.TimerHandle | None = None
        self.reply_ticks = math.ceil(reply_timeout / self._tick_seconds)
        # RFC 5321 section 4.5.3.2.6: ten minutes for the final dot where commands have five.
        self.content_ticks = 2 * self.reply_ticks
        self.quit_ticks = min(self.reply_ticks, math.ceil(5 / self._tick_seconds))
        self._idle_ticks = math.ceil(idle_timeout / self._tick_seconds)

    def take(self, domain: str | None = None) -> HopConnection | None:
        """An idle connection, the one used last; no waiting, no check on the wire."""
        shelf = self._shelves.get(domain or "")
        if not shelf:
            return None
        conn = shelf.pop()
        self._idle -= 1
        conn.idle = False
        conn.reused = True
        return conn

    def give_back(self, conn: HopConnection, *, dirty: bool = False) -> None:
        """The transaction is over. `dirty`: MAIL was given and no final reply came, so RSET first.

        Not for a connection in the middle of content: abort that one.
        """
        conn.on_lost = conn.on_pause = conn.on_writable = None
        conn.uses += 1
        if conn.over:
            return
        if (
            not conn.settled
            or conn.uses >= self._max_uses
            or self._idle >= self._size
            or self._closed
        ):
            conn.close()
        elif dirty:
            conn.command(b"RSET\r\n", lambda reply: self._after_reset(conn, reply))
        else:
            self._shelve(conn)

    def _after_reset(self, conn: HopConnection, reply: Reply) -> None:
        if reply.positive and conn.settled and self._idle < self._size and not self._closed:
            self._shelve(conn)
        else:
            conn.close()

    def _shelve(self, conn: HopConnection) -> None:
        conn.rest(self._idle_ticks)
        shelf = self._shelves.get(conn.key)
        if shelf is None:
            shelf = self._shelves[conn.key] = []
        shelf.append(conn)
        self._idle += 1

    def unshelve(self, conn: HopConnection) -> None:
        """For HopConnection: it died, or rested for long enough."""
        shelf = self._shelves[conn.key]
        shelf.remove(conn)
        self._idle -= 1
        conn.idle = False

    def track(self, conn: HopConnection) -> None:
        """A connection is being made: from now on it grows older."""
        self._open.add(conn)
        if self._ticker is None:
            self._ticker = self._loop.call_later(self._tick_seconds, self._tick)

    def gone(self, conn: HopConnection) -> None:
        """For HopConnection: its socket is closed."""
        self._open.discard(conn)

    @property
    def idle(self) -> int:
        """Connections in the pool."""
        return self._idle

    @property
    def open(self) -> int:
        """Connections in all."""
        return len(self._open)

    def close(self) -> None:
        """No more pool: idle connections say QUIT, others are closed when given back."""
        self._closed = True
        for shelf in list(self._shelves.values()):
            for conn in list(shelf):
                conn.close()

    def _tick(self) -> None:
        for conn in list(self._open):
            conn.tick()
        for key in [key for key, shelf in self._shelves.items() if not shelf]:
            del self._shelves[key]
        self._ticker = None
        if self._open:
            self._ticker = self._loop.call_later(self._tick_seconds, self._tick)
