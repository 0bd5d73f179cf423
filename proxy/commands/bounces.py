"""bounce parse: what messages say about mail that was sent; needs no configuration.

A JSON line for each file, in their order, as contract.md has it ("bounce parse line"), and the
same with --json. Of a file of any size a bounded part is held (bounce/view.py says which).
An mbox is read up to its first message, and it is said so: in `oddities`, and in a note.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from proxy.commands.common import call, put_json, warn
from proxy.refusals import refused
from proxy.texts import language, t

if TYPE_CHECKING:
    from bounce.report import Recipient, Report

CHUNK = 1 << 16
# The line that begins a message in an mbox (RFC 4155): "From", an address, a date.
_MBOX = re.compile(
    rb"(?:\A|\n\r?\n)From [^\r\n]{1,200}? \d\d:\d\d[^\r\n]{0,60}\r?\n[!-9;-~]{1,80}:"
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("parse")(parse)
    group.callback()(_group)  # with one command alone typer would make no group
    app.add_typer(group, name="bounce", help="Reports about mail that was sent.")


def _group() -> None:
    """Reports about mail that was sent."""


def parse(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Messages; - is stdin.")],
) -> int:
    """Say what messages report about mail that was sent: a JSON line each."""
    from bounce.detect import read
    from bounce.report import Report

    code, lang = 0, language(call(ctx).lang)
    for file in files:
        try:
            if str(file) == "-":
                raw = _bounded(sys.stdin.buffer)
            else:
                with file.open("rb") as stream:
                    raw = _bounded(stream)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            warn(refused(f"{file}: {reason}", lang), lang)
            put_json(_line(str(file), Report("unreadable", oddities=(f"file: {reason}",))))
            code = 1
            continue
        first, several = _first_of_mbox(raw)
        found = _line(str(file), read(first))
        if several:
            found["oddities"].append("mbox")
            warn(t("bounce.mbox", lang, file=file), lang)
        put_json(found)
    return code


def _bounded(stream: BinaryIO) -> bytes:
    """All of a stream, or of a long one its beginning and its end: what read() looks at, and one
    octet more, so that it says so."""
    from bounce.view import HEAD, TAIL

    head = b"".join(_chunks(stream, HEAD))
    if len(head) < HEAD:
        return head
    tail = b""
    for chunk in _chunks(stream, None):
        tail += chunk
        if len(tail) > TAIL + CHUNK:
            tail = tail[-TAIL - 1 :]
    return head + tail


def _chunks(stream: BinaryIO, limit: int | None) -> Iterator[bytes]:
    while limit is None or limit > 0:
        chunk = stream.read(CHUNK if limit is None else min(CHUNK, limit))
        if not chunk:
            return
        if limit is not None:
            limit -= len(chunk)
        yield chunk


def _first_of_mbox(raw: bytes) -> tuple[bytes, bool]:
    """The first message of an mbox and whether there are more; other files as they are."""
    if not raw.startswith(b"From "):
        return raw, False
    following = _MBOX.search(raw, 5)
    return (raw[: following.start() + 1], True) if following else (raw, False)


def _line(file: str, report: "Report") -> dict[str, Any]:
    return {
        "file": file,
        "kind": report.kind,
        "recipients": [_recipient(one) for one in report.recipients],
        "original_message_id": report.original_message_id,
        "oddities": list(report.oddities),
        "shape": report.shape,
        "envelope_id": report.envelope_id,
        "reporting_mta": report.reporting_mta,
    }


def _recipient(one: "Recipient") -> dict[str, Any]:
    return {
        "address": one.address,
        "class": one.klass,
        "category": one.category,
        "action": one.action,
        "status": one.status,
        "diagnostic": one.diagnostic,
        "remote_mta": one.remote_mta,
        "final": one.final,
        "original": one.original,
        "rule": one.rule,
    }
