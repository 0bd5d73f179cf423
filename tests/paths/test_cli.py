"""The program's manners: exit codes, errors of one line, options anywhere, help at once."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy import cli

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
data_dir = "data"
[[smtp]]
name = "mx"
listen = "127.0.0.1:{port}"
role = "inbound"
next_hop = "smtp://127.0.0.1:{hop}"
doors = 1
[http]
listen = "127.0.0.1:{http}"
[journal]
min_free = 0
"""


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "mailweir.toml"
    path.write_text(CONFIG.format(port=20025, hop=20026, http=20080))
    return str(path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the program in this process: exit code, standard output, standard error."""
    for name in ("MAILWEIR_CONFIG", "MAILWEIR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.run(args)
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("foo", "allowed is one of: try, quickstart, check, run, status, user, record, emails"),
        ("run --role console", "--role"),
        ("run --slot x", "--slot"),
        ("run --nope", "--nope"),
        ("run extra", "extra"),
        ("run --config", "--config: allowed is"),
        ("--config= run", "--config: allowed is"),
        ("--lang fr status", "--lang fr: allowed is one of: en, ja"),
        ("--config /nonexistent/x.toml status", "/nonexistent/x.toml"),
        ("try --port-base 0", "--port-base"),
        ("try --port-base x", "--port-base"),
        ("quickstart", "DOMAIN"),
        ("quickstart bad_domain --dir /nonexistent", "DOMAIN: allowed is"),
        ("user", "allowed is one of: add, list, show, set, disable, enable"),
        ("record", "allowed is one of: add, list, show"),
        ("email", "allowed is one of: show, raw, file, explain"),
        ("email show", "ID"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(call: Call, line: str, expected: str) -> None:
    code, out, err = call(*line.split())
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("mailweir") and expected in err


def test_errors_cannot_steer_a_terminal(call: Call) -> None:
    code, _, err = call("\x1b[2Jfoo\n\u2028")
    assert code == 2 and err.endswith("\n") and err[:-1].isprintable()


def test_a_refused_configuration_names_the_key(call: Call, config: str) -> None:
    path = Path(config)
    path.write_text(path.read_text().replace("data_dir", "data_dri"))
    for command in ("run", "status", "migrate", "user list", "emails", "audit", "check"):
        code, _, err = call(*command.split(), "--config", config)
        assert code == 2, command
        assert "node.data_dri" in err and err.count("\n") == 1


def test_help_and_version(call: Call) -> None:
    code, out, err = call()
    assert (code, err) == (0, "") and "quickstart" in out and "--config" in out
    for later in ("export",):
        assert later not in out
    assert call("--version")[1].startswith("mailweir 0.")
    assert call("run", "--help")[0] == 0


@pytest.mark.parametrize("place", ["before", "after", "middle", "equals", "environment"])
def test_config_and_json_may_stand_anywhere(
    call: Call, config: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = {
        "before": ["--config", config, "--json", "migrate"],
        "after": ["migrate", "--json", "--config", config],
        "middle": ["--json", "migrate", "--config", config],
        "equals": ["migrate", f"--config={config}", "--json"],
        "environment": ["migrate", "--json"],
    }[place]
    if place == "environment":
        monkeypatch.setenv("MAILWEIR_CONFIG", config)
    code, out, err = call(*args)
    assert (code, err) == (0, "")
    assert json.loads(out)["database"].endswith("mailweir.db")


def test_a_command_before_migrate_says_so(call: Call, config: str) -> None:
    code, out, err = call("emails", "--config", config)
    assert (code, out) == (2, "") and "mailweir migrate" in err and err.count("\n") == 1


@pytest.mark.slow
def test_help_and_mistakes_import_nothing_heavy() -> None:
    code = (
        "import sys; from proxy import cli; cli.run(['--help']); cli.run(['user', 'add', '--x']);"
        "print(sorted({'sqlalchemy', 'alembic', 'aiosmtpd', 'uvloop',"
        " 'prometheus_client', 'structlog', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_daemons_do_without_what_draws_on_terminals() -> None:
    """structlog would bring rich into each of them (proxy/maillog.py); who draws still gets it."""
    code = (
        "import sys; import proxy.main, proxy.worker, proxy.smtp.door, proxy.imap.door;"
        "print(sorted({'rich', 'pygments'} & set(sys.modules)));"
        "from rich.console import Console; Console().print('drawn')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "drawn"]


@pytest.mark.slow
def test_the_process_exits_as_the_call_says(config: str) -> None:
    for args, code in ((["--version"], 0), (["status", "--config", config], 1), (["foo"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *args], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr


def _nobody_may_read(path: Path) -> bool:
    asked = ["/usr/bin/test", "-r", str(path)]
    return subprocess.run(asked, user=65534, group=65534, extra_groups=[]).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_root_migrates_and_replays_is_the_services() -> None:
    """Else the service could not open its own database after an upgrade or a restore by root."""
    with tempfile.TemporaryDirectory() as name:  # pytest's folders let nobody else through
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "mailweir.toml").write_text(CONFIG.format(port=20025, hop=20026, http=20080))
        (folder / "data").mkdir(mode=0o700)
        os.chown(folder / "data", 65534, 65534)
        for command in ("migrate", "replay"):
            done = subprocess.run(
                [sys.executable, "-m", "proxy", command, "--config", folder / "mailweir.toml"],
                cwd=ROOT, capture_output=True, text=True,
            )  # fmt: skip
            if not _nobody_may_read(Path(os.__file__)):  # a Python of root's own, as in CI
                assert done.returncode == 2 and "may not read" in done.stderr
                assert not list((folder / "data").iterdir())
                continue
            assert (done.returncode, done.stderr) == (0, "")
        if done.returncode:
            return
        made = [path.stat() for path in (folder / "data").rglob("*")]
        assert len(made) > 3 and {(one.st_uid, one.st_gid) for one in made} == {(65534, 65534)}


@pytest.mark.slow
def test_a_terminal_that_lacks_characters_shows_question_marks(config: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "status", "--lang", "ja", "--config", config],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "mx-0" in done.stdout and "??" in done.stdout


@pytest.mark.slow
def test_a_closed_standard_error_does_not_become_a_file_of_ours(config: str) -> None:
    """Descriptor 2 would be the next file opened; then messages of Python go into it."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$PYTHON" -m proxy migrate --config "{config}" 2>&-'],
        cwd=ROOT,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
    )
    assert done.returncode == 0
