"""What the supervisor answers at [http].listen: /healthz, /readyz and /metrics.

/healthz: the supervisor lives. /readyz: every role runs, has said that it is ready and beats, and
the journal has room; otherwise 503 with the reasons. /metrics: the roles' files added up, and
what the supervisor sees itself (journal size and free space, roles, version).
Reads files and numbers only: no database, so that a probe costs little and never waits for it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config.settings import Settings
from proxy import __version__
from proxy.heartbeat import read_beats
from proxy.httpd import Answer, as_json
from proxy.supervisor import Supervisor


def journal_bytes(folder: Path) -> dict[str, int]:
    """Size of each door's journal; files that go away meanwhile count as nothing."""
    sizes: dict[str, int] = {}
    try:
        doors = [entry for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:
        return sizes
    for door in doors:
        total = 0
        try:
            for entry in os.scandir(door.path):
                try:
                    total += entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue  # ingested and deleted since
        except OSError:
            continue
        sizes[door.name] = total
    return sizes


def free_bytes(folder: Path) -> int:
    """What a process that is not root may still write there; -1 if the folder cannot be asked."""
    try:
        figures = os.statvfs(folder)
    except OSError:
        return -1
    return figures.f_bavail * figures.f_frsize


class Health:
    """The three documents; made once by proxy/main.py."""

    def __init__(self, settings: Settings, supervisor: Supervisor, metrics_dir: Path) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._begun = time.monotonic()
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, path=str(metrics_dir))  # type: ignore[no-untyped-call]
        self._registry.register(_Own(settings, supervisor))

    def healthz(self) -> Answer:
        uptime = round(time.monotonic() - self._begun, 1)
        return as_json(200, {"alive": True, "version": __version__, "uptime_seconds": uptime})

    def readyz(self) -> Answer:
        why = self.unready()
        beats = read_beats(self._settings.run_dir)
        roles = {
            role.name: {
                "pid": self._supervisor.pids.get(role.name),
                "ready": role.name in beats and beats[role.name].ready,
                "beat_age_seconds": round(beats[role.name].age, 1) if role.name in beats else None,
            }
            for role in self._supervisor.roles
        }
        return as_json(503 if why else 200, {"ready": not why, "why": why, "roles": roles})

    def unready(self) -> list[str]:
        """The reasons why this node should get no mail now; empty when it should."""
        why = self.roles_unready()
        free, least = free_bytes(self._settings.journal_dir), self._settings.journal.min_free
        if free < least:
            why.append(f"journal: {free} bytes free, journal.min_free is {least}")
        return why

    def roles_unready(self) -> list[str]:
        """As above, without the disk: what a start waits for."""
        why = ["stopping"] if self._supervisor.stopping() else []
        beats = read_beats(self._settings.run_dir)
        for role in self._supervisor.roles:
            pid, beat = self._supervisor.pids.get(role.name), beats.get(role.name)
            if pid is None:
                why.append(f"{role.name} is down")
            elif beat is None or beat.pid != pid or not beat.ready:
                why.append(f"{role.name} is starting")
            elif not beat.alive:
                why.append(f"{role.name} has not been heard of for {beat.age:.0f} s")
        return why

    def metrics(self) -> Answer:
        return Answer(200, CONTENT_TYPE_LATEST, generate_latest(self._registry))


class _Own(Collector):
    """What only the supervisor knows, read at each scrape."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "mailweir_build_info", "1, with the version as a label.", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        folder = self._settings.journal_dir
        yield GaugeMetricFamily(
            "mailweir_journal_bytes",
            "Size of the journals of all doors: mail that is not deleted after ingest yet.",
            value=sum(journal_bytes(folder).values()),
        )
        if (free := free_bytes(folder)) >= 0:
            yield GaugeMetricFamily(
                "mailweir_journal_free_bytes",
                "Free space for the journals; below journal.min_free mail is answered with 452.",
                value=free,
            )
        up = GaugeMetricFamily(
            "mailweir_role_up", "1 while a role's process runs and beats, else 0.", labels=["role"]
        )
        restarts = CounterMetricFamily(
            "mailweir_role_restarts", "Times a role was started again.", labels=["role"]
        )
        beats = read_beats(self._settings.run_dir)
        for role in self._supervisor.roles:
            pid, beat = self._supervisor.pids.get(role.name), beats.get(role.name)
            alive = pid is not None and beat is not None and beat.pid == pid and beat.alive
            up.add_metric([role.name], int(alive))
            restarts.add_metric([role.name], self._supervisor.restarts[role.name])
        yield up
        yield restarts
