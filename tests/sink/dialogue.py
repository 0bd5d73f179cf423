"""One conversation of a FaultSink: reads, answers by the script, writes the ledger."""

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
from typing import TYPE_CHECKING

from tests.sink.ledger import Connection, Message
from tests.sink.script import HANG, OK, RESET, Action, At, Fault, Say

if TYPE_CHECKING:
    from tests.faultsink import FaultSink

LINGER = 0.5  # s in which a client that we left may go on talking


class End(Exception):
    """The conversation is over; the argument says who ended it."""


class Dialogue:
    """One connection: reads, answers by the script, writes the ledger."""

    def __init__(
        self,
        sink: "FaultSink",
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.sink, self.ledger, self.reader, self.writer = sink, connection, reader, writer
        self.buffer = bytearray()
        self.greeted = False
        self.ended: Message | None = None  # the message whose end is being answered
        self.forget()

    def forget(self) -> None:
        self.mail: bytes | None = None
        self.rcpts: list[bytes] = []
        self.chunks = bytearray()

    async def run(self) -> None:
        if self.sink.proxy:
            self.ledger.proxy = await self.line()
        await self.say("connect", "220 sink.example.net ESMTP")
        while True:
            line = await self.line()
            self.ledger.lines.append(line)
            self.sink.note()
            verb = line.split(b" ")[0].upper().decode("latin-1").lower()
            handler = getattr(self, f"on_{verb}", None)
            if handler is None:
                await self.complain(f"500 5.5.2 unknown command {verb}")
            else:
                await handler(line)

    # Commands

    async def on_ehlo(self, line: bytes) -> None:
        if self.sink.lmtp:
            return await self.complain("500 5.5.1 this is LMTP: say LHLO")
        await self.greet(line)

    async def on_lhlo(self, line: bytes) -> None:
        if not self.sink.lmtp:
            return await self.complain("500 5.5.1 this is SMTP: say EHLO")
        await self.greet(line)

    async def on_helo(self, line: bytes) -> None:
        self.forget()
        self.greeted = await self.say("ehlo", "250 sink.example.net", line)

    async def greet(self, line: bytes) -> None:
        self.forget()
        words = ["sink.example.net", *self.sink.keywords]
        if self.sink.tls == "starttls" and self.ledger.tls is None:
            words.append("STARTTLS")
        if self.sink.auth:
            words.append(" ".join(["AUTH", *self.sink.auth]))
        self.greeted = await self.say("ehlo", "250 " + "\n".join(words), line)

    async def on_starttls(self, line: bytes) -> None:
        if self.sink.tls != "starttls" or self.ledger.tls is not None:
            return await self.complain("503 5.5.1 STARTTLS was not offered")
        self.ledger.after_starttls = bytes(self.buffer)
        self.buffer.clear()
        if await self.say("starttls", "220 2.0.0 ready", line, self.sink.inject_after_starttls):
            await self.writer.start_tls(self.sink.certificate.server_context())
            self.ledger.tls = tls_version(self.writer)
            self.greeted = False
            self.forget()

    async def on_xclient(self, line: bytes) -> None:
        """XCLIENT_README: not within a transaction; everything begins anew."""
        if not any(word.startswith("XCLIENT") for word in self.sink.keywords):
            return await self.complain("500 5.5.2 XCLIENT was not offered")
        if self.mail is not None:
            return await self.complain("503 5.5.1 XCLIENT not now")
        if await self.say("xclient", "220 sink.example.net ESMTP", line):
            self.greeted = False

    async def on_auth(self, line: bytes) -> None:
        words = line.decode("latin-1").split(" ")
        mechanism = words[1].upper() if len(words) > 1 else ""
        if self.mail is not None or self.ledger.authenticated:
            return await self.complain("503 5.5.1 AUTH not now")
        if mechanism not in self.sink.auth:
            return await self.complain(f"504 5.5.4 no mechanism {mechanism}")
        action = self.sink.pick("auth", line)
        if action is not OK:
            await self.act(action)
            return
        exchange = self.sink.auth[mechanism]
        steps = [exchange] if isinstance(exchange, str) else list(exchange)
        responses = [_decode(words[2])] if len(words) > 2 else []
        self.ledger.auth = (mechanism, responses)
        if responses and (steps[0].strip() == "334" or mechanism == "LOGIN"):
            steps.pop(0)  # the initial response has answered it already
        for step in steps:
            await self.act(Say(step))
            if step.startswith("334"):
                response = await self.line()
                self.ledger.lines.append(response)
                if response == b"*":
                    await self.act(Say("501 5.7.0 given up"))
                    return
                responses.append(_decode(response.decode("latin-1")))
            self.ledger.authenticated = step.startswith("235")

    async def on_mail(self, line: bytes) -> None:
        if not self.greeted or self.mail is not None:
            return await self.complain("503 5.5.1 MAIL not now")
        if self.sink.auth_needed and not self.ledger.authenticated:
            return await self.complain("530 5.7.0 authentication needed")
        if await self.say("mail", "250 2.1.0 sender ok", line):
            self.mail = line

    async def on_rcpt(self, line: bytes) -> None:
        if self.mail is None:
            return await self.complain("503 5.5.1 RCPT before MAIL")
        if await self.say("rcpt", "250 2.1.5 recipient ok", line):
            self.rcpts.append(line)

    async def on_data(self, line: bytes) -> None:
        if self.mail is None or self.chunks:
            return await self.complain("503 5.5.1 DATA not now")
        if not self.rcpts:
            return await self.complain("554 5.5.1 no valid recipients")
        if not await self.say("data", "354 go on", line):
            return
        wire, size, digest = await self.content()
        await self.finish(Message(self.mail, self.rcpts, self.ledger, wire, size, digest))

    async def on_bdat(self, line: bytes) -> None:
        words = line.upper().split()
        chunk = await self.exactly(int(words[1]))
        if self.mail is None or not self.rcpts:
            return await self.complain("503 5.5.1 BDAT not now")
        self.chunks += chunk
        if words[2:] == [b"LAST"]:
            wire = bytes(self.chunks)
            digest = hashlib.sha256(wire).hexdigest()
            await self.finish(
                Message(self.mail, self.rcpts, self.ledger, wire, len(wire), digest, chunked=True)
            )
        elif not await self.say("bdat", f"250 2.0.0 {len(chunk)} octets", line):
            self.forget()

    async def on_rset(self, line: bytes) -> None:
        self.forget()
        await self.say("rset", "250 2.0.0 forgotten", line)

    async def on_noop(self, line: bytes) -> None:
        await self.say("noop", "250 2.0.0 well", line)

    async def on_vrfy(self, line: bytes) -> None:
        await self.say("vrfy", "252 2.1.5 send some mail", line)

    async def on_quit(self, line: bytes) -> None:
        await self.say("quit", "221 2.0.0 bye", line)
        raise End("quit")

    # Content

    async def content(self) -> tuple[bytes, int, str]:
        """All up to the final dot: the octets (if kept), their number and SHA-256."""
        action = self.sink.pick("content", b"")
        due = action if isinstance(action, At) else None
        if due is None and action is not OK:
            await self.act(action)
        digest, kept, size, tail = hashlib.sha256(), bytearray(), 0, b"\r\n"
        try:
            while True:
                piece = bytes(self.buffer)
                self.buffer.clear()
                seen = tail + piece
                at = seen.find(b"\r\n.\r\n")
                if at >= 0:
                    end = at + 5 - len(tail)
                    self.buffer += piece[end:]
                    piece = piece[:end]
                digest.update(piece)
                size += len(piece)
                if self.sink.keep:
                    kept += piece
                if due is not None and size >= due.octets:
                    if due.do is HANG:
                        await asyncio.Event().wait()  # reads no more, unlike HANG elsewhere
                    await self.act(due.do)
                    due = None
                if at >= 0:
                    return bytes(kept), size, digest.hexdigest()
                tail = seen[-4:]
                if self.sink.read_rate:
                    await asyncio.sleep(len(piece) / self.sink.read_rate)
                await self.fill()
        except BaseException:
            self.ledger.partial = bytes(kept)
            raise

    async def finish(self, message: Message) -> None:
        rcpts = list(self.rcpts)
        self.forget()
        self.ledger.messages.append(message)
        self.sink.arrived.append(message)
        self.sink.note()
        self.ended = message
        for line in rcpts if self.sink.lmtp else [b""]:
            await self.say("dot", "250 2.0.0 stored", line)
        self.ended = None

    # Bytes

    async def fill(self) -> None:
        piece = await self.reader.read(4096 if self.sink.read_rate else 262144)
        if not piece:
            raise End("eof")
        if self.sink.keep:
            self.ledger.segments.append(piece)
            self.sink.note()
        self.buffer += piece

    async def line(self) -> bytes:
        while (at := self.buffer.find(b"\r\n")) < 0:
            await self.fill()
        line = bytes(self.buffer[:at])
        del self.buffer[: at + 2]
        return line

    async def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            await self.fill()
        piece = bytes(self.buffer[:count])
        del self.buffer[:count]
        return piece

    # Answers

    async def say(self, stage: str, healthy: str, line: bytes = b"", behind: bytes = b"") -> bool:
        """Answer by the script; True if it was a yes (2xx or 3xx)."""
        action = self.sink.pick(stage, line)
        if action is OK:
            action = Say(healthy)
        return await self.act(action, behind)

    async def complain(self, text: str) -> None:
        self.sink.complaints.append(f"{text} <- {self.ledger.lines[-1]!r}")
        await self.act(Say(text))

    async def act(self, action: Action, behind: bytes = b"") -> bool:
        if isinstance(action, Fault):
            await self.fail(action)
        assert isinstance(action, Say), f"{action} makes no sense here"
        await asyncio.sleep(action.after)
        wire = action.wire()
        self.ledger.replies.append(wire)
        if self.ended is not None:
            self.ended.replies.append(wire)
        self.sink.note()
        wire += behind
        pieces = [wire[i : i + 1] for i in range(len(wire))] if action.gap else [wire]
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(action.gap)
        if action.then is not None:
            await self.fail(action.then)
        if wire.startswith(b"421") and isinstance(action.text, str):
            raise End("close")
        return wire[:1] in b"23"

    async def fail(self, fault: Fault) -> None:
        if fault is HANG:
            while True:
                await self.fill()  # until the client is gone, or stop()
        elif fault is RESET:
            reset(self.writer)
        raise End(fault.value)


async def hang_up(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, politely: bool
) -> None:
    """Close; politely is after everything was sent (over TLS: and the other side agreed).

    A socket that is closed with unread octets sends a RST, which takes our last words from the
    other side's buffer: so what still comes is read for a moment, as a server would.
    """
    try:
        if politely:
            if writer.can_write_eof():
                writer.write_eof()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER):
                        while await reader.read(65536):
                            pass
            writer.close()
            await writer.wait_closed()
    except OSError:
        pass  # gone before the end of our goodbye
    finally:
        writer.transport.abort()


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave with a RST: the other side reads "connection reset by peer"."""
    sock = writer.get_extra_info("socket")
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _decode(text: str) -> bytes:
    return b"" if text == "=" else base64.b64decode(text)


def tls_version(writer: asyncio.StreamWriter) -> str | None:
    tls = writer.get_extra_info("ssl_object")
    return tls.version() if tls is not None else None
