"""The root: wires the roles and starts them. Read downward, it is the wiring diagram.

`run_all` is the supervisor: looks that the ground holds (proxy/ground.py), clears what an earlier
run left in data_dir/run, keeps one process per door and one worker (proxy/supervisor.py), answers
probes (proxy/health.py), tells systemd. `run_door` and `run_one_worker` are what those processes
do.
Everything a role needs is made here and handed down; nothing is found by a name in a registry.
"""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from proxy import __version__, maillog
from proxy.ground import (
    SUPERVISOR,
    CannotStart,
    Lock,
    check_ports,
    clear_run,
    make_folders,
    metrics_dir,
    prepare_keys,
    prepare_store,
)
from proxy.sdnotify import notify, watchdog_interval
from proxy.supervisor import Role, Supervisor, children_environ

if TYPE_CHECKING:
    from proxy.health import Health
    from proxy.heartbeat import Heartbeat

WORKER = "worker"
PROGRAM: tuple[str, ...] = (sys.executable, "-m", "proxy")  # as the supervisor starts its roles


class RoleFailed(Exception):
    """A role's process cannot go on; the supervisor starts it anew."""


# The supervisor


def run_all(
    settings: Settings,
    config: Path,
    doors: Collection[str] = ("smtp", "imap"),
    *,
    worker: bool = True,
) -> None:
    """Run until SIGTERM or SIGINT; raises CannotStart. `doors`: which kinds of them."""
    roles = list(_roles(settings, config, doors, worker=worker))
    make_folders(settings)
    with Lock(settings.run_dir / SUPERVISOR, "mailweir run"):
        check_ports(settings, doors)
        prepare_store(settings)
        prepare_keys(settings)
        numbers = metrics_dir(settings)
        whole = len(doors) == 2 and worker
        clear_run(settings, None if whole else [role.name for role in roles])
        maillog.started(__version__, settings.node.hostname, [role.name for role in roles])
        asyncio.run(_supervise(settings, roles, numbers))


def _roles(
    settings: Settings, config: Path, doors: Collection[str], *, worker: bool
) -> Sequence[Role]:
    run = (*PROGRAM, "--config", str(config.absolute()), "run", "--role")
    roles = []
    if worker:
        roles.append(Role(WORKER, (*run, "worker"), door=False))
    for kind in doors:
        for listener in settings.doors(kind):
            for slot in range(listener.doors):
                place = (kind, "--listener", listener.name, "--slot", str(slot))
                roles.append(Role(f"{listener.name}-{slot}", (*run, *place), door=True))
    return roles


async def _supervise(settings: Settings, roles: Sequence[Role], numbers: Path) -> None:
    from proxy.clientpages import client_pages
    from proxy.health import Health
    from proxy.httpd import HttpServer

    begun = 0.0
    supervisor = Supervisor(roles, children_environ())
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        nonlocal begun
        if not supervisor.stopping():
            begun = time.monotonic()
            notify("STOPPING=1")
            maillog.stopping(name)
            supervisor.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number.name)
    health = Health(settings, supervisor, numbers)
    health = Health(settings, supervisor, numbers)
    http = HttpServer(
        {"/healthz": health.healthz, "/readyz": health.readyz, "/metrics": health.metrics},
        client_pages(settings),
    )
    try:
        await http.start(*settings.http.listen)
    except OSError as error:
        raise CannotStart(
            f"http.listen = {settings.http.listen}: allowed is a free address ({error.strerror})"
        ) from error
    beside = [
        asyncio.create_task(_tell_systemd(health, supervisor)),
        asyncio.create_task(_end_hung(settings.run_dir, supervisor)),
    ]
    try:
        await supervisor.run()
    finally:
        for task in beside:
            task.cancel()
        await http.close()
        maillog.stopped(time.monotonic() - begun)


async def _tell_systemd(health: "Health", supervisor: Supervisor) -> None:
    """READY=1 once every role is up, then the watchdog; also without systemd: the log's `ready`."""
    pause = min(watchdog_interval() or 1.0, 1.0)
    ready = False
    while not supervisor.stopping():
        why = await asyncio.to_thread(health.roles_unready)
        if not ready and not why:
            ready = True
            notify("READY=1", f"STATUS=serving, {len(supervisor.roles)} processes")
            maillog.ready(len(supervisor.roles))
        elif ready:
            notify("WATCHDOG=1", f"STATUS={'; '.join(why)[:200] or 'serving'}")
        await asyncio.sleep(pause if ready else 0.1)


async def _end_hung(run_dir: Path, supervisor: Supervisor) -> None:
    from proxy.heartbeat import read_beats
    from proxy.hung import Hung

    hung = Hung()
    while True:
        await asyncio.sleep(5)
        beats = await asyncio.to_thread(read_beats, run_dir)
        for role in hung.look(supervisor.pids, beats, time.monotonic()):
            maillog.role_hung(role, hung.limit)
            supervisor.kill(role)


# The roles' processes


def _enter(settings: Settings, role: str) -> None:
    """What every role's process does first, before it imports anything that counts."""
    make_folders(settings)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_dir(settings))
    os.environ["MAILWEIR_PROCESS"] = role
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two descriptors a connection


def run_door(settings: Settings, listener: str, slot: int) -> None:
    """One door process, until SIGTERM."""
    role = f"{listener}-{slot}"
    _enter(settings, role)
    import uvloop

    from proxy.heartbeat import Heartbeat
    from proxy.smtp.door import run_door

    heartbeat = Heartbeat(settings.run_dir, role)
    uvloop.run(_role(heartbeat, lambda: run_door(settings, listener, slot, heartbeat)))


def run_imap_door(settings: Settings, listener: str, slot: int) -> None:
    """One IMAP door process, until SIGTERM."""
    role = f"{listener}-{slot}"
    _enter(settings, role)
    import uvloop

    from proxy.heartbeat import Heartbeat
    from proxy.imap.door import run_imap_door

    heartbeat = Heartbeat(settings.run_dir, role)
    uvloop.run(_role(heartbeat, lambda: run_imap_door(settings, listener, slot, heartbeat)))


def run_one_worker(settings: Settings) -> None:
    """The worker process, until SIGTERM."""
    _enter(settings, WORKER)
    os.nice(19)  # doors go first
    from proxy.heartbeat import Heartbeat
    from proxy.worker import run_worker

    heartbeat = Heartbeat(settings.run_dir, WORKER)
    with Lock(settings.run_dir / "worker.lock", "mailweir run --role worker"):
        asyncio.run(_role(heartbeat, lambda: run_worker(settings, heartbeat)))


async def _role(heartbeat: "Heartbeat", serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Serve with a heartbeat. Faults of single sessions and messages never come here."""
    heartbeat.start(asyncio.get_running_loop())
    try:
        await serve()
    except Exception as error:
        maillog.role_failed(heartbeat.role, error)
        heartbeat.beat()  # so that `mailweir status` knows why it is away
        raise RoleFailed(f"{heartbeat.role}: {type(error).__name__}: {error}") from error
    else:
        heartbeat.stop()
