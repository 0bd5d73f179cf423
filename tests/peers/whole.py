"""The whole appliance between real servers, and what it tells of itself.

whole = Whole(folder, imap="imap://...", inbound="smtp://...", submission="smtp://...")
whole.start()
whole.emails()          # subject -> how it was seen
"""

import contextlib
import imaplib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.load import load
from crmstore import timeline
from crmstore.store import open_store
from tests.crash.appliance import wait_until
from tests.hasty import command
from tests.peers.dovecot import ALICE
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class Whole:
    """`mailweir run` with an MX, a submission and an IMAP listener, and its commands."""

    def __init__(
        self, folder: Path, *, imap: str, inbound: str, submission: str, hasty: tuple[str, ...] = ()
    ) -> None:
        """The servers behind, as the configuration names them; `hasty`: tests/hasty.py."""
        self.folder, self.hasty = folder, hasty
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
next_hop = "{inbound}"
doors = 1
[[smtp]]
name = "sub"
listen = "127.0.0.1:{self.ports["sub"]}"
role = "submission"
next_hop = "{submission}"
auth = "next_hop"
auth_plain_without_tls = true
doors = 1
[[imap]]
name = "imap"
listen = "127.0.0.1:{self.ports["imap"]}"
upstream = "{imap}"
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
        words = [*command(self.hasty), "--config", str(self.config), "run"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, stderr=log, stdout=log)
        wait_until(lambda: b'"ready"' in self.log.read_bytes(), 60, self.log.read_text)
        self.log.write_bytes(b"")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        called = [*command(()), "--config", str(self.config), *words]
        return subprocess.run(called, cwd=ROOT, capture_output=True, timeout=120, check=False)

    def ask(self, *words: str) -> tuple[int, Any]:
        done = self.run("--json", *words)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line]

    def audited(self) -> dict[str, Any]:
        """The account of `audit`, which must find no gap."""
        code, (report,) = self.ask("audit")
        assert (code, report["gaps"]) == (0, []), report
        return dict(report)

    def emails(self, user: str = "") -> dict[str, list[str]]:
        """Subject -> how it was seen; a message that stands there twice fails."""
        words = ["--json", "emails", "--limit", "1000", *(["--user", user] if user else [])]
        found: dict[str, list[str]] = {}
        before: list[str] = []
        while True:
            done = self.run(*words, *before)
            for line in done.stdout.splitlines():
                row = json.loads(line)
                assert row["subject"] not in found, f"{row['subject']} stands there twice"
                found[row["subject"]] = row["source"]
            more = re.search(rb"--before (\S+)", done.stderr)
            if more is None:
                return found
            before = ["--before", more[1].decode()]

    def wait_for(
        self, wanted: dict[str, set[str]], patience: float = 60.0, user: str = ""
    ) -> dict[str, list[str]]:
        """`emails`, once each of these subjects was seen in each of these ways."""
        end = time.monotonic() + patience
        # The store is looked at itself: each call of the program takes longer than what it tells.
        while missing := _missing(wanted, self._stored(user)):
            assert time.monotonic() < end, (list(missing)[:20], self.log.read_text()[-3_000:])
            time.sleep(0.1)
        found = self.emails(user)
        assert not _missing(wanted, found), found
        return found

    def _stored(self, user: str) -> dict[str, list[str]]:
        store = open_store(load(self.config))
        try:
            found: dict[str, list[str]] = {}
            page = timeline.page(store, user=user or None, limit=1000)
            while True:
                found |= {row["subject"]: row["source"] for row in page.rows}
                if page.next is None:
                    return found
                page = timeline.page(store, user=user or None, limit=1000, before=page.next)
        finally:
            store.close()

    @contextlib.contextmanager
    def session(self, *, password: str = "secret") -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login(ALICE, password)
        try:
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def files(self) -> list[Path]:
        """Everything that it has written."""
        return [self.log, *(path for path in (self.folder / "data").rglob("*") if path.is_file())]

    def door(self) -> int:
        """The process of the IMAP door that serves now; 0 if none does."""
        try:
            beat = json.loads((self.folder / "data/run/imap-0.json").read_text())
        except (OSError, ValueError):
            return 0
        return int(beat["pid"]) if beat["ready"] else 0


def _missing(wanted: dict[str, set[str]], found: dict[str, list[str]]) -> dict[str, set[str]]:
    return {
        subject: ways
        for subject, ways in wanted.items()
        if subject not in found or not ways <= set(found[subject])
    }
