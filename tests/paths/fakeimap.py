"""An IMAP server of a few lines, for what a real one never does: it logs every command, knows what
it is told to know, and misbehaves on demand.

    async with FakeImap(boxes={"INBOX": Box({1: b"..."})}) as server:
        server.port, server.commands, server.clients
"""

import asyncio
import base64
import re
import ssl
from dataclasses import dataclass, field
from typing import Self

from crmstore.uidset import UidSet


@dataclass
class Box:
    """A mailbox: UID -> octets."""

    mail: dict[int, bytes]
    validity: int = 7
    attributes: str = ""
    dates: dict[int, str] = field(default_factory=dict)
    flags: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)


class FakeImap:
    """`script` maps a command ("UID FETCH") to octets that are sent instead of the answer; None
    hangs, "close" closes."""

    def __init__(
        self,
        boxes: dict[str, Box] | None = None,
        *,
        caps: str = "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER ESEARCH",
        password: str = "secret",
        tls: ssl.SSLContext | None = None,
        greeting: bytes = b"* OK hello\r\n",
        script: dict[str, bytes | str | None] | None = None,
    ) -> None:
        self.boxes = boxes if boxes is not None else {"INBOX": Box({})}
        self.caps, self.password, self.tls, self.greeting = caps, password, tls, greeting
        self.script = script or {}
        self.commands: list[str] = []
        self.said: list[bytes] = []
        self.clients = 0
        self.logins = 0
        self.largest = 0  # of clients at one time
        self.port = 0
        self.faults: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._selected: dict[asyncio.StreamWriter, Box] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.faults == [], "the server itself did something wrong"

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.clients += 1
        self.largest = max(self.largest, self.clients)
        try:
            writer.write(self.greeting)
            while line := await reader.readline():
                self.said.append(line)
                tag, _, rest = line.decode().rstrip("\r\n").partition(" ")
                if not await self._command(tag, rest, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, UnicodeDecodeError):
            pass  # the client has left, or speaks TLS where we do not
        except Exception as fault:
            self.faults.append(fault)
        finally:
            self.clients -= 1
            self._selected.pop(writer, None)
            writer.close()
            self._tasks.discard(task)

    async def _command(
        self, tag: str, rest: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        words = rest.split(" ")
        name = " ".join(words[:2]).upper() if words[0].upper() == "UID" else words[0].upper()
        self.commands.append(rest if name not in ("LOGIN", "AUTHENTICATE") else name)
        if name in self.script:
            answer = self.script[name]
            if answer == "close":
                return False
            if answer is None:
                await asyncio.sleep(3600)
            assert isinstance(answer, bytes)
            writer.write(answer.replace(b"TAG", tag.encode()))
            return True
        ok = f"{tag} OK {name} done\r\n".encode()
        if name == "CAPABILITY":
            writer.write(f"* CAPABILITY {self.caps}\r\n".encode() + ok)
        elif name == "STARTTLS":
            writer.write(ok)
            await writer.drain()
            assert self.tls is not None
            await writer.start_tls(self.tls)
        elif name == "LOGIN":
            self._enter(tag, rest.endswith(f'"{self.password}"'), writer)
        elif name == "AUTHENTICATE":
            await self._authenticate(tag, words, reader, writer)
        elif name == "LIST":
            for mailbox, content in self.boxes.items():
                writer.write(f'* LIST ({content.attributes}) "/" "{mailbox}"\r\n'.encode())
            writer.write(ok)
        elif name == "EXAMINE":
            box = self._selected[writer] = self.boxes[rest.split(" ", 1)[1].strip('"')]
            writer.write(f"* OK [UIDVALIDITY {box.validity}] ok\r\n".encode())
            writer.write(f"{tag} OK [READ-ONLY] done\r\n".encode())
        elif name == "UID SEARCH":
            uids = sorted(self._selected[writer].mail)
            if "RETURN" in rest:
                listed = f" ALL {','.join(map(str, uids))}" if uids else ""
                writer.write(f'* ESEARCH (TAG "{tag}") UID{listed}\r\n'.encode() + ok)
            else:
                writer.write(f"* SEARCH {' '.join(map(str, uids))}\r\n".encode() + ok)
        elif name == "UID FETCH":
            self._fetch(words[2], rest, writer)
            writer.write(ok)
        elif name == "LOGOUT":
            writer.write(b"* BYE bye\r\n" + ok)
            return False
        else:
            writer.write(f"{tag} BAD unknown\r\n".encode())
        await writer.drain()
        return True

    def _enter(self, tag: str, ok: bool, writer: asyncio.StreamWriter) -> None:
        self.logins += 1
        words = "OK in" if ok else "NO [AUTHENTICATIONFAILED] wrong password"
        writer.write(f"{tag} {words}\r\n".encode())

    async def _authenticate(
        self,
        tag: str,
        words: list[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if len(words) < 3:
            writer.write(b"+ \r\n")
            words = [*words, (await reader.readline()).decode().strip()]
        message = base64.b64decode(words[2]).decode()
        secret = re.split("[\0 \x01]", message.rstrip("\x01"))[-1]
        if secret != self.password and words[1] != "PLAIN":
            writer.write(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
            await reader.readline()
        self._enter(tag, secret == self.password, writer)

    def _fetch(self, uids: str, rest: str, writer: asyncio.StreamWriter) -> None:
        box = self._selected[writer]
        wanted = UidSet.parse(uids)
        for number, (uid, body) in enumerate(sorted(box.mail.items()), 1):
            if uid not in wanted:
                continue
            if "BODY.PEEK[]" in rest:
                head = f"* {number} FETCH (UID {uid} BODY[] {{{len(body)}}}\r\n"
                writer.write(head.encode() + body + b")\r\n")
            else:
                date = box.dates.get(uid, "01-Feb-2031 10:00:00 +0000")
                writer.write(
                    f"* {number} FETCH (UID {uid} RFC822.SIZE {box.sizes.get(uid, len(body))}"
                    f' INTERNALDATE "{date}" FLAGS ({box.flags.get(uid, "")}))\r\n'.encode()
                )
