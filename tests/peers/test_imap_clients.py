"""Real mail programs (isync's mbsync, offlineimap) sync a mailbox directly and through the door.

What they end up with must be the same, octet for octet, in both directions, and every message that
passed is captured once. MAILWEIR_SYNC_MESSAGES sets how many there are (2,000; the big run has
20,000).
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.paths.doors import until
from tests.paths.imapdoors import ImapDoor
from tests.peers.dovecot import Dovecot
from tests.peers.servers import need

COUNT = int(os.environ.get("MAILWEIR_SYNC_MESSAGES", "2000"))
PATIENCE = 120 + COUNT // 10
pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(4 * PATIENCE)]

USER = "alice@y.example"


def message(number: int) -> bytes:
    """LF line ends, as a Maildir has it; every hundredth is large."""
    lines = 4000 if number % 100 == 0 else number % 50
    body = "".join(f"Line {n} of message {number}: 日本語 * OK {{5}}\n" for n in range(lines))
    return (
        f"From: a{number}@x.example\nTo: {USER}\nSubject: Nr. {number}\n"
        f"Message-ID: <{number}@x.example>\nContent-Type: text/plain; charset=utf-8\n\n{body}"
    ).encode()


def mbsync(folder: Path, port: int) -> None:
    (folder / "rc").write_text(f"""
IMAPAccount there
Host 127.0.0.1
Port {port}
User {USER}
Pass secret
SSLType None
AuthMechs PLAIN
Timeout 120

IMAPStore there
Account there

MaildirStore here
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns *
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
""")
    command = [need("mbsync"), "-c", str(folder / "rc"), "-a"]
    subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)


def offlineimap(folder: Path, port: int) -> None:
    (folder / "rc").write_text(f"""
[general]
accounts = one
metadata = {folder}/state
[Account one]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {folder}/mail
[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = {USER}
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = PLAIN
""")
    command = [need("offlineimap"), "-c", str(folder / "rc"), "-o", "-u", "quiet"]
    subprocess.run(
        command,
        check=True,
        timeout=PATIENCE,
        capture_output=True,
        env={**os.environ, "HOME": str(folder)},
    )


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(users={USER: "secret"}, relay_to=1) as server:
        inbox = server.folder / "mail" / USER / "cur"
        for folder in (inbox, inbox.parent / "new", inbox.parent / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        for number in range(COUNT):
            (inbox / f"{1_700_000_000 + number}.M{number}.host:2,S").write_bytes(message(number))
        subprocess.run(["chown", "-R", "nobody:nogroup", str(inbox.parent)], check=True)
        yield server


def held(folder: Path) -> Counter[str]:
    """The messages of a Maildir, by content. What a program adds for itself is not content."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name in ("cur", "new"):
            lines = path.read_bytes().replace(b"\r\n", b"\n").split(b"\n")
            own = (b"X-TUID:", b"X-OfflineIMAP:")
            kept = b"\n".join(line for line in lines if not line.startswith(own))
            found[sha256(kept).hexdigest()] += 1
    return found


@pytest.mark.parametrize("program", [mbsync, offlineimap])
def test_a_mail_program_syncs_both_ways_and_notices_nothing(
    tmp_path: Path, dovecot: Dovecot, program: Callable[[Path, int], None]
) -> None:
    need(program.__name__)
    direct, through = tmp_path / "direct", tmp_path / "through"
    for folder in (direct, through):
        (folder / "mail").mkdir(parents=True)
    with ImapDoor(tmp_path / "door", f"imap://127.0.0.1:{dovecot.imap_port}") as door:
        program(direct, dovecot.imap_port)
        program(through, door.port)
        there = held(through / "mail")
        assert sum(there.values()) == COUNT
        assert there == held(direct / "mail")
        until(lambda: len(door.captured()) == COUNT, "every message is captured", PATIENCE)

        # the other way: five new messages of ours, one of theirs deleted by us
        cur = through / "mail" / "INBOX" / "cur"
        fresh = [
            b"Subject: new %d\nMessage-ID: <new%d@y.example>\n\nours\n" % (n, n) for n in range(5)
        ]
        for number, octets in enumerate(fresh):
            (cur / f"{1_800_000_000 + number}.n{number}.host:2,S").write_bytes(octets)
        program(through, door.port)
        program(direct, dovecot.imap_port)
        assert held(direct / "mail") == held(through / "mail")
        assert sum(held(direct / "mail").values()) == COUNT + 5
        until(lambda: len(door.captured()) == COUNT + 5, "what was filed is captured", PATIENCE)
        assert door.stop() == 0
        captured = [record["sha256"] for record in door.captured()]
        assert len(set(captured)) == COUNT + 5, "each once"
