"""Reading a door's journal: segments, their frames, following them live, removing what is done.

Promises: no bytes on the disk make this raise (a missing or unreadable file does: OSError); what
cannot be read is reported as Damage, never skipped in silence; reading next to a running writer
is safe and needs no lock. Only `remove_segment` writes.

Limits: a reader holds one chunk and one frame in memory (see journalfmt.Decoder).
A keeper. See JOURNAL.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.captureid import is_capture_id
from proxy.journalfmt import FIXED, MAGIC, Damage, Decoder, Frame

FIRST = 1 << 18  # octets read at once: as much as a processor keeps near it
CHUNK = 1 << 20  # the same, of a frame that is longer
BIG = "big-"
_SEGMENT = re.compile(r"(\d{8,18})\.seg")


class Position(NamedTuple):
    """How far somebody has read: the end of a frame, and that frame's seq and hash."""

    segment: int
    offset: int
    seq: int
    hash: bytes


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.seg"


def damaged_path(folder: Path, number: int) -> Path:
    """Where a segment goes that must not be deleted although it is done with."""
    return folder / f"{number:08d}.damaged"


def list_segments(folder: Path) -> list[int]:
    """The numbers of the segments, oldest first. An absent folder has none."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(m[1]) for m in map(_SEGMENT.fullmatch, names) if m)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in the folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FrameReader:
    """Iterates over frames from an offset; afterwards tells how and where it ended.

    `state`: "end" = all that is written was read; "partial" = half a frame follows (it is being
    written, or a crash tore it): come again with `offset`. `damage`: what was passed over.
    """

    def __init__(self, path: Path, decoder: Decoder) -> None:
        self.path = path
        self.damage: list[Damage] = []
        self._decoder = decoder
        self._items = _read(path, decoder, self.damage)

    @property
    def offset(self) -> int:
        return self._decoder.offset

    @property
    def state(self) -> str:
        return self._decoder.state

    @property
    def stranded(self) -> int:
        return self._decoder.stranded

    @property
    def key(self) -> bytes | None:
        return self._decoder.key

    @property
    def sealed(self) -> bool:
        return self._decoder.sealed

    def items(self) -> Iterator[Frame | Damage]:
        """Frames and damage in the order of the file."""
        return self._items

    def __iter__(self) -> Iterator[Frame]:
        for item in self._items:
            if isinstance(item, Frame):
                yield item


def _read(path: Path, decoder: Decoder, damage: list[Damage]) -> Iterator[Frame | Damage]:
    """Not a method: a generator that holds its reader, which holds the generator, would keep file
    and buffer until the collector comes by.

    Beside a writer, bytes that are no frame may have become frames since they were read, and what
    was read after them may prove these durable. So they are read once more: what such a proof
    covers was written before the proof was, and any read after it shows it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        at = decoder.offset
        if at and decoder.key is None:
            decoder.key = _segment_key(fd)
        eof, doubted = False, -1
        size = FIRST
        while not eof:
            data = os.pread(fd, size, at)
            at += len(data)
            eof = len(data) < size
            size = min(2 * size, CHUNK)
            before = decoder.offset
            for item in decoder.feed(data, eof):
                size = FIRST
                if isinstance(item, Damage):
                    if not decoder.sealed and item.offset != doubted:
                        at = doubted = item.offset
                        eof = False
                        decoder.again()
                        break
                    damage.append(item)
                yield item
            else:
                if before < decoder.offset and not eof:
                    # The beginning of a frame is read once more with the rest of it, which costs
                    # less than to copy what came since.
                    at = decoder.offset
                    decoder.again()
    finally:
        os.close(fd)


def _segment_key(fd: int) -> bytes | None:
    start = os.pread(fd, FIXED.size, 0)
    if len(start) == FIXED.size and start.startswith(MAGIC):
        key: bytes = FIXED.unpack(start)[4]
        return key
    return None


def read_frames(
    path: Path,
    offset: int = 0,
    *,
    seq: int | None = None,
    previous: bytes | None = None,
    sealed: bool = False,
) -> FrameReader:
    """The frames of a segment from `offset`, which is 0 or some frame's end_offset.

    seq and previous: number and hash of the frame that ends there; with them a missing frame is
    noticed and every frame's `linked` is known. sealed: a later segment exists (journalfmt).
    """
    return FrameReader(path, Decoder(offset, seq=seq, previous=previous, sealed=sealed))


def read_body(path: Path, frame: Frame) -> bytes:
    """The body of a frame that was read from this segment."""
    with path.open("rb") as file:
        file.seek(frame.body_offset)
        return file.read(frame.body_length)


def follow(folder: Path, position: Position | None = None) -> Iterator[tuple[int, Frame | Damage]]:
    """(segment, frame or damage) from a position on, through all segments, to the end so far.

    Call again with the last frame's position for what came since. A segment that is missing
    before the position or between two others is reported as Damage of length 0.
    """
    numbers = list_segments(folder)
    seq: int | None = None
    previous: bytes | None = None
    offset = 0
    if position is not None:
        seq, previous = position.seq, position.hash
        if position.segment in numbers:
            numbers = numbers[numbers.index(position.segment) :]
            offset = position.offset
        elif not numbers or numbers[-1] < position.segment:
            # the folder is younger than the position: it was emptied or exchanged
            yield position.segment, Damage(0, 0, seq + 1, None, "the segment read last is gone")
            seq = previous = None
        else:
            # read wholly and deleted since, as it should be: its successor must link to it
            numbers = [n for n in numbers if n > position.segment]
    for index, number in enumerate(numbers):
        # a successor seen before the reading starts proves that nobody writes here any more
        sealed = index + 1 < len(numbers)
        reader = read_frames(
            segment_path(folder, number), offset, seq=seq, previous=previous, sealed=sealed
        )
        for item in reader.items():
            yield number, item
            if isinstance(item, Frame):
                seq, previous = item.seq, item.hash
            else:
                previous = None
        offset = 0


def big_name(capture_id: str) -> str:
    """The name of the file of a body that is too large for a segment."""
    if not is_capture_id(capture_id):
        raise ValueError("not a capture id")
    return BIG + capture_id


def big_of(frame: Frame) -> str | None:
    """The big file a frame names, if it has the shape of one (so that it cannot lead elsewhere)."""
    name = frame.header.get("file")
    if isinstance(name, str) and name.startswith(BIG) and is_capture_id(name[len(BIG) :]):
        return name
    return None


def remove_segment(folder: Path, number: int, *, big: Sequence[str] | None = None) -> None:
    """Delete a segment that is wholly ingested, and first the big files its frames name.

    The newest one is refused (it carries the chain on). A crash half-way leaves a segment without
    big files, to be removed again. A segment with damage is renamed to *.damaged for a person to
    look at, and its big files stay. A segment that is not there is no error.
    big: the big files its frames name, from a caller who has read all of it without damage; it is
    then not read again.
    """
    numbers = list_segments(folder)
    if number not in numbers:
        return
    if number == numbers[-1]:
        raise ValueError("the newest segment carries the chain and must stay")
    path = segment_path(folder, number)
    damaged = False
    if big is None:
        reader = read_frames(path, sealed=True)
        big = [name for name in map(big_of, reader) if name is not None]
        damaged = bool(reader.damage)
    if damaged:
        os.rename(path, damaged_path(folder, number))
    else:
        for name in big:
            (folder / name).unlink(missing_ok=True)
        if big:
            sync_folder(folder)
        path.unlink()
    sync_folder(folder)
