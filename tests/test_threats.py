"""tests/THREATS.md and tests/IMAP.md name tests that exist."""

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.sources import ROOT

TABLE = (ROOT / "tests" / "THREATS.md").read_text("utf-8")
IMAP = (ROOT / "tests" / "IMAP.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", TABLE + IMAP)))


@pytest.mark.parametrize("named", NAMED)
def test_what_the_table_names_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert (ROOT / file).is_file()
    if test:
        assert test in functions_of(ROOT / file)


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def test_every_row_has_a_test() -> None:
    rows = [line for line in TABLE.splitlines() if re.match(r"\| (?!#|-|threat|promise)", line)]
    assert len(rows) >= 60
    assert [row for row in rows if "tests/" not in row and "| row 10 |" not in row] == []


def test_every_row_of_imap_has_a_test() -> None:
    rows = re.findall(r"^\| (?!row|-)(.+) \|$", IMAP, re.MULTILINE)
    assert len(rows) >= 31  # of the design page
    assert [row for row in rows if "`tests/" not in row] == []


def test_the_sessions_that_are_named_are_played() -> None:
    sessions = (ROOT / "tests" / "peers" / "sessions.py").read_text("utf-8")
    played = set(re.findall(r'^    "([^"]+)": \[', sessions, re.MULTILINE))
    named = set(re.findall(r'session "([^"]+)"', IMAP))
    assert len(named) > 20
    assert named - played == set()
