"""Power failures: of what was not synced the disk keeps any part, in any order.

SIGKILL cannot show this, since the kernel keeps all that was written. So a disk is played that
remembers what was synced; at a random moment a second folder gets that and a random choice of the
sectors written since, and recovery must find all that had been answered by then.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.journal import Done
from proxy.journalfmt import Frame
from proxy.journallock import FolderLock
from proxy.journalread import follow, read_body, segment_path
from proxy.journalrecover import recover
from proxy.journalsegment import Disk
from tests.keepers.journals import ID, frames, message, verdict, writing

SECTOR = 512


class PowerDisk(Disk):
    """Knows of each file what is surely on the disk, and which sectors may be."""

    def __init__(self, rng: random.Random, folder: Path, images: Path) -> None:
        self.rng = rng
        self.folder = folder
        self.images = images
        self.lock = threading.Lock()
        self.synced: dict[int, bytes] = {}
        self.open: dict[int, set[int]] = {}
        self.acknowledged: dict[str, bytes] = {}
        self.failures: list[tuple[Path, dict[str, bytes]]] = []

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        with self.lock:
            wrote = super().pwritev(fd, buffers, offset)
            sectors = range(offset // SECTOR, (offset + wrote - 1) // SECTOR + 1)
            self.open.setdefault(os.fstat(fd).st_ino, set()).update(sectors)
            return wrote

    def fsync(self, fd: int) -> None:
        self.fdatasync(fd)

    def fdatasync(self, fd: int) -> None:
        with self.lock:
            if self.rng.random() < 0.2 and len(self.failures) < 25:
                self._power_fails()
            status = os.fstat(fd)
            self.synced[status.st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()
            self.open[status.st_ino] = set()

    def _power_fails(self) -> None:
        image = self.images / str(len(self.failures))
        image.mkdir(parents=True)
        for path in self.folder.iterdir():
            now = path.read_bytes()
            inode = path.stat().st_ino
            data = bytearray(self.synced.get(inode, b""))
            lucky = self.rng.random()
            for sector in self.open.get(inode, ()):
                if self.rng.random() < lucky:
                    at = sector * SECTOR
                    data.extend(bytes(max(0, at - len(data))))
                    data[at : at + SECTOR] = now[at : at + SECTOR]
            (image / path.name).write_bytes(data)
        self.failures.append((image, dict(self.acknowledged)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_power_failure(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "live"
    folder.mkdir()
    disk = PowerDisk(rng, folder, tmp_path / "images")

    async def run() -> None:
        async with writing(folder, disk=disk, segment_bytes=400_000) as writer:
            left = iter(range(600))
            finished = asyncio.Event()

            def begin() -> None:
                number = next(left, None)
                if number is None:
                    finished.set()
                    return
                body = rng.randbytes(rng.choice([0, 50, 700, 5000]))
                if rng.random() < 0.05:
                    big = writer.spool(ID[number])
                    big.write(body)
                    header = message(number, file=big.name)
                    big.finish(partial(spooled, header, partial(done, number, body)))
                else:
                    writer.append(message(number), [body], partial(done, number, body))

            def spooled(header: dict[str, Any], done: Done, error: Exception | None) -> None:
                assert error is None
                writer.append(header, (), done)

            def done(number: int, body: bytes, error: Exception | None) -> None:
                assert error is None
                with disk.lock:
                    disk.acknowledged[ID[number]] = body
                writer.append_verdict(verdict(number))
                begin()

            for _ in range(8):
                begin()
            await finished.wait()

    asyncio.run(run())
    assert len(disk.failures) >= 10 and disk.failures[-1][1]
    torn = 0
    for image, acknowledged in disk.failures:
        with FolderLock(image) as lock:
            found = recover(lock)
        assert not found.damage
        torn += bool(found.cut)
        got = {
            frame.id: body_of(image, segment, frame)
            for segment, frame in follow(image)
            if isinstance(frame, Frame) and frame.kind == "message"
        }
        assert [i for i, body in acknowledged.items() if got.get(i) != body] == []
        decided = [frame.id for frame in frames(image) if frame.kind == "verdict"]
        assert sorted(decided) == sorted(got)
    assert torn  # else this proves nothing


def body_of(folder: Path, segment: int, frame: Frame) -> bytes:
    name = frame.header["file"]
    if name is not None:
        return (folder / str(name)).read_bytes()
    return read_body(segment_path(folder, segment), frame)
