"""The archive in a bucket: the same blobs as in a folder, byte for byte, at the same names.

What is stored lies at <prefix>/ab/<sha256>.zst. put() hands a blob to a few threads, so that a
batch is not one round trip after another; sync() waits for them.
Promises: sync() returns when the server has taken every blob that was put, or raises what it said
about the first that it did not take. A blob that is there already is believed only after it was
read and matches; one that does not match is replaced. What is read is verified by its end.
Memory: blobs on their way hold at most QUEUED octets (or one blob); bodies from files are packed
into a file of their own and go up in parts.
A put never overwrites (If-None-Match), where the server can promise that. Where it cannot, we
look first; between two that do so at once nothing is lost, because both put the same bytes.
Cites: architecture.md "Archive"; libraries.md "blobs".
"""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final

from backports import zstd

from crmstore.archive import (
    CHUNK,
    OPTIONS,
    BlobDamaged,
    BlobMissing,
    Packing,
    note_place,
    place,
)
from crmstore.objects import PART, PARTS_AT_ONCE, BucketError, Objects

__all__ = ["BucketArchive"]

AT_ONCE: Final = 24
QUEUED: Final = 32 << 20
RANGE: Final = 4 << 20
IN_PARTS: Final = PARTS_AT_ONCE * PART


class BucketArchive(Packing):
    """Blobs in a bucket. Reading from any thread; one thread puts and syncs."""

    def __init__(self, objects: Objects, *, spool: Path | None = None) -> None:
        """Bodies from files are packed in the folder `spool`, by default the system's own."""
        super().__init__()
        self._objects = objects
        self._spool = spool
        self._uploads = _Uploads()
        self._look_first = False  # the server cannot create only

    def __repr__(self) -> str:
        return f"BucketArchive({self._objects!r})"

    # Writing

    def put_packed(self, sha256: str, packed: bytes) -> int:
        """Begins; the octets it will take, also if it is there already."""
        place(sha256)
        self._uploads.begin(sha256, len(packed), lambda: self._put(sha256, packed))
        return len(packed)

    def put_file(self, sha256: str, path: Path) -> int:
        """As put_packed(); the body is packed before this returns, so the file may go then."""
        place(sha256)
        if self._spool is not None:
            self._spool.mkdir(mode=0o700, exist_ok=True)
        packed = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115
        try:
            with path.open("rb") as source:
                total = _pack_file(sha256, source, packed)
        except BaseException:
            packed.close()
            raise

        def upload() -> None:
            with packed:
                if total <= PART:
                    packed.seek(0)
                    self._put(sha256, packed.read())
                elif not self.verify(sha256):
                    self._objects.upload(place(sha256), packed)

        self._uploads.begin(sha256, min(total, IN_PARTS), upload)
        return total

    def _put(self, sha256: str, packed: bytes) -> None:
        if not self._look_first:
            try:
                if self._objects.create(place(sha256), packed):
                    return
            except BucketError as error:
                if not error.unconditional:
                    raise
                self._look_first = True
        if not self.verify(sha256):
            self._objects.replace(place(sha256), packed)

    def sync(self) -> None:
        self._uploads.wait()

    def delete(self, sha256: str) -> None:
        self._objects.delete([place(sha256)])

    def delete_many(self, names: Iterable[str]) -> None:
        self._objects.delete([place(name) for name in names])

    def note(self, name: str, data: bytes) -> None:
        self._objects.replace(note_place(name), self.pack(data))

    def notes(self, folder: str) -> list[str]:
        found = self._objects.names(note_place(folder))
        return sorted(name.removeprefix("notes/") for name in found)

    def read_note(self, name: str) -> bytes:
        packed, start, size = bytearray(), 0, 1
        while start < size:
            found = self._objects.read(note_place(name), start, RANGE)
            if found is None:
                raise BlobMissing(name)
            piece, size = found
            packed += piece
            start += len(piece)
            if not piece:
                break
        try:
            return zstd.decompress(bytes(packed))
        except (zstd.ZstdError, EOFError) as error:
            raise BlobDamaged(name) from error

    # Reading

    def stream(self, sha256: str, chunk: int = CHUNK) -> Iterator[bytes]:
        digest = hashlib.sha256()
        decompress = zstd.ZstdDecompressor()
        try:
            for packed in self._pieces(sha256):
                while True:
                    piece = decompress.decompress(packed, chunk)
                    packed = b""
                    if piece:
                        digest.update(piece)
                        yield piece
                    if decompress.eof or (decompress.needs_input and not piece):
                        break
                if decompress.unused_data:
                    raise BlobDamaged(sha256)
        except (zstd.ZstdError, EOFError) as error:
            raise BlobDamaged(sha256) from error
        if not decompress.eof or digest.hexdigest() != sha256:
            raise BlobDamaged(sha256)

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        """The packed blob in ranges: no request lasts as long as a slow reader does."""
        start, size = 0, 1
        while start < size:
            found = self._objects.read(place(sha256), start, RANGE)
            if found is None:
                raise BlobMissing(sha256)
            piece, size = found
            yield piece
            start += len(piece)

    def exists(self, sha256: str) -> bool:
        # Not HEAD: its answer has no body, so "no such bucket" would look like "no such blob".
        return self._objects.read(place(sha256), 0, 1) is not None


class _Uploads:
    """Puts under way. After the first that fails the others are dropped, and wait() tells."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bucket")
        self._change = threading.Condition()
        self._names: set[str] = set()
        self._octets = 0
        self._running = 0
        self._failure: Exception | None = None

    def begin(self, name: str, octets: int, upload: Callable[[], None]) -> None:
        """Waits while too much is under way. A name that was put since wait() is not put again."""
        with self._change:
            if name in self._names:
                return
            while self._running and self._octets + octets > QUEUED:
                self._change.wait()
            self._names.add(name)
            self._octets += octets
            self._running += 1
        self._pool.submit(self._run, octets, upload)

    def _run(self, octets: int, upload: Callable[[], None]) -> None:
        failure: Exception | None = None
        try:
            if self._failure is None:
                upload()
        except Exception as error:
            failure = error
        except BaseException as error:  # a panic in the library is one: it must not end its caller
            failure = BucketError(f"the library failed: {type(error).__name__}", "panic")
        finally:
            del upload  # with the blob that it holds
            with self._change:
                self._octets -= octets
                self._running -= 1
                self._failure = self._failure or failure
                self._change.notify_all()

    def wait(self) -> None:
        with self._change:
            while self._running:
                self._change.wait()
            failure, self._failure = self._failure, None
            self._names.clear()
        if failure is not None:
            raise failure


def _pack_file(sha256: str, source: IO[bytes], packed: IO[bytes]) -> int:
    """Pack a body in bounded memory; the octets it takes then."""
    compressor = zstd.ZstdCompressor(options=OPTIONS)
    digest = hashlib.sha256()
    total = 0
    while piece := source.read(CHUNK):
        digest.update(piece)
        total += packed.write(compressor.compress(piece))
    total += packed.write(compressor.flush())
    if digest.hexdigest() != sha256:
        raise BlobDamaged(sha256)
    return total
