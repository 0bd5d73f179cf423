"""Where doors run (proxy/doorsocket.py, decision 0007)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.doorsocket import own_processor

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("doors", "places"),
    [
        (4, [{2}, {3}, {5}, {7}]),
        (6, [{2}, {3}, {5}, {7}, {2}, {3}]),
        (3, [None, None, None]),
        (1, [None]),
    ],
)
def test_each_door_gets_a_processor_where_there_is_a_door_for_each(
    monkeypatch: pytest.MonkeyPatch, doors: int, places: list[set[int] | None]
) -> None:
    found: list[set[int] | None] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {7, 3, 2, 5})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, mask: found.append(mask))
    for slot in range(doors):
        before = len(found)
        own_processor(slot, doors)
        if len(found) == before:
            found.append(None)
    assert found == places


def test_a_sandbox_that_forbids_it_stops_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[int]] = []

    def forbidden(pid: int, mask: set[int]) -> None:
        asked.append(mask)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    own_processor(0, len(os.sched_getaffinity(0)))
    assert len(asked) == 1


def test_the_kernel_takes_it() -> None:
    code = (
        "import os; from proxy.doorsocket import own_processor as own; "
        "mine = os.sched_getaffinity(0); own(len(mine) - 1, len(mine)); "
        "assert os.sched_getaffinity(0) == {max(mine)}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
