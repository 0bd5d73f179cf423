"""`mailweir run` as a whole: ready, watched, scraped, stopped, killed, refused."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.practice import PracticeServer
from tests.peers.servers import need, wait_until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# Generous: several processes start, and other tests may run beside.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CONFIG = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
data_dir = "data"
[[smtp]]
name = "mx"
listen = "127.0.0.1:{mx}"
role = "inbound"
next_hop = "smtp://127.0.0.1:{hop}"
doors = 2
[http]
listen = "127.0.0.1:{http}"
[journal]
min_free = 0
"""


class Run:
    """One `mailweir run` and what it says."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("mx", "hop", "http")}
        self.config = folder / "mailweir.toml"
        self.config.write_text(CONFIG.format(**self.ports))
        self.environ = os.environ | environ
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "proxy", "run", "--config", str(self.config)],
                cwd=ROOT, env=self.environ, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: self.get("/readyz")[0] == 200, "ready", 90)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def command(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "proxy", "--config", str(self.config), *args],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports["mx"]), 1).close()
            return True
        except OSError:
            return False


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    if run.process is not None and run.process.poll() is None:
        run.process.terminate()
        run.process.wait(60)


@pytest.mark.peers
def test_from_ready_to_stopped(tmp_path: Path) -> None:
    """One life: systemd is told, mail flows, numbers are right, a second one is refused."""
    promtool = need("promtool")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        heard: list[bytes] = []
        # All the time, as systemd does: a socket takes ten words, and we wait for nobody.
        threading.Thread(target=_listen, args=(ear, heard), daemon=True).start()
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        run = Run(tmp_path, **environ)
        try:
            run.start()
            wait_until(lambda: len(heard) > 1, "the watchdog is told")
            assert heard[0].startswith(b"READY=1\n") and heard[1].startswith(b"WATCHDOG=1\n")
            assert json.loads(run.get("/healthz")[1])["alive"] is True
            # No mailboxes here, so nothing to tell; but the page is there.
            assert run.get("/mail/config-v1.1.xml") == (
                404,
                '{"error": "no servers to tell of; `mailweir check` says why"}\n',
            )
            _mail_is_counted(run)
            text = run.get("/metrics")[1]
            done = subprocess.run(
                [promtool, "check", "metrics"], input=text, capture_output=True, text=True
            )
            assert (done.returncode, done.stdout + done.stderr) == (0, "")
            assert run.command("status").returncode == 0
            done = run.command("run")
            assert done.returncode == 2 and "another `mailweir run`" in done.stderr
            assert done.stderr.count("\n") == 1
        finally:
            assert run.process is not None
            run.process.terminate()
            code = run.process.wait(60)
        wait_until(lambda: b"STOPPING=1" in heard, "systemd is told of the end")
    assert code == 0
    assert '"event": "stopped"' in run.log() and "Traceback" not in run.log()
    assert not run.listens()
    assert run.command("status").returncode == 1


def _listen(ear: socket.socket, heard: list[bytes]) -> None:
    while b"STOPPING=1" not in heard:
        heard.append(ear.recv(500))


def _mail_is_counted(run: Run) -> None:
    practice = PracticeServer("127.0.0.1", run.ports["hop"], {})
    practice.start()
    try:
        with smtplib.SMTP("127.0.0.1", run.ports["mx"]) as client:
            client.sendmail("a@elsewhere.example", ["bob@example.com"], b"Subject: x\r\n\r\nx\r\n")
    finally:
        practice.stop()
    expected = [
        'mailweir_captures_total{door="inbound",result="captured"} 1.0',
        'mailweir_smtp_connections_total{listener="mx",result="accepted"} 1.0',
        'mailweir_role_up{role="worker"} 1.0',
        "mailweir_ingest_lag_seconds 0.0",
    ]
    wait_until(lambda: all(line in run.get("/metrics")[1] for line in expected), "counted")


def test_a_killed_role_comes_back_and_a_killed_supervisor_leaves_nothing(appliance: Run) -> None:
    appliance.start()
    roles = json.loads(appliance.get("/readyz")[1])["roles"]
    os.kill(roles["mx-0"]["pid"], signal.SIGKILL)
    os.kill(roles["worker"]["pid"], signal.SIGKILL)
    wait_until(lambda: appliance.get("/readyz")[0] == 503, "noticed")

    def back() -> bool:
        code, body = appliance.get("/readyz")
        return code == 200 and json.loads(body)["roles"]["mx-0"]["pid"] != roles["mx-0"]["pid"]

    wait_until(back, "back")
    assert 'mailweir_role_restarts_total{role="mx-0"} 1.0' in appliance.get("/metrics")[1]
    assert appliance.process is not None
    appliance.process.kill()
    appliance.process.wait()
    wait_until(lambda: not appliance.listens(), "the port is free")
    appliance.start()  # locks and ports are free again


def test_a_port_that_is_taken_is_named(appliance: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", appliance.ports["mx"]))
        other.listen()
        done = appliance.command("run")
    assert done.returncode == 2
    assert done.stderr.startswith("mailweir: smtp[0].listen = 127.0.0.1:")
    assert done.stderr.count("\n") == 1
    with socket.socket() as other:
        other.bind(("127.0.0.1", appliance.ports["http"]))
        other.listen()
        done = appliance.command("run")
    assert done.returncode == 2
    assert "mailweir: http.listen = 127.0.0.1:" in done.stderr


def test_a_lost_database_is_not_replaced_in_silence(appliance: Run) -> None:
    (appliance.folder / "data" / "blobs" / "ab").mkdir(parents=True)
    done = appliance.command("run")
    assert done.returncode == 2 and "mailweir.db" in done.stderr and done.stderr.count("\n") == 1
