"""Reading a journal beside its writer, following it over segments, removing what is done."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from proxy.journalfmt import Damage, Frame
from proxy.journalread import (
    Position,
    big_of,
    follow,
    list_segments,
    read_frames,
    remove_segment,
    segment_path,
)
from tests.keepers.journals import ID, answer, everything, frames, message, put, verdict, writing


def fill(folder: Path, count: int = 30, segment_bytes: int = 10_000) -> None:
    """A journal of several segments; every tenth message has a big file."""

    async def run() -> None:
        async with writing(folder, segment_bytes=segment_bytes) as writer:
            for number in range(count):
                if number % 10 == 0:
                    big = writer.spool(ID[number])
                    big.write(b"big")
                    assert await answer(big.finish) is None
                    header = message(number, file=big.name)
                    assert await answer(writer.append, header, ()) is None
                else:
                    await put(writer, number, b"x" * 1000)
                await answer(writer.append_verdict, verdict(number))

    asyncio.run(run())


def position(segment: int, frame: Frame) -> Position:
    return Position(segment, frame.end_offset, frame.seq, frame.hash)


def test_follow_from_any_position(tmp_path: Path) -> None:
    fill(tmp_path)
    whole = list(follow(tmp_path))
    assert len(list_segments(tmp_path)) >= 3
    assert len(frames(tmp_path)) == len(whole)
    for index, (segment, frame) in enumerate(whole):
        assert isinstance(frame, Frame)
        assert list(follow(tmp_path, position(segment, frame))) == whole[index + 1 :]


def test_follow_beside_the_writer(tmp_path: Path) -> None:
    """Each look shows exactly what came since, also over the begin of a new segment."""

    async def run() -> None:
        at: Position | None = None
        seen: list[str] = []
        async with writing(tmp_path, segment_bytes=20_000) as writer:
            for number in range(60):
                await put(writer, number, b"x" * 1500)
                for segment, item in follow(tmp_path, at):
                    assert isinstance(item, Frame) and item.linked
                    at = position(segment, item)
                    if item.kind == "message":
                        seen.append(item.id)
        assert seen == ID[:60]
        assert at is not None and at.segment >= 4

    asyncio.run(run())


def test_half_a_frame_is_not_yet_there(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    first, second = frames(tmp_path)[:2]
    path.write_bytes(whole[: second.end_offset - 5] + bytes(4096))
    reader = read_frames(path)
    assert list(reader) == [first]
    assert (reader.state, reader.offset, reader.damage) == ("partial", first.end_offset, [])
    path.write_bytes(whole)
    again = read_frames(path, reader.offset, seq=first.seq, previous=first.hash)
    assert next(iter(again)).linked


@pytest.mark.parametrize("hole", [0, 300, 5_000])
@pytest.mark.parametrize("chunk", [500, 1 << 20])
def test_a_read_that_the_writer_overtook_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hole: int, chunk: int
) -> None:
    """What was read before it was written, followed by what was read after it: the later frames
    say that the earlier ones are durable, and so they are."""
    fill(tmp_path, 12, 1 << 20)
    before = frames(tmp_path)
    victim = next(frame for frame in before if frame.seq == 4)
    assert max(frame.durable for frame in before) > victim.seq
    stale = range(victim.offset + hole, victim.offset + hole + 700)
    written = False

    def pread(fd: int, size: int, at: int) -> bytes:
        nonlocal written
        data = bytearray(real(fd, size, at))
        for n in stale:
            if not written and at <= n < at + len(data):
                data[n - at] = 0
        written = written or len(data) < size
        return bytes(data)

    real = os.pread
    monkeypatch.setattr("proxy.journalread.FIRST", chunk)
    monkeypatch.setattr("proxy.journalread.os.pread", pread)
    reader = read_frames(segment_path(tmp_path, 1))
    assert list(reader) == before
    assert (reader.damage, reader.state) == ([], "end")
    assert all(frame.linked for frame in read_frames(segment_path(tmp_path, 1)))


def test_damage_is_reported_and_passed(tmp_path: Path) -> None:
    fill(tmp_path)
    before = frames(tmp_path)
    victim = next(f for f in before if f.seq == 4)
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.seek(victim.offset + 100)
        file.write(b"\xff" * 20)
    items = everything(tmp_path)
    assert [i for i in items if isinstance(i, Damage)] == [
        Damage(victim.offset, victim.end_offset, 4, 4, "unreadable bytes")
    ]
    got = [i for i in items if isinstance(i, Frame)]
    assert [f.seq for f in got] == [f.seq for f in before if f.seq != 4]
    assert [f.seq for f in got if not f.linked] == [5]


def test_a_missing_segment_is_a_gap(tmp_path: Path) -> None:
    fill(tmp_path)
    segment_path(tmp_path, 2).unlink()
    gaps = [i for i in everything(tmp_path) if not isinstance(i, Frame)]
    lost = [f.seq for f in everything(tmp_path) if isinstance(f, Frame)]
    assert [gap.reason for gap in gaps] == ["frames missing"]
    assert gaps[0].first_seq not in lost and gaps[0].last_seq not in lost


def test_a_folder_that_was_emptied_is_told(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (segment, item), *_ = follow(tmp_path, Position(9, 100, 500, b"h" * 32))
    assert (segment, item) == (9, Damage(0, 0, 501, None, "the segment read last is gone"))


def test_a_file_of_garbage(tmp_path: Path) -> None:
    for number in (1, 2):
        segment_path(tmp_path, number).write_bytes(os.urandom(5000))
    items = everything(tmp_path)
    assert [type(i) for i in items] == [Damage]  # the last may still be half written
    with pytest.raises(FileNotFoundError):
        list(read_frames(segment_path(tmp_path, 3)))
    assert list_segments(tmp_path / "absent") == []


def test_remove_segment(tmp_path: Path) -> None:
    fill(tmp_path)
    numbers = list_segments(tmp_path)
    read = list(follow(tmp_path))
    named = {
        n: {big for s, f in read if s == n and isinstance(f, Frame) and (big := big_of(f))}
        for n in numbers
    }
    assert named[1]
    with pytest.raises(ValueError, match="newest"):
        remove_segment(tmp_path, numbers[-1])
    remove_segment(tmp_path, 1)
    remove_segment(tmp_path, 1)
    assert list_segments(tmp_path) == numbers[1:]
    left = {path.name for path in tmp_path.glob("big-*")}
    assert left == set().union(*(named[n] for n in numbers[1:]))
    # a reader that was at its end goes on in the next one
    last = [f for s, f in read if s == 1][-1]
    assert isinstance(last, Frame)
    rest = list(follow(tmp_path, position(1, last)))
    assert rest == [(s, f) for s, f in read if s > 1]


def test_a_damaged_segment_is_put_aside_with_its_big_files(tmp_path: Path) -> None:
    fill(tmp_path)
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.seek(500)
        file.write(b"\xff" * 20)
    remove_segment(tmp_path, 1)
    assert (tmp_path / "00000001.damaged").exists()
    assert (tmp_path / f"big-{ID[0]}").exists()


def test_a_name_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    frame = frames(tmp_path)[1]
    assert big_of(frame) == f"big-{ID[0]}"
    for name in ("../x", "big-../../x", "big-", 7, None, f"big-{ID[0]}/.."):
        assert big_of(frame._replace(header={"file": name})) is None
