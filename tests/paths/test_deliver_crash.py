"""The queue runner is killed at its numbered steps: nothing is lost, and what is doubled is known.

The runner is a process of its own (this file, run as a program); steps are those of deliver.py.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faultsink import FaultSink
from tests.paths.hops import run_on
from tests.paths.queued import Appliance

# Each kill is a process that starts with all its imports.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def main(folder: str, port: str, ahead: str) -> None:
    """Runs until all is delivered, or until it is killed; the clock is `ahead` of ours."""
    appliance = Appliance(Path(folder), route=f"smtp://127.0.0.1:{port}", retry_first="1s")
    waiting = ["queued", "sending"]
    run_on(
        "uvloop",
        appliance.run_until(
            lambda: not appliance.queue.figures(0, history=False).keys() & set(waiting),
            clock=lambda: time.time() + float(ahead),
        ),
        timeout=90,
    )


def run(folder: Path, port: int, failpoint: str, ahead: float) -> int:
    """The process's exit status."""
    environment = os.environ | {"MAILWEIR_FAILPOINT": failpoint, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.paths.test_deliver_crash",
            str(folder),
            str(port),
            str(ahead),
        ],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
        timeout=100,
        check=False,
    ).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failpoint", "before", "state", "after"),
    [
        ("14.queue.claimed", 0, "sending", 1),
        ("15.queue.delivered", 1, "sending", 2),  # nobody can know that the hop has it
        ("16.queue.recorded", 1, "delivered", 1),
    ],
)
def test_killed_at_a_step(
    tmp_path: Path, failpoint: str, before: int, state: str, after: int
) -> None:
    with FaultSink() as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        ident = appliance.put(["b@x.example"])
        assert run(tmp_path, sink.port, failpoint, ahead=1) == -9
        assert len(sink.messages) == before and appliance.states(ident)[0] == state
        # The next start does not wait for the lease of the one that was killed.
        assert run(tmp_path, sink.port, "", ahead=2) == 0
        assert len(sink.messages) == after
        assert appliance.states(ident) == ["delivered", "delivered"]


def test_killed_again_and_again(tmp_path: Path) -> None:
    with FaultSink(keep=False) as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        idents = appliance.put_many([[f"u{n}@x.example"] for n in range(100)])
        kills = 0
        for step in (
            "14.queue.claimed:2",
            "15.queue.delivered:p0.05",
            "16.queue.recorded:p0.5",
        ) * 5:
            kills += run(tmp_path, sink.port, step, ahead=1 + kills) == -9
        assert run(tmp_path, sink.port, "", ahead=1 + kills) == 0
        assert kills >= 2
        assert all(appliance.states(ident) == ["delivered", "delivered"] for ident in idents)
        taken = Counter(message.recipients[0] for message in sink.messages)
        assert len(taken) == 100, "none lost"
        assert max(taken.values()) <= 1 + kills


if __name__ == "__main__":
    main(*sys.argv[1:])
