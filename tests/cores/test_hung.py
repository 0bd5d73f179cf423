"""Who hangs: by the looker's own clock, and only who has beaten before."""

from datetime import UTC, datetime

from proxy.heartbeat import Beat
from proxy.hung import Hung


def beat(pid: int, at: float) -> dict[str, Beat]:
    return {"mx-0": Beat("mx-0", pid, datetime.now(UTC), True, at, 0.0, None, {})}


def watch(hung: Hung, at: float, start: int, end: int) -> list[str]:
    """A look every five seconds at a beat that stays the same; what the last one found."""
    for now in range(start, end, 5):
        assert hung.look({"mx-0": 7}, beat(7, at), now) == []
    return hung.look({"mx-0": 7}, beat(7, at), end)


def test_a_role_that_stops_beating_is_found_and_one_that_beats_is_not() -> None:
    hung = Hung(60)
    assert watch(hung, 100.0, 0, 60) == []
    assert watch(hung, 102.0, 65, 125) == []
    assert hung.look({"mx-0": 7}, beat(7, 102.0), 126.0) == ["mx-0"]
    assert hung.look({"mx-0": 7}, beat(7, 104.0), 127.0) == []


def test_a_machine_that_was_paused_makes_nobody_hang() -> None:
    hung = Hung(60)
    assert watch(hung, 100.0, 0, 10) == []
    assert watch(hung, 100.0, 250, 300) == []  # four minutes later; the ten seconds count
    assert hung.look({"mx-0": 7}, beat(7, 100.0), 301.0) == ["mx-0"]


def test_a_clock_that_was_set_makes_nobody_hang() -> None:
    hung, pids = Hung(60), {"mx-0": 7}
    assert hung.look(pids, beat(7, 1_000_000.0), 0.0) == []
    assert hung.look(pids, beat(7, 50.0), 61.0) == []  # set back, but the beat has changed


def test_a_new_process_has_its_time_to_start() -> None:
    hung = Hung(60)
    assert hung.look({"mx-0": 7}, beat(7, 100.0), 0.0) == []
    assert hung.look({"mx-0": 8}, beat(7, 100.0), 500.0) == []  # the file of its predecessor
    assert hung.look({"mx-0": 8}, beat(8, 600.0), 501.0) == []
    assert hung.look({}, beat(8, 600.0), 900.0) == []
