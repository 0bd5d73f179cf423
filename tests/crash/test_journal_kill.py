"""kill -9 of a journal's writer at each of its steps and at random: what was told, is there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxy.journalfmt import Frame
from proxy.journallock import FolderLock
from proxy.journalread import big_of, follow, read_body, segment_path
from proxy.journalrecover import recover

STEPS = [
    "1.big.written",
    "2.big.synced",
    "3.frame.written",
    "4.frame.synced",
    "7.verdict.written",
    "s1.segment.synced",
    "s2.segment.renamed",
    "r1.tail.synced",
    "r2.orphans.removed",
    "r3.verdicts.synced",
]
ROOT = Path(__file__).parents[2]


def write_until_killed(folder: Path, seed: int, failpoint: str, after: float) -> list[str]:
    """What the writer told before it was killed by the failpoint, or by us after some time."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.journal_child", str(folder), str(seed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MAILWEIR_FAILPOINT": failpoint, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        told = []
        if not failpoint:
            told.append(child.stdout.readline())  # it is at work
            time.sleep(after)
            child.kill()
        told += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [line.rstrip("\n") for line in told]


def check(folder: Path, told: list[str]) -> None:
    """Everything told is in the journal, whole and once, and every message has one verdict."""
    messages: dict[str, str] = {}
    verdicts: dict[str, str] = {}
    big = set()
    for number, item in follow(folder):
        assert isinstance(item, Frame), f"damage: {item}"
        assert item.linked, f"chain broken at {item.seq}"
        if item.kind == "message":
            assert item.id not in messages
            name = big_of(item)
            big.add(name)
            path = segment_path(folder, number)
            body = read_body(path, item) if name is None else (folder / name).read_bytes()
            messages[item.id] = hashlib.sha256(body).hexdigest()
            assert messages[item.id] == item.header["sha256"]
        elif item.kind == "verdict":
            assert item.id not in verdicts
            verdicts[item.id] = item.header["outcome"]
    assert set(messages) == set(verdicts)
    assert {path.name for path in folder.glob("big-*")} == big - {None}
    for line in told:
        kind, *rest = line.split()
        if kind == "message":
            assert messages[rest[0]] == rest[1]
        elif kind == "verdict":
            assert verdicts[rest[0]] == "accepted"


def rounds(folder: Path, failpoints: list[str], rng: random.Random) -> None:
    """Kill after kill on one folder; each start recovers what the last one left."""
    told: list[str] = []
    for failpoint in failpoints:
        told += write_until_killed(folder, rng.getrandbits(32), failpoint, rng.uniform(0, 0.4))
    with FolderLock(folder) as lock:
        recover(lock)
    assert any(line.startswith("message") for line in told)
    check(folder, told)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_step(tmp_path: Path, step: str) -> None:
    # steps of a start come once, and need something to recover; the others also come later
    times = [1, 1, 1] if step.startswith(("r", "s")) else [1, 7, 40]
    kills = [failpoint for n in times for failpoint in ("", f"{step}:{n}")]
    rounds(tmp_path, kills, random.Random(step))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    some = ["", "", *(f"{step}:p0.02" for step in STEPS[:5])]
    rounds(tmp_path, [rng.choice(some) for _ in range(8)], rng)
