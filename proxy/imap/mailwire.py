"""A connection to a mail server for the companion: what is said goes out by aioimaplib, what comes
in is read by our own reader (edge).

aioimaplib keeps tags, states and pending commands. Its way of reading is not used, because (2.0.3,
measured): a read of about 1,000 lines ends in a RecursionError and then in silence; a line that
comes in many reads is put together anew each time; a literal lies whole in memory; a server that
closes is noticed only by the time-out; passwords are formatted for a debug log. Here
proxy/imap/fragments.py splits lines from literals, whole responses are kept up to a bound, a
message's octets go straight to where they are wanted, and a lost connection ends what waits. It
has no STARTTLS either: that is proxy/smtp/hoptls.py over the same transport (decision 0111).

Promises: every wait ends, PATIENCE seconds after the last octet at the latest. No exception tells a
word of what was sent; `MailboxError.words` are the server's own.
Cites: RFC 3501; libraries.md "aioimaplib"; threats.md "IMAP injected tagged OK", "IMAP PREAUTH".
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, NamedTuple

from aioimaplib.aioimaplib import (
    CONNECTED,
    LOGOUT,
    NONAUTH,
    STARTED,
    AioImapException,
    Command,
    IMAP4ClientProtocol,
)

from proxy.imap.fragments import ServerStream
from proxy.imap.grammar import NotUnderstood
from proxy.imap.message import Tee, into
from proxy.smtp.hoptls import switch, tls_leg

__all__ = ["MailboxError", "Response", "Server", "Wire", "words"]

PATIENCE: Final = 60.0
LONGEST: Final = 4 << 20  # a line: SEARCH in a mailbox of some hundred thousand messages
MOST_LITERALS: Final = 500  # in one response
PIECED: Final = 256 << 10  # octets of its lines then
MOST_RESPONSES: Final = 5_000  # to one command
MOST_HEARD: Final = 8 << 20  # octets of them
SMALL: Final = 65_536  # a literal that is no message


class MailboxError(Exception):
    """The side connection cannot go on. `stage` is from a closed set, `words` the server's."""

    def __init__(self, stage: str, words: str = "") -> None:
        super().__init__(f"{stage}: {words}" if words else stage)
        self.stage = stage
        self.words = words


class Server(NamedTuple):
    """Where the mailboxes are. `tls` is a policy: may, require, verify; `context` belongs to it.
    `preamble` is sent before anything else (a PROXY header, where the server wants one), `ident`
    are the arguments of an ID command before the login."""

    host: str
    port: int
    implicit: bool
    tls: str
    context: ssl.SSLContext
    preamble: bytes = b""
    ident: str = ""


class Response(NamedTuple):
    text: bytes  # its lines joined, literals as they were announced
    literals: list[bytes | None]


class _Reader(ServerStream):
    """Gathers whole responses."""

    __slots__ = ("_client", "_literals", "_parts", "_small")

    def __init__(self, client: Wire) -> None:
        super().__init__(self._line_heard, LONGEST)
        self._client = client
        self._parts: list[bytes] = []
        self._literals: list[bytes | None] = []
        self._small: list[bytes] | None = None

    def _line_heard(self, text: bytes, start: int, stop: int, size: int, first: bool) -> None:
        if self._small is not None:
            self._literals.append(b"".join(self._small))
            self._small = None
        self._parts.append(text)
        if not first and (len(self._parts) > MOST_LITERALS or sum(map(len, self._parts)) > PIECED):
            raise MailboxError("answer", "a response of too many pieces")
        if size < 0:
            whole = Response(b"".join(self._parts), self._literals)
            self._parts, self._literals = [], []
            self.tee = None
            self._client.heard(whole)
            return
        taking = self._client.takes(b"".join(self._parts))
        if taking is not None:
            self._literals.append(None)
            self.tee = taking
        elif size <= SMALL:
            self._small = []
            self.tee = into(self._small)
        else:
            self._literals.append(None)
            self.tee = None

    def long_begins(self, head: bytes, first: bool) -> None:
        raise MailboxError("answer", "a line of more than 4 MiB")


