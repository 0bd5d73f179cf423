"""Keeps the roles' processes running: start, restart with back-off, stop in order.

Promises: a role that ends is started again (after 0.5 s, doubling to 30 s, anew after a minute
of running), without end and without touching the others. Stopping sends SIGTERM to the doors and
waits for their transactions, then to the worker, then kills what is left. Every role has its own
process group, so its children go with it. When the supervisor itself is killed, the kernel kills
the roles at once (proxy/parent.py): nothing is left that holds a port or a lock. That is safe
because a kill is the case the journal is made for.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy import maillog
from proxy.parent import ENV_PARENT

BACKOFF_FIRST = 0.5
BACKOFF_MAX = 30.0
STEADY = 60.0
DOOR_GRACE = 12.0  # a door gives its transactions 10 s
WORKER_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Role:
    """One process to keep: `door` says whether it stops before the worker."""

    name: str
    argv: tuple[str, ...]
    door: bool


class Supervisor:
    """`await run()` until `stop()`; `pids` and `restarts` say how it stands."""

    def __init__(self, roles: Sequence[Role], environ: Mapping[str, str]) -> None:
        self.roles = tuple(roles)
        self.pids: dict[str, int] = {}
        self.restarts = {role.name: 0 for role in roles}
        self._environ = {**environ, ENV_PARENT: str(os.getpid())}
        self._stop = asyncio.Event()
        self._keepers: dict[str, asyncio.Task[None]] = {}

    def stop(self) -> None:
        """Begin to stop; may be called from a signal handler of the loop, more than once."""
        self._stop.set()

    def stopping(self) -> bool:
        return self._stop.is_set()

    def kill(self, role: str) -> None:
        """End a role's process at once; it is started again like any that ends."""
        if (pid := self.pids.get(role)) is not None:
            _signal_group(pid, signal.SIGKILL)

    async def run(self) -> None:
        """Keep the roles until stop(); returns when every process has ended."""
        for role in self.roles:
            self._keepers[role.name] = asyncio.create_task(self._keep(role), name=role.name)
        try:
            await self._stop.wait()
        finally:
            self._stop.set()
            await self._end([role for role in self.roles if role.door], DOOR_GRACE)
            await self._end([role for role in self.roles if not role.door], WORKER_GRACE)

    async def _keep(self, role: Role) -> None:
        pause = BACKOFF_FIRST
        while not self.stopping():
            begun = time.monotonic()
            status = await self._once(role)
            if self.stopping():
                return
            if time.monotonic() - begun >= STEADY:
                pause = BACKOFF_FIRST
            maillog.child_exited(role.name, *status, retry_in=pause)
            self.restarts[role.name] += 1
            try:
                await asyncio.wait_for(self._stop.wait(), pause)
            except TimeoutError:
                pass
            pause = min(pause * 2, BACKOFF_MAX)

    async def _once(self, role: Role) -> tuple[int, str]:
        """Run the role's process to its end: its pid and how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *role.argv,
                stdin=asyncio.subprocess.DEVNULL,
                env=self._environ,
                process_group=0,  # Ctrl-C at the terminal comes to us alone, and we pass it on
            )
        except OSError as error:  # no memory, no descriptors: as passing as any other failure
            return 0, f"not started: {error.strerror}"
        self.pids[role.name] = process.pid
        maillog.child_started(role.name, process.pid)
        if self.stopping():  # stop() came while it was being started
            _signal(process.pid, signal.SIGTERM)
        try:
            code = await process.wait()
        finally:
            self.pids.pop(role.name, None)
            _signal_group(process.pid, signal.SIGKILL)  # what it left behind
        return process.pid, f"signal {-code}" if code < 0 else f"exit {code}"

    async def _end(self, roles: Sequence[Role], grace: float) -> None:
        tasks = [self._keepers[role.name] for role in roles if role.name in self._keepers]
        if not tasks:
            return
        for role in roles:
            if (pid := self.pids.get(role.name)) is not None:
                _signal(pid, signal.SIGTERM)
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            if (pid := self.pids.get(task.get_name())) is not None:
                maillog.child_exited(task.get_name(), pid, "too slow, killed", None)
                _signal_group(pid, signal.SIGKILL)
        if late:
            await asyncio.wait(late)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended by itself


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left in it


def children_environ() -> dict[str, str]:
    """A checkout is found by its children wherever they start; an installed package is anyway."""
    environ = dict(os.environ)
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").exists():
        paths = [str(root), *filter(None, [environ.get("PYTHONPATH")])]
        environ["PYTHONPATH"] = os.pathsep.join(paths)
    return environ
