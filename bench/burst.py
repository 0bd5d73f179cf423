"""A burst of mail through a real door: `python bench/burst.py [--messages N] [--engines E ...]`.

20,000 messages as in life (bench/mailgen.py) come in on 20 sessions at once, sent ones at the
submission door and received ones at the inbound one, as fast as these take them, and go on to
Postfix's smtp-sink. The whole of Mailweir runs, on all processors, the
worker beside the doors as `mailweir run` starts it. What is told: the rate at the door, and how
long after the last 250 the last message is linked, threaded and can be searched for.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.clients import Client
from bench.mailgen import DOMAIN, Mail, Writer
from bench.measure import cmdline, machine, markdown, memory_kib, tree
from bench.peers import Mailweir, Sink
from bench.smtp_relay import relay_listeners
from bench.store import known
from bench.storefill import fill, place

SESSIONS = 20
RECORDS = 1_000
GOAL = 10.0  # seconds
HEAD = [
    "store", "messages", "MB", "messages/s at the door", "waiting at the last 250",
    "s until the last is linked", "worker, peak MB", f"wanted: {GOAL:.0f} s",
]  # fmt: skip


@dataclass
class Result:
    """What one engine did."""

    engine: str
    messages: int
    octets: int
    seconds: float  # from the first connect to the last 250
    waiting: int  # messages that were not in the store then
    behind: float  # seconds from then until all are
    peak_mb: float  # of the worker and its reader

    def row(self) -> list[str]:
        return [
            self.engine, f"{self.messages:,}", f"{self.octets / 1e6:,.0f}",
            f"{self.messages / self.seconds:,.0f}", f"{self.waiting:,}", f"{self.behind:.1f}",
            f"{self.peak_mb:.0f}", "met" if self.behind <= GOAL else "**missed**",
        ]  # fmt: skip


def send(ports: Mapping[str, int], mails: deque[Mail]) -> None:
    """Take from what is left until nothing is; a message that is refused ends the run."""
    clients = {name: Client(port) for name, port in ports.items()}
    try:
        while True:
            mail = mails.popleft()
            client = clients["submission" if mail.sent else "mx"]
            body = mail.body.replace(b"\r\n.", b"\r\n..")
            to = b"".join(b"RCPT TO:<%s>\r\n" % one.encode() for one in mail.recipients)
            client.link.sendall(b"MAIL FROM:<%s>\r\n%sDATA\r\n" % (mail.sender.encode(), to))
            for _ in range(1 + len(mail.recipients)):
                client.reply_line(b"250")
            client.reply_line(b"354")
            client.link.sendall(body + b".\r\n")
            client.reply_line(b"250")
    except IndexError:
        for client in clients.values():
            client.close()


def burst(ports: Mapping[str, int], mails: deque[Mail]) -> float:
    """Seconds until the last message is accepted."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            send(ports, mails)
        except BaseException as error:
            failed.append(error)

    begun = time.perf_counter()
    sessions = [threading.Thread(target=run) for _ in range(SESSIONS)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    if failed:
        raise SystemExit(f"the door did not take all: {failed[0]!r}")
    return time.perf_counter() - begun


def measure(engine: str, folder: Path, mails: list[Mail], sink: Sink) -> Result:
    listeners = relay_listeners(sink)
    with place(engine, folder) as where:
        store = where.store()
        store.migrate()
        fill(store, RECORDS, 0)
        with Mailweir(folder, listeners, domain=DOMAIN, store=where.url) as own:
            seconds = burst(own.ports, deque(mails))
            ended = time.perf_counter()
            waiting = len(mails) - known(store)
            while known(store) < len(mails):
                if time.perf_counter() - ended > 300:
                    raise SystemExit(f"the store has {known(store)} of {len(mails)} messages")
                time.sleep(0.05)
            behind = time.perf_counter() - ended
            workers = [pid for pid in tree(own.process.pid) if "worker" in cmdline(pid)]
            peak = sum(memory_kib(pid, "VmHWM") for one in workers[:1] for pid in tree(one))
        store.close()
    octets = sum(len(mail.body) for mail in mails)
    return Result(engine, len(mails), octets, seconds, waiting, behind, peak / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", default="/var/tmp", help="where journal and store lie, on disk")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mw-bench-", dir=options.dir))
    folder.chmod(0o755)
    about = machine(folder)
    writer = Writer(RECORDS)
    mails = [writer.mail(number) for number in range(options.messages)]
    results = []
    try:
        with Sink() as sink:
            for engine in options.engines:
                results.append(measure(engine, folder / engine, mails, sink))
                print(" ".join(results[-1].row()), file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps({"machine": about, "results": [asdict(result) for result in results]}))
    else:
        print(f"{about}\n\n{markdown(HEAD, [result.row() for result in results])}")
    return 0 if all(result.behind <= GOAL for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
