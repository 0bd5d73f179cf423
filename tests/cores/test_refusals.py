"""Refusals: every line that ends a call is told in Japanese, too, however it is put together."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy
from proxy.refusals import refused
from tests.cores.test_texts import JAPANESE

ROOT = Path(proxy.__file__).parents[1]
# What is raised in these reaches whoever called the program.
SOURCES = [
    *sorted((ROOT / "proxy/commands").glob("*.py")),
    *(ROOT / "proxy" / f"{name}.py" for name in ("cli", "ground", "quickstart", "trialstage")),
    *(
        ROOT / "crmstore" / f"{name}.py"
        for name in (
            *("capturerules", "explain", "message", "personal", "records", "recordremove"),
            *("recordview", "store", "suppressions", "typed", "users"),
            *("engines/postgres", "engines/sqlite"),
        )
    ),
]
CODES = {"Refused", "Unreadable"}  # raised with the name of a text, not with the text
# What becomes of a line before it is told; "" = that no command asks for it.
BECOMES = {
    "one of: {}": "",
    "COPY {}": "",  # a statement, within an error of the database
    "{} rules a user, at most": "--user x: allowed are 9 rules a user, at most",
    "the name of a folder, of at most {} characters": "--folder: allowed is the name of a folder,"
    " of at most 9 characters",
    "{}.listen = {}: allowed is an address that is free here ({}){}": "x.listen = y: allowed is an"
    " address that is free here (Permission denied); ports below 1024 need CAP_NET_BIND_SERVICE,"
    " which the unit of `quickstart` gives",
    "email {}: {}: {}": "email 1: BlobMissing: 00ff",
}


def lines(path: Path) -> Iterator[str]:
    """The text of each exception that is raised with one, with {} for what is put in."""
    for node in ast.walk(ast.parse(path.read_text())):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if not name or name in CODES or not (isinstance(node, ast.Raise) or name == "no"):
            continue
        text = call.args[0]
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield text.value
        elif isinstance(text, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in text.values)
            yield "".join(map(str, parts))


def said() -> list[tuple[str, str]]:
    return [(path.name, line) for path in SOURCES for line in lines(path)]


def has_words(line: str) -> bool:
    """Words of its own, not only the values."""
    return any(len(word) > 1 and word.isalpha() for word in line.replace("{}", " ").split())


@pytest.mark.parametrize(("source", "line"), [one for one in said() if has_words(one[1])])
def test_every_line_has_its_japanese(source: str, line: str) -> None:
    if line.endswith("allowed is {}") or line.endswith("allowed are {}"):
        return  # the rest is another line of these sources, or one of config's
    filled = BECOMES.get(line, line).replace("{}", "x1")
    assert not filled or JAPANESE.search(refused(filled, "ja")), filled
    assert refused(filled, "en") == filled


def test_there_are_such_lines() -> None:
    assert len(said()) > 70
    assert {line for _, line in said()} >= BECOMES.keys()


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        (
            "ADDRESS: bob@ours.example: mail to node.domains is never refused by this list",
            "ADDRESS: bob@ours.example: node.domains 宛てのメールは、この一覧では拒否できません",
        ),
        (
            "emails: Invalid value for '--limit': Input should be greater than or equal to 1",
            "emails: '--limit' の値が正しくありません: 1 以上を指定してください",
        ),
        (
            "mailweir emails: Invalid value for '--source': 'x' is not one of 'smtp', 'imap'",
            "mailweir emails: '--source' の値が正しくありません: 'x' は使えません。"
            "使えるのは 'smtp', 'imap' です",
        ),
        (
            "--address: 'bob' is no address: there is no \"@\"",
            "--address: 'bob' はメールアドレスではありません: @ がありません",
        ),
        (
            "--address: 'bad@@x' is no address: x is no mail domain",
            "--address: 'bad@@x' はメールアドレスではありません: "
            "x はメールのドメインではありません",
        ),
        (
            "--user bob: allowed are 1000 rules a user, at most",
            "--user bob: ルールは利用者ごとに 1000 件までです",
        ),
        (
            '--from *@*: allowed is an address like "hr@example.com" or a pattern like'
            ' "*@lawyer.example"; this one would leave out all mail',
            '--from *@*: "hr@example.com" のようなアドレスか、"*@lawyer.example" のようなパターンを'
            "指定してください。これではすべてのメールが除かれます",
        ),
        (
            "x: y: No such file or directory",
            "x: y: ファイルまたはフォルダがありません",
        ),
        (
            "record add: a: b@ours.example is ours (a user, or node.domains) and keys no record",
            "record add: a: b@ours.example は自社のアドレス（利用者、または node.domains）のため、"
            "登録できません",
        ),
        ("a: " * 1000 + "no record 1", "a: " * 1000 + "no record 1"),
        ("what a later version says: {}", "what a later version says: {}"),
        ("", ""),
    ],
)
def test_lines_are_told_whole_with_what_stands_in_front(english: str, japanese: str) -> None:
    assert refused(english, "ja") == japanese
    assert refused(english, "en") == english
