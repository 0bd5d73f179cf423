"""Records as they are read: one with its history, or a page of them.

A keeper, read side, of the tables that records.py writes. Hidden mail (relink.py) is not counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, select

from crmstore import relink, schema, seasons
from crmstore.kinds import type_of
from crmstore.store import Store

__all__ = ["NoSuchRecord", "Record", "RecordAddress", "listing", "load", "one", "show"]

records = schema.records.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c


class NoSuchRecord(LookupError):
    """There is no record of this id."""


@dataclass(frozen=True, slots=True)
class RecordAddress:
    """An address and when it was valid; `until` None = now. `mail_since`: mail before that is not
    the record's (None: all earlier mail is). `ours`: it is one of our own, and keys nothing."""

    address: str
    since: float
    until: float | None
    mail_since: float | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A record. `warnings` and `linked` (how many links were made) come with a change."""

    id: int
    kind: str
    name: str
    state: str
    addresses: tuple[str, ...]
    created: float
    type: str = ""  # of a general one: quote, invoice...
    company: str = ""
    main_contact: int | None = None
    deals: tuple[int, ...] = ()  # whose main contact it is; general ones too
    history: tuple[RecordAddress, ...] = ()
    emails: int = 0
    last_email: float | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)
    linked: int = field(default=0, compare=False)


def show(store: Store, id_: int) -> Record:
    """One record with its history and how much mail it has."""
    with store.reading() as connection:
        return one(connection, id_)


def listing(
    store: Store, *, kind: str | None = None, type: str = "", limit: int = 100, after: int = 0
) -> list[Record]:
    """Records by id; pages by the last id."""
    with store.reading() as connection:
        wanted = select(records.id).where(records.id > after).order_by(records.id).limit(limit)
        if kind is not None:
            wanted = wanted.where(records.kind == kind)
        if type:
            wanted = wanted.where(records.type == type_of(type))
        return load(connection, connection.execute(wanted).scalars().all())


def one(connection: Connection, id_: int) -> Record:
    """One record; NoSuchRecord."""
    found = load(connection, [id_])
    if not found:
        raise NoSuchRecord(f"no record {id_}")
    return found[0]


def load(
    connection: Connection,
    ids: Sequence[int],
    warnings: tuple[str, ...] = (),
    linked: int = 0,
) -> list[Record]:
    """Records by id; `warnings` and `linked` are what a change has to tell."""
    history: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(
        select(schema.record_addresses)
        .where(held.record_id.in_(ids))
        .order_by(held.record_id, held.position)
    ):
        history.setdefault(row.record_id, []).append(row)
    mine = relink.ours(connection, {r.address for rows in history.values() for r in rows})
    main: dict[int, int] = {}
    deals: dict[int, list[int]] = {}
    for row in connection.execute(
        select(schema.deal_contacts).where(
            deal_contacts.main == 1,
            deal_contacts.deal_id.in_(ids) | deal_contacts.record_id.in_(ids),
        )
    ):
        main[row.deal_id] = row.record_id
        deals.setdefault(row.record_id, []).append(row.deal_id)
    links = schema.links.c
    mail = {
        row.record_id: row
        for row in connection.execute(
            select(
                links.record_id,
                func.count(links.message_id.distinct()).label("emails"),
                func.max(links.when_us).label("last"),
            )
            .where(
                seasons.within(connection, links.when_us, seasons.seasons(connection)),
                links.record_id.in_(ids),
                links.hidden == 0,
            )
            .group_by(links.record_id)
        )
    }
    rows = connection.execute(
        select(schema.records).where(records.id.in_(ids)).order_by(records.id)
    )
    return [
        Record(
            id=row.id,
            kind=row.kind,
            name=row.name,
            state=row.state,
            addresses=tuple(a.address for a in history.get(row.id, ()) if a.until_us is None),
            created=row.created_us / 1e6,
            main_contact=main.get(row.id),
            deals=tuple(sorted(deals.get(row.id, ()))),
            type=row.type,
            company=row.company,
            history=tuple(_address(a, mine) for a in history.get(row.id, ())),
            emails=mail[row.id].emails if row.id in mail else 0,
            last_email=mail[row.id].last / 1e6 if row.id in mail else None,
            warnings=warnings,
            linked=linked,
        )
        for row in rows
    ]


def _address(row: Row[Any], mine: Collection[str]) -> RecordAddress:
    return RecordAddress(
        row.address,
        row.from_us / 1e6,
        None if row.until_us is None else row.until_us / 1e6,
        row.mail_from_us / 1e6 if row.mail_from_us else None,
        row.address in mine,
    )
