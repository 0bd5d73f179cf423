"""The catalogue: everything in both languages, with the same placeholders; nothing dangerous."""

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import proxy
from proxy import cli
from proxy.commands.common import cells
from proxy.texts import _CATALOGUE, language, t, unbroken
from proxy.wording import checks, help

JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龥]")


def placeholders(text: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", _CATALOGUE)
def test_both_languages_say_it_with_the_same_values(name: str) -> None:
    text = _CATALOGUE[name]
    assert text.en and text.ja
    # a sentence may leave the thing out where the other language has to name it again
    assert {n for n, _ in placeholders(text.en)} ^ {n for n, _ in placeholders(text.ja)} <= {
        "about"
    }
    assert not JAPANESE.search(text.en)
    words = re.search(r"[a-z]", re.sub(r"\{.*?\}", "", text.ja + text.en))
    assert JAPANESE.search(text.ja) or text.en == text.ja or not words


def sentences(command: Any) -> Iterator[str]:
    """All that `--help` says of a command and of those below it."""
    yield from filter(None, (command.help, command.epilog))
    yield from filter(None, (getattr(param, "help", None) for param in command.params))
    for below in getattr(command, "commands", {}).values():
        yield from sentences(below)


def test_every_sentence_of_help_is_in_the_catalogue_and_nothing_else() -> None:
    said = {unbroken(text) for text in sentences(typer.main.get_command(cli.app))}
    said.add("Show this message and exit.")  # the library's own
    assert sorted(said - help._JA.keys()) == [], "without Japanese"
    assert sorted(help._JA.keys() - said) == [], "said nowhere"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


@pytest.mark.parametrize("path", [*commands(typer.main.get_command(cli.app))], ids=" ".join)
def test_help_speaks_japanese(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*path, "--help", "--lang", "ja"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("使い方: mailweir")
    english = re.findall(r"(?:Usage|Options|Arguments|Commands|Show this|required|default:)", text)
    assert english == []
    for line in text.splitlines():
        assert cells(line) <= 80 or not JAPANESE.search(line), line
    assert cli.run([*path, "--help", "--lang", "en"]) == 0
    assert not JAPANESE.search(capsys.readouterr().out), "the next call speaks its own language"


def test_every_text_of_check_is_used_and_every_finding_has_one() -> None:
    root = Path(proxy.__file__).parent
    source = "".join(path.read_text() for path in (root / "checks").glob("*.py"))
    source += (root / "check.py").read_text()
    # put together from parts; test_check.py tries them
    composed = ("subject.", "hop.no_", "store.torn", "store.clear")
    for name in checks.TEXTS:
        assert f'"{name.removesuffix(".todo")}"' in source or name.startswith(composed), name
    notes = set(re.findall(r'(?:ok|warn|fail)\(\s*"([a-z0-9_.]+)"', source))
    assert len(notes) > 50
    assert notes <= checks.TEXTS.keys()


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja"}, "ja"),
        ({"LANG": "ja-JP"}, "ja"),
        ({"LANG": "jam_JM"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE", "LC_MESSAGES": "ja_JP.eucJP"}, "ja"),
        ({"LANG": "ja_JP", "LC_ALL": ""}, "ja"),
        ({"LANG": "en_US", "LC_ALL": "en_US", "MAILWEIR_LANG": "ja"}, "ja"),
    ],
)
def test_language(environ: dict[str, str], lang: str) -> None:
    assert language(None, environ) == lang


def test_language_by_option_comes_first() -> None:
    assert language("en", {"LANG": "ja_JP"}) == "en"
    assert language("ja", {}) == "ja"


def test_values_cannot_command_a_terminal_or_the_template() -> None:
    text = t("hop.away", "en", hop="{about}", reason="500 \x1b]0;x\x07\r\nnext " + "x" * 9999)
    assert text.isprintable()
    assert text.startswith("{about} cannot")
    assert len(text) < 600
