"""A scripted IMAP client: says its steps one by one and keeps all that it is told.

    talk = Talk(port, "alice@example.com")
    for step in SESSIONS["append"]:
        talk.take(step)
    lines = comparable(talk.end(), "alice@example.com")

A step is octets (sent as they are, then all is read up to the answer to its last tag, a "+" or
BYE), an `Other` (the same, by a second client of this user that has logged in), an `IfAsked` (the
same, if the server has just said "+"), a `Wait` (read on until that comes, unless the last step was
refused) or a `Scram`. In steps %u is the user, %p its PLAIN, %v the UIDVALIDITY and %m the
HIGHESTMODSEQ that were told last. Every password is "secret".
"""

import hashlib
import hmac
import re
import socket
from base64 import b64decode, b64encode
from dataclasses import dataclass

from proxy.imap.capabilities import shown

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
#: A status line's text is no place for a literal.
_TEXT = re.compile(rb"(\*|[a-z]) (OK|NO|BAD|BYE) ")


@dataclass(frozen=True)
class Other:
    step: bytes


@dataclass(frozen=True)
class IfAsked:
    step: bytes


@dataclass(frozen=True)
class Wait:
    text: bytes


@dataclass(frozen=True)
class Scram:
    """AUTHENTICATE SCRAM-SHA-256, both halves proven."""

    tag: bytes
    password: bytes = b"secret"


Step = bytes | Other | IfAsked | Wait | Scram


class Talk:
    def __init__(self, port: int, user: str) -> None:
        self.port, self.user, self.tag = port, user.encode(), b"*"
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.sock.makefile("rb")
        self.got: list[bytes] = []  # responses, each with its literals
        self.other: Talk | None = None
        self._until_answered()

    def _response(self) -> bytes:
        """One, whole; nothing at the end of the connection."""
        whole = line = self.file.readline()
        while not _TEXT.match(whole) and (found := _LITERAL.search(line)):
            line = self.file.read(int(found[1])) + self.file.readline()
            whole += line
        if whole:
            self.got.append(whole)
        return whole

    def _until_answered(self) -> None:
        ends = (b"+", b"* BYE", b"* BAD", self.tag + b" ")
        while (response := self._response()) and not response.startswith(ends):
            pass

    def take(self, step: Step) -> None:
        match step:
            case Other(text):
                if self.other is None:
                    self.other = Talk(self.port, self.user.decode())
                    self.other.take(b"a LOGIN %u secret")
                self.other.take(text)
            case IfAsked(text):
                if self.got[-1].startswith(b"+"):
                    self._say(text)
            case Wait(text):
                refused = self.got[-1].startswith((self.tag + b" BAD", self.tag + b" NO"))
                while not refused and (response := self._response()) and text not in response:
                    pass
            case Scram():
                self._scram(step)
            case _:
                self._say(self._filled(step))

    def _filled(self, step: bytes) -> bytes:
        so_far = b"".join(self.got)
        for key, pattern in ((b"%v", rb"UIDVALIDITY (\d+)"), (b"%m", rb"HIGHESTMODSEQ (\d+)")):
            if key in step:
                step = step.replace(key, re.findall(pattern, so_far)[-1])
        plain = b64encode(b"\0" + self.user + b"\0secret")
        return step.replace(b"%u", self.user).replace(b"%p", plain)

    def _say(self, text: bytes) -> None:
        tags = re.findall(rb"(?m)^([a-z])(?= |\r?$)", text)
        self.tag = tags[-1] if tags else self.tag
        self.sock.sendall(text + (b"\n" if b"\n" in text and b"\r\n" not in text else b"\r\n"))
        self._until_answered()

    def _scram(self, step: Scram) -> None:
        """RFC 5802 and 7677."""
        first = b"n=" + self.user + b",r=ours"
        self._say(step.tag + b" AUTHENTICATE SCRAM-SHA-256")
        self._say(b64encode(b"n,," + first))
        challenge = b64decode(self.got[-1][2:])
        given = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", step.password, b64decode(given[b"s"]), int(given[b"i"])
        )
        key = hmac.digest(salted, b"Client Key", "sha256")
        bare = b"c=biws,r=" + given[b"r"]
        text = b",".join([first, challenge, bare])
        signature = hmac.digest(hashlib.sha256(key).digest(), text, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._say(b64encode(bare + b",p=" + b64encode(proof)))
        if self.got[-1].startswith(b"+ "):
            server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), text, "sha256")
            assert b64decode(self.got[-1][2:]) == b"v=" + b64encode(server)
            self._say(b"")

    def end(self) -> bytes:
        """All that was told, the other client's behind ours."""
        try:
            self.sock.sendall(b"z LOGOUT\r\n")
            while self._response():
                pass
        except OSError:
            pass  # it has left before
        self.file.close()
        self.sock.close()
        return b"".join(self.got) + (self.other.end() if self.other else b"")


def comparable(got: bytes, user: str) -> list[str]:
    """The lines without what differs from user to user and from second to second.

    Under NOTIFY a server tells the state of a folder when it has looked at it, and may do so again
    when nothing has changed: what says nothing new is left out.
    """
    text = got.replace(user.encode(), b"USER").decode("utf-8", "replace")
    for pattern, put in (
        (r"\([^()]*\d\.\d+ secs?[^()]*\)", "(TIME)"),
        (r"\b1[78]\d{8}\b", "VALIDITY"),
        (r'"[ \d]\d-\w{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"', "DATE"),
        (r"SESSIONID=<[^>]*>", "SESSIONID"),
        (r"(MAILBOXID|EMAILID|THREADID) \([^)]*\)", r"\1 (OBJECT)"),
    ):
        text = re.sub(pattern, put, text)
    lines: list[str] = []
    notifies, told = False, set[str]()
    for line in text.split("\r\n"):
        notifies ^= bool(re.match(r"[a-z] OK NOTIFY ", line))
        status = re.match(r"\* STATUS (\S+) \((.*)\)", line) if notifies else None
        if status:
            items = {f"{status[1]} {item}" for item in re.findall(r"\w+ \w+", status[2])}
            if items <= told:
                continue
            told |= items
        found = re.search(r"CAPABILITY ([^\]]*)", line)
        if found and "IMAP4rev1" in line:
            kept = " ".join(token for token in found[1].split() if shown(token))
            line = line[: found.start(1)] + kept + line[found.end(1) :]
        challenge = re.fullmatch(r"\+ ([A-Za-z0-9+/=]{20,})", line)
        if challenge:  # of CRAM and SCRAM, new each time; what XOAUTH2 says of a failure is not
            said = b64decode(challenge[1])
            line = "+ " + (said.decode() if said[:1] == b"{" else "CHALLENGE")
        lines.append(line)
    return lines
