"""The two archives that the tests of both run on, and what may be done to their blobs."""

import hashlib
import random
from pathlib import Path

import obstore
from obstore.store import S3Store

from config.load import parse
from config.settings import Settings
from crmstore.archive import Archive, FileArchive, open_archive
from crmstore.bucket import BucketArchive
from crmstore.objects import Objects, Patience
from tests.peers.s3 import Place

NODE = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\ndata_dir = "data"\n'
QUICK = Patience(connect=5.0, request=30.0, tries=1.0)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def noise(size: int, seed: int = 0) -> bytes:
    """A body that does not compress."""
    return random.Random(seed).randbytes(size)


def text(size: int, seed: int = 0) -> bytes:
    """A body that does."""
    word = random.Random(seed).randbytes(8).hex().encode()
    return (b"Subject: " + word + b"\r\n\r\n" + (word + b" bonjour\r\n") * (1 + size // 26))[:size]


def settings_for(place: Place, folder: Path) -> Settings:
    (folder / "data").mkdir(exist_ok=True)
    return parse(NODE + place.toml(), base=folder)


def bucket_archive(settings: Settings, patience: Patience = QUICK) -> BucketArchive:
    return BucketArchive(Objects(settings.store, patience), spool=settings.data_dir / "spool")


class Kept:
    """An archive, and its blobs as they lie there, by the hands of somebody else."""

    archive: Archive
    other: Archive  # of another process, or machine

    def packed(self, sha256: str) -> bytes:
        raise NotImplementedError

    def overwrite(self, sha256: str, packed: bytes) -> None:
        raise NotImplementedError

    def names(self) -> set[str]:
        raise NotImplementedError

    def key(self, sha256: str) -> str:
        return f"{sha256[:2]}/{sha256}.zst"


class InFolder(Kept):
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data/blobs"
        self.archive, self.other = (open_archive(parse(NODE, base=folder)) for _ in range(2))
        assert isinstance(self.archive, FileArchive)

    def packed(self, sha256: str) -> bytes:
        return (self.folder / self.key(sha256)).read_bytes()

    def overwrite(self, sha256: str, packed: bytes) -> None:
        path = self.folder / self.key(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)

    def names(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}


class InBucket(Kept):
    def __init__(self, folder: Path, place: Place, client: S3Store) -> None:
        settings = settings_for(place, folder)
        self.archive, self.other = open_archive(settings), open_archive(settings)
        assert isinstance(self.archive, BucketArchive)
        self.client = client

    def packed(self, sha256: str) -> bytes:
        return bytes(obstore.get(self.client, self.key(sha256)).bytes())

    def overwrite(self, sha256: str, packed: bytes) -> None:
        obstore.put(self.client, self.key(sha256), packed)

    def names(self) -> set[str]:
        found = [one["path"] for page in obstore.list(self.client) for one in page]
        return {path.rpartition("/")[2] for path in found}
