"""Faults of our own, put into a door that runs in this process: 451, never 5xx, never their text.

Rows of threats.md: 9, exception → 5xx. Also the names of aiosmtpd that are not its documented API.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import proxy_protocol
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Session as AioSession

from config.targets import parse_hop
from proxy import maillog
from proxy.journal import JournalBroken, JournalError, JournalFull, JournalWriter
from proxy.journalread import read_frames
from proxy.metrics import SmtpCounters
from proxy.smtp.doorstate import DoorState
from proxy.smtp.hopconn import HopConnection
from proxy.smtp.listener import Door, door_factory
from proxy.smtp.nexthop import NextHop
from proxy.smtp.policy import DoorPolicy
from proxy.smtp.proxyheader import Early, read_proxy_header
from proxy.smtp.session import Session
from tests.faultsink import FaultSink, Say
from tests.paths.hops import LOOPS, run_on
from tests.sink.dialogue import reset

HOSTILE = "secret\r\n250 2.0.0 Ok: queued as FAKE\r\n"
BODY = b"Subject: x\r\n\r\nhello\r\n.\r\n"
LARGE = b"0123456789abcde\r\n" * 20_000 + b".\r\n"


class Inside:
    """A door in this process, on a free port."""

    def __init__(self, folder: Path, sink: FaultSink, **policy: Any) -> None:
        loop = asyncio.get_running_loop()
        self.folder = folder / "journal"
        self.journal = JournalWriter(self.folder, "mx-0", loop=loop, min_free=0)
        self.broken = asyncio.Event()
        self.next_hop = NextHop(parse_hop(f"smtp://127.0.0.1:{sink.port}"), helo="mx.example.com")
        defaults: dict[str, Any] = {
            "listener": "mx",
            "door": "mx-0",
            "role": "inbound",
            "hostname": "mx.example.com",
            "hop_kind": "smtp",
            "recipient_domains": frozenset({"y.example"}),
            "spool_above": 65_536,
        }
        self.state = DoorState(
            DoorPolicy(**{**defaults, **policy}),
            journal=self.journal,
            next_hop=self.next_hop,
            counters=SmtpCounters("mx"),
            tls_context=None,
            connections=100,
            per_client=100,
            on_broken=self.broken.set,
        )

    async def __aenter__(self) -> Inside:
        loop = asyncio.get_running_loop()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.server = await loop.create_server(door_factory(self.state, loop), sock=listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for door in list(self.state.doors):
            door.kill()
        self.next_hop.close()
        await self.journal.close()

    async def talk(self, *pieces: bytes) -> list[str]:
        """Say each piece after the reply to the one before; all lines until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        said: list[str] = []
        try:
            for piece in (b"", *pieces):
                writer.write(piece)
                while line := await reader.readline():
                    said.append(line.decode())
                    if line[3:4] == b" ":
                        break
            while line := await asyncio.wait_for(reader.readline(), 2):
                said.append(line.decode())
        except (TimeoutError, ConnectionResetError):
            said.append("(stays open)")
        writer.close()
        return said

    def frames(self) -> list[dict[str, Any]]:
        found = []
        for segment in sorted(self.folder.glob("*.seg")):
            found += [dict(frame.header) for frame in read_frames(segment, 0)]
        return found


