"""Clients that send without pause, hang up when it hurts most, and remember every 250.

Each mail has a body of its own, so that its SHA-256 names it. A client drops the reply of one
attempt in several: it closes the socket after the final dot without reading on, as a client
does whose network fails; the mail then counts as not acknowledged and is sent again, byte by byte
the same. What was never acknowledged may arrive or not; what was acknowledged must.
"""

import hashlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Mail:
    """One message: what was sent, and whether a 250 was read for it."""

    port: int
    recipients: tuple[str, ...]
    body: bytes
    attempts: int = 0
    dots: int = 0  # attempts that sent everything
    acknowledged: bool = False
    replies: list[bytes] = field(default_factory=list)  # final ones that were no 250

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Hiccup(Exception):
    """This attempt came to nothing: the mail is to be sent again."""


class Session:
    """A blocking SMTP client that shows the replies as they are."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""
        self.expect(b"220")

    def reply(self) -> bytes:
        """One whole reply; ConnectionError if the server has gone."""
        while True:
            end = self._end_of_reply()
            if end:
                got, self.buffer = self.buffer[:end], self.buffer[end:]
                return got
            piece = self.link.recv(65536)
            if not piece:
                raise ConnectionError("closed by the server")
            self.buffer += piece

    def _end_of_reply(self) -> int:
        at = 0
        while (end := self.buffer.find(b"\r\n", at)) >= 0:
            if self.buffer[at + 3 : at + 4] != b"-":
                return end + 2
            at = end + 2
        return 0

    def expect(self, code: bytes) -> bytes:
        got = self.reply()
        if not got.startswith(code):
            raise Hiccup(got)
        return got

    def ask(self, line: str) -> bytes:
        self.link.sendall(line.encode() + b"\r\n")
        return self.reply()

    def say(self, line: str, code: bytes) -> None:
        self.link.sendall(line.encode() + b"\r\n")
        self.expect(code)

    def envelope(self, sender: str, recipients: tuple[str, ...]) -> None:
        """EHLO to 354."""
        self.say("EHLO client.example.net", b"250")
        self.say(f"MAIL FROM:<{sender}>", b"250")
        for recipient in recipients:
            self.say(f"RCPT TO:<{recipient}>", b"250")
        self.say("DATA", b"354")

    def content(self, body: bytes) -> None:
        stuffed = body.replace(b"\r\n.", b"\r\n..")
        self.link.sendall((b"." + stuffed if stuffed.startswith(b".") else stuffed) + b".\r\n")

    def drop(self, *, hard: bool) -> None:
        """Gone without a word: a FIN, or a RST."""
        if hard:
            linger = struct.pack("ii", 1, 0)
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.link.close()


def message(random_: random.Random, serial: str, size: int) -> bytes:
    lines = [
        f"From: Alice <alice{random_.randrange(20)}@example.net>",
        f"To: Bob <bob{random_.randrange(20)}@example.com>",
        f"Subject: crash {serial}",
        f"Message-ID: <{serial}@crash.example.net>",
        "",
        f"Body of {serial}",
    ]
    text = ("\r\n".join(lines) + "\r\n").encode()
    filler = b".%x and some words to fill a line, as mail has them\r\n" % random_.getrandbits(64)
    return text + filler * max(0, (size - len(text)) // len(filler))


class Load:
    """`threads` clients that share the ports; `drop` is the share of replies nobody reads."""

    def __init__(self, ports: list[int], *, seed: int, threads: int = 6, drop: float = 0.15):
        self.ports, self.seed, self.drop = ports, seed, drop
        self.mails: list[Mail] = []
        self.dropped = 0
        self._going, self._finishing = True, False
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """No new mail; what is not acknowledged is sent until it is. Everybody must be up."""
        self._finishing = True
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.1, end - time.monotonic()))
        self._going = False
        left = [mail for mail in self.mails if not mail.acknowledged]
        assert not left, f"{len(left)} never acknowledged; the first: {left[0].replies[-3:]}"

    @property
    def acknowledged(self) -> list[Mail]:
        return [mail for mail in self.mails if mail.acknowledged]

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self.seed}.{number}")
        serial = 0
        while self._going and not self._finishing:
            serial += 1
            size = chance.choice((300, 1500, 4096, 4096, 6000, 6000, 20_000, 90_000))
            body = message(chance, f"{self.seed}.{number}.{serial}", size)
            people = tuple(f"bob{i}@example.com" for i in range(chance.choice((1, 1, 1, 2))))
            mail = Mail(chance.choice(self.ports), people, body)
            self.mails.append(mail)
            while self._going and not mail.acknowledged:
                try:
                    self._attempt(mail, chance)
                except (OSError, Hiccup) as trouble:
                    if isinstance(trouble, Hiccup):
                        mail.replies.append(trouble.args[0])
                    time.sleep(chance.uniform(0.02, 0.1))
            time.sleep(chance.uniform(0, 0.08))

    def _attempt(self, mail: Mail, chance: random.Random) -> None:
        mail.attempts += 1
        session = Session(mail.port)
        try:
            session.envelope(f"alice{chance.randrange(5)}@example.net", mail.recipients)
            if chance.random() < self.drop / 4:
                session.link.sendall(mail.body[: len(mail.body) // 2])
                raise Hiccup(b"(hung up within the message)")
            session.content(mail.body)
            mail.dots += 1
            if chance.random() < self.drop:
                time.sleep(chance.choice((0, 0, 0.002, 0.02)))
                self.dropped += 1
                session.drop(hard=chance.random() < 0.5)
                raise Hiccup(b"(did not wait for the reply)")
            session.expect(b"250")
            mail.acknowledged = True
        finally:
            session.link.close()