class Wire(IMAP4ClientProtocol):  # type: ignore[misc]
    """One connection, as far as it knows no commands but the first ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float = PATIENCE) -> None:
        super().__init__(loop)
        self.state: str = STARTED
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.patience = patience
        self._reader = _Reader(self)
        self._buffer = bytearray()
        self._heard: list[Response] = []
        self._octets = 0
        self._last = loop.time()
        self._answers: list[bytes] = []
        self._continued = 0
        self._lost: MailboxError | None = None

    # What the transport says

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.state == STARTED:
            self.state = CONNECTED

    def data_received(self, d: bytes) -> None:
        self._last = self.loop.time()
        buffer = self._buffer
        buffer += d
        try:
            del buffer[: self._reader.feed(buffer, 0, len(buffer))]
        except MailboxError as error:
            self._fail(error)
        except (AioImapException, NotUnderstood, ValueError, KeyError):
            self._fail(MailboxError("answer", "not understood"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(MailboxError("lost"))

    def _fail(self, error: MailboxError) -> None:
        """End everything that waits."""
        if self._lost is not None:
            return
        self._lost = error
        self.state = LOGOUT
        waiting = [self.pending_sync_command, *self.pending_async_commands.values()]
        for command in waiting:
            if command is not None:
                command._exception = error
                command._event.set()
        if not self.greeted.done():
            self.greeted.set_exception(error)
            self.greeted.exception()  # it may be that nobody asks
        if self.transport is not None:
            self.transport.abort()

    def takes(self, text: bytes) -> Tee | None:
        """Where the octets of the literal go that this text announces; None: nowhere special."""
        return None

    def untagged(self, text: bytes) -> None:
        """A whole untagged response."""

    def heard(self, response: Response) -> None:
        """A whole response: greeting, untagged, continuation, tagged."""
        text = response.text
        if self.state == CONNECTED:
            self._greet(text)
        elif text.startswith(b"* "):
            if text[2:6].upper() == b"BYE " and self.pending_sync_command is None:
                raise MailboxError("bye", words(text[6:]))
            self.untagged(text)
            self._octets += len(text) + sum(len(part or b"") for part in response.literals)
            if len(self._heard) < MOST_RESPONSES and self._octets <= MOST_HEARD:
                self._heard.append(response)
        elif text.startswith(b"+"):
            self._go_on()
        elif text:
            self._response_done(text)

    def _greet(self, text: bytes) -> None:
        kind = text[2:].split(b" ", 1)[0].upper()
        if kind != b"OK":  # PREAUTH would be somebody else's mailbox, and without TLS for good
            raise MailboxError("greeting", words(text[2:]))
        self.state = NONAUTH
        if not self.greeted.done():
            self.greeted.set_result(None)

    def _go_on(self) -> None:
        """The server's `+`: the next response of a login; behind the last one the empty one, which
        fetches the words of a refusal (XOAUTH2)."""
        self._continued += 1
        command = self.pending_sync_command
        if command is None or command.name != "AUTHENTICATE" or self._continued > 3:
            raise MailboxError("answer", "a continuation that nobody asked for")
        self.transport.write((self._answers.pop(0) if self._answers else b"") + b"\r\n")

    def pause(self) -> None:
        """Read nothing for a moment."""
        self.transport.pause_reading()
        self.loop.call_later(0.05, self._resume)

    def _resume(self) -> None:
        if self._lost is None:
            self.transport.resume_reading()

    def send(self, line: str, scrub: str | None = None) -> None:
        """As the library's, without a word to any log."""
        self.transport.write(line.encode("ascii") + b"\r\n")

    # Commands

    async def ask(self, name: str, *args: str, prefix: str | None = None) -> list[Response]:
        """Say a command, wait for its end; the untagged responses. MailboxError for NO and BAD."""
        if self._lost is not None:
            raise self._lost
        self._heard, self._octets = [], 0
        self._last = self.loop.time()
        command = Command(name, self.new_tag(), *args, prefix=prefix, loop=self.loop)
        waiting = asyncio.ensure_future(self.execute(command))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=self.patience)
                if not waiting.done() and self.loop.time() - self._last >= self.patience:
                    raise MailboxError("timeout", name)
            try:
                result, lines = waiting.result()
            except MailboxError:
                raise
            except (AioImapException, ValueError):
                raise MailboxError("answer", name) from None
        except MailboxError as error:
            self._fail(error)
            raise
        finally:
            waiting.cancel()
        if result != "OK":
            raise MailboxError(name.lower(), words(bytes(lines[-1]) if lines else b""))
        heard, self._heard = self._heard, []
        return heard

    async def capabilities_again(self) -> None:
        found: set[str] = set()
        for text, _ in await self.ask("CAPABILITY"):
            if text.upper().startswith(b"* CAPABILITY "):
                found.update(text[13:].decode("ascii", "replace").upper().split())
        self.capabilities = found

    async def starttls(self, server: Server) -> None:
        """From here on all is TLS. What came before the handshake is not believed."""
        await self.ask("STARTTLS")
        if self._buffer or not self._reader.between:
            raise MailboxError("tls", "octets before the handshake")
        leg, done = tls_leg(self.loop, self, server.context, server.host, self.patience)
        switch(self.transport, leg)
        await _shaken(done)
        await self.capabilities_again()

    def close(self) -> None:
        """At once."""
        self._fail(MailboxError("closed"))


async def open_transport(client: Wire, server: Server, loop: asyncio.AbstractEventLoop) -> None:
    if not server.implicit:
        transport, _ = await loop.create_connection(lambda: client, server.host, server.port)
        transport.write(server.preamble)
        return
    leg, done = tls_leg(loop, client, server.context, server.host, client.patience)
    transport, _ = await loop.create_connection(_Plain, server.host, server.port)
    transport.write(server.preamble)
    switch(transport, leg)
    await _shaken(done)


class _Plain(asyncio.Protocol):
    """Nothing is read before TLS stands."""


async def _shaken(done: asyncio.Future[None]) -> None:
    try:
        await done
    except (OSError, EOFError) as error:
        raise MailboxError("tls", type(error).__name__) from None


def words(text: bytes) -> str:
    return text[:200].decode("utf-8", "replace")
