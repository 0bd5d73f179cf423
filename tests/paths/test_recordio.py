"""record import and record export as people and scripts call them."""

import csv
import io
import json
import os
import pty
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from config.load import load
from crmstore.imports.apply import Importer
from crmstore.store import open_store
from proxy import cli
from proxy.texts import known
from proxy.wording import recordio
from tests.conftest import migrate

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
[node]
hostname = "mail.ours.example"
domains = ["ours.example"]
data_dir = "data"
[[smtp]]
name = "mx"
listen = "127.0.0.1:20025"
role = "inbound"
next_hop = "smtp://127.0.0.1:20026"
doors = 1
"""
OUTLOOK = (
    "姓,名,会社名,電子メール アドレス,勤務先電話\r\n"
    "山田,太郎,㈱髙島,taro@x.example,03-0000-0000\r\n"
    "田中,花子,,hanako@gmial.com,\r\n"
)

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs the program in this process: exit code, standard output, standard error."""
    for name in ("MAILWEIR_CONFIG", "MAILWEIR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "mailweir.toml"
    config.write_text(CONFIG)

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.run(["--config", str(config), *args])
        out = capsys.readouterr()
        return code, out.out, out.err

    store = open_store(load(config))
    migrate(store)
    store.close()
    return run


def names(call: Call) -> list[str]:
    return [json.loads(line)["name"] for line in call("record", "list", "--json")[1].splitlines()]


def test_an_outlook_file_in_cp932(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "連絡先.csv"
    file.write_bytes(OUTLOOK.encode("cp932"))
    code, out, err = call("record", "import", str(file), "--dry-run")
    assert (code, err) == (0, "")
    assert "cp932 (guessed" in out
    assert "nothing is taken from: 勤務先電話" in out
    assert "did you mean hanako@gmail.com?" in out
    assert "2 rows: 2 new" in out
    assert names(call) == []
    code, out, _ = call("record", "import", str(file))
    assert (code, names(call)) == (0, ["山田 太郎", "田中 花子"])
    code, out, _ = call("--lang", "ja", "record", "import", str(file))
    assert code == 0
    assert "変更なし 2" in out


def test_what_is_refused_stands_in_the_report_with_its_line(call: Call, tmp_path: Path) -> None:
    file, report = tmp_path / "a.csv", tmp_path / "report.csv"
    file.write_text("name;mail\n=BOSS;boss@ours.example\nok;ok@x.example\nx;bob@@x.example\n")
    code, out, _ = call("record", "import", str(file), "--report", str(report))
    assert code == 1
    assert "line 2: refused: boss@ours.example is ours" in out
    assert names(call) == ["ok"]
    rows = list(csv.DictReader(io.StringIO(report.read_text("utf-8-sig"))))
    assert [(r["line"], r["outcome"], r["code"]) for r in rows] == [
        ("4", "note", "address_refused"),
        ("4", "refused", "no_good_address"),
        ("2", "refused", "address_ours"),
    ]
    assert rows[2]["record"] == "'=BOSS"  # the report is opened in a spreadsheet, too


def test_json_is_one_document(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a.vcf"
    file.write_text("BEGIN:VCARD\nFN:Taro\nTEL:1\nEMAIL:taro@x.example\nEND:VCARD\nBEGIN:VCARD\n")
    code, out, _ = call("record", "import", str(file), "--kind", "lead", "--json")
    document = json.loads(out)
    assert code == 1
    assert (document["written"], document["new"], document["refused"]) == (True, 1, 1)
    assert document["files"][0] == {
        "file": str(file),
        "format": "vcard",
        "encoding": "utf-8",
        "guessed": False,
        "not_taken": ["TEL"],
    }
    assert document["report"][0]["code"] == "card_not_ended"


def test_without_a_terminal_a_conflict_stops_before_anything_is_written(
    call: Call, tmp_path: Path
) -> None:
    call("record", "add", "contact", "Taro", "--address", "taro@x.example")
    file = tmp_path / "a.csv"
    file.write_text("name,email\nNew,new@x.example\nTaro Y.,taro@x.example\n")
    code, out, _ = call("record", "import", str(file))
    assert code == 1
    assert "line 3: conflict: record 1, name: the file has Taro Y., the store has Taro" in out
    assert "nothing was written" in out
    assert names(call) == ["Taro"]
    assert call("record", "import", str(file), "--json")[0] == 1
    assert call("record", "import", str(file), "--on-conflict", "store")[0] == 0
    assert names(call) == ["Taro", "New"]
    assert call("record", "import", str(file), "--on-conflict", "file")[0] == 0
    assert names(call) == ["Taro Y.", "New"]
    assert call("record", "import", str(file))[0] == 0  # nothing is in conflict any more


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["x.csv", "--kind", "alien"], "--kind alien: allowed is one of: lead, contact, deal"),
        (["x.csv", "--encoding", "rot13"], "--encoding rot13: allowed is one of: utf-8"),
        (["x.csv", "--delimiter", "ab"], "--delimiter: allowed is one character, or tab"),
        (["missing.csv"], "missing.csv: No such file or directory"),
        (["-", "-"], "standard input (-) is allowed once"),
        (["x.csv", "--report", "/nowhere/x"], "--report /nowhere/x: No such file"),
        (["empty.csv"], "empty.csv: there is nothing in it"),
        (["noise.csv"], "noise.csv: neither UTF-8 nor cp932"),
        (
            ["book.csv"],
            "book.csv: this is a workbook of a spreadsheet program; save it there as CSV",
        ),
        (["other.csv"], "other.csv: the first line names no column that we know"),
        (["x.csv", "--on-conflict", "both"], "'ask', 'file', 'store'"),
        (["x.csv", "--report", "./x.csv"], "--report x.csv: allowed is another file than one"),
        (["x.csv", "--report", "link.csv"], "--report link.csv: allowed is another file than"),
    ],
)
def test_wrong_calls_are_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("name\nx\n")
    Path("empty.csv").write_bytes(b"\n")
    Path("noise.csv").write_bytes(b"name\n\xff\xff\xe9,\n")
    Path("book.csv").write_bytes(b"PK\x03\x04\x14\0\6\0")
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("link.csv").symlink_to("x.csv")
    code, out, err = call("record", "import", *args)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert Path("x.csv").read_text() == "name\nx\n"


