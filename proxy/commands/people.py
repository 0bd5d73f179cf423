"""user: our own people, their addresses, whether their mail is taken into the CRM."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.commands.common import (
    Desk,
    Refusal,
    desk,
    put,
    put_json,
    put_lines,
    put_pairs,
    put_table,
    size,
    typed_addresses,
    warn,
)
from proxy.evidence import told

if TYPE_CHECKING:
    from crmstore.mailboxes import Coverage, Mailbox
    from crmstore.users import User

Who = Annotated[str, typer.Argument(metavar="USER", help="The login, or one of the addresses.")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="What to call this person.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    for name, command in (
        ("add", add),
        ("list", list_),
        ("show", show),
        ("set", set_),
        ("disable", disable),
        ("enable", enable),
    ):
        group.command(name)(command)
    app.add_typer(group, name="user", help="Our own people and their addresses.")


def add(
    ctx: typer.Context,
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="As it is given to AUTH.")],
    name: Name = None,
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="A", help="An address; may be repeated. Default: the login."),
    ] = None,
) -> None:
    """Add a user."""
    from crmstore import users

    emails = typed_addresses(ctx, "--address", address or [])
    with desk(ctx) as work, _arguments("LOGIN"):
        work.agree()
        _answer(work, users.add(work.store, login, name=name or "", emails=emails), "added")


def list_(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000)] = 1000,
    after: Annotated[str, typer.Option(metavar="LOGIN", help="Go on behind this one.")] = "",
) -> None:
    """List users."""
    from crmstore import mailboxes, users

    with desk(ctx) as work:
        found = users.listing(work.store, limit=limit, after=after)
        covered = mailboxes.by_login(work.store, [a for u in found for a in _logins(u)])
        boxes = {u.login: [covered[a] for a in _logins(u) if a in covered] for u in found}
        if work.json:
            put_lines(_document(work, u) | {"coverage": _sum(boxes[u.login])} for u in found)
        else:
            put_table(
                "",
                [work.say(f"user.{c}") for c in ("login", "name", "addresses", "mail", "known")],
                [
                    (
                        u.login,
                        u.name,
                        ", ".join(u.addresses),
                        _state(work, u),
                        _of(work, boxes[u.login]),
                    )
                    for u in found
                ],
            )


def show(ctx: typer.Context, user: Who) -> None:
    """Show a user, and how much of their mailboxes is known."""
    from crmstore import mailboxes, usage, users

    with desk(ctx) as work:
        found = users.get(work.store, user)
        boxes = mailboxes.of_logins(work.store, _logins(found))
        octets = usage.of_user(work.store, found.login)
        if work.json:
            document = _document(work, found) | {"mail_bytes": octets}
            put_json(document | {"mailboxes": [_mailbox(work, b) for b in boxes]})
            return
        _answer(work, found, "", size(octets))
        rows = [
            (
                b.mailbox,
                b.special,
                b.known_count,
                _present(b),
                b.skipped,
                work.when(b.changed_us / 1e6),
            )
            for b in boxes
        ]
        if rows:
            put()
            names = ("name", "kind", "known", "of", "large", "changed")
            put_table("", [work.say(f"user.box.{name}") for name in names], rows)


def set_(
    ctx: typer.Context,
    user: Who,
    name: Name = None,
    add_address: Annotated[
        list[str] | None, typer.Option(metavar="A", help="One more address; may be repeated.")
    ] = None,
    remove_address: Annotated[
        list[str] | None, typer.Option(metavar="A", help="No longer theirs; may be repeated.")
    ] = None,
) -> None:
    """Change name or addresses."""
    from crmstore import users

    if name is None and not add_address and not remove_address:
        raise Refusal(
            "user set: allowed are --name, --add-address and --remove-address, one needed"
        )
    more = typed_addresses(ctx, "--add-address", add_address or [])
    with desk(ctx) as work, _arguments("--remove-address"):
        work.agree()
        changed = users.change(
            work.store, user, name=name, add_emails=more, remove_emails=remove_address or []
        )
        _answer(work, changed, "changed")


def disable(
    ctx: typer.Context,
    user: Who,
    drop_rules: Annotated[
        bool,
        typer.Option(
            "--drop-rules/--keep-rules", help="Their own rules (see `rules`). Default: kept."
        ),
    ] = False,
) -> None:
    """Take no more of this user's mail into the CRM; the mail itself goes on."""
    _enabled(ctx, user, False, drop_rules=drop_rules)


