"""The program `mailweir`: its commands, and how every one of them ends.

Promises (contract.md, "Commands"): `--config FILE`, `--json` and `--lang` may stand anywhere;
exit 0 = done, 1 = the answer is "no", 2 = a wrong call or configuration, told in one line that
names the key or argument and what is allowed. No expected error shows a traceback.
The commands live in proxy/commands; what is heavy (database, tables, daemons) they import when
they run, so that `mailweir --help` and mistakes answer at once.
"""

import io
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from proxy.commands import (
    account,
    bounces,
    mail,
    people,
    records,
    replay,
    rules,
    search,
    service,
    setup,
    suppression,
)
from proxy.commands.common import Call, Refusal, one_line
from proxy.helppage import translate
from proxy.refusals import refused
from proxy.texts import Language, language

# As contract.md lists them; typer would put groups last.
ORDER = (
    "try quickstart check run status user record emails email bounce suppression rules search audit"
    " replay migrate"
)


class _InOrder(TyperGroup):
    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx), key=ORDER.split().index)


app = typer.Typer(
    name="mailweir",
    cls=_InOrder,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich, and it reads well in a log
    pretty_exceptions_enable=False,
    epilog="Every command takes --config FILE (default: $MAILWEIR_CONFIG, else"
    " /etc/mailweir/mailweir.toml, else ./mailweir.toml) and --json.",
)
setup.add_to(app)
service.add_to(app)
people.add_to(app)
rules.add_to(app)
records.add_to(app)
mail.add_to(app)
search.add_to(app)
bounces.add_to(app)
suppression.add_to(app)
account.add_to(app)
replay.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from proxy import __version__

        typer.echo(f"mailweir {__version__}")
        raise typer.Exit


_COMMON = ["--config", "--json", "--lang", "--help"]


@app.callback()
def _options(
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="The configuration file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    lang: Annotated[
        str | None, typer.Option(metavar="en|ja", help="The language to speak.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Mailweir: SMTP relay and IMAP proxy in the path of your mail; captures it for your CRM."""


def main() -> None:
    """The console script."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # A terminal of another encoding shows "?" for what it does not have, not our traceback.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """One call from its arguments to its exit code."""
    _keep_standard_descriptors()
    call = Call()
    try:
        call, rest = _hoist(args)
        result = _program(language(call.lang)).main(
            args=rest or ["--help"], prog_name="mailweir", standalone_mode=False, obj=call
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Refusal as error:
        return _complain(str(error), error.code, call)
    except typer.TyperException as error:
        return _complain(_usage(error), 2, call)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename or 'system'}: {error.strerror or error}", 1, call)


@cache
def _program(lang: Language) -> Any:
    """The commands, as they explain themselves in that language."""
    program = typer.main.get_command(app)
    translate(program, lang)
    return program


def _hoist(args: Sequence[str]) -> tuple[Call, list[str]]:
    """Take the options of every command out of wherever they stand; what follows `--` stays."""
    call, rest = Call(), []
    words = iter(args)
    for word in words:
        name, has_value, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif word == "--json":
            call.json = True
        elif name == "--config":
            value = value if has_value else next(words, "")
            if not value:
                raise Refusal("--config: allowed is the path of a configuration file")
            call.config = Path(value)
        elif name == "--lang":
            value = value if has_value else next(words, "")
            if value not in ("en", "ja"):
                raise Refusal(f"--lang {value}: allowed is one of: en, ja")
            call.lang = value
        else:
            rest.append(word)
    return call, rest


def _usage(error: typer.TyperException) -> str:
    """The library's words in one line, with what is allowed where it does not say so itself."""
    text = one_line(error.format_message()).replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    options = [option for param in context.command.params for option in getattr(param, "opts", [])]
    if isinstance(context.command, TyperGroup) and "ommand" in text:
        text += f"; allowed is one of: {', '.join(context.command.list_commands(context))}"
    elif "No such option" in text:
        text = text.partition(" (")[0] + f"; allowed: {', '.join(_COMMON + _dashed(options))}"
    elif "unexpected extra" in text:
        wanted = [option.upper() for option in options if not option.startswith("-")]
        text += f"; allowed: {' '.join(wanted) or 'none'}"
    return f"{context.command_path}: {text}"


def _dashed(options: Sequence[str]) -> list[str]:
    return [option for option in options if option.startswith("-")]


def _complain(line: str, code: int, call: Call) -> int:
    prefix = "" if line.startswith("mailweir") else "mailweir: "
    line = prefix + refused(one_line(line), language(call.lang))
    print(line, file=sys.stderr)  # noqa: T201  # the one line of the contract
    return code


def _keep_standard_descriptors() -> None:
    """A caller that closed 0, 1 or 2 would make the next socket or journal take their number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
