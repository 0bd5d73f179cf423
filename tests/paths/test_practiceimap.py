"""The practice mail server's IMAP: what `mailweir try` and a mail program ask of it."""

import imaplib
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from proxy.practiceboxes import KEEP, Mailboxes
from proxy.practiceimap import LITERALS, PracticeImap
from tests.ports import free_port

USER = "alice@example.com"
MAIL = b"From: a@x.example\r\nSubject: one\r\n  two\r\nX-More: 1\r\n\r\nhello\r\n"
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[PracticeImap]:
    found = PracticeImap("127.0.0.1", free_port(), {USER: "pw"}, Mailboxes([USER]))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def client(server: PracticeImap) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(*server._address, timeout=10) as found:
        found.login(USER, "pw")
        yield found


def test_filed_read_flagged_and_moved(client: imaplib.IMAP4) -> None:
    code, words = client.append("Sent", "(\\Seen $Mine)", imaplib.Time2Internaldate(NOW), MAIL)
    assert code == "OK" and re.fullmatch(rb"\[APPENDUID \d{10} 1\] filed", words[0])
    client.select("Sent")
    _, got = client.fetch("1", "(UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])")
    head = f'1 (UID 1 FLAGS ($Mine \\Seen) RFC822.SIZE {len(MAIL)} INTERNALDATE "30-Nov-2026'
    assert isinstance(got[0], tuple)
    assert got[0][0].decode().startswith(head) and got[0][1] == MAIL
    _, got = client.fetch("1", "(BODY[HEADER.FIELDS (Subject)] BODY[TEXT]<0.3>)")
    assert [part[1] for part in got if isinstance(part, tuple)] == [
        b"Subject: one\r\n  two\r\n\r\n", b"hel"
    ]  # fmt: skip
    client.copy("1", "INBOX")
    assert client.uid("MOVE", "1", "Trash")[0] == "OK"
    assert client.select("Sent")[1] == [b"0"] and client.select("INBOX")[1] == [b"1"]
    client.store("1", "+FLAGS", "(\\Deleted)")
    assert client.search(None, "DELETED")[1] == [b"1"]
    assert client.search(None, "SINCE", "01-Dec-2026")[1] == [b""]
    assert client.uid("SEARCH", "NOT DELETED UID 1:*")[1] == [b""]
    assert client.expunge()[1] == [b"1"]


def test_bodies_are_read_unseen_where_they_should_be(
    server: PracticeImap, client: imaplib.IMAP4
) -> None:
    server.mailboxes.deliver("a@x.example", [USER, "else@x.example"], MAIL, NOW)
    (mail,) = server.mailboxes.of(USER)["INBOX"].mails
    assert mail.content.endswith(MAIL) and mail.content.startswith(b"Return-Path: <a@x.example>\r")
    client.select("INBOX", readonly=True)
    client.fetch("1", "(BODY[])")
    client.select("INBOX")
    client.fetch("1", "(BODY.PEEK[] RFC822.HEADER)")
    assert mail.flags == set()
    client.fetch("1", "(RFC822)")
    assert mail.flags == {"\\Seen"}
    assert b"UNSEEN 0" in client.status("INBOX", "(UNSEEN MESSAGES)")[1][0]


def test_what_comes_meanwhile_is_told(server: PracticeImap) -> None:
    with socket.create_connection(server._address, 10) as sock:
        sock.sendall(b"a LOGIN alice@example.com pw\r\nb SELECT INBOX\r\nc IDLE\r\n")
        time.sleep(0.3)
        server.mailboxes.put(USER, "INBOX", MAIL, NOW)
        got = b""
        while b"* 1 EXISTS" not in got:
            got += sock.recv(4096)
        sock.sendall(b"DONE\r\nd LOGOUT\r\n")
        while piece := sock.recv(4096):
            got += piece
    assert got.endswith(b"c OK done\r\n* BYE come again\r\nd OK done\r\n")


def test_a_client_that_does_not_read_holds_up_nobody(server: PracticeImap) -> None:
    for _ in range(30):
        server.mailboxes.put(USER, "INBOX", b"x" * 1_000_000, NOW)
    with socket.create_connection(server._address, 10) as sock:
        sock.sendall(f"a LOGIN {USER} pw\r\nb SELECT INBOX\r\n".encode())
        sock.sendall(b"c FETCH 1:* BODY.PEEK[]\r\n")
        while b"FETCH (BODY" not in sock.recv(65_536, socket.MSG_PEEK):
            sock.recv(1)
        delivering = threading.Thread(
            target=server.mailboxes.deliver, args=("a@x.example", [USER], MAIL, NOW), daemon=True
        )
        delivering.start()
        delivering.join(10)
        assert not delivering.is_alive()


