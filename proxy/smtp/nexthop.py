"""The next hop: how connections to one configured target come about.

An edge. `connect` makes a connection: address after address, greeting, EHLO, TLS by policy, the
service account's AUTH. `take` and `give_back` are those of its pool (hoppool.py).

Promises
- `connect` ends in a connection that may take MAIL, or in `HopUnavailable`; nothing in between.
- TLS policy: "may" uses STARTTLS if offered and goes on in clear where that fails; "require" and
  "verify" never send MAIL or a password without TLS, "verify" none without the right certificate.
  After STARTTLS only the second EHLO counts (RFC 3207 section 4.2).
- Bounded: `max_open` connections in all, `connect_timeout` + `reply_timeout` for one.

Limits: no connection is shared by two transactions at a time; TLS sessions are not resumed; with
"mx" and "verify" the certificate must name the MX host, and that name comes from plain DNS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.hopconn import HopConnection, OnReply
from proxy.smtp.hoperrors import HopLost, HopUnavailable
from proxy.smtp.hoppool import HopPool
from proxy.smtp.hoptalk import Talk
from proxy.smtp.hoptls import SmallBufferTLS, client_context, switch, tls_leg
from proxy.smtp.introduce import Stranger, Way, introduce, proxy_line
from proxy.smtp.replies import Reply
from proxy.smtp.resolve import HopAddress, MailResolver
from proxy.smtp.sasl import Account, ClientAuth, NoMechanism

if TYPE_CHECKING:
    from config.settings import HopTarget

__all__ = [
    "Capabilities",
    "HopConnection",
    "HopLost",
    "HopUnavailable",
    "MailRoutes",
    "NextHop",
    "OnReply",
    "Reply",
]

# An address that is not the last one must accept within this time: a black hole behind an AAAA
# record may delay mail, not stop it.
NEXT_ADDRESS_AFTER: Final = 5.0
# RFC 5321 section 5.1 lets a limit be set on the number of addresses tried, 2 at least.
MAX_ADDRESSES: Final = 8
_GONE: Final = Reply.of(451, "4.4.2", "Lost the connection to the next hop, try again later")


class MailRoutes(Protocol):
    """How "mx" finds its hosts; resolve.MailResolver is the real one."""

    async def hosts(self, domain: str) -> Sequence[HopAddress]:
        """The addresses to try for a domain, in order; raises HopUnavailable."""


class NextHop(HopPool):
    """One target, its pool and its way to new connections."""

    def __init__(
        self,
        target: HopTarget,
        *,
        helo: str,
        tls: str = "may",
        ca: Path | None = None,
        allow_private: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        connect_timeout: float = 30.0,
        reply_timeout: float = 300.0,
        pool_size: int = 100,
        idle_timeout: float = 30.0,
        max_uses: int = 100,
        max_open: int = 5000,
        resolver: MailRoutes | None = None,
        own: Collection[tuple[str, int]] | None = None,
        account: Callable[[], Account] | None = None,
        tell: Way = "none",
    ) -> None:
        """`account` logs in on each connection ([outbound]); it is asked each time, so that a new
        password needs no restart. `tell`: how the hop learns who the client is (introduce.py). For
        "mx": `own` is where our doors listen (see MailResolver), `resolver` another way to hosts
        than the DNS of this machine.
        """
        self.target = target
        self.capabilities: Capabilities | None = None
        self._helo = helo.encode("ascii")
        self._tls = tls
        self._context = client_context(tls, ca)
        super().__init__(
            loop or asyncio.get_running_loop(),
            size=pool_size,
            idle_timeout=idle_timeout,
            max_uses=max_uses,
            reply_timeout=reply_timeout,
        )
        self._connect_timeout = connect_timeout
        # For all addresses together: a client of ours may be waiting.
        self._whole_timeout = connect_timeout + reply_timeout
        self._max_open = max_open
        if target.kind == "mx" and resolver is None:
            resolver = MailResolver(
                helo, port=target.port or 25, allow_private=allow_private, own=own
            )
        self._resolver = resolver
        self._account = account
        self._lmtp = target.kind == "lmtp"
        self.tell: Way = tell

    async def connect(
        self, domain: str | None = None, *, fresh: bool = False, client: Stranger | None = None
    ) -> HopConnection:
        """A connection that may take MAIL, from `client` where the hop is told; `fresh` passes the
        pool by. Raises HopUnavailable."""
        while not fresh and (pooled := self.take(domain)) is not None:
            if await self._introduced(pooled, client):
                return pooled
        if self.open >= self._max_open:
            reply = Reply.of(451, "4.3.2", "too many connections to the next hop")
            raise HopUnavailable(reply, stage="connect")
        key = domain or "" if self.target.kind == "mx" else ""
        addresses = (await self._addresses(domain))[:MAX_ADDRESSES]
        try:
            async with asyncio.timeout(self._whole_timeout):
                conn = await self._first_good(key, addresses, client)
                if not await self._introduced(conn, client):
                    raise HopUnavailable(_GONE, stage="XCLIENT")
                return conn
        except TimeoutError as error:
            reply = Reply.of(451, "4.4.1", "the next hop cannot be reached in time")
            raise HopUnavailable(reply, stage="connect", detail=str(addresses)) from error

    async def _introduced(self, conn: HopConnection, client: Stranger | None) -> bool:
        """Tell the hop who the client is, where that is said on any connection; false if it is
        lost. Raises HopUnavailable."""
        if self.tell != "xclient" or client is None:
            return True
        try:
            await introduce(Talk(conn), client, lmtp=self._lmtp, helo=self._helo)
        except HopLost:
            return False
        except BaseException:
            conn.abort()
            raise
        conn.on_lost = conn.on_writable = None
        return True

    async def _first_good(
        self, key: str, addresses: Sequence[HopAddress], client: Stranger | None
    ) -> HopConnection:
        last: HopUnavailable | None = None
        for number, address in enumerate(addresses, 1):
            patience = self._connect_timeout
            if number < len(addresses):
                patience = min(patience, NEXT_ADDRESS_AFTER)
            try:
                return await self._open_one(key, address, patience, client)
            except HopUnavailable as error:
                # What a hop said tells more than "unreachable" of the address after it.
                if last is None or error.words is not None or last.words is None:
                    last = error
        assert last is not None, "an empty list of addresses"
        raise last

    async def _addresses(self, domain: str | None) -> Sequence[HopAddress]:
        target = self.target
        if target.kind == "mx":
            if domain is None or self._resolver is None:
                raise ValueError("an mx target needs a domain")
            return await self._resolver.hosts(domain)
        if target.unix_path is not None:
            return [HopAddress("localhost", target.unix_path, 0)]
        try:
            async with asyncio.timeout(self._connect_timeout):
                found = await self._loop.getaddrinfo(
                    target.host, target.port, type=socket.SOCK_STREAM
                )
        except (OSError, TimeoutError) as error:
            reply = Reply.of(451, "4.4.3", "the next hop's name cannot be resolved")
            raise HopUnavailable(reply, stage="resolve", detail=str(error)) from error
        ips = dict.fromkeys(str(entry[4][0]) for entry in found)
        return [HopAddress(target.host, ip, target.port) for ip in ips]

    async def _open_one(
        self, key: str, address: HopAddress, patience: float, client: Stranger | None
    ) -> HopConnection:
        try:
            return await self._greet(key, address, patience, client, starttls=True)
        except _TLSFailed as error:
            if self._tls != "may" or self.target.kind == "smtps":
                reply = Reply.of(451, "4.7.5", "TLS with the next hop failed")
                raise HopUnavailable(reply, stage="tls", detail=str(error)) from error
        try:
            return await self._greet(key, address, patience, client, starttls=False)
        except _TLSFailed as error:  # pragma: no cover - no TLS is tried here
            raise AssertionError from error

    async def _greet(
        self,
        key: str,
        address: HopAddress,
        patience: float,
        client: Stranger | None,
        *,
        starttls: bool,
    ) -> HopConnection:
        conn = HopConnection(self, self._loop, key, lmtp=self._lmtp)
        self.track(conn)
        try:
            await self._talk(conn, address, patience, client, starttls)
        except BaseException as error:
            conn.abort()
            self.gone(conn)  # in mid-handshake no connection_lost comes
            if isinstance(error, HopLost):
                raise HopUnavailable(
                    error.reply, stage="greeting", words=error.words, detail=str(error)
                ) from error
            raise
        conn.on_lost = conn.on_writable = None
        # Opened in one client's name, it is never another's.
        conn.private = conn.private or self.tell == "proxy"
        return conn

    async def _talk(
        self,
        conn: HopConnection,
        address: HopAddress,
        patience: float,
        client: Stranger | None,
        starttls: bool,
    ) -> None:
        """From nothing to "may take MAIL"."""
        talk = Talk(conn)
        greeting = talk.expect()
        await self._dial(conn, address, patience, client)
        conn.banner = banner = (await greeting)[0]
        if banner.code != 220:
            raise HopUnavailable.said(banner, "greeting")
        await self._ehlo(talk)
        if conn.tls is None and address.port and starttls:
            await self._starttls(talk, address)
        if conn.tls is None and self._tls != "may":
            reply = Reply.of(451, "4.7.4", "the next hop offers no TLS, which is required here")
            raise HopUnavailable(reply, stage="tls")
        if self._account is not None:
            await self._login(talk, self._account, address)
        self.capabilities = conn.caps

    async def _dial(
        self, conn: HopConnection, address: HopAddress, patience: float, client: Stranger | None
    ) -> None:
        """TCP, TLS if implicit, or the unix socket."""
        try:
            async with asyncio.timeout(patience):
                if address.port == 0:
                    await self._loop.create_unix_connection(lambda: conn, address.ip)
                elif self.target.kind != "smtps":
                    await self._tcp(lambda: conn, address, client)
                else:
                    leg, done = self._leg(conn, address, patience)
                    raw = await self._tcp(lambda: leg, address, client)
                    try:
                        await self._shaken(conn, done)
                    except BaseException:
                        raw.abort()
                        raise
        except (OSError, TimeoutError) as error:
            reply = Reply.of(451, "4.4.1", "the next hop cannot be reached")
            detail = f"{address.ip}: {error or 'timed out'}"
            raise HopUnavailable(reply, stage="connect", detail=detail) from error
        conn.peer = (address.ip, address.port)

    async def _tcp(
        self, made: Callable[[], asyncio.BaseProtocol], address: HopAddress, client: Stranger | None
    ) -> asyncio.Transport:
        loop = self._loop
        if self.tell != "proxy":
            return (await loop.create_connection(made, address.ip, address.port))[0]
        family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, (address.ip, address.port))
            await loop.sock_sendall(sock, proxy_line(client))  # before TLS, before the greeting
            return (await loop.create_connection(made, sock=sock))[0]
        except BaseException:
            sock.close()
            raise

    def _leg(
        self, conn: HopConnection, address: HopAddress, patience: float
    ) -> tuple[SmallBufferTLS, asyncio.Future[None]]:
        try:
            return tls_leg(self._loop, conn, self._context, address.name, patience)
        except ValueError as error:  # what the DNS calls a host need not be a host name
            raise _TLSFailed(f"{address.name}: {error}") from error

    async def _shaken(self, conn: HopConnection, done: asyncio.Future[None]) -> None:
        try:
            await done
        except (OSError, EOFError) as error:
            raise _TLSFailed(str(error) or type(error).__name__) from error
        if conn.transport is None:
            raise _TLSFailed("connection lost")
        conn.tls = conn.transport.get_extra_info("ssl_object").version()

    async def _starttls(self, talk: Talk, address: HopAddress) -> None:
        conn = talk.conn
        if not conn.caps.has("STARTTLS"):
            return
        reply = await talk.starttls()
        if reply.code != 220:
            if self._tls == "may":
                return  # RFC 3207 section 4: the client decides, and this one may go on
            raise HopUnavailable.said(reply, "STARTTLS")
        transport = conn.transport
        if transport is None:
            raise _TLSFailed("connection lost")
        leg, done = self._leg(conn, address, self._connect_timeout)
        switch(transport, leg)
        await self._shaken(conn, done)
        conn.caps = Capabilities()
        await self._ehlo(talk)

    async def _ehlo(self, talk: Talk) -> None:
        reply = await _ask(talk, (b"LHLO " if self._lmtp else b"EHLO ") + self._helo)
        if reply.code == 250:
            talk.conn.caps = Capabilities.from_reply(reply)
            return
        if reply.permanent and not self._lmtp:
            # RFC 5321 section 3.2: a server that refuses EHLO may know HELO.
            reply = await _ask(talk, b"HELO " + self._helo)
            if reply.code == 250:
                return
        raise HopUnavailable.said(reply, "LHLO" if self._lmtp else "EHLO")

    async def _login(self, talk: Talk, account: Callable[[], Account], address: HopAddress) -> None:
        conn = talk.conn
        if conn.tls is None and not address.local:
            reply = Reply.of(451, "4.7.0", "the next hop offers no TLS, and a password needs it")
            raise HopUnavailable(reply, stage="auth")
        try:
            auth = ClientAuth(account(), conn.caps.auth)
        except (OSError, ValueError) as error:
            reply = Reply.of(451, "4.3.5", "the password for the next hop cannot be read")
            raise HopUnavailable(reply, stage="auth", detail=str(error)) from error
        except NoMechanism as error:
            reply = Reply.of(451, "4.7.0", "the next hop offers no way to log in that we know")
            raise HopUnavailable(reply, stage="auth", detail=str(error)) from error
        answer = await _ask(talk, auth.first())
        while answer.code == 334:
            answer = await _ask(talk, auth.next(answer))
        if answer.code != 235:
            raise HopUnavailable.said(answer, "AUTH")
        conn.private = False  # ours, the same on every connection of this pool


async def _ask(talk: Talk, line: bytes) -> Reply:
    return (await talk.ask(line + b"\r\n"))[0]


class _TLSFailed(Exception):
    """The handshake did not come about."""