def test_a_report_that_cannot_be_written_is_named(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("name,mail\nx,bob@@x.example\n")
    code, _, err = call("record", "import", str(file), "--report", "/dev/full")
    assert (code, err) == (1, "mailweir: --report /dev/full: No space left on device\n")


def test_a_thousand_files_and_one_that_can_be_read_only_once(call: Call, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files = [tmp_path / f"{number}.vcf" for number in range(100)]
    for file in files:
        file.write_text(f"BEGIN:VCARD\nFN:{file.stem}\nEND:VCARD\n")
    writer = Thread(target=lambda: pipe.write_text("name\npiped\n"))
    writer.start()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 50, before[1]))
    try:
        code, out, err = call("record", "import", *map(str, files), str(pipe))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        writer.join()
    assert (code, err) == (0, "")
    assert "101 rows: 101 new" in out


def test_an_export_replaces_files_only(call: Call, tmp_path: Path) -> None:
    call("record", "add", "contact", "Taro", "--address", "taro@x.example")
    pipe, link, file = tmp_path / "pipe", tmp_path / "link.csv", tmp_path / "file.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert call("record", "export", str(pipe))[0] == 0
        assert os.read(reader, 65536).count(b"\r\n") == 2
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    link.symlink_to(file)
    assert call("record", "export", str(link))[0] == 0
    assert link.is_symlink()
    assert file.read_bytes().count(b"\r\n") == 2
    device = tmp_path / "full"
    device.symlink_to("/dev/full")
    code, _, err = call("record", "export", str(device))
    assert (code, "No space left on device" in err) == (1, True)
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    "args",
    [
        ("record", "show"),
        ("record", "list", "--after"),
        ("record", "set", "1", "--contact"),
        ("rules", "remove"),
        ("rules", "list", "--after"),
        ("rules", "add", "--user", "u", "--from", "a@x.example", "--record"),
        ("emails", "--record"),
        ("emails", "--thread"),
        ("email", "show"),
        ("search", "x", "--thread"),
    ],
)
def test_numbers_that_no_database_has_are_refused(call: Call, args: tuple[str, ...]) -> None:
    code, out, err = call(*args, "9" * 20)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "less than or equal to 999999999999999" in err


