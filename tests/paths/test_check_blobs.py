"""`mailweir check` and a bucket: what it can do and what it will not do, each by its own words."""

from collections.abc import Callable
from pathlib import Path

import obstore
import pytest

from config.load import parse
from config.settings import Settings
from crmstore.objects import Patience
from proxy.check import check
from proxy.checks import Note, blobs
from proxy.checks.configured import settings_notes
from tests.faultwire import FaultWire
from tests.oddbucket import OddBucket
from tests.peers.s3 import KEY, SECRET, Place, S3Server

NODE = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\ndata_dir = "data"\n'
Read = Callable[..., Settings]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "PATIENCE", Patience(5, 20, 1))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Settings with a bucket at an endpoint; the key is right unless another one is given."""

    def read(endpoint: str, url: str = "s3://mail-archive/x", key: str = SECRET) -> Settings:
        file = tmp_path / "key"
        file.write_text(f"{KEY}:{key}\n")
        file.chmod(0o600)
        return parse(NODE + Place(url, endpoint, file).toml(), base=tmp_path)

    return read


def notes(settings: Settings) -> dict[str, Note]:
    return {f"{note.level} {note.name}": note for note in blobs.blob_notes(settings)}


GOOD = {"ok blobs.writable", "ok blobs.create_only"}


@pytest.mark.peers
class TestRealServer:
    def test_all_is_well_and_nothing_is_left(self, s3_server: S3Server, read: Read) -> None:
        place = s3_server.place()
        settings = read(place.endpoint, place.url)
        assert notes(settings).keys() == GOOD
        assert obstore.list(s3_server.client(place.prefix)).collect() == []
        texts = [one.text for one in check(settings, lang="ja") if one.name.startswith("blobs.")]
        assert len(texts) == 2 and "上書きしません" in texts[1]

    def test_refusals(self, s3_server: S3Server, read: Read) -> None:
        endpoint = s3_server.endpoint
        (found,) = notes(read(endpoint, key="hunter2")).items()
        assert found[0] == "fail blobs.denied"
        assert "SignatureDoesNotMatch" in str(found[1].values)
        assert "hunter2" not in repr(found[1])
        (found,) = notes(read(endpoint, "s3://nobody-has-this")).items()
        assert found[0] == "fail blobs.missing" and "NoSuchBucket" in str(found[1].values)

    def test_silence(
        self, s3_server: S3Server, read: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(blobs, "PATIENCE", Patience(1, 1, 1))
        with FaultWire(s3_server.port) as wire:
            wire.dead = True
            (found,) = notes(read(wire.endpoint)).items()
        assert found[0] == "fail blobs.trouble" and "no answer in time" in str(found[1].values)


class TestOddServer:
    @pytest.mark.parametrize(
        ("create_only", "name"),
        [
            ("honoured", "ok blobs.create_only"),
            ("ignored", "warn blobs.ignored"),
            ("refused", "warn blobs.refused"),
        ],
    )
    def test_create_only(self, create_only: str, name: str, read: Read) -> None:
        with OddBucket(create_only) as odd:  # type: ignore[arg-type]
            assert notes(read(odd.endpoint)).keys() == {"ok blobs.writable", name}
            assert odd.objects == {}

    @pytest.mark.parametrize(("ahead", "off"), [(0, False), (-300, True), (300, True)])
    def test_clock(self, ahead: float, off: bool, read: Read) -> None:
        with OddBucket() as odd:
            odd.clock_ahead = ahead
            found = notes(read(odd.endpoint))
        assert ("warn blobs.clock" in found) == off
        if off:
            assert found["warn blobs.clock"].values["seconds"] == pytest.approx(ahead, abs=30)

    def test_clock_that_is_refused(self, read: Read) -> None:
        with OddBucket() as odd:
            odd.answers = ["RequestTimeTooSkewed"] * 10
            assert notes(read(odd.endpoint)).keys() == {"fail blobs.skewed"}

    def test_what_is_not_there_is_denied(self, read: Read) -> None:
        """As AWS does without s3:ListBucket."""
        with OddBucket() as odd:
            odd.answers = ["AccessDenied"]
            found = notes(read(odd.endpoint))
            assert found.keys() == GOOD | {"fail blobs.unlisted"}
            assert "AccessDenied" in str(found["fail blobs.unlisted"].values)

    def test_what_cannot_be_removed(self, read: Read) -> None:
        with OddBucket() as odd:
            odd.deletes = False
            found = notes(read(odd.endpoint))
            assert found.keys() == GOOD | {"warn blobs.kept"}
            assert "AccessDenied: in words" in str(found["warn blobs.kept"].values)

    def test_what_is_read_is_not_what_was_written(self, read: Read) -> None:
        with OddBucket() as odd:
            odd.changes = True
            (found,) = notes(read(odd.endpoint)).items()
            assert found[0] == "fail blobs.trouble" and "not what is read" in str(found[1].values)
            assert odd.objects == {}


def test_nobody_is_there(free_port: int, read: Read) -> None:
    (found,) = notes(read(f"http://127.0.0.1:{free_port}")).items()
    assert found[0] == "fail blobs.trouble"


def test_mail_that_was_left_in_the_folder(free_port: int, read: Read) -> None:
    settings = read(f"http://127.0.0.1:{free_port}")
    settings.blob_dir.mkdir(parents=True)
    assert "warn blobs.left" not in notes(settings)
    (settings.blob_dir / "ab").mkdir()
    assert "warn blobs.left" in notes(settings)


def test_a_folder_is_not_asked(tmp_path: Path) -> None:
    assert notes(parse(NODE, base=tmp_path)) == {}


def test_a_key_file_that_others_may_read(read: Read) -> None:
    settings = read("https://s3.example.com")
    names = {note.name for note in settings_notes(settings)}
    assert "file.open" not in names
    path = settings.store.blobs_credentials_file
    assert path is not None
    path.chmod(0o644)
    assert [n.about for n in settings_notes(settings) if n.name == "file.open"] == [str(path)]
