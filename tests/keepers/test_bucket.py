"""The bucket when its server is away, slow, refusing or odd: what test_archives.py promises holds.

Real faults are made on the wire before a real server; what that server would never do is done by
tests/oddbucket.py.
"""

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from crmstore.archive import BlobDamaged
from crmstore.bucket import AT_ONCE, QUEUED, BucketArchive
from crmstore.objects import BucketError, Patience
from tests.certs import certificate_for
from tests.faultwire import FaultWire
from tests.keepers.archives import bucket_archive, digest, noise, settings_for
from tests.oddbucket import OddBucket
from tests.peers.s3 import KEY, SECRET, Place, S3Server
from tests.peers.servers import wait_until

MIB = 1 << 20
BODIES = {digest(body): body for body in (noise(4096, seed) for seed in range(200))}


def put_all(archive: BucketArchive) -> None:
    for name, body in BODIES.items():
        archive.put(name, body)
    archive.sync()


def all_there(archive: BucketArchive) -> bool:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(archive.read, BODIES)) == list(BODIES.values())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}:{SECRET}\n")
    return file


def at(endpoint: str, key_file: Path, url: str = "s3://mail-archive/x") -> Place:
    return Place(url, endpoint, key_file)


def archive_at(place: Place, folder: Path, patience: Patience | None = None) -> BucketArchive:
    settings = settings_for(place, folder)
    return bucket_archive(settings, patience) if patience else bucket_archive(settings)


