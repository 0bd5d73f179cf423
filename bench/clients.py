"""The clients that smtp-source cannot play: one message at a time with a clock, one large
message, and thousands of idle connections. Blocking sockets; replies are read whole."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import selectors
import socket
import ssl
import time
from collections.abc import Iterable, Iterator

from bench.peers import RECIPIENT, SENDER

_serial = itertools.count(1)


def mail(size: int) -> bytes:
    """A message of about `size` octets that no other equals, with the final dot."""
    head = (
        f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: bench\r\n"
        f"Message-ID: <{os.getpid()}.{next(_serial)}@bench.example.net>\r\n\r\n"
    ).encode()
    line = b"x" * 76 + b"\r\n"
    return head + line * max(1, (size - len(head)) // len(line)) + b".\r\n"


class Client:
    """One SMTP session."""

    def __init__(self, port: int, timeout: float = 120) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.link.makefile("rb")  # for replies to several commands at once
        self.reply(b"220")
        self.command(b"EHLO client.example.net\r\n", b"250")

    def reply(self, expected: bytes) -> bytes:
        got = b""
        while not (got.endswith(b"\r\n") and got.splitlines()[-1][3:4] != b"-"):
            piece = self.link.recv(65536)
            if not piece:
                raise ConnectionError("the server closed the session")
            got += piece
        if not got.startswith(expected):
            raise RuntimeError(f"expected {expected!r}, got {got!r}")
        return got

    def reply_line(self, expected: bytes) -> None:
        """A reply of one line, others may follow it; not to be mixed with reply()."""
        got = self.lines.readline()
        if not got.startswith(expected):
            raise RuntimeError(f"expected {expected!r}, got {got!r}")

    def command(self, line: bytes, expected: bytes) -> None:
        self.link.sendall(line)
        self.reply(expected)

    def transaction(self, content: Iterable[bytes]) -> None:
        """MAIL to the final reply."""
        self.command(f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
        self.command(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"250")
        self.command(b"DATA\r\n", b"354")
        for piece in content:
            self.link.sendall(piece)
        self.reply(b"250")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.link.sendall(b"QUIT\r\n")
            self.link.recv(512)
        self.link.close()


def timed_open_session(port: int, messages: int, size: int = 4096) -> list[float]:
    """Seconds from MAIL to the final 250, message after message on one session."""
    client, took = Client(port), []
    for _ in range(messages):
        content = mail(size)
        start = time.perf_counter()
        client.transaction([content])
        took.append(time.perf_counter() - start)
    client.close()
    return took


def timed_new_sessions(port: int, messages: int, size: int = 4096) -> list[float]:
    """Seconds from connect to the final 250, a new session for each message."""
    took = []
    for _ in range(messages):
        content = mail(size)
        start = time.perf_counter()
        client = Client(port)
        client.transaction([content])
        took.append(time.perf_counter() - start)
        client.close()
    return took


def large(size: int, line: bytes) -> Iterator[bytes]:
    """The pieces of a message of `size` octets that is made of `line`."""
    yield mail(0)[: -len(b".\r\n")]
    block = line * max(1, (1 << 16) // len(line))
    for _ in range(size // len(block)):
        yield block
    yield b".\r\n"


def connect_at_once(
    port: int, count: int, seconds: float = 60
) -> tuple[float, list[socket.socket]]:
    """Opens `count` connections in one burst: the time until the last has its 220, and those
    that have it."""
    selector = selectors.DefaultSelector()
    start = time.perf_counter()
    for _ in range(count):
        link = socket.socket()
        link.setblocking(False)
        code = link.connect_ex(("127.0.0.1", port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        selector.register(link, selectors.EVENT_READ)
    greeted: list[socket.socket] = []
    last = start
    while selector.get_map() and time.perf_counter() - start < seconds:
        for key, _ in selector.select(0.5):
            link = key.fileobj  # type: ignore[assignment]
            selector.unregister(link)
            with contextlib.suppress(OSError):
                if link.recv(512).startswith(b"220"):
                    greeted.append(link)
                    last = time.perf_counter()
                    continue
            link.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return last - start, greeted


def idle_connections(port: int, count: int, *, tls: bool) -> list[socket.socket]:
    """`count` sessions that have said EHLO and now say nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    links = []
    for _ in range(count):
        link = socket.create_connection(("127.0.0.1", port), timeout=60)
        if tls:
            link = context.wrap_socket(link)
        link.recv(512)
        link.sendall(b"EHLO client.example.net\r\n")
        link.recv(4096)
        links.append(link)
    return links
