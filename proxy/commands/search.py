"""search: mail that has these words, newest first, with the place where they stand."""

import sys
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from proxy.commands.common import (
    MAX_ID,
    Desk,
    LinkedTo,
    Refusal,
    SeenFor,
    TakesPart,
    Viewer,
    bare,
    call,
    desk,
    note_nobody,
    put_lines,
    put_table,
    warn,
)
from proxy.texts import Language, language, t

HIGHLIGHT = ("«", "»")


def add_to(app: typer.Typer) -> None:
    app.command("search")(search)


def search(
    ctx: typer.Context,
    text: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help='Words that must all be there; "a phrase"; -word must not.'
        ),
    ],
    address: TakesPart = None,
    record: LinkedTo = None,
    user: SeenFor = None,
    thread: Annotated[
        int | None, typer.Option(metavar="ID", max=MAX_ID, help="In this thread.")
    ] = None,
    direction: Annotated[
        Literal["sent", "received"] | None, typer.Option(help="By us, or to us.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Seen on this day or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Seen on this day or earlier.")
    ] = None,
    attachment: Annotated[bool, typer.Option("--attachment", help="Has an attachment.")] = False,
    file: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Has an attachment named so.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000)] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="PLACE", help="The next page, as this one names it.")
    ] = None,
    viewer: Viewer = None,
) -> None:
    """Full text of subjects, people, bodies and names of files; Japanese included."""
    from crmstore import records
    from crmstore import search as store_search

    lang = language(call(ctx).lang)
    with desk(ctx) as work:
        if record is not None:
            records.show(work.store, record)  # one that is not there is not an empty answer
        wanted = store_search.Wanted(
            address=bare(address),
            record=record,
            user=user,
            thread=thread,
            direction=direction,
            first_us=_moment(work, "--from", since, lang),
            until_us=_moment(work, "--to", until, lang, days=1),
            files=attachment,
            file=file,
        )
        note_nobody(work, viewer=viewer, user=user)
        try:
            page = store_search.search(
                work.store, " ".join(text), wanted, limit=limit, before=before, viewer=viewer
            )
        except store_search.Refused as refused:
            raise Refusal(t(f"search.{refused.code}", lang)) from None
        except ValueError as error:
            raise Refusal(f"--{error}") from None
        if work.json:
            put_lines(page.rows)
        elif page.rows:
            _put(work, page.rows, lang)
        else:
            sys.stdout.write(t("search.none", lang) + "\n")
        if page.damaged:
            warn(t("search.damaged", lang, count=page.damaged), lang)
        if page.next is not None:
            warn(t("search.more" if page.whole else "search.time", lang, place=page.next), lang)


def _moment(
    work: Desk, option: str, day: str | None, lang: Language, *, days: int = 0
) -> int | None:
    """The beginning of a day (or a moment) in the node's zone, in microseconds."""
    if day is None:
        return None
    try:
        found = datetime.fromisoformat(day)
        if len(day) <= 10:
            found += timedelta(days=days)
        if found.tzinfo is None:
            found = found.replace(tzinfo=ZoneInfo(work.settings.node.timezone))
        return round(found.timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise Refusal(t("search.day", lang, option=option, day=day)) from None


def _put(work: Desk, rows: list[dict[str, Any]], lang: Language) -> None:
    columns = [t(f"search.column.{name}", lang) for name in ("id", "date", "from", "subject")]
    put_table(
        "",
        [*columns, t("search.column.text", lang)],
        [
            (row["id"], work.local(row["date"]), row["from"], row["subject"], _marked(row))
            for row in rows
        ],
    )


def _marked(row: dict[str, Any]) -> str:
    """The snippet with its hits between marks."""
    text, place, out = row["snippet"], 0, []
    for start, end in row["highlights"]:
        out += [text[place:start], HIGHLIGHT[0], text[start:end], HIGHLIGHT[1]]
        place = end
    return "".join([*out, text[place:]])
