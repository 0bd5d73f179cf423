"""The key file: made once, rotated in time, never overwritten when it is not understood."""

from pathlib import Path

import pytest

from bounce import keyfile
from bounce.keyfile import ROTATE, BadKeyFile
from bounce.verp import LIFETIME, ReturnPaths
from proxy.captureid import new_capture_id

NOW = 1_790_000_000.0


def test_made_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert keyfile.keep(path, NOW) is True
    assert path.stat().st_mode & 0o777 == 0o600
    first = keyfile.read(path)
    assert keyfile.keep(path, NOW + ROTATE - 1) is False
    assert keyfile.read(path) == first and len(first) == 1


def test_whatever_was_signed_is_believed_until_it_expires(tmp_path: Path) -> None:
    """Two years of rotations, a message each day: every report within 30 days is understood."""
    path = tmp_path / "keys"
    sent: list[tuple[float, str]] = []
    for day in range(0, 730):
        now = NOW + day * 86_400
        keyfile.keep(path, now)
        keys = keyfile.read(path)
        paths = ReturnPaths("b.example", ["ours.example"], keys)
        signed = paths.sign("a@ours.example", new_capture_id(int(now * 1000), 7))
        assert signed is not None and len(keys) <= 3
        sent.append((now, signed.rpartition("@")[0]))
        for at, local in sent[-31::10]:
            if now - at < LIFETIME:
                assert paths.decode(local, now).result == "valid"


@pytest.mark.parametrize("text", ["", "k 1\n", "kk 1 " + "0" * 64, "k x " + "0" * 64, "k 1 zz"])
def test_what_is_no_key_file_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadKeyFile):
        keyfile.keep(path, NOW)
    assert path.read_text() == text


def test_others_must_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keyfile.keep(path, NOW)
    path.chmod(0o640)
    with pytest.raises(BadKeyFile, match="others may read it"):
        keyfile.read(path)
