"""A role's sign of life: one small JSON file in data_dir/run, renewed every few seconds.

Promises: renewing never raises and never blocks for long (a write to the page cache, no fsync);
the file is replaced in one step, so readers see the old or the new one. With a full disk only the
file's time is renewed: a role that cannot write is still seen to live. `mailweir status`,
/healthz and /readyz read these files; nothing else depends on them.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy import maillog

INTERVAL = 2.0
FRESH = 10.0  # five beats missed: the role hangs or is gone
SUFFIX = ".json"


class Heartbeat:
    """Written by the role itself. `figures` is the role's own and goes out with each beat."""

    def __init__(self, run_dir: Path, role: str) -> None:
        self._path = run_dir / f"{role}{SUFFIX}"
        self.role = role
        self._started = time.time()
        self._timer: asyncio.TimerHandle | None = None
        self.ready = False
        self.figures: dict[str, int | float | str | bool | None] = {}

    def beat(self) -> None:
        """Renew the file now. Any thread may call it, one at a time."""
        beat = {
            "role": self.role,
            "pid": os.getpid(),
            "started": self._started,
            "ready": self.ready,
            "last_error": maillog.last_error,
            "figures": self.figures,
        }
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(beat, default=str), encoding="ascii")
            fresh.replace(self._path)
        except OSError:
            try:
                os.utime(self._path)
            except OSError:
                pass  # the folder is gone: whoever looks sees us as down, which is close enough

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat now and every `INTERVAL` seconds in this loop."""
        self.beat()
        self._timer = loop.call_later(INTERVAL, self.start, loop)

    def stop(self) -> None:
        """The role ends in order: its file goes."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            pass  # a read-only disk; the file grows stale by itself


@dataclass(frozen=True, slots=True)
class Beat:
    """What a reader knows of a role."""

    role: str
    pid: int
    started: datetime
    ready: bool
    at: float
    age: float
    last_error: dict[str, Any] | None
    figures: dict[str, Any]

    @property
    def alive(self) -> bool:
        return self.age < FRESH


def read_beats(run_dir: Path, now: float | None = None) -> dict[str, Beat]:
    """Every role's last beat by its name; files that cannot be read are left out."""
    found: dict[str, Beat] = {}
    now = time.time() if now is None else now
    try:
        paths = sorted(run_dir.glob(f"*{SUFFIX}"))
    except OSError:
        return found
    for path in paths:
        try:
            at = path.stat().st_mtime
            data = json.loads(path.read_bytes())
            found[data["role"]] = Beat(
                role=data["role"],
                pid=int(data["pid"]),
                started=datetime.fromtimestamp(data["started"], UTC),
                ready=bool(data["ready"]),
                at=at,
                age=max(0.0, now - at),
                last_error=data["last_error"],
                figures=dict(data["figures"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
