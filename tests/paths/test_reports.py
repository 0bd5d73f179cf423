"""Senders of queued mail hear what became of it: exactly once, and never in a circle."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from bounce import detect
from crmstore.meaning import Meaning
from crmstore.queued import QueuedMessage, Result
from proxy.reports import Reporter
from tests.faultsink import FaultSink
from tests.paths.hops import run_on
from tests.paths.queued import BODY, DAY, Appliance

DEAD = Meaning(True, "invalid_address", "5.1.1", "mx.x.example", True)
ALL_FAIL: tuple[Literal["failed"], str, Meaning] = ("failed", "550 5.1.1 unknown", DEAD)


class World:
    def __init__(self, folder: Path) -> None:
        self.appliance = Appliance(folder)
        self.reporter = Reporter(
            self.appliance.settings,
            self.appliance.store,
            self.appliance.archive,
            clock=lambda: self.appliance.now,
        )

    def end(self, ident: int, *results: tuple[Any, ...]) -> None:
        """An attempt gave this, recipient by recipient."""
        queue, now = self.appliance.queue, self.appliance.now
        claimed = {m.id: m for m in queue.claim(100, now, 60, "test")}
        message = claimed.pop(ident)
        for other in claimed.values():
            queue.release(other, now)
        given = [Result(r.id, *one) for r, one in zip(message.recipients, results, strict=True)]
        queue.settle(message, given, now, now + 60)

    def reports(self) -> list[QueuedMessage]:
        states = ("queued", "sending", "delivered", "failed", "expired")
        return [m for m in self.appliance.queue.listing(states=states, limit=500) if not m.sender]

    def text(self, report: QueuedMessage) -> bytes:
        return b"".join(self.appliance.archive.stream(report.sha256))

    def told(self) -> list[tuple[str, str]]:
        """(address, action) of all recipients in all reports."""
        return [
            (recipient.address, recipient.action)
            for report in self.reports()
            for recipient in detect.read(self.text(report), sender="").recipients
        ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)


def test_a_failure_is_told_once(world: World) -> None:
    ident = world.appliance.put(["bob@x.example"])
    world.end(ident, ALL_FAIL)
    assert world.reporter.once() == 1 and world.reporter.once() == 0
    (report,) = world.reports()
    assert [r.address for r in report.recipients] == ["alice@example.com"]
    assert world.told() == [("bob@x.example", "failed")]


def test_a_report_is_never_answered(world: World) -> None:
    ident = world.appliance.put(["bob@x.example"])
    world.end(ident, ALL_FAIL)
    world.reporter.once()
    (report,) = world.reports()
    world.end(report.id, ALL_FAIL)
    for _ in range(3):
        assert world.reporter.once() == 0
    assert len(world.reports()) == 1


def test_mail_without_return_path_is_never_told_of(world: World) -> None:
    ident = world.appliance.put(["bob@x.example"], sender="")
    world.end(ident, ALL_FAIL)
    assert world.reporter.once() == 0 and len(world.reports()) == 1  # itself


def test_notify_never_and_success(world: World) -> None:
    ident = world.appliance.put(
        [("a@x.example", ["NOTIFY=NEVER"]), ("b@x.example", ["NOTIFY=SUCCESS"]), "c@x.example"]
    )
    world.end(ident, ALL_FAIL, ("delivered", "250 ok"), ("delivered", "250 ok"))
    assert world.reporter.once() == 1
    assert world.told() == [("b@x.example", "relayed")]


def test_late_once_then_expired(world: World) -> None:
    ident = world.appliance.put(["bob@x.example"])
    with world.appliance.store.writing() as connection:  # as the intake does
        due = int((world.appliance.now + 4 * 3600) * 1e6)
        connection.exec_driver_sql(f"UPDATE queue_messages SET report_us = {due}")
    away = Meaning(False, "server_unavailable", "4.4.1")
    world.end(ident, ("later", "451 4.4.1 away", away))
    assert world.reporter.once() == 0
    world.appliance.now += 4 * 3600 + 1
    assert world.reporter.once() == 1 and world.told() == [("bob@x.example", "delayed")]
    world.appliance.now += 3600
    assert world.reporter.once() == 0
    world.appliance.now += 5 * DAY
    world.end(ident, ("later", "451 4.4.1 away", away))
    assert world.reporter.once() == 1
    assert world.told() == [("bob@x.example", "delayed"), ("bob@x.example", "failed")]


def test_each_recipient_is_told_when_it_ends(world: World) -> None:
    ident = world.appliance.put(["a@x.example", "b@x.example"])
    world.end(ident, ALL_FAIL, ("later", "451 wait"))
    world.appliance.now += 61
    world.reporter.once()
    with_b = world.appliance.message(ident).recipients[1]
    (message,) = world.appliance.queue.claim(9, world.appliance.now, 60, "t")[:1]
    if message.sender:
        world.appliance.queue.settle(message, [Result(with_b.id, *ALL_FAIL)], world.appliance.now)
    world.reporter.once()
    assert sorted(world.told()) == [("a@x.example", "failed"), ("b@x.example", "failed")]


def test_a_body_that_is_gone_is_reported_without_it(world: World) -> None:
    ident = world.appliance.put(["bob@x.example"])
    world.appliance.archive.delete_many([world.appliance.message(ident).sha256])
    world.end(ident, ALL_FAIL)
    assert world.reporter.once() == 1 and world.told() == [("bob@x.example", "failed")]


def test_the_report_is_delivered_like_other_mail(tmp_path: Path) -> None:
    with FaultSink(rcpt={"nobody@": "550 5.1.1 no such user"}) as sink:
        world = World(tmp_path)
        appliance = world.appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        world.reporter = Reporter(
            appliance.settings, appliance.store, appliance.archive, clock=lambda: appliance.now
        )
        ident = appliance.put(["nobody@x.example", "bob@x.example"], body=BODY)
        run_on("uvloop", appliance.attempt(ident))
        assert world.reporter.once() == 1
        (report,) = world.reports()
        run_on("uvloop", appliance.attempt(report.id))
        arrived = [m for m in sink.messages if not m.sender]
        assert len(arrived) == 1 and arrived[0].recipients == ["alice@example.com"]
        (said,) = detect.read(arrived[0].body, sender="").recipients
        assert (said.address, said.category) == ("nobody@x.example", "invalid_address")


CHILD = """
import sys
from pathlib import Path
from tests.paths.test_reports import World
world = World(Path(sys.argv[1]))
world.reporter.once()
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["17.report.written", "18.report.queued"])
def test_a_crash_at_each_step_leaves_one_report(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    idents = [world.appliance.put([f"r{n}@x.example"]) for n in range(3)]
    for ident in idents:
        world.end(ident, ALL_FAIL)
    for number in (1, 2, 3):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            env={"PATH": "/usr/bin:/bin", "MAILWEIR_FAILPOINT": f"{point}:{number}"},
            cwd=Path(__file__).parents[2],
            check=False,
        )
        if child.returncode == -9:
            continue
        assert child.returncode == 0
    world.reporter.once()
    assert sorted(world.told()) == [(f"r{n}@x.example", "failed") for n in range(3)]
