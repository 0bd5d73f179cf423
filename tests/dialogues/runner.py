r"""SMTP conversations written down, played against a real port.

A dialogue (*.smtp) is read downward, a step a line; `#` opens a comment. A step begins with the
name of a connection, any word; the first use of a name connects it. So two clients are just two
names, and a name that starts with `hop` is the other side: a connection that we *accept*, as the
next hop, on the listening socket that the test gave.

    @ listener = mx             a setting for the test that plays it (before the first step)

    c <- 220 * ESMTP            the next line is this; `*` stands for anything
    c -> EHLO me.example.com    sends this line
    c <... 250 HELP*            lines come until this one
    c <~ ^250[- ]SIZE \d+$      the next line has a match for this regular expression
    c => MAIL FROM:<a@x>\r\nRCPT TO:<{b*300}@x>\r\n
                                sends these octets, in one segment; \r \n \t \0 \\ \xHH, {x*N}
    c starttls                  makes the TLS handshake (certificates are not checked)
    c quiet 0.3                 for so many seconds nothing comes
    c eof                       the other side closes (a reset counts), with nothing unread before
    c close / c shutdown / c reset     we close; close our sending half; leave with a RST
    wait 0.5                    we pause

What is wrong is told as a DialogueError: the step's file and line, what came instead, and the
conversation up to there. Every wait is bounded (`timeout`).
"""

import re
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

ARROWS = ("->", "=>", "<-", "<~", "<...")
WORDS = ("starttls", "quiet", "eof", "close", "shutdown", "reset")


class DialogueError(AssertionError):
    pass


@dataclass(frozen=True)
class Step:
    line: int
    who: str
    what: str  # an arrow or a word
    text: str


@dataclass(frozen=True)
class Dialogue:
    name: str
    settings: dict[str, str]
    steps: list[Step]


def find(folder: Path) -> list[Path]:
    """The dialogues under a folder, in order: for `pytest.mark.parametrize(..., ids=str)`."""
    return sorted(folder.rglob("*.smtp"))


def read(path: Path) -> Dialogue:
    settings: dict[str, str] = {}
    steps: list[Step] = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = [*line.split(maxsplit=1), ""]
        if words[0] == "@":
            key, _, value = words[1].partition("=")
            settings[key.strip()] = value.strip()
        elif words[0] == "wait":
            steps.append(Step(number, "", "wait", words[1]))
        else:
            what = (words[1].split(maxsplit=1) or [""])[0]
            if what not in ARROWS + WORDS:
                raise DialogueError(f"{path.name}:{number}: no such step: {line}")
            text = words[1].removeprefix(what).removeprefix(" ")
            steps.append(Step(number, words[0], what, text))
    return Dialogue(path.name, settings, steps)


def play(
    dialogue: Dialogue | Path,
    address: tuple[str, int] | Path,
    *,
    listener: socket.socket | None = None,
    timeout: float = 30.0,
) -> None:
    """Play it against a TCP address or a unix socket; `listener` is where `hop...` is accepted."""
    if isinstance(dialogue, Path):
        dialogue = read(dialogue)
    player = _Player(address, listener, timeout)
    try:
        for step in dialogue.steps:
            try:
                player.play(step)
            except (DialogueError, OSError) as error:
                told = "".join(f"\n    {line}" for line in player.transcript[-40:])
                raise DialogueError(
                    f"{dialogue.name}:{step.line}: {step.who} {step.what} {step.text}\n"
                    f"  but: {error or type(error).__name__}\n  after:{told}"
                ) from None
    finally:
        player.close()


@dataclass
class _Connection:
    sock: socket.socket
    buffer: bytearray = field(default_factory=bytearray)