def within(kind: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_on(kind, main())


ENVELOPE = (
    b"EHLO me\r\n",
    b"MAIL FROM:<a@x.example>\r\n",
    b"RCPT TO:<b@y.example>\r\n",
    b"DATA\r\n",
)


@pytest.fixture
def log(tmp_path: Path) -> Any:
    path = tmp_path / "log"
    with path.open("wb") as file:
        maillog.configure(readable=False, fd=file.fileno())

        def text() -> str:
            maillog.flush()
            return path.read_text()

        yield text
        maillog.configure()


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Session, "receive", 0),
        (Session, "_hello", 0),
        (Session, "begin_transaction", 1),
        (Session, "hop_opened", 0),
        (Session, "hop_reply", 2),
        (Session, "begin_data", 3),
        (Session, "content_received", 4),
        (Session, "durable", 4),
        (JournalWriter, "append", 4),
        (HopConnection, "write", 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_a_451_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    log: Callable[[], str],
    kind: str,
    owner: type,
    name: str,
    after: int,
) -> None:
    """Row 9: aiosmtpd said 500 with the exception's text, its line ends raw."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(HOSTILE)

    async def main() -> None:
        with FaultSink() as sink:
            async with Inside(tmp_path, sink) as door:
                monkeypatch.setattr(owner, name, broken)
                said = await door.talk(*(*ENVELOPE, BODY)[: after + 1])
                assert said[-1] == "451 4.3.0 Temporary local problem, try again later\r\n"
                assert not [line for line in said if line.startswith("5") or "secret" in line]
                monkeypatch.undo()
                said = await door.talk(*ENVELOPE, BODY, b"QUIT\r\n")
                assert said[-2:] == ["250 2.0.0 stored\r\n", "221 2.0.0 Bye\r\n"]
                assert door.state.committing == 0 and not door.state.doors
            frames = door.frames()
            messages = [frame["id"] for frame in frames if frame["type"] == "message"]
            verdicts = {f["id"]: f["outcome"] for f in frames if f["type"] == "verdict"}
            assert set(verdicts) == set(messages)
            assert sorted(verdicts.values()) in (["accepted"], ["accepted", "unknown"])

    within(kind, main)
    assert "secret" not in log() and '"error": "RuntimeError"' in log()


def test_a_fault_in_the_middle_of_a_large_body_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def main() -> None:
        with FaultSink() as sink:
            async with Inside(tmp_path, sink) as door:

                def broken(*_: object) -> None:
                    raise RuntimeError(HOSTILE)

                monkeypatch.setattr(Session, "_content_end", broken)
                said = await door.talk(*ENVELOPE, LARGE)
                assert said[-1].startswith("451 4.3.0")
            assert list(door.folder.glob("big-*")) == []
            assert sink.messages == []

    within("uvloop", main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "spooled"])
@pytest.mark.parametrize(
    ("error", "words", "ends"),
    [
        (JournalFull("full"), "452 4.3.1 Insufficient system storage\r\n", False),
        (JournalError("x"), "451 4.3.0 Temporary local problem, try again later\r\n", False),
        (JournalBroken("EIO"), "451 4.3.0 Temporary local problem, try again later\r\n", True),
    ],
    ids=["full", "error", "broken"],
)
def test_a_journal_that_cannot(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    body: bytes,
    error: JournalError,
    words: str,
    ends: bool,
) -> None:
    """The hop gets no dot; a broken journal ends the process; what a frame may name stays."""

    def append(self: object, header: object, body: object, done: Any) -> None:
        asyncio.get_running_loop().call_soon(done, error)

    async def main() -> None:
        with FaultSink() as sink:
            async with Inside(tmp_path, sink) as door:
                monkeypatch.setattr(JournalWriter, "append", append)
                said = await door.talk(*ENVELOPE, body, b"QUIT\r\n")
                assert said[-2:] == [words, "221 2.0.0 Bye\r\n"]
                assert door.broken.is_set() == ends
                assert sink.messages == []
                assert door.state.committing == 0
            files = list(door.folder.glob("big-*"))
            assert len(files) == (1 if body is LARGE and not isinstance(error, JournalFull) else 0)

    within(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_fault_after_the_body_was_appended_keeps_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """A frame may name the file by then: it belongs to recovery, not to us."""
    real = JournalWriter.append

    async def main() -> None:
        with FaultSink() as sink:
            async with Inside(tmp_path, sink) as door:

                def append(self: JournalWriter, *values: Any) -> None:
                    real(self, *values)
                    (one,) = door.state.doors
                    asyncio.get_running_loop().call_soon(one._fault, RuntimeError(HOSTILE))

                monkeypatch.setattr(JournalWriter, "append", append)
                said = await door.talk(*ENVELOPE, LARGE)
                assert said[-1].startswith("451 4.3.0")
                assert sink.messages == []
                while not [frame for frame in door.frames() if frame["type"] == "verdict"]:
                    await asyncio.sleep(0.02)
            frames = door.frames()
            (message,) = [frame for frame in frames if frame["type"] == "message"]
            assert (door.folder / message["file"]).stat().st_size == message["size"]
            assert [f["outcome"] for f in frames if f["type"] == "verdict"] == ["unknown"]

    within(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_the_commit_outlives_the_client(tmp_path: Path, kind: str) -> None:
    """Row 10, on both event loops."""

    async def main() -> None:
        with FaultSink(dot=Say("250 2.0.0 stored", after=0.7)) as sink:
            async with Inside(tmp_path, sink) as door:
                reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
                writer.write(b"".join(ENVELOPE) + BODY)
                while b"354" not in await reader.readline():
                    pass
                while not sink.messages:
                    await asyncio.sleep(0.02)
                reset(writer)
                while door.state.doors:
                    await asyncio.sleep(0.02)
                assert door.state.committing == 1
                while door.state.busy:
                    await asyncio.sleep(0.02)
            assert [f["outcome"] for f in door.frames() if f["type"] == "verdict"] == ["accepted"]

    within(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_an_ipv6_guesser_is_blocked_by_its_network(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        with FaultSink() as sink:
            async with Inside(tmp_path, sink) as door:
                for host in range(20):
                    door.state.login(f"2001:db8::{host}", False)
                assert door.state.login_blocked("2001:db8::ffff")
                assert not door.state.login_blocked("2001:db8:0:1::1")

    within(kind, main)


# ---------------------------------------------------------------------- names of others


def test_what_we_take_of_aiosmtpd_is_still_there() -> None:
    """Decision 0001. These names are not its documented API; a release may change them."""
    arguments = inspect.signature(SMTP.__init__).parameters
    assert {"handler", "hostname", "tls_context", "loop"} <= set(arguments)
    assert issubclass(SMTP, asyncio.Protocol)
    assert list(inspect.signature(SMTP._create_session).parameters) == ["self"]
    # What our subclass replaces must be what asyncio calls; nothing of theirs may run beside it.
    called = ["connection_made", "data_received", "eof_received", "connection_lost"]
    called += ["pause_writing", "resume_writing"]
    assert all(name in vars(Door) for name in called)
    protocol = {name for name in dir(asyncio.Protocol) if not name.startswith("_")}
    assert protocol == set(called), "asyncio calls something new"


def test_a_door_made_by_copying_is_what_the_constructor_makes() -> None:
    """aiosmtpd's constructor runs once for each listener; a connection's door is a copy."""
    loop = asyncio.new_event_loop()
    try:
        made = SMTP(None, hostname="mx.example.com", loop=loop)
        copied = SMTP.__new__(SMTP)
        copied.__dict__.update(made.__dict__)
        assert "__slots__" not in vars(SMTP)
        assert copied.hostname == "mx.example.com" and copied.loop is loop
        session = copied._create_session()
        assert isinstance(session, AioSession)
        assert made.session is None, "nothing is shared that a connection changes"
    finally:
        loop.close()


def test_its_proxy_reader_asks_for_no_more_than_we_have() -> None:
    """`Early` is its AsyncReader."""
    wanted = {name for name in vars(proxy_protocol.AsyncReader) if not name.startswith("_")}
    assert wanted == {"read", "readexactly", "readuntil"}
    assert wanted <= set(dir(Early))
    assert proxy_protocol.V2_CMD.LOCAL.value == 0

    async def main() -> None:
        early = Early()
        early.feed(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\nEHLO")
        peer = await read_proxy_header(early)
        assert (peer, early.rest()) == (("192.0.2.7", 4711), b"EHLO")

    asyncio.run(main())
