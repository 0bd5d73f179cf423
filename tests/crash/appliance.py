"""A whole Mailweir under test: every role a process that can be killed and started again.

    box = Appliance(tmp_path, mx_hop=sink.port, sub_hop=other.port, route=sink.port)
    door = box.start("mx", failpoint="4.frame.synced:3")
    ...
    box.stop()

Roles: "mx" (inbound, passes on to mx_hop), "sub" (submission for trusted clients, passes on to
sub_hop, else queues for `route`), "worker", and "all" (the supervisor with everything below it).
A failpoint is the program's own (proxy/failpoint.py): the process kills itself at that step with
SIGKILL, so nothing is flushed, closed or said.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from tests.hasty import command
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LISTENERS = ("mx", "sub")
PAUSE = 0.03


def wait_until(
    condition: Callable[[], object], seconds: float, what: Callable[[], object] | str
) -> None:
    """Patience is counted in looks, so that a machine that was paused meanwhile is no failure."""
    for _ in range(int(seconds / PAUSE)):
        if condition():
            return
        time.sleep(PAUSE)
    raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")


class Role:
    """One process of ours, in a session of its own."""

    def __init__(
        self, role: str, slot: int, process: subprocess.Popen[bytes], ready: Callable[[], bool]
    ) -> None:
        self.role, self.slot, self.process, self._ready = role, slot, process, ready
        self.name = f"{role}-{slot}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, seconds: float = 90) -> bool:
        """True once it serves; False if it died before."""
        wait_until(
            lambda: not self.alive or self._ready(), seconds, f"{self.name} does not come up"
        )
        return self.alive

    def wait_dead(self, seconds: float) -> int | None:
        """The exit code (-9: SIGKILL); None if it still lives."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> int:
        """SIGKILL to the process and all below it, at once, also to what outlived it."""
        while members := self.left():
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # just gone by itself
            self.process.poll()
        return self.process.wait()

    def left(self) -> list[int]:
        """The processes of its session that live: itself and all that it started."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and session_of(int(entry)) == self.process.pid:
                found.append(int(entry))
        return found

    def stop(self, seconds: float = 60) -> int:
        """The polite way (SIGTERM); a process that does not listen is a failed test."""
        if self.alive:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM") from None


class Appliance:
    def __init__(
        self,
        folder: Path,
        *,
        mx_hop: int,
        sub_hop: int,
        route: int,
        doors: int = 1,
        data: Path | None = None,
        min_free: int = 0,
        spool_above: int = 16384,
        url: str = "sqlite",
        blobs: str = "",
    ) -> None:
        """`url` is store.url; `blobs` are more lines of [store]."""
        self.folder = folder
        self.data = data or folder / "data"
        self.doors = doors
        self.url = url
        self.ports = {name: free_port() for name in LISTENERS}
        self.config = folder / "mailweir.toml"
        self.log = folder / "log"
        self.roles: list[Role] = []
        self.config.write_text(
            f"""
