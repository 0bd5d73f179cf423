"""Following one door's journal: what came since, what still waits, what may be deleted.

Promises: frames are handed out in their order, each once per position; memory is bounded by the
messages between door and next hop (they wait for their verdict) and by the batch. Nothing is
written but by done() and remove(), for segments that are wholly in the store.
The position moves only by moved(), after the commit.
A keeper, read side; one thread. Cites: architecture.md "Journal"; JOURNAL.md.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from crmstore.batch import LedgerRow, Pending, Place
from crmstore.times import at_us
from proxy.captureid import is_capture_id
from proxy.journalfmt import Damage, Frame
from proxy.journalread import (
    Position,
    big_name,
    big_of,
    follow,
    list_segments,
    read_frames,
    remove_segment,
    segment_path,
)

__all__ = ["KINDS", "Item", "Tail", "doors", "is_whole", "replaced"]

KINDS = frozenset({"open", "message", "verdict", "close"})
_QUIET = 0.05  # seconds; file times are coarser than writes


class Item(NamedTuple):
    """One frame as ingest needs it."""

    segment: int
    frame: Frame
    row: LedgerRow
    message: Pending | None  # of a message frame

    @property
    def place(self) -> Place:
        """Behind the frame."""
        frame = self.frame
        return Place(self.row[1], self.segment, frame.end_offset, frame.seq, frame.hash)

    @property
    def kind(self) -> str:
        return self.row[3]

    @property
    def capture_id(self) -> str:
        return self.row[4]


@dataclass(slots=True)
class _Known:
    """What was seen of a segment, so that deleting it needs no second reading."""

    whole: bool  # from its first frame on
    damaged: bool = False
    big: set[str] = field(default_factory=set)


def doors(journal_dir: Path) -> list[str]:
    """The names of the folders that hold a door's journal."""
    try:
        with os.scandir(journal_dir) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []


def replaced(folder: Path, place: Place) -> bool:
    """Whether the segment that `place` points into belongs to another chain: somebody emptied the
    folder, and the door began anew with the same numbers."""
    path = segment_path(folder, place.segment)
    try:
        first = next(iter(read_frames(path)), None)
    except FileNotFoundError:
        return False
    return (
        first is not None and first.kind == "open" and first.header.get("journal") != place.journal
    )


