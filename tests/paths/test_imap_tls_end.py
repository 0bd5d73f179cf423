"""TLS at its two ends: the ticket behind the handshake, and the last words (proxy/imap/leg.py)."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import certificate_for
from tests.paths.imapdoors import FakeImap, ImapDoor

ALERT_IN_TLS_1_3 = 5 + 2 + 1 + 16  # a record's head, the alert, its kind, the tag (RFC 8446 5.2)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapDoor]:
    with FakeImap() as server:
        folder: Path = tmp_path_factory.mktemp("door")
        with ImapDoor(folder, server.url, tls="implicit") as door:
            yield door


class Bare:
    """A client that sees each octet of the connection."""

    def __init__(self, door: ImapDoor) -> None:
        self.sock = socket.create_connection(("127.0.0.1", door.port), 30)
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = certificate_for().client_context()
        self.tls = context.wrap_bio(self.came, self.goes, server_hostname="localhost")

    def flush(self) -> None:
        self.sock.sendall(self.goes.read())

    def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self.came.write(self.sock.recv(65_536))
            else:
                return self.flush()

    def line(self) -> bytes:
        while True:
            try:
                return self.tls.read(1_000)
            except ssl.SSLWantReadError:
                self.came.write(self.sock.recv(65_536))

    def rest(self) -> bytes:
        """What the door sends until it closes, once this side has."""
        self.sock.shutdown(socket.SHUT_WR)
        found = b""
        while piece := self.sock.recv(65_536):
            found += piece
        self.sock.close()
        return found


@pytest.fixture
def client(door: ImapDoor) -> Bare:
    client = Bare(door)
    client.handshake()
    assert client.line().startswith(b"* OK")
    assert client.tls.version() == "TLSv1.3"
    return client


def test_a_last_word_is_answered(client: Bare) -> None:
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.flush()
    answer = client.rest()
    assert len(answer) == ALERT_IN_TLS_1_3
    client.came.write(answer)
    client.tls.unwrap()  # a close_notify it was


def test_who_leaves_without_one_gets_none(client: Bare) -> None:
    assert client.rest() == b""


def test_what_was_said_before_leaving_is_done(client: Bare) -> None:
    """Octets and the end may come in one turn."""
    client.tls.write(b"a LOGIN alice pw\r\n")
    client.flush()
    assert client.line() == b"a OK done\r\n"
    assert client.rest() == b""


def test_the_ticket_comes_and_is_good_for_another_time(door: ImapDoor) -> None:
    context = certificate_for().client_context()
    session: ssl.SSLSession | None = None
    for again in (False, True):
        with (
            socket.create_connection(("127.0.0.1", door.port), 30) as sock,
            context.wrap_socket(sock, server_hostname="localhost", session=session) as tls,
        ):
            assert tls.recv(1_000).startswith(b"* OK")
            assert tls.session_reused is again
            session = tls.session
            assert session is not None and session.has_ticket


def test_the_ticket_waits_for_nobody(tmp_path: Path) -> None:
    """A server that does not greet: the ticket leaves without the greeting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"imap://127.0.0.1:{silent.getsockname()[1]}"
        with ImapDoor(tmp_path, url, tls="implicit") as door:
            client = Bare(door)
            client.handshake()
            assert client.sock.recv(65_536)
            client.sock.close()
