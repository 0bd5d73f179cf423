"""Helpers of the journal tests: messages, verdicts, a writer to wait for, disks that fail."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.captureid import new_capture_id
from proxy.journal import JournalWriter
from proxy.journalfmt import Damage, Frame
from proxy.journalread import follow
from proxy.journalsegment import Disk

ID = [new_capture_id(1_795_305_600_000 + n, n) for n in range(3000)]


def message(number: int, *plans: str, file: str | None = None) -> dict[str, Any]:
    recipients = [
        {"address": f"{n}@x", "params": [], "plan": plan}
        for n, plan in enumerate(plans or ("pass",))
    ]
    return {"id": ID[number], "sender": "a@x", "recipients": recipients, "file": file}


def verdict(number: int, reply: str = "250 2.0.0 Ok") -> dict[str, Any]:
    return {"id": ID[number], "outcome": "accepted", "reply": reply, "recipients": []}


@asynccontextmanager
async def writing(folder: Path, **settings: Any) -> AsyncIterator[JournalWriter]:
    loop = asyncio.get_running_loop()
    writer = JournalWriter(
        folder, "mx-0", loop=loop, **{"min_free": 0, "lock_wait": 0.0, **settings}
    )
    try:
        yield writer
    finally:
        await writer.close()


async def answer(call: Callable[..., None], *given: Any) -> Exception | None:
    """What an append or finish calls back with."""
    future: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    call(*given, future.set_result)
    return await asyncio.wait_for(future, 60)


async def put(writer: JournalWriter, number: int, body: bytes = b"", *plans: str) -> None:
    """A message that must become durable."""
    error = await answer(writer.append, message(number, *plans), [body])
    if error is not None:
        raise error


async def eventually(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


def everything(folder: Path) -> list[Frame | Damage]:
    return [item for _, item in follow(folder)]


def frames(folder: Path) -> list[Frame]:
    """All frames, which must be without damage, gap or break of the chain."""
    items = everything(folder)
    got = [item for item in items if isinstance(item, Frame)]
    assert got == items
    assert all(frame.linked for frame in got)
    assert [f.seq for f in got] == list(range(1, len(got) + 1))
    return got


def story(folder: Path) -> list[str]:
    """Kind and number of each frame: ["open", "message 0", "verdict 0", "close"]."""
    return [f.kind + (f" {ID.index(f.id)}" if f.id else "") for f in frames(folder)]


class GatedDisk(Disk):
    """fdatasync waits until it may go on."""

    def __init__(self) -> None:
        self.syncs = 0
        self.gate = threading.Event()

    def fdatasync(self, fd: int) -> None:
        self.gate.wait(60)
        self.syncs += 1
        super().fdatasync(fd)


class FullDisk(Disk):
    """No file grows beyond `room` octets; what is there already can be written over."""

    def __init__(self, room: int) -> None:
        self.room = room

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        data = b"".join(buffers)[: max(self.room, os.fstat(fd).st_size) - offset]
        if not data:
            raise OSError(errno.ENOSPC, "injected")
        return super().pwritev(fd, [data], offset)

    def allocate(self, fd: int, offset: int, length: int) -> None:
        if offset + length > max(self.room, os.fstat(fd).st_size):
            raise OSError(errno.ENOSPC, "injected")
        super().allocate(fd, offset, length)


class FailingDisk(Disk):
    """Fails with EIO where asked."""

    def __init__(self) -> None:
        self.fail = ""

    def _check(self, call: str) -> None:
        if call == self.fail:
            raise OSError(errno.EIO, "injected")

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        self._check("pwritev")
        return super().pwritev(fd, buffers, offset)

    def fdatasync(self, fd: int) -> None:
        self._check("fdatasync")
        super().fdatasync(fd)

    def fsync(self, fd: int) -> None:
        self._check("fsync")
        super().fsync(fd)
