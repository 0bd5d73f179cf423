"""`mailweir try`: the whole thing, from a conversation to its proof, and nothing left behind."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.trialmail import ALICE, PASSWORD
from tests.peers.servers import wait_until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def start(tmp_path: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "try", *args],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path), "MAILWEIR_LANG": "en"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that run in the background of a script inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append(entry.name)
    return found


def test_once_keeps_every_promise_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--once", "--json")
    out, err = process.communicate()
    found = json.loads(out)
    assert [step for step in found["steps"] if not step["ok"]] == [], found["audit"]
    assert (process.returncode, found["ok"], err) == (0, True, "")
    assert found["audit"]["accepted"] == found["audit"]["captured"] == 10
    subjects = {row["subject"]: row for row in found["timeline"]}
    quotation = subjects["お見積書の件（12月分）"]
    assert quotation["attachments"][0]["name"] == "御見積書.pdf"
    assert {record["kind"] for record in quotation["records"]} == {"contact", "deal"}
    assert {subject: set(row["source"]) for subject, row in subjects.items()} == {
        "お見積書の件（12月分）": {"submission", "imap_append"},
        "Re: お見積書の件（12月分）": {"inbound", "companion"},
        "Thank you": {"submission"},
        "Reminder": {"submission"},
        "Undelivered Mail Returned to Sender": {"inbound", "companion"},
        "打ち合わせの議事録": {"imap_fetch"},
        "Agenda": {"companion"},
    }
    assert subjects["Thank you"]["records"][0]["name"] == "Jordan Lee"
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_it_stays_until_ctrl_c_and_shows_mail_of_ones_own(tmp_path: Path) -> None:
    data = tmp_path / "kept"
    base = free_port(6)  # as many as it opens
    process = start(tmp_path, "--port-base", str(base), "--data", str(data))
    assert process.stdout is not None
    shown = ""
    while "Ctrl-C" not in shown:
        line = process.stdout.readline()
        assert line, shown
        shown += line
    assert f"swaks --server 127.0.0.1:{base} " in shown and "  FAIL " not in shown
    read = subprocess.run(
        ["curl", "-sk", "--ssl-reqd", "-u", f"{ALICE}:{PASSWORD}",
         f"imap://127.0.0.1:{base + 4}/INBOX;MAILINDEX=1"],
        capture_output=True, timeout=60, check=False,
    ) if shutil.which("curl") else None  # fmt: skip
    assert read is None or b"Message-ID: <answer." in read.stdout
    with socket.create_connection(("127.0.0.1", base + 1)) as client:
        client.sendall(
            b"EHLO a\r\nMAIL FROM:<me@own.example>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
        )
        said = b""
        while b"\r\n354 " not in said:
            said += (more := client.recv(4096))
            assert more, said
        client.sendall(b"From: me@own.example\r\nSubject: my \x1b[2Jown\r\n\r\nx\r\n.\r\n")
        while "me@own.example" not in (line := process.stdout.readline()):
            assert line
        assert "\x1b" not in line
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    assert process.wait(60) == 0
    assert (data / "mailweir.toml").exists()
    _no_secret_in(data)
    wait_until(lambda: processes_of(data) == [], "all have ended")


def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_until(lambda: len(processes_of(tmp_path)) == 5, "supervisor, worker, three doors")
    process.kill()
    process.wait()
    wait_until(lambda: processes_of(tmp_path) == [], "all have ended")


def test_what_it_cannot_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        _, err = (process := start(tmp_path, "--port-base", str(port))).communicate()
    assert process.returncode == 2 and err.startswith("mailweir: --port-base")
    assert err.count("\n") == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mailweir.toml").write_text("[node]\n")
    process = start(tmp_path, "--data", str(tmp_path / "other"))
    _, err = process.communicate()
    assert process.returncode == 2 and err.startswith("mailweir: --data")
    assert (tmp_path / "other" / "mailweir.toml").read_text() == "[node]\n"


def _no_secret_in(folder: Path) -> None:
    """Neither the password that was right nor the one that was wrong is anywhere on the disk."""
    plain = [f"not-{PASSWORD}"]
    for password in (PASSWORD, f"not-{PASSWORD}"):
        plain += [f"\0{ALICE}\0{password}", f'"{password}"']
    secrets = [word.encode() for word in plain]
    secrets += [base64.b64encode(word.encode()) for word in plain]
    secrets.append(base64.b64encode(PASSWORD.encode()))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
