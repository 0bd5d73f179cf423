"""audit: accepted = captured + excluded (by reason) + failed, or the evidence of what is not."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from proxy.commands.common import Desk, Refusal, desk, put, put_json

if TYPE_CHECKING:
    from proxy.audit import AuditReport


def add_to(app: typer.Typer) -> None:
    app.command("audit")(audit)


def audit(
    ctx: typer.Context,
    since: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Count from this time on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="T", help="Count up to this time.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every stored message and compare its digest.")
    ] = False,
) -> None:
    """Prove that nothing is missing; exit 1 on any gap."""
    from crmstore.archive import open_archive
    from proxy.audit import reconcile

    with desk(ctx) as work:
        report = reconcile(
            work.store,
            open_archive(work.settings),
            work.settings.journal_dir,
            since=_moment(work, "--from", since),
            until=_moment(work, "--to", until),
            deep=deep,
        )
    if work.json:
        put_json(document(report))
    else:
        _show(work, report)
    if not report.ok:
        raise typer.Exit(1)


def _moment(work: Desk, option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(
            f'{option} {text}: allowed is a time like "2026-11-22" or "2026-11-22T09:00+09:00"'
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(work.settings.node.timezone))
    return moment.timestamp()


def document(report: "AuditReport") -> dict[str, Any]:
    """The report as JSON has it."""
    return {
        "ok": report.ok,
        **asdict(report),
        "gaps": [gap._asdict() for gap in report.gaps],
    }


def _show(work: Desk, report: "AuditReport") -> None:
    sums = {name: getattr(report, name) for name in ("accepted", "captured", "failed")}
    put(work.say("audit.sum", **sums, excluded=sum(report.excluded.values())))
    for kind, count in sorted(report.partial.items()):
        put(work.say("audit.partial", kind=kind, count=count))
    for reason, count in sorted(report.excluded.items()):
        put(work.say("audit.excluded", reason=reason, count=count))
    put(work.say("audit.others", refused=report.refused, pending=report.pending))
    put(work.say("audit.chain" if report.chain_ok else "audit.broken", count=report.frames))
    for gap in report.gaps:
        place = f"{gap.door} {gap.seq}" if gap.seq else gap.door
        put(work.say("audit.gap", place=place, id=gap.capture_id, what=gap.what))
    if report.gap_count > len(report.gaps):
        put(work.say("audit.more", count=report.gap_count - len(report.gaps)))
    put(work.say("audit.ok" if report.ok else "audit.gaps", count=report.gap_count))
