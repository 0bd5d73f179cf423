"""record import, record export: address books and lists, in and out.

Conflicts are asked about on a terminal. Without one, "ask" looks at all files first and writes
nothing if there is any (features.md G9). Exit 1: something was refused, or is undecided.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer

from proxy.commands.common import Refusal, call, desk, one_line, put, put_json, warn
from proxy.commands.importjob import SHOWN, ImportJob, Report, unreadable
from proxy.texts import Language, language, t

if TYPE_CHECKING:
    from crmstore.imports.files import RecordFile


def add_to(group: typer.Typer) -> None:
    """`group` is the one of `record`."""
    group.command("import")(import_)
    group.command("export")(export)


def import_(
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV or vCard; - is standard input.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="K",
            help="Of records that do not say it. Default: by the header (Deal Name), else contact.",
        ),
    ] = None,
    on_conflict: Annotated[
        Literal["ask", "file", "store"],
        typer.Option(help="Who wins where a file says something else than the store."),
    ] = "ask",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What was refused and why, as CSV.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="E", help="Of the files; default: found out.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(metavar="C", help="Of CSV; a character, or tab.")
    ] = None,
) -> None:
    """Import records from CSV (Outlook, Google, Zoho, Excel...) and vCard files."""
    from crmstore.imports.encoding import ENCODINGS
    from crmstore.imports.scratch import Scratch
    from crmstore.recordbulk import is_empty
    from proxy.commands.records import kind_named

    meant = kind_named("--kind", kind) if kind is not None else ("", "")
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise Refusal(f"--encoding {encoding}: allowed is one of: {', '.join(ENCODINGS)}")
    if delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise Refusal("--delimiter: allowed is one character, or tab")
    with ExitStack() as stack:
        work = stack.enter_context(desk(ctx))
        work.agree()
        lang = language(call(ctx).lang)
        opened = _open(files, encoding.lower() if encoding else None, delimiter, lang, stack)
        job = ImportJob(
            work, lang, opened, meant, stack.enter_context(Report(report, opened, lang))
        )
        people = sys.stdin.isatty() and sys.stderr.isatty() and not work.json
        looks = on_conflict == "ask" and not dry_run and not people
        if looks and not is_empty(work.store):  # into an empty store all is new
            with Scratch() as scratch:
                found = job.run(scratch, "ask", dry_run=True, only_conflicts=True)
            if found.conflicts:
                job.answer(found, t("import.stopped", lang, count=found.conflicts))
                raise typer.Exit(1)
        ask = job.ask if people and on_conflict == "ask" and not dry_run else None
        with Scratch() as scratch:
            totals = job.run(scratch, on_conflict, dry_run=dry_run, ask=ask)
        job.answer(totals, "")
    if totals.refused or totals.conflicts:
        raise typer.Exit(1)


def _open(
    files: Sequence[Path],
    encoding: str | None,
    delimiter: str | None,
    lang: Language,
    stack: ExitStack,
) -> "list[RecordFile]":
    from crmstore.imports.files import open_file
    from crmstore.imports.rows import Unreadable

    if [str(path) for path in files].count("-") > 1:
        raise Refusal("FILE: standard input (-) is allowed once")
    opened = []
    for path in files:
        try:
            opened.append(stack.enter_context(open_file(path, encoding, delimiter)))
        except Unreadable as error:
            raise unreadable(str(path), error, lang) from None
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}") from None
    return opened


def export(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Default: standard output.")
    ] = Path("-"),
    kind: Annotated[str | None, typer.Option(metavar="K", help="Of this kind only.")] = None,
    format: Annotated[
        Literal["csv", "vcard"] | None, typer.Option(help="Default: by FILE, else csv.")
    ] = None,
    encoding: Annotated[
        Literal["utf-8", "cp932"], typer.Option(help="Of CSV; utf-8 has the mark Excel needs.")
    ] = "utf-8",
    vcard_version: Annotated[Literal["4.0", "3.0"], typer.Option(help="Of vCard.")] = "4.0",
) -> None:
    """Export records as CSV or vCard; record import reads both again."""
    from crmstore.imports.exporting import Lost, export_csv, export_vcards
    from proxy.commands.records import kind_named

    meant, what = kind_named("--kind", kind) if kind is not None else (None, "")
    if format is None:
        format = "vcard" if file.suffix.lower() in (".vcf", ".vcard") else "csv"
    lang = language(call(ctx).lang)
    lost = 0

    def tell(what: Lost) -> None:
        nonlocal lost
        lost += 1
        if lost <= SHOWN:
            values = {"record": what.record, "name": what.name, "encoding": encoding}
            warn(t(f"export.{what.code}", lang, **values), lang)

    with desk(ctx) as work:
        if format == "csv":
            pieces = export_csv(work.store, meant, tell, type=what, encoding=encoding, lang=lang)
            count = _write(file, pieces) - 1  # the header
        else:
            pieces = export_vcards(work.store, meant, tell, type=what, version=vcard_version)
            count = _write(file, pieces)
        if lost > SHOWN:
            warn(t("export.more", lang, count=lost - SHOWN), lang)
        if str(file) == "-":
            return
        if work.json:
            put_json({"file": str(file), "format": format, "records": count, "lost": lost})
        else:
            put(t("export.done", lang, count=count, file=file))


def _write(path: Path, pieces: Iterator[bytes]) -> int:
    """The pieces into the file, whole or not at all; returns how many they were. What is there
    and no file (a device, a named pipe) is written to, never replaced; a link stays one."""
    if str(path) == "-":
        sys.stdout.flush()
        count = _pour(pieces, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return count
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            with path.open("wb") as out:
                return _pour(pieces, out)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as out:
                count = _pour(pieces, out)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Refusal(f"{one_line(str(path))}: {error.strerror}", code=1) from None
    return count


def _pour(pieces: Iterator[bytes], out: IO[bytes]) -> int:
    return sum(out.write(piece) > 0 for piece in pieces)
