"""Mailweir's IMAP door beside other proxies: `python bench/imap.py [--quick] [--json] [--only P]`.

All stand before the same Dovecot on loopback, each alone in its turn, rounds interleaved. CPU is
that of the proxy's processes only. Mailweir captures: "first" is a FETCH of mail that it has not
seen (each body goes to the journal); before everything else it has seen all of it, and its
companions have found nothing more to fetch. Idle connections have a small server of ours behind,
for a thousand Dovecot processes would tell nothing. Needs root, Dovecot, haproxy and nginx with
its mail module.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.imap_peers import (
    PASSWORD,
    PROXIES,
    DovecotServer,
    Haproxy,
    Least,
    Mailweir,
    Nginx,
    Proxy,
    Quiet,
)
from bench.measure import Rounds, machine, markdown
from proxy.selfsigned import make

CLIENTS = 8
USERS = [f"u{number}@example.com" for number in range(CLIENTS)]


@dataclass(frozen=True)
class Sizes:
    rounds: int
    messages: int  # in each mailbox
    octets: int  # of each message
    repeats: int
    appends: int  # by each client
    logins: int
    commands: int
    idle: tuple[int, ...]


FULL = Sizes(3, 100, 256 << 10, 4, 100, 2000, 60_000, (1000, 5000))
QUICK = Sizes(1, 40, 256 << 10, 3, 30, 400, 8000, (300,))
PARTS = ("fetch", "append", "commands", "logins", "idle")
#: Seconds between two turns of eight commands: 4,000 a second.
TURN = 0.002


class Client:
    """A socket that is logged in."""

    def __init__(self, port: int, user: str, tls: bool = False, login: bool = True) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.buffer = bytearray(4096)
        self.until(b"* ")
        if login:
            self.ask(b"a LOGIN %s %s" % (user.encode(), PASSWORD.encode()))

    def until(self, end: bytes) -> int:
        """Read until the last line begins with `end`; how many octets that was."""
        total, tail = 0, b""
        while True:
            count = self.sock.recv_into(self.buffer)
            if not count:
                raise EOFError(tail)
            total += count
            tail = (tail + self.buffer[max(0, count - 2000) : count])[-2000:]
            if tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\r\n")[2].startswith(end):
                return total

    def ask(self, command: bytes) -> int:
        self.sock.sendall(command + b"\r\n")
        return self.until(command.split(b" ", 1)[0] + b" OK")

    def close(self) -> None:
        self.sock.close()


def at_once(work: Callable[[int], int]) -> tuple[int, float]:
    """`work(0..7)` in threads: the sum of what they return, and the seconds it took."""
    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.append(work(n))) for n in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) < CLIENTS:
        raise RuntimeError("a client failed")
    return sum(results), time.perf_counter() - begin


class Direct:
    """No proxy."""

    name = "direct"

    def __init__(self, port: int) -> None:
        self.port = port

    def cpu(self) -> float:
        return 0.0


class Bench:
    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder, sizes
        self.figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.certificate = folder / "tls"
        self.certificate.mkdir()
        folder.chmod(0o755)
        cert, key = make("mail.example.com", datetime.now(UTC))
        for name, octets in (("cert.pem", cert), ("key.pem", key), ("both.pem", cert + key)):
            (self.certificate / name).write_bytes(octets)
        self.server = DovecotServer(folder / "server", USERS)
        self.captures_least = Least.made(folder)

    def fill(self) -> None:
        """The mailboxes, for all parts but "idle"."""
        for user in USERS:
            self._fill(user)

    def _fill(self, user: str) -> None:
        client = Client(self.server.port, user)
        line = (b"x" * 76 + b"\r\n") * (self.sizes.octets // 78)
        for number in range(self.sizes.messages):
            body = b"Subject: %s %d\r\n\r\n" % (user.encode(), number) + line
            client.ask(b"b APPEND INBOX {%d+}\r\n" % len(body) + body)
        client.close()

    def note(self, name: str, figure: str, value: float) -> None:
        self.figures[figure][name].append(value)

    def round(self, number: int, parts: Sequence[str]) -> None:
        if "fetch" in parts:
            self.fetch(Direct(self.server.port), "FETCH, plain", 1)
        if "append" in parts:
            self.append(Direct(self.server.port))
        for kind in PROXIES:
            if set(parts) - {"idle"}:
                folder = self.folder / f"{kind.__name__}-{number}"
                with kind(folder, self.server.port, self.certificate) as proxy:
                    self.serving(proxy, parts)
                shutil.rmtree(folder)
            if "idle" in parts:
                self.idle(kind, number)
        if self.captures_least and {"fetch", "append"} & set(parts):
            folder = self.folder / f"least-{number}"
            with Least(folder, self.server.port, None) as least:
                if "fetch" in parts:
                    self.fetch(least, "FETCH first, plain", 1)
                if "append" in parts:
                    self.append(least)
            shutil.rmtree(folder)

    def serving(self, proxy: Proxy, parts: Sequence[str]) -> None:
        """All that needs the mail server."""
        time.sleep(0.5)
        if isinstance(proxy, Mailweir):
            self.fetch(proxy, "FETCH first, plain" if "fetch" in parts else "", 1)
            proxy.learn(lambda: self.fetch(proxy, "", 1), len(USERS), self.sizes.messages)
        if "fetch" in parts:
            self.fetch(proxy, "FETCH, plain", self.sizes.repeats)
            self.fetch(proxy, "FETCH, TLS", self.sizes.repeats, tls=True)
        if "append" in parts:
            self.append(proxy)
        if "commands" in parts:
            self.commands(proxy)
        if "logins" in parts:
            self.logins(proxy, False)
            self.logins(proxy, True)

    def commands(self, proxy: Proxy) -> None:
        """NOOPs at the same rate for all."""
        clients = [Client(proxy.port, user) for user in USERS]
        time.sleep(1.0)
        before, turns = proxy.cpu(), self.sizes.commands // CLIENTS
        begin = time.perf_counter()
        for turn in range(turns):
            for client in clients:
                client.sock.sendall(b"n NOOP\r\n")
            for client in clients:
                client.until(b"n OK")
            time.sleep(max(0.0, begin + (turn + 1) * TURN - time.perf_counter()))
        self.note(proxy.name, "command, CPU ms/1,000",
                  (proxy.cpu() - before) / turns / CLIENTS * 1e6)  # fmt: skip
        for client in clients:
            client.close()

    def fetch(self, proxy: Proxy | Direct, figure: str, repeats: int, tls: bool = False) -> None:
        port = proxy.tls_port if tls and isinstance(proxy, Proxy) else proxy.port
        clients = [Client(port, user, tls) for user in USERS]
        for client in clients:
            client.buffer = bytearray(1 << 20)
            client.ask(b"s EXAMINE INBOX")

        def work(number: int) -> int:
            return sum(
                clients[number].ask(b"f UID FETCH 1:%d (UID BODY.PEEK[])" % self.sizes.messages)
                for _ in range(repeats)
            )

        before = proxy.cpu()
        octets, seconds = at_once(work)
        cpu = proxy.cpu() - before
        for client in clients:
            client.close()
        if figure:
            self.note(proxy.name, f"{figure}, MB/s", octets / 1e6 / seconds)
            if isinstance(proxy, Proxy):
                self.note(proxy.name, f"{figure}, CPU s/GB", cpu / octets * 1e9)

    def append(self, proxy: Proxy | Direct) -> None:
        clients = [Client(proxy.port, user) for user in USERS]
        body = b"Subject: filed\r\n\r\n" + (b"y" * 76 + b"\r\n") * (self.sizes.octets // 78)
        for client in clients:
            client.ask(b"c CREATE Filed-%d" % time.monotonic_ns())
        boxes = []
        for client in clients:
            name = b"Box-%d" % time.monotonic_ns()
            client.ask(b"c CREATE " + name)
            boxes.append(name)

        def work(number: int) -> int:
            for _ in range(self.sizes.appends):
                clients[number].ask(b"b APPEND %s {%d+}\r\n" % (boxes[number], len(body)) + body)
            return self.sizes.appends * len(body)

        before = proxy.cpu()
        octets, seconds = at_once(work)
        cpu = proxy.cpu() - before
        self.note(proxy.name, "APPEND, MB/s", octets / 1e6 / seconds)
        if isinstance(proxy, Proxy):
            self.note(proxy.name, "APPEND, CPU s/GB", cpu / octets * 1e9)
        for client, name in zip(clients, boxes, strict=True):
            client.ask(b"d DELETE " + name)
            client.close()

    def logins(self, proxy: Proxy, tls: bool) -> None:
        each = self.sizes.logins // CLIENTS

        def work(number: int) -> int:
            for _ in range(each):
                Client(proxy.tls_port if tls else proxy.port, USERS[number], tls).close()
            return each

        before = proxy.cpu()
        count, seconds = at_once(work)
        cpu = proxy.cpu() - before
        kind = "TLS" if tls else "plain"
        self.note(proxy.name, f"logins, {kind}, /s", count / seconds)
        self.note(proxy.name, f"login, {kind}, CPU ms/1,000", cpu / count * 1e6)

    def idle(self, kind: type[Proxy], number: int) -> None:
        """So many connections in IDLE. Once is enough: it does not depend on the minute."""
        if number:
            return
        with Quiet() as quiet:
            for count in self.sizes.idle:
                for tls in (False, True):
                    folder = self.folder / f"idle-{kind.__name__}-{count}-{tls}"
                    with kind(folder, quiet.port, self.certificate) as proxy:
                        port = proxy.tls_port if tls else proxy.port
                        warm = [Client(port, USERS[0], tls) for _ in range(10)]
                        time.sleep(0.5)
                        before = proxy.memory()
                        clients = [Client(port, USERS[0], tls) for _ in range(count)]
                        for client in clients:
                            client.sock.sendall(b"i IDLE\r\n")
                            client.until(b"+")
                        time.sleep(1.0)
                        kib = (proxy.memory() - before) / len(clients)
                        figure = f"idle, {count:,} {'TLS' if tls else 'plain'}, KB"
                        self.note(proxy.name, figure, kib)
                        for client in [*warm, *clients]:
                            client.close()
                    shutil.rmtree(folder)

    def rounds(self, figure: str, name: str) -> Rounds | None:
        values = self.figures[figure].get(name)
        return Rounds(tuple(values)) if values else None

    def table(self) -> str:
        names = ["direct", *(kind.name for kind in PROXIES)]
        names += [Least.name] if any(Least.name in row for row in self.figures.values()) else []
        rows = []
        for figure in self.figures:
            found = [self.rounds(figure, name) for name in names]
            digits = 2 if "GB" in figure else 1 if "KB" in figure else 0
            rows.append([figure, *(one.show(digits) if one else "" for one in found)])
        return markdown(["figure, median (lowest–highest)", *names], rows)

    def goals(self) -> str:
        rows = []
        for figure, peer, factor, at_least in (
            ("FETCH, plain, CPU s/GB", Nginx, 0.9, False),
            ("FETCH first, plain, CPU s/GB", Nginx, 0.9, False),
            ("FETCH, TLS, CPU s/GB", Nginx, 0.8, False),
            ("FETCH, plain, MB/s", Nginx, 1.0, True),
            ("APPEND, CPU s/GB", Nginx, 1.0, False),
            ("command, CPU ms/1,000", Haproxy, 1.2, False),
            ("login, plain, CPU ms/1,000", Nginx, 1.2, False),
            ("login, TLS, CPU ms/1,000", Nginx, 1.2, False),
        ):
            ours = self.rounds(figure, Mailweir.name)
            theirs = self.rounds(figure.replace(" first", ""), peer.name)
            if ours is None or theirs is None:
                continue
            ratio = ours.per(theirs)
            met = ratio.median >= factor if at_least else ratio.median <= factor
            wanted = f"{'>=' if at_least else '<='} {factor} × {peer.name}"
            rows.append([figure, f"{ratio.show(2)} ×", wanted, "met" if met else "**missed**"])
        for figure in ("FETCH first, plain, CPU s/GB", "APPEND, CPU s/GB"):
            ours, least = self.rounds(figure, Mailweir.name), self.rounds(figure, Least.name)
            if ours is not None and least is not None:
                rows.append([figure, f"{ours.per(least).show(2)} ×", f"(beside {Least.name})", ""])
        for figure in self.figures:
            ours = self.rounds(figure, Mailweir.name)
            if figure.startswith("idle") and ours is not None:
                most = 25.0 if "TLS" in figure else 5.0
                reached = "met" if ours.median <= most else "**missed**"
                rows.append([figure, ours.show(1), f"<= {most:g}", reached])
        return markdown(["goal", "reached", "wanted", ""], rows)


def raise_limit(wanted: int) -> None:
    """So many descriptors for this process and those it starts; beyond the hard limit as root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--dir", type=Path, default=None, help="where the folders are made")
    given = parser.parse_args()
    sizes = QUICK if given.quick else FULL
    raise_limit(4 * max(sizes.idle))
    folder = Path(tempfile.mkdtemp(prefix="mw-imap-", dir=given.dir))
    try:
        where = machine(folder)
        bench = Bench(folder, sizes)
        with bench.server:
            if set(given.only) - {"idle"}:
                bench.fill()
            for number in range(given.rounds or sizes.rounds):
                bench.round(number, given.only)
        if given.json:
            print(json.dumps({"machine": where, "figures": bench.figures}))
        else:
            print(f"Machine: {where}\n\n{bench.table()}\n\n{bench.goals()}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.environ.setdefault("MAILWEIR_LOG", "json")
    main()
