"""Sieve scripts: read by their grammar, and their `if`s as filters. A core.

Promises: bounded by MAX_OCTETS, MAX_FILTERS and a depth of 20; never raises but Unreadable, with
the line. Understood: `if` with address, envelope or header tests of From, Sender, To, Cc and Bcc
(:is, :contains, :matches, :all, :domain), alone or in `anyof`; discard, reject and fileinto; stop.
What else there is in a test refuses that filter. `elsif` and `else` hang on the tests before them
and are refused. After an `if` that may stop, later ones are taken where no mail can meet both.
Cites: RFC 5228 (grammar in section 8), RFC 5183 and others only by name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from crmstore.imports.filters import MAX_FILTERS, Filter, NotOne, domain, patterns
from crmstore.imports.rows import Unreadable
from crmstore.personal import Wanted, wanted

__all__ = ["read"]

MAX_DEPTH: Final = 20
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*(?:\n|$)|/\*.*?\*/)
    |text:[ \t]*(?:\#[^\n]*)?\r?\n(?P<multi>.*?)^\.\r?$
    |"(?P<string>[^"\\]*(?:\\.[^"\\]*)*)"
    |(?P<number>[0-9]+[KMGkmg]?)
    |(?P<tag>:[A-Za-z_]\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>[\[\](){},;])""",
    re.DOTALL | re.MULTILINE | re.VERBOSE | re.ASCII,
)
_FIELDS: Final = {"from": "from", "sender": "from", "to": "to", "cc": "to", "bcc": "to"}
_KINDS: Final = (":is", ":contains", ":matches", ":regex", ":count", ":value")
_PARTS: Final = (":all", ":domain", ":localpart", ":user", ":detail")
_CONTROL: Final = frozenset({"if", "elsif", "else"})
_QUIET: Final = frozenset({"require", "stop", "keep"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass(slots=True)
class _Node:
    """A command or a test. `strings`: its string lists, in order."""

    name: str
    line: int
    tags: list[str] = field(default_factory=list)
    strings: list[list[str]] = field(default_factory=list)
    tests: list["_Node"] = field(default_factory=list)
    block: list["_Node"] = field(default_factory=list)


def read(text: str) -> list[Filter]:
    """The filters, by their lines."""
    commands = _Parser(list(_tokens(text))).commands(0)
    found: list[Filter] = []
    for command in commands:
        if len(found) > MAX_FILTERS:
            raise Unreadable("many", limit=MAX_FILTERS)
        if command.name in _QUIET:
            if command.name == "stop":  # nothing behind it is ever reached
                found.append(Filter(command.line, "stop", refused=("action", ""), stops=True))
            continue
        found.append(_filter(command))
    return found


# From text to commands


def _tokens(text: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unreadable("sieve", line=line)
        kind = found.lastgroup or "multi"
        if kind != "space":
            value = (
                found[kind]
                if kind != "string"
                else re.sub(r"\\(.)", r"\1", found[kind], flags=re.S)
            )
            kind = "string" if kind == "multi" else kind
            yield _Token(kind, value if kind == "string" else value.lower(), line)
        line += text.count("\n", at, found.end())
        at = found.end()


class _Parser:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def commands(self, depth: int) -> list[_Node]:
        """Until the end, or the "}" of a block."""
        found: list[_Node] = []
        while (token := self._peek()) is not None and token.text != "}":
            node = self._node(depth)
            if node.name not in _CONTROL and self._takes(";"):
                pass
            elif self._takes("{"):
                node.block = self.commands(depth + 1)
                self._need("}")
            else:
                raise self._wrong()
            found.append(node)
        if depth == 0 and self._peek() is not None:
            raise self._wrong()
        return found

    def _node(self, depth: int) -> _Node:
        """A name, its arguments, its tests."""
        token = self._peek()
        if token is None or token.kind != "word" or depth > MAX_DEPTH:
            raise self._wrong()
        self._at += 1
        node = _Node(token.text, token.line)
        while (token := self._peek()) is not None:
            if token.kind == "string":
                node.strings.append([token.text])
            elif token.kind == "tag":
                node.tags.append(token.text)
            elif token.text == "[" and token.kind == "mark":
                node.strings.append(self._list())
                continue
            elif token.kind != "number":
                break
            self._at += 1
        token = self._peek()
        if token is not None and token.kind == "word":
            node.tests.append(self._node(depth + 1))
        elif self._takes("("):
            node.tests.append(self._node(depth + 1))
            while self._takes(","):
                node.tests.append(self._node(depth + 1))
            self._need(")")
        return node

    def _list(self) -> list[str]:
        self._need("[")
        found: list[str] = []
        while not self._takes("]"):
            token = self._peek()
            if token is None or token.kind != "string":
                raise self._wrong()
            found.append(token.text)
            self._at += 1
            if not self._takes(",") and (self._peek() or token).text != "]":
                raise self._wrong()
        return found

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, mark: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "mark" or token.text != mark:
            return False
        self._at += 1
        return True

    def _need(self, mark: str) -> None:
        if not self._takes(mark):
            raise self._wrong()

    def _wrong(self) -> Unreadable:
        token = self._peek()
        last = self._tokens[-1].line if self._tokens else 1
        return Unreadable("sieve", line=last if token is None else token.line)


# From commands to filters


def _filter(command: _Node) -> Filter:
    stops = _stops(command)
    if command.name in _CONTROL - {"if"}:
        return Filter(command.line, command.name, refused=("chain", ""), stops=stops)
    if command.name != "if":
        return Filter(command.line, command.name, refused=("action", ""))
    actions = [one for one in command.block if one.name not in _QUIET]
    folders = tuple(
        one.strings[-1][0]
        for one in actions
        if one.name == "fileinto" and one.strings and one.strings[-1]
    )
    away = any(one.name in ("discard", "reject", "ereject") for one in actions)
    words = ", ".join(_words(test) for test in command.tests)
    refused: tuple[str, str] | None = None
    conditions: tuple[Wanted, ...] = ()
    try:
        if any(one.block for one in actions):
            raise NotOne("nested")
        conditions = tuple(
            dict.fromkeys(one for test in command.tests for one in _conditions(test))
        )
    except NotOne as error:
        refused = (error.code, error.value)
    return Filter(command.line, words, conditions, away, folders, refused, stops)


def _stops(command: _Node) -> bool:
    return command.name == "stop" or any(_stops(one) for one in command.block)


def _words(test: _Node) -> str:
    told = [test.name, *test.tags, *(" ".join(strings) for strings in test.strings)]
    inner = ", ".join(_words(one) for one in test.tests)
    return " ".join(filter(None, (*told, f"({inner})" if inner else "")))[:300]


def _conditions(test: _Node) -> list[Wanted]:
    if test.name == "anyof" or (test.name == "allof" and len(test.tests) == 1):
        return [one for inner in test.tests for one in _conditions(inner)]
    if test.name == "allof":
        raise NotOne("both", "allof")
    if test.name == "not":
        raise NotOne("negated", _words(test))
    known = test.name in ("address", "envelope", "header") and not test.tests
    if not known or len(test.strings) < 2:
        raise NotOne("condition", test.name)
    headers, values = test.strings[-2:]
    kind = next((tag for tag in test.tags if tag in _KINDS), ":is")
    part = next((tag for tag in test.tags if tag in _PARTS), ":all")
    if kind not in _KINDS[:3] or part not in _PARTS[:2] or ["i;octet"] in test.strings[:-2]:
        raise NotOne("condition", _words(test))
    found: list[Wanted] = []
    for header in headers:
        name = _FIELDS.get(header.lower())
        if name is None:
            raise NotOne("condition", header)
        for value in values:
            found += [wanted(name, pattern) for pattern in _patterns(value, kind, part)]
    return found


def _patterns(value: str, kind: str, part: str) -> list[str]:
    if value.strip(' "<>') != value:  # would have to stand there, too
        raise NotOne("pattern", value)
    if part == ":domain":
        if kind == ":contains":
            raise NotOne("pattern", value)
        below = kind == ":matches" and value.startswith("*.")
        name = domain(value.removeprefix("*.") if below else value)
        return [name.replace("*@", "*@*.")] if below else [name]
    if kind == ":matches":
        if value.find("@") < 1 or any(mark in value for mark in '?\\ "'):
            raise NotOne("pattern", value)
    elif "*" in value or (kind == ":is" and value.find("@") < 1):  # a star that is one
        raise NotOne("pattern", value)
    return patterns(value)
