"""The sample file is the manual of the settings: it loads, and knows every key, and no other."""

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from config import load
from config.settings import Settings

EXAMPLE = Path(load.__file__).with_name("mailweir.example.toml")
TEXT = EXAMPLE.read_text(encoding="utf-8")
HEADER = re.compile(r"(?:# )?\[{1,2}(\w+)\]{1,2}")
KEY = re.compile(r"(?:# )?(\w+) = ")
# Keys behind a hash whose value is an example, because their default is nothing (or the machine's).
EXAMPLES = [
    "next_hop_ca", "proxy_from", "recipient_domains", "doors", "max_size", "password_file", "ca",
    "blobs_credentials_file", "blobs_ca", "upstream_ca", "key_file", "listed",
]  # fmt: skip


def keys_written(text: str) -> set[str]:
    found, table = set(), ""
    for line in text.splitlines():
        if header := HEADER.fullmatch(line):
            table = header[1]
        elif key := KEY.match(line):
            found.add(f"{table}.{key[1]}")
    return found


def keys_of(model: Any, prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        inner = next(iter(get_args(field.annotation)), field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys_of(inner, f"{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def test_the_example_loads() -> None:
    settings = load.parse(TEXT, base=EXAMPLE.parent)
    assert [listener.name for listener in settings.smtp] == ["mx", "submission"]
    assert [listener.name for listener in settings.imap] == ["imap"]
    assert settings.smtp[0].recipient_domains == ("example.com",)
    assert settings.capture.matches_never("Someone@Lawyer.example")


def test_every_key_of_the_model_is_explained_and_no_other() -> None:
    assert keys_written(TEXT) == keys_of(Settings)


def test_what_stands_behind_a_hash_is_the_default() -> None:
    in_force = re.sub(rf"(?m)^# (?!({'|'.join(EXAMPLES)}) = )(\w+ = )", r"\2", TEXT)
    assert in_force.count("\nbare_lf = ") == 1
    assert load.parse(in_force, base=EXAMPLE.parent) == load.parse(TEXT, base=EXAMPLE.parent)
