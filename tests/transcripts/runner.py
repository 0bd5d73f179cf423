"""Plays a written conversation through the dialogue, without a socket, cut at any place.

    C: what the client says              and the server must get, octet for octet
    S: what the server says              and the client must get
    C! what the client says, and the server must not get
    S! what the server says, and the client must not get so
    c: what the client gets instead, or from us
    # a comment

Every line stands for itself and CRLF; a literal is just as many octets of the lines that follow. A
line "C. " or "S. " has no CRLF behind it. At the end stand the expectations, in any order:

    = captured imap_fetch INBOX 5/7 "Subject: x\\r\\n" \\Seen
    = blind partial
    = user alice@example.com
    = ended BYE
    = starttls

Before the first line: `tls: starttls` (we offer it, passwords must not cross in clear).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.imap.capabilities import OurLeg
from proxy.imap.dialogue import SHORT, Dialogue
from proxy.imap.login import Found, account
from proxy.imap.message import Meta, Outcome
from proxy.imap.observer import Observer

FOLDER = Path(__file__).parent
Cut = Callable[[bytes], Iterator[bytes]]


@dataclass
class Script:
    """A file, read."""

    steps: list[tuple[str, bytes]] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    starttls: bool = False

    @classmethod
    def read(cls, path: Path) -> Script:
        script = cls()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            mark, text = line[:2], line[3:].encode("utf-8")
            if not line.strip() or mark[0] == "#":
                continue
            if line == "tls: starttls":
                script.starttls = True
            elif mark[0] == "=":
                script.expected.append(line[2:])
            elif mark in ("C:", "S:", "C!", "S!", "c:"):
                script.steps.append((mark, text + b"\r\n"))
            elif mark in ("C.", "S."):
                script.steps.append((mark[0] + ":", text))
            else:
                raise AssertionError(f"{path.name}:{number}: {line}")
        return script

    def said(self, *marks: str) -> bytes:
        return b"".join(text for mark, text in self.steps if mark in marks)


class Taken:
    """A sink that remembers."""

    def __init__(self, meta: Meta, play: Play) -> None:
        self.meta, self.play = meta, play
        self.chunks: list[bytes] = []
        self.open = True
        self.kept = False
        play.sinks.append(self)

    def write(self, chunk: bytes | memoryview) -> None:
        if self.open:
            self.chunks.append(bytes(chunk))

    def finish(
        self, outcome: Outcome, reply: str = "", *, learned: dict[str, int] | None = None
    ) -> None:
        assert self.open
        self.open = False
        meta = self.meta
        validity, uid = meta.uidvalidity, meta.uid
        if learned:
            validity, uid = learned["uidvalidity"], learned["uid"]
        if meta.source != "imap_append" and self.play.is_known(meta.mailbox, validity, uid):
            return
        self.kept = True
        body = ast.unparse(ast.Constant(b"".join(self.chunks).decode("utf-8", "replace")))
        words = [meta.source, meta.mailbox, f"{validity or '-'}/{uid or '-'}", body]
        if outcome != "accepted":
            words.insert(0, outcome)
        if meta.internaldate:
            words.append(meta.internaldate)
        self.play.results.append(" ".join(["captured", *words, *meta.keywords]))
        if validity and uid:
            self.play.learn(meta.mailbox, validity, uid)

    def discard(self) -> None:
        self.open = False


class Play:
    """Host and World of one dialogue, and what came of it."""

    most = 10_000_000
    largest = 1_000_000

    def __init__(self, script: Script, short: bool = True) -> None:
        """`short`: lines that nobody needs to understand go the short way, as in a session."""
        self.script = script
        self.short = short
        self.to_client = b""
        self.to_server = b""
        self.results: list[str] = []
        self.sinks: list[Taken] = []
        self.known: set[tuple[str, int, int]] = set()
        self.refused = False
        self.leg = OurLeg(script.starttls, not script.starttls)
        self.dialogue = Dialogue(self, self.leg)
        self.kept = {"client": b"", "server": b""}

    # Host and World

    def login_blocked(self) -> bool:
        return False

    def login(self, found: Found, mechanism: str, ok: bool, words: bytes) -> Observer | None:
        if not ok:
            return None
        user = account(found.user, ["example.com"])
        self.results.append(f"user {user}")
        if found.credentials is not None:
            self.results.append(f"credentials {found.credentials.secret.reveal()}")
        return Observer(self, user)

    def begin(self, meta: Meta) -> Taken:
        return Taken(meta, self)

    def is_known(self, mailbox: str, uidvalidity: int | None, uid: int | None) -> bool:
        return (mailbox, uidvalidity, uid) in self.known

    def learn(self, mailbox: str, uidvalidity: int, uid: int) -> None:
        self.known.add((mailbox, uidvalidity, uid))

    def selected(self, mailbox: str, uidvalidity: int) -> None:
        pass

    def blind(self, reason: str) -> None:
        self.results.append(f"blind {reason}")

    # The edge's part

    def run(self, cut: Cut) -> None:
        for mark, text in self.script.steps:
            if mark[0] != "c":
                for piece in cut(text):
                    self.feed("client" if mark[0] == "C" else "server", piece)
        self.dialogue.lost()

    def feed(self, side: str, data: bytes) -> None:
        if self.dialogue.ended:
            return
        buffer = bytearray(self.kept[side] + data)
        if self.short and not self.kept[side] and len(data) <= SHORT:
            plain = self.dialogue.plain_command if side == "client" else self.dialogue.plain_answer
            if plain(buffer, len(buffer)):
                if side == "client":
                    self.to_server += data
                else:
                    self.to_client += data
                return
        dialogue, size = self.dialogue, len(buffer)
        ahead = dialogue.passing(size) if side == "client" else dialogue.passing_back(buffer, size)
        take = self.dialogue.from_client if side == "client" else self.dialogue.from_server
        taken = take(buffer, len(buffer))
        if ahead:  # the edge has sent it on before
            assert taken == size and not dialogue.edits and not dialogue.ended, bytes(buffer)
        self.kept[side] = bytes(buffer[taken:])
        passing, at = b"", 0
        for start, stop, fresh in self.dialogue.edits:
            assert at <= start <= stop <= taken
            passing += buffer[at:start] + fresh
            at = stop
            self.refused = self.refused or (side == "client" and not fresh)
        passing += buffer[at:taken]
        if side == "server":
            self.to_client += passing
        elif not self.dialogue.ended:
            self.to_server += passing
        self._speak()
        if side == "server" and self.kept["client"] and not self.dialogue.client.hold:
            self.feed("client", b"")

    def _speak(self) -> None:
        dialogue = self.dialogue
        if dialogue.say and dialogue.server.between:
            self.to_client += dialogue.say
            self.refused = True
            dialogue.say = b""
        if dialogue.ended:
            self.to_client += dialogue.ended
            self.results.append("ended " + dialogue.ended.split()[1].decode())
        if dialogue.start_tls is not None:
            self.to_client += dialogue.start_tls + b" OK Begin TLS negotiation now\r\n"
            dialogue.start_tls = None
            self.kept["client"] = b""
            self.leg.starttls, self.leg.clear = False, True
            dialogue.client.hold = False
            self.results.append("starttls")
