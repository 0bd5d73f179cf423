"""The catalogue: everything in both languages, with the same placeholders; nothing dangerous."""

import re
import string
from pathlib import Path

import pytest

import proxy
from proxy.texts import _CATALOGUE, language, t
from proxy.wording import check

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


def test_every_text_of_check_is_used_and_every_finding_has_one() -> None:
    root = Path(proxy.__file__).parent
    source = "".join(path.read_text() for path in (root / "checks").glob("*.py"))
    source += (root / "check.py").read_text()
    # put together from parts; test_check.py tries them
    composed = ("subject.", "hop.no_", "store.torn", "store.clear")
    for name in check.TEXTS:
        assert f'"{name.removesuffix(".todo")}"' in source or name.startswith(composed), name
    notes = set(re.findall(r'(?:ok|warn|fail)\(\s*"([a-z0-9_.]+)"', source))
    assert len(notes) > 50
    assert notes <= check.TEXTS.keys()


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
