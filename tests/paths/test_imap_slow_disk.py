"""A door whose disk does not keep up: a first sync waits for it, for a while, and loses no octet.
With one that does, what is captured costs the client no time.

The door runs in this process, so that its disk can be held (decision 0117).
"""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from proxy.heartbeat import Heartbeat
from proxy.imap import capture
from proxy.imap.door import run_imap_door
from proxy.journalread import read_frames
from proxy.journalsegment import Disk
from tests.paths.imapdoors import FakeImap, ImapClient, ImapDoor

pytestmark = pytest.mark.slow

MORE = "[journal]\nmin_free = 0\n[capture]\ncompanion = false"
SIZE, MANY = 200_000, 200


def body(uid: int) -> bytes:
    return (b"%07d\r\n" % uid * (SIZE // 9 + 1))[:SIZE]


ANSWER = b"".join(
    b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, uid, SIZE, body(uid))
    for uid in range(1, MANY + 1)
) + b"f OK done\r\n"  # fmt: skip


class Gate:
    """Holds every sync of the journal while it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.open.set()
        real = Disk.fdatasync

        def fdatasync(disk: Disk, fd: int) -> None:
            self.open.wait(30)
            real(disk, fd)

        monkeypatch.setattr(Disk, "fdatasync", fdatasync)


class Reader:
    """A client that fetches everything, in a thread: how much of it has come?"""

    def __init__(self, client: ImapClient) -> None:
        self.client = client
        self.got = bytearray()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        self.client.send(b"f UID FETCH 1:* (BODY[])\r\n")
        while not self.got.endswith(b"f OK done\r\n"):
            piece = self.client.sock.recv(1 << 20)
            if not piece:
                return
            self.got += piece

    async def stalled(self) -> int:
        """Wait until nothing has come for half a second; how much it was."""
        before = -1
        while before != len(self.got):
            before = len(self.got)
            await asyncio.sleep(0.5)
        return before

    async def ended(self) -> None:
        await asyncio.to_thread(self.thread.join, 40)
        assert not self.thread.is_alive()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    threshold = gc.get_threshold()
    try:
        yield gate
    finally:  # what a door process does for itself
        gate.open.set()
        gc.unfreeze()
        gc.set_threshold(*threshold)


@asynccontextmanager
async def fetching(folder: Path) -> AsyncIterator[Reader]:
    """A door in this loop, and a client that asks for all mail."""
    select = b"* OK [UIDVALIDITY 7] valid\r\n{tag} OK done\r\n"
    with FakeImap(answers={"SELECT": select, "UID": ANSWER}) as server:
        door = ImapDoor(folder, server.url, more=MORE)
        settings = load(door.config)
        settings.run_dir.mkdir(parents=True)
        heartbeat = Heartbeat(settings.run_dir, "imap-0")
        serving = asyncio.create_task(run_imap_door(settings, "imap", 0, heartbeat))
        try:
            async with asyncio.timeout(20):
                while not heartbeat.ready:
                    await asyncio.sleep(0.01)
            client = await asyncio.to_thread(_opened, door)
            with client:
                yield Reader(client)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def _opened(door: ImapDoor) -> ImapClient:
    client = door.client().login()
    assert client.ask("s SELECT INBOX") == "s OK done"
    return client


def records(folder: Path) -> list[dict[str, Any]]:
    """The messages in the journal of the door, now that it has ended."""
    segments = sorted((folder / "data" / "journal" / "imap-0").glob("*.seg"))
    frames = [dict(frame.header) for path in segments for frame in read_frames(path, 0)]
    return [header for header in frames if header["type"] == "message"]


def test_a_first_sync_waits_for_the_disk(tmp_path: Path, gate: Gate) -> None:
    async def sync() -> None:
        async with fetching(tmp_path) as reader:
            gate.open.clear()
            came = await reader.stalled()
            # What may wait for the disk, and what fits into the sockets on the way.
            assert came < capture.HEAP + (16 << 20) < len(ANSWER)
            gate.open.set()
            await reader.ended()
            assert bytes(reader.got) == ANSWER

    asyncio.run(sync())
    captured = records(tmp_path)
    assert sorted(record["imap"]["uid"] for record in captured) == list(range(1, MANY + 1))
    assert {record["size"] for record in captured} == {SIZE}


def test_mail_goes_on_without_the_disk_in_the_end(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PATIENCE", 0.3)
    monkeypatch.setattr(capture, "WAITING", 100)

    async def sync() -> None:
        async with fetching(tmp_path) as reader:
            gate.open.clear()
            await reader.ended()
            assert bytes(reader.got) == ANSWER  # with the disk still shut
            gate.open.set()

    asyncio.run(sync())
    captured = records(tmp_path)
    uids = [record["imap"]["uid"] for record in captured]
    assert 0 < len(uids) < MANY  # the others were given up, and nothing of them is there
    assert len(set(uids)) == len(uids)
    assert {record["size"] for record in captured} == {SIZE}


def test_a_body_is_with_the_client_before_it_is_captured(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[Reader] = []
    came: list[bool] = []
    real = capture.Capture.write

    def write(self: capture.Capture, chunk: bytes) -> None:
        if not came:  # the loop stands still here: what is not sent yet will not come
            end = time.monotonic() + 5
            while not readers[0].got and time.monotonic() < end:
                time.sleep(0.01)
            came.append(bool(readers[0].got))
        real(self, chunk)

    monkeypatch.setattr(capture.Capture, "write", write)

    async def sync() -> None:
        async with fetching(tmp_path) as reader:
            readers.append(reader)
            await reader.ended()
            assert bytes(reader.got) == ANSWER

    asyncio.run(sync())
    assert came == [True]
