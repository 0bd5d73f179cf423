"""A door process as it runs in earnest, and a client that sees every octet.

    with FaultSink() as sink, DoorProcess(tmp, sink, listener='max_size = 100000') as door:
        with door.client() as c:
            c.greeting(); c.ask("EHLO me")
            assert c.message("a@x.example", ["b@y.example"], b"...").startswith("250 ")
        (message,) = sink.messages

The process is `python -m proxy run --role smtp`; it has its own data folder, log and port. Nothing
else of Mailweir runs, for a door needs nothing but its disk.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from proxy.journalread import read_frames
from tests.certs import certificate_for
from tests.faultsink import FaultSink
from tests.hasty import command
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def until(
    condition: Callable[[], object], what: str | Callable[[], str], seconds: float = 30.0
) -> None:
    """Returns as soon as it is so: patience costs a machine that is busy, and no other."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds} s: {told}")
        time.sleep(0.02)


class RunningDoor:
    """A process of one door, its data folder and its log; `name` is listener and slot."""

    name: str
    folder: Path
    data: Path
    log: Path
    port: int
    process: subprocess.Popen[bytes]

    def _start(self, words: list[str], environment: dict[str, str]) -> None:
        (self.data / f"run/{self.name}.json").unlink(missing_ok=True)  # of one that was killed
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        until(self._ready, lambda: f"the door is up; its log: {self.log.read_text()[-2000:]}", 60)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.heartbeat().get("ready") is True

    def heartbeat(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.data / f"run/{self.name}.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    @property
    def pid(self) -> int:
        """The door's own (a program in front of it has another)."""
        found: int = self.heartbeat()["pid"]
        return found

    def rss(self) -> int:
        """Octets of memory that are its own."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")

    def records(self) -> list[dict[str, Any]]:
        """Everything in the journal, decoded."""
        found = []
        for segment in sorted((self.data / "journal" / self.name).glob("*.seg")):
            found += [dict(frame.header) for frame in read_frames(segment, 0)]
        return found

    def octets_everywhere(self) -> Iterator[tuple[Path, bytes]]:
        """Every file that it has written."""
        for path in [self.log, *self.data.rglob("*")]:
            if path.is_file():
                yield path, path.read_bytes()


class DoorProcess(RunningDoor):
    """One listener named "mx", slot 0."""

    name = "mx-0"

    def __init__(
        self,
        folder: Path,
        hop: FaultSink | str,
        *,
        role: str = "inbound",
        tls: str = "none",
        listener: str = "",
        limits: str = "",
        more: str = "",
        before: tuple[str, ...] = (),
        hasty: tuple[str, ...] = (),
    ) -> None:
        """`listener`, `limits`, `more`: lines of TOML; `before`: a program that runs it; `hasty`:
        constants of ours that are too long for a test (tests/hasty.py)."""
        target = hop if isinstance(hop, str) else address_of(hop)
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.port = free_port()
        self.certificate = certificate_for()
        if tls != "none":
            listener += f'\ncert = "{self.certificate.cert}"\nkey = "{self.certificate.key}"'
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "mailweir.toml"
        self.config.write_text(f"""
[node]
hostname = "mx.example.com"
data_dir = "{self.data}"
domains = ["y.example"]
[[smtp]]
name = "mx"
listen = "127.0.0.1:{self.port}"
role = "{role}"
next_hop = "{target}"
tls = "{tls}"
doors = 1
{listener}
[limits]
{limits}
{more}
[http]
listen = "127.0.0.1:{free_port()}"
""")
        if "[journal]" not in more:
            with self.config.open("a") as file:
                file.write("[journal]\nmin_free = 0\n")
        self._command = [*before, *command(hasty)]

    def __enter__(self) -> Self:
        metrics = self.data / "run" / "metrics"
        metrics.mkdir(parents=True, exist_ok=True)
        words = [*self._command, "run", "--config", str(self.config)]
        words += ["--role", "smtp", "--listener", "mx", "--slot", "0"]
        self._start(words, {"PROMETHEUS_MULTIPROC_DIR": str(metrics)})
        return self

    def figure(self, name: str) -> object:
        """What it says of itself, two seconds old at most."""
        return self.heartbeat().get("figures", {}).get(name)

    def connections(self) -> int:
        """Sockets that it holds open towards clients, as the kernel counts them (proc(5))."""
        ours = f":{self.port:04X}"
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(ours) and row[3] in ("01", "08") for row in table)

    def client(self, **more: Any) -> Client:
        return Client(self.port, **more)

    def greeted(self, **more: Any) -> Client:
        client = self.client(**more)
        assert client.reply().startswith("220 ")
        client.ask("EHLO me.example")
        return client

    def messages(self) -> list[dict[str, Any]]:
        return [record for record in self.records() if record["type"] == "message"]

    def verdicts(self) -> dict[str, dict[str, Any]]:
        return {r["id"]: r for r in self.records() if r["type"] == "verdict"}

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; of a line that is being written a part may be there."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.split("\n") if line]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]


class Client:
    """A socket and what came over it."""

    def __init__(
        self, port: int, *, timeout: float = 30.0, host: str = "127.0.0.1", source: str = ""
    ) -> None:
        self.sock: socket.socket = socket.create_connection(
            (host, port), timeout, source_address=(source, 0) if source else None
        )
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Leave with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            piece = self.sock.recv(65_536)
            if not piece:
                raise EOFError(f"closed, after {self.buffer!r}")
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        assert b"\r" not in line and b"\n" not in line, line
        return line.decode()

    def reply(self) -> str:
        """One reply, its lines joined by LF."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def ask(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def message(self, sender: str, recipients: list[str], body: bytes) -> str:
        """A whole transaction; the reply to its content, or the one that ended it before."""
        said = self.ask(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            if said.startswith("250"):
                said = self.ask(f"RCPT TO:<{recipient}>")
        if said.startswith("250"):
            said = self.ask("DATA")
        if not said.startswith("354"):
            return said
        stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
        self.send(stuffed + b".\r\n")
        return self.reply()

    def starttls(self) -> str:
        """STARTTLS and the handshake; the version of TLS."""
        said = self.ask("STARTTLS")
        assert said.startswith("220"), said
        return self.handshake()

    def handshake(self) -> str:
        assert self.buffer == b"", "octets in clear before the handshake"
        context = certificate_for().client_context()
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        return str(self.sock.version())

    def rest(self, seconds: float = 30.0) -> bytes:
        """What still comes until the door closes; TimeoutError if it does not."""
        self.sock.settimeout(seconds)
        found, self.buffer = self.buffer, b""
        while True:
            try:
                piece = self.sock.recv(65_536)
            except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
                return found
            if not piece:
                return found
            found += piece

    def quiet(self, seconds: float = 0.3) -> bool:
        """Nothing comes for so long."""
        self.sock.settimeout(seconds)
        try:
            return self.buffer == b"" and self.sock.recv(1) is None
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(30)


def address_of(sink: FaultSink) -> str:
    if sink.unix is not None:
        return f"lmtp://{sink.unix}"
    kind = "lmtp" if sink.lmtp else "smtps" if sink.tls == "implicit" else "smtp"
    return f"{kind}://127.0.0.1:{sink.port}"
