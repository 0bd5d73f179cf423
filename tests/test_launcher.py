"""bin/mailweir on its first use, its second, and after things went wrong.

Played in a copy of bin/ with requirements that need no download, and a `proxy` that prints what it
was called with: what is tested is how the environment comes to be.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
MAKING = "mailweir: making its environment"
BROKEN_PIN = "no-such-package==1.0 --hash=sha256:" + 64 * "0" + "\n"


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"  # with a space
        for name in ("bin", "requirements", "proxy"):
            (self.root / name).mkdir(parents=True)
        for name in ("environment", "mailweir"):
            shutil.copy(ROOT / "bin" / name, self.root / "bin")
        (self.root / "proxy/__init__.py").touch()
        (self.root / "proxy/__main__.py").write_text("import sys; print(sys.argv[1:])")
        self.require("run", "# nothing\n")
        self.require("test", "# nothing, and more\n")
        self.venv = self.root / ".venv"

    def require(self, level: str, text: str) -> None:
        (self.root / f"requirements/{level}.txt").write_text(text)

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self.root / "bin/mailweir"), *arguments],
            env={**os.environ, "PIP_NO_INDEX": "1", **environ},
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environ)
        out, err = process.communicate()
        return process.returncode, out, err

    def make_for_tests(self) -> None:
        """What bin/test does."""
        script = f'root="{self.root}"; . "$root/bin/environment"; make_environment test'
        subprocess.run(["sh", "-euc", script], check=True, capture_output=True)


@pytest.fixture(scope="module", autouse=True)
def nobodys_environment() -> Iterator[None]:
    """Who runs the tests may keep their environment in MAILWEIR_VENV, and it is to survive them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MAILWEIR_VENV", raising=False)
        yield


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, tuple[int, str, str]]:
    """A checkout used once, and what that gave."""
    checkout = Checkout(tmp_path_factory.mktemp("first"))
    return checkout, checkout.run("try", "--once", "two words")


@pytest.fixture
def used(first: tuple[Checkout, tuple[int, str, str]], checkout: Checkout) -> Checkout:
    """A checkout with an environment in place (copied: making one takes seconds)."""
    shutil.copytree(first[0].venv, checkout.venv, symlinks=True)
    return checkout


@pytest.fixture
def fake_python(tmp_path: Path) -> Callable[[str], str]:
    """A PATH that has the usual tools, and as its only Python this shell script."""

    def make(script: str) -> str:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in os.listdir("/usr/bin"):
            if not name.startswith("python"):
                (tools / name).symlink_to(f"/usr/bin/{name}")
        (tools / "python3").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "python3").chmod(0o755)
        return str(tools)

    return make


def test_first_use_makes_it_and_second_use_is_quick_and_quiet(
    first: tuple[Checkout, tuple[int, str, str]], tmp_path: Path
) -> None:
    checkout, (code, out, err) = first
    assert (code, out) == (0, "['try', '--once', 'two words']\n")
    assert err.startswith(MAKING) and err.count("\n") == 1
    assert checkout.run("a") == (0, "['a']\n", "")

    link = tmp_path / "link"
    link.symlink_to(checkout.root / "bin/mailweir")
    assert subprocess.check_output([link, "b"], cwd="/", text=True) == "['b']\n"

    # Its own part of a start: what comes before Python.
    (checkout.root / "proxy/__main__.py").write_text("")  # (the last use of this one)
    alone = [str(checkout.venv / "bin/python"), "-P", "-m", "proxy"]
    assert cost([str(link)], checkout.root) - cost(alone, checkout.root) < 0.03


def cost(command: list[str], cwd: Path) -> float:
    """The least CPU seconds of ten runs: what else the machine does counts little."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, cwd=cwd, env={**os.environ, "PYTHONPATH": str(cwd)})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(10))


def test_the_current_folder_is_never_imported_from(used: Checkout, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the current folder')")
    (used.root / "proxy/__main__.py").write_text(
        "import json, os, sys, subprocess as s;"
        "print(s.run([sys.executable, '-c', 'import json, proxy'], cwd=os.getcwd()).returncode)"
    )
    command = [used.root / "bin/mailweir"]
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "0\n"


def test_two_first_uses_at_once_make_one(checkout: Checkout) -> None:
    both = [checkout.start("x") for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [out for out, _ in told] == ["['x']\n"] * 2
    assert "".join(err for _, err in told).count(MAKING) == 1


def test_a_killed_first_use_is_repaired_by_the_next(checkout: Checkout) -> None:
    process = checkout.start("x")
    half_made = checkout.root / ".venv.new/bin/python"
    while not half_made.is_symlink():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not checkout.venv.exists()
    assert checkout.run("x")[:2] == (0, "['x']\n")
    assert not half_made.exists()


def test_other_requirements_make_it_anew_and_a_failure_leaves_the_old_one(used: Checkout) -> None:
    used.require("run", BROKEN_PIN)
    code, out, err = used.run("x")
    assert (code, out) == (2, "")
    assert "no-such-package" in err and "pip could not install requirements/run.txt" in err
    used.require("run", "# nothing\n")
    assert used.run("x") == (0, "['x']\n", "")
    used.require("run", "# something else\n")
    code, out, err = used.run("x")
    assert (code, err.startswith(MAKING)) == (0, True)


def test_an_environment_for_tests_is_good_for_running(checkout: Checkout) -> None:
    checkout.make_for_tests()
    assert checkout.run("x") == (0, "['x']\n", "")
    checkout.require("run", "# changed\n")
    assert checkout.run("x")[0] == 0
    assert (checkout.venv / "made-from/test.txt").exists()


def test_it_may_stand_elsewhere(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "deep/er/venv"
    assert checkout.run("x", MAILWEIR_VENV=str(elsewhere))[0] == 0
    assert (elsewhere / "bin/python").exists() and not checkout.venv.exists()
    pip = (elsewhere / "bin/pip").read_text()
    assert str(elsewhere) in pip and ".new" not in pip


def test_an_old_python_is_refused_in_one_line(
    checkout: Checkout, fake_python: Callable[[str], str]
) -> None:
    code, out, err = checkout.run("x", PATH=fake_python("exit 1"))
    assert (code, out) == (2, "")
    assert err == (
        "mailweir: needs Python 3.11, 3.12 or 3.13: "
        "found none as python3, python3.13, python3.12 or python3.11\n"
    )


def test_a_python_without_ensurepip_is_told_what_to_do(
    checkout: Checkout, fake_python: Callable[[str], str]
) -> None:
    path = fake_python(f"""case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@" """)
    (Path(path) / "id").unlink()
    (Path(path) / "id").write_text("#!/bin/sh\necho 1000\n")
    (Path(path) / "id").chmod(0o755)
    code, _, err = checkout.run("x", PATH=path)
    assert code == 2
    assert "run 'apt-get install python3-venv' as root, then this again\n" in err


def test_a_folder_that_may_not_be_written_is_named(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = checkout.run("x", MAILWEIR_VENV=str(tmp_path / "file/venv"))
    assert code == 2
    assert err.startswith(f"mailweir: cannot make {tmp_path}/file/venv: run this once as the owner")


def test_a_python_that_is_gone_makes_it_anew(used: Checkout) -> None:
    (used.venv / "made-from/python").write_text("/usr/bin/python3.10\n")
    code, out, err = used.run("x")
    assert (code, out, err.startswith(MAKING)) == (0, "['x']\n", True)
