"""A mailbox that a mail program and another client change by turns, and what has to come of it.

    fill(dovecot, user, plan)
    seen = play(program, dovecot, user, plan)      # three syncs, changes on both sides between them
    seen.server == other_way.server

Every subject is there once, so that a message can be found again in the store.
"""

import imaplib
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.peers.dovecot import Dovecot
from tests.peers.programs import Held, Program, digest


def subject(number: int) -> str:
    """What is to be done with a message stands in its subject: neomutt chooses by it."""
    doing = {1: "flag", 2: "drop"}.get(number % 20, "keep")
    return f"{doing} {number}"


def message(number: int, user: str) -> bytes:
    """LF line ends, as a Maildir has it; every hundredth is large."""
    lines = 4000 if number % 100 == 0 else number % 50
    body = "".join(f"Line {n} of message {number}: 日本語 * OK {{5}}\n" for n in range(lines))
    return (
        f"From: a{number}@x.example\nTo: {user}\nSubject: {subject(number)}\n"
        f"Message-ID: <{number}@x.example>\nContent-Type: text/plain; charset=utf-8\n\n{body}"
    ).encode()


def written(kind: str, number: int, user: str) -> bytes:
    return (
        f"From: {user}\nTo: b{number}@x.example\nSubject: {kind} {number}\n"
        f"Message-ID: <{kind}{number}@y.example>\n\n{kind}, number {number}\n"
    ).encode()


#: Messages of one MULTIAPPEND.
AT_ONCE = 200


@dataclass(frozen=True)
class Plan:
    count: int

    @property
    def uploads(self) -> int:
        return max(5, self.count // 10)

    @property
    def sent(self) -> int:
        return max(5, self.count // 10)

    @property
    def later(self) -> int:
        """What arrives between two syncs."""
        return 5

    @property
    def subjects(self) -> set[str]:
        """Everything that a mail program has read or filed in the end."""
        return {
            *(subject(number) for number in range(self.count)),
            *(f"sent {number}" for number in range(self.sent)),
            *(f"new {number}" for number in range(self.uploads)),
            *(f"later {number}" for number in range(self.later)),
        }


@contextmanager
def at_the_server(dovecot: Dovecot, user: str) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4("127.0.0.1", dovecot.imap_port)
    client.login(user, "secret")
    yield client
    client.logout()


def fill(dovecot: Dovecot, user: str, plan: Plan) -> None:
    """INBOX and Sent, with flags, long ago."""
    with at_the_server(dovecot, user) as client:
        client.create("Sent")
        for name, count, made in (
            ("INBOX", plan.count, message),
            ("Sent", plan.sent, lambda number, user: written("sent", number, user)),
        ):
            for start in range(0, count, AT_ONCE):
                parts = [b"fill APPEND " + name.encode()]
                for number in range(start, min(start + AT_ONCE, count)):
                    octets = made(number, user).replace(b"\n", b"\r\n")
                    flags = ("", "\\Seen", "\\Answered \\Seen", "\\Flagged \\Seen")[number % 4]
                    date = imaplib.Time2Internaldate(1_700_000_000 + number)
                    parts.append(f" ({flags}) {date} {{{len(octets)}+}}\r\n".encode() + octets)
                client.send(b"".join([*parts, b"\r\n"]))
                answer = client.readline()
                assert answer.startswith(b"fill OK"), answer


def elsewhere(dovecot: Dovecot, user: str, plan: Plan) -> None:
    """Another client of this user: flags, deletes, files."""
    with at_the_server(dovecot, user) as client:
        client.select("INBOX")
        client.uid("STORE", f"1:{plan.count // 10}", "+FLAGS", "(\\Answered \\Seen)")
        client.uid("STORE", f"{plan.count // 10 + 1}:{plan.count // 5}", "+FLAGS", "(\\Deleted)")
        client.expunge()
        for number in range(plan.later):
            octets = written("later", number, user).replace(b"\n", b"\r\n")
            client.append("INBOX", "", imaplib.Time2Internaldate(time.time()), octets)


def at_server(dovecot: Dovecot, user: str) -> Held:
    """All mailboxes, without changing them."""
    found: Held = Counter()
    with at_the_server(dovecot, user) as client:
        for name in ("INBOX", "Sent"):
            client.select(name, readonly=True)
            _, answers = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
            for answer in answers:
                if isinstance(answer, tuple):
                    flags = re.search(rb"FLAGS \(([^)]*)\)", answer[0])
                    assert flags is not None, answer[0]
                    kept = sorted(flags[1].replace(b"\\Recent", b"").split())
                    found[name, digest(answer[1], user), b" ".join(kept).decode()] += 1
    return found


def counts(dovecot: Dovecot, user: str) -> dict[str, int]:
    found = {}
    with at_the_server(dovecot, user) as client:
        for name in ("INBOX", "Sent"):
            found[name] = int(client.select(name, readonly=True)[1][0] or b"0")
    return found


@dataclass
class Seen:
    """After each sync what was at the client and at the server, and the seconds it took."""

    client: list[Held] = field(default_factory=list)
    server: list[Held] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def play(program: Program, dovecot: Dovecot, user: str, plan: Plan) -> Seen:
    """First sync; changes here; changes there."""
    seen = Seen()

    def step() -> None:
        program.wanted = counts(dovecot, user)
        begin = time.monotonic()
        program.sync()
        seen.seconds.append(time.monotonic() - begin)
        seen.client.append(program.held())
        seen.server.append(at_server(dovecot, user))

    step()
    begin = time.monotonic()
    program.change(
        [written("new", number, user) for number in range(plan.uploads)],
        {subject(number) for number in range(plan.count) if number % 20 == 1},
        {subject(number) for number in range(plan.count) if number % 20 == 2},
    )
    changed = time.monotonic() - begin
    step()
    seen.seconds[-1] += changed
    elsewhere(dovecot, user, plan)
    step()
    return seen
