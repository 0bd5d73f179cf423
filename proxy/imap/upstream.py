"""The way to the IMAP server: its addresses, and one connection that is ready for a client (edge).

Callbacks, no task: a login is a dozen small steps, and this is on its way. `Dialing` ends in
`ready` or in `failed`, once. Addresses are looked up when the door starts and every minute after;
the last good ones stay while the DNS is away.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from config.settings import ImapListener
from proxy.imap.greeter import Greeter, originating, proxy_header
from proxy.imap.leg import Leg, prompt
from proxy.imap.poller import Poller
from proxy.smtp.hoptls import client_context

REFRESH: Final = 60.0
#: A greeting, a list of capabilities.
MOST: Final = 16_384
#: Greetings that are remembered: a server with the time of day in its own has a new one each time.
GREETINGS: Final = 16

_NO_CONNECTION: Final = frozenset(
    (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
)

Address = tuple[int, tuple[Any, ...]]


class UpstreamServer:
    """The configured server."""

    def __init__(self, listener: ImapListener) -> None:
        self.target = listener.upstream
        self.policy = listener.upstream_tls
        self.tells = listener.upstream_client
        self.implicit = listener.upstream.kind == "imaps"
        self.context: ssl.SSLContext = client_context(listener.upstream_tls, listener.upstream_ca)
        self.addresses: list[Address] = []
        self.greetings: dict[bytes, tuple[bytes, bytes | None]] = {}
        """Greetings after which nothing is left to ask: their words and their capabilities."""
        self.found: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done as soon as there are addresses."""

    async def look_up(self) -> None:
        """Find the addresses; an OSError only if there never was one."""
        loop = asyncio.get_running_loop()
        host, port = self.target.host, self.target.port
        try:
            async with asyncio.timeout(30):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            if not self.addresses:
                raise OSError(f"{host} cannot be resolved") from error
            return
        self.addresses = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
        if not self.found.done():
            self.found.set_result(None)

    async def keep_looking(self) -> None:
        """Look again, for ever."""
        while True:
            try:
                await self.look_up()
            except OSError:
                pass  # every connection says so
            await asyncio.sleep(REFRESH if self.addresses else 2.0)


class Dialing:
    """One connection on its way. `ready(leg, greeting, capabilities)`: the leg's callbacks are
    the caller's to set. `failed(stage, why)`."""

    __slots__ = ("_address", "_client", "_failed", "_greeter", "_ident", "_leg", "_poller",
                 "_ready", "_rest", "_server", "_sock", "_view")  # fmt: skip

    def __init__(
        self,
        poller: Poller,
        server: UpstreamServer,
        client: tuple[str, int],
        view: memoryview,
        ready: Callable[[Leg, bytes, bytes | None], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self._poller = poller
        self._server = server
        self._client = client
        self._view = view
        self._ready = ready
        self._failed = failed
        self._address = -1
        self._sock: socket.socket | None = None
        self._leg: Leg | None = None
        self._greeter: Greeter | None = None
        self._ident: bytes | None = None
        self._rest = b""

    def start(self) -> None:
        """Try the next address."""
        self._address += 1
        if self._address >= len(self._server.addresses):
            self._fail("connect", "the server cannot be reached")
            return
        family, address = self._server.addresses[self._address]
        try:
            self._sock = sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            prompt(sock)
            code = sock.connect_ex(address)
        except OSError as error:
            self._no_connection(error.errno or 0)
            return
        if code not in (0, errno.EINPROGRESS):
            self._no_connection(code)
        elif code and (self._server.implicit or self._server.tells != "none"):
            self._poller.write(sock.fileno(), self._connected)
        else:
            # The server speaks first: its greeting, or the error, is what we wait for.
            self._begin(sock)

    def _no_connection(self, code: int) -> None:
        self._drop_socket()
        if self._address + 1 < len(self._server.addresses):
            self.start()
        else:
            self._fail("connect", errno.errorcode.get(code, "connection failed"))

    def _drop_socket(self) -> None:
        if self._sock is not None:
            if self._leg is None:
                self._poller.forget(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _connected(self) -> None:
        sock = self._sock
        assert sock is not None
        self._poller.write(sock.fileno(), None)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._no_connection(code)
        else:
            self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        server = self._server
        own = sock.getsockname() if server.tells != "none" else ("", 0)
        leg = self._leg = Leg(self._poller, sock, self._readable, _nothing)
        if server.tells != "none":
            ip, port = self._client
            try:
                if server.tells == "proxy":
                    leg.send(proxy_header(ip, port, own[0], own[1]))
            except OSError as error:
                self._fail("connect", error.strerror or "connection lost")
                return
            if server.tells == "id" and ip:
                self._ident = originating(ip, port, own[0], own[1])
        if server.implicit:
            leg.start_tls(server.context, self._implicit, server_name=server.target.host)
        else:
            leg.resume()

    def _implicit(self, error: OSError | None) -> None:
        assert self._leg is not None
        if error is not None:
            self._fail("tls", str(error))
        else:
            self._leg.resume()

    def _readable(self) -> None:
        leg, greeter, server = self._leg, self._greeter, self._server
        assert leg is not None
        try:
            count = leg.receive(self._view)
            if count < 0:
                return
            if not count:
                raise OSError("the server hung up")
            data = whole = self._rest + bytes(self._view[:count])
            alone = greeter is None and data.find(b"\n") == len(data) - 1
            if greeter is None:
                if self._ident is None and (known := server.greetings.get(data)) is not None:
                    self._leg = self._sock = None
                    self._ready(leg, *known)
                    return
                greeter = self._greeter = Greeter(
                    tls=server.implicit, policy=server.policy, ident=self._ident
                )
            while not (greeter.done or greeter.failed or greeter.wants_tls):
                line, found, data = data.partition(b"\n")
                if not found:
                    data = line
                    break
                answer = greeter.line(line.rstrip(b"\r"))
                if answer:
                    leg.send(answer)
            if len(data) > MOST:
                raise OSError("the server's line is too long")
        except OSError as error:
            if error.errno in _NO_CONNECTION:
                self._leg = None
                leg.close()
                self._sock = None
                self._no_connection(error.errno)
            else:
                self._fail("greeting", str(error))
            return
        self._rest = data
        if greeter.failed:
            self._fail("greeting", greeter.failed)
        elif greeter.wants_tls:
            self._rest = b""  # whoever put something behind the OK was not the server
            leg.start_tls(
                self._server.context, self._tls_stands, server_name=self._server.target.host
            )
        elif greeter.done:
            if data:
                self._fail("greeting", "the server speaks before it is asked")
            else:
                if alone and self._ident is None and len(server.greetings) < GREETINGS:
                    server.greetings[whole] = greeter.words, greeter.caps
                self._leg = self._sock = None
                self._ready(leg, greeter.words, greeter.caps)

    def _tls_stands(self, error: OSError | None) -> None:
        leg, greeter = self._leg, self._greeter
        assert leg is not None and greeter is not None
        if error is not None:
            self._fail("tls", str(error))
            return
        try:
            leg.send(greeter.tls_stands())
        except OSError as trouble:
            self._fail("tls", str(trouble))
            return
        leg.resume()

    def _fail(self, stage: str, why: str) -> None:
        self.close()
        self._failed(stage, why)

    def close(self) -> None:
        """Nobody waits any more."""
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.close()
            self._sock = None
        else:
            self._drop_socket()


def _nothing() -> None:
    """What is sent here is a few hundred octets."""