def enable(ctx: typer.Context, user: Who) -> None:
    """Take this user's mail again, from now on."""
    _enabled(ctx, user, True)


def _enabled(ctx: typer.Context, user: str, enabled: bool, *, drop_rules: bool = False) -> None:
    from crmstore import capturerules, users

    with desk(ctx) as work:
        rules = len(capturerules.there(work.store, user))
        changed = users.set_enabled(work.store, user, enabled, drop_rules=drop_rules)
        told = {"rules": 0 if drop_rules else rules, "rules_dropped": rules if drop_rules else 0}
        _answer(work, changed, "enabled" if enabled else "disabled", more=told)
        if rules and not work.json:
            put(work.say("user.rules.dropped" if drop_rules else "user.rules.kept", count=rules))


@contextmanager
def _arguments(name: str) -> Iterator[None]:
    """What the store finds wrong with an argument, by the argument's name."""
    from crmstore.users import Conflict

    try:
        yield
    except Conflict as error:
        raise Refusal(str(error), code=1) from None
    except ValueError as error:
        raise Refusal(f"{name}: {error}") from None


def _answer(
    work: Desk, user: "User", done: str, octets: str = "", more: dict[str, int] | None = None
) -> None:
    for warning in user.warnings:
        warn(told(warning, work.lang), work.lang)
    if work.json:
        put_json(_document(work, user) | (more or {}))
        return
    if done:
        put(work.say(f"user.{done}", id=user.id))
    since = work.when(user.created)
    pairs = {
        "login": user.login,
        "name": user.name,
        "addresses": ", ".join(user.addresses),
        "formerly": ", ".join(user.formerly),
        "mail": ", ".join(filter(None, (_state(work, user), octets))),
        "since": work.say("user.first_login", time=since) if user.enrolled else since,
    }
    put_pairs({work.say(f"user.{name}"): value for name, value in pairs.items()})


def _state(work: Desk, user: "User") -> str:
    capture = work.settings.capture
    if not user.enabled:
        return work.say("user.state.disabled")
    if user.addresses and all(map(capture.matches_never, user.addresses)):
        return work.say("user.state.never")
    return work.say("user.state.observed" if capture.mode == "observe" else "user.state.captured")


def _document(work: Desk, user: "User") -> dict[str, Any]:
    enrolled = None if user.enrolled is None else work.when(user.enrolled)
    return asdict(user) | {"created": work.when(user.created), "enrolled": enrolled}


def _logins(user: "User") -> list[str]:
    return list(dict.fromkeys([user.login, *user.addresses]))


def _sum(found: "list[Coverage]") -> dict[str, int] | None:
    """INBOX and Sent together; None where nobody has looked."""
    if not found:
        return None
    return {
        name: sum(getattr(one, name) for one in found) for name in ("known", "present", "skipped")
    }


def _of(work: Desk, found: "list[Coverage]") -> str:
    whole = _sum(found)
    return work.say("user.of", **whole) if whole else ""


def _present(box: "Mailbox") -> str:
    return "" if box.present is None else str(len(box.present))


def _mailbox(work: Desk, box: "Mailbox") -> dict[str, Any]:
    return {
        "login": box.login,
        "name": box.mailbox,
        "special": box.special or None,
        "known": box.known_count,
        "present": None if box.present is None else len(box.present),
        "skipped": box.skipped,
        "changed": work.when(box.changed_us / 1e6),
    }
