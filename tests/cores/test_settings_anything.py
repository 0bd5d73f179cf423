"""Whatever stands in the file: settings, or refusals of one line each. Never another exception."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import ConfigError, parse
from config.settings import Settings, SmtpListener

TABLES = sorted(Settings.model_fields)
KEYS = sorted(
    {key for table in (*TABLES, "x") for key in (table, f"{table}x")}
    | set(SmtpListener.model_fields)
    | {"hostname", "domains", "url", "route", "user", "never", "undo", "retry_first"}
)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False).map(float),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20),
    st.sampled_from(
        ["mx", "smtp://u:p@h", "0.0.0.0/0", "0.0.0.0:25", "inbound", "5d", "example.com"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def try_to_read(text: str) -> None:
    try:
        settings = parse(text, base=Path("/etc/mailweir"))
    except ConfigError as error:
        for line in error.lines():
            assert len(line.splitlines()) == 1 and len(line) < 1000
    else:
        assert settings.node.domains


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*TABLES, "x"]), values, max_size=6))
def test_any_structure(data: dict[str, Any]) -> None:
    try_to_read("".join(f"{key} = {as_toml(value)}\n" for key, value in data.items()))


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(sorted(SmtpListener.model_fields)), scalars, max_size=8))
def test_any_listener_in_a_sound_file(extra: dict[str, Any]) -> None:
    sound = {
        "name": "mx", "listen": "0.0.0.0:25", "role": "inbound", "next_hop": "smtp://127.0.0.1:26",
    }  # fmt: skip
    listener = "".join(f"{key} = {as_toml(value)}\n" for key, value in (sound | extra).items())
    node = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\n'
    try_to_read(f"{node}[[smtp]]\n{listener}")


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    try_to_read(text)
