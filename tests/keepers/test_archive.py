"""Blobs: what was put is there after sync, under its digest, or it was never there."""

import hashlib
import os
from pathlib import Path

import pytest

from crmstore import archive as archive_module
from crmstore.archive import BlobDamaged, BlobMissing, FileArchive

BODY = b"Subject: x\r\n\r\n" + b"line\r\n" * 1000
NAME = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    return FileArchive(tmp_path / "blobs")


def file_of(archive: FileArchive, name: str = NAME) -> Path:
    return archive.folder / name[:2] / f"{name}.zst"


def test_put_and_read(archive: FileArchive) -> None:
    assert 0 < archive.put(NAME, BODY) < len(BODY)
    archive.sync()
    assert file_of(archive).stat().st_mode & 0o777 == 0o600
    assert archive.read(NAME) == BODY
    assert b"".join(archive.stream(NAME, chunk=7)) == BODY
    assert archive.exists(NAME) and archive.verify(NAME)


def test_the_second_of_the_same_is_nothing_new(archive: FileArchive) -> None:
    archive.put(NAME, BODY)
    before = file_of(archive).stat()
    assert archive.put(NAME, BODY) == 0
    assert file_of(archive).stat().st_ino == before.st_ino


@pytest.mark.parametrize("torn", [b"", b"\x28\xb5\x2f\xfd", b"garbage"])
def test_what_a_crash_left_is_put_right(archive: FileArchive, torn: bytes) -> None:
    """An empty or torn file under the right name must not be taken for the blob."""
    archive.put(NAME, BODY)
    file_of(archive).write_bytes(torn)
    assert not archive.verify(NAME)
    assert archive.put(NAME, BODY) > 0
    assert archive.read(NAME) == BODY
    assert [p.name for p in archive.folder.rglob("*.part")] == []


def test_a_file_is_stored_in_bounded_pieces(archive: FileArchive, tmp_path: Path) -> None:
    source = tmp_path / "big"
    data = os.urandom(1 << 20) * 3 + b"end"
    source.write_bytes(data)
    name = hashlib.sha256(data).hexdigest()
    archive.put_file(name, source)
    assert archive.read(name) == data
    assert archive.put_file(name, source) == 0


def test_a_file_with_another_content_is_refused(archive: FileArchive, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(BODY + b"!")
    with pytest.raises(BlobDamaged):
        archive.put_file(NAME, source)
    assert list(archive.folder.rglob("*.*")) == []


def test_missing_and_damaged(archive: FileArchive) -> None:
    with pytest.raises(BlobMissing):
        archive.read(NAME)
    archive.put(NAME, BODY)
    data = bytearray(file_of(archive).read_bytes())
    data[-1] ^= 1
    file_of(archive).write_bytes(data)
    other = hashlib.sha256(b"other").hexdigest()
    archive.put(other, b"other")
    os.replace(file_of(archive, other), file_of(archive))
    with pytest.raises(BlobDamaged):
        archive.read(NAME)
    archive.delete(NAME)
    archive.delete(NAME)
    assert not archive.exists(NAME)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "../" * 22, "A/" * 32])
def test_only_digests_are_names(archive: FileArchive, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        archive.put(name, b"")


def test_a_failed_write_leaves_nothing(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="space"):
            archive.put(NAME, BODY)
    assert not archive.exists(NAME)


def test_after_a_failed_sync_the_blobs_are_written_anew(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel drops the pages it could not write and reports that once only."""

    def fails(_: int) -> bool:
        raise OSError(5, "Input/output error")

    archive.put(NAME, BODY)
    with monkeypatch.context() as patch:
        patch.setattr(archive_module, "_syncfs", fails)
        with pytest.raises(OSError, match="Input"):
            archive.sync()
    assert not archive.exists(NAME)
    assert archive.put(NAME, BODY) > 0
    archive.sync()
    assert archive.read(NAME) == BODY


def test_what_was_there_already_is_synced_too(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash may have left a whole blob that is not on the disk yet."""
    archive.put(NAME, BODY)
    calls: list[int] = []
    again = FileArchive(archive.folder)

    def counted(fd: int) -> bool:
        calls.append(fd)
        return True

    monkeypatch.setattr(archive_module, "_syncfs", counted)
    again.sync()
    assert calls == []
    again.put(NAME, BODY)
    again.sync()
    assert len(calls) == 1


def test_without_syncfs_every_file_and_folder_is_synced(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(archive_module, "_syncfs", lambda fd: False)
    monkeypatch.setattr(archive_module, "_fsync", synced.append)
    archive.put(NAME, BODY)
    archive.sync()
    path = file_of(archive)
    assert set(synced) == {str(p) for p in (path, path.parent, archive.folder)}
