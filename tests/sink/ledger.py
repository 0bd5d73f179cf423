"""What a FaultSink keeps: connections, their lines and replies, messages to the octet."""

import re
from dataclasses import dataclass, field


@dataclass
class Message:
    """One message that came to its end, as it was on the wire."""

    mail: bytes
    rcpts: list[bytes]
    connection: "Connection"
    wire: bytes = b""  # DATA: dot-stuffed, with the final dot; BDAT: the chunks put together
    size: int = 0  # octets on the wire, also where keep=False
    sha256: str = ""  # of the same
    chunked: bool = False
    replies: list[bytes] = field(default_factory=list)  # ours after the end; empty if never sent

    @property
    def body(self) -> bytes:
        """The message itself: without dot-stuffing and final dot."""
        if self.chunked:
            return self.wire
        content = self.wire.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n")
        return content.removeprefix(b".")

    @property
    def sender(self) -> str:
        return _path(self.mail)

    @property
    def recipients(self) -> list[str]:
        return [_path(line) for line in self.rcpts]

    @property
    def bare(self) -> list[bytes]:
        """Every CR or LF on the wire that stood alone (there must be none)."""
        return re.findall(rb"\r(?!\n)|(?<!\r)\n", self.wire)


@dataclass
class Connection:
    number: int
    peer: object
    tls: str | None = None
    proxy: bytes = b""  # the PROXY line
    lines: list[bytes] = field(default_factory=list)  # every command, without its CRLF
    replies: list[bytes] = field(default_factory=list)
    segments: list[bytes] = field(default_factory=list)  # as read: shows what was pipelined
    messages: list[Message] = field(default_factory=list)
    partial: bytes = b""  # content of a message that never came to its end
    auth: tuple[str, list[bytes]] | None = None  # mechanism and responses, decoded
    authenticated: bool = False
    after_starttls: bytes = b""  # plain text that came behind the command STARTTLS
    end: str | None = None  # quit, eof, reset, error: by the client; close, stopped...: by us

    @property
    def verbs(self) -> list[str]:
        return [line.split(b" ")[0].upper().decode("latin-1") for line in self.lines]


def _path(line: bytes) -> str:
    found = re.search(rb"<([^>]*)>", line)
    return found.group(1).decode() if found else ""
