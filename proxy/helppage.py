"""`--help` in Japanese: the sentences of proxy/wording/help.py, laid out by the width of the signs.

The library (typer) lays out by the number of characters and breaks at blanks; Japanese has signs of
double width and no blanks. English stays as the library makes it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxy.commands.common import cells
from proxy.texts import Language, help_text
from proxy.wording.help import WORDS

__all__ = ["translate"]

_WIDEST_FIRST = 30
_NOT_AT_THE_BEGINNING = "。、）」・"


def translate(command: Any, lang: Language) -> None:
    """Make a command and all below it explain themselves in this language."""
    if lang != "ja":
        return
    for name in ("help", "short_help", "epilog"):
        if text := getattr(command, name, None):
            setattr(command, name, help_text(text, lang))
    for param in command.params:
        if text := getattr(param, "help", None):
            param.help = help_text(text, lang)
    usual = command.get_help_option

    def help_option(ctx: Any) -> Any:
        option = usual(ctx)
        if option is not None and option.help:
            option.help = help_text(option.help, lang)
        return option

    command.get_help_option = help_option
    context = command.context_class
    command.context_class = type(
        "Context", (context,), {"formatter_class": _formatter(context.formatter_class)}
    )
    for below in getattr(command, "commands", {}).values():
        translate(below, lang)


def _formatter(usual: Any) -> Any:
    class Formatter(usual):  # type: ignore[misc]
        """The library's, but for the width of signs and its own words."""

        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or WORDS["Usage: "])

        def write_heading(self, heading: str) -> None:
            super().write_heading(WORDS.get(heading, heading))

        def write_text(self, text: str) -> None:
            before = " " * self.current_indent
            for paragraph in text.split("\n\n"):
                for line in _wrapped(paragraph, self.width - self.current_indent):
                    self.write(f"{before}{line}\n")

        def write_dl(
            self, rows: Sequence[tuple[str, str]], col_max: int = _WIDEST_FIRST, **_: Any
        ) -> None:
            before = " " * self.current_indent
            first = min(max((cells(name) for name, _ in rows), default=0), col_max) + 2
            room = max(self.width - self.current_indent - first, 20)
            for name, text in rows:
                lines = list(_wrapped(_extras(text), room)) or [""]
                if cells(name) > first - 2:
                    self.write(f"{before}{name}\n")
                    name = ""
                for line in lines:
                    self.write(f"{before}{name:<{first}}{line}".rstrip() + "\n")
                    name = ""

    return Formatter


def _extras(text: str) -> str:
    """ "[default: 50; required]" behind a help text, in our words."""
    head, bracket, tail = text.rpartition("[")
    if not bracket or not tail.endswith("]"):
        return text
    for english in ("default: ", "required"):
        tail = re.sub(rf"(?<![\w-]){english}", WORDS[english], tail)
    return f"{head}[{tail}"


def _wrapped(text: str, room: int) -> Iterator[str]:
    """Lines of at most `room` cells; between wide signs a line may end anywhere."""
    line, width = "", 0
    for piece in _pieces(" ".join(text.split())):
        size = cells(piece)
        if width + size > room and line.strip() and piece not in _NOT_AT_THE_BEGINNING:
            yield line.rstrip()
            line, width = "", 0
            if piece == " ":
                continue
        line, width = line + piece, width + size
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterable[str]:
    """Words of narrow signs whole, blanks and wide signs one by one."""
    return re.findall(r"[!-~]+|.", text)
