"""The IMAP door on real sockets: greeting, logins, TLS, limits, PROXY, and its end."""

import ipaddress
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import certificate_for
from tests.paths.doors import until
from tests.paths.imapdoors import FakeImap, ImapDoor

REFUSES: dict[str, bytes | None] = {"LOGIN": b"{tag} NO [AUTHENTICATIONFAILED] Nice try.\r\n"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeImap, ImapDoor]]:
    """A door without TLS before a server that says OK."""
    with FakeImap() as server:
        with ImapDoor(tmp_path_factory.mktemp("door"), server.url) as door:
            yield server, door


@pytest.fixture(scope="module")
def tls_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeImap, ImapDoor]]:
    with FakeImap() as server:
        with ImapDoor(tmp_path_factory.mktemp("door"), server.url, tls="starttls") as door:
            yield server, door


@pytest.fixture(scope="module")
def strict_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeImap, ImapDoor]]:
    """A door that wants TLS of its server."""
    with FakeImap() as server:
        strict = 'upstream_tls = "require"'
        with ImapDoor(tmp_path_factory.mktemp("door"), server.url, listener=strict) as door:
            yield server, door


def test_the_greeting_is_the_servers_but_for_the_list(pair: tuple[FakeImap, ImapDoor]) -> None:
    with pair[1].client() as c:
        assert c.line() == "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ AUTH=PLAIN] hi"


def test_a_greeting_that_was_heard_before_and_one_that_was_not(tmp_path: Path) -> None:
    with FakeImap() as server, ImapDoor(tmp_path, server.url) as door:
        for greeting, ours in (
            (b"* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi", "[CAPABILITY IMAP4rev1] hi"),
            (b"* OK [CAPABILITY IMAP4rev1 ID] hi", "[CAPABILITY IMAP4rev1 ID] hi"),
            (b"* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi", "[CAPABILITY IMAP4rev1] hi"),
        ):
            for _ in range(2):
                server.greeting = greeting
                with door.client() as c:
                    assert c.line() == f"* OK {ours}"
                    assert c.ask("a NOOP") == "a OK done"
                assert server.lines == [b"a NOOP\r\n"]
                server.lines.clear()
        for greeting, words in (
            (b"* OK [CAPABILITY IMAP4rev1] hi\r\nx", "* BYE"), (b"* BYE no more", "* BYE"),
        ):  # fmt: skip
            for _ in range(2):
                server.greeting = greeting
                with door.client() as c:
                    assert c.line().startswith(words)


def test_a_greeting_without_a_list_is_asked_for_one_each_time(tmp_path: Path) -> None:
    answers: dict[str, bytes | None] = {"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n{tag} OK ok\r\n"}
    with FakeImap(b"* OK hi", answers=answers) as server, ImapDoor(tmp_path, server.url) as door:
        for _ in range(2):
            with door.client() as c:
                assert c.line() == "* OK [CAPABILITY IMAP4rev1] hi"
            assert server.lines == [b"mwcaps CAPABILITY\r\n"]
            server.lines.clear()


def test_a_wrong_password_gets_the_servers_words_and_the_connection_stays(
    pair: tuple[FakeImap, ImapDoor],
) -> None:
    server, door = pair
    with door.client() as c:
        c.line()
        server.answers = REFUSES
        try:
            assert c.ask("a LOGIN alice wrong") == "a NO [AUTHENTICATIONFAILED] Nice try."
        finally:
            server.answers = {}
        assert c.ask("b LOGIN alice right") == "b OK done"
        assert c.ask("c NOOP") == "c OK done"


def test_commands_behind_a_login_come_in_order(pair: tuple[FakeImap, ImapDoor]) -> None:
    server, door = pair
    with door.client() as c:
        c.line()
        before = len(server.lines)
        c.send(b"a LOGIN alice pw\r\nb SELECT INBOX\r\nc NOOP\r\n")
        assert [c.line() for _ in range(3)] == ["a OK done", "b OK done", "c OK done"]
        assert server.lines[before:] == [
            b"a LOGIN alice pw\r\n",
            b"b SELECT INBOX\r\n",
            b"c NOOP\r\n",
        ]


@pytest.mark.parametrize(
    "bomb",
    [b"a LOGIN {9999999999}\r\n", b"a LOGIN {2000000+}\r\n", b"x" * 1_000_000],
    ids=["literal", "literal-plus", "line"],
)
def test_nobody_gets_room_before_the_login(pair: tuple[FakeImap, ImapDoor], bomb: bytes) -> None:
    server, door = pair
    before, memory = len(server.lines), door.rss()
    with door.client() as c:
        c.line()
        try:
            c.send(bomb)
        except OSError:
            pass  # the door has closed meanwhile
        assert b"+ " not in (said := c.rest()) and (b"* BYE" in said or bomb[:1] == b"x")
    assert len(server.lines) == before
    assert door.rss() < memory + 3_000_000


