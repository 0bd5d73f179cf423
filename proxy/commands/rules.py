"""rules: what users leave out of the CRM, or put onto records, by rules of their own."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.commands.common import (
    MAX_ID,
    Desk,
    Refusal,
    desk,
    no,
    put,
    put_json,
    put_lines,
    put_table,
    warn,
)
from proxy.texts import t

if TYPE_CHECKING:
    from crmstore.capturerules import Rule
    from crmstore.imports.filters import Decision, Filter, Onto
    from crmstore.personal import Wanted

User = Annotated[str, typer.Option(metavar="USER", help="Whose rules: the login, or an address.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("import")(import_)
    app.add_typer(
        group,
        name="rules",
        help="What users leave out, or put onto records, by rules of their own.",
    )


def list_(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000)] = 1000,
    after: Annotated[
        int, typer.Option(metavar="ID", min=0, max=MAX_ID, help="Go on behind this one.")
    ] = 0,
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
            names = ("id", "user", "field", "pattern", "goes", "origin", "since")
            rows = [
                (r.id, r.user, work.say(f"rules.{r.field}"), r.pattern, _goes(work, r),
                 _origin(work, r), work.when(r.created))
                for r in found[:limit]
            ]  # fmt: skip
            put_table("", [work.say(f"rules.{name}") for name in names], rows)
        if len(found) > limit:
            warn(work.say("rules.more", id=found[limit - 1].id), work.lang)


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
    record: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            min=1,
            max=MAX_ID,
            help="Put it onto this record, instead of leaving it out.",
        ),
    ] = None,
) -> None:
    """Leave mail out for a user from the next message on, or put it onto a record."""
    from crmstore import capturerules

    asked = [
        *_asked("from", from_, record), *_asked("to", to, record), *_asked("folder", folder, record)
    ]  # fmt: skip
    if not asked:
        raise Refusal("rules add: allowed are --from, --to and --folder, one needed")
    with desk(ctx) as work:
        work.agree()
        for pattern, why in _keyless(work, asked if record is not None else ()).items():
            raise Refusal(f"{pattern}: {work.say(f'rules.why.{why}', value=pattern)}")
        try:
            done = capturerules.add(work.store, user, [(one, "") for one in asked])
        except capturerules.TooMany as error:
            raise Refusal(f"--user {user}: allowed are {error}", code=1) from None
        linked = _onward(work, asked)
        if work.json:
            put_lines(
                {"id": id_, **one._asdict(), "new": new}
                for one, (id_, new) in zip(asked, done, strict=True)
            )
            return
        for one, (id_, new) in zip(asked, done, strict=True):
            put(_said(work, "added" if new else "there", id_, one))
        if linked:
            put(work.say("rules.linked", count=linked))


def remove(
    ctx: typer.Context,
    ids: Annotated[
        list[int],
        typer.Argument(metavar="ID...", max=MAX_ID, help="As `rules list` shows them."),
    ],
) -> None:
    """Remove rules; what they have left out stays out, what they have put onto records goes."""
    from crmstore import capturerules, relink

    with desk(ctx) as work:
        work.agree()
        gone = set(capturerules.remove(work.store, ids))
        relink.run(work.store)
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
            metavar="NAME[=ID]",
            help="Leave out this folder too, and what filters file into it; with =ID, put it onto"
            " that record.",
        ),
    ] = None,
    records: Annotated[
        bool,
        typer.Option(
            "--records", help="Folders that are called as just one record: onto that record."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
) -> None:
    """Take filters that throw mail away, or file it into a folder, as rules."""
    from crmstore import capturerules, users
    from crmstore.imports.filters import decide

    named = _folders(folder)
    folders = [one.pattern for one in named if one.record is None]
    with desk(ctx) as work:
        work.agree()
        origin, filters = _read(work, file)
        mine = users.get(work.store, user)
        meant, onto = _onto(work, named, filters, by_name=records)
        found = decide(filters, folders, {mine.login, *mine.addresses}, onto)
        asked = [(one, "") for one in meant]
        asked += [(rule, decision.words) for decision in found for rule in decision.rules]
        linked = 0
        if dry_run:
            new = capturerules.would(work.store, user, [rule for rule, _ in asked])
            done = [(0, one) for one in new]
        else:
            try:
                done = capturerules.add(work.store, user, asked, origin=origin)
            except capturerules.TooMany as error:
                raise Refusal(f"{file}: allowed are {error}", code=1) from None
            linked = _onward(work, [rule for rule, _ in asked])
        told = {"file": str(file), "format": origin, "user": mine.login, "dry_run": dry_run,
                "linked": linked}  # fmt: skip
        _tell(work, told, found, list(zip((rule for rule, _ in asked), done, strict=True)))
    if not asked:
        raise typer.Exit(1)


def _onto(
    work: Desk, named: "list[Wanted]", filters: "list[Filter]", *, by_name: bool
) -> "tuple[list[Wanted], Onto]":
    """The rules of folders, and what goes onto which record: as it was said, and with `by_name`
    what the names of other folders say."""
    from crmstore.imports.filters import Onto
    from crmstore.imports.named import records_named
    from crmstore.personal import same_folder, wanted

    meant = list(named)
    unclear: dict[str, tuple[str, str]] = {}
    others = [
        folder
        for folder in dict.fromkeys(folder for one in filters for folder in one.folders)
        if folder.upper() != "INBOX" and not any(same_folder(one.pattern, folder) for one in named)
    ]
    for folder, ids in (records_named(work.store, others) if by_name else {}).items():
        if len(ids) == 1:
            meant.append(wanted("folder", folder, ids[0]))
        elif ids:
            several = ", ".join(map(str, ids[:20]))
            unclear[folder] = ("several", f"{folder}: {several}")
        else:
            unclear[folder] = ("nobody", folder)
    records = [(one.pattern, one.record) for one in meant if one.record is not None]
    conditions = [rule for one in filters for rule in one.conditions] if records else []
    return meant, Onto(records, unclear, _keyless(work, conditions))


def _keyless(work: Desk, rules: "Iterable[Wanted]") -> dict[str, str]:
    """Of patterns that nobody can be put onto a record by: why."""
    from crmstore import capturerules

    patterns = {one.pattern for one in rules if one.field != "folder"}
    never = work.settings.capture.matches_never
    found = {one: "never" for one in patterns if "*" not in one and never(one) is not None}
    return found | dict.fromkeys(capturerules.keyless(work.store, patterns), "ours")


def _onward(work: Desk, rules: "Iterable[Wanted]") -> int:
    """Put the mail that there is onto records; how many links were made."""
    from crmstore import relink

    return relink.run(work.store) if any(one.record is not None for one in rules) else 0


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
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from None
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
        say = ("would" if dry else "added") if new else "known"
        put(_said(work, say, id_, rule))
    place = work.say(f"rules.place.{told['format']}")
    for one in refused:
        put(work.say("rules.refused", place=place, number=one.place, words=one.words))
        put("    " + work.say(f"rules.why.{one.why}", value=one.value))
    counts = {"filters": len(found), "taken": len(found) - len(refused), "refused": len(refused)}
    fresh = [rule for rule, (_, new) in done if new]
    put(work.say("rules.sum.dry" if dry else "rules.sum", **counts, new=len(fresh)))
    if told["linked"]:
        put(work.say("rules.linked", count=told["linked"]))


def _said(work: Desk, say: str, id_: int, rule: "Wanted") -> str:
    """A line about one rule."""
    values = {"id": id_, "field": work.say(f"rules.{rule.field}"), "pattern": rule.pattern}
    if rule.record is None:
        return work.say(f"rules.{say}", **values)
    return work.say(f"rules.{say}.record", **values, record=rule.record)


def _asked(field: str, patterns: list[str] | None, record: int | None = None) -> "list[Wanted]":
    from crmstore.personal import wanted

    found = []
    for pattern in patterns or ():
        try:
            found.append(wanted(field, pattern, record))
        except ValueError as error:
            raise Refusal(f"--{field} {pattern}: allowed is {error}") from None
    return found


def _folders(given: list[str] | None) -> "list[Wanted]":
    """NAME or NAME=ID. Of a slip behind "=" nothing may be left out: such a name is refused."""
    found: list[Wanted] = []
    for text in given or ():
        name, equals, id_ = text.rpartition("=")
        digits = id_.isascii() and id_.isdigit() and 0 < len(id_) <= 18
        if equals and not (name and digits and 0 < int(id_) <= MAX_ID):
            raise Refusal(
                f"--folder {text}: allowed is NAME, or NAME=ID with the number of a record"
                " (a folder with = in its name: `rules add`)"
            )
        found += _asked("folder", [name if equals else text], int(id_) if equals else None)
    out = {one.pattern for one in found if one.record is None}
    if both := next((one.pattern for one in found if one.record and one.pattern in out), None):
        raise Refusal(f"--folder {both}: allowed is to leave it out, or to put it onto a record")
    return found


def _document(work: Desk, rule: "Rule") -> dict[str, Any]:
    return asdict(rule) | {"created": work.when(rule.created)}


def _goes(work: Desk, rule: "Rule") -> str:
    """What becomes of such mail."""
    if rule.record is None:
        return work.say("rules.out")
    kind = work.say(f"record.kind.{rule.kind}")
    return work.say("rules.onto", kind=kind, record=rule.record, name=rule.name)


def _origin(work: Desk, rule: "Rule") -> str:
    told = work.say(f"rules.origin.{rule.origin}")
    return f"{told}: {rule.words}" if rule.words else told
