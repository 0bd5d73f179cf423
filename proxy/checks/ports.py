"""Checks of the ports: free, ours already, or somebody else's, and then whose.

Binds each port for an instant without listening: no client ever notices.
"""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from config.settings import ListenAddress, Settings
from proxy.checks import Note, fail, ok, warn
from proxy.heartbeat import read_beats

_LISTENING = "0A"


def port_notes(settings: Settings) -> Iterator[Note]:
    beats = read_beats(settings.run_dir)
    ours = {beat.pid for beat in beats.values() if beat.alive}
    wanted = [listener.listen for listener in settings.listeners]
    for listen in (*wanted, settings.http.listen):
        yield _port(listen, ours)


def _port(listen: ListenAddress, ours: set[int]) -> Note:
    about = str(listen)
    error = _bind(listen)
    if error is None:
        return ok("port.free", about)
    if error.errno == errno.EADDRINUSE:
        owners = owner_of(listen.port)
        if ours & owners.keys() or (ours and not owners):
            return ok("port.ours", about)
        if not owners:
            return fail("port.taken", about)
        who = ", ".join(f"{name} ({pid})" for pid, name in sorted(owners.items())[:3])
        # the supervisor answers [http] itself and has no beat of its own; its children do
        if ours & {child for pid in owners for child in _children(pid)}:
            return ok("port.ours", about)
        return fail("port.taken_by", about, who=who)
    if error.errno in (errno.EACCES, errno.EPERM):
        return warn("port.denied", about)
    if error.errno == errno.EADDRNOTAVAIL:
        return fail("port.not_here", about)
    return fail("port.trouble", about, reason=error.strerror or str(error))


def _bind(listen: ListenAddress) -> OSError | None:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((listen.host, listen.port))
    except OSError as error:
        return error
    return None


def owner_of(port: int, proc: Path = Path("/proc")) -> Mapping[int, str]:
    """Who listens on a TCP port: process id and name, as far as we may see (see proc(5))."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return dict(_holders(proc, inodes)) if inodes else {}


def _holders(proc: Path, inodes: set[str]) -> Iterator[tuple[int, str]]:
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                yield int(process.name), (process / "comm").read_text().strip()
        except OSError:
            continue  # it ended, or is not ours to look into


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            yield from (int(child) for child in task.read_text().split())
        except OSError:
            continue
