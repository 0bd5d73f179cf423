"""What the documents name exists: functions, files, commands, metrics, log events."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from proxy import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/operating.md", "docs/importing.md"]  # in English and Japanese
DOCUMENTS = [*PAGES, *(page.replace(".md", ".ja.md") for page in PAGES), "proxy/FLOW.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_places_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    places = re.findall(r"`([\w/]+\.py):(\w+)`", text)
    if document.endswith("FLOW.md"):
        assert len(places) > 40
    missing = [
        f"{file}:{name}"
        for file, name in places
        if not re.search(rf"^ *(async )?(def|class) {name}\b", (ROOT / file).read_text(), re.M)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = re.findall(r"`((?:proxy|crmstore|config|docs|tests|bench|bin)/[\w/.-]*)[`:]", text)
    named += [
        str((Path(document).parent / target).as_posix())
        for target in re.findall(r"\]\(([^)#:]+)\)", text)
    ]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_named_commands_exist() -> None:
    command = typer.main.get_command(cli.app)
    for document in DOCUMENTS:
        for line in re.findall(r"mailweir ([a-z].*)", (ROOT / document).read_text()):
            words = re.split(r"[^\w-]+", line)
            found = command.commands.get(words[0])  # type: ignore[attr-defined]
            if words[0] in ("try", "run", "quickstart", "user", "record", "email", "emails"):
                assert found is not None, line
            for word in re.findall(r"(?<!\w)--[\w-]+", line.split("#")[0].split("`")[0]):
                inner = getattr(found, "commands", {}).get(words[1], found)
                params = inner.params
                options = [o for param in params for o in (*param.opts, *param.secondary_opts)]
                assert word in [*options, "--config", "--json", "--lang", "--version"], line


def test_commands_of_examples_exist() -> None:
    """In blocks of code, where they are to be typed: the command, its own, options of notes too."""
    command = typer.main.get_command(cli.app)
    count = 0
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for lines in re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S):
            for line in re.findall(r"^(?:sudo )?(?:\S*/)?mailweir ([a-z].*)", lines, re.M):
                count += 1
                found: Any = command
                for word in line.split():
                    if not hasattr(found, "commands"):
                        break
                    for one in word.split("|"):
                        assert one in found.commands, line
                    found = found.commands[word.split("|")[0]]
                named = {o for one in found.params for o in (*one.opts, *one.secondary_opts)}
                for word in re.findall(r"(?<![\w`-])--[a-z][\w-]+", line):
                    assert word in named | {"--config", "--json", "--lang"}, line
    assert count > 100


def test_named_settings_exist() -> None:
    """`section.key` of the configuration, as config/mailweir.example.toml explains them all."""
    example = (ROOT / "config/mailweir.example.toml").read_text()
    keys: dict[str, set[str]] = {}
    for table in re.split(r"^(?=#? ?\[)", example, flags=re.M)[1:]:
        name = re.match(r"#? ?\[+(\w+)", table)
        if name:
            found = re.findall(r"^#? ?(\w+) *= ", table, re.M)
            keys.setdefault(name[1], set()).update(found)
    assert {"node", "store", "smtp", "imap", "capture", "bounce", "http"} <= set(keys)
    events = set(re.findall(r'"(\w+\.\w+)"', (ROOT / "proxy/maillog.py").read_text()))
    count = 0
    for document in [*DOCUMENTS, "bounce/MATCHING.md", "crmstore/SCHEMA.md"]:
        text = (ROOT / document).read_text()
        for section, key in re.findall(r"`\[*(\w+)\]*\.(\w+)(?=[` ])", text):
            if section in keys and key != "py" and f"{section}.{key}" not in events:
                assert key in keys[section], f"{document}: {section}.{key}"
                count += 1
    assert count > 50


def test_every_metric_is_explained_and_every_explained_metric_exists() -> None:
    sources = "".join((ROOT / f"proxy/{name}.py").read_text() for name in ("metrics", "health"))
    counters = set(re.findall(r'CounterMetricFamily\(\s*"mailweir_(\w+)"', sources))
    defined = {
        f"{name}_total" if name in counters else name
        for name in re.findall(r'"mailweir_(\w+)"', sources)
    }
    text = (ROOT / "docs/operating.md").read_text()
    table = text[text.index("| metric |") : text.index("```yaml")]
    explained = set(re.findall(r"`(\w+)(?:\{[\w,]+\})?`", table))
    assert explained == defined
    assert set(re.findall(r"mailweir_(\w+)", text)) <= defined


def test_every_log_event_is_explained() -> None:
    source = (ROOT / "proxy/maillog.py").read_text()
    events = set(re.findall(r'(?:_log\.\w+|say)\(\s*"([\w.]+)"', source))
    text = (ROOT / "docs/operating.md").read_text()
    missing = [event for event in events if f"`{event}`" not in text]
    assert missing == []


def outline(document: str) -> list[dict[str, object]]:
    """Of each section what both languages share: its level, code, links, list items and rows."""
    text = (ROOT / document).read_text()
    code = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
    found: list[dict[str, object]] = []
    for section in re.split(r"^(?=##? )", re.sub(code, block, text), flags=re.M)[1:]:
        section = section.replace(".ja.md", ".md")
        spans = {" ".join(span.split()) for span in re.findall(r"`([^`]+)`", section)}
        found.append(
            {
                "level": len(section) - len(section.lstrip("#")),
                "code": re.findall(r"^\x00(.*?)\x00", section, re.M | re.S),
                # what `check` answers is told in the language of the page
                "named": {s for s in spans if s.isascii() and not s.startswith(("... ", "the "))},
                "links": re.findall(r"\]\(([^)]+)\)", section),
                "items": len(re.findall(r"^(?:-|\d\.) ", section, re.M)),
                "rows": len(re.findall(r"^\|", section, re.M)),
            }
        )
    return found


def block(found: re.Match[str]) -> str:
    """A block of code without its comments; a drawing is only counted."""
    language, lines = found.groups()
    lines = "\n" * lines.count("\n") if language == "text" else re.sub(r"\s+# .*", "", lines)
    return f"\x00{language}\n{lines}\x00"


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_page(page: str) -> None:
    """Sections, commands, settings, names and links: what one tells, so does the other."""
    english, japanese = outline(page), outline(page.replace(".md", ".ja.md"))
    assert [one["level"] for one in japanese] == [one["level"] for one in english]
    for ours, theirs in zip(english, japanese, strict=True):
        assert theirs == ours
    text = (ROOT / page.replace(".md", ".ja.md")).read_text()
    assert len(re.findall(r"[ぁ-んァ-ヶ一-龥]", text)) > 1000
