"""The journal's writer: an answer means durable, in order; what a bad disk does is told apart."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy import journal
from proxy.journal import (
    JournalBroken,
    JournalError,
    JournalFull,
    JournalLocked,
    JournalWriter,
)
from proxy.journalcommit import RETRY
from proxy.journalread import list_segments, read_body, segment_path
from proxy.journalsegment import LARGE, RESERVE, STEP, Disk
from tests.keepers.journals import (
    ID,
    FailingDisk,
    FullDisk,
    GatedDisk,
    answer,
    eventually,
    frames,
    message,
    put,
    story,
    verdict,
    writing,
)


def test_a_message_and_its_verdict(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path / "mx-0") as writer:
            assert await answer(writer.append, message(0), [b"one ", b"", b"two"]) is None
            assert await answer(writer.append_verdict, verdict(0)) is None
            assert writer.stats.frames == 2

    asyncio.run(run())
    opened, got, end, _ = frames(tmp_path / "mx-0")
    assert story(tmp_path / "mx-0") == ["open", "message 0", "verdict 0", "close"]
    assert (opened.header["door"], opened.header["segment"]) == ("mx-0", 1)
    assert read_body(segment_path(tmp_path / "mx-0", 1), got) == b"one two"
    assert got.header["sender"] == "a@x" and got.header["time"].endswith("Z")
    assert end.header["reply"] == "250 2.0.0 Ok"


def test_group_commit(tmp_path: Path) -> None:
    """Nobody is answered before the sync; all that came meanwhile shares the next one."""
    order: list[int] = []

    def tell(number: int, error: Exception | None) -> None:
        assert error is None
        order.append(number)

    async def run() -> None:
        disk = GatedDisk()
        async with writing(tmp_path, disk=disk) as writer:
            writer.append(message(0), [b""], partial(tell, 0))
            await eventually(lambda: b"message" in segment_path(tmp_path, 1).read_bytes())
            for number in range(1, 40):
                writer.append(message(number), [b""], partial(tell, number))
            await asyncio.sleep(0.05)
            assert order == [] and disk.syncs == 0
            disk.gate.set()
            await eventually(lambda: len(order) == 40)
            assert disk.syncs == writer.stats.syncs == 2

    asyncio.run(run())
    assert order == list(range(40))
    assert story(tmp_path)[1:41] == [f"message {n}" for n in range(40)]


def test_in_company_a_batch_waits_for_all_who_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RECENT", 60.0)
    monkeypatch.setattr(journal, "GATHER", 60.0)
    heard: list[Exception | None] = []

    async def run() -> None:
        async with writing(tmp_path) as writer:
            await put(writer, 0)  # nobody else is there: at once
            writer.company = lambda: journal.CROWD
            for number in range(1, 2 * journal.CROWD):
                writer.append(message(number), [b""], heard.append)
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            assert heard == [] and writer.stats.syncs == 1
            writer.append(message(2 * journal.CROWD), [b""], heard.append)
            await eventually(lambda: len(heard) == 2 * journal.CROWD)
            assert writer.stats.syncs == 2
            writer.append(message(100), [b""], heard.append)  # closing waits for nobody

    asyncio.run(run())
    assert heard == [None] * (2 * journal.CROWD + 1)


def test_nobody_waits_longer_than_the_time_for_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RECENT", 60.0)
    heard: list[Exception | None] = []

    async def run() -> None:
        async with writing(tmp_path) as writer:
            writer.company = lambda: 1_000
            await put(writer, 0)
            writer.append(message(1), [b""], heard.append)
            await eventually(lambda: heard == [None])

    asyncio.run(run())


def test_a_verdict_does_not_linger(tmp_path: Path) -> None:
    async def run() -> None:
        disk = GatedDisk()
        async with writing(tmp_path, disk=disk) as writer:
            writer.append_verdict(verdict(7))
            # written at once, before any sync ...
            await eventually(lambda: ID[7].encode() in segment_path(tmp_path, 1).read_bytes())
            assert disk.syncs == 0
            disk.gate.set()
            await eventually(lambda: disk.syncs)  # ... which comes by itself

    asyncio.run(run())


def test_a_failing_callback_hurts_nobody_else(tmp_path: Path) -> None:
    heard: list[Any] = []

    def fault(error: Exception | None) -> None:
        raise RuntimeError("callback")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))
        async with writing(tmp_path) as writer:
            writer.append(message(0), [b""], fault)
            await put(writer, 1)

    asyncio.run(run())
    assert [str(what["exception"]) for what in heard] == ["callback"]


def test_what_is_no_frame_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))
        async with writing(tmp_path) as writer:
            wrong: list[dict[str, Any]] = [
                {"recipients": []},
                {**message(0), "x": b""},
                {**message(0), "seq": 1},
            ]
            for header in wrong:
                assert type(await answer(writer.append, header, [])) is JournalError
            writer.append_verdict({"id": ID[0], "reply": b"octets"})
            await put(writer, 1)
            await answer(writer.append_verdict, verdict(1))

    asyncio.run(run())
    assert story(tmp_path) == ["open", "message 1", "verdict 1", "close"]
    assert len(heard) == 1  # the verdict that nobody waited for


def test_many_chunks_and_many_frames_in_one_write(tmp_path: Path) -> None:
    body = [b"%d\r\n" % n for n in range(5000)]  # more than one call to the kernel may take

    async def run() -> None:
        async with writing(tmp_path) as writer:
            assert await answer(writer.append, message(0), body) is None

    asyncio.run(run())
    assert read_body(segment_path(tmp_path, 1), frames(tmp_path)[1]) == b"".join(body)


def test_rotation(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path, segment_bytes=50_000) as writer:
            await put(writer, 0)  # stays without verdict until the end
            for number in range(1, 100):
                await put(writer, number, b"x" * 2000)
                writer.append_verdict(verdict(number))
            await answer(writer.append_verdict, verdict(0))

    asyncio.run(run())
    got = frames(tmp_path)
    opened = [f.header for f in got if f.kind == "open"]
    assert len(opened) == len(list_segments(tmp_path)) >= 4
    assert [h["since"] for h in opened] == [1] * len(opened)  # message 0 was still undecided
    assert len({h["journal"] for h in opened}) == 1
    for number in list_segments(tmp_path):  # no unused room is left behind
        assert segment_path(tmp_path, number).stat().st_size < 60_000


def test_large_bodies_count_for_rotation(tmp_path: Path) -> None:
    """They are deleted with the segment that names them: a segment that held nothing but their
    headers would keep them until the disk is full."""

    async def run() -> None:
        async with writing(tmp_path, segment_bytes=100_000) as writer:
            for number in range(20):
                big = writer.spool(ID[number])
                big.write(b"x" * 30_000)
                assert await answer(big.finish) is None
                header = {**message(number, file=big.name), "size": big.size}
                assert await answer(writer.append, header, []) is None
                await answer(writer.append_verdict, verdict(number))

    asyncio.run(run())
    assert len(frames(tmp_path)) >= 40
    assert 5 <= len(list_segments(tmp_path)) <= 6


def test_verdicts_are_synced_before_the_next_segment_follows_them(tmp_path: Path) -> None:
    """Else a power failure leaves a hole in front of a segment that is there."""

    class Recording(Disk):
        calls: list[tuple[str, int]]

        def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
            self.calls.append(("write", os.fstat(fd).st_ino))
            return super().pwritev(fd, buffers, offset)

        def fdatasync(self, fd: int) -> None:
            self.calls.append(("sync", os.fstat(fd).st_ino))
            super().fdatasync(fd)

    async def run() -> None:
        disk = Recording()
        disk.calls = []
        async with writing(tmp_path, disk=disk, segment_bytes=5000) as writer:
            old = segment_path(tmp_path, 1).stat().st_ino
            writer.append_verdict(verdict(0, "250 " + "x" * 6000))
            await eventually(lambda: len(list_segments(tmp_path)) == 2)
            new = disk.calls.index(("write", segment_path(tmp_path, 2).stat().st_ino))
            assert [call for call, inode in disk.calls[:new] if inode == old][-1] == "sync"

    asyncio.run(run())


def test_each_start_begins_a_segment_and_goes_on_with_the_chain(tmp_path: Path) -> None:
    async def run(number: int) -> None:
        async with writing(tmp_path) as writer:
            await put(writer, number)
            await answer(writer.append_verdict, verdict(number))

    for number in range(3):
        asyncio.run(run(number))
    assert list_segments(tmp_path) == [1, 2, 3]
    assert story(tmp_path)[4:8] == ["open", "message 1", "verdict 1", "close"]


def test_no_close_frame_over_an_undecided_message(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path) as writer:
            await put(writer, 0)

    asyncio.run(run())
    assert story(tmp_path) == ["open", "message 0"]


def test_lock(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path):
            with pytest.raises(JournalLocked):
                async with writing(tmp_path):
                    pass
        async with writing(tmp_path):
            pass

    asyncio.run(run())


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path) as writer:
            await writer.close()
            assert type(await answer(writer.append, message(0), [b""])) is JournalError

    asyncio.run(run())


def test_full_looks_at_the_free_space(tmp_path: Path) -> None:
    async def run() -> None:
        async with writing(tmp_path, min_free=0) as writer:
            assert not writer.full
        async with writing(tmp_path, min_free=1 << 60) as writer:
            assert writer.full

    asyncio.run(run())


# -- disk full


async def fill(writer: JournalWriter, begin: int, size: int = 4000) -> int:
    """Messages until one is refused; the number of that one."""
    for number in range(begin, begin + 2000):
        error = await answer(writer.append, message(number), [b"x" * size])
        if error is not None:
            assert type(error) is JournalFull
            return number
    raise AssertionError("the disk never filled up")


async def full_and_free_again(writer: JournalWriter, make_room: Any, size: int) -> int:
    """Messages are refused, verdicts are not; later it works again. How many messages came in."""
    refused = await fill(writer, 0, size)
    assert refused > 3
    for number in range(refused):
        assert await answer(writer.append_verdict, verdict(number)) is None
    assert type(await answer(writer.append, message(refused), [b"x" * size])) is JournalFull
    make_room()
    await put(writer, refused + 1)
    await answer(writer.append_verdict, verdict(refused + 1))
    return refused


@pytest.mark.parametrize("size", [4000, LARGE + 1])
def test_disk_full(tmp_path: Path, size: int) -> None:
    disk = FullDisk(STEP + STEP // 2)

    async def run() -> int:
        async with writing(tmp_path, disk=disk) as writer:
            return await full_and_free_again(writer, lambda: setattr(disk, "room", 1 << 40), size)

    refused = asyncio.run(run())
    assert story(tmp_path) == [
        "open",
        *(f"message {n}" for n in range(refused)),
        *(f"verdict {n}" for n in range(refused)),
        f"message {refused + 1}",
        f"verdict {refused + 1}",
        "close",
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MB."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mount.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("a tmpfs cannot be mounted (needs root)")
        pytest.skip("a tmpfs cannot be mounted (needs root)")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("size", [4000, LARGE + 1])
def test_disk_full_for_real(small_disk: Path, size: int) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))

    async def run() -> int:
        async with writing(small_disk / "mx-0") as writer:
            big = writer.spool(ID[2999])
            for _ in range(60):  # 3 MB do not fit; nor may they take the verdicts' room
                big.write(bytes(50_000))
            assert type(await answer(big.finish)) is JournalFull
            assert not (small_disk / "mx-0" / big.name).exists()
            return await full_and_free_again(writer, ballast.unlink, size)

    refused = asyncio.run(run())
    assert len(frames(small_disk / "mx-0")) == 2 * refused + 4


@pytest.mark.slow
def test_verdicts_wait_for_room(tmp_path: Path) -> None:
    """More verdicts than the reserve holds: none is lost, and the others go on."""
    disk = FullDisk(RESERVE + 3 * STEP)
    long = "250 " + "x" * 4000
    count = RESERVE // 4000 + 20

    async def run() -> None:
        async with writing(tmp_path, disk=disk) as writer:
            assert await fill(writer, 0) > count
            for number in range(count):
                writer.append_verdict(verdict(number, long))
            await eventually(lambda: writer.stats.held)
            # one somebody waits for is answered
            error = await answer(writer.append_verdict, verdict(count, long))
            assert type(error) is JournalFull
            disk.room = 1 << 40
            await eventually(lambda: not writer.stats.held)

    asyncio.run(run())
    told = [line for line in story(tmp_path) if line.startswith("verdict")]
    assert sorted(told) == sorted(f"verdict {n}" for n in range(count))


class ShortDisk(Disk):
    """Room that was made turns out not to be there (a copying file system): writes stop short."""

    def __init__(self) -> None:
        self.takes: int | None = None

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        if self.takes is None:
            return super().pwritev(fd, buffers, offset)
        data = b"".join(buffers)[: self.takes]
        if not data:
            raise OSError(errno.ENOSPC, "injected")
        self.takes -= len(data)
        return super().pwritev(fd, [data], offset)


def test_whole_frames_of_a_write_that_stopped_short_stay(tmp_path: Path) -> None:
    """Their seq may have been read already, so it must not come back with another frame."""
    gated = GatedDisk()

    async def run() -> list[Exception | None]:
        disk = ShortDisk()
        disk.fdatasync = gated.fdatasync  # type: ignore[method-assign]
        answers: list[Exception | None] = []
        async with writing(tmp_path, disk=disk) as writer:
            writer.append(message(0), [b""], lambda e: None)
            await eventually(lambda: ID[0].encode() in segment_path(tmp_path, 1).read_bytes())
            for number in range(1, 5):  # all in the next batch
                writer.append(message(number), [b"x" * 1000], answers.append)
            writer.append_verdict(verdict(0))
            disk.takes = 3500
            gated.gate.set()
            await eventually(lambda: len(answers) == 4)
            disk.takes = None
            await put(writer, 5)
            for number in (1, 2, 5):
                await answer(writer.append_verdict, verdict(number))
            await eventually(lambda: not writer.stats.held)
        return answers

    answers = asyncio.run(run())
    assert sorted(type(error).__name__ for error in answers) == [
        "JournalFull",
        "JournalFull",
        "NoneType",
        "NoneType",
    ]
    told = story(tmp_path)
    assert told[:4] == ["open", "message 0", "message 1", "message 2"]
    assert "verdict 0" in told and "message 3" not in told and told[-1] == "close"


def test_start_on_a_full_disk(tmp_path: Path) -> None:
    disk = FullDisk(0)

    async def run() -> None:
        async with writing(tmp_path, disk=disk) as writer:
            assert type(await answer(writer.append, message(0), [b""])) is JournalFull
            assert list_segments(tmp_path) == []
            disk.room = 1 << 40
            await asyncio.sleep(RETRY)
            await put(writer, 1)
            await answer(writer.append_verdict, verdict(1))

    asyncio.run(run())
    assert story(tmp_path) == ["open", "message 1", "verdict 1", "close"]


# -- I/O errors


@pytest.mark.parametrize("call", ["fdatasync", "pwritev"])
def test_io_error_is_the_end(tmp_path: Path, call: str) -> None:
    """After a failed sync a later one that works proves nothing, so nothing is ever accepted."""

    async def run() -> None:
        disk = FailingDisk()
        async with writing(tmp_path, disk=disk) as writer:
            await put(writer, 0)
            disk.fail = call
            assert type(await answer(writer.append, message(1), [b""])) is JournalBroken
            disk.fail = ""
            assert type(await answer(writer.append, message(2), [b""])) is JournalBroken
            assert type(await answer(writer.append_verdict, verdict(0))) is JournalBroken
            assert writer.broken is not None

    asyncio.run(run())
    told = story(tmp_path)
    assert told[:2] == ["open", "message 0"]
    # nobody knows about message 1; nothing came behind it
    assert told[2:] == (["message 1"] if call == "fdatasync" else [])


def test_io_error_while_a_segment_is_made(tmp_path: Path) -> None:
    async def run() -> None:
        disk = FailingDisk()
        async with writing(tmp_path, disk=disk, segment_bytes=5000) as writer:
            disk.fail = "fsync"
            await put(writer, 0, b"x" * 6000)  # durable in the first segment; then it rotates
            await eventually(lambda: writer.broken)
            assert type(await answer(writer.append, message(1), [b""])) is JournalBroken

    asyncio.run(run())
    assert list_segments(tmp_path) == [1]
    assert not list(tmp_path.glob("*.tmp"))
