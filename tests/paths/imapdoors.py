"""An IMAP door process as it runs in earnest, and a small IMAP server that says what it is told.

with FakeImap() as server, ImapDoor(tmp_path, server.url) as door, door.client() as c:
    c.line()                     # the greeting
    c.ask("a LOGIN alice@y.example secret")
    assert server.lines == [...]
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.certs import certificate_for
from tests.paths.doors import Client, RunningDoor
from tests.ports import free_port


class FakeImap:
    """Every command gets OK, unless `answers` has something for its verb (upper case).

    An answer may hold {tag}; None hangs up. `lines` is all that was said, in all connections.
    """

    def __init__(
        self,
        greeting: bytes = b"* OK [CAPABILITY IMAP4rev1 ID LITERAL+ COMPRESS=DEFLATE AUTH=PLAIN] hi",
        *,
        answers: dict[str, bytes | None] | None = None,
        tls: str = "none",
        on_connect: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.greeting = greeting
        self.answers = answers or {}
        self.tls = tls
        self.on_connect = on_connect
        self.lines: list[bytes] = []
        self.in_tls: list[bytes] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self.sock.getsockname()[1]
        self.serving = threading.Thread(target=self._serve, daemon=True)
        self.serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)  # closing alone would let accept() take one more
        self.serving.join()
        self.sock.close()

    @property
    def url(self) -> str:
        return f"imap{'s' if self.tls == 'implicit' else ''}://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        try:
            with client:
                self._conversation(client)
        except (OSError, EOFError):
            pass  # the door has left

    def _conversation(self, client: socket.socket) -> None:
        if self.on_connect is not None:
            self.on_connect(client)
        secure = False
        if self.tls == "implicit":
            client, secure = self._wrap(client), True
        client.sendall(self.greeting + b"\r\n")
        file = client.makefile("rb")
        while line := file.readline():
            self.lines.append(line)
            if secure:
                self.in_tls.append(line)
            words = line.split()
            if len(words) < 2:
                continue
            tag, verb = words[0], words[1].decode().upper()
            answer = self.answers.get(verb, b"{tag} OK done\r\n")
            if answer is None:
                return
            client.sendall(answer.replace(b"{tag}", tag))
            if verb == "STARTTLS":
                client, secure = self._wrap(client), True
                file = client.makefile("rb")

    def _wrap(self, client: socket.socket) -> ssl.SSLSocket:
        return certificate_for().server_context().wrap_socket(client, server_side=True)


class ImapDoor(RunningDoor):
    """One listener named "imap", slot 0."""

    name = "imap-0"

    def __init__(
        self, folder: Path, upstream: str, *, tls: str = "none", listener: str = "", more: str = ""
    ) -> None:
        """`listener`, `more`: lines of TOML."""
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "mailweir.toml"
        if tls != "none":
            certificate = certificate_for()
            listener += f'\ncert = "{certificate.cert}"\nkey = "{certificate.key}"'
        self.config.write_text(f"""
[node]
hostname = "mail.example.com"
data_dir = "{self.data}"
domains = ["y.example"]
[[imap]]
name = "imap"
listen = "127.0.0.1:{self.port}"
upstream = "{upstream}"
tls = "{tls}"
doors = 1
{listener}
[http]
listen = "127.0.0.1:{free_port()}"
{more or "[journal]" + chr(10) + "min_free = 0"}
""")

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "proxy", "run", "--config", str(self.config)]
        words += ["--role", "imap", "--listener", "imap", "--slot", "0"]
        self._start(words, {"MAILWEIR_LOG": "json"})
        return self

    def client(self, **more: Any) -> ImapClient:
        return ImapClient(self.port, **more)

    def captured(self) -> list[dict[str, Any]]:
        """What is durable, so that the door knows it: that can be read before, and the verdict is
        written behind it."""
        records = self.records()
        durable = {record["id"] for record in records if record["type"] == "verdict"}
        return [r for r in records if r["type"] == "message" and r["id"] in durable]


class ImapClient(Client):
    """A client's socket, line by line."""

    def ask(self, command: str) -> str:
        """A command, and the line with its tag; what comes before it is thrown away."""
        tag = command.split()[0]
        self.send(command.encode() + b"\r\n")
        while True:
            line = self.line()
            if line.startswith(tag + " ") or line.startswith("* BYE"):
                return line

    def login(self, user: str = "alice@y.example") -> Self:
        self.line()
        said = self.ask(f"in LOGIN {user} secret-of-alice")
        assert said.startswith("in OK"), said
        return self

    def starttls(self) -> str:
        said = self.ask("tls STARTTLS")
        assert said.startswith("tls OK"), said
        return self.handshake()
