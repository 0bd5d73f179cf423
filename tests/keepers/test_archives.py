"""What everybody relies on, of the folder and of the bucket alike: the same tests run on both.

Of an archive
- After sync() every blob that was put is there; before, nobody is told its name. sync() raises if
  one of them is not, and then putting all of them again is right.
- A name is the sha-256 of what is in it. Reading ends well only if that holds: a blob that is cut,
  changed, or has something behind it is BlobDamaged, none is BlobMissing, and trouble on the way
  (disk, server) is an OSError that is neither of the two: nothing is ever taken for missing because
  a server, its bucket or a key to it is away.
- Putting what is there already, twice at once or after a crash, changes nothing; a damaged one is
  replaced by the whole one.
- Bodies from files are taken and given in bounded memory; a file that is not what its name says
  leaves nothing.
- The blobs are the same octets in both, so that one can be copied into the other.

Of a server that speaks S3 (test_bucket.py has the faults)
- 200 to a PUT, or to the end of an upload in parts, means that it keeps the object. How well (one
  disk, many) is its own affair. A PUT that was not answered may have been done, or be done later.
- An object appears whole or not at all; after 200 everybody reads it.
- If-None-Match: * is honoured, refused with 501 / NotImplemented, or ignored; `mailweir check`
  tells which.
- Errors carry a <Code>: NoSuchKey is the only one that means "no such blob".
"""

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crmstore.archive import BlobDamaged, BlobMissing
from tests.keepers.archives import InBucket, InFolder, Kept, digest, noise, text

MIB = 1 << 20


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.peers)])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "folder":
        return InFolder(tmp_path)
    place = request.getfixturevalue("bucket")
    client = request.getfixturevalue("s3_server").client(place.prefix)
    return InBucket(tmp_path, place, client)


def test_what_is_put_is_read(kept: Kept) -> None:
    bodies = [b"", b"x", b"\0" * 100_000, text(20_000), noise(3 * MIB), "件名: 日本\r\n".encode()]
    for body in bodies:
        kept.archive.put(digest(body), body)
    kept.archive.sync()
    for body in bodies:
        name = digest(body)
        assert kept.archive.exists(name) and kept.archive.verify(name)
        assert kept.archive.read(name) == body
        assert b"".join(kept.archive.stream(name, 1000)) == body
    assert kept.names() == {f"{digest(body)}.zst" for body in bodies}


def test_pieces_are_no_larger_than_asked(kept: Kept) -> None:
    body = b"\0" * (30 * MIB)  # packed it is a few kilobytes: they must not unfold at once
    kept.archive.put(digest(body), body)
    kept.archive.sync()
    pieces = [len(piece) for piece in kept.archive.stream(digest(body), 50_000)]
    assert max(pieces) <= 50_000 and sum(pieces) == len(body)


def test_what_is_not_there(kept: Kept) -> None:
    name = digest(b"never put")
    assert not kept.archive.exists(name) and not kept.archive.verify(name)
    with pytest.raises(BlobMissing):
        kept.archive.read(name)
    with pytest.raises(BlobMissing):
        next(iter(kept.archive.stream(name)))
    kept.archive.delete(name)
    kept.archive.sync()


NO_NAMES = ["", "abc", "../" * 21 + "x", "a" * 65, "é" * 64, "A" * 64, "g" * 64, "1" * 63 + "\n"]


@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_names_that_are_none(kept: Kept, name: str) -> None:
    for use in (kept.archive.read, kept.archive.exists, kept.archive.delete):
        with pytest.raises(ValueError, match="64 hex digits"):
            use(name)
    with pytest.raises(ValueError, match="64 hex digits"):
        kept.archive.put(name, b"x")


def test_both_hold_the_same_octets(tmp_path: Path, kept: Kept) -> None:
    (tmp_path / "other").mkdir()
    folder = InFolder(tmp_path / "other")
    bodies = [b"", text(5000), noise(50_000)]
    large = text(20 * MIB)
    (tmp_path / "body").write_bytes(large)
    for one in (kept, folder):
        for body in bodies:
            one.archive.put(digest(body), body)
        one.archive.put_file(digest(large), tmp_path / "body")
        one.archive.sync()
    for body in (*bodies, large):
        assert kept.packed(digest(body)) == folder.packed(digest(body))


def test_put_again(kept: Kept) -> None:
    body = noise(5000)
    for _ in range(3):
        kept.archive.put(digest(body), body)
        kept.archive.put_packed(digest(body), kept.archive.pack(body))
        kept.archive.sync()
    assert kept.archive.read(digest(body)) == body
    assert len(kept.names()) == 1


def damage(packed: bytes) -> Iterator[tuple[str, bytes]]:
    middle = len(packed) // 2
    yield "empty", b""
    yield "cut", packed[:-1]
    yield "cut in the middle", packed[:middle]
    yield "one bit", packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    yield "something behind it", packed + b"more"
    yield "a whole frame behind it", packed + packed
    yield "no zstd at all", b"<html>not found</html>"


