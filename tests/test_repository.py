"""What must hold for every committed file, whatever is in it."""

import importlib.metadata
import re
import sys
from pathlib import Path

from tests.sources import FLOORS, ROOT, committed_files, modules

# Written so that these lines do not match themselves.
REGISTRY = re.compile(
    r"py[p]i\.(org|python)|python[h]osted|npm[j]s\.(org|com)|deb\.debian[.]org|crates[.]io"
    r"|index[-_]url|proxy\.golang[.]org",
    re.IGNORECASE,
)
MACHINE = re.compile(r"(?<![\w./])/(w[o]rk|r[o]ot|opt/py[p]i|tmp/[w]|home/(?!example))(?=/|\b)")
OPENING = re.compile(r'(#[^\n]*\n|\n)*r?"""\s*[^\s"]')  # a docstring, after comments at most

# Modules of more lines than this need a reason why they are better whole. (A file of tests grows
# with its subject: there the limit is a higher one.)
LINES, LINES_OF_TESTS = 400, 700
LONG = {
    "crmstore/migrations/versions/0001_first.py": "a migration is one step, table after table",
    "crmstore/schema.py": "every table and what holds between them, in one place",
    "proxy/imap/dialogue.py": "one state: what each line of two sides does to it",
    "proxy/smtp/listener.py": "what each action of a session does, one method for each",
}
# What is installed and never imported, and why.
NOT_IMPORTED = {
    "dkimpy": "the owner's choice; the tests verify signatures with it",
    "psycopg": "SQLAlchemy speaks to PostgreSQL through it",
    "flanker": "the owner's choice, for addresses that people type",
    "standard-imghdr": "flanker needs it from Python 3.13 on",
}


def text_of(path: Path) -> str:
    return (ROOT / path).read_bytes().decode("utf-8", "replace")


def test_no_registry_and_no_machine_is_named() -> None:
    named = [
        f"{path}:{number}: {line}"
        for path in committed_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if REGISTRY.search(line) or MACHINE.search(line)
    ]
    assert named == []


def test_long_files_have_a_reason() -> None:
    long = {
        str(path)
        for path in committed_files()
        if path.suffix == ".py"
        and text_of(path).count("\n") > (LINES_OF_TESTS if path.parts[0] == "tests" else LINES)
    }
    assert sorted(long - LONG.keys()) == [], "shorten it, or give the reason in LONG"
    assert sorted(LONG.keys() - long) == [], "no longer long"


def test_every_module_opens_by_saying_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in committed_files()
        if path.suffix == ".py" and (text := text_of(path)) and not OPENING.match(text)
    ]
    assert silent == []


def test_shell_scripts_may_be_run() -> None:
    scripts = [path for path in committed_files() if text_of(path).startswith("#!")]
    assert [str(path) for path in scripts if not (ROOT / path).stat().st_mode & 0o100] == []


def requirements(name: str) -> set[str]:
    """The packages a requirements file names itself."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    names = [re.match(r"[a-z0-9.-]+", line) for line in lines if not line.startswith("-")]
    return {found.group() for found in names if found}


def test_what_is_imported_is_required_and_the_other_way_round() -> None:
    found = {name.split(".")[0] for module in modules().values() for name in module.imports}
    outside = found - sys.stdlib_module_names - set(FLOORS)
    packages = importlib.metadata.packages_distributions()
    imported = {packages[name][0].lower().replace("_", "-") for name in outside - {"backports"}}
    imported |= {"backports.zstd"} if "backports" in outside else set()
    required = requirements("run.in")
    assert sorted(imported - required) == []
    assert sorted(required - imported - NOT_IMPORTED.keys()) == []


def test_pins_have_hashes_and_name_no_place() -> None:
    for name in ("run.txt", "test.txt"):
        text = (ROOT / "requirements" / name).read_text()
        pins = re.findall(r"(?m)^([a-z0-9._-]+)==", text)
        blocks = re.findall(r"(?m)^[a-z0-9._-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text)
        assert len(pins) == len(blocks) > 30
        assert "://" not in text


def test_test_pins_are_those_of_the_product_and_more() -> None:
    run, test = (
        set(re.findall(r"(?m)^[a-z0-9._-]+==[^\s;\\]+", (ROOT / "requirements" / name).read_text()))
        for name in ("run.txt", "test.txt")
    )
    assert run < test
