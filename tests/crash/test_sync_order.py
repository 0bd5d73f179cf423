"""What the kernel saw: no 250 before the disk said yes.

strace writes down every read, write and sync of a door in the order of the kernel. For each
message the test finds the write of its frame into the segment, a sync of that segment that began
after that write and ended well, and only then the 250 on the client's socket. With injected EIO
there must be no 250 at all (threats.md section 3).
"""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crash.appliance import Appliance, Role
from tests.crash.load import Hiccup, Mail, Session
from tests.crash.verdict import assert_nothing_lost
from tests.faultsink import FaultSink
from tests.peers.servers import need

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(120)]

CALLS = "read,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg"
SYNCS = ("fsync(", "fdatasync(")
BIG = 40_000  # above spool_above


class Event(NamedTuple):
    """One system call: the lines of the trace where it began and ended, and its whole text."""

    begin: int
    end: int
    text: str

    @property
    def fine(self) -> bool:
        return not self.text.rpartition(" = ")[2].startswith("-1")


def read_trace(path: Path) -> list[Event]:
    """strace's output with the calls of several threads put together again."""
    unfinished: dict[str, tuple[int, str]] = {}
    events = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines()):
        thread, _, text = line.partition(" ")
        text = text.lstrip()
        begin = number
        if text.endswith(" <unfinished ...>"):
            unfinished[thread] = (number, text.removesuffix(" <unfinished ...>"))
            continue
        if text.startswith("<... ") and thread in unfinished:
            begin, opening = unfinished.pop(thread)
            text = opening + text.partition(" resumed>")[2]
        events.append(Event(begin, number, text))
    return events


def check_order(events: list[Event], sender: str, *, big: bool) -> None:
    """The life of one message in the trace; each step must be there, after the one before."""

    def first(what: str, after: int, *parts: str, calls: tuple[str, ...] = ("",)) -> Event:
        for event in events:
            right = event.begin > after and event.fine and event.text.startswith(calls)
            if right and all(part in event.text for part in parts):
                return event
        raise AssertionError(f"{sender}: no {what}")

    asked = first("MAIL", -1, f"MAIL FROM:<{sender}>", calls=("read(", "recv"))
    found = re.search(r"<((?:socket|TCP):\[[^]]*\])>", asked.text)
    assert found, asked.text[:200]
    client = found.group(1)
    go_on = first("354", asked.end, client, '"354 ', calls=("write", "send"))
    answer = first("250", go_on.end, client, '"250 ', calls=("write", "send"))
    frame = first("frame", go_on.end, ".seg>", sender, calls=("write", "pwrite"))
    sync = first("sync of the segment", frame.end, ".seg>", calls=SYNCS)
    assert sync.end < answer.begin, f"{sender}: the 250 came before the sync had ended"
    if big:
        # One write may hold the frames of several messages: the name is behind its own sender.
        body = re.compile(r"big-\w+").search(frame.text, frame.text.index(sender))
        assert body, frame.text[:500]
        synced = first("sync of the body", go_on.end, f"/{body.group()}>", calls=SYNCS)
        folder = first("sync of the folder", synced.end, "/journal/mx-0>", calls=SYNCS)
        assert folder.end < frame.begin, f"{sender}: the frame was written before its body lay safe"


class Strace:
    """strace on a running process and all its threads."""

    def __init__(self, role: Role, output: Path, *options: str) -> None:
        command = ["strace", "-f", "-y", "-s", "1000000", "-o", str(output), *options]
        self.process = subprocess.Popen(
            [*command, "-p", str(role.process.pid)], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "attached" in line, line

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    with FaultSink() as sink:
        yield sink


@pytest.fixture
def box(tmp_path: Path, sink: FaultSink) -> Iterator[Appliance]:
    need("strace")
    box = Appliance(tmp_path, mx_hop=sink.port, sub_hop=sink.port, route=sink.port)
    yield box
    box.stop()
    print(box.log_tail())


def send(box: Appliance, name: str, size: int) -> tuple[Mail, bytes]:
    """The mail, and the final reply or the refusal before it; empty if the door hung up."""
    text = f"From: <{name}@example.net>\r\nMessage-ID: <{name}@x>\r\n\r\n" + "x" * size + "\r\n"
    mail = Mail(box.ports["mx"], ("b@example.com",), text.encode())
    try:
        session = Session(mail.port)
        session.envelope(f"{name}@example.net", mail.recipients)
        session.content(mail.body)
        mail.dots += 1
        reply = session.reply()
    except Hiccup as refused:
        return mail, refused.args[0]
    except OSError:
        return mail, b""
    mail.acknowledged = reply.startswith(b"250")
    return mail, reply


def send_many(box: Appliance, names: list[str], clients: int) -> list[tuple[Mail, bytes]]:
    """Several clients at once, so that messages share a sync; each fifth message is a big one."""
    results: list[tuple[Mail, bytes]] = []

    def run(part: list[str]) -> None:
        for name in part:
            results.append(send(box, name, BIG if name.endswith(("0", "5")) else 900))

    threads = [threading.Thread(target=run, args=(names[n::clients],)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_sync_lies_between_354_and_every_250(box: Appliance, sink: FaultSink) -> None:
    door = box.start("mx")
    assert door.wait_ready()
    trace = box.folder / "strace"
    strace = Strace(door, trace, "-e", f"trace={CALLS},fsync,fdatasync")
    names = [f"sync{number:03}" for number in range(40)]
    results = send_many(box, names, clients=8)
    strace.stop()
    assert all(mail.acknowledged for mail, _ in results), results
    events = read_trace(trace)
    for name in names:
        check_order(events, f"{name}@example.net", big=name.endswith(("0", "5")))

    assert box.start("worker").wait_ready()
    assert_nothing_lost(box, [mail for mail, _ in results], [sink])
    box.audit()


def test_a_disk_that_fails_at_sync_gives_no_250(box: Appliance, sink: FaultSink) -> None:
    """EIO from every sync: the door says 451 or hangs up, and ends, since nobody knows what is on
    the disk now (a later sync that succeeds proves nothing). Started again it recovers."""
    door = box.start("mx")
    assert door.wait_ready()
    before, reply = send(box, "before", 900)
    assert reply.startswith(b"250"), reply
    injected = "inject=fsync,fdatasync:error=EIO"
    strace = Strace(door, box.folder / "strace", "-e", "trace=fsync,fdatasync", "-e", injected)
    results = send_many(box, [f"eio{number:03}" for number in range(12)], clients=4)
    assert not any(mail.acknowledged for mail, _ in results), results
    assert {reply[:3] for _, reply in results} <= {b"451", b"421", b""}, results
    assert door.wait_dead(60) not in (None, 0)
    strace.stop()
    assert sink.messages, "the one before"
    assert len(sink.messages) == 1, "passed on without being in the journal"

    door = box.start("mx")
    assert door.wait_ready()
    after, reply = send(box, "after", 900)
    assert reply.startswith(b"250"), reply
    assert box.start("worker").wait_ready()
    assert_nothing_lost(box, [before, after, *(mail for mail, _ in results)], [sink])
    box.audit()
