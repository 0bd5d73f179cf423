"""The whole appliance between a mail program and a real Dovecot: every message exactly once.

Sent at submission and filed in Sent, received at the MX and read, read by its headers only, never
read at all: `emails` shows each one time and `audit` finds no gap; also when the IMAP door is
killed in the middle, and when everything is started again.
"""

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.appliance import wait_until
from tests.faultsink import FaultSink
from tests.peers.dovecot import ALICE, Dovecot
from tests.peers.servers import free_port

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def mail(number: int, *, sent: bool = False) -> bytes:
    people = ("alice@example.com", "bob@x.example")
    author, reader = people if sent else reversed(people)
    return (
        f"From: {author}\r\nTo: {reader}\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@x.example>\r\n\r\nThis is number {number}.\r\n"
    ).encode()


class Whole:
    """`mailweir run` with an MX, a submission and an IMAP listener, and its commands."""

    def __init__(self, folder: Path, dovecot: Dovecot, sink: FaultSink) -> None:
        self.ports = {name: free_port() for name in ("mx", "sub", "imap", "http")}
        self.config = folder / "mailweir.toml"
        self.log = folder / "log"
        self.config.write_text(f"""
[node]
hostname = "mailweir.example.com"
domains = ["example.com"]
data_dir = "{folder}/data"
[[smtp]]
name = "mx"
listen = "127.0.0.1:{self.ports["mx"]}"
role = "inbound"
next_hop = "smtp://127.0.0.1:{sink.port}"
doors = 1
[[smtp]]
name = "sub"
listen = "127.0.0.1:{self.ports["sub"]}"
role = "submission"
next_hop = "smtp://127.0.0.1:{dovecot.submission_port}"
auth = "next_hop"
auth_plain_without_tls = true
doors = 1
[[imap]]
name = "imap"
listen = "127.0.0.1:{self.ports["imap"]}"
upstream = "imap://127.0.0.1:{dovecot.imap_port}"
doors = 1
[capture]
companion_rate = 100
[http]
listen = "127.0.0.1:{self.ports["http"]}"
[journal]
min_free = 0
""")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "proxy", "--config", str(self.config), "run"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
        wait_until(lambda: b'"ready"' in self.log.read_bytes(), 60, self.log.read_text)
        self.log.write_bytes(b"")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def ask(self, *words: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "proxy", "--config", str(self.config), "--json", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line]
        return done.returncode, lines

    def emails(self) -> dict[str, list[str]]:
        """Subject -> how it was seen; a message that stands there twice fails."""
        _, rows = self.ask("emails", "--limit", "100")
        subjects = [row["subject"] for row in rows]
        assert len(subjects) == len(set(subjects)), sorted(subjects)
        return {row["subject"]: row["source"] for row in rows}

    def wait_for(self, wanted: dict[str, set[str]]) -> None:
        def there() -> bool:
            found = self.emails()
            return all(wanted[subject] <= set(found.get(subject, ())) for subject in wanted)

        with contextlib.suppress(AssertionError):
            wait_until(there, 0.5, "")
        end = time.monotonic() + 60
        while not there():
            assert time.monotonic() < end, (self.emails(), self.log.read_text()[-3_000:])
            time.sleep(0.2)

    @contextlib.contextmanager
    def session(self) -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login(ALICE, "secret")
        try:
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def door(self) -> int:
        _, (status,) = self.ask("status")
        return next(int(role["pid"]) for role in status["roles"] if role["role"] == "imap-0")


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    with FaultSink() as found:
        yield found


@pytest.fixture
def dovecot(sink: FaultSink) -> Iterator[Dovecot]:
    with Dovecot(relay_to=sink.port) as found:
        yield found


@pytest.fixture
def whole(tmp_path: Path, dovecot: Dovecot, sink: FaultSink) -> Iterator[Whole]:
    made = Whole(tmp_path, dovecot, sink)
    made.start()
    yield made
    made.stop()


def put(dovecot: Dovecot, mailbox: str, body: bytes) -> None:
    """Into the mailbox past us, as a delivery agent does."""
    client = imaplib.IMAP4("127.0.0.1", dovecot.imap_port)
    client.login(ALICE, "secret")
    client.append(mailbox, "", imaplib.Time2Internaldate(time.time()), body)
    client.logout()


