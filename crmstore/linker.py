"""Messages to records: by the addresses of outsiders, with the evidence for each link.

An address on several records links to all of them (beyond.md 18). A contact that is the main
contact of open deals (quotes, orders...) brings those (features.md A8). Only addresses that a
record has now link new mail. What came before, what is hidden and what comes back: relink.py.
A keeper of the table `links`; every function works inside the caller's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from crmstore import schema
from crmstore.bulk import among
from crmstore.whose import Participant

__all__ = ["LINK_COLUMNS", "Links", "find", "link_rows", "several", "via"]

CHUNK = 5_000  # values of one IN: far below SQLite's 32,766 and PostgreSQL's 65,535 parameters

record_addresses = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c
records = schema.records.c


class Links(NamedTuple):
    """The records of a batch's addresses: address -> record ids, contact -> its open deals."""

    records: Mapping[str, Sequence[int]]
    deals: Mapping[int, Sequence[int]]


def several(values: Iterable[Any]) -> Iterable[list[Any]]:
    """Values in lists short enough for one IN."""
    all_of_them = list(values)
    for start in range(0, len(all_of_them), CHUNK):
        yield all_of_them[start : start + CHUNK]


def find(connection: Connection, addresses: Iterable[str]) -> Links:
    """Whom these addresses key now: one query a batch, and one or two more for deals."""
    by_address: dict[str, list[int]] = {}
    found: set[int] = set()
    for chunk in several(addresses):
        rows = connection.execute(
            select(record_addresses.address, record_addresses.record_id)
            .where(
                among(connection, record_addresses.address, chunk),
                record_addresses.until_us.is_(None),
            )
            .order_by(record_addresses.record_id)
        )
        for address, record in rows:
            by_address.setdefault(address, []).append(record)
            found.add(record)
    mains: list[tuple[int, int]] = []
    for chunk in several(sorted(found)):
        mains += connection.execute(
            select(deal_contacts.deal_id, deal_contacts.record_id).where(
                among(connection, deal_contacts.record_id, chunk), deal_contacts.main == 1
            )
        ).all()
    is_open: set[int] = set()
    # Apart, not as a join: of a table that is empty or new PostgreSQL knows nothing, and then asks
    # the index of the one for all of the values once for each row of the other.
    for chunk in several(sorted({deal for deal, _ in mains})):
        wanted = select(records.id).where(
            among(connection, records.id, chunk), records.state == "open"
        )
        is_open.update(connection.execute(wanted).scalars())
    deals: dict[int, list[int]] = {}
    for deal, contact in sorted(mains):
        if deal in is_open:
            deals.setdefault(contact, []).append(deal)
    return Links(by_address, deals)


LINK_COLUMNS = (
    "message_id", "record_id", "role", "address", "evidence", "capture_id", "when_us",
)  # fmt: skip


def link_rows(
    links: Links, message_id: int, when_us: int, capture_id: str, outsiders: Iterable[Participant]
) -> list[tuple[Any, ...]]:
    """The rows of one message (LINK_COLUMNS): an outsider's records, and the deals behind them."""
    rows: dict[tuple[int, str, str], tuple[Any, ...]] = {}
    for role, address, _, evidence, only in outsiders:
        capture = capture_id if only else None
        for record in links.records.get(address, ()):
            reasons = [(record, evidence)]
            reasons += [(deal, via(record, evidence)) for deal in links.deals.get(record, ())]
            for linked, reason in reasons:
                row = (message_id, linked, role, address, reason, capture, when_us)
                rows.setdefault((linked, role, address), row)
    return list(rows.values())


def via(contact: int, evidence: str) -> str:
    """The evidence of a deal's link."""
    return f"main contact {contact}: {evidence}"
