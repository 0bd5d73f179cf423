"""Ingest into a bucket whose server comes and goes: nothing lost, nothing doubled, no gap."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from crmstore.objects import BucketError
from proxy import ingest as ingest_module
from tests.faultwire import FaultWire
from tests.keepers.archives import bucket_archive
from tests.paths.office import BODY, Office
from tests.peers.s3 import REGION, Place, S3Server

pytestmark = pytest.mark.peers


class InBucket(Office):
    def __init__(self, folder: Path, place: Place) -> None:
        store = {
            "blobs": place.url,
            "blobs_endpoint": place.endpoint,
            "blobs_region": REGION,
            "blobs_credentials_file": str(place.credentials),
        }
        super().__init__(folder, store=store)
        self.archive = bucket_archive(self.settings)  # type: ignore[assignment]


@pytest.fixture
def office(tmp_path: Path, bucket: Place) -> Iterator[InBucket]:
    office = InBucket(tmp_path, bucket)
    yield office
    office.close()
    office.store.close()


def whole(office: Office, count: int) -> bool:
    """All of them once, in store and archive, and the audit finds no gap."""
    report = office.audit(deep=True)
    assert (report.accepted, report.captured, report.ok) == (count, count, True)
    assert office.query("SELECT count(*), count(DISTINCT sha256) FROM messages") == [(count, count)]
    return office.query("SELECT count(*) FROM captures WHERE disposition = 'captured'") == [
        (count,)
    ]


def test_small_and_big(office: InBucket, s3_server: S3Server, bucket: Place) -> None:
    door = office.door()
    for number in range(20):
        door.mail(BODY + b"%d" % number)
    door.mail(BODY + b"big" * 1_000_000, big=True)
    office.take()
    assert whole(office, 21)
    stored = obstore.list(s3_server.client(bucket.prefix)).collect()
    assert len(stored) == 21
    assert not office.settings.blob_dir.exists()


def test_the_store_never_knows_of_a_blob_that_is_not_there(
    office: InBucket, s3_server: S3Server
) -> None:
    door = office.door()
    door.mail()
    s3_server.kill()
    try:
        with pytest.raises(BucketError):
            office.ingest.step()
        assert office.query("SELECT count(*) FROM captures") == [(0,)]
    finally:
        s3_server.start()
    office.ingest.forget()
    office.take()
    assert whole(office, 1)


@pytest.mark.parametrize("step", ["10.blobs.written", "11.blobs.synced", "12.store.committed"])
def test_a_crash_repeats_or_is_done(
    office: InBucket, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(name: str) -> None:
        if name == step:
            raise Crash

    door = office.door()
    for number in range(10):
        door.mail(BODY + b"%d" % number)
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "failpoint", crash)
        with pytest.raises(Crash):
            office.ingest.step()
    office.archive = bucket_archive(office.settings)  # type: ignore[assignment]
    office.again()
    office.take()
    assert whole(office, 10)


@pytest.mark.slow
def test_the_server_comes_and_goes_under_load(
    tmp_path: Path, s3_server: S3Server, bucket: Place
) -> None:
    count, away = 1000, 3
    with FaultWire(s3_server.port) as wire:
        wire.delay = 0.01
        office = InBucket(tmp_path, Place(bucket.url, wire.endpoint, bucket.credentials))
        door = office.door()
        for number in range(count):
            door.mail(BODY + b"%d" % number)
        done = threading.Event()

        def come_and_go() -> None:
            for _ in range(away):
                time.sleep(0.3)
                s3_server.kill()
                time.sleep(0.2)
                s3_server.start()
            done.set()

        coming = threading.Thread(target=come_and_go)
        coming.start()
        troubles = 0
        while True:  # as the worker does
            try:
                step = office.ingest.step()
            except BucketError:
                troubles += 1
                office.ingest.forget()
                time.sleep(0.1)
                continue
            if not step.frames and not step.more:
                if done.is_set():
                    break
                door.mail(BODY + b"%d" % count)
                count += 1
        coming.join()
        assert troubles > 0
        wire.delay = 0
        assert whole(office, count)
        office.close()
        office.store.close()