@pytest.mark.peers
class TestRealServer:
    @pytest.fixture
    def wired(self, s3_server: S3Server, bucket: Place, key_file: Path) -> "Wired":
        return Wired(s3_server, Place(bucket.url, "", key_file))

    def test_killed_in_the_middle_of_a_batch(
        self, s3_server: S3Server, wired: "Wired", tmp_path: Path
    ) -> None:
        failures: list[Exception | None] = []
        with wired as wire:
            archive = archive_at(wired.place, tmp_path)
            wire.delay = 0.1  # so that there is a middle
            batch = threading.Thread(target=lambda: failures.append(raised(put_all, archive)))
            batch.start()
            wait_until(lambda: len(archive_names(wired)) > 20, "the batch is under way")
            s3_server.kill()
            batch.join(60)
            wire.delay = 0
            try:
                assert isinstance(failures[0], BucketError) and failures[0].temporary
                assert isinstance(raised(archive.read, next(iter(BODIES))), BucketError)
            finally:
                s3_server.start()
            assert len(archive_names(wired)) < len(BODIES)
            put_all(archive)
            assert all_there(archive)

    def test_away_for_less_than_our_patience(
        self, s3_server: S3Server, bucket: Place, tmp_path: Path
    ) -> None:
        archive = archive_at(bucket, tmp_path, Patience(connect=5, request=30, tries=60))
        s3_server.kill()
        back = threading.Timer(0.5, s3_server.start)
        back.start()
        put_all(archive)
        back.join()
        assert all_there(archive)

    def test_a_wrong_secret_is_told_and_a_corrected_one_read(
        self, bucket: Place, key_file: Path, tmp_path: Path
    ) -> None:
        key_file.write_text(f"{KEY}:hunter2\n")
        archive = archive_at(at(bucket.endpoint, key_file, bucket.url), tmp_path)
        error = raised(put_all, archive)
        assert isinstance(error, BucketError) and error.code == "SignatureDoesNotMatch"
        assert not error.temporary and "does not match" in str(error)
        shown = "".join(traceback.format_exception(error)) + repr(archive) + repr(error)
        assert "hunter2" not in shown and KEY not in shown
        key_file.write_text(f"{KEY}:{SECRET}\n")
        put_all(archive)
        assert all_there(archive)

    def test_no_such_bucket_is_not_no_such_blob(
        self, bucket: Place, key_file: Path, tmp_path: Path
    ) -> None:
        archive = archive_at(at(bucket.endpoint, key_file, "s3://another-bucket/x"), tmp_path)
        name, body = next(iter(BODIES.items()))
        (tmp_path / "body").write_bytes(body)
        archive.put_file(name, tmp_path / "body")  # says nothing yet, and FileNotFoundError never
        for use in (archive.sync, lambda: archive.read(name), lambda: archive.exists(name),
                    lambda: archive.verify(name)):  # fmt: skip
            error = raised(use)
            assert isinstance(error, BucketError) and error.code == "NoSuchBucket"

    def test_slow_is_not_one_after_another(self, wired: "Wired", tmp_path: Path) -> None:
        with wired as wire:
            archive = archive_at(wired.place, tmp_path)
            wire.delay = 0.05
            put_all(archive)
            assert 8 <= wire.most <= 2 * AT_ONCE  # some may be closing
            wire.delay = 0
            assert all_there(archive)

    def test_silence_is_given_up(self, wired: "Wired", tmp_path: Path) -> None:
        with wired as wire:
            archive = archive_at(wired.place, tmp_path, Patience(connect=2, request=2, tries=1))
            wire.dead = True
            error = raised(put_all, archive)
            assert isinstance(error, BucketError) and "no answer in time" in str(error)
            assert error.temporary
            assert isinstance(raised(archive.read, next(iter(BODIES))), BucketError)
            # Nobody waited once for each of the batch: most of it was not even sent.
            assert wire.octets < len(BODIES) * 4096 / 2
            wire.dead = False
            put_all(archive)
            assert all_there(archive)

    def test_what_waits_is_bounded(self, wired: "Wired", tmp_path: Path) -> None:
        with wired as wire:
            archive = archive_at(wired.place, tmp_path)
            wire.dead = True
            put: list[int] = []

            def put_large_ones() -> None:
                for seed in range(100):
                    body = noise(MIB, seed)
                    archive.put(digest(body), body)
                    put.append(seed)

            thread = threading.Thread(target=put_large_ones)
            thread.start()
            wait_until(lambda: len(put) > 4, "some are taken in")
            time.sleep(1)
            assert len(put) <= QUEUED // MIB
            wire.dead = False
            wire.cut()
            thread.join(60)
            assert isinstance(raised(archive.sync), BucketError | None)

    @pytest.mark.parametrize("size", [300_000, 30 * MIB], ids=["at once", "in parts"])
    def test_a_torn_upload_leaves_nothing_to_be_seen(
        self, wired: "Wired", tmp_path: Path, size: int
    ) -> None:
        body, path = noise(size), tmp_path / "body"
        path.write_bytes(body)
        name = digest(body)
        with wired as wire:
            archive = archive_at(wired.place, tmp_path)
            wire.cut_after = min(size // 2, 5 * MIB)
            archive.put_file(name, path)
            assert isinstance(raised(archive.sync), BucketError)
            wire.cut_after = None
            assert not archive.exists(name) and not archive.verify(name)
            assert archive_names(wired) == []
            archive.put_file(name, path)
            archive.sync()
            assert archive.read(name) == body

    @pytest.mark.slow
    def test_a_reader_may_be_slower_than_any_time_out(self, bucket: Place, tmp_path: Path) -> None:
        body, ours = noise(12 * MIB), archive_at(bucket, tmp_path)
        ours.put(digest(body), body)
        ours.sync()
        archive = archive_at(bucket, tmp_path, Patience(connect=2, request=1.5, tries=1))
        pieces = []
        for number, piece in enumerate(archive.stream(digest(body), MIB)):
            pieces.append(piece)
            if number in (1, 6):
                time.sleep(2)
        assert b"".join(pieces) == body

    def test_two_machines_put_the_same(self, bucket: Place, tmp_path: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            two = [archive_at(bucket, tmp_path) for _ in range(2)]
            list(pool.map(put_all, two))
        assert all(all_there(archive) for archive in two)

    def test_a_key_of_the_environment(
        self, bucket: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        # An address there does not win over ours, nor does a general licence for http.
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        settings = settings_for(bucket, tmp_path)
        store = settings.store.model_copy(update={"blobs_credentials_file": None})
        archive = bucket_archive(settings.model_copy(update={"store": store}))
        put_all(archive)
        store = store.model_copy(update={"blobs_endpoint": None})
        archive = bucket_archive(settings.model_copy(update={"store": store}))
        assert "http:// is not allowed" in str(raised(archive.exists, next(iter(BODIES))))


class TestOddServer:
    def test_what_is_soon_over_is_tried_again(self, key_file: Path, tmp_path: Path) -> None:
        with OddBucket() as odd:
            archive = archive_at(at(odd.endpoint, key_file), tmp_path, Patience())
            odd.answers = [503, "SlowDown", 500]
            name, body = next(iter(BODIES.items()))
            archive.put(name, body)
            archive.sync()
            assert archive.read(name) == body
            assert [request.split()[0] for request in odd.requests] == ["PUT"] * 4 + ["GET"]

    def test_what_is_not_soon_over_is_not(self, key_file: Path, tmp_path: Path) -> None:
        with OddBucket() as odd:
            archive = archive_at(at(odd.endpoint, key_file), tmp_path)
            odd.answers = ["AccessDenied"] * 1000
            error = raised(put_all, archive)
            assert isinstance(error, BucketError) and error.code == "AccessDenied"
            assert len(odd.requests) <= 2 * AT_ONCE  # the others were not even tried
            odd.answers = []
            put_all(archive)
            assert all_there(archive)

    def test_an_answer_that_quotes_the_request(self, key_file: Path, tmp_path: Path) -> None:
        with OddBucket() as odd:
            archive = archive_at(at(odd.endpoint, key_file), tmp_path)
            odd.more = "<CanonicalRequest>PUT\nx-amz-security-token:hunter2</CanonicalRequest>"
            odd.answers = ["SignatureDoesNotMatch"]
            error = raised(archive.read, next(iter(BODIES)))
            shown = "".join(traceback.format_exception(error))
            assert "SignatureDoesNotMatch: in words" in shown and "hunter2" not in shown

    @pytest.mark.parametrize("create_only", ["ignored", "refused"])
    def test_a_server_that_cannot_create_only(
        self, create_only: str, key_file: Path, tmp_path: Path
    ) -> None:
        with OddBucket(create_only) as odd:  # type: ignore[arg-type]
            archive = archive_at(at(odd.endpoint, key_file), tmp_path)
            body = noise(20_000)
            name = digest(body)
            for _ in range(2):
                archive.put(name, body)
                archive.sync()
            assert archive.read(name) == body
            if create_only == "refused":  # it looked first, and did not write again
                assert [r.split()[0] for r in odd.requests[:4]] == ["PUT", "GET", "PUT", "GET"]
                assert odd.requests[4].startswith("GET")
            (key,) = odd.objects
            odd.objects[key] = odd.objects[key][:100]
            with pytest.raises(BlobDamaged):
                archive.read(name)
            archive.put(name, body)
            archive.sync()
            assert archive.read(name) == body

    def test_a_put_that_was_done_although_nobody_said_so(
        self, key_file: Path, tmp_path: Path
    ) -> None:
        """The first try is done, its answer is lost, and the second meets its own blob."""
        with OddBucket() as odd:
            archive = archive_at(at(odd.endpoint, key_file), tmp_path, Patience())
            name, body = next(iter(BODIES.items()))
            odd.objects[f"x/{name[:2]}/{name}.zst"] = archive.pack(body)
            odd.answers = [500]
            archive.put(name, body)
            archive.sync()
            assert [request.split()[0] for request in odd.requests] == ["PUT", "PUT", "GET"]

    def test_no_key_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        with OddBucket() as odd:  # as the machine's own address for its role, which it has not
            monkeypatch.setenv("AWS_METADATA_ENDPOINT", odd.endpoint)
            odd.answers = [403] * 10
            settings = settings_for(at(odd.endpoint, tmp_path / "none"), tmp_path)
            store = settings.store.model_copy(update={"blobs_credentials_file": None})
            archive = bucket_archive(settings.model_copy(update={"store": store}))
            error = raised(archive.exists, next(iter(BODIES)))
            assert "no key: set blobs_credentials_file" in str(error)
            assert isinstance(error, BucketError) and not error.temporary

    def test_a_certificate_of_ones_own(self, key_file: Path, tmp_path: Path) -> None:
        certificate = certificate_for()
        with OddBucket(tls=certificate.server_context()) as odd:
            settings = settings_for(at(odd.endpoint, key_file), tmp_path)
            error = raised(bucket_archive(settings).exists, next(iter(BODIES)))
            assert "TLS: InvalidCertificate" in str(error)
            store = settings.store.model_copy(update={"blobs_ca": certificate.ca})
            archive = bucket_archive(settings.model_copy(update={"store": store}))
            put_all(archive)
            assert all_there(archive)

    def test_a_key_file_that_is_gone(self, key_file: Path, tmp_path: Path) -> None:
        with OddBucket() as odd:
            archive = archive_at(at(odd.endpoint, key_file), tmp_path)
            key_file.unlink()
            assert "No such file" in str(raised(archive.exists, next(iter(BODIES))))
            assert odd.requests == []

    def test_nobody_is_there(self, free_port: int, key_file: Path, tmp_path: Path) -> None:
        archive = archive_at(at(f"http://127.0.0.1:{free_port}", key_file), tmp_path)
        error = raised(archive.exists, next(iter(BODIES)))
        assert isinstance(error, BucketError) and "refused" in str(error)
        assert str(error).startswith("read s3://mail-archive/x: ")


class Wired:
    """The real server behind a wire."""

    def __init__(self, server: S3Server, place: Place) -> None:
        self.server = server
        self.wire = FaultWire(server.port)
        self.place = Place(place.url, self.wire.endpoint, place.credentials)

    def __enter__(self) -> FaultWire:
        return self.wire.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.wire.__exit__(*exc)


def archive_names(wired: Wired) -> list[str]:
    client = wired.server.client(wired.place.prefix)
    return [one["path"] for one in obstore.list(client).collect()]


def raised(call: object, *arguments: object) -> Exception | None:
    try:
        call(*arguments)  # type: ignore[operator]
    except Exception as error:
        return error
    return None