def delivered(body: bytes) -> bytes:
    """As it lies in the mailbox of who received it."""
    return (
        b"Return-Path: <bob@x.example>\r\nDelivered-To: alice@example.com\r\n"
        b"Received: from mailweir.example.com by mail.example.com\r\n\twith LMTP id 1;"
        b" Sun, 22 Nov 2026 01:00:00 +0000\r\n" + body
    )


def test_every_message_exactly_once(whole: Whole, dovecot: Dovecot) -> None:
    with whole.session() as client:
        client.create("Sent")

    # Sent, and filed by the mail program.
    with smtplib.SMTP("127.0.0.1", whole.ports["sub"]) as smtp:
        smtp.login(ALICE, "secret")
        smtp.sendmail(ALICE, ["bob@x.example"], mail(1, sent=True))
    with whole.session() as client:
        client.append(
            "Sent", "(\\Seen)", imaplib.Time2Internaldate(time.time()), mail(1, sent=True)
        )

    # Received, and read whole; received, and only its header read; there, and not even that.
    with smtplib.SMTP("127.0.0.1", whole.ports["mx"]) as smtp:
        smtp.sendmail("bob@x.example", [ALICE], mail(2))
        smtp.sendmail("bob@x.example", [ALICE], mail(3))
    for number in (2, 3, 4):
        put(dovecot, "INBOX", delivered(mail(number)))
    put(dovecot, "Sent", mail(5, sent=True))
    with whole.session() as client:
        client.select("INBOX")
        client.fetch("1", "(BODY[])")
        client.fetch("2:3", "(BODY.PEEK[HEADER])")
        whole.wait_for(
            {
                "number 1": {"submission", "imap_append"},
                "number 2": {"inbound"},
                "number 3": {"inbound", "companion"},
                "number 4": {"companion"},
                "number 5": {"companion"},
            }
        )
        _, flags = client.fetch("1:3", "(FLAGS)")
        assert [b"\\Seen" in line for line in flags if isinstance(line, bytes)] == [
            True, False, False
        ]  # fmt: skip
    found = whole.emails()
    assert len(found) == 5
    assert {"imap_fetch", "companion"} & set(found["number 2"])
    _, (user,) = whole.ask("user", "show", ALICE)
    assert user["enabled"] and user["enrolled"]
    covered = {box["name"]: (box["known"], box["present"]) for box in user["mailboxes"]}
    assert covered == {"INBOX": (3, 3), "Sent": (2, 2)}

    # Everything again: nothing new.
    whole.stop()
    whole.start()
    with whole.session() as client:
        client.select("INBOX")
        client.fetch("1:*", "(BODY.PEEK[])")
        put(dovecot, "INBOX", delivered(mail(6)))
        client.noop()
        client.fetch("4", "(BODY.PEEK[])")
    whole.wait_for({"number 6": {"imap_fetch"}})
    assert len(whole.emails()) == 6
    code, (report,) = whole.ask("audit")
    assert (code, report["gaps"]) == (0, []), report
    _, (status,) = whole.ask("status")
    assert {one["folder"] for one in status["coverage"]} == {"inbox", "sent"}


def test_a_door_that_is_killed_leaves_no_gap(whole: Whole, dovecot: Dovecot) -> None:
    with whole.session() as client:
        client.select("INBOX")
    wanted = {f"number {number}" for number in range(40)}
    for number in range(40):
        put(dovecot, "INBOX", delivered(mail(number)))
    for _ in range(2):
        client = imaplib.IMAP4("127.0.0.1", whole.ports["imap"])
        client.login(ALICE, "secret")
        client.select("INBOX")
        client.send(b"x UID FETCH 1:* (BODY.PEEK[])\r\n")
        time.sleep(0.02)
        killed = whole.door()
        os.kill(killed, signal.SIGKILL)
        client.shutdown()
        wait_until(lambda old=killed: _back(whole, old), 60, "the door came back")  # type: ignore[misc]
    with whole.session():
        whole.wait_for({subject: set() for subject in wanted})
        end = time.monotonic() + 60
        while set(whole.emails()) != wanted:
            assert time.monotonic() < end, wanted - set(whole.emails())
            time.sleep(0.2)
    code, (report,) = whole.ask("audit")
    assert (code, report["gaps"]) == (0, []), report


def _back(whole: Whole, old: int) -> bool:
    _, (status,) = whole.ask("status")
    return any(
        role["role"] == "imap-0" and role["up"] and role["pid"] != old for role in status["roles"]
    )
