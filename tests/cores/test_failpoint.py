"""A failpoint kills at its step and nowhere else, and a name that is wrong never passes idly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

CODE = """
from proxy.failpoint import failpoint
for turn in range(5):
    for name in ("1.one", "2.two"):
        print(turn, name, flush=True)
        failpoint(name)
"""


def run(value: str | None) -> tuple[int, list[str]]:
    environment = {k: v for k, v in os.environ.items() if k != "MAILWEIR_FAILPOINT"}
    if value is not None:
        environment["MAILWEIR_FAILPOINT"] = value
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("value", "last"),
    [
        ("1.one", "0 1.one"),
        ("2.two", "0 2.two"),
        ("2.two:3", "2 2.two"),
        ("1.one:p1", "0 1.one"),
        ("2.two:4, 1.one:5", "3 2.two"),
    ],
)
def test_kills_there(value: str, last: str) -> None:
    code, said = run(value)
    assert (code, said[-1]) == (-signal.SIGKILL, last)


@pytest.mark.parametrize("value", [None, "", "9.other", "1.one:6", "1.one:p0"])
def test_passes(value: str | None) -> None:
    assert run(value) == (0, [f"{t} {n}" for t in range(5) for n in ("1.one", "2.two")])


@pytest.mark.parametrize("value", ["1.one:x", "1.one:p", "1.one:1.5"])
def test_refuses_what_it_cannot_read(value: str) -> None:
    assert run(value) == (1, [])
