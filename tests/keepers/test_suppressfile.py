"""The list's file: seen when it changes, and nothing refused when it is missing, torn or old."""

import os
from pathlib import Path

from bounce.suppressfile import LOOK, STALE, SuppressionFile, publish
from bounce.suppression import Suppressed

DEAD = Suppressed("invalid_address", "5.1.1", "550 no", 1.0)


class Clock:
    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 0.0

    def __call__(self) -> float:
        return self.now


def opened(tmp_path: Path) -> tuple[SuppressionFile, Clock, Path]:
    path = tmp_path / "suppression.list"
    clock = Clock(path)
    return SuppressionFile(path, clock=clock), clock, path


def test_missing_then_there_then_changed_then_gone(tmp_path: Path) -> None:
    listed, clock, path = opened(tmp_path)
    listed.refresh()
    assert listed.find("a@x.example") is None
    publish(path, [("a@x.example", DEAD)])
    clock.now = path.stat().st_mtime
    listed.refresh()
    assert listed.find("a@x.example") == DEAD
    publish(path, [("b@x.example", DEAD), ("c@x.example", DEAD)])
    clock.now += LOOK + 0.1
    listed.refresh()
    assert listed.find("a@x.example") is None and listed.find("c@x.example") == DEAD
    path.unlink()
    clock.now += LOOK + 0.1
    listed.refresh()
    assert listed.find("c@x.example") is None


def test_a_list_that_nobody_touches_is_not_believed(tmp_path: Path) -> None:
    listed, clock, path = opened(tmp_path)
    publish(path, [("a@x.example", DEAD)])
    clock.now = path.stat().st_mtime + STALE + 1
    listed.refresh()
    assert listed.find("a@x.example") is None
    os.utime(path, (clock.now, clock.now))  # the worker is back
    clock.now += LOOK + 0.1
    listed.refresh()
    assert listed.find("a@x.example") == DEAD


def test_a_torn_file_refuses_nobody(tmp_path: Path) -> None:
    listed, clock, path = opened(tmp_path)
    publish(path, [("a@x.example", DEAD)])
    path.write_bytes(path.read_bytes()[:-1])
    clock.now = path.stat().st_mtime
    listed.refresh()
    assert listed.find("a@x.example") is None


def test_an_empty_list(tmp_path: Path) -> None:
    listed, clock, path = opened(tmp_path)
    publish(path, [])
    clock.now = path.stat().st_mtime
    listed.refresh()
    assert listed.find("a@x.example") is None
