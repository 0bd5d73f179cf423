"""Failpoints: kill this process by SIGKILL at a named step, to prove what a crash leaves.

`MAILWEIR_FAILPOINT=3.frame.written` kills at the first passing, `name:5` at the fifth,
`name:p0.01` each time with that probability; several are separated by commas. The names are the
numbered steps of JOURNAL.md. Unset (always, but in crash tests) a passing costs one empty call.
A value that cannot be read stops the program at import, so that a crash test never passes idly.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

VARIABLE = "MAILWEIR_FAILPOINT"


class _Armed:
    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, int] = {}
        self._chance: dict[str, float] = {}
        for part in text.split(","):
            name, _, when = part.strip().partition(":")
            try:
                if when.startswith("p"):
                    self._chance[name] = float(when[1:])
                else:
                    self._left[name] = int(when or "1")
            except ValueError:
                raise SystemExit(f"{VARIABLE}: {part!r} is not name, name:N or name:pP") from None

    def __call__(self, name: str) -> None:
        with self._lock:
            if name in self._left:
                self._left[name] -= 1
                hit = self._left[name] == 0
            else:
                hit = random.random() < self._chance.get(name, 0.0)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
            while True:  # the signal may need a moment to reach this thread; go no further
                time.sleep(1)


def _unarmed(name: str) -> None:
    """Nothing to do."""


failpoint = _Armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else _unarmed
