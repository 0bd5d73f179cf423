"""The archive: raw messages as zstd blobs, named by the sha-256 of their content.

What is stored lies at <folder>/ab/<sha256>.zst. Blobs are written once and never changed.
Promises: after `sync()` every blob put before it survives a power cut. A name that exists is
believed only after its content was read and matches (a crash can leave an empty file behind).
Names are told to nobody before sync(), so no reader meets half a blob.
Limits: a folder on a local disk. `Archive` is the interface, crmstore/bucket.py the other place.
sync() is one syncfs for all blobs of a batch: it waits for whatever else is dirty on that file
system, so copying gigabytes beside it delays ingest (never the doors, who sync their own files).
Cites: architecture.md "Archive"; syncfs(2); rename(2).
"""

import ctypes
import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from backports import zstd

from config.settings import Settings

__all__ = [
    "Archive",
    "BlobDamaged",
    "BlobMissing",
    "FileArchive",
    "Packing",
    "open_archive",
    "place",
]

# Level 3 saves a fiftieth of the room, and takes half as long again. Matches of less than seven
# octets are sought by the level itself for small bodies: a tenth of the time for no room.
OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.strategy: zstd.Strategy.fast,
    zstd.CompressionParameter.hash_log: 14,
    zstd.CompressionParameter.min_match: 7,
}
CHUNK = 1 << 20
_NAME = re.compile("[0-9a-f]{64}")
_NOTE = re.compile(
    "[A-Za-z0-9_%~-][A-Za-z0-9._%~-]{0,199}(/[A-Za-z0-9_%~-][A-Za-z0-9._%~-]{0,199}){0,5}"
)


class BlobMissing(Exception):
    """There is no blob of this name."""


class BlobDamaged(Exception):
    """The blob's content is not what its name says."""


class Archive(Protocol):
    """Where raw messages lie. Names are lower-case hex sha-256 digests."""

    def put(self, sha256: str, data: bytes | memoryview) -> int:
        """Store a whole body; returns the bytes it takes. Durable after sync().

        The caller has made sure that the digest is the body's.
        """

    def pack(self, data: bytes | memoryview) -> bytes:
        """The form that put_packed() takes, for a caller that packs while it waits."""

    def put_packed(self, sha256: str, packed: bytes) -> int:
        """As put(), for what pack() made."""

    def put_file(self, sha256: str, path: Path) -> int:
        """Store the body that a file holds, in bounded memory. Durable after sync().

        BlobDamaged if the file's content does not have this digest: nothing is stored.
        """

    def sync(self) -> None:
        """Return when everything that was put is durable."""

    def stream(self, sha256: str, chunk: int = CHUNK) -> Iterator[bytes]:
        """The body in pieces, verified by the end; BlobMissing at the first piece."""

    def read(self, sha256: str) -> bytes:
        """The whole body, verified."""

    def exists(self, sha256: str) -> bool:
        """Whether there is a blob of this name; its content is not looked at."""

    def verify(self, sha256: str) -> bool:
        """Whether the blob is there and is what its name says."""

    def delete(self, sha256: str) -> None:
        """Remove a blob; none is no error."""

    def delete_many(self, names: Iterable[str]) -> None:
        """Remove blobs."""

    def note(self, name: str, data: bytes) -> None:
        """Keep a note beside the blobs, durable on return; one of this name is replaced."""

    def notes(self, folder: str) -> list[str]:
        """The names of the notes below a folder, in order."""

    def read_note(self, name: str) -> bytes:
        """A note; BlobMissing, BlobDamaged."""


def open_archive(settings: Settings) -> Archive:
    """The archive of these settings."""
    if settings.store.blobs.bucket:
        from crmstore.bucket import BucketArchive
        from crmstore.objects import Objects

        return BucketArchive(Objects(settings.store), spool=settings.data_dir / "spool")
    return FileArchive(settings.blob_dir)


def note_place(name: str) -> str:
    """Where a note lies below its folder, or prefix: apart from the blobs."""
    if not _NOTE.fullmatch(name):
        raise ValueError("a note is named by words between slashes")
    return f"notes/{name}"


def place(sha256: str) -> str:
    """Where a blob lies below its folder, or prefix."""
    if not _NAME.fullmatch(sha256):
        raise ValueError("a blob is named by 64 hex digits, in lower case")
    return f"{sha256[:2]}/{sha256}.zst"


class Packing(ABC):
    """What a folder and a bucket do alike: a blob is one zstd frame, verified by who reads it."""

    def __init__(self) -> None:
        self._compress = zstd.ZstdCompressor(options=OPTIONS)

    def put(self, sha256: str, data: bytes | memoryview) -> int:
        return self.put_packed(sha256, self.pack(data))

    def pack(self, data: bytes | memoryview) -> bytes:
        """One zstd frame."""
        return self._compress.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)

    def read(self, sha256: str) -> bytes:
        return b"".join(self.stream(sha256))

    def verify(self, sha256: str) -> bool:
        try:
            for _ in self.stream(sha256):
                pass
        except (BlobMissing, BlobDamaged):
            return False
        return True

    @abstractmethod
    def put_packed(self, sha256: str, packed: bytes) -> int:
        """See Archive."""

    @abstractmethod
    def stream(self, sha256: str, chunk: int = CHUNK) -> Iterator[bytes]:
        """See Archive."""