def test_out_and_in_again(call: Call, tmp_path: Path) -> None:
    call("record", "add", "contact", "=Taro 山", "--address", "taro@x.example")
    call("record", "add", "deal", "Renewal", "--contact", "1")
    code, out, _ = call("record", "export", str(tmp_path / "all.vcf"))
    assert (code, out) == (0, f"2 records written to {tmp_path}/all.vcf\n")
    code, out, _ = call("record", "export", str(tmp_path / "all.csv"), "--json")
    assert json.loads(out)["records"] == 2
    assert (tmp_path / "all.csv").read_bytes().startswith(b"\xef\xbb\xbfKind,Name")
    files = [str(tmp_path / "all.csv"), str(tmp_path / "all.vcf")]
    code, out, _ = call("record", "import", *files)
    assert code == 0
    assert "4 rows: 0 new, 0 changed, 2 as before, 2 twice in the files" in out
    assert list(tmp_path.glob(".*part")) == []


@pytest.mark.slow
def test_export_to_standard_output_and_what_cp932_loses(call: Call, tmp_path: Path) -> None:
    env = {**os.environ, "MAILWEIR_CONFIG": str(tmp_path / "mailweir.toml"), "LANG": "ja_JP.UTF-8"}
    command = [sys.executable, "-m", "proxy", "record"]
    subprocess.run([*command, "add", "contact", "𠮷野"], cwd=ROOT, env=env, check=True)
    done = subprocess.run(
        [*command, "export", "--encoding", "cp932"], cwd=ROOT, env=env, capture_output=True
    )
    assert done.returncode == 0
    header, line = done.stdout.decode("cp932").splitlines()
    assert header == (
        "種別,氏名,状態,主な連絡先,会社,種類,メールアドレス,Mailweir ID,主な連絡先の Mailweir ID"
    )
    assert line.startswith("contact,?野,open,,,,,mw1-")
    assert "cp932 にない文字" in done.stderr.decode()


@pytest.mark.slow
def test_standard_input_is_read(call: Call, tmp_path: Path) -> None:
    env = {**os.environ, "MAILWEIR_CONFIG": str(tmp_path / "mailweir.toml")}
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "record", "import", "-"],
        cwd=ROOT,
        env=env,
        input="氏名\n山田\n".encode("euc-jp"),
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert names(call) == ["山田"]


def test_on_a_terminal_a_person_is_asked(call: Call, tmp_path: Path) -> None:
    for n in range(4):
        call("record", "add", "contact", f"Old {n}", "--address", f"p{n}@x.example")
    file = tmp_path / "a.csv"
    rows = "".join(f"New {n},p{n}@x.example\n" for n in range(4))
    file.write_text(f"name,email\n{rows}")
    leader, follower = pty.openpty()
    env = {**os.environ, "MAILWEIR_CONFIG": str(tmp_path / "mailweir.toml"), "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "record", "import", str(file)],
        cwd=ROOT,
        env=env,
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    for answer in (b"s\n", b"what\n", b"f\n", b"F\n"):
        wait_for(leader, b"[q]uit? ")
        os.write(leader, answer)
    out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert b"3 changed, 1 as before" in out
    assert b"1 values of the store were kept" in out
    assert names(call) == ["Old 0", "New 1", "New 2", "New 3"]


def wait_for(terminal: int, text: bytes, seconds: float = 60) -> None:
    seen = b""
    end = time.monotonic() + seconds
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096)


def test_who_stops_an_import_is_told_what_is_in(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("name,email\n" + "".join(f"N {n},p{n}@x.example\n" for n in range(3)))

    def stopped(self: Importer) -> None:
        raise KeyboardInterrupt  # as of Ctrl-C, behind the last rows

    with monkeypatch.context() as patch:
        patch.setattr(Importer, "finish", stopped)
        code, out, err = call("record", "import", str(file), "--on-conflict", "store")
    assert (code, out) == (130, "")
    assert err == "mailweir: stopped; 3 rows were read, what was imported of them stays\n"
    code, out, _ = call("record", "import", str(file), "--on-conflict", "store")
    assert code == 0 and len(names(call)) == 3


def test_every_text_has_its_place_in_the_sources() -> None:
    source = "".join(path.read_text() for path in (ROOT / "crmstore/imports").glob("*.py"))
    source += "".join(
        (ROOT / "proxy/commands" / name).read_text() for name in ("recordio.py", "importjob.py")
    )
    composed = (
        "import.field.", "import.refused", "import.duplicate", "import.conflict", "import.note",
        "export.characters", "export.contact",
    )  # fmt: skip
    for name in recordio.TEXTS:
        code = name.rpartition(".")[2]
        used = f'"{name}"' in source or (name.count(".") == 2 and f'"{code}"' in source)
        assert used or name.startswith(composed), name
    assert known("import.row.duplicate")
