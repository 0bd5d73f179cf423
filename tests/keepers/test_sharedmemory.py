"""Octets that processes share (proxy/sharedmemory.py)."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from proxy.sharedmemory import shared

ROOT = Path(__file__).resolve().parents[2]


def test_what_one_writes_the_others_read(tmp_path: Path) -> None:
    mine, theirs = shared(tmp_path / "x", 5000), shared(tmp_path / "x", 5000)
    assert bytes(mine) == bytes(5000)
    mine[4999] = 7
    assert theirs[4999] == 7
    code = (
        "import sys; from pathlib import Path; from proxy.sharedmemory import shared; "
        "m = shared(Path(sys.argv[1]), 5000); assert m[4999] == 7; m[0] = 9"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], cwd=ROOT, check=True)
    assert mine[0] == 9


def test_the_room_is_taken_before(tmp_path: Path) -> None:
    shared(tmp_path / "x", 100_000)
    found = (tmp_path / "x").stat()
    assert found.st_size == 100_000 and found.st_mode & 0o777 == 0o600
    with (tmp_path / "x").open("rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 100_000


def test_without_room_it_works_alone(tmp_path: Path) -> None:
    assert len(shared(tmp_path / "no" / "folder", 50)) == 50
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        alone = shared(tmp_path / "x", 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    alone[4999] = 1
    assert bytes(shared(tmp_path / "x", 5000)) == bytes(5000), "another size is made anew"
