"""Real mail programs that sync a mailbox: isync's mbsync, offlineimap, neomutt.

    account = Account(folder, port, "alice@example.com")
    program = mbsync(account)
    program.sync()                      # all that the server has is here
    program.change(new, flagged, deleted)
    program.sync()                      # and the server has what was changed here
    program.held()                      # what is here: (folder, content, flags), counted

neomutt has no sync: it is told by its keys to copy everything into a Maildir, and to file, flag and
delete at the server. None of them needs a terminal of ours.
"""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from tests.peers.servers import need

Held = Counter[tuple[str, str, str]]
#: Headers that a program puts into its own copy.
OWN = (b"X-TUID:", b"X-OfflineIMAP:", b"Content-Length:", b"Lines:", b"Status:", b"X-Mozilla-")


@dataclass(frozen=True)
class Account:
    folder: Path
    port: int
    user: str
    password: str = "secret"
    patience: float = 120.0  # seconds for one run of a program


def digest(octets: bytes, user: str) -> str:
    """Of a message without its user and without what a program adds for itself."""
    lines = octets.replace(b"\r\n", b"\n").replace(user.encode(), b"USER").split(b"\n")
    return sha256(b"\n".join(line for line in lines if not line.startswith(OWN))).hexdigest()


def maildir(folder: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return folder


class Program:
    name = ""

    def __init__(self, account: Account) -> None:
        self.account, self.folder = account, account.folder
        self.mail = self.folder / "mail"
        self.mail.mkdir(parents=True)
        self.wanted: dict[str, int] = {}
        """How many messages each mailbox has at the server: who has them all is done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs any longer."""

    def sync(self) -> None:
        raise NotImplementedError

    def change(self, new: Sequence[bytes], flagged: set[str], deleted: set[str]) -> None:
        """`new` goes into INBOX; `flagged` and `deleted` are subjects there."""
        inbox = self.mail / "INBOX"
        for path in [*inbox.glob("cur/*"), *inbox.glob("new/*")]:
            subject = _subject(path)
            if subject in deleted:
                path.unlink()
            elif subject in flagged:
                name, _, flags = path.name.partition(":2,")
                path.rename(inbox / "cur" / f"{name}:2,{''.join(sorted({*flags, 'F'}))}")
        for number, octets in enumerate(new):
            name = f"{1_800_000_000 + number}.n{number}.host:2,S"
            (inbox / "cur" / name).write_bytes(octets)

    def held(self) -> Held:
        found: Held = Counter()
        for path in self.mail.rglob("*"):
            if path.parent.name in ("cur", "new") and path.is_file():
                where = str(path.parent.parent.relative_to(self.mail))
                flags = path.name.partition(":2,")[2]
                found[where, digest(path.read_bytes(), self.account.user), flags] += 1
        return found

    def run(self, command: Sequence[str]) -> None:
        """Fails with what the program said."""
        env = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, timeout=self.account.patience, capture_output=True, env=env, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:].decode()


def _subject(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(2000)
    found = re.search(rb"(?m)^Subject: (.*?)\r?$", head)
    return found[1].decode() if found else ""


class Mbsync(Program):
    name = "mbsync"

    def sync(self) -> None:
        account = self.account
        (self.folder / "rc").write_text(f"""
IMAPAccount there
Host 127.0.0.1
Port {account.port}
User {account.user}
Pass {account.password}
SSLType None
AuthMechs PLAIN
Timeout 120

IMAPStore there
Account there

MaildirStore here
Path {self.mail}/
Inbox {self.mail}/INBOX
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
        self.run([need("mbsync"), "-c", str(self.folder / "rc"), "-a"])


class Offlineimap(Program):
    name = "offlineimap"

    def sync(self) -> None:
        account = self.account
        (self.folder / "rc").write_text(f"""
[general]
accounts = one
metadata = {self.folder}/state
[Account one]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {self.mail}
[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = {account.port}
remoteuser = {account.user}
remotepass = {account.password}
ssl = no
starttls = no
auth_mechanisms = PLAIN
""")
        command = [need("offlineimap"), "-c", str(self.folder / "rc"), "-o", "-u", "quiet"]
        self.run(command)


class Neomutt(Program):
    """`held` is what it copied last; what is changed, is changed at the server at once."""

    name = "neomutt"
    FOLDERS = ("INBOX", "Sent")

    def sync(self) -> None:
        for name in self.FOLDERS:
            shutil.rmtree(self.mail / name, ignore_errors=True)
            copied = maildir(self.mail / name)
            self._keys(f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copied}<enter>", name)

    def change(self, new: Sequence[bytes], flagged: set[str], deleted: set[str]) -> None:
        out = maildir(self.folder / "out")
        for number, octets in enumerate(new):
            (out / "cur" / f"{1_800_000_000 + number}.n{number}.host:2,S").write_bytes(octets)
        inbox = self._url("INBOX")
        self._keys(f"<tag-pattern>~A<enter><tag-prefix><copy-message>{inbox}<enter>", "", out)
        # neomutt's own choice of messages: by the header that says what is to be done with them
        self._keys(
            "<tag-pattern>~s '^flag '<enter><tag-prefix><set-flag>!"
            "<delete-pattern>~s '^drop '<enter><sync-mailbox>",
            "INBOX",
        )

    def _url(self, name: str) -> str:
        return f"imap://127.0.0.1:{self.account.port}/{name}"

    def _keys(self, keys: str, name: str, place: Path | None = None) -> None:
        account = self.account
        (self.folder / "rc").write_text(f"""
set imap_user="{account.user}" imap_pass="{account.password}" imap_authenticators="login"
set ssl_starttls=no ssl_force_tls=no imap_check_subscribed=no imap_peek=yes
set folder="{self.folder}" spoolfile="{self.folder}/none" record="" postponed="" mbox_type=Maildir
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no wait_key=no beep=no
set mark_old=no sort=mailbox-order auto_tag=no header_cache="" timeout=1
push "{keys}<quit>"
""")
        where = str(place) if place else self._url(name)
        command = [need("neomutt"), "-n", "-F", str(self.folder / "rc"), "-f", where]
        env = {**os.environ, "HOME": str(self.folder), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        said = self.folder / "screen"
        code = on_a_terminal(command, env, said, account.patience)
        assert code == 0, said.read_bytes()[-3000:]


def on_a_terminal(command: Sequence[str], env: dict[str, str], said: Path, patience: float) -> int:
    """Runs what insists on a terminal; what it draws goes to a file."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)

    def keep() -> None:
        with said.open("wb") as file:
            try:
                while octets := os.read(ours, 65_536):
                    file.write(octets)
            except OSError:
                pass  # the terminal is gone with its program

    reader = threading.Thread(target=keep, daemon=True)
    reader.start()
    try:
        return process.wait(patience)
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        os.close(ours)
