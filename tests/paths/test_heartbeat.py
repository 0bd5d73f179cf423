"""Signs of life: written in one step, readable when half of it is missing, alive on a full disk."""

import json
import os
from pathlib import Path

import pytest

from proxy import sdnotify
from proxy.heartbeat import FRESH, Heartbeat, read_beats


def test_a_beat_is_read_back(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path, "mx-0")
    heart.ready = True
    heart.figures["connections"] = 3
    heart.beat()
    beat = read_beats(tmp_path)["mx-0"]
    assert (beat.pid, beat.ready, beat.figures, beat.alive) == (
        os.getpid(),
        True,
        {"connections": 3},
        True,
    )
    heart.stop()
    assert read_beats(tmp_path) == {}


def test_an_old_beat_is_not_alive_and_a_broken_one_is_not_there(tmp_path: Path) -> None:
    Heartbeat(tmp_path, "worker").beat()
    os.utime(tmp_path / "worker.json", (0, 0))
    (tmp_path / "half.json").write_text('{"role": "ha')
    (tmp_path / "other.json").write_text(json.dumps(["role"]))
    beats = read_beats(tmp_path)
    assert list(beats) == ["worker"]
    assert beats["worker"].age > FRESH and not beats["worker"].alive


def test_a_disk_that_takes_nothing_still_shows_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heartbeat(tmp_path, "worker")
    heart.beat()
    os.utime(tmp_path / "worker.json", (0, 0))

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    heart.beat()
    assert read_beats(tmp_path)["worker"].alive


def test_systemd_is_told_when_it_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    assert not sdnotify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "missing"))
    assert not sdnotify.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert sdnotify.notify("READY=1", "STATUS=serving")
        assert ear.recv(100) == b"READY=1\nSTATUS=serving"


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [("4000000", "", 2.0), ("4000000", "1", None), ("0", "", None), ("x", "", None)],
)
def test_the_watchdog_interval(
    usec: str, pid: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert sdnotify.watchdog_interval() == expected
