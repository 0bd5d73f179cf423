"""Large bodies: durable when told so, bounded in memory, gone when not wanted."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.journal import JournalError, JournalFull
from proxy.journalbig import PAUSE_AT, PIECE, SYNC_EVERY, BigBody
from proxy.journalsegment import Disk
from tests.keepers.journals import (
    ID,
    FullDisk,
    answer,
    eventually,
    message,
    story,
    verdict,
    writing,
)


class SlowDisk(Disk):
    """Writes of bodies wait until they may go on; remembers what was written and synced."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls: list[str] = []

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        if threading.current_thread().name.startswith("journal-big"):
            self.gate.wait(60)
            self.calls.append("write")
        return super().pwritev(fd, buffers, offset)

    def fdatasync(self, fd: int) -> None:
        if threading.current_thread().name.startswith("journal-big"):
            self.calls.append("sync")
        super().fdatasync(fd)

    def fsync(self, fd: int) -> None:
        self.calls.append("sync")
        super().fsync(fd)


async def pour(body: BigBody, total: int, chunk: bytes = bytes(60_000)) -> None:
    """Write as a session does: stop reading when asked to."""
    resumed = asyncio.Event()
    body.on_resume = resumed.set
    for _ in range(total // len(chunk)):
        resumed.clear()
        if body.write(chunk):
            await resumed.wait()


def test_a_large_body_goes_to_its_own_file(tmp_path: Path) -> None:
    chunks = [bytes([n % 256]) * 50_000 for n in range(100)]

    async def run() -> None:
        async with writing(tmp_path) as writer:
            big = writer.spool(ID[0])
            resumed = asyncio.Event()
            big.on_resume = resumed.set
            for chunk in chunks:
                resumed.clear()
                if big.write(chunk):
                    await resumed.wait()
            assert await answer(big.finish) is None
            assert big.size == 5_000_000
            assert await answer(writer.append, message(0, file=big.name), ()) is None
            await answer(writer.append_verdict, verdict(0))

    asyncio.run(run())
    assert (tmp_path / f"big-{ID[0]}").read_bytes() == b"".join(chunks)
    assert story(tmp_path) == ["open", "message 0", "verdict 0", "close"]


def test_synced_before_it_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        disk = SlowDisk()
        async with writing(tmp_path, disk=disk) as writer:
            disk.calls.clear()
            big = writer.spool(ID[0])
            big.write(b"x")
            done: list[Exception | None] = []
            big.finish(done.append)
            await asyncio.sleep(0.05)
            assert done == []
            disk.gate.set()
            await eventually(lambda: done)
            assert (done, disk.calls) == ([None], ["write", "sync"])

    asyncio.run(run())


def test_memory_is_bounded_and_a_slow_disk_slows_the_sender(tmp_path: Path) -> None:
    async def run() -> None:
        disk = SlowDisk()
        async with writing(tmp_path, disk=disk) as writer:
            big = writer.spool(ID[0])
            resumed: list[bool] = []
            big.on_resume = lambda: resumed.append(True)
            taken = 0
            while not big.write(bytes(10_000)):
                taken += 10_000
            assert taken <= PIECE + PAUSE_AT + 10_000
            await asyncio.sleep(0.05)
            assert not resumed
            disk.gate.set()
            await eventually(lambda: resumed)
            disk.calls.clear()
            await pour(big, 2 * SYNC_EVERY + PIECE)
            assert "sync" in disk.calls  # on the way, not all at the end
            assert await answer(big.finish) is None

    asyncio.run(run())


def test_discard_while_writing_and_after_finishing(tmp_path: Path) -> None:
    async def run() -> None:
        disk = SlowDisk()
        async with writing(tmp_path, disk=disk) as writer:
            first, second, third = (writer.spool(ID[n]) for n in range(3))
            first.write(bytes(PIECE))
            first.discard()
            first.write(b"more")
            disk.gate.set()
            second.write(b"x")
            assert await answer(second.finish) is None
            second.discard()
            third.discard()
            await eventually(lambda: not list(tmp_path.glob("big-*")))

    asyncio.run(run())


def test_closing_drops_what_is_unfinished(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path) as writer:
            finished = writer.spool(ID[0])
            assert await answer(finished.finish) is None
            writer.spool(ID[1]).write(bytes(PIECE))

    asyncio.run(run())
    assert [path.name for path in tmp_path.glob("big-*")] == [f"big-{ID[0]}"]


def test_disk_full(tmp_path: Path) -> None:
    async def run() -> None:
        disk = FullDisk(1 << 40)
        async with writing(tmp_path, disk=disk) as writer:
            disk.room = 2_000_000
            big = writer.spool(ID[0])
            await pour(big, 4_000_000)
            assert type(await answer(big.finish)) is JournalFull
            assert type(big.error) is JournalFull
            assert not big.write(b"thrown away")
            assert not (tmp_path / big.name).exists()
            assert await answer(writer.append, message(1), [b"small"]) is None
            big.discard()  # harmless

    asyncio.run(run())


def test_io_error_fails_this_message_only(tmp_path: Path) -> None:
    class BadSync(Disk):
        fail = False

        def fsync(self, fd: int) -> None:
            if self.fail:
                raise OSError(errno.EIO, "injected")
            super().fsync(fd)

    async def run() -> None:
        disk = BadSync()
        async with writing(tmp_path, disk=disk) as writer:
            disk.fail = True
            big = writer.spool(ID[0])
            big.write(b"x")
            assert type(await answer(big.finish)) is JournalError
            assert not (tmp_path / big.name).exists()
            disk.fail = False
            assert await answer(writer.append, message(1), [b"small"]) is None

    asyncio.run(run())


def test_only_a_capture_id_becomes_a_file_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path) as writer:
            with pytest.raises(ValueError, match="capture id"):
                writer.spool("../../etc/passwd")

    asyncio.run(run())
