"""The supervisor: restarts, stops in order, and leaves nothing behind however it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy import supervisor
from proxy.parent import ENV_PARENT
from proxy.supervisor import Role, Supervisor

ROOT = Path(__file__).resolve().parents[2]

# A role that says when it starts and stops, and takes a moment to stop.
POLITE = """
import signal, sys, time
name, out = sys.argv[1:]
def say(word):
    with open(out, "a") as file:
        file.write(f"{name} {word}\\n")
def stop(*_):
    time.sleep(0.2)
    say("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
say("started")
while True:
    signal.pause()
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
time.sleep(60)
"""
# Starts a child of its own and dies: the child must not outlive it.
LITTER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open(sys.argv[1], "a") as file:
    file.write(f"{child.pid} ")
sys.exit(3)
"""
# A supervisor whose two roles follow it as ours do.
WHOLE = """
import asyncio, os, sys
from proxy.supervisor import Role, Supervisor
code = '''
import sys, time
from proxy.parent import follow
follow()
open(sys.argv[1], "w").close()
time.sleep(60)
'''
roles = [Role(n, (sys.executable, "-c", code, sys.argv[1] + n), n == "a") for n in "ab"]
asyncio.run(Supervisor(roles, os.environ).run())
"""


def role(name: str, code: str, *args: object, door: bool = False) -> Role:
    return Role(name, (sys.executable, "-c", code, *map(str, args)), door)


def alive(pid: int) -> bool:
    try:
        # A zombie that nobody has reaped yet is dead enough.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


async def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_doors_stop_before_the_worker(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def lines() -> list[str]:
        return out.read_text().splitlines() if out.exists() else []

    async def main() -> None:
        roles = [role("w", POLITE, "w", out), role("d", POLITE, "d", out, door=True)]
        kept = Supervisor(roles, os.environ)
        running = asyncio.create_task(kept.run())
        await eventually(lambda: len(lines()) == 2)
        kept.stop()
        await running
        assert kept.pids == {}

    asyncio.run(main())
    assert lines()[2:] == ["d stopped", "w stopped"]


def test_a_role_that_ends_is_started_again_and_its_children_are_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST", 0.05)
    note = tmp_path / "pid"

    async def main() -> None:
        kept = Supervisor([role("x", LITTER, note)], os.environ)
        running = asyncio.create_task(kept.run())
        await eventually(lambda: kept.restarts["x"] >= 2)
        kept.stop()
        await running

    asyncio.run(main())
    litter = note.read_text().split()
    assert len(litter) >= 2
    until(lambda: not any(alive(int(pid)) for pid in litter))  # killed; it takes a moment


def test_a_program_that_cannot_be_started_is_tried_again() -> None:
    async def main() -> None:
        kept = Supervisor([Role("x", ("/nonexistent/program",), False)], os.environ)
        running = asyncio.create_task(kept.run())
        await eventually(lambda: kept.restarts["x"] >= 1)
        kept.stop()
        await running

    asyncio.run(main())


def test_a_role_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WORKER_GRACE", 0.3)
    mark = tmp_path / "deaf"

    async def main() -> None:
        kept = Supervisor([role("deaf", DEAF, mark)], os.environ)
        running = asyncio.create_task(kept.run())
        await eventually(mark.exists)  # it has switched its ears off
        pid = kept.pids["deaf"]
        kept.stop()
        await running
        assert not alive(pid)

    asyncio.run(main())


def test_a_killed_supervisor_takes_its_roles_with_it(tmp_path: Path) -> None:
    mark = str(tmp_path / "up-")
    whole = subprocess.Popen([sys.executable, "-c", WHOLE, mark], cwd=ROOT)
    until(lambda: Path(mark + "a").exists() and Path(mark + "b").exists())
    children = Path(f"/proc/{whole.pid}/task/{whole.pid}/children").read_text().split()
    assert len(children) == 2
    whole.send_signal(signal.SIGKILL)
    whole.wait()
    until(lambda: not any(alive(int(pid)) for pid in children))


def test_a_role_whose_parent_is_gone_ends_at_its_start() -> None:
    code = "from proxy.parent import follow; follow(); raise SystemExit(7)"
    environ = os.environ | {"PYTHONPATH": str(ROOT), ENV_PARENT: "1"}
    assert subprocess.run([sys.executable, "-c", code], env=environ).returncode == 1
    environ[ENV_PARENT] = str(os.getpid())
    assert subprocess.run([sys.executable, "-c", code], env=environ).returncode == 7
