"""The worker gives way to busy doors, for a bounded time (proxy/lull.py)."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.lull import LARGE, LOOK, PATIENCE, Lull, spare_seconds, written_at

STAT = b"""cpu  300 20 30 4000 50 0 6 0 0 0
cpu0 100 10 10 1000 10 0 2 0 0 0
cpu1 100 10 10 2000 20 0 2 0 0 0
cpu10 100 0 10 1000 20 0 2 0 0 0
intr 12345 0 0
ctxt 99
"""


class Looks(threading.Event):
    """Counts the looks instead of waiting."""

    count = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == LOOK
        self.count += 1
        return self.is_set()


class Machine:
    """Two processors and one door; time passes by looks."""

    def __init__(self, stop: Looks) -> None:
        self.stop = stop
        self.idle: float | None = 0.0  # processors
        self.silent_from = 10_000  # looks
        self.each_look = 0  # octets that come meanwhile

    def now(self) -> float:
        return 1000.0 + self.stop.count * LOOK

    def written(self, journal_dir: Path) -> float:
        return 1000.0 + min(self.stop.count, self.silent_from) * LOOK

    def behind(self) -> int:
        return self.stop.count * self.each_look

    def spare(self) -> float | None:
        return None if self.idle is None else self.stop.count * LOOK * self.idle


@pytest.fixture
def stop() -> Looks:
    return Looks()


@pytest.fixture
def machine(stop: Looks) -> Machine:
    return Machine(stop)


@pytest.fixture
def lull(machine: Machine, tmp_path: Path) -> Iterator[Lull]:
    yield Lull(
        tmp_path,
        written=machine.written,
        spare=machine.spare,
        now=machine.now,
        behind=machine.behind,
    )


def test_busy_doors_make_it_wait_but_not_for_ever(lull: Lull, stop: Looks) -> None:
    lull.await_one(stop)
    assert stop.count == PATIENCE
    lull.await_one(stop)
    assert stop.count == PATIENCE  # a lasting load: no second wait before it has caught up
    lull.caught_up()
    lull.await_one(stop)
    assert stop.count == 2 * PATIENCE


def test_the_end_of_a_burst_ends_the_wait(lull: Lull, machine: Machine, stop: Looks) -> None:
    machine.silent_from = 4
    lull.await_one(stop)
    assert stop.count == 5


def test_a_backlog_that_grows_large_ends_the_wait(
    lull: Lull, machine: Machine, stop: Looks
) -> None:
    machine.each_look = LARGE // 10
    lull.await_one(stop)
    assert stop.count == 11
    lull.await_one(stop)
    assert stop.count == 11
    machine.each_look = 0  # what there was is done: the doors may have the processors again
    lull.await_one(stop)
    assert stop.count == PATIENCE


def test_doors_that_do_not_write_are_not_waited_for(
    lull: Lull, machine: Machine, stop: Looks
) -> None:
    machine.silent_from = -1
    lull.await_one(stop)
    assert stop.count == 0


@pytest.mark.parametrize(("idle", "looks"), [(2.0, 1), (0.6, 1), (0.4, PATIENCE)])
def test_a_spare_processor_is_used(
    lull: Lull, machine: Machine, stop: Looks, idle: float, looks: int
) -> None:
    machine.idle = idle
    lull.await_one(stop)
    assert stop.count == looks


def test_where_nothing_is_known_it_never_waits(lull: Lull, machine: Machine, stop: Looks) -> None:
    machine.idle = None
    lull.await_one(stop)
    assert stop.count == 0


def test_the_end_of_the_worker_ends_the_wait(lull: Lull, stop: Looks) -> None:
    stop.set()
    lull.await_one(stop)
    assert stop.count == 1


def test_only_our_processors_are_counted() -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert spare_seconds(STAT, {0, 1}) == pytest.approx(3030 * tick)
    assert spare_seconds(STAT, {10}) == pytest.approx(1020 * tick)


def test_the_newest_segment_of_any_door_counts(tmp_path: Path) -> None:
    assert written_at(tmp_path / "none") == 0.0
    for door, number, written in (("mx-0", 1, 900), ("mx-0", 2, 500), ("mx-1", 1, 700)):
        segment = tmp_path / door / f"{number:08d}.seg"
        segment.parent.mkdir(exist_ok=True)
        segment.touch()
        os.utime(segment, (written, written))
    (tmp_path / "empty-0").mkdir()
    assert written_at(tmp_path) == 700
