"""What the commands share: the call's options, refusing in one line, printing.

Promises: whatever is printed for people comes through `printable` (no control character of a mail
reaches a terminal); `--json` prints one document, or one line for each row of a list.
"""

import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer

from proxy.printable import printable
from proxy.texts import Language, language, t

if TYPE_CHECKING:
    from config.settings import Settings
    from crmstore.store import Store


#: No number of ours comes near; every database and every reader of JSON has it exactly.
MAX_ID = 999_999_999_999_999

TakesPart = Annotated[str | None, typer.Option(metavar="A", help="Somebody who takes part.")]
LinkedTo = Annotated[
    int | None, typer.Option(metavar="ID", max=MAX_ID, help="Linked to this record.")
]
SeenFor = Annotated[str | None, typer.Option(metavar="U", help="Seen for this user of ours.")]
Viewer = Annotated[
    str | None, typer.Option("--as", metavar="VIEWER", help="As this user may see it.")
]


class Refusal(Exception):
    """The call ends here: one line for standard error, and the exit code."""

    def __init__(self, line: str, code: int = 2) -> None:
        super().__init__(line)
        self.code = code


@dataclass(slots=True)
class Call:
    """The options that may stand anywhere."""

    config: Path | None = None
    json: bool = False
    lang: str | None = None


def call(ctx: typer.Context) -> Call:
    found = ctx.find_object(Call)
    return found if found is not None else Call()


def one_line(text: str) -> str:
    """One line without control characters, whatever an argument or a library put into it."""
    return printable(" ".join(text.split()))


def config_path(ctx: typer.Context) -> Path:
    """The configuration file of this call."""
    from config.load import ConfigError, find

    try:
        return find(call(ctx).config)
    except ConfigError as error:
        raise Refusal(str(error)) from None


def settings(ctx: typer.Context) -> "Settings":
    """The settings of this call, or a refusal that names the key."""
    from config.load import ConfigError, load

    try:
        return load(config_path(ctx))
    except ConfigError as error:
        raise Refusal(str(error)) from None


def as_owner(found: "Settings") -> None:
    """Root goes on as the owner of the data folder: files that it made there, the service could
    not write."""
    if os.geteuid() != 0:
        return
    try:
        owner = found.data_dir.stat()
    except OSError:
        return  # nothing is there yet
    if owner.st_uid == 0:
        return
    try:
        user = pwd.getpwuid(owner.st_uid)
        os.initgroups(user.pw_name, user.pw_gid)
        group = user.pw_gid
    except KeyError:  # a number without a name, as in containers
        os.setgroups([])
        group = owner.st_gid
    os.setgid(group)
    os.setuid(owner.st_uid)
    # What is imported from here on, and the reading process of `replay`, must be his to read.
    for part in (os.__file__, sys.executable, __file__):
        if not os.access(part, os.R_OK):
            raise Refusal(
                f"{found.data_dir} belongs to user {owner.st_uid}, who may not read {part}: "
                "this program must lie where the service's user can read it"
            )


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command about people, records or mail works with."""

    settings: "Settings"
    store: "Store"
    json: bool
    lang: Language = "en"

    def say(self, text: str, /, **values: object) -> str:
        """A text of the catalogue, in the language of this call."""
        return t(text, self.lang, **values)

    def agree(self) -> None:
        """Tell the store what the configuration says about addresses, before they are changed."""
        from crmstore import relink

        found = self.settings
        relink.agree(self.store, found.node.domains, found.capture.address_change)

    def when(self, seconds: float | None) -> str | None:
        """A time for the answer: UTC in JSON, the node's own time for people."""
        if seconds is None:
            return None
        if self.json:
            return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
        zone = ZoneInfo(self.settings.node.timezone)
        return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M")

    def local(self, moment: str | None) -> str:
        """An ISO time of the store as the node's own time, for people."""
        if moment is None:
            return ""
        return self.when(datetime.fromisoformat(moment).timestamp()) or ""


@contextmanager
def desk(ctx: typer.Context) -> Iterator[Desk]:
    """Settings and store of this call, the schema checked; what goes wrong becomes one line."""
    from crmstore.store import SchemaOld, StoreError, open_store

    found = settings(ctx)
    opened = open_store(found)
    try:
        opened.check_schema()
        yield Desk(found, opened, call(ctx).json, language(call(ctx).lang))
    except SchemaOld as error:
        raise Refusal(str(error)) from None
    except StoreError as error:
        raise Refusal(str(error), code=1) from None
    except LookupError as error:
        # NoSuchUser, NoSuchRecord and their like say so in words; any other is a fault of ours.
        if type(error).__module__.startswith("crmstore."):
            raise Refusal(str(error), code=1) from None
        raise
    finally:
        opened.close()


def typed_addresses(ctx: typer.Context, option: str, texts: Sequence[str]) -> list[str]:
    """Addresses as a person types them, checked with a word that helps."""
    if not texts:
        return []
    from crmstore.typed import AddressRefused, check
    from proxy.evidence import told

    lang = language(call(ctx).lang)
    found = []
    for text in texts:
        try:
            typed = check(text)
        except AddressRefused as error:
            raise Refusal(f"{option}: {error}") from None
        if typed.note:
            warn(told(typed.note, lang), lang)
        if typed.meant:
            warn(t("people.meant", lang, address=typed.address, meant=typed.meant), lang)
        found.append(typed.address)
    return found


def bare(address: str | None) -> str | None:
    """The address of `Name <address>`, as people paste it from a mail; anything else as it is."""
    if address is None or not address.rstrip().endswith(">"):
        return address
    return address.rstrip()[:-1].rpartition("<")[2]


def note_nobody(work: Desk, *, viewer: str | None, user: str | None) -> None:
    """Nobody sees nothing, and owns nothing: say so, since it may be a slip of the pen."""
    from crmstore.sharing import is_somebody

    for option, who in (("--as", viewer), ("--user", user)):
        if who is not None and not is_somebody(work.store, who):
            warn(work.say("mail.nobody", option=option, who=who), work.lang)


def warn(text: str, lang: Language) -> None:
    """Something odd that was done all the same."""
    sys.stderr.write(f"mailweir: {t('common.note', lang)}: {one_line(text)}\n")


def no(line: str) -> NoReturn:
    """The answer is "no": exit 1."""
    raise Refusal(line, code=1)


def put_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, default=str) + "\n")


def put_lines(rows: Iterable[object]) -> None:
    for row in rows:
        put_json(row)


def put(text: str = "") -> None:
    """A line for people."""
    sys.stdout.write(printable(text) + "\n")


def put_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people; as wide as the terminal, or as the text when piped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 200
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")  # cells are filled up with blanks


def put_pairs(pairs: Mapping[str, Any]) -> None:
    """`name  value` lines; values that are empty are left out."""
    width = max((cells(name) for name in pairs), default=0)
    for name, value in pairs.items():
        if value not in (None, "", [], ()):
            put(f"{name}{' ' * (width - cells(name))}  {value}")


def cells(text: str) -> int:
    """How wide a text is on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def span(seconds: float | None) -> str:
    """A duration for people: the two largest units."""
    if seconds is None:
        return ""
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{value}{unit}" for value, unit in parts[:2])


def size(count: float) -> str:
    """A number of bytes for people, in binary units."""
    if count < 0:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