def test_what_is_refused_here_costs_patience(pair: tuple[FakeImap, ImapDoor]) -> None:
    with pair[1].client() as c:
        c.line()
        for _ in range(20):
            c.send(b"a COMPRESS DEFLATE\r\n")
        assert c.rest().endswith(b"* BYE Too many refused commands\r\n")


def test_a_client_that_does_not_read_is_waited_for(pair: tuple[FakeImap, ImapDoor]) -> None:
    server, door = pair
    size = 60_000_000
    server.answers = {
        "FETCH": b"* 1 FETCH (BODY[1] {%d}\r\n" % size + b"x" * size + b")\r\n{tag} OK done\r\n"
    }
    try:
        with door.client() as c:
            c.login()
            memory = door.rss()
            c.send(b"a FETCH 1 BODY[1]\r\n")
            time.sleep(0.5)
            assert door.rss() < memory + 3_000_000
            got = 0
            while got < size + 40:
                got += len(c.sock.recv(1 << 20))
    finally:
        server.answers = {}


def test_a_server_that_does_not_read_is_waited_for(tmp_path: Path) -> None:
    """The other way round: what a client files waits at the client, and comes whole."""
    size = 60_000_000
    reads, got = threading.Event(), bytearray()

    def holds(client: socket.socket) -> None:
        client.sendall(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n")
        said = b""
        while not said.endswith(b"secret-of-alice\r\n"):
            said += (more := client.recv(1000))
            assert more, said
        client.sendall(b"in OK done\r\n")
        reads.wait(60)
        while not got.endswith(b"y\r\n"):
            got.extend(more := client.recv(1 << 20))
            assert more, "the door has left"
        client.sendall(b"a OK [APPENDUID 7 8] filed\r\n")
        raise EOFError

    with (
        FakeImap(on_connect=holds) as server,
        ImapDoor(
            tmp_path, server.url, more="[journal]\nmin_free = 0\n[capture]\ncompanion = false"
        ) as door,
        door.client() as c,
    ):
        c.login()
        memory = door.rss()
        command = b"a APPEND INBOX {%d+}\r\n" % size + b"x" * (size - 1) + b"y\r\n"
        sending = threading.Thread(target=c.sock.sendall, args=(command,), daemon=True)
        sending.start()
        time.sleep(0.5)
        assert sending.is_alive()
        assert door.rss() < memory + 12_000_000  # pieces of a big file on their way included
        reads.set()
        assert c.line() == "a OK [APPENDUID 7 8] filed"
        assert bytes(got) == command
        until(lambda: door.captured(), "captured")
        assert door.captured()[0]["size"] == size


def test_starttls_and_what_was_said_in_clear_is_thrown_away(
    tls_pair: tuple[FakeImap, ImapDoor],
) -> None:
    server, door = tls_pair
    before = len(server.lines)
    with door.client() as c:
        assert c.line() == "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ STARTTLS LOGINDISABLED] hi"
        assert c.ask("p LOGIN alice pw").startswith("p NO [PRIVACYREQUIRED]")
        c.send(b"a STARTTLS\r\nx LOGIN mallory pw\r\n")
        assert c.line().startswith("a OK")
        assert c.handshake().startswith("TLSv1.")
        assert c.ask("b LOGIN alice pw") == "b OK done"
    assert server.lines[before:] == [b"b LOGIN alice pw\r\n"]


def test_implicit_tls_on_both_legs(tmp_path: Path) -> None:
    ca = certificate_for().ca
    listener = f'upstream_tls = "verify"\nupstream_ca = "{ca}"'
    with FakeImap(tls="implicit") as server:
        door = ImapDoor(tmp_path, server.url, tls="implicit", listener=listener)
        with door, door.client() as c:
            c.handshake()
            c.login()
            assert c.ask("a NOOP") == "a OK done"
            assert c.quiet()
        assert len(server.in_tls) == 2


@pytest.mark.parametrize(
    ("greeting", "answers"),
    [
        (b"* OK [CAPABILITY IMAP4rev1] no TLS here", {}),
        (b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] come in", {}),
        (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", {"STARTTLS": b"{tag} NO not today\r\n"}),
        (b"* BYE go away", {}),
        (b"220 mail.example.com ESMTP", {}),
    ],
    ids=["stripped", "preauth", "refused", "bye", "smtp"],
)
def test_a_server_without_tls_sees_nothing_of_us(
    strict_pair: tuple[FakeImap, ImapDoor], greeting: bytes, answers: dict[str, bytes | None]
) -> None:
    server, door = strict_pair
    server.greeting, server.answers, before = greeting, answers, len(server.lines)
    with door.client() as c:
        assert c.line().startswith("* BYE [UNAVAILABLE] ")
    assert [line.split()[1] for line in server.lines[before:]] in ([], [b"STARTTLS"])


def test_starttls_to_the_server_and_injected_answers_are_thrown_away(tmp_path: Path) -> None:
    answers: dict[str, bytes | None] = {
        "STARTTLS": b"{tag} OK begin\r\n* CAPABILITY IMAP4rev1 IDLE\r\nmwcaps OK done\r\n",
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 MOVE\r\n{tag} OK done\r\n",
    }
    with FakeImap(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", answers=answers) as server:
        with ImapDoor(tmp_path, server.url) as door, door.client() as c:
            assert c.line() == "* OK [CAPABILITY IMAP4rev1 MOVE] hi"
            c.send(b"a NOOP\r\n")
            assert c.line() == "a OK done"
        assert server.in_tls == [b"mwcaps CAPABILITY\r\n", b"a NOOP\r\n"]


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with ImapDoor(tmp_path, f"imap://127.0.0.1:{nobody.getsockname()[1]}") as door:
            with door.client() as c:
                assert c.rest().startswith(b"* BYE [UNAVAILABLE] ")


def test_a_server_that_leaves_in_the_middle(pair: tuple[FakeImap, ImapDoor]) -> None:
    server, door = pair
    server.answers = {"NOOP": None}
    try:
        with door.client() as c:
            c.login()
            c.send(b"a NOOP\r\n")
            assert c.rest().startswith(b"* BYE [UNAVAILABLE] ")
    finally:
        server.answers = {}


def test_a_session_of_many_commands_goes_on_and_ends_as_others_do(
    pair: tuple[FakeImap, ImapDoor],
) -> None:
    """After some commands its sockets are watched in another way (decision 0115)."""
    _, door = pair
    with door.client().login() as c:
        for number in range(50):
            assert c.ask(f"n{number} NOOP") == f"n{number} OK done"
            if number % 20 == 19:  # what comes in between is no short line
                c.send(b"s SELECT INBOX\r\nx NOOP\r\n")
                assert [c.line(), c.line()] == ["s OK done", "x OK done"]
    with door.client().login() as c:
        assert c.ask("a NOOP") == "a OK done", "the number of a socket that was closed"


def test_the_proxy_header_says_who_connects_and_the_server_hears_of_it(tmp_path: Path) -> None:
    listener = (
        'proxy_protocol = true\nproxy_from = ["127.0.0.1"]\nupstream_client = "id"\n'
        "max_connections_per_client = 2"
    )
    with FakeImap(answers={"ID": b"* ID NIL\r\n{tag} OK done\r\n"}) as server:
        with ImapDoor(tmp_path, server.url, listener=listener) as door:
            with door.client() as c:
                for part in (b"PROXY TC", b"P4 192.0.2.7 127.0.0.1 777 143\r\na NO", b"OP\r\n"):
                    c.send(part)
                    time.sleep(0.05)
                assert c.line().startswith("* OK ")
                assert c.line() == "a OK done"
            (said, noop) = server.lines
            assert b'"x-originating-ip" "192.0.2.7" "x-originating-port" "777"' in said
            assert noop == b"a NOOP\r\n"
            with door.client() as c:
                c.send(b"a LOGIN without header\r\n")
                assert c.rest() == b""
            with door.client(source="127.0.0.2") as c:
                assert c.rest() == b"", "not one of the balancers"


def test_the_proxy_header_goes_on_to_the_server(tmp_path: Path) -> None:
    seen: list[bytes] = []
    with FakeImap(on_connect=lambda sock: seen.append(sock.recv(200))) as server:
        with ImapDoor(tmp_path, server.url, listener='upstream_client = "proxy"') as door:
            with door.client() as c:
                port = c.sock.getsockname()[1]
                assert c.line().startswith("* OK ")
    (line,) = seen
    kind, source, target, source_port, _ = line.decode().split()[1:]
    assert (kind, source, source_port) == ("TCP4", "127.0.0.1", str(port))
    assert ipaddress.ip_address(target).is_loopback


def test_limits_of_an_address_and_of_a_user(tmp_path: Path) -> None:
    listener = "max_connections_per_client = 3\nmax_connections_per_user = 2"
    with FakeImap() as server, ImapDoor(tmp_path, server.url, listener=listener) as door:
        first, second = door.client().login(), door.client().login("Alice@Y.example")
        with door.client() as third:
            third.line()
            assert third.ask("a LOGIN alice pw").startswith("a NO [LIMIT]"), "alice@y.example"
            third.rest()
        with door.client() as again:
            assert again.line().startswith("* OK ")
            with door.client() as fourth:
                assert fourth.line() == "* BYE [UNAVAILABLE] Too many connections"
        first.close()
        second.close()
        until(lambda: _may(door), "there is room again")


def _may(door: ImapDoor) -> bool:
    with door.client() as c:
        return c.line().startswith("* OK ")


def test_who_says_nothing_has_to_go(tmp_path: Path) -> None:
    with FakeImap() as server, ImapDoor(tmp_path, server.url, listener='login_timeout = "1s"') as d:
        with d.client() as c:
            c.line()
            assert c.rest() == b"* BYE Nothing was said for too long\r\n"


def test_out_of_descriptors_the_queue_waits_and_the_log_is_not_filled(tmp_path: Path) -> None:
    with FakeImap() as server, ImapDoor(tmp_path, server.url) as door:
        pid = door.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        has = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (has, before[1]))
        with door.client() as c:
            until(lambda: _refused(door) >= 2, "the door has tried and waited")
            assert _refused(door) <= 10, "once a second, not at each turn of the loop"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert c.line().startswith("* OK ")


def _refused(door: ImapDoor) -> int:
    return door.log.read_text().count("Too many open files")


def test_a_full_disk_stops_no_mail(tmp_path: Path) -> None:
    body = b"* OK [UIDVALIDITY 5] x\r\n{tag} OK done\r\n"
    fetch = b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n{tag} OK done\r\n"
    more = '[journal]\nmin_free = "1000 GiB"'
    with FakeImap(answers={"SELECT": body, "FETCH": fetch}) as server:
        with ImapDoor(tmp_path, server.url, more=more) as door, door.client() as c:
            c.login()
            c.ask("s SELECT INBOX")
            assert c.ask("f FETCH 1 BODY[]") == "f OK done"
            assert door.stop() == 0
            assert door.captured() == []


def test_captured_and_the_end(tmp_path: Path) -> None:
    """SIGTERM says BYE and keeps what is whole; a kill loses nothing that was durable."""
    answers: dict[str, bytes | None] = {
        "SELECT": b"* OK [UIDVALIDITY 5] x\r\n{tag} OK done\r\n",
        "FETCH": b"* 1 FETCH (UID 1 BODY[] {300000}\r\n"
        + b"y" * 300_000
        + b")\r\n{tag} OK done\r\n",
    }
    with FakeImap(answers=answers) as server, ImapDoor(tmp_path, server.url) as door:
        with door.client() as c:
            c.login()
            c.ask("s SELECT INBOX")
            c.ask("f FETCH 1 BODY[]")
            until(lambda: door.captured(), "it is in the journal")
            c.ask("f FETCH 1 BODY[]")  # known now: not captured again
            door.process.terminate()
            assert c.rest().startswith(b"* BYE [UNAVAILABLE] ")
        assert door.process.wait(60) == 0
        (message,) = door.captured()
        assert (tmp_path / "data/journal/imap-0" / message["file"]).stat().st_size == 300_000
        with door:
            with door.client() as c:
                c.login()
                c.ask("s SELECT INBOX")
                c.ask("f FETCH 1 BODY[]")
                until(lambda: len(door.captured()) == 2, "a new process does not know it yet")
            os.killpg(door.process.pid, signal.SIGKILL)
            door.process.wait()
        with door:
            assert door.stop() == 0
        verdicts = [r["outcome"] for r in door.records() if r["type"] == "verdict"]
        assert verdicts == ["accepted", "accepted"]


def test_no_secret_stays_anywhere(tmp_path: Path) -> None:
    with FakeImap() as server, ImapDoor(tmp_path, server.url) as door:
        with door.client() as c:
            c.login()
            c.ask("a NOOP")
        server.answers = REFUSES
        with door.client() as c:
            c.line()
            c.ask("a LOGIN alice secret-of-alice")
        assert door.stop() == 0
        found = [path for path, octets in door.octets_everywhere() if b"secret-of-alice" in octets]
        assert found == []
