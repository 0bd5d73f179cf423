"""The disk runs full, the store is locked: doors answer as promised, the worker waits, nothing
is lost. The full disk is a tmpfs of 4 MB (threats.md section 3) and needs root."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.appliance import Appliance
from tests.crash.load import Hiccup, Mail, Session
from tests.crash.verdict import assert_nothing_lost
from tests.faultsink import FaultSink
from tests.peers.servers import need_root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# A writer waits for 10 s, and then it pauses longer and longer: here 1 s, so that in this time it
# is refused again and again.
BUSY = ("crmstore.store.BUSY_MS=1000",)
LOCKED_FOR = 15


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    with FaultSink() as sink:
        yield sink


def send(box: Appliance, listener: str, name: str, size: int = 3000) -> tuple[Mail, bytes]:
    """The mail, and its final reply or the refusal before."""
    head = f"From: <a@example.net>\r\nTo: <b@example.com>\r\nMessage-ID: <{name}@x>\r\n\r\n"
    body = head.encode() + b"a body that packs well\r\n" * (size // 24)
    mail = Mail(box.ports[listener], ("b@example.com",), body)
    session = Session(mail.port)
    try:
        session.envelope("a@example.net", mail.recipients)
        session.content(mail.body)
        mail.dots += 1
        reply = session.reply()
    except Hiccup as refused:
        return mail, refused.args[0]
    finally:
        session.link.close()
    mail.acknowledged = reply.startswith(b"250")
    return mail, reply


def test_the_store_is_locked(tmp_path: Path, sink: FaultSink) -> None:
    """Somebody holds the database (a backup, a person with a shell): mail flows on, is in the
    journal, and reaches the store afterwards by the same worker."""
    box = Appliance(tmp_path, mx_hop=sink.port, sub_hop=sink.port, route=sink.port)
    roles = [box.start(role, hasty=BUSY) for role in ("mx", "sub", "worker")]
    store = sqlite3.connect(box.data / "mailweir.db", isolation_level=None, timeout=60)
    try:
        assert all(role.wait_ready() for role in roles)
        mails = [send(box, "mx", "before")]
        store.execute("BEGIN EXCLUSIVE")
        end, count = time.monotonic() + LOCKED_FOR, 0
        while time.monotonic() < end:
            count += 1
            mails.append(send(box, "mx" if count % 2 else "sub", f"locked{count}"))
            time.sleep(0.2)
        store.execute("ROLLBACK")
        assert [reply for mail, reply in mails if not mail.acknowledged] == []
        assert all(role.alive for role in roles), "a role gave up"
        assert '"store.trouble"' in box.log.read_text(), "nobody was ever refused"
        assert_nothing_lost(box, [mail for mail, _ in mails], [sink])
        box.audit()
    finally:
        store.close()
        box.stop()
        print(box.log_tail())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MB of disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    need_root("mounting a tmpfs")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("min_free", [0, 400_000], ids=["to the last byte", "with a margin"])
def test_the_disk_is_full(tmp_path: Path, sink: FaultSink, small_disk: Path, min_free: int) -> None:
    """Mail comes in until there is no room: then 452 4.3.1 (RFC 3463 3.4), not a byte of a message
    on its way to the next hop without its copy, and the door lives on. With room again mail flows
    again and the worker catches up. (Few and large messages: the store needs its part of 4 MB.)"""
    if min_free:  # the margin stays empty: the store's part comes on top of it
        command = ["mount", "-o", "remount,size=5m", str(small_disk)]
        subprocess.run(command, check=True)
    box = Appliance(
        tmp_path,
        mx_hop=sink.port,
        sub_hop=sink.port,
        route=sink.port,
        data=small_disk / "data",
        min_free=min_free,
        spool_above=100_000,
    )
    try:
        door = box.start("mx")
        assert door.wait_ready()
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk)
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - min_free - 200_000)))
        mails: list[Mail] = []
        replies: list[bytes] = []
        while len(replies) < 400 and not all(r.startswith(b"4") for r in [b"", *replies][-10:]):
            number = len(replies)
            mail, reply = send(box, "mx", f"full{number}", 50_000 if number % 3 else 150_000)
            mails.append(mail)
            replies.append(reply)
        assert replies[0].startswith(b"250"), replies[0]
        refused = [reply for reply in replies if not reply.startswith(b"250")]
        assert len(refused) >= 10, "the disk never ran full"
        assert {reply[:9] for reply in refused} == {b"452 4.3.1"}, set(refused)

        worker = box.start("worker")  # on a disk that is full already
        time.sleep(3)
        assert worker.alive, f"the worker gave up: {worker.process.returncode}"
        assert door.alive, f"the door gave up: {door.process.returncode}"

        ballast.unlink()
        end = time.monotonic() + 60  # free space is looked at once a second
        reply = b""
        while not reply.startswith(b"250") and time.monotonic() < end:
            time.sleep(0.5)
            mail, reply = send(box, "mx", f"again{len(mails)}")
            mails.append(mail)
        assert reply.startswith(b"250"), reply
        assert_nothing_lost(box, mails, [sink], 60)
        box.audit()
    finally:
        box.stop()
        print(box.log_tail())
