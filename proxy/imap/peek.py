"""The PROXY protocol header in front of an IMAP session (edge).

The header is looked at without taking it (MSG_PEEK) until it is whole; then just its octets are
taken, so that what follows, TLS perhaps, is untouched. Only a listener's `proxy_from` gets here. A
header that is missing, malformed or late ends the connection without a word.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from proxy.smtp.proxyheader import MAX_HEADER, Early, read_proxy_header


class HeaderPeek:
    """Calls `done` once: (ip, port), ip being "" where the header does not say; None: no header."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        done: Callable[[tuple[str, int] | None], None],
    ) -> None:
        self._sock = sock
        self._loop = loop
        self._done: Callable[[tuple[str, int] | None], None] | None = done
        self._seen = 0
        self._early = Early()
        self._task = loop.create_task(self._read())
        self._timer: asyncio.TimerHandle | None = None
        loop.add_reader(sock.fileno(), self._look)

    def _look(self) -> None:
        """More of the header may be there."""
        try:
            data = self._sock.recv(MAX_HEADER, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if len(data) > self._seen:
            self._early.feed(data[self._seen :])
            self._seen = len(data)
        elif not data:
            self._early.feed_eof()
        # What was not taken would wake us at once, again and again.
        self._loop.remove_reader(self._sock.fileno())
        if data:
            self._timer = self._loop.call_later(0.02, self._again)

    def _again(self) -> None:
        if self._done is not None:
            self._loop.add_reader(self._sock.fileno(), self._look)

    async def _read(self) -> None:
        peer = await read_proxy_header(self._early)
        done = self._done
        self.close()
        if done is None:
            return
        if peer is not None:
            self._sock.recv(self._seen - len(self._early.rest()))
        done(None if peer is None else (peer.ip, peer.port))

    def close(self) -> None:
        """Stop looking."""
        if self._done is not None:
            self._done = None
            self._loop.remove_reader(self._sock.fileno())
            if self._timer is not None:
                self._timer.cancel()
            if asyncio.current_task(self._loop) is not self._task:
                self._task.cancel()
