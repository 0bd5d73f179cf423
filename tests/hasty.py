"""The program with less patience, for tests of what it does when its patience ends.

    python -m tests.hasty proxy.smtp.listener.LINGER=1.0 -- run --config ...

Before the `--` stand constants of its modules and what they are to be; behind it are its own
arguments. A constant that is not there, or of another type, is an error: else a test would wait
for the real one, or prove nothing. What the supervisor starts is as hasty as itself.
"""

import ast
import importlib
import sys
from collections.abc import Iterable

from proxy.parent import follow


def change(name: str, text: str) -> None:
    """Set a module's constant: `proxy.smtp.listener.LINGER`, "1.0"."""
    place, _, constant = name.rpartition(".")
    module, value = importlib.import_module(place), ast.literal_eval(text)
    if type(value) is not type(getattr(module, constant)):
        raise TypeError(f"{name} is {getattr(module, constant)!r}, not like {text}")
    setattr(module, constant, value)


def command(constants: Iterable[str]) -> list[str]:
    """What starts the program: Python, and with constants this module between."""
    given = list(constants)
    return [sys.executable, "-m", *(["tests.hasty", *given, "--"] if given else ["proxy"])]


def main(argv: list[str]) -> None:
    follow()
    at = argv.index("--")
    for one in argv[:at]:
        name, _, text = one.partition("=")
        change(name, text)
    from proxy import main as supervising
    from proxy.cli import main as program

    supervising.PROGRAM = tuple(command(argv[:at]))
    sys.argv = ["mailweir", *argv[at + 1 :]]
    program()


if __name__ == "__main__":
    main(sys.argv[1:])
