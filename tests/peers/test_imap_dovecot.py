"""The same session at a real Dovecot, directly and through the door: the same answers.

Two users of one server, one for each way; what must differ (names, times, UIDVALIDITY) is put
aside, and of the capabilities what the door hides on purpose.
"""

import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.imap.capabilities import shown
from tests.paths.doors import until
from tests.paths.imapdoors import ImapDoor
from tests.peers.dovecot import Dovecot

pytestmark = [pytest.mark.peers, pytest.mark.slow]

MESSAGE = (
    b"From: a@x.example\r\nTo: b@y.example\r\nSubject: one\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8K\r\n--b--\r\n"
)
N = len(MESSAGE)

#: What a client sends, each until its tag or a "+" is answered. %u is the user, %p its PLAIN.
SESSIONS: dict[str, list[bytes]] = {
    "before the login": [
        b'a ID ("name" "test")', b"b CAPABILITY", b"c NOOP", b"d SELECT INBOX", b"e XYZZY",
    ],
    "wrong passwords": [b"a LOGIN %u wrong", b'b LOGIN "%u" "secret"', b"c NOOP"],
    "login with literals": [b"a LOGIN {13+}\r\n%u {6+}\r\nsecret", b"b NOOP"],
    "login with waiting literals": [b"a LOGIN {13}", b"%u {6}", b"secret", b"b NOOP"],
    "authenticate": [b"a AUTHENTICATE PLAIN", b"*", b"b AUTHENTICATE PLAIN %p", b"c NOOP"],
    "pipelined": [b"a LOGIN %u secret\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT"],
    "bare LF": [b"a LOGIN %u secret\nb NOOP\nc STATUS INBOX (MESSAGES)"],
    "folders": [
        b"a LOGIN %u secret", b"b NAMESPACE", b'c LIST "" "*"', b"d CREATE Work",
        b'e CREATE "&ZeVnLIqe-"', b'f CREATE "{50}"', b'g LIST "" "*" RETURN (STATUS (MESSAGES))',
        b'h LIST (SUBSCRIBED) "" "*"', b"i SUBSCRIBE Work", b'j LSUB "" "*"', b"k RENAME Work W2",
        b"l DELETE W2", b'm STATUS "{50}" (MESSAGES SIZE)', b"n DELETE Nowhere",
    ],
    "append": [
        b"a LOGIN %u secret",
        b"b APPEND INBOX (\\Seen $Key) \"22-Nov-2026 09:00:00 +0900\" {%d}" % N, MESSAGE,
        b"c APPEND INBOX {%d+}\r\n" % N + MESSAGE,
        b"d APPEND INBOX {3+}\r\nabc {3+}\r\ndef (\\Flagged) {3+}\r\nghi",
        b"e APPEND INBOX ~{4+}\r\na\x00bc", b"f APPEND Nowhere {3+}\r\nabc",
        b"g APPEND Nowhere {30}", b"h NOOP", b"i APPEND INBOX {0+}\r\n",
        b"j APPEND INBOX CATENATE (TEXT {3+}\r\nabc TEXT {3+}\r\ndef)",
        b"k SELECT INBOX", b"l UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)",
    ],
    "fetch": [
        b"a LOGIN %u secret", b"b APPEND INBOX {%d+}\r\n" % N + MESSAGE, b"c SELECT INBOX",
        b"d FETCH 1 (UID BODY.PEEK[])", b"e FETCH 1 RFC822", b"f FETCH 1 (BODY[] FLAGS)",
        b"g UID FETCH 1:* (BODYSTRUCTURE ENVELOPE)", b"h FETCH 1 BODY[]<0.20>",
        b"i FETCH 1 (BODY[HEADER.FIELDS (FROM SUBJECT)] BODY[1] BODY[2.MIME])",
        b"j FETCH 1 BINARY[2]", b"k FETCH 1 BINARY.SIZE[2]", b"l FETCH 1 (PREVIEW SAVEDATE)",
        b"m FETCH 1 BODY[]<500000.10>", b"n FETCH 99 BODY[]", b"o FETCH 1 NONSENSE",
        b"p STORE 1 +FLAGS (\\Deleted)", b"q EXPUNGE", b"r FETCH 1 BODY[]",
    ],
    "search": [
        b"a LOGIN %u secret", b"b APPEND INBOX {%d+}\r\n" % N + MESSAGE, b"c SELECT INBOX",
        b"d SEARCH ALL", b"e UID SEARCH RETURN (MIN MAX COUNT) ALL", b'f SEARCH SUBJECT "{20}"',
        b"g SEARCH SUBJECT {3+}\r\none", b"h SEARCH SUBJECT {3}", b"one",
        b"i SORT (SUBJECT) UTF-8 ALL",
        b"j THREAD REFERENCES UTF-8 ALL", b"k SEARCH RETURN (SAVE) ALL", b"l FETCH $ FLAGS",
        b"m SEARCH OLDER 10",
        b"n UID SEARCH UID " + b",".join(b"%d" % n for n in range(1, 9000, 2)),
    ],
    "condstore and qresync": [
        b"a LOGIN %u secret", b"b ENABLE QRESYNC CONDSTORE",
        b"c APPEND INBOX {3+}\r\nabc {3+}\r\ndef {3+}\r\nghi", b"d SELECT INBOX",
        b"e UID STORE 1 (UNCHANGEDSINCE 99999) +FLAGS (\\Seen)",
        b"f UID STORE 2 +FLAGS (\\Deleted)",
        b"g UID EXPUNGE 2", b"h UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", b"i UNSELECT",
        b"j SELECT INBOX (QRESYNC (1 1))", b"k UID FETCH 1:* (UID BODY[])",
    ],
    "copy and move": [
        b"a LOGIN %u secret", b"b APPEND INBOX {3+}\r\nabc {3+}\r\ndef", b"c CREATE Work",
        b"d SELECT INBOX", b"e UID COPY 1 Work", b"f UID MOVE 1:2 Work", b"g COPY 1 Nowhere",
        b"h SELECT Work", b"i UID FETCH 1:* (UID BODY.PEEK[])", b"j MOVE 1 INBOX", b"k CLOSE",
        b"l STATUS INBOX (MESSAGES UIDNEXT)",
    ],
    "idle and notify": [
        b"a LOGIN %u secret", b"b SELECT INBOX", b"c IDLE", b"DONE\r\nd NOOP",
        b"e NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))",
        b"f APPEND INBOX {3+}\r\nabc", b"g NOTIFY NONE", b"h IDLE\r\nDONE\r\ni NOOP",
    ],
    "nonsense": [
        b"a LOGIN %u secret", b"b", b"c FETCH", b"d SELECT", b'e SELECT "', b"f LOGIN a b",
        b"g AUTHENTICATE PLAIN", b"h UID", b"i UID XYZZY 1", b"j NOOP extra",
        b"k SELECT {3+}\r\nabc",
    ],
}  # fmt: skip


