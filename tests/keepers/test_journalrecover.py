"""Recovery: from any end of a writer to a folder in order, also when it is interrupted itself."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.journalfmt import Damage, Frame, JournalFull, JournalLocked
from proxy.journallock import FolderLock
from proxy.journalread import list_segments, read_frames, segment_path
from proxy.journalrecover import Recovery, recover
from proxy.journalsegment import Disk
from tests.keepers.journals import (
    ID,
    FullDisk,
    answer,
    eventually,
    everything,
    frames,
    message,
    put,
    story,
    verdict,
    writing,
)


def recovered(folder: Path, disk: Disk | None = None) -> Recovery:
    with FolderLock(folder) as lock:
        return recover(lock, disk)


def crashed(folder: Path, work: Callable[[Any], Any], **settings: Any) -> None:
    """What `work` leaves on the disk when the process is killed behind it."""

    async def run() -> None:
        async with writing(folder / "live", **settings) as writer:
            await work(writer)
            shutil.copytree(folder / "live", folder / "mx-0")

    asyncio.run(run())


async def three(writer: Any) -> None:
    """Message 0 with its verdict, 1 and 2 without."""
    await put(writer, 0, b"zero")
    await answer(writer.append_verdict, verdict(0))
    await put(writer, 1, b"one", "queue", "queue")
    await put(writer, 2, b"two", "pass", "queue")


def outcomes(folder: Path) -> dict[int, tuple[str, list[str]]]:
    return {
        ID.index(f.id): (f.header["outcome"], [r["outcome"] for r in f.header["recipients"]])
        for f in frames(folder)
        if f.kind == "verdict"
    }


def test_messages_without_verdict_get_one(tmp_path: Path) -> None:
    crashed(tmp_path, three)
    found = recovered(tmp_path / "mx-0")
    assert found.verdicts == [ID[1], ID[2]]
    assert not (found.clean or found.cut or found.kept or found.orphans or found.damage)
    told = ["open", "message 0", "verdict 0", "message 1", "message 2", "verdict 1", "verdict 2"]
    assert story(tmp_path / "mx-0") == [*told, "close"]
    assert outcomes(tmp_path / "mx-0") == {
        0: ("accepted", []),
        1: ("queued", ["queued", "queued"]),
        2: ("unknown", ["unknown", "queued"]),
    }
    last = frames(tmp_path / "mx-0")[-1]
    assert (found.seq, found.hash, found.next_segment) == (last.seq, last.hash, 2)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    crashed(tmp_path, three)
    folder = tmp_path / "mx-0"
    first = recovered(folder)
    before = segment_path(folder, 1).read_bytes()
    again = recovered(folder)
    assert again.clean and not again.verdicts
    assert (again.seq, again.hash, again.journal) == (first.seq, first.hash, first.journal)
    assert segment_path(folder, 1).read_bytes() == before


@pytest.mark.slow
def test_every_truncation_point(tmp_path: Path) -> None:
    """Cut anywhere: what was whole stays, what was torn goes, and writing goes on."""
    crashed(tmp_path, three)
    path = segment_path(tmp_path / "mx-0", 1)
    whole = path.read_bytes()
    all_frames = list(read_frames(path))
    folder = tmp_path / "cut"
    for cut in range(all_frames[0].end_offset, all_frames[-1].end_offset + 40):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        segment_path(folder, 1).write_bytes(whole[:cut])
        kept = [f for f in all_frames if f.end_offset <= cut]
        found = recovered(folder)
        got = frames(folder)
        assert got[: len(kept)] == kept
        assert [f.kind for f in got[len(kept) :]] == ["verdict"] * len(found.verdicts) + ["close"]
        messages = {f.id for f in kept if f.kind == "message"}
        assert set(found.verdicts) == messages - {f.id for f in kept if f.kind == "verdict"}
        torn = whole[kept[-1].end_offset : cut].rstrip(b"\0")
        assert found.cut == len(torn)


class Killed(BaseException):
    """The process ends here."""


class KillingDisk(Disk):
    """Ends the process at its nth call; a write then is done by half."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _count(self) -> bool:
        self.left -= 1
        return self.left < 0

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        if self._count():
            data = b"".join(buffers)
            super().pwritev(fd, [data[: len(data) // 2]], offset)
            raise Killed
        return super().pwritev(fd, buffers, offset)

    def fsync(self, fd: int) -> None:
        if self._count():
            raise Killed
        super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        if self._count():
            raise Killed
        super().fdatasync(fd)


def test_killed_during_recovery_at_every_call(tmp_path: Path) -> None:
    crashed(tmp_path, three)
    with segment_path(tmp_path / "mx-0", 1).open("r+b") as file:
        file.truncate(frames(tmp_path / "mx-0")[-1].end_offset - 3)  # message 2 is torn
    reference = tmp_path / "reference"
    shutil.copytree(tmp_path / "mx-0", reference)
    recovered(reference)
    for call in range(100):
        folder = tmp_path / f"killed-{call}"
        shutil.copytree(tmp_path / "mx-0", folder)
        try:
            recovered(folder, KillingDisk(call))
        except Killed:
            recovered(folder)
            assert story(folder) == story(reference)
            assert outcomes(folder) == outcomes(reference)
        else:
            assert call > 3
            return
    raise AssertionError("recovery never came to its end")


def test_a_verdict_missing_in_an_older_segment(tmp_path: Path) -> None:
    async def work(writer: Any) -> None:
        await put(writer, 0, b"first", "queue")
        for number in range(1, 40):
            await put(writer, number, b"x" * 1000)
            await answer(writer.append_verdict, verdict(number))

    crashed(tmp_path, work, segment_bytes=8000)
    folder = tmp_path / "mx-0"
    assert len(list_segments(folder)) > 3
    assert recovered(folder).verdicts == [ID[0]]
    assert outcomes(folder)[0] == ("queued", ["queued"])
    assert story(folder)[-2:] == ["verdict 0", "close"]


def test_orphaned_big_files_go_and_named_ones_stay(tmp_path: Path) -> None:
    async def work(writer: Any) -> None:
        for number in range(30):
            named = writer.spool(ID[number])
            assert await answer(named.finish) is None
            assert await answer(writer.append, message(number, file=named.name), [b""]) is None
            await answer(writer.append_verdict, verdict(number))
        orphan = writer.spool(ID[99])
        orphan.write(b"x")
        assert await answer(orphan.finish) is None

    crashed(tmp_path, work, segment_bytes=3000)
    folder = tmp_path / "mx-0"
    (folder / "00000099.tmp").write_bytes(b"half a segment")
    assert recovered(folder).orphans == [f"big-{ID[99]}"]
    assert {path.name for path in folder.glob("big-*")} == {f"big-{ID[n]}" for n in range(30)}
    assert not list(folder.glob("*.tmp"))


def test_the_worker_deletes_under_recoverys_eyes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works without the folder's lock: a segment, and a big file, may go at any time."""

    async def work(writer: Any) -> None:
        for number in range(20):
            named = writer.spool(ID[number])
            assert await answer(named.finish) is None
            assert await answer(writer.append, message(number, file=named.name), [b""]) is None
            if number < 19:
                await answer(writer.append_verdict, verdict(number))

    def deletes(path: Path, **options: Any) -> Any:
        if options.get("sealed"):
            path.unlink(missing_ok=True)
            (tmp_path / "mx-0" / f"big-{ID[0]}").unlink(missing_ok=True)
        return read_frames(path, **options)

    crashed(tmp_path, work, segment_bytes=3000)
    monkeypatch.setattr("proxy.journalrecover.read_frames", deletes)
    found = recovered(tmp_path / "mx-0")
    assert found.verdicts == [ID[19]]
    assert (tmp_path / "mx-0" / f"big-{ID[19]}").exists()


def test_no_big_file_goes_while_there_is_damage(tmp_path: Path) -> None:
    async def work(writer: Any) -> None:
        for number in range(3):
            await put(writer, number, b"x" * 500)
        big = writer.spool(ID[9])
        assert await answer(big.finish) is None
        assert await answer(writer.append, message(9, file=big.name), [b""]) is None
        await put(writer, 4)

    crashed(tmp_path, work)
    folder = tmp_path / "mx-0"
    victim = frames(folder)[4]
    assert victim.header["file"]
    smash(folder, victim)
    found = recovered(folder)
    assert [(n, d.first_seq, d.last_seq) for n, d in found.damage] == [(1, 5, 5)]
    assert (folder / f"big-{ID[9]}").exists() and not found.orphans
    # nothing behind the damage was cut
    assert ID[4] in found.verdicts


def smash(folder: Path, frame: Frame) -> None:
    with segment_path(folder, 1).open("r+b") as file:
        file.seek(frame.offset + 80)
        file.write(b"\xff" * 20)


def test_whole_frames_behind_a_torn_one_are_put_aside(tmp_path: Path) -> None:
    async def work(writer: Any) -> None:
        await put(writer, 0, b"zero")
        done: list[Any] = []
        for number in range(1, 40):  # few batches; the last one holds several
            writer.append(message(number), [b"x" * 100], done.append)
        await eventually(lambda: len(done) == 39)

    crashed(tmp_path, work)
    folder = tmp_path / "mx-0"
    got = frames(folder)
    assert got[-1].durable < got[-2].seq - 1, "the last batch should hold several frames"
    smash(folder, got[-2])
    found = recovered(folder)
    assert not found.damage
    name = f"00000001-{got[-3].seq}.torn"
    assert found.kept == [name]
    assert (folder / name).stat().st_size == found.cut
    assert ID[39].encode() in (folder / name).read_bytes()
    assert frames(folder)[: got[-3].seq] == got[:-2]


def test_a_last_segment_without_any_frame_is_put_aside(tmp_path: Path) -> None:
    async def work(writer: Any) -> None:
        for number in range(20):
            await put(writer, number, b"x" * 1000)

    crashed(tmp_path, work, segment_bytes=8000)
    folder = tmp_path / "mx-0"
    last = list_segments(folder)[-1]
    lost = {f.id for f in read_frames(segment_path(folder, last)) if f.kind == "message"}
    old_seq = frames(folder)[-1].seq
    segment_path(folder, last).write_bytes(b"\xff" * 9000)
    found = recovered(folder)
    assert found.kept == [f"{last:08d}.damaged"]
    assert list_segments(folder)[-1] == last + 1
    assert found.seq > old_seq
    assert set(found.verdicts) == set(ID[:20]) - lost
    items = everything(folder)
    assert sum(isinstance(item, Damage) for item in items) == 1  # the jump of the seq
    assert recovered(folder).clean

    async def go_on() -> None:
        async with writing(folder) as writer:
            await put(writer, 50)

    asyncio.run(go_on())
    newest = list(read_frames(segment_path(folder, last + 2)))
    assert newest[0].linked and newest[0].seq == found.seq + 1


def test_a_wholly_unreadable_folder_starts_a_new_chain(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).write_bytes(b"\xff" * 5000)
    found = recovered(tmp_path)
    assert found.kept == ["00000001.damaged"]
    assert list_segments(tmp_path) == [2] and found.seq > 1 << 32


def test_a_broken_chain_is_told(tmp_path: Path) -> None:
    crashed(tmp_path, three)
    folder = tmp_path / "mx-0"
    path = segment_path(folder, 1)
    second = frames(folder)[1]
    data = bytearray(path.read_bytes())
    header = {**json.loads(second.header_bytes), "sender": "z@x"}
    forged = json.dumps(header, separators=(",", ":")).encode()
    assert len(forged) == len(second.header_bytes)
    data[second.body_offset - len(forged) : second.body_offset] = forged
    crc = zlib.crc32(data[second.offset + 12 : second.end_offset])
    data[second.offset + 8 : second.offset + 12] = crc.to_bytes(4, "big")
    path.write_bytes(data)
    found = recovered(folder)
    assert [(n, d.first_seq, d.reason) for n, d in found.damage] == [(1, 2, "chain broken")]


def test_a_full_disk_keeps_recovery_for_later(tmp_path: Path) -> None:
    crashed(tmp_path, three)
    folder = tmp_path / "mx-0"
    with pytest.raises(JournalFull):
        recovered(folder, FullDisk(0))
    assert recovered(folder).verdicts == [ID[1], ID[2]]


def test_bytes_of_an_unsynced_tail_are_written_again(tmp_path: Path) -> None:
    """After a failed sync the kernel may hold them as clean: only a new write reaches the disk."""
    crashed(tmp_path, three)
    folder = tmp_path / "mx-0"
    last = frames(folder)[-1]
    assert last.durable == last.seq - 1
    written: list[tuple[int, bytes]] = []

    class Recording(Disk):
        def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
            written.append((offset, b"".join(buffers)))
            return super().pwritev(fd, buffers, offset)

    tail = segment_path(folder, 1).read_bytes()[last.offset : last.end_offset]
    recovered(folder, Recording())
    assert written[0] == (last.offset, tail)


def test_an_empty_folder_and_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "journal" / "mx-0"
    with FolderLock(folder) as lock:
        found = recover(lock)
        assert (found.next_segment, found.seq, found.clean) == (1, 0, True)
        with pytest.raises(JournalLocked):
            FolderLock(folder)
        with pytest.raises(JournalLocked):
            FolderLock(folder, wait=0.1)
    FolderLock(folder).close()


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    crashed(tmp_path, three)

    class Bad(Disk):
        def fsync(self, fd: int) -> None:
            raise OSError(errno.EIO, "injected")

    with pytest.raises(OSError, match="injected"):
        recovered(tmp_path / "mx-0", Bad())
