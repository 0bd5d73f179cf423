"""The project's own sources, read by ast and never imported: for the tests of its structure."""

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = ("config", "crmstore", "bounce", "proxy")  # each may import itself and those before it

_HOLDS_STATEMENTS = (
    ast.stmt,
    ast.excepthandler,
    ast.match_case,
)  # an import is never inside others


@dataclass(frozen=True)
class Module:
    name: str  # "proxy.smtp.grammar"
    path: Path  # from the root
    docstring: str
    tree: ast.Module
    imports: frozenset[str]  # every import, absolute; of our own modules the module's name
    early: frozenset[str]  # only those at import time: outside functions and TYPE_CHECKING

    @property
    def floor(self) -> str:
        return self.name.split(".")[0]

    @property
    def is_core(self) -> bool:
        first = self.docstring.partition("\n\n")[0].lower()
        return any(mark in first for mark in ("(core)", "(a core)", "a core.", "a core:"))


@functools.cache
def modules() -> dict[str, Module]:
    """All modules of the product, by name."""
    paths = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]
    names = {_name(path): path for path in paths}
    found = {}
    for name, path in names.items():
        tree = ast.parse(path.read_text("utf-8"))
        imports, early = _imports(tree, set(names))
        docstring = ast.get_docstring(tree) or ""
        found[name] = Module(name, path.relative_to(ROOT), docstring, tree, imports, early)
    return found


def committed_files() -> list[Path]:
    """What git holds (or is about to hold), from the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, ours: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    everything: set[str] = set()
    early: set[str] = set()

    def visit(node: ast.AST, at_import: bool) -> None:
        names: set[str] = set()
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here (ruff TID252)"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                names.add(whole if whole in ours else module)
        everything.update(names)
        if at_import:
            early.update(names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            at_import = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            at_import = False
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _HOLDS_STATEMENTS):
                visit(child, at_import)

    visit(tree, True)
    return frozenset(everything), frozenset(early)
