"""`mailweir bounce parse`: a JSON line a file, no configuration, its exit codes."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bounce.view import MAX_LOOK
from proxy import cli

SAMPLES = Path(__file__).resolve().parents[1] / "bounces" / "samples"


Parse = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def parse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Parse:
    """Calls the command in a folder without configuration: code, lines, standard error."""
    monkeypatch.delenv("MAILWEIR_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, list[dict[str, Any]], str]:
        code = cli.run(["bounce", "parse", *args])
        out = capsys.readouterr()
        return code, [json.loads(line) for line in out.out.splitlines()], out.err

    return run


def give(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_a_line_for_each_file(parse: Parse) -> None:
    files = [str(SAMPLES / name) for name in ("qmail.eml", "ordinary.eml", "receipt.eml")]
    code, lines, err = parse(*files)
    assert (code, err) == (0, "")
    assert [line["file"] for line in lines] == files
    assert [line["kind"] for line in lines] == ["bounce", "mail", "receipt"]
    first = lines[0]
    assert first["original_message_id"] == "<qmail@example.com>"
    assert first["oddities"] == []
    wanted = ("address", "class", "category", "action", "status")
    assert [{key: one[key] for key in wanted} for one in first["recipients"]] == [
        {
            "address": "client@example.net",
            "class": "hard",
            "category": "invalid_address",
            "action": "failed",
            "status": "5.1.1",
        },
        {
            "address": "second@example.org",
            "class": "soft",
            "category": "mailbox_full",
            "action": "failed",
            "status": "4.2.2",
        },
    ]
    assert "Mailbox of second is over quota" in first["recipients"][1]["diagnostic"]
    assert lines[1]["recipients"] == []
    assert lines[2]["recipients"][0]["class"] is None


def test_standard_input(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, (SAMPLES / "yahoo.eml").read_bytes())
    code, lines, _ = parse("-", "--json")
    assert code == 0
    assert [(line["file"], line["kind"]) for line in lines] == [("-", "bounce")]


def test_a_file_that_cannot_be_read_is_said_and_the_others_are_read(
    parse: Parse, tmp_path: Path
) -> None:
    code, lines, err = parse("nowhere.eml", str(tmp_path), str(SAMPLES / "imail.eml"))
    assert code == 1
    assert [line["kind"] for line in lines] == ["unreadable", "unreadable", "bounce"]
    assert "nowhere.eml: No such file" in err


def test_a_call_without_files_is_wrong(parse: Parse) -> None:
    code, lines, err = parse()
    assert (code, lines) == (2, [])
    assert "FILE" in err
    assert err.count("\n") == 1


def test_nothing_is_unreadable(parse: Parse, tmp_path: Path) -> None:
    (tmp_path / "empty.eml").write_bytes(b"")
    code, lines, _ = parse("empty.eml")
    assert (code, lines[0]["kind"], lines[0]["oddities"]) == (0, "unreadable", ["empty"])


def test_an_mbox_is_said(parse: Parse, tmp_path: Path) -> None:
    begin = b"From MAILER-DAEMON Tue Mar  3 10:05:00 2026\n"
    one = begin + (SAMPLES / "qmail.eml").read_bytes()
    two = begin + (SAMPLES / "yahoo.eml").read_bytes()
    (tmp_path / "one.mbox").write_bytes(one)
    (tmp_path / "two.mbox").write_bytes(one + b"\n" + two)
    code, lines, err = parse("one.mbox", "two.mbox")
    assert code == 0
    assert [line["shape"] for line in lines] == ["qmail", "qmail"]
    assert ["mbox" in line["oddities"] for line in lines] == [False, True]
    assert "two.mbox: an mbox of several messages; only the first was read" in err


@pytest.mark.parametrize("more", [-1, 0, 1, 300_000])
def test_of_a_long_message_both_ends_are_read(parse: Parse, tmp_path: Path, more: int) -> None:
    raw = (SAMPLES / "imail.eml").read_bytes()
    (tmp_path / "long.eml").write_bytes(raw + b"x" * (MAX_LOOK - len(raw) + more))
    _, lines, _ = parse("long.eml")
    assert lines[0]["kind"] == "bounce"
    assert ("read_in_part" in lines[0]["oddities"]) == (more > 0)
