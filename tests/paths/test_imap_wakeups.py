"""Nothing waits inside an IMAP door: what one side says, the other has, though nobody says more.

Sessions go through their lives at random (commands one by one, IDLE, bursts of news in pieces, big
FETCHes to a client that does not read, APPENDs to a server that does not read) and fall silent
between two rounds: a wake-up that is lost then, or a reader that is paused and never resumed, shows
at once, for no other event covers it. Both ends are ours, and what arrives is compared octet by
octet. After many plain commands a socket is watched by the loop itself (decision 0115), and comes
back from there.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests.certs import certificate_for
from tests.paths.imapdoors import ImapDoor

pytestmark = pytest.mark.slow

ROUNDS = 60
SESSIONS: Final = 24
#: A machine may be loaded; what is lost never comes.
PATIENCE: Final = 30.0
#: Octets that are read ahead: little, so that one who does not read is felt on the other side.
ROOM: Final = 4096
NEWS: Final = (b"* %d EXISTS", b"* %d RECENT", b"* %d EXPUNGE", b"* %d FETCH (FLAGS (\\Seen))")
MORE = "[journal]\nmin_free = 0\n[capture]\ncompanion = false"

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
End = tuple[Reader, Writer]


class Pair:
    """The client of a session and its server, with the door between them."""

    def __init__(self, client: End, server: End, chance: random.Random) -> None:
        self.client, self.server, self.chance = client, server, chance
        self.idling = False
        self.uid = 0

    async def pass_on(self, out: End, into: End, data: bytes, late: float = 0.0) -> None:
        """All of it arrives, in pieces or at once, at a reader who may come late."""
        reading = asyncio.create_task(self._arrives(into, data, late))
        try:
            await self._say(out, data)
            async with asyncio.timeout(PATIENCE):
                await reading
        finally:
            reading.cancel()

    async def _say(self, end: End, data: bytes) -> None:
        chance, at = self.chance, 0
        cuts = chance.choice((0, 0, 1, 3))
        for cut in [*sorted(chance.randint(0, len(data)) for _ in range(cuts)), len(data)]:
            end[1].write(data[at:cut])
            at = cut
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.004)))

    async def _arrives(self, end: End, data: bytes, late: float) -> None:
        await asyncio.sleep(late)
        assert await end[0].readexactly(len(data)) == data

    def to_server(self, data: bytes, late: float = 0.0) -> Awaitable[None]:
        return self.pass_on(self.client, self.server, data, late)

    def to_client(self, data: bytes, late: float = 0.0) -> Awaitable[None]:
        return self.pass_on(self.server, self.client, data, late)

    # what happens in a session

    async def commands(self) -> None:
        for number in range(self.chance.choice((1, 1, 2, 20))):
            await self.to_server(b"n%d NOOP\r\n" % number)
            await self.to_client(b"n%d OK Nothing\r\n" % number)

    async def idle(self) -> None:
        await self.to_server(b"i IDLE\r\n")
        news = self._news() if self.chance.random() < 0.3 else b""
        await self.to_client(b"+ idling\r\n" + news)
        self.idling = True

    async def news(self) -> None:
        await self.to_client(self._news(), self.chance.choice((0, 0, 0.01)))

    async def done(self) -> None:
        """With news, perhaps, that cross it on the way."""
        self.idling = False
        if self.chance.random() < 0.5:
            await asyncio.gather(self.to_client(self._news()), self.to_server(b"DONE\r\n"))
        else:
            await self.to_server(b"DONE\r\n")
        await self.to_client(self._news() + b"i OK Idle completed\r\n")

    async def fetch(self) -> None:
        """Bodies that are captured."""
        await self.to_server(b"f UID FETCH %d:* (BODY.PEEK[])\r\n" % self.uid)
        said = []
        many, size = self.chance.choice(((1, 9), (20, 999), (5, 99_999), (6, 999_999)))
        for _ in range(many):
            self.uid += 1
            body = b"Subject: %d\r\n\r\n" % self.uid + b"x" * size
            said.append(b"* 1 FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (self.uid, len(body), body))
        said.append(self._news() + b"f OK done\r\n")
        await self.to_client(b"".join(said), self.chance.choice((0, 0.01, 0.05)))

    async def append(self) -> None:
        octets = b"y" * self.chance.choice((9, 9_999, 5_999_999))
        begin = b"a APPEND Sent {%d" % len(octets)
        late = self.chance.choice((0, 0.01, 0.05))
        if self.chance.random() < 0.5:
            await self.to_server(begin + b"+}\r\n" + octets + b"\r\n", late)
        else:
            await self.to_server(begin + b"}\r\n")
            await self.to_client(b"+ OK\r\n")
            await self.to_server(octets + b"\r\n", late)
        await self.to_client(b"a OK [APPENDUID 1 1] done\r\n")

    def _news(self) -> bytes:
        many = self.chance.choice((1, 5, 5, 400))
        lines = (self.chance.choice(NEWS) % self.chance.randint(1, 20_000) for _ in range(many))
        return b"\r\n".join(lines) + b"\r\n"

    def next(self) -> Callable[[], Awaitable[None]]:
        if self.idling:
            return self.chance.choice((self.news, self.news, self.done))
        return self.chance.choice((self.commands, self.idle, self.idle, self.fetch, self.append))


@contextlib.asynccontextmanager
async def pairs(folder: Path, tls: str, chance: random.Random) -> AsyncIterator[list[Pair]]:
    """Sessions behind their login."""
    logins: asyncio.Queue[End] = asyncio.Queue()

    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE AUTH=PLAIN] hi\r\n")
        while line := await reader.readline():
            writer.write(line.split()[0] + b" OK done\r\n")
            if b"LOGIN" in line:
                logins.put_nowait((reader, writer))
                return

    listening = socket.create_server(("127.0.0.1", 0), backlog=SESSIONS)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)  # for all that it accepts
    server = await asyncio.start_server(serve, sock=listening, limit=ROOM)
    port = listening.getsockname()[1]
    context: ssl.SSLContext | None = certificate_for().client_context() if tls != "none" else None
    name = "127.0.0.1" if context else None
    made: list[Pair] = []
    try:
        with ImapDoor(folder, f"imap://127.0.0.1:{port}", tls=tls, more=MORE) as door:
            for number in range(SESSIONS):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
                sock.connect(("127.0.0.1", door.port))
                reader, writer = await asyncio.open_connection(
                    sock=sock, limit=ROOM, ssl=context, server_hostname=name
                )
                await reader.readline()
                writer.write(b"in LOGIN user%d@y.example secret\r\n" % number)
                assert await reader.readline() == b"in OK done\r\n"
                made.append(Pair((reader, writer), await logins.get(), chance))
            yield made
            for pair in made:
                pair.client[1].close()
    finally:
        server.close()


async def play(folder: Path, tls: str, seed: int) -> None:
    chance = random.Random(seed)
    async with pairs(folder, tls, chance) as sessions:
        for _ in range(ROUNDS):
            moved = chance.sample(sessions, chance.choice((1, 1, 2, len(sessions))))
            await asyncio.gather(*(pair.next()() for pair in moved))
            await asyncio.sleep(chance.choice((0, 0, 0.005)))


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_what_is_said_has_arrived_when_all_fall_silent(tmp_path: Path, tls: str) -> None:
    asyncio.run(play(tmp_path, tls, 1))


#: Seconds for which Linux keeps an acknowledgement back at least (TCP_ATO_MIN).
DELAYED: Final = 0.04


async def filed_in_pieces(folder: Path) -> list[float]:
    """A client that leaves Nagle's algorithm on, as neomutt does, sends a message and
    then the line's end. Seconds until the server has both, time and again."""
    took = []
    async with pairs(folder, "none", random.Random(1)) as sessions:
        client, server = sessions[0].client, sessions[0].server
        client[1].get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

        async def pass_on(out: End, into: End, *pieces: bytes) -> None:
            for piece in pieces:
                out[1].write(piece)
            assert await into[0].readexactly(len(b"".join(pieces))) == b"".join(pieces)

        for _ in range(20):  # in the beginning the kernel acknowledges at once in any case
            await pass_on(client, server, b"n NOOP\r\n")
            await pass_on(server, client, b"n OK done\r\n")
        for _ in range(15):
            await pass_on(client, server, b"a APPEND Sent {5}\r\n")
            await pass_on(server, client, b"+ OK\r\n")
            begin = time.perf_counter()
            await pass_on(client, server, b"hello", b"\r\n")
            took.append(time.perf_counter() - begin)
            await pass_on(server, client, b"a OK done\r\n")
    return took


def test_half_a_command_is_acknowledged_at_once(tmp_path: Path) -> None:
    assert min(asyncio.run(filed_in_pieces(tmp_path))) < DELAYED
