"""Evidence for people: every phrase that the store writes is known in Japanese."""

import re
from pathlib import Path

import pytest

import crmstore
from proxy.evidence import told

LETTERS = re.compile(r"[A-Za-z]+")
LEFT = {"capture", "never", "RFC", "Message", "ID", "Date", "To", "Cc", "Reply", "Resent", "From"}


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("to header and envelope", "To ヘッダーとエンベロープ"),
        ("reply-to header", "Reply-To ヘッダー"),
        ("envelope recipient", "エンベロープの宛先"),
        (
            "main contact 7: to header and envelope: a.b@x.example",
            "主な連絡先 7: To ヘッダーとエンベロープ: a.b@x.example",
        ),
        (
            "seen first (same content, another Message-ID)",
            "最初に取得 (内容は同じで Message-ID が異なる)",
        ),
        (
            "names message 3; bob@x.example has part in it",
            "メール 3 を参照。bob@x.example はその参加者",
        ),
        (
            "names message 3, but its sender has no part in that one",
            "メール 3 を参照しているが、差出人はそのメールの参加者ではない",
        ),
        (
            "a@x.example is also on contact 1 (A (2)): both get its mail",
            "a@x.example は連絡先 1（A (2)）にもあります。メールは両方に載ります",
        ),
        (
            "a..b.@x.example: not an address by RFC 5322 (its dots), taken as it stands",
            "a..b.@x.example: RFC 5322 に合いませんが（ドットの位置）、このまま受け付けます",
        ),
        ("what a later version says", "what a later version says"),
        ("", ""),
    ],
)
def test_evidence_is_told_in_japanese(english: str, japanese: str) -> None:
    assert told(english, "ja") == japanese
    assert told(english, "en") == english


def test_every_phrase_of_the_store_is_known() -> None:
    """What the sources say, with values for what stands between."""
    folder = Path(crmstore.__file__).parent
    phrases = re.findall(r'Decision\((?:True|False), "(.+?)"', (folder / "identity.py").read_text())
    threads = (folder / "threads.py").read_text()
    phrases += re.findall(r'f?"(names [^"]+)"', threads)
    phrases += re.findall(r'f"(\{(?:names|sender)\}[^"]+)"', threads)
    phrases += re.findall(r'"(From of [^"]+|envelope \w+)"', (folder / "whose.py").read_text())
    for name in ("records", "users", "typed"):
        notes = re.findall(r'f"(\{[^"]+)"', (folder / f"{name}.py").read_text())
        phrases += [n for n in notes if n.endswith(("mail", "linked", "more", "stands"))]
    phrases += ["seen first", "main contact {one.id}: "]
    assert len(phrases) > 22
    values = {"{_whose(sender, one.people)}": "", "{_whose(sender, meant.people)}": ""}
    values |= {"{names}": "names no message", "{sender}": "@", "{kind}": "contact"}
    for phrase in phrases:
        for name, value in values.items():
            phrase = phrase.replace(name, value)
        text = told(re.sub(r"\{.+?\}", "1", phrase), "ja")
        assert set(LETTERS.findall(text)) <= LEFT, phrase
