"""One connection to a next hop: commands out, replies in, the content through.

An edge, and the hot path of every message: an asyncio.Protocol with callbacks; no task, no future
and no timer per command. It knows the order of replies, not what they mean.

Promises
- Replies answer commands in order (RFC 2920). A reply that nobody waits for, or one that was
  there before its command was sent, means that count and meaning have parted: the connection is
  aborted, because a 250 taken for the wrong command would be a lost message.
- `on_lost` is called once, with a `HopLost`, if the connection dies by itself; never for a
  `close()` or `abort()` of ours. Callbacks that still wait are then forgotten, not called.
- A command on a dead connection does nothing but bring that `on_lost` soon.
- Bytes that came with the 220 to STARTTLS are thrown away (RFC 3207 section 5, and the injection
  of responses known since 2021): only what came through TLS counts.
- A connection that knows one client's login or address is `private`: it never enters a pool. AUTH
  makes it so here; who opens it in a client's name says so (nexthop.py, introduce.py).

Time-outs are counted in ticks of one timer per pool: a tick makes a connection that waits for
its hop (a reply, or room to write) older, each command, reply and write makes it young again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.hoperrors import HopLost
from proxy.smtp.replies import ProtocolError, Reply, ReplyParser

OnReply = Callable[[Reply], None]

# Content that the hop has not taken yet, per connection, before `on_pause`.
WRITE_HIGH = 128 * 1024
WRITE_LOW = 32 * 1024


class Owner(Protocol):
    """What a connection needs of its pool."""

    reply_ticks: int
    content_ticks: int
    quit_ticks: int

    def gone(self, conn: HopConnection) -> None:
        """The connection is closed for good."""

    def unshelve(self, conn: HopConnection) -> None:
        """The connection was in the pool, and may not be taken from it any more."""


def _ignore(reply: Reply) -> None:
    """The answer to QUIT."""


class HopConnection(asyncio.Protocol):
    """A connection that `NextHop` made; its public fields are read by whoever took it."""

    __slots__ = (
        "_age",
        "_deaf",
        "_doomed",
        "_farewell",
        "_limit",
        "_loop",
        "_over",
        "_owner",
        "_parser",
        "_starttls",
        "_told",
        "_transport",
        "_waiting",
        "_write",
        "banner",
        "caps",
        "idle",
        "key",
        "lmtp",
        "lost",
        "on_lost",
        "on_pause",
        "on_writable",
        "peer",
        "private",
        "reused",
        "tls",
        "uses",
        "writable",
    )

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, key: str, *, lmtp: bool
    ) -> None:
        self.caps = Capabilities()
        self.banner: Reply | None = None
        self.tls: str | None = None  # the version, as "TLSv1.3"
        self.peer: tuple[str, int] = ("", 0)
        self.lmtp = lmtp
        self.key = key  # the shelf of the pool: a domain for "mx", else ""
        self.reused = False
        self.uses = 0
        self.idle = False
        self.private = False
        self.writable = True
        self.lost: HopLost | None = None
        self.on_lost: Callable[[Exception | None], None] | None = None
        self.on_writable: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = self._write_nowhere
        self._parser = ReplyParser()
        self._waiting: deque[OnReply] = deque()
        self._age = 0
        self._limit = owner.reply_ticks
        self._starttls = False  # the next reply answers STARTTLS
        self._deaf = False  # what comes before TLS is ready is not for us
        self._doomed = False  # count lost, or 421 said: not for the pool
        self._farewell: Reply | None = None  # the 421
        self._over = False
        self._told = False

    # -- for the one who took it -----------------------------------------------------------

    def command(self, line: bytes, on_reply: OnReply) -> None:
        """Sends one command line (with its CRLF); `on_reply` gets its reply."""
        self._age = 0
        self._limit = self._owner.reply_ticks
        if line[0] in b"Aa":
            self.private = True
        self._waiting.append(on_reply)
        self._write(line)

    def commands(self, lines: bytes, count: int, on_reply: OnReply) -> None:
        """Sends several command lines at once; `on_reply` is called `count` times, in order.

        AUTH is never among others.
        """
        self._age = 0
        self._limit = self._owner.reply_ticks
        if lines[0] in b"Aa":
            self.private = True
        self._waiting.extend((on_reply,) * count)
        self._write(lines)

    def expect(self, count: int, on_reply: OnReply) -> None:
        """`count` replies will come to what `write` sends: the final dot, a line of SASL."""
        self._age = 0
        self._limit = self._owner.content_ticks
        self._waiting.extend((on_reply,) * count)

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Sends content, dot-stuffed already."""
        self._age = 0
        if isinstance(data, bytes):
            self._write(data)
        else:
            self._write(b"".join(data))

    def close(self) -> None:
        """Says QUIT and closes; a connection in the middle of something is aborted."""
        transport = self._transport
        if self._over or transport is None or self._waiting or not self.writable or self._doomed:
            self.abort()
            return
        self._age = 0
        self._limit = self._owner.quit_ticks
        self._waiting.append(_ignore)
        self._write(b"QUIT\r\n")
        self._finish()

    def abort(self) -> None:
        """Closes at once, without a word. `on_lost` is not called."""
        self._finish()
        if self._transport is not None:
            self._transport.abort()

    # -- for NextHop and its pool ----------------------------------------------------------

    @property
    def over(self) -> bool:
        """No command will be answered any more."""
        return self._over

    @property
    def settled(self) -> bool:
        """Fit for the pool: nothing asked, half read, unsent or suspicious."""
        return not (
            self._over
            or self._doomed
            or self.private
            or self._waiting
            or not self.writable
            or not self._parser.idle
        )

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, for the TLS upgrade."""
        return self._transport

    def starttls(self, on_reply: OnReply) -> None:
        """Sends STARTTLS; after a 220 the connection is deaf until TLS is there."""
        self._starttls = True
        self.command(b"STARTTLS\r\n", on_reply)

    def tick(self) -> None:
        """One tick older, if it waits for the hop or lies in the pool."""
        if self._waiting or self.idle or not self.writable:
            self._age += 1
            if self._age > self._limit:
                if self._over:
                    self.abort()
                elif self.idle:
                    self.close()
                else:
                    self._die(HopLost("no answer in time"))

    def rest(self, ticks: int) -> None:
        """Into the pool, for that many ticks."""
        self.on_lost = self.on_writable = self.on_pause = None
        self.idle = True
        self._age = 0
        self._limit = ticks

    # -- asyncio.Protocol -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called for the plain connection, and again with the transport that is TLS."""
        # uvloop's transports are such by interface, not by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        if self._over:  # given up while it connected
            transport.abort()
            return
        self._deaf = False
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Replies, in order, to those who wait."""
        if self._deaf:
            return
        parser = self._parser
        waiting = self._waiting
        trouble: str | None = None
        try:
            replies = parser.feed(data)
        except ProtocolError as error:
            replies, trouble = error.replies, str(error)
        if self._starttls and replies:
            self._starttls = False
            if replies[0].code == 220:
                self._deaf = True
                self._parser = ReplyParser()
                waiting.popleft()(replies[0])
                return
        extra = len(replies) - len(waiting)
        if trouble is None and (extra > 0 or (extra == 0 and not parser.idle)):
            trouble = "replied out of turn"
        if trouble is not None:
            self._doomed = True  # before any callback gives it back to the pool
        for reply in replies:
            if not waiting or self._over:
                break
            self._age = 0
            if reply.code == 421:
                self._doomed = True
                self._farewell = reply
            waiting.popleft()(reply)
        if self._over:
            if not waiting and self._transport is not None:
                self._transport.close()
        elif trouble is not None:
            self._die(HopLost(trouble, words=replies[-1] if extra > 0 else None))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it."""
        self._transport = None
        self._owner.gone(self)
        if not self._over:
            why = "connection lost" if exc is None else f"connection lost: {exc}"
            self._die(HopLost(why, words=self._farewell))

    def pause_writing(self) -> None:
        """The hop takes the content more slowly than it comes."""
        self.writable = False
        if self.on_pause is not None:
            self.on_pause()

    def resume_writing(self) -> None:
        """It caught up."""
        self.writable = True
        self._age = 0
        if self.on_writable is not None:
            self.on_writable()

    # -- ends ---------------------------------------------------------------------------------

    def _die(self, why: HopLost) -> None:
        self.lost = why
        on_lost = self.on_lost
        self._finish()
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()
        if on_lost is not None:
            self._told = True
            on_lost(why)

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._write = self._write_nowhere
            if self.idle:
                self._owner.unshelve(self)
        if self.lost is None:
            self.on_lost = None
        self.on_writable = self.on_pause = None

    def _write_nowhere(self, data: bytes) -> None:
        """Written to a dead connection: say so, once, from the loop and not from inside."""
        self._waiting.clear()
        if self.lost is not None and not self._told:
            self._told = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if self.on_lost is not None and self.lost is not None:
            self.on_lost(self.lost)