class Tail:
    """One door's folder."""

    def __init__(self, folder: Path, place: Place | None) -> None:
        self.folder = folder
        self.door = folder.name
        self.place = place
        self.last_kind = ""  # of the frame before `place`, if we read it
        self.damage: list[tuple[int, Damage]] = []  # met by the last read()
        self._known: dict[int, _Known] = {}
        self._newest = 0
        self._stamp: tuple[int, int, int] | None = None  # of what is in the store
        self._seen: tuple[int, int, int] | None = None  # of what read() has come to the end of
        self._fds: dict[int, int] = {}
        self._paths: dict[int, str] = {}

    # Reading

    def quiet(self) -> bool:
        """Whether nothing was written since all that there was is in the store."""
        stamp = self._look()
        return stamp is not None and stamp == self._stamp

    def _look(self) -> tuple[int, int, int] | None:
        numbers = list_segments(self.folder)
        self._newest = numbers[-1] if numbers else 0
        if not numbers:
            return (0, 0, 0)
        try:
            found = os.stat(segment_path(self.folder, numbers[-1]))
        except FileNotFoundError:
            return None
        if time.time() - found.st_mtime < _QUIET:
            return None  # a write within the same tick of the clock would not show
        return numbers[-1], found.st_size, found.st_mtime_ns

    def read(self, place: Place | None) -> Iterator[Item]:
        """The frames behind a place (`place`, or where what was read last ended), to the end so
        far. Damage goes to `damage`."""
        self.damage = []
        self._stamp = self._seen = None
        stamp = self._look()
        journal = place.journal if place else ""
        position = None
        if place is not None and replaced(self.folder, place):
            gone = Damage(0, 0, place.seq + 1, None, "the journal was replaced by another one")
            self.damage.append((place.segment, gone))
            journal = ""
        elif place is not None:
            position = Position(place.segment, place.offset, place.seq, place.hash)
        for number, found in follow(self.folder, position):
            known = self._known.get(number)
            if known is None:
                first = isinstance(found, Frame) and found.offset == 0
                known = self._known[number] = _Known(whole=first)
            if isinstance(found, Damage):
                known.damaged = True
                self.damage.append((number, found))
                continue
            header = found.header
            if header.get("type") == "open":
                journal = str(header.get("journal", ""))[:26]
            yield self._item(number, found, journal, known)
        self._seen = stamp

    def _item(self, number: int, frame: Frame, journal: str, known: _Known) -> Item:
        header = frame.header
        kind = header.get("type")
        ident = header.get("id")
        row = (
            self.door,
            journal,
            frame.seq,
            kind if kind in KINDS else "other",
            ident if isinstance(ident, str) and is_capture_id(ident) else "",
            frame.header_bytes,
            frame.hash,
        )
        if kind != "message":
            return Item(number, frame, row, None)
        name = big_of(frame)
        if name is not None:
            known.big.add(name)
        if not row[4] or not is_whole(header):
            return Item(number, frame, row, None)
        at = at_us(header.get("time"), time.time_ns() // 1000)
        message = Pending(
            row[4], self.door, journal, frame.seq, number, frame.body_offset, header, at
        )
        return Item(number, frame, row, message)

    # Bodies

    def where(self, message: Pending) -> tuple[str, int, int]:
        """(path, offset, length) of a message's body."""
        name = message.header.get("file")
        size = int(message.header["size"])
        if name:  # whatever it says: there is one file that can be this message's
            return str(self.folder / big_name(message.capture_id)), 0, size
        number = message.segment
        path = self._paths.get(number)
        if path is None:
            self._paths.clear()  # one or two are in use at a time
            path = self._paths[number] = str(segment_path(self.folder, number))
        return path, message.offset, size

    def body(self, message: Pending) -> bytes:
        """The body of a message that lies in a segment."""
        fd = self._fds.get(message.segment)
        if fd is None:
            path = segment_path(self.folder, message.segment)
            fd = self._fds[message.segment] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(fd, int(message.header["size"]), message.offset)

    def behind(self) -> int:
        """Octets of the journal that are not in the store, about: segments may end in room that is
        not used yet. Big files are not counted."""
        place = self.place
        first, begun = (place.segment, place.offset) if place is not None else (0, 0)
        waiting = 0
        for number in list_segments(self.folder):
            if number >= first:
                with suppress(FileNotFoundError):
                    size = segment_path(self.folder, number).stat().st_size
                    waiting += size - begun if number == first else size
        return waiting

    def sync(self, segments: set[int]) -> None:
        """Make what was read of these segments durable: a door may have written and not synced."""
        for number in segments:
            path = segment_path(self.folder, number)
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    # After the commit

    def caught_up(self) -> None:
        """Everything that the last read() came by is in the store."""
        if self._seen is not None:
            self._stamp = self._seen

    def moved(self, place: Place, last_kind: str) -> None:
        """Everything up to here is in the store."""
        self.place = place
        self.last_kind = last_kind

    def close(self) -> None:
        """Let go of the segments."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def done(self, waiting: set[int], retain: float) -> list[int]:
        """Segments that may be deleted: wholly in the store for `retain` seconds, and no message
        in them waits."""
        if self.place is None:
            return []
        return [
            number
            for number in list_segments(self.folder)[:-1]
            if number < self.place.segment
            and number not in waiting
            and (not retain or _done_for(segment_path(self.folder, number)) > retain)
        ]

    def remove(self, numbers: Sequence[int]) -> int:
        """Delete segments that are done."""
        for number in numbers:
            known = self._known.pop(number, None)
            big = sorted(known.big) if known and known.whole and not known.damaged else None
            remove_segment(self.folder, number, big=big)
        return len(numbers)


def _done_for(path: Path) -> float:
    """Seconds since a segment was found to be wholly in the store. It is made read-only then, and
    its time of change tells since when: a door that was ahead of its worker for a week must not
    lose its segments the moment they are ingested."""
    try:
        found = path.stat()
        if found.st_mode & 0o200:
            os.utime(path)
            path.chmod(0o400)
            return 0.0
    except FileNotFoundError:
        return 0.0
    return time.time() - found.st_mtime


def is_whole(header: Mapping[str, Any]) -> bool:
    """Whether a message header has what the store cannot do without."""
    sha256, size = header.get("sha256"), header.get("size")
    return isinstance(sha256, str) and len(sha256) == 64 and type(size) is int and size >= 0
