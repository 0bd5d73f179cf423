"""replay: the store made whole again from the archive and the journals."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer

from proxy.commands.common import as_owner, desk, put, put_json, settings


def add_to(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(ctx: typer.Context) -> None:
    """Take in again what a lost or older database lacks; exit 1 if something was unreadable.

    Mail comes from the archive and the journals. Users and records do not: they are in backups of
    the database only, or in the files that they were imported from.
    """
    from crmstore.archive import open_archive
    from proxy.replay import Replay

    as_owner(settings(ctx))
    with desk(ctx) as work:
        run = Replay(work.settings, work.store, open_archive(work.settings))
        with _progress() as advance:
            done = run.run(advance)
        if work.json:
            put_json(asdict(done))
        else:
            counts = ("frames", "messages", "captured", "excluded", "failed", "refused")
            put(work.say("replay.done", **{name: getattr(done, name) for name in counts}))
            if done.queued:
                put(work.say("replay.queued", count=done.queued))
            if done.pending:
                put(work.say("replay.pending", count=done.pending))
            for name in done.damaged:
                put(work.say("replay.damaged", name=name))
        if done.damaged:
            raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; nothing where there is none."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
