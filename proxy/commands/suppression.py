"""suppression: addresses that mail is refused to; and what `email` says became of a message."""

import getpass
from dataclasses import asdict
from typing import Annotated, Any

import typer

from proxy.commands.common import (
    Desk,
    Refusal,
    call,
    desk,
    no,
    put,
    put_json,
    put_lines,
    put_table,
    warn,
)
from proxy.texts import known, language, t

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An email address.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("remove")(remove)
    app.add_typer(group, name="suppression", help="Addresses that mail is refused to.")


def list_(
    ctx: typer.Context,
    address: Annotated[
        str | None, typer.Option(metavar="A", help="Only this one; exit 1 if it is not there.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000)] = 1000,
    after: Annotated[str, typer.Option(metavar="ADDRESS", help="Go on behind this one.")] = "",
) -> None:
    """The addresses and why; they are sorted."""
    from crmstore import suppressions

    with desk(ctx) as work:
        found = suppressions.listing(work.store, address=address, limit=limit + 1, after=after)
        lang = language(call(ctx).lang)
        if address is not None and not found:
            no(t("suppression.not_there", lang, address=address))
        if work.json:
            put_lines({**asdict(entry), "since": work.when(entry.since)} for entry in found[:limit])
        elif not found:
            put(t("suppression.empty", lang))
        else:
            rows = [
                (e.address, work.when(e.since), e.category, e.who or e.source, e.words)
                for e in found[:limit]
            ]
            put_table("", [t(f"suppression.{name}", lang) for name in _COLUMNS], rows)
        if len(found) > limit:
            warn(t("suppression.more", lang, address=found[limit - 1].address), lang)


_COLUMNS = ("address", "since", "category", "by", "words")


def add(
    ctx: typer.Context,
    address: Address,
    reason: Annotated[
        str, typer.Option(metavar="WORDS", help="What senders are told.")
    ] = "added by hand",
    unsubscribed: Annotated[
        bool, typer.Option("--unsubscribed", help="The recipient wants no more mail.")
    ] = False,
) -> None:
    """Refuse mail to an address from now on."""
    from crmstore import suppressions
    from crmstore.addresses import domain_of, key

    with desk(ctx) as work:
        if domain_of(key(address)) in work.settings.node.domains:
            raise Refusal(f"ADDRESS: {address}: mail to node.domains is never refused by this list")
        category = "unsubscribed" if unsubscribed else "manual"
        try:
            new = suppressions.add(
                work.store, address, words=reason, who=getpass.getuser(), category=category
            )
        except ValueError as error:
            raise Refusal(f"ADDRESS: {error}") from None
        _answer(ctx, work, address, "suppression.added" if new else "suppression.there", new)


def remove(ctx: typer.Context, address: Address) -> None:
    """Allow mail to an address again, and forget its soft bounces."""
    from crmstore import suppressions

    with desk(ctx) as work:
        there = suppressions.remove(work.store, address)
        if not there and not work.json:
            no(t("suppression.not_there", language(call(ctx).lang), address=address))
        _answer(ctx, work, address, "suppression.removed", there)
        if not there:
            raise typer.Exit(1)


def _answer(ctx: typer.Context, work: Desk, address: str, text: str, changed: bool) -> None:
    if work.json:
        put_json({"address": address, "changed": changed})
    else:
        put(t(text, language(call(ctx).lang), address=address))


# What `email show` and `email explain` say


def put_delivery(ctx: typer.Context, work: Desk, found: dict[str, Any]) -> None:
    """What became of a sent message, recipient by recipient."""
    lang = language(call(ctx).lang)
    for row in found["delivery"]:
        status = row["status"]
        words = t(f"status.{status}", lang)
        told = t(f"mail.status.{status}", lang)
        put(t("mail.delivery", lang, address=row["address"], status=told, words=words))
        bounced = status in ("soft_bounce", "hard_bounce")
        category = row["category"]
        if category and known(f"bounce.{category}") and (bounced or status == "queued"):
            put(f"    {t(f'bounce.{category}', lang)}")
        if row["words"]:
            put(f"    {t('bounce.server', lang)}: {row['words']}")
        if bounced and row["evidence"]:
            by = t(f"bounce.by.{row['evidence']}", lang)
            put(f"    {t('bounce.known', lang)}: {by}, {work.local(row['time'])}")
        if row["reports"]:
            put(f"    {t('bounce.report', lang, ids=', '.join(map(str, row['reports'])))}")
        if row["suppressed"]:
            since = work.local(row["suppressed"])
            put(f"    {t('bounce.refused', lang, since=since, address=row['address'])}")
