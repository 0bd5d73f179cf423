"""First sync of a large mailbox through the IMAP door: `python bench/imap_sync.py [--messages N]`.

A small server of ours holds one mailbox of N messages, each with words of its own; a client fetches
all of them in one command, twice. Told are the rate, the peak memory of the door that has the
session and of the worker, and how many captures and messages the store has after each: the second
sync must add none. The octets are compared (SHA-256 of all that the server has sent and the client
has read).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import shutil
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.imap_peers import Mailweir
from bench.measure import cmdline, machine, markdown, memory_kib, reset_peak, tree

USER = "bob@example.com"
WORDS = "invoice meeting offer contract delivery monday project budget answer question".split()


def message(uid: int, octets: int) -> bytes:
    head = (
        f"From: Alice {uid % 977} <alice{uid % 977}@example.net>\r\nTo: {USER}\r\n"
        f"Subject: {WORDS[uid % 10]} {uid}\r\nMessage-ID: <{uid}@example.net>\r\n"
        f"Date: Mon, 16 Nov 2026 {uid // 3600 % 24:02}:{uid // 60 % 60:02}:{uid % 60:02} +0000\r\n"
        "\r\n"
    )
    line = " ".join(WORDS[uid * step % 10] for step in range(1, 10)) + "\r\n"
    text = head + line * max(1, (octets - len(head)) // len(line))
    return text.encode()


class Mailbox(asyncio.Protocol):
    """A server with one mailbox; SHA-256 of what its FETCHes have sent is in `sent`."""

    messages = 0
    octets = 0
    sent = hashlib.sha256()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.going: Iterator[bytes] | None = None
        self.paused = False
        transport.write(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            tag, _, rest = line.partition(b" ")
            verb = rest.upper()
            if verb.startswith((b"SELECT", b"EXAMINE")):
                self.transport.write(b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n" % self.messages)
            if verb.startswith(b"UID FETCH 1:*"):
                self.going = self.answer(tag)
                self.resume_writing()
            else:
                self.transport.write(tag + b" OK done\r\n")

    def answer(self, tag: bytes) -> Iterator[bytes]:
        for uid in range(1, self.messages + 1):
            body = message(uid, self.octets)
            yield b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, uid, len(body), body)
        yield tag + b" OK fetched\r\n"

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        while self.going is not None and not self.paused:
            part = next(self.going, None)
            if part is None:
                self.going = None
            else:
                type(self).sent.update(part)
                self.transport.write(part)


def serve() -> int:
    """In a thread of its own; its port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Mailbox, "127.0.0.1", 0))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    port: int = server.sockets[0].getsockname()[1]
    return port


def ask(client: socket.socket, command: bytes) -> tuple[int, str]:
    """Octets and SHA-256 of the answer."""
    client.sendall(command + b"\r\n")
    end = command.split(b" ", 1)[0] + b" OK"
    digest, total, tail = hashlib.sha256(), 0, b""
    buffer = bytearray(1 << 20)
    while not (tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\r\n")[2].startswith(end)):
        count = client.recv_into(buffer)
        if not count:
            raise EOFError(tail)
        digest.update(memoryview(buffer)[:count])
        total += count
        tail = (tail + buffer[max(0, count - 200) : count])[-200:]
    return total, digest.hexdigest()


def stored(data: Path) -> tuple[int, int]:
    """Captures and messages in the store."""
    with sqlite3.connect(f"file:{data}/mailweir.db?mode=ro", uri=True) as store:
        captures = store.execute(
            "SELECT count(*) FROM captures WHERE disposition != 'pending'"
        ).fetchone()[0]
        messages = store.execute("SELECT count(*) FROM messages").fetchone()[0]
    store.close()
    return captures, messages


def until_quiet(data: Path) -> tuple[int, int]:
    """When the worker has nothing more to do: the same for two seconds."""
    found, since = stored(data), time.monotonic()
    while time.monotonic() < since + 2:
        time.sleep(0.25)
        now = stored(data)
        if now != found:
            found, since = now, time.monotonic()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--octets", type=int, default=2_000, help="of each, about")
    parser.add_argument("--dir", type=Path, default=None)
    given = parser.parse_args()
    Mailbox.messages, Mailbox.octets = given.messages, given.octets
    folder = Path(tempfile.mkdtemp(prefix="mw-sync-", dir=given.dir))
    rows = []
    try:
        print(f"Machine: {machine(folder)}")
        with Mailweir(folder / "mailweir", serve(), None) as proxy:
            data = proxy.folder / "data"
            pids = tree(proxy.process.pid)
            doors = [pid for pid in pids if "--listener" in cmdline(pid)]
            worker = next(pid for pid in pids if "worker" in cmdline(pid))
            client = socket.create_connection(("127.0.0.1", proxy.port), 600)
            client.recv(4096)
            ask(client, b"a LOGIN %s secret" % USER.encode())
            ask(client, b"b EXAMINE INBOX")
            for name in ("first", "second"):
                before = {pid: reset_peak(pid) for pid in [*doors, worker]}
                Mailbox.sent = hashlib.sha256()
                begin, cpu = time.monotonic(), proxy.cpu()
                octets, digest = ask(client, b"f UID FETCH 1:* (UID BODY.PEEK[])")
                seconds, cpu = time.monotonic() - begin, proxy.cpu() - cpu
                if digest != Mailbox.sent.hexdigest():
                    raise RuntimeError("the client has read what the server has not sent")
                captures, messages = until_quiet(data)
                ingested = time.monotonic() - begin - 2
                door = max(memory_kib(pid, "VmHWM") - before[pid] for pid in doors)
                rows.append(
                    [name, f"{given.messages:,}", f"{octets / 1e6:,.0f}",
                     f"{given.messages / seconds:,.0f}", f"{cpu / given.messages * 1e6:,.0f}",
                     f"{ingested:,.0f}", f"{door / 1024:,.1f}",
                     f"{(memory_kib(worker, 'VmHWM') - before[worker]) / 1024:,.1f}",
                     f"{captures:,}", f"{messages:,}"]
                )  # fmt: skip
            client.close()
        head = ["sync", "messages", "MB", "messages/s at the client", "CPU of the door, µs/message",
                "s until all is in the store", "growth of the door, MB", "of the worker, MB",
                "captures in the store", "messages in the store"]  # fmt: skip
        print(markdown(head, rows))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