def test_damage_is_seen_and_mended(kept: Kept, subtests: pytest.Subtests) -> None:
    body, other = noise(30_000), noise(30_000, seed=1)
    name = digest(body)
    kept.archive.put(name, body)
    kept.archive.sync()
    whole = kept.packed(name)
    for what, packed in [*damage(whole), ("another's", kept.archive.pack(other))]:
        with subtests.test(what):
            kept.overwrite(name, packed)
            assert not kept.archive.verify(name)
            assert kept.archive.exists(name)
            with pytest.raises(BlobDamaged):
                kept.archive.read(name)
            kept.archive.put(name, body)
            kept.archive.sync()
            assert kept.packed(name) == whole


def test_two_at_once(kept: Kept) -> None:
    bodies = [noise(20_000, seed) for seed in range(30)]

    def put_all(_: int) -> None:
        for body in bodies:
            kept.other.put(digest(body), body)
        kept.other.sync()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(put_all, 0)
        for body in bodies:
            kept.archive.put(digest(body), body)
        kept.archive.sync()
        other.result()
    assert kept.names() == {f"{digest(body)}.zst" for body in bodies}
    assert all(kept.archive.read(digest(body)) == body for body in bodies)


def test_deleting(kept: Kept) -> None:
    bodies = [noise(100, seed) for seed in range(30)]
    for body in bodies:
        kept.archive.put(digest(body), body)
    kept.archive.sync()
    kept.archive.delete(digest(bodies[0]))
    kept.archive.delete(digest(bodies[0]))
    kept.archive.delete_many([digest(body) for body in bodies[:20]])
    kept.archive.delete_many([])
    assert kept.names() == {f"{digest(body)}.zst" for body in bodies[20:]}
    kept.archive.put(digest(bodies[0]), bodies[0])  # and back
    kept.archive.sync()
    assert kept.archive.read(digest(bodies[0])) == bodies[0]


def test_a_file(kept: Kept, tmp_path: Path) -> None:
    path = tmp_path / "body"
    for body in (b"", text(300_000), noise(300_000)):
        path.write_bytes(body)
        kept.archive.put_file(digest(body), path)
        path.unlink()  # it may go before sync()
        kept.archive.sync()
        assert kept.archive.read(digest(body)) == body
    with pytest.raises(FileNotFoundError):
        kept.archive.put_file(digest(b"x"), path)


def test_a_file_that_is_not_what_its_name_says(kept: Kept, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(noise(300_000))
    name = digest(b"something else")
    with pytest.raises(BlobDamaged):
        kept.archive.put_file(name, path)
    kept.archive.sync()
    assert kept.names() == set() and not kept.archive.exists(name)
    spool = tmp_path / "data/spool"
    assert not spool.exists() or list(spool.iterdir()) == []


@pytest.mark.slow
def test_a_large_file_in_bounded_memory(kept: Kept, tmp_path: Path) -> None:
    size, path = 50 * MIB, tmp_path / "body"
    body = noise(size)
    name = digest(body)
    path.write_bytes(body)
    del body
    peak_resident()
    before = resident("VmRSS")
    tracemalloc.start()
    for _ in range(2):  # the second time it is there
        kept.archive.put_file(name, path)
        kept.archive.sync()
    assert sum(len(piece) for piece in kept.archive.stream(name)) == size
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # In Python's own hands, and in all: obstore holds some parts outside of Python.
    assert peak < 20 * MIB
    assert peak_resident() - before < 45 * MIB
    assert kept.archive.verify(name)


def test_notes_beside_the_blobs(kept: Kept) -> None:
    archive, other = kept.archive, kept.other
    assert archive.notes("headers") == []
    archive.note("headers/mx-0/b-2.log", b"second")
    archive.note("headers/mx-0/a-1.log", noise(5 * MIB))
    archive.note("headers/sub%2F0/a-1.log", b"")
    archive.note("headers/mx-0/b-2.log", b"second, longer")
    assert other.notes("headers") == [
        "headers/mx-0/a-1.log", "headers/mx-0/b-2.log", "headers/sub%2F0/a-1.log",
    ]  # fmt: skip
    assert other.notes("headers/mx-0") == ["headers/mx-0/a-1.log", "headers/mx-0/b-2.log"]
    assert other.read_note("headers/mx-0/b-2.log") == b"second, longer"
    assert other.read_note("headers/mx-0/a-1.log") == noise(5 * MIB)
    assert other.read_note("headers/sub%2F0/a-1.log") == b""
    with pytest.raises(BlobMissing):
        archive.read_note("headers/none")
    for name in ("../x", "a/../b", "/a", "a//b", "", "a/" * 9 + "b", ".hidden"):
        with pytest.raises(ValueError, match="note"):
            archive.note(name, b"")


def resident(line: str) -> int:
    """proc(5): VmRSS, the memory in use; VmHWM, the most of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(f"{line}:"))


def peak_resident() -> int:
    """The most memory that was in use since the last call."""
    most = resident("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    return most
