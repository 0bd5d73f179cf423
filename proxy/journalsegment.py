"""One segment file being written: made, given room ahead, written, synced, cut, ended.

Room is written as zeros a step ahead of the frames: overwriting blocks that exist makes fdatasync
twice as fast as appending (0.07 against 0.14 ms at p50, measured; an allocated but unwritten range
gains little, since each write still changes the file system's own tables). For a frame of more
than LARGE octets room is allocated and not written, since all of it would be written twice. The
last RESERVE octets of the room are for verdicts only: a full disk refuses new messages but never
loses what became of those that were accepted.

Promises: a segment has its final name only with a good first frame, both synced; a failed write
leaves `reached` at the last octet that is surely written.
A keeper; used by the writer and by recovery, who hold the folder's lock. See JOURNAL.md.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy.failpoint import failpoint
from proxy.journalfmt import JournalFull
from proxy.journalread import segment_path, sync_folder

STEP = 1 << 20
RESERVE = 256 << 10
LARGE = 64 << 10
_VECTORS = 1000  # IOV_MAX is 1024 on Linux
_ZEROS = bytes(STEP)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Disk:
    """The calls that a bad disk makes fail. Tests put their errors here."""

    def pwritev(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        return os.pwritev(fd, buffers, offset)

    def allocate(self, fd: int, offset: int, length: int) -> None:
        os.posix_fallocate(fd, offset, length)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)


def is_full(error: OSError) -> bool:
    return error.errno in _FULL


class Segment:
    """An open segment. `end`: where the next frame goes; `size`: up to where room was made."""

    def __init__(self, path: Path, number: int, fd: int, end: int, size: int, disk: Disk) -> None:
        self.path = path
        self.number = number
        self.end = end
        self.size = size
        self.reached = end
        self._fd = fd
        self._disk = disk

    @classmethod
    def create(cls, folder: Path, number: int, first: bytes, disk: Disk) -> Segment:
        """Make the file with its `open` frame, durably. JournalFull leaves nothing behind."""
        temporary = folder / f"{number:08d}.tmp"
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        segment = cls(segment_path(folder, number), number, fd, 0, 0, disk)
        try:
            if not segment.make_room(len(first) + RESERVE):
                raise JournalFull("no room for a new segment")
            segment.write([first])
            disk.fsync(fd)
        except BaseException as error:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and is_full(error):
                raise JournalFull("no room for a new segment") from error
            raise
        # from here on the worker may see it, so there is no way back but to fail as a whole
        failpoint("s1.segment.synced")
        os.rename(temporary, segment.path)
        failpoint("s2.segment.renamed")
        sync_folder(folder)
        return segment

    @classmethod
    def reopen(cls, folder: Path, number: int, end: int, disk: Disk) -> Segment:
        """An existing one, for recovery."""
        path = segment_path(folder, number)
        fd = os.open(path, os.O_RDWR)
        return cls(path, number, fd, end, os.fstat(fd).st_size, disk)

    def make_room(self, upto: int, large: bool = False) -> bool:
        """Is there, or can there be made, room up to this offset? Tries for a step more.

        large: most of it is written at once.
        """
        if upto <= self.size:
            return True
        make = self._allocate if large else self._zeros
        return make(upto + STEP) or make(upto)

    def _allocate(self, upto: int) -> bool:
        try:
            self._disk.allocate(self._fd, self.size, upto - self.size)
        except OSError as error:
            if not is_full(error):
                raise
            os.ftruncate(self._fd, self.size)
            return False
        self.size = upto
        return True

    def _zeros(self, upto: int) -> bool:
        at = self.size
        try:
            while at < upto:
                piece = memoryview(_ZEROS)[: upto - at]
                at += self._disk.pwritev(self._fd, [piece], at)
        except OSError as error:
            if not is_full(error):
                raise
            os.ftruncate(self._fd, self.size)  # others may need what we did not get
            return False
        self.size = upto
        return True

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Put these behind the last frame. On OSError `reached` tells how far it surely got."""
        self.reached = self.end
        for wrote in write_at(self._disk, self._fd, buffers, self.end):
            self.reached += wrote
        self.end = self.reached
        self.size = max(self.size, self.end)

    def keep(self, end: int) -> None:
        """After a failed write: drop all behind `end`, room too, and go on from there."""
        os.ftruncate(self._fd, end)
        self.end = self.reached = self.size = end

    def sync(self) -> None:
        self._disk.fdatasync(self._fd)

    def write_again(self, begin: int) -> None:
        """Write the octets from `begin` to the end once more and make them durable."""
        at = begin
        while at < self.end:
            piece = os.pread(self._fd, min(STEP, self.end - at), at)
            if not piece:
                raise OSError(errno.EIO, "a segment ends too early")
            at += self._disk.pwritev(self._fd, [piece], at)
        self._disk.fsync(self._fd)

    def give_back(self) -> None:
        """Return the unused room, durably: nothing is written here any more."""
        os.ftruncate(self._fd, self.end)
        self.size = self.end
        self._disk.fsync(self._fd)

    def abandon(self) -> None:
        """Close the file as it is."""
        os.close(self._fd)


def write_at(
    disk: Disk, fd: int, buffers: Sequence[bytes | memoryview], offset: int
) -> Iterator[int]:
    """Write all buffers, joining none; yields how many octets each call to the kernel took."""
    left: Sequence[bytes | memoryview] = buffers
    while left:
        some = left[:_VECTORS]
        wrote = disk.pwritev(fd, some, offset)
        offset += wrote
        yield wrote
        left = _after(left, wrote)


def _after(buffers: Sequence[bytes | memoryview], wrote: int) -> list[bytes | memoryview]:
    """What remains when the first `wrote` octets are gone."""
    for index, buffer in enumerate(buffers):
        if wrote < len(buffer):
            return [memoryview(buffer)[wrote:], *buffers[index + 1 :]]
        wrote -= len(buffer)
    return []
