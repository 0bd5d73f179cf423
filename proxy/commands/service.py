"""run, status, migrate: the appliance itself."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from proxy.commands.common import (
    Refusal,
    as_owner,
    call,
    config_path,
    put,
    put_json,
    put_table,
    settings,
    size,
    span,
)
from proxy.texts import Language, known, language, t

if TYPE_CHECKING:
    from proxy.status import DoorJournal, MailState, Status


def add_to(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("status")(status)
    app.command("migrate")(migrate)


def run(
    ctx: typer.Context,
    role: Annotated[
        Literal["all", "smtp", "imap", "worker"],
        typer.Option(help="all, or one role for a unit of its own."),
    ] = "all",
    listener: Annotated[
        str,
        typer.Option(metavar="NAME", help="With --role smtp or imap: one door of this listener."),
    ] = "",
    slot: Annotated[
        int, typer.Option(metavar="N", min=0, max=63, help="With --listener: the door's number.")
    ] = 0,
) -> None:
    """Run the appliance; the log goes to standard error."""
    path = config_path(ctx)
    found = settings(ctx)
    names = {"smtp": [one.name for one in found.smtp], "imap": [one.name for one in found.imap]}
    if listener and role not in names:
        raise Refusal(f"--listener: allowed with --role smtp or imap, not with --role {role}")
    if listener and listener not in names[role]:
        raise Refusal(f"--listener {listener}: allowed is one of: {', '.join(names[role])}")
    wanted = names.get(role, [*names["smtp"], *names["imap"]])
    if not wanted and role != "worker":
        tables = f"[[{role}]]" if role in names else "[[smtp]] or [[imap]]"
        raise Refusal(f"{path}: at least one {tables} table is needed to run")
    if call(ctx).json:
        os.environ["MAILWEIR_LOG"] = "json"  # before the log is imported, and for all roles
    from proxy import main
    from proxy.ground import CannotStart

    try:
        if listener and role == "imap":
            main.run_imap_door(found, listener, slot)
        elif listener:
            main.run_door(found, listener, slot)
        elif role == "worker":
            main.run_one_worker(found)
        else:
            kinds = ("smtp", "imap") if role == "all" else (role,)
            main.run_all(found, path, kinds, worker=role == "all")
    except CannotStart as error:
        raise Refusal(str(error)) from None
    except main.RoleFailed as error:
        raise Refusal(str(error), code=1) from None


def status(ctx: typer.Context) -> None:
    """Say how it stands; exit 1 if something is wrong."""
    from proxy.status import status as look

    found = look(settings(ctx))
    if call(ctx).json:
        put_json(found.document())
    else:
        _show(found, language(call(ctx).lang))
    if not found.ok:
        raise typer.Exit(1)


_ALWAYS = ("connections", "messages")


def _figures(figures: Mapping[str, Any], lang: Language) -> Iterator[str]:
    """What a person wants to know of a process; JSON and the metrics have all of it."""
    for name, value in figures.items():
        text = f"state.figure.{name}"
        if known(text) and (value or name in _ALWAYS):
            yield t(text, lang, n=value)


def _show(found: "Status", lang: Language) -> None:
    def table(names: str, rows: Iterable[Sequence[object]]) -> None:
        put_table("", [t(f"state.{name}", lang) for name in names.split()], rows)

    for line in found.notes_in(lang):
        put(t("state.note", lang, text=line))
    if found.noted:
        put()
    table(
        "role state pid uptime figures",
        [
            (
                role.role,
                t("state.up" if role.up else "state.down", lang),
                role.pid if role.up else "",
                span(role.uptime_seconds) if role.up else "",
                ", ".join(_figures(role.figures, lang)),
            )
            for role in found.roles
        ],
    )
    put()
    table(
        "journal size waiting oldest",
        [
            (
                journal.door,
                size(journal.bytes),
                t("state.unknown", lang) if journal.pending is None else _waiting(journal),
                span(journal.oldest_pending_seconds) if journal.pending else "",
            )
            for journal in found.journals
        ],
    )
    put(t("state.free", lang, size=size(found.journal_free_bytes)))
    put()
    queue = [(q.state, q.messages, span(q.oldest_age_seconds)) for q in found.queue]
    rows = queue or [("empty", 0, "")]
    table("queue messages oldest", [(t(f"state.queue.{row[0]}", lang), *row[1:]) for row in rows])
    if found.coverage:
        put()
        table(
            "mailboxes looked known of large",
            [(c.folder, c.mailboxes, c.known, c.present, c.skipped) for c in found.coverage],
        )
    if found.mail is not None:
        put()
        put(_mail(found.mail, lang))
    for role in found.roles:
        if role.last_error:
            put()
            put(t("state.last_error", lang, role=role.role, error=_last_error(role.last_error)))
    if found.said:
        put()
    for line in found.wrong_in(lang):
        put(t("state.wrong", lang, text=line))


def _last_error(line: Mapping[str, Any]) -> str:
    """A line of the log, shorter: `grep` finds the whole of it by its time."""
    rest = {k: v for k, v in line.items() if k not in ("time", "event", "level", "trace")}
    words = ", ".join(f"{key} {value}" for key, value in rest.items() if value not in ("", None))
    return f"{str(line.get('time', ''))[:19]}Z {line.get('event', '')}: {words}"


def _mail(mail: "MailState", lang: Language) -> str:
    used = size(mail.mail_bytes)
    if mail.quota_bytes is None:
        return t("state.mail", lang, size=used)
    percent = 100 * mail.mail_bytes // mail.quota_bytes
    return t("state.mail.of", lang, size=used, quota=size(mail.quota_bytes), percent=percent)


def _waiting(journal: "DoorJournal") -> str:
    if not journal.pending:
        return "0"
    more = "+" if journal.at_least else ""
    return f"{journal.pending}{more}, {size(journal.pending_bytes or 0)}{more}"


def migrate(ctx: typer.Context) -> None:
    """Bring the store to this version, or make it."""
    from crmstore.store import StoreError, open_store
    from proxy.ground import CannotStart, make_folders

    found = settings(ctx)
    as_owner(found)
    opened = open_store(found)
    try:
        make_folders(found)
        version = opened.migrate()
    except CannotStart as error:
        raise Refusal(str(error)) from None
    except StoreError as error:
        raise Refusal(str(error), code=1) from None
    finally:
        opened.close()
    if call(ctx).json:
        put_json({"schema": version, "database": opened.about})
    else:
        lang = language(call(ctx).lang)
        put(t("migrate.done", lang, database=opened.about, version=version))
