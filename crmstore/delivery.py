"""What became of a sent message, recipient by recipient, for timelines and `email show`.

Put together from what is known: the envelope and the next hop's verdict (the ledger's frames), our
queue's rows, and the evidence that came afterwards (outcomes.py); the last word counts.
Promises: of_message() tells of those recipients only whom its caller names, so of nobody that
another may not know or that [capture].never keeps out; a page's cost is three queries.
A keeper, read side. Cites: contract.md "status"; features.md D1, D6.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from crmstore import addresses, outcomes, schema, suppressions
from crmstore.bulk import among
from crmstore.times import moment

__all__ = ["of_message", "statuses", "theirs"]

_BASE = {"accepted": "delivered", "queued": "queued", "refused": "hard_bounce"}
_QUEUED = {
    "queued": "queued",
    "delivered": "delivered",
    "failed": "hard_bounce",
    "expired": "soft_bounce",
}
_END = {"hard": "hard_bounce", "soft": "soft_bounce", "delivered": "delivered"}
_WORST = ("hard_bounce", "soft_bounce", "queued", "sent", "delivered")


def statuses(connection: Connection, capture_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Capture -> recipient -> status, of mail that our users sent. Every recipient: what is shown
    of it is the caller's choice."""
    found: dict[str, dict[str, str]] = {}
    for row in _recipients(connection, capture_ids):
        found.setdefault(row["capture_id"], {})[row["address"]] = row["status"]
    return found


def theirs(
    found: Mapping[str, Mapping[str, str]], capture_ids: Iterable[str], recipients: Collection[str]
) -> dict[str, str]:
    """Capture -> what became of these recipients together: the worst. `found`: of statuses();
    of these captures those that went to none of them are left out."""
    told: dict[str, str] = {}
    for capture_id in capture_ids:
        each = found.get(capture_id, {})
        states = {status for address, status in each.items() if address in recipients}
        if states:
            told[capture_id] = min(states, key=_WORST.index)
    return told


def of_message(
    connection: Connection, shown: Mapping[str, Collection[str]]
) -> list[dict[str, Any]]:
    """A row for each recipient of each sending, in the envelope's order.

    `shown`: of each sending (its capture id) the recipients that may be told of.
    "status" is of the contract's; "words" are the last server's, "reports" ids of emails.
    """
    found = _recipients(connection, list(shown))
    rows = [row for row in found if row["address"] in shown[row["capture_id"]]]
    listed = suppressions.find(connection, [row["address"] for row in rows][:1_000])
    for row in rows:
        entry = listed.get(row["address"])
        row["suppressed"] = None if entry is None else moment(int(entry.since * 1e6))
    return rows


def _recipients(connection: Connection, capture_ids: Sequence[str]) -> list[dict[str, Any]]:
    captures = _captures(connection, capture_ids)
    evidence = outcomes.of_captures(connection, list(captures))
    queued = _queued(connection, list(captures))
    rows: list[dict[str, Any]] = []
    for capture_id, (header, verdict) in sorted(captures.items()):
        base = _verdicts(header, verdict)
        found = evidence.get(capture_id, {})
        for address in dict.fromkeys([*base, *found]):
            row = base.get(address, {"status": "sent", "words": ""})
            row = {**row, **queued.get((capture_id, address), {})}
            rows.append(_row(capture_id, address, row, found.get(address, ())))
    return rows


def _row(
    capture_id: str, address: str, base: Mapping[str, Any], found: Sequence[Row[Any]]
) -> dict[str, Any]:
    ends = [row for row in found if row.state in _END]
    last = ends[-1] if ends else None
    waits = base["status"] == "queued"
    told = found[-1] if found else None
    return {
        "address": address,
        "capture_id": capture_id,
        "status": _END[last.state] if last is not None and not waits else base["status"],
        "category": last.category if last is not None else base.get("category") or None,
        "code": (last.status if last is not None else "") or None,
        "words": (last.words if last is not None else base["words"]) or None,
        "source": last.source if last is not None else "live",
        "evidence": last.evidence if last is not None else None,
        "time": moment(last.at_us) if last is not None else None,
        "last_report": told.state if told is not None else None,
        "reports": [row.report_message for row in found if row.report_message is not None],
    }


def _verdicts(header: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    said = {
        addresses.key(str(r.get("address", ""))): r
        for r in verdict.get("recipients", ())
        if isinstance(r, dict)
    }
    rows: dict[str, dict[str, Any]] = {}
    for recipient in header.get("recipients", ()):
        address = addresses.key(str(recipient.get("address", "")))
        row = said.get(address, verdict)
        outcome = str(row.get("outcome", ""))
        rows[address] = {"status": _BASE.get(outcome, "sent"), "words": str(row.get("reply") or "")}
    rows.pop("", None)
    return rows


def _captures(
    connection: Connection, capture_ids: Sequence[str]
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """(header, verdict) of mail that went through a submission door."""
    captures, ledger = schema.captures.c, schema.ledger
    header, verdict = ledger.alias(), ledger.alias()
    found = connection.execute(
        select(captures.capture_id, header.c.header, verdict.c.header)
        .join(header, _frame(header) & (header.c.seq == captures.seq))
        .outerjoin(verdict, _frame(verdict) & (verdict.c.seq == captures.verdict_seq))
        .where(among(connection, captures.capture_id, capture_ids), captures.role == "submission")
    )
    return {
        ident: (json.loads(bytes(one)), json.loads(bytes(other)) if other is not None else {})
        for ident, one, other in found
    }


def _frame(ledger: Any) -> Any:
    captures = schema.captures.c
    return (ledger.c.door == captures.door) & (ledger.c.journal == captures.journal)


def _queued(
    connection: Connection, capture_ids: Sequence[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    messages, recipients = schema.queue_messages.c, schema.queue_recipients.c
    rows = connection.execute(
        select(messages.capture_id, recipients.address, recipients.state, recipients.reply)
        .add_columns(recipients.category)
        .join(schema.queue_recipients, recipients.queue_id == messages.id)
        .where(among(connection, messages.capture_id, capture_ids))
    )
    return {
        (row.capture_id, addresses.key(row.address)): {
            "status": _QUEUED[row.state],
            "words": row.reply,
            "category": row.category,
        }
        for row in rows
    }
