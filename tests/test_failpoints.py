"""JOURNAL.md tells every failpoint there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_steps_of_the_page_are_those_of_the_program() -> None:
    page = (ROOT / "proxy" / "JOURNAL.md").read_text(encoding="utf-8")
    told = {f"{a}.{b}" for a, b in re.findall(r"^\| (\w+) `([a-z.]+)` \|", page, re.MULTILINE)}
    made = {
        name
        for path in (ROOT / "proxy").rglob("*.py")
        for name in re.findall(r'failpoint\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert told == made