class _Player:
    def __init__(
        self, address: tuple[str, int] | Path, listener: socket.socket | None, timeout: float
    ) -> None:
        self.address, self.listener, self.timeout = address, listener, timeout
        self.connections: dict[str, _Connection] = {}
        self.transcript: list[str] = []

    def play(self, step: Step) -> None:
        if step.what == "wait":
            time.sleep(float(step.text))
            return
        if step.who not in self.connections:
            self.connections[step.who] = _Connection(self.connect(step.who))
        connection = self.connections[step.who]
        if step.what == "->":
            self.send(step.who, connection, step.text.encode() + b"\r\n")
        elif step.what == "=>":
            self.send(step.who, connection, octets(step.text))
        elif step.what in ARROWS:
            self.expect(step, connection)
        else:
            getattr(self, step.what)(step, connection)

    def connect(self, who: str) -> socket.socket:
        if who.startswith("hop"):
            if self.listener is None:
                raise DialogueError("this dialogue needs a listener for the next hop")
            self.listener.settimeout(self.timeout)
            sock = self.listener.accept()[0]
        elif isinstance(self.address, Path):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(self.address))
        else:
            sock = socket.create_connection(self.address, timeout=self.timeout)
        sock.settimeout(self.timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    # Bytes

    def send(self, who: str, connection: _Connection, data: bytes) -> None:
        self.transcript.append(f"{who} -> {data[:200]!r}")
        connection.sock.sendall(data)

    def line(self, who: str, connection: _Connection) -> str:
        while b"\n" not in connection.buffer:
            try:
                piece = connection.sock.recv(65536)
            except TimeoutError:
                raise DialogueError(f"silence, after {bytes(connection.buffer)!r}") from None
            if not piece:
                raise DialogueError(
                    f"the connection was closed, after {bytes(connection.buffer)!r}"
                )
            connection.buffer += piece
        end = connection.buffer.index(b"\n") + 1
        line = bytes(connection.buffer[:end])
        del connection.buffer[:end]
        self.transcript.append(f"{who} <- {line!r}")
        if not line.endswith(b"\r\n"):
            raise DialogueError(f"a line that does not end with CRLF: {line!r}")
        return line[:-2].decode("utf-8", "surrogateescape")

    # Steps

    def expect(self, step: Step, connection: _Connection) -> None:
        pattern = step.text if step.what == "<~" else _wildcards(step.text)
        while True:
            line = self.line(step.who, connection)
            if re.search(pattern, line):
                return
            if step.what != "<...":
                raise DialogueError(f"got: {line}")

    def starttls(self, step: Step, connection: _Connection) -> None:
        if connection.buffer:
            raise DialogueError(f"unread before the handshake: {bytes(connection.buffer)!r}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection.sock = context.wrap_socket(connection.sock)

    def quiet(self, step: Step, connection: _Connection) -> None:
        connection.sock.settimeout(float(step.text or 0.3))
        try:
            connection.buffer += connection.sock.recv(65536)
        except TimeoutError:
            pass  # as it should be
        else:
            connection.buffer = connection.buffer or bytearray(b"(the end)")
        connection.sock.settimeout(self.timeout)
        if connection.buffer:
            raise DialogueError(f"got: {bytes(connection.buffer)!r}")

    def eof(self, step: Step, connection: _Connection) -> None:
        try:
            connection.buffer += connection.sock.recv(65536)
        except TimeoutError:
            raise DialogueError("the connection stays open") from None
        except ConnectionResetError:
            self.transcript.append(f"{step.who} <- (reset)")
        if connection.buffer:
            raise DialogueError(f"unread: {bytes(connection.buffer)!r}")
        connection.sock.close()
        del self.connections[step.who]

    def close(self, step: Step | None = None, connection: _Connection | None = None) -> None:
        if step is None:
            for one in self.connections.values():
                one.sock.close()
        else:
            self.connections.pop(step.who).sock.close()

    def shutdown(self, step: Step, connection: _Connection) -> None:
        connection.sock.shutdown(socket.SHUT_WR)

    def reset(self, step: Step, connection: _Connection) -> None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close(step)


def octets(text: str) -> bytes:
    """The octets that a `=>` step sends."""
    text = re.sub(r"\{(.+?)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
    pieces = re.split(r"\\(x[0-9a-fA-F]{2}|.)", text)
    out = bytearray()
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            out += piece.encode()
        elif len(piece) == 3:
            out.append(int(piece[1:], 16))
        elif piece in simple:
            out += simple[piece]
        else:
            raise DialogueError(f"no such escape: \\{piece}")
    return bytes(out)


def _wildcards(text: str) -> str:
    return "^" + ".*".join(re.escape(part) for part in text.split("*")) + r"\Z"
