"""Who may import whom. Read the sources, so that the structure stays what the architecture says.

- Floors: config <- crmstore <- bounce <- proxy, each may import itself and those below it.
- No cycles between modules.
- A core is a module whose docstring says so in its first paragraph, "(core)" or "A core.": it knows
  no socket, disk, clock or database. It imports other cores, settings (frozen values) and the part
  of the standard library named here, and asks nobody for the time.
- One way out for logs, one door to the database.
"""

import ast
import graphlib
from collections.abc import Iterable

from tests.sources import FLOORS, Module, modules

# Standard library and packages without a socket, a disk, a clock or a random number in them (or, as
# datetime, pathlib and random, with functions that `asks_the_world` finds).
PURE = frozenset(
    "__future__ array backports base64 binascii bisect codecs collections collections.abc"
    " csv dataclasses datetime difflib email email.header email.message email.mime.application"
    " email.mime.multipart email.mime.text email.parser email.policy email.utils encodings enum"
    " functools hashlib heapq hmac html html.parser idna ipaddress itertools json math operator"
    " pathlib pybase64 pydantic_core quopri random re charset_normalizer string struct textwrap"
    " types typing unicodedata urllib.parse zlib".split()
)
CALLS = frozenset(
    "now utcnow today open input print exists is_file is_dir iterdir glob stat mkdir unlink"
    " read_text read_bytes write_text write_bytes resolve cwd home".split()
)
# A core that forgets to say so would not be looked at: these are known.
KNOWN = frozenset(
    "proxy.journalfmt proxy.smtp.capabilities proxy.smtp.grammar proxy.smtp.octets"
    " proxy.smtp.replies proxy.smtp.retry proxy.smtp.session proxy.smtp.trace"
    " crmstore.addresses crmstore.facts crmstore.headers crmstore.whose".split()
)


def cores() -> dict[str, Module]:
    return {name: module for name, module in modules().items() if module.is_core}


def wrong(found: Iterable[tuple[Module, object]]) -> list[str]:
    """The findings as lines that an editor can jump to."""
    return [f"{module.path}: {what}" for module, what in found]


def test_imports_go_downward() -> None:
    above = {floor: FLOORS[at + 1 :] for at, floor in enumerate(FLOORS)}
    upward = (
        (module, name)
        for module in modules().values()
        for name in module.imports
        if name.split(".")[0] in (*above[module.floor], "tests", "bench", "console")
    )
    assert wrong(upward) == []


def test_there_are_no_cycles() -> None:
    ours = modules()
    graph = {name: {to for to in module.early if to in ours} for name, module in ours.items()}
    for name in graph:
        graph[name].discard(name)
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the modules


def test_the_known_cores_say_so() -> None:
    assert sorted(KNOWN - cores().keys()) == []


def test_a_core_imports_nothing_that_knows_the_world() -> None:
    packages = {name for name, module in modules().items() if module.path.name == "__init__.py"}
    settings = {name for name, module in modules().items() if module.floor == "config"}
    allowed = PURE | cores().keys() | packages | settings
    worldly = ((module, name) for module in cores().values() for name in module.imports - allowed)
    assert wrong(worldly) == []


def test_a_core_asks_nobody_for_the_time_or_a_file() -> None:
    asked = (
        (module, f"line {node.lineno}: {ast.unparse(node)}")
        for module in cores().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and asks_the_world(node.func)
    )
    assert wrong(asked) == []


def asks_the_world(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        module_random = ast.unparse(function.value) == "random"  # Random(seed) is an argument
        return function.attr in CALLS or (module_random and function.attr != "Random")
    return isinstance(function, ast.Name) and function.id in CALLS


def test_logs_and_the_database_have_one_door_each() -> None:
    around = [
        (module, name)
        for module in modules().values()
        for name in module.imports - {"sqlalchemy.exc"}  # exceptions pass, statements do not
        if (name == "structlog" and module.name != "proxy.maillog")
        or (name.split(".")[0] in ("sqlalchemy", "alembic") and module.floor != "crmstore")
    ]
    assert wrong(around) == []