class FileArchive(Packing):
    """Blobs in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._base = str(folder)
        self._created: list[str] = []  # since the last sync()
        self._found: list[str] = []

    def _path(self, sha256: str) -> str:
        return f"{self._base}/{place(sha256)}"

    # Writing

    def put_packed(self, sha256: str, packed: bytes) -> int:
        path = self._path(sha256)
        try:
            fd = self._create(path, os.O_EXCL)
        except FileExistsError:
            if self._has(path, sha256):
                return 0
            part = path + ".part"  # a crash left a torn one: put the whole one in its place
            self._write(self._create(part, os.O_TRUNC), part, packed)
            os.rename(part, path)
        else:
            self._write(fd, path, packed)
        self._created.append(path)
        return len(packed)

    def _write(self, fd: int, path: str, data: bytes) -> None:
        try:
            written = os.write(fd, data)
            while written < len(data):
                written += os.write(fd, data[written:])
        except BaseException:
            _unlink(path)
            raise
        finally:
            os.close(fd)

    def put_file(self, sha256: str, path: Path) -> int:
        target = self._path(sha256)
        if self._has(target, sha256):
            return 0
        part = target + ".part"
        compressor = zstd.ZstdCompressor(options=OPTIONS)
        digest = hashlib.sha256()
        total = 0
        try:
            with open(self._create(part, os.O_TRUNC), "wb") as sink, path.open("rb") as source:
                while piece := source.read(CHUNK):
                    digest.update(piece)
                    total += sink.write(compressor.compress(piece))
                total += sink.write(compressor.flush())
            if digest.hexdigest() != sha256:
                raise BlobDamaged(sha256)
        except BaseException:
            _unlink(part)
            raise
        os.rename(part, target)
        self._created.append(target)
        return total

    def _has(self, path: str, sha256: str) -> bool:
        """Whether the blob is there already. It may be there without being on the disk yet."""
        if not os.path.exists(path) or not self.verify(sha256):
            return False
        self._found.append(path)
        return True

    def _create(self, path: str, how: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:  # the first of its folder
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            return os.open(path, flags, 0o600)

    def sync(self) -> None:
        if not self._created and not self._found:
            return
        try:
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if not _syncfs(fd):
                    self._sync_each()
            finally:
                os.close(fd)
        except OSError:
            # The kernel may have dropped the pages and would not say so again: write them anew.
            for path in self._created:
                _unlink(path)
            raise
        finally:
            self._created.clear()
            self._found.clear()

    def _sync_each(self) -> None:
        """For systems without syncfs: every file, then every folder on the way to it."""
        folders = {self._base}
        for path in self._created + self._found:
            _fsync(path)
            folders.add(os.path.dirname(path))
        for folder in folders:
            _fsync(folder)

    def delete(self, sha256: str) -> None:
        _unlink(self._path(sha256))

    def delete_many(self, names: Iterable[str]) -> None:
        for sha256 in names:
            self.delete(sha256)

    def note(self, name: str, data: bytes) -> None:
        path = self.folder / note_place(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(self.pack(data))
            file.flush()
            os.fsync(fd)
        os.rename(part, path)
        for folder in path.parents:
            _fsync(str(folder))
            if folder == self.folder:
                break

    def notes(self, folder: str) -> list[str]:
        base = self.folder / "notes"
        found = (self.folder / note_place(folder)).rglob("*")
        return sorted(
            str(path.relative_to(base))
            for path in found
            if path.is_file() and path.suffix != ".part"
        )

    def read_note(self, name: str) -> bytes:
        try:
            return zstd.decompress((self.folder / note_place(name)).read_bytes())
        except FileNotFoundError:
            raise BlobMissing(name) from None
        except (zstd.ZstdError, EOFError) as error:
            raise BlobDamaged(name) from error

    # Reading

    def stream(self, sha256: str, chunk: int = CHUNK) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self._open(sha256) as source:
            try:
                while piece := source.read(chunk):
                    digest.update(piece)
                    yield piece
            except (zstd.ZstdError, EOFError) as error:
                raise BlobDamaged(sha256) from error
        if digest.hexdigest() != sha256:
            raise BlobDamaged(sha256)

    def _open(self, sha256: str) -> zstd.ZstdFile:
        try:
            return zstd.ZstdFile(self._path(sha256))
        except FileNotFoundError:
            raise BlobMissing(sha256) from None

    def exists(self, sha256: str) -> bool:
        return os.path.exists(self._path(sha256))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _fsync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _syncfs(fd: int) -> bool:
    """syncfs(2): one call for all the blobs of a batch. False where there is no such call."""
    call = getattr(_libc, "syncfs", None)
    if call is None:
        return False
    if call(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


_libc = ctypes.CDLL(None, use_errno=True)