class Talk:
    """One client, and all that it got."""

    def __init__(self, port: int, user: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.user, self.got, self.tag = user.encode(), b"", b"*"
        self._until()

    def _until(self) -> None:
        """The answer to the last tag, or a "+"."""
        begin = len(self.got)
        ends = (b"+", b"* BYE", self.tag + b" ")
        while not any(line.startswith(ends) for line in self.got[begin:].split(b"\r\n")[:-1]):
            piece = self.sock.recv(65_536)
            if not piece:
                return
            self.got += piece

    def say(self, step: bytes) -> None:
        plain = b64encode(b"\0" + self.user + b"\0secret")
        step = step.replace(b"%u", self.user).replace(b"%p", plain)
        tags = re.findall(rb"(?m)^([a-z])(?= |\r?$)", step)
        self.tag = tags[-1] if tags else self.tag
        self.sock.sendall(step + (b"\n" if b"\n" in step and b"\r\n" not in step else b"\r\n"))
        self._until()

    def end(self) -> bytes:
        try:
            self.sock.sendall(b"z LOGOUT\r\n")
            while piece := self.sock.recv(65_536):
                self.got += piece
        except OSError:
            pass  # it has left before
        self.sock.close()
        return self.got


def comparable(got: bytes, user: str) -> list[str]:
    """The lines without what differs from user to user and from second to second."""
    text = got.replace(user.encode(), b"USER").decode("utf-8", "replace")
    text = re.sub(r"\(\d\.\d+ \+ [^)]*secs\)", "(TIME)", text)
    text = re.sub(r"\b1[78]\d{8}\b", "VALIDITY", text)
    text = re.sub(r'"\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"', "DATE", text)
    text = re.sub(r"(SAVEDATE|INTERNALDATE) DATE", r"\1 DATE", text)
    lines = []
    for line in text.split("\r\n"):
        found = re.search(r"CAPABILITY ([^\]]*)", line)
        if found and "IMAP4rev1" in line:
            kept = " ".join(token for token in found[1].split() if shown(token))
            line = line[: found.start(1)] + kept + line[found.end(1) :]
        lines.append(line)
    return lines


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dovecot, ImapDoor]]:
    users = {f"{kind}{n:02}@y.example": "secret" for kind in "dt" for n in range(len(SESSIONS))}
    with Dovecot(users=users, relay_to=1) as dovecot:
        with ImapDoor(
            tmp_path_factory.mktemp("door"), f"imap://127.0.0.1:{dovecot.imap_port}"
        ) as door:
            yield dovecot, door


@pytest.mark.parametrize("name", SESSIONS)
def test_the_same_answers(ways: tuple[Dovecot, ImapDoor], name: str) -> None:
    dovecot, door = ways
    number = list(SESSIONS).index(name)
    got = []
    for port, user in (
        (dovecot.imap_port, f"d{number:02}@y.example"),
        (door.port, f"t{number:02}@y.example"),
    ):
        talk = Talk(port, user)
        for step in SESSIONS[name]:
            talk.say(step)
        got.append(comparable(talk.end(), user))
    direct, through = got
    assert len(direct) > len(SESSIONS[name])
    assert through == direct


def test_what_passed_is_captured_once(ways: tuple[Dovecot, ImapDoor]) -> None:
    """Ten reads and a move later a message is still one capture."""
    door = ways[1]
    user = "t00@y.example"

    def own() -> list[dict[str, Any]]:
        # Captures share a sync: another session's may come to light while this one runs.
        return [message for message in door.captured() if message["client"]["auth"] == user]

    before = len(own())
    talk = Talk(door.port, user)
    for step in [
        b"a LOGIN %u secret", b"b CREATE Once", b"c APPEND Once {3+}\r\nabc", b"d SELECT Once",
        *[b"e UID FETCH 1:* (FLAGS BODY.PEEK[])"] * 10, b"f CREATE Twice", b"g UID MOVE 1:* Twice",
        b"h SELECT Twice", b"i UID FETCH 1:* (UID BODY[])",
    ]:  # fmt: skip
        talk.say(step)
        if step[:1] == b"c":
            until(lambda: len(own()) > before, "it is durable, so it is known")
    talk.end()
    (message,) = own()[before:]
    assert message["imap"]["source"] == "imap_append"
