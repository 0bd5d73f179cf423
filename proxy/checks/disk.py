"""Checks of the data folder: may we write, does fsync reach a disk, is there room; the database,
which may be on a server.

Writes one small file into each folder and removes it; changes nothing else. A folder that is not
there yet is judged by the nearest one above it, because `mailweir run` makes it.
"""

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from config.settings import Settings
from crmstore.store import SchemaOld, StoreError, StoreUnsafe, open_store
from proxy.checks import Note, fail, ok, warn

# In memory: gone with the power. Over a network: SQLite's WAL needs shared memory that these do
# not have (https://www.sqlite.org/wal.html), and their locks are not always locks.
MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "afs"})

_ROUNDS = 5
_SLOW_MS = 50.0


def disk_notes(settings: Settings) -> Iterator[Note]:
    data = settings.data_dir
    blocked = False
    for folder in (data, settings.journal_dir, settings.blob_dir, settings.run_dir):
        for note in _writable(folder, first=folder == data):
            blocked = blocked or note.level == "fail"
            yield note
        if blocked:
            return
    yield from _file_system(data)
    yield from _sync(data)
    yield from _room(settings)


def store_notes(settings: Settings) -> Iterator[Note]:
    """Opens the database as the roles do: what it refuses, they refuse."""
    store = open_store(settings)
    about = store.about
    try:
        if store.is_new():
            if _exists(settings.blob_dir) and any(settings.blob_dir.iterdir()):
                yield fail("store.lost", about, blobs=str(settings.blob_dir))
            else:
                yield ok("store.new", about)
            return
        store.check_schema()
        yield ok("store.ready", about)
        for doubt in store.doubts():
            yield warn(f"store.{doubt}", about)
    except SchemaOld as error:
        yield fail("store.old", about, reason=str(error))
    except StoreUnsafe as error:
        yield fail("store.unsafe", about, reason=str(error))
    except (StoreError, OSError) as error:
        server = settings.store.url.engine != "sqlite"
        yield fail("store.away" if server else "store.trouble", about, reason=str(error))
    finally:
        store.close()


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def nearest(folder: Path) -> Path:
    """The folder itself, or the first one above it that is there."""
    for candidate in (folder, *folder.parents):
        try:
            if candidate.is_dir():
                return candidate
        except OSError:
            continue
    return Path("/")


def _writable(folder: Path, *, first: bool) -> Iterator[Note]:
    about, place = str(folder), nearest(folder)
    if place == folder:
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"mailweir check\n")
                probe.flush()
        except OSError as error:
            yield fail("disk.unwritable", about, reason=error.strerror or str(error), user=_user())
            return
        if stat.S_IMODE(folder.stat().st_mode) & stat.S_IRWXO and first:
            yield warn("disk.open", about)
        yield ok("disk.writable", about)
    elif first:
        if os.access(place, os.W_OK | os.X_OK):
            yield ok("disk.missing", about)
        else:
            yield fail("disk.cannot_make", about, place=str(place), user=_user())


def _file_system(data: Path) -> Iterator[Note]:
    kind = file_system(nearest(data), Path("/proc/self/mountinfo").read_text(errors="replace"))
    about = str(data)
    if kind in MEMORY:
        yield warn("disk.memory", about, kind=kind)
    elif kind in NETWORK:
        yield fail("disk.network", about, kind=kind)
    elif kind == "overlay":
        yield warn("disk.overlay", about)


def file_system(folder: Path, mountinfo: str) -> str:
    """The type of the file system of a folder, "" if unknown; see proc(5), mountinfo."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    path = os.path.realpath(folder)
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = fields[4].encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # btrfs gives stat() other device numbers than mountinfo, so the path decides first
        rank = len(point) * 2 + (fields[2] == wanted)
        if inside and rank >= best:
            best, kind = rank, after.split(" ")[0]
    return kind


def _sync(data: Path) -> Iterator[Note]:
    """Does fsync work, and how long does it take? Every 250 waits for one."""
    place, times = nearest(data), []
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as probe:
            for _ in range(_ROUNDS):
                probe.write(bytes(4096))
                begun = time.perf_counter()
                os.fdatasync(probe.fileno())
                times.append(time.perf_counter() - begun)
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        yield fail("disk.no_sync", str(data), reason=error.strerror or str(error))
        return
    middle = sorted(times)[len(times) // 2] * 1000
    if middle > _SLOW_MS:
        yield warn("disk.slow_sync", str(data), ms=middle)
    else:
        yield ok("disk.sync", str(data), ms=middle)


def _room(settings: Settings) -> Iterator[Note]:
    """Below journal.min_free mail is put off; warn while there is still time to act."""
    about = str(settings.data_dir)
    try:
        figures = os.statvfs(nearest(settings.data_dir))
    except OSError as error:
        yield fail("disk.unwritable", about, reason=error.strerror or str(error), user=_user())
        return
    free = figures.f_bavail * figures.f_frsize
    least = settings.journal.min_free
    values: dict[str, object] = {"free": free / 2**20, "least": least / 2**20}
    if free < least:
        yield fail("room.none", about, **values)
    elif free < 2 * least or free < least + 2**30:
        yield warn("room.little", about, **values)
    else:
        yield ok("room.enough", about, **values)
    # some file systems (btrfs) count no inodes at all
    if figures.f_files and figures.f_favail < 10_000:
        yield warn("room.inodes", about, count=figures.f_favail)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