[node]
hostname = "mailweir.example.com"
data_dir = "{self.data}"
domains = ["example.com"]
[store]
url = "{url}"
{blobs}
[[smtp]]
name = "mx"
listen = "127.0.0.1:{self.ports["mx"]}"
role = "inbound"
next_hop = "smtp://127.0.0.1:{mx_hop}"
doors = {doors}
[[smtp]]
name = "sub"
listen = "127.0.0.1:{self.ports["sub"]}"
role = "submission"
next_hop = "smtp://127.0.0.1:{sub_hop}"
trusted = ["127.0.0.0/8"]
doors = {doors}
[outbound]
route = "smtp://127.0.0.1:{route}"
retry_first = "1s"
retry_max = "2s"
[journal]
segment_bytes = 1048576
spool_above = {spool_above}
min_free = {min_free}
[http]
listen = "127.0.0.1:{free_port()}"
"""
        )
        self.command("migrate")

    # Processes

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the program; its exit code is the caller's to judge, except of migrate."""
        return subprocess.run(
            [sys.executable, "-m", "proxy", *words, "--config", str(self.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=110,
            check=words[0] == "migrate",
        )

    def start(
        self, role: str, slot: int = 0, failpoint: str = "", hasty: tuple[str, ...] = ()
    ) -> Role:
        """`hasty`: constants of ours that are too long for a test (tests/hasty.py)."""
        words = [*command(hasty), "run", "--config", str(self.config)]
        if role in LISTENERS:
            words += ["--role", "smtp", "--listener", role, "--slot", str(slot)]
        else:
            words += ["--role", role]
        environment = {**os.environ, "MAILWEIR_FAILPOINT": failpoint}
        # Hundreds of starts: each would compile every module again.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                words, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        started = Role(role, slot, process, lambda: self._serves(role, slot, process.pid))
        self.roles.append(started)
        return started

    def _serves(self, role: str, slot: int, pid: int) -> bool:
        """By the signs of life that the roles write themselves (proxy/heartbeat.py)."""
        if role == "all":
            doors = [f"{name}-{number}" for name in LISTENERS for number in range(self.doors)]
            beats = [self._beat(name) for name in ("worker", *doors)]
            return all(beat.get("ready") and session_of(beat["pid"]) == pid for beat in beats)
        beat = self._beat(role if role == "worker" else f"{role}-{slot}")
        return beat.get("pid") == pid and beat.get("ready") is True

    def _beat(self, name: str) -> dict[str, Any]:
        try:
            text = (self.data / "run" / f"{name}.json").read_text()
            found: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):
            return {}
        return found

    def stop(self) -> None:
        """Everything that still lives, the hard way: for the end of a test."""
        for role in self.roles:
            role.kill()

    # The store

    def query(self, sql: str, *values: object) -> list[tuple]:
        if self.url != "sqlite":
            with psycopg.connect(self.url.replace("+psycopg", "")) as server:
                return server.execute(sql.replace("?", "%s").encode(), values).fetchall()
        store = sqlite3.connect(f"file:{self.data}/mailweir.db?mode=ro", uri=True, timeout=60)
        try:
            return store.execute(sql, values).fetchall()
        finally:
            store.close()

    def wait_drained(self, bodies: set[str], seconds: float) -> None:
        """Until the store has a message for each SHA-256, nothing pends and the queue is empty."""

        def missing() -> dict[str, object]:
            have = {sha for (sha,) in self.query("SELECT sha256 FROM messages")}
            pending = "SELECT count(*) FROM captures WHERE disposition = 'pending'"
            open_rows = "SELECT count(*) FROM queue_messages WHERE state IN ('queued', 'sending')"
            return {
                "bodies": len(bodies - have),
                "pending": self.query(pending)[0][0],
                "queue": self.query(open_rows)[0][0],
            }

        wait_until(lambda: not any(missing().values()), seconds, missing)

    def audit(self) -> dict[str, object]:
        """`mailweir audit --json`, which must be content."""
        done = self.command("audit", "--json")
        assert done.returncode == 0, f"audit: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        report: dict[str, object] = json.loads(done.stdout)
        assert not report["gaps"], report
        return report

    def log_tail(self, lines: int = 40) -> str:
        """The log's errors and its end, without the mail that went well."""
        every = self.log.read_text(errors="replace").splitlines()
        dull = re.compile(r'"event": "(accepted|queued|delivered|ingested|listening)"')
        telling = [line for line in every if not dull.search(line)]
        errors = [line for line in telling[:-lines] if not line.startswith("{") or "error" in line]
        return "\n".join([*errors[-lines:], "...", *telling[-lines:]])


def session_of(pid: int) -> int:
    """The session id of a process; 0 if it is gone or a zombie (proc(5), stat)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, _, _, session = text[text.rindex(")") + 2 :].split()[:4]
    return 0 if state == "Z" else int(session)
