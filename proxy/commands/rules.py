"""rules: what users leave out of the CRM by rules of their own."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.commands.common import Desk, Refusal, desk, no, put, put_json, put_lines, put_table, warn

if TYPE_CHECKING:
    from crmstore.capturerules import Rule
    from crmstore.personal import Wanted

User = Annotated[str, typer.Option(metavar="USER", help="Whose rules: the login, or an address.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("remove")(remove)
    app.add_typer(group, name="rules", help="What users leave out by rules of their own.")


def list_(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000)] = 1000,
    after: Annotated[int, typer.Option(metavar="ID", help="Go on behind this one.")] = 0,
) -> None:
    """List rules."""
    from crmstore import capturerules

    with desk(ctx) as work:
        found = capturerules.listing(work.store, user, limit=limit + 1, after=after)
        if work.json:
            put_lines(_document(work, rule) for rule in found[:limit])
        elif not found:
            put(work.say("rules.none"))
        else:
            names = ("id", "user", "field", "pattern", "origin", "since")
            rows = [
                (r.id, r.user, work.say(f"rules.{r.field}"), r.pattern, _origin(work, r),
                 work.when(r.created))
                for r in found[:limit]
            ]  # fmt: skip
            put_table("", [work.say(f"rules.{name}") for name in names], rows)
        if len(found) > limit:
            warn(work.say("rules.more", id=found[limit - 1].id))


def add(
    ctx: typer.Context,
    user: User,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="A", help='Mail by these: an address, or "*@domain".'),
    ] = None,
    to: Annotated[list[str] | None, typer.Option(metavar="A", help="Mail to these.")] = None,
    folder: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What lies in this mailbox folder.")
    ] = None,
) -> None:
    """Leave mail out for a user, from the next message on."""
    from crmstore import capturerules

    asked = [*_asked("from", from_), *_asked("to", to), *_asked("folder", folder)]
    if not asked:
        raise Refusal("rules add: allowed are --from, --to and --folder, one needed")
    with desk(ctx) as work:
        try:
            done = capturerules.add(work.store, user, [(one, "") for one in asked])
        except capturerules.TooMany as error:
            raise Refusal(f"--user {user}: allowed are {error}", code=1) from None
        if work.json:
            put_lines(
                {"id": id_, **one._asdict(), "new": new}
                for one, (id_, new) in zip(asked, done, strict=True)
            )
            return
        for one, (id_, new) in zip(asked, done, strict=True):
            say = "rules.added" if new else "rules.there"
            field = work.say(f"rules.{one.field}")
            put(work.say(say, id=id_, field=field, pattern=one.pattern))


def remove(
    ctx: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", help="As `rules list` shows them.")],
) -> None:
    """Remove rules; what they have left out stays out."""
    from crmstore import capturerules

    with desk(ctx) as work:
        gone = set(capturerules.remove(work.store, ids))
        missing = [id_ for id_ in dict.fromkeys(ids) if id_ not in gone]
        if work.json:
            put_json({"removed": sorted(gone), "missing": missing})
        for id_ in sorted(gone) if not work.json else ():
            put(work.say("rules.removed", id=id_))
        if missing:
            no(work.say("rules.missing", ids=", ".join(map(str, missing))))


def _asked(field: str, patterns: list[str] | None) -> "list[Wanted]":
    from crmstore.personal import wanted

    found = []
    for pattern in patterns or ():
        try:
            found.append(wanted(field, pattern))
        except ValueError as error:
            raise Refusal(f"--{field} {pattern}: allowed is {error}") from None
    return found


def _document(work: Desk, rule: "Rule") -> dict[str, Any]:
    return asdict(rule) | {"created": work.when(rule.created)}


def _origin(work: Desk, rule: "Rule") -> str:
    told = work.say(f"rules.origin.{rule.origin}")
    return f"{told}: {rule.words}" if rule.words else told
