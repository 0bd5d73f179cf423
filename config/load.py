"""Finds and reads the configuration file.

Promises: either a Settings object that can be run, or one ConfigError that names the key, shows
the value (never a secret) and says what is allowed, in one line; `problems` holds all of them.
Reads the file, the certificates and the password file; writes nothing, opens no socket.
Design page: contract.md, "Configuration".
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from config import certs
from config.rules import Problem, Refused
from config.secret import read_access_key, read_secret
from config.settings import Settings

ENVIRONMENT = "MAILWEIR_CONFIG"
PLACES = (Path("/etc/mailweir/mailweir.toml"), Path("mailweir.toml"))
MAX_FILE = 2**20
_LONGEST_VALUE = 80

_ALLOWED = {
    "missing": "this key is required",
    "string_type": "a text in quotes",
    "string_pattern_mismatch": "a short name of a-z, 0-9, - and _, starting with a letter or digit",
    "bool_type": "true or false, without quotes",
    "int_type": "a whole number, without quotes",
    "tuple_type": 'a list, like ["a", "b"]',
    "model_type": "a table",
    "model_attributes_type": "a table",
    "too_short": "a list with at least one entry",
}


class ConfigError(Exception):
    """A configuration that is refused; str() is one line, `problems` are all that were found."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        first = problems[0]
        self.key, self.value, self.allowed = first.key, first.value, first.allowed
        super().__init__(self.lines()[0])

    def lines(self) -> list[str]:
        """One line for each problem, the first one first."""
        return [f"{self.source}: {_line(problem)}" for problem in self.problems]


def find(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to use: --config, else $MAILWEIR_CONFIG, else the two usual places."""
    if explicit is not None:
        return explicit
    if named := environ.get(ENVIRONMENT):
        return Path(named)
    for place in PLACES:
        if place.exists():
            return place
    places = " or ".join(str(place) for place in PLACES)
    allowed = f"there is no configuration: give it, set ${ENVIRONMENT}, or write {places}"
    raise ConfigError("mailweir", (Problem("--config", None, allowed),))


def load(path: Path) -> Settings:
    """Reads, checks and returns the settings of a file; raises ConfigError."""
    settings = parse(_read(path), base=path.resolve().parent, source=str(path))
    if problems := tuple(_files(settings, datetime.now(UTC))):
        raise ConfigError(str(path), problems)
    return settings


def parse(text: str, *, base: Path, source: str = "configuration") -> Settings:
    """As load(), without looking at the files that the settings name."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = Problem("TOML", None, f"allowed is valid TOML: {error}")
        raise ConfigError(source, (problem,)) from None
    try:
        return Settings.model_validate(data, context={"base": base})
    except ValidationError as error:
        raise ConfigError(source, tuple(_problems(error))) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            raise ConfigError(str(path), (Problem("file", None, "at most 1 MiB"),))
        return raw.decode("utf-8")
    except OSError as error:
        allowed = f"a readable file ({error.strerror})"
    except UnicodeDecodeError:
        allowed = "a text in UTF-8"
    raise ConfigError(str(path), (Problem("--config", str(path), allowed),))


def _problems(error: ValidationError) -> Iterator[Problem]:
    earlier: list[str] = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, Refused):
            yield from cause.problems
            continue
        kind, key = item["type"], _key(item["loc"])
        if kind == "too_short" and any(other.startswith(f"{key}[") for other in earlier):
            continue  # pydantic counts refused entries as missing ones
        earlier.append(key)
        if kind == "extra_forbidden":
            # the value is not shown: under an unknown name it may be a password
            yield Problem(key, None, _unknown(item["loc"]))
            continue
        value = None if kind == "missing" else item["input"]
        yield Problem(key, value, _allowed(kind, item, cause))


def _allowed(kind: str, item: Any, cause: object) -> str:
    ctx = item.get("ctx", {})
    if isinstance(cause, ValueError):
        return str(cause)
    if kind == "literal_error":
        return str(ctx["expected"]).replace("'", '"')
    if kind == "greater_than_equal":
        return f"at least {ctx['ge']:.12g}"
    if kind == "less_than_equal":
        return f"at most {ctx['le']:.12g}"
    if kind == "tuple_type" and item["loc"] in (("smtp",), ("imap",)):
        return f"tables, each under its own [[{item['loc'][0]}]]"
    return _ALLOWED.get(kind, str(item["msg"]))


