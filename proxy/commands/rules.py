"""rules: what users leave out of the CRM by rules of their own."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.commands.common import Desk, Refusal, desk, no, put, put_json, put_lines, put_table, warn
from proxy.texts import t

if TYPE_CHECKING:
    from crmstore.capturerules import Rule
    from crmstore.imports.filters import Decision, Filter
    from crmstore.personal import Wanted

User = Annotated[str, typer.Option(metavar="USER", help="Whose rules: the login, or an address.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("import")(import_)
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


def import_(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="mailFilters.xml of Gmail, or a Sieve script; -: stdin."
        ),
    ],
    user: User,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Leave out this folder too, and what filters file into it."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
) -> None:
    """Take filters that throw mail away, or file it into a folder, as rules."""
    from crmstore import capturerules, users
    from crmstore.imports.filters import decide

    folders = [one.pattern for one in _asked("folder", folder)]
    with desk(ctx) as work:
        origin, filters = _read(work, file)
        mine = users.get(work.store, user)
        found = decide(filters, folders, {mine.login, *mine.addresses})
        asked = [(one, "") for one in _asked("folder", folder)]
        asked += [(rule, decision.words) for decision in found for rule in decision.rules]
        if dry_run:
            there = capturerules.there(work.store, user)
            done = [(0, rule not in there) for rule, _ in asked]
        else:
            try:
                done = capturerules.add(work.store, user, asked, origin=origin)
            except capturerules.TooMany as error:
                raise Refusal(f"{file}: allowed are {error}", code=1) from None
        told = {"file": str(file), "format": origin, "user": mine.login, "dry_run": dry_run}
        _tell(work, told, found, list(zip((rule for rule, _ in asked), done, strict=True)))
    if not asked:
        raise typer.Exit(1)


def _read(work: Desk, file: Path) -> "tuple[str, list[Filter]]":
    """Which kind of file it is, and its filters."""
    from crmstore.imports import gmailfilters, sieve
    from crmstore.imports.filters import MAX_OCTETS
    from crmstore.imports.rows import Unreadable

    try:
        if str(file) == "-":
            octets = sys.stdin.buffer.read(MAX_OCTETS + 1)
        else:
            with file.open("rb") as opened:
                octets = opened.read(MAX_OCTETS + 1)
        if len(octets) > MAX_OCTETS:
            raise Unreadable("size", limit=MAX_OCTETS)
        head = octets[:200].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        if head.startswith(b"<"):
            return "gmail", gmailfilters.read(octets)
        return "sieve", sieve.read(octets.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refusal(f"{file}: {work.say('rules.file.encoding')}") from None
    except Unreadable as error:
        raise Refusal(f"{file}: {work.say(f'rules.file.{error.code}', **error.values)}") from None


def _tell(
    work: Desk,
    told: dict[str, Any],
    found: "list[Decision]",
    done: "list[tuple[Wanted, tuple[int, bool]]]",
) -> None:
    refused = [one for one in found if one.why]
    dry = told["dry_run"]
    if work.json:
        rules = [{"id": id_ or None, **rule._asdict(), "new": new} for rule, (id_, new) in done]
        why = [
            {
                "filter": one.place,
                "words": one.words,
                "why": one.why,
                "text": t(f"rules.why.{one.why}", "en", value=one.value),
            }
            for one in refused
        ]
        put_json({**told, "filters": len(found), "rules": rules, "refused": why})
        return
    for rule, (id_, new) in done:
        say = ("rules.would" if dry else "rules.added") if new else "rules.known"
        put(work.say(say, id=id_, field=work.say(f"rules.{rule.field}"), pattern=rule.pattern))
    place = work.say(f"rules.place.{told['format']}")
    for one in refused:
        put(work.say("rules.refused", place=place, number=one.place, words=one.words))
        put("    " + work.say(f"rules.why.{one.why}", value=one.value))
    counts = {"filters": len(found), "taken": len(found) - len(refused), "refused": len(refused)}
    fresh = [rule for rule, (_, new) in done if new]
    put(work.say("rules.sum.dry" if dry else "rules.sum", **counts, new=len(fresh)))


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