def test_numbers_do_not_change_while_they_are_spoken_of(
    server: PracticeImap, client: imaplib.IMAP4
) -> None:
    for _ in range(3):
        server.mailboxes.put(USER, "INBOX", MAIL, NOW)
    client.select("INBOX")
    with imaplib.IMAP4(*server._address, timeout=10) as other:
        other.login(USER, "pw")
        other.select("INBOX")
        other.store("1", "+FLAGS", "(\\Deleted)")
        assert other.expunge()[1] == [b"1"]
    for command in (client.fetch("2:3", "(UID)"), client.store("3", "+FLAGS", "(\\Seen)")):
        assert command[0] == "OK" and client.response("EXPUNGE")[1] == [None]
    assert client.fetch("2:3", "(UID)")[1] == [b"2 (UID 2)", b"3 (UID 3)"]
    assert client.noop()[0] == "OK" and client.response("EXPUNGE")[1] == [b"1"]
    assert client.fetch("1:2", "(UID)")[1] == [b"1 (UID 2)", b"2 (UID 3)"]


def test_what_is_opened_read_only_stays_as_it_is(
    server: PracticeImap, client: imaplib.IMAP4
) -> None:
    server.mailboxes.put(USER, "INBOX", MAIL, NOW, ["\\Deleted"])
    client.select("INBOX", readonly=True)
    assert client._simple_command("EXPUNGE")[0] == "NO"
    assert client._simple_command("MOVE", "1", "Trash")[0] == "NO"
    assert client._simple_command("STORE", "1", "FLAGS", "()")[0] == "NO"
    client.close()
    assert client.select("INBOX")[1] == [b"1"]


def test_names_and_flags_that_could_not_be_told_again_are_refused(client: imaplib.IMAP4) -> None:
    before = client.list()[1]
    for name in ('""', '"/"', "inbox", "InBox/", "{8+}\r\nx\r\n* BYE", '"a\tb"', '"a\\"b"'):
        assert client.create(name)[0] == "NO"
    assert client.list()[1] == before
    client.append("INBOX", "", imaplib.Time2Internaldate(NOW), MAIL)
    client.select("INBOX")
    for flag in ('"a b"', '"x)"', '"\\\\"', '""'):
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            client.store("1", "+FLAGS", f"({flag})")
    assert client.fetch("1", "(FLAGS)")[1] == [b"1 (FLAGS ())"]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"x", b"x LOGIN a", b"x LOGIN a b c", b"x SELECT INBOX", b"x __init__", b"x SAY hi",
        b"x AUTHENTICATE CRAM-MD5", b'x LOGIN "', b"x LOGIN (a b)",
    ],
)  # fmt: skip
def test_nonsense_before_the_login_is_refused(server: PracticeImap, line: bytes) -> None:
    with socket.create_connection(server._address, 10) as sock:
        sock.sendall(line + b"\r\ny NOOP\r\n")
        got = b""
        while b"y OK" not in got:
            got += sock.recv(4096)
    assert b"BAD" in got or b"NO" in got


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (ENVELOPE)", "FETCH x (UID)", "FETCH", "SELECT Nowhere", "APPEND Nowhere x",
        "STORE 1 FLAGS", "COPY 1 INBOX", "SEARCH TEXT x", "SELECT ()", "LOGIN a b", "LIST",
        f"LOGIN {USER} pw", "DELETE INBOX", "CREATE INBOX", "STATUS INBOX",
        "APPEND INBOX", "APPEND INBOX (\\Seen)",
    ],
)  # fmt: skip
def test_nonsense_in_a_session_is_refused(server: PracticeImap, command: str) -> None:
    with socket.create_connection(server._address, 10) as sock:
        file = sock.makefile("rb")
        sock.sendall(f"a LOGIN {USER} pw\r\nx {command}\r\n".encode())
        while not (line := file.readline()).startswith(b"x "):
            assert line
        assert line.split()[1] in (b"BAD", b"NO")
        sock.sendall(b"y NOOP\r\n")
        assert file.readline().startswith(b"y OK")


def test_a_command_of_many_literals_is_refused(server: PracticeImap) -> None:
    with socket.create_connection(server._address, 10) as sock:
        sock.sendall(b"x LOGIN" + b" {1+}\r\na" * (LITERALS + 1) + b"\r\n")
        got = b""
        while piece := sock.recv(4096):
            got += piece
    assert got.endswith(b"x NO [TOOBIG] too large\r\n")


def test_a_mailbox_keeps_so_much_and_no_more() -> None:
    boxes = Mailboxes([USER])
    for _ in range(KEEP + 5):
        boxes.put(USER, "INBOX", MAIL, NOW)
    assert [boxes.of(USER)["INBOX"].mails[at].uid for at in (0, -1)] == [6, KEEP + 5]
    assert sum(boxes.create(USER, f"box {n}") for n in range(100)) == 45


def test_a_later_server_has_other_uidvalidities() -> None:
    """Its messages would be taken for those that `try --data` has seen before."""
    first = {box.validity for box in Mailboxes([USER], now=1000.0).of(USER).values()}
    later = {box.validity for box in Mailboxes([USER], now=1010.0).of(USER).values()}
    assert not first & later