def _key(loc: tuple[int | str, ...]) -> str:
    """("smtp", 0, "next_hop") becomes smtp[0].next_hop."""
    key = ""
    for part in loc:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _unknown(loc: tuple[int | str, ...]) -> str:
    known = list(_model(loc[:-1]).model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    hint = f'did you mean "{close[0]}"? ' if close else ""
    return f"no such key; {hint}known here: {', '.join(known)}"


def _model(loc: tuple[int | str, ...]) -> type[BaseModel]:
    model: Any = Settings
    for part in loc:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next(iter(get_args(annotation)), annotation)
    return cast(type[BaseModel], model)


def _files(settings: Settings, now: datetime) -> Iterator[Problem]:
    for number, listener in enumerate(settings.smtp):
        at = f"smtp[{number}]"
        if listener.cert and listener.key:
            yield from _pair(at, listener.cert, listener.key, now)
        if listener.next_hop_ca:
            yield from _authority(f"{at}.next_hop_ca", listener.next_hop_ca)
    for number, imap in enumerate(settings.imap):
        at = f"imap[{number}]"
        if imap.cert and imap.key:
            yield from _pair(at, imap.cert, imap.key, now)
        if imap.upstream_ca:
            yield from _authority(f"{at}.upstream_ca", imap.upstream_ca)
    outbound = settings.outbound
    if outbound.ca:
        yield from _authority("outbound.ca", outbound.ca)
    yield from _password("outbound.password_file", outbound.password_file)
    yield from _password("store.password_file", settings.store.password_file)
    if settings.store.blobs_ca:
        yield from _authority("store.blobs_ca", settings.store.blobs_ca)
    if path := settings.store.blobs_credentials_file:
        key = "store.blobs_credentials_file"
        try:
            read_access_key(path)
        except OSError as error:
            yield Problem(key, path, f"a readable file ({error.strerror})")
        except ValueError:
            allowed = "a file with ACCESS_KEY_ID:SECRET_ACCESS_KEY on its first line, in UTF-8"
            yield Problem(key, path, allowed)


def _password(key: str, path: Path | None) -> Iterator[Problem]:
    try:
        if path is not None:
            read_secret(path)
    except OSError as error:
        yield Problem(key, path, f"a readable file ({error.strerror})")
    except ValueError:
        allowed = "a file with the password on its first line, in UTF-8, at most 4096 octets"
        yield Problem(key, path, allowed)


def _pair(at: str, cert: Path, key: Path, now: datetime) -> Iterator[Problem]:
    try:
        certificate = certs.read_certificate(cert)
    except ValueError as error:
        yield Problem(f"{at}.cert", cert, str(error))
        return
    if certificate.not_after < now:
        allowed = f"a certificate that is valid; this one ended on {certificate.not_after:%Y-%m-%d}"
        yield Problem(f"{at}.cert", cert, allowed)
    try:
        certs.check_pair(cert, key)
    except ValueError as error:
        yield Problem(f"{at}.key", key, str(error))


def _authority(key: str, path: Path) -> Iterator[Problem]:
    try:
        certs.read_certificate(path)
    except ValueError as error:
        yield Problem(key, path, str(error))


def _line(problem: Problem) -> str:
    if problem.value is None or _nested(problem.value):
        return f"{problem.key}: {problem.allowed}"
    return f"{problem.key} = {_shown(problem.value)}: allowed is {problem.allowed}"


def _nested(value: object) -> bool:
    """Whole tables are not shown: there may be a password in them."""
    entries = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(entry, dict | list | tuple) for entry in entries)


def _shown(value: object) -> str:
    """One line, bounded, without control characters and without passwords in addresses."""
    text = value if isinstance(value, int | float | list) else str(value)
    shown = json.dumps(text, ensure_ascii=False, default=str)
    shown = re.sub(r"://.*@", "://***@", shown)
    shown = re.sub(r"(?i)([?&]pass[a-z]*=)[^&\"]*", r"\1***", shown)
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."
