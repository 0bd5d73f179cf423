"""Real servers on free ports of 127.0.0.1, each in a temporary folder of its own.

    @pytest.mark.peers
    def test_something() -> None:
        with Postfix() as hop:
            ...127.0.0.1:hop.port...

Promises: nothing of the machine's own configuration is read or written and no service of it is
started; a server ends with its `with` block, and also when the test process dies. `stop()` and
`start()` in between are the server's absence: port and folder stay the same.
A program that is not installed skips the test; with CI=true it fails it, so that a green run there
never means "not tried".
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self

import pytest

SBIN = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"]
)


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, under CI=true failed."""
    return shutil.which(program, path=SBIN) or _missing(f"{program} is not installed")


def need_root(why: str) -> None:
    if os.geteuid() != 0:
        _missing(f"{why} needs root")


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI may not skip what needs it")
    pytest.skip(what)


def wait_until(
    condition: Callable[[], object], what: str | Callable[[], str], timeout: float = 60.0
) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {timeout} s: {told}")
        time.sleep(0.02)


KEEPER = Path(__file__).with_name("keeper.py")


class Server:
    """One server process in the foreground. A subclass writes its files and names its command."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: one that is there already and stays (bench/); else a temporary one."""
        self.process: subprocess.Popen[bytes] | None = None
        self.stays = folder is not None
        # Not pytest's tmp_path: the server's own users must get in, and sockets' names be short.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="mw-"))
        self.folder.chmod(0o755)

    def command(self) -> list[str]:
        raise NotImplementedError

    def write_files(self) -> None:
        """Called once, before the first start."""
        raise NotImplementedError

    def ports(self) -> list[int]:
        raise NotImplementedError

    def log(self) -> str:
        parts = [self.folder / "out", self.folder / "log"]
        return "".join(part.read_text("utf-8", "replace") for part in parts if part.exists())

    def start(self) -> Self:
        if not (self.folder / "written").exists():
            self.write_files()
            (self.folder / "written").touch()
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(KEEPER), str(self.folder), *self.command()],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            wait_until(self._up, f"{type(self).__name__} listens")
        except BaseException as error:
            self.stop()
            error.add_note(self.log())
            raise
        return self

    def _up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{type(self).__name__} ended with {self.process.returncode}")
        return all(_listens(port) for port in self.ports())

    def stop(self) -> None:
        if self.process is None:
            return
        try:
            self.process.communicate(b"stop", timeout=60)
        finally:
            self.process.kill()  # no more than a precaution
            self.process = None

    def close(self) -> None:
        self.stop()
        if not self.stays:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc: object) -> None:
        self.close()


def _listens(port: int) -> bool:
    """Asked of the kernel: a connection of ours would stand in the server's log."""
    listening = f"0100007F:{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()
