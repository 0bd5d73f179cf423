"""The programs that are measured, each started by us on loopback with a folder of its own.

`Sink` is Postfix's smtp-sink, the next hop of everybody; `source` is its smtp-source, the client.
`Postfix` is a whole Postfix as a relay (smtpd -> cleanup -> qmgr -> smtp -> next hop) with its own
configuration and queue folder, under a `master` that is our child so that its CPU can be read.
`Mailweir` is `python -m proxy run` with its own configuration and data folder.

Postfix runs as Debian delivers it, but for what a relay on a spare port needs, and without chroot
(which spares it work). "Tuned" lifts what a benchmark runs into: `in_flow_delay` and enough
processes. It has no log here unless a syslog runs; Mailweir writes its log to a file.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bench.measure import cmdline, cpu_seconds, tree
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
POSTFIX_DAEMONS = Path("/usr/lib/postfix/sbin")
SENDER, RECIPIENT = "alice@example.net", "bob@example.com"


def find(program: str) -> str:
    """The full path of a program of Postfix, which lives in /usr/sbin."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        raise SystemExit(f"{program} is not installed (Debian: apt-get install postfix)")
    return path


def wait_for_banner(
    port: int, process: subprocess.Popen[bytes], *, greets: bool = True, seconds: float = 30
) -> None:
    """Until something listens on `port` and, if it `greets`, says 220; an early death of
    `process` is an error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
                if not greets or link.recv(512).startswith(b"220"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"no greeting on port {port} from {process.args!r}")


class Process:
    """A program with its children in a session of its own, gone when the block ends."""

    process: subprocess.Popen[bytes]

    def launch(self, command: Sequence[str | Path], **options: object) -> None:
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            [str(word) for word in command], start_new_session=True, **options
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Sink(Process):
    """smtp-sink with its counters on (-c), which are read off a pipe."""

    def __init__(self) -> None:
        self.port = free_port()
        self._count = 0
        self.launch(
            [
                find("smtp-sink"),
                "-c",
                "-u",
                "postfix",
                "-m",
                "8000",
                f"127.0.0.1:{self.port}",
                "4096",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self._pipe = self.process.stdout.fileno()
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        threading.Thread(target=self._read, daemon=True).start()
        wait_for_banner(self.port, self.process)

    def _read(self) -> None:
        # Every event of the sink is one short line; reading them in gulps costs the run nothing.
        while piece := os.read(self._pipe, 1 << 20):
            counts = re.findall(rb"mesg=\s*(\d+)", piece)
            if counts:
                self._count = int(counts[-1])
            time.sleep(0.01)

    @property
    def messages(self) -> int:
        return self._count

    def wait(self, total: int, seconds: float = 300) -> None:
        """Until the sink has taken `total` messages since its start."""
        end = time.monotonic() + seconds
        while self._count < total:
            if time.monotonic() > end:
                raise RuntimeError(f"the sink has {self._count} of {total} messages")
            time.sleep(0.005)


def source(port: int, messages: int, size: int, sessions: int) -> None:
    """smtp-source: `messages` of `size` octets, a new session for each."""
    command = [find("smtp-source"), "-s", str(sessions), "-l", str(size), "-m", str(messages)]
    command += ["-f", SENDER, "-t", RECIPIENT, "-M", "client.example.net", f"127.0.0.1:{port}"]
    subprocess.run(command, check=True, timeout=600)


class Postfix(Process):
    """A Postfix that relays everything from loopback to `next_hop`."""

    def __init__(self, folder: Path, next_hop: int, *, tuned: bool) -> None:
        self.port = free_port()
        conf, queue, data = folder / "conf", folder / "queue", folder / "data"
        if not queue.exists():
            for path in (conf, queue, data):
                path.mkdir(parents=True)
            os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": queue,
            "data_directory": data,
            "command_directory": "/usr/sbin",
            "daemon_directory": POSTFIX_DAEMONS,
            "myhostname": "postfix.example.net",
            "mydestination": "",
            "alias_maps": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks defer_unauth_destination",
            "relayhost": f"[127.0.0.1]:{next_hop}",
        }
        if tuned:
            settings |= {"in_flow_delay": "0", "default_process_limit": "100"}
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (conf / "main.cf").write_text(lines)
        (conf / "master.cf").write_text(self._services())
        check = [find("postfix"), "-c", str(conf), "check"]
        subprocess.run(check, check=True, stderr=subprocess.DEVNULL)
        self.launch(
            [POSTFIX_DAEMONS / "master", "-c", conf, "-d"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_banner(self.port, self.process)

    def _services(self) -> str:
        """Debian's master.cf with our port, and nothing chrooted."""
        lines = []
        for line in Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            fields = line.split()
            if line[:1].isalpha() and len(fields) >= 8:
                if fields[:2] == ["smtp", "inet"]:
                    fields[0] = f"127.0.0.1:{self.port}"
                fields[4] = "n"
                lines.append(" ".join(fields))
            elif line[:1].isspace() and lines:
                lines.append(line)
        return "\n".join(lines) + "\n"

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)


class Mailweir(Process):
    """Mailweir with the given [[smtp]] listeners (name -> keys of the table)."""

    def __init__(
        self,
        folder: Path,
        listeners: dict[str, dict[str, object]],
        *,
        domain: str = "example.com",
        store: str = "sqlite",
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.ports = {name: free_port() for name in listeners}
        text = f'[node]\nhostname = "mailweir.example.com"\ndata_dir = "{self.data}"\n'
        text += f'domains = ["{domain}"]\n[store]\nurl = "{store}"\n'
        text += f'[http]\nlisten = "127.0.0.1:{free_port()}"\n'
        for name, keys in listeners.items():
            keys = {"name": name, "listen": f"127.0.0.1:{self.ports[name]}"} | keys
            text += "[[smtp]]\n" + "".join(f"{key} = {toml(v)}\n" for key, v in keys.items())
        self.config = folder / "mailweir.toml"
        self.config.write_text(text)
        self.command = [sys.executable, "-m", "proxy"]
        run = [*self.command, "migrate", "--config", str(self.config)]
        subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        with (folder / "log").open("ab") as log:
            self.launch(
                [*self.command, "run", "--role", "all", "--config", self.config],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        for name, port in self.ports.items():
            wait_for_banner(port, self.process, greets=listeners[name].get("tls") != "implicit")

    def doors(self, listener: str) -> list[int]:
        """The process ids of a listener's doors."""
        return [
            pid
            for pid in tree(self.process.pid)
            if (words := cmdline(pid)) and "--listener" in words and listener in words
        ]

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def doors_cpu(self, listener: str) -> float:
        doors = self.doors(listener)
        return cpu_seconds(self.process.pid, lambda pid: pid in doors)

    def captures(self) -> int:
        """How many messages the store knows."""
        with sqlite3.connect(f"file:{self.data}/mailweir.db?mode=ro", uri=True) as store:
            count: int = store.execute(
                "SELECT count(*) FROM captures WHERE disposition != 'pending'"
            ).fetchone()[0]
        store.close()
        return count

    def wait_ingested(self, total: int, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while (count := self.captures()) < total:
            if time.monotonic() > end:
                raise RuntimeError(f"the store has {count} of {total} messages")
            time.sleep(0.1)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'
