"""Checks of the bucket: is it there, may we write, read and remove, does it keep what it has.

Nothing is asked with blobs = "file": then it is the data folder that is looked at (disk.py).
Writes one small object and removes it.
"""

from collections.abc import Iterator

from config.settings import Settings
from crmstore.bucketprobe import Probe, probe
from crmstore.objects import BucketError, Objects, Patience
from proxy.checks import Note, fail, ok, warn

PATIENCE = Patience(connect=5.0, request=10.0, tries=5.0)
# S3 refuses requests that are 15 minutes off; a clock that is one minute off is on its way there.
SKEW = 60.0
_MISSING = frozenset({"NoSuchBucket", "PermanentRedirect", "AuthorizationHeaderMalformed"})


def blob_notes(settings: Settings) -> Iterator[Note]:
    if not settings.store.blobs.bucket:
        return
    about = str(settings.store.blobs)
    if _holds(settings):
        yield warn("blobs.left", about, folder=str(settings.blob_dir))
    try:
        found = probe(Objects(settings.store, PATIENCE))
    except BucketError as error:
        yield _trouble(about, error)
        return
    yield ok("blobs.writable", about, ms=found.ms)
    yield from _judged(about, found)


def _trouble(about: str, error: BucketError) -> Note:
    if error.code == "RequestTimeTooSkewed":
        return fail("blobs.skewed", about, reason=str(error))
    if error.code in _MISSING:
        return fail("blobs.missing", about, reason=str(error))
    if error.denied or error.code == "key":
        return fail("blobs.denied", about, reason=str(error))
    return fail("blobs.trouble", about, reason=str(error))


def _judged(about: str, found: Probe) -> Iterator[Note]:
    if found.create_only == "honoured":
        yield ok("blobs.create_only", about)
    elif found.create_only == "ignored":
        yield warn("blobs.ignored", about)
    else:
        yield warn("blobs.refused", about)
    if abs(found.ahead) > SKEW:
        yield warn("blobs.clock", about, seconds=found.ahead)
    if found.missing:
        yield fail("blobs.unlisted", about, reason=found.missing)
    if found.kept:
        yield warn("blobs.kept", about, reason=found.kept)


def _holds(settings: Settings) -> bool:
    """Whether the folder, which is not looked at any more, holds mail."""
    try:
        return any(settings.blob_dir.iterdir())
    except OSError:
        return False
