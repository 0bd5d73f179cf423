"""The stage of `mailweir try`: a folder, six ports, the practice servers, the whole appliance.

Promises: everything is on loopback and in one folder; leaving the `with` block ends every process
that was started and, unless the folder was given, removes it. A killed `try` leaves no process
either (the appliance follows its parent).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from config.load import load
from config.settings import Settings
from proxy import selfsigned
from proxy.ground import CannotStart
from proxy.parent import ENV_PARENT
from proxy.practice import PracticeServer
from proxy.practiceboxes import Mailboxes
from proxy.practiceimap import PracticeImap
from proxy.supervisor import children_environ
from proxy.trialmail import PASSWORD, USERS

HOST = "127.0.0.1"
START_SECONDS = 45.0
STOP_SECONDS = 25.0

_OURS = "# Written by `mailweir try`"
_CONFIG = """\
[node]
hostname = "relay.example.com"
domains = ["example.com"]
data_dir = "data"

[[smtp]]
name = "submission"
listen = "{host}:{submission}"
role = "submission"
next_hop = "smtp://{host}:{practice}"
auth = "next_hop"
tls = "starttls"
cert = "cert.pem"
key = "key.pem"
doors = 1

[[smtp]]
name = "mx"
listen = "{host}:{mx}"
role = "inbound"
next_hop = "smtp://{host}:{practice}"
tls = "starttls"
cert = "cert.pem"
key = "key.pem"
doors = 1

[[imap]]
name = "imap"
listen = "{host}:{imap}"
upstream = "imap://{host}:{mailboxes}"
tls = "starttls"
cert = "cert.pem"
key = "key.pem"
doors = 1

[outbound]
route = "smtp://{host}:{practice}"
retry_first = "1s"
retry_max = "5s"

[http]
listen = "{host}:{http}"

[journal]
min_free = "16 MiB"
"""


class Stage:
    """`with Stage(folder, base) as stage:` and everything runs."""

    def __init__(self, folder: Path | None, base: int | None) -> None:
        self._given = folder
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    def __enter__(self) -> "Stage":
        try:
            self._build()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._clear()

    def _build(self) -> None:
        self.folder = self._given or Path(tempfile.mkdtemp(prefix="mailweir-try-"))
        self.folder = self.folder.absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.config = self.folder / "mailweir.toml"
            self.log = self.folder / "mailweir.log"
            if self.config.exists() and not self.config.read_text().startswith(_OURS):
                raise CannotStart(f"--data {self.folder}: allowed is a folder of its own; this one"
                                  " has another mailweir.toml")  # fmt: skip
            self.ports = _ports(self._base)
            self.config.write_text(f"{_OURS}\n{_CONFIG.format(host=HOST, **self.ports)}")
            certificate, key = selfsigned.make("relay.example.com", datetime.now(UTC))
            (self.folder / "cert.pem").write_bytes(certificate)
            (self.folder / "key.pem").touch(mode=0o600)
            (self.folder / "key.pem").write_bytes(key)
        except OSError as error:
            raise CannotStart(f"--data {self.folder}: allowed is a folder that we may write"
                              f" ({error.strerror})") from error  # fmt: skip
        self.settings: Settings = load(self.config)
        users = dict.fromkeys(USERS, PASSWORD)
        self.mailboxes = Mailboxes(users)
        self.practice = PracticeServer(HOST, self.ports["practice"], users, self.mailboxes)
        self.practice.start()
        self.imap = PracticeImap(HOST, self.ports["mailboxes"], users, self.mailboxes)
        self.imap.start()
        self._start()

    def _start(self) -> None:
        environ = children_environ() | {ENV_PARENT: str(os.getpid())}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "proxy", "--config", str(self.config), "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                process_group=0,  # Ctrl-C is ours to handle
            )
        give_up = time.monotonic() + START_SECONDS
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise CannotStart(f"the appliance did not start: {self.last_words()}")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Does /readyz say so?"""
        url = f"http://{HOST}:{self.ports['http']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """The last line of the log."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        return lines[-1][:500] if lines else "it said nothing"

    def _clear(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if hasattr(self, "practice"):
            self.practice.stop()
        if hasattr(self, "imap"):
            self.imap.stop()
        if self._given is None and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)


def _ports(base: int | None) -> dict[str, int]:
    """Free ports: six in a row from `base`, or any."""
    names = ("submission", "mx", "http", "practice", "imap", "mailboxes")
    held: list[socket.socket] = []
    found: dict[str, int] = {}
    try:
        for number, name in enumerate(names):
            sock = socket.socket()
            held.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = 0 if base is None else base + number
            try:
                sock.bind((HOST, wanted))
            except OSError as error:
                raise CannotStart(
                    f"--port-base {base}: allowed is a number whose next {len(names)} ports are"
                    f" free; {wanted} is not ({error.strerror})"
                ) from error
            found[name] = sock.getsockname()[1]
    finally:
        for sock in held:
            sock.close()
    return found
