"""Many records at a time: looked up, added, changed and read for an import and an export.

A keeper of the same tables as records.py, by the same rules, for batches of thousands: a statement
or two for each step of a batch instead of several for each record. Every function works inside the
caller's transaction. Late linking is relink.late, as for one record; it is asked only for addresses
that have mail, found by one query a batch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, true, update

from crmstore import linker, relink, schema, seasons
from crmstore.brief import Brief
from crmstore.bulk import among, insert_rows, numbers, texts
from crmstore.kinds import WITH_CONTACT
from crmstore.store import Store, next_ids

__all__ = [
    "Fresh",
    "add_many",
    "gain",
    "ids_by_address",
    "is_empty",
    "load",
    "most_addresses",
    "names",
    "ours",
    "set_fields",
    "set_main_contact",
    "stream",
]

PAGE = 5_000
AT_ONCE = 100  # messages of an address that are linked at once; the rest goes in steps

Never = Callable[[str], object | None]

records = schema.records.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c
participants = schema.participants.c


class Fresh(NamedTuple):
    """A record to be added."""

    kind: str
    name: str
    state: str
    addresses: tuple[str, ...]
    contact: int = 0
    type: str = ""
    company: str = ""


# Looking up


def ids_by_address(connection: Connection, wanted: Iterable[str]) -> dict[str, list[int]]:
    """The records that have these addresses now, of every kind."""
    found: dict[str, list[int]] = {}
    for chunk in linker.several(wanted):
        for address, id_ in connection.execute(
            select(held.address, held.record_id)
            .where(among(connection, held.address, chunk), held.until_us.is_(None))
            .order_by(held.record_id)
        ):
            found.setdefault(address, []).append(id_)
    return found


def ours(connection: Connection) -> frozenset[str]:
    """The addresses of all users: thousands at most, and quicker than asking about a batch."""
    return frozenset(connection.execute(select(schema.user_addresses.c.address)).scalars())


def is_empty(store: Store) -> bool:
    """Is there no record at all?"""
    with store.reading() as connection:
        return connection.execute(select(records.id).limit(1)).first() is None


def load(connection: Connection, ids: Iterable[int]) -> dict[int, Brief]:
    """Records by id."""
    found: dict[int, Brief] = {}
    for chunk in linker.several(sorted(set(ids))):
        mine: dict[int, list[str]] = {}
        for id_, address in connection.execute(
            select(held.record_id, held.address)
            .where(among(connection, held.record_id, chunk), held.until_us.is_(None))
            .order_by(held.record_id, held.position, held.id)
        ):
            mine.setdefault(id_, []).append(address)
        main = {
            row.deal_id: row.record_id
            for row in connection.execute(
                select(deal_contacts.deal_id, deal_contacts.record_id).where(
                    among(connection, deal_contacts.deal_id, chunk), deal_contacts.main == 1
                )
            )
        }
        for row in connection.execute(
            select(schema.records).where(among(connection, records.id, chunk))
        ):
            addresses, contact = tuple(mine.get(row.id, ())), main.get(row.id)
            words = (row.type, row.company, row.created_us)
            found[row.id] = Brief(row.id, row.kind, row.name, row.state, addresses, contact, *words)
    return found


def names(connection: Connection, kind: str, after: int) -> Iterator[tuple[int, str]]:
    """(id, name) of the records of a kind with a greater id, by id."""
    while True:
        page = connection.execute(
            select(records.id, records.name)
            .where(records.kind == kind, records.id > after)
            .order_by(records.id)
            .limit(PAGE)
        ).all()
        yield from ((row.id, row.name) for row in page)
        if len(page) < PAGE:
            return
        after = page[-1].id


# Writing


def add_many(
    connection: Connection, fresh: Sequence[Fresh], now: int, never: Never | None
) -> tuple[Sequence[int], int]:
    """New records; returns their ids, and how many links to earlier mail were made."""
    if not fresh:
        return (), 0
    ids = next_ids(connection, "records", len(fresh))
    insert_rows(
        connection,
        schema.records,
        ("id", "kind", "type", "name", "company", "state", "created_us"),
        [
            (id_, new.kind, new.type, new.name, new.company, new.state, now)
            for id_, new in zip(ids, fresh, strict=True)
        ],
    )
    insert_rows(
        connection,
        schema.record_addresses,
        ("record_id", "address", "position", "from_us"),
        [
            (id_, address, position, now)
            for id_, new in zip(ids, fresh, strict=True)
            for position, address in enumerate(new.addresses)
        ],
    )
    deals = {id_: new for id_, new in zip(ids, fresh, strict=True) if new.contact}
    insert_rows(
        connection,
        schema.deal_contacts,
        ("deal_id", "record_id", "main"),
        [(id_, new.contact, 1) for id_, new in deals.items()],
    )
    linked = _late_for_new(connection, ids, never)
    contacts = load(connection, {new.contact for new in deals.values()})
    open_deals = {id_: new.contact for id_, new in deals.items() if new.state == "open"}
    mailed = _with_mail(connection, {a for one in contacts.values() for a in one.addresses})
    for id_, contact in open_deals.items():
        keying = _keying(contacts[contact].addresses, mailed, never)
        linked += relink.late(connection, id_, keying, contact, at_once=AT_ONCE)
    return ids, linked


def _late_for_new(connection: Connection, ids: range, never: Never | None) -> int:
    """Late linking of records that were just added: only those whose address has mail."""
    rows = connection.execute(
        select(held.record_id, held.address)
        .where(held.record_id.between(ids[0], ids[-1]), held.until_us.is_(None))
        .order_by(held.record_id, held.position)
    ).all()
    mailed = _with_mail(connection, {address for _, address in rows})
    linked = 0
    for id_, address in rows:
        if address in mailed and (never is None or never(address) is None):
            linked += relink.late(connection, id_, [address], at_once=AT_ONCE)
    return linked


def gain(
    connection: Connection, more: Mapping[int, Sequence[str]], now: int, never: Never | None
) -> int:
    """More addresses for records that exist; returns the number of links to earlier mail."""
    linked = 0
    for chunk in linker.several(more):
        counts = {
            row.record_id: row.held
            for row in connection.execute(
                select(held.record_id, func.count().label("held"))
                .where(among(connection, held.record_id, chunk))
                .group_by(held.record_id)
            )
        }
        insert_rows(
            connection,
            schema.record_addresses,
            ("record_id", "address", "position", "from_us"),
            [
                (id_, address, counts.get(id_, 0) + n, now)
                for id_ in chunk
                for n, address in enumerate(more[id_])
            ],
        )
        mailed = _with_mail(connection, {a for id_ in chunk for a in more[id_]})
        deals = _open_deals(connection, chunk)
        for id_ in chunk:
            keying = _keying(more[id_], mailed, never)
            linked += relink.late(connection, id_, keying, at_once=AT_ONCE)
            for deal in deals.get(id_, ()):
                linked += relink.late(connection, deal, keying, id_, at_once=AT_ONCE)
            relink.settle_again(connection, id_, more[id_])
    return linked


def set_fields(
    connection: Connection,
    renamed: Mapping[int, str],
    companies: Mapping[int, str],
    states: Mapping[int, str],
    never: Never | None,
) -> int:
    """Names, companies and states of records; a deal that opens again gets its contact's mail."""
    for column, words in ((records.name, renamed), (records.company, companies)):
        if words:
            connection.execute(
                update(schema.records)
                .where(records.id == bindparam("record"))
                .values({column: bindparam("new")}),
                [{"record": id_, "new": word} for id_, word in words.items()],
            )
    if not states:
        return 0
    connection.execute(
        update(schema.records)
        .where(records.id == bindparam("record"))
        .values(state=bindparam("new")),
        [{"record": id_, "new": state} for id_, state in states.items()],
    )
    opened = load(connection, [id_ for id_, state in states.items() if state == "open"])
    return sum(
        _link_deal(connection, id_, one.contact, never)
        for id_, one in opened.items()
        if one.contact is not None
    )


def set_main_contact(connection: Connection, deal: int, contact: int, never: Never | None) -> int:
    """Another main contact; links that exist stay, as when an address leaves a record."""
    connection.execute(
        update(schema.deal_contacts)
        .where(deal_contacts.deal_id == deal, deal_contacts.main == 1)
        .values(main=0)
    )
    again = connection.execute(
        update(schema.deal_contacts)
        .where(deal_contacts.deal_id == deal, deal_contacts.record_id == contact)
        .values(main=1)
    )
    if not again.rowcount:
        connection.execute(
            insert(schema.deal_contacts).values(deal_id=deal, record_id=contact, main=1)
        )
    state = connection.execute(select(records.state).where(records.id == deal)).scalar_one()
    return _link_deal(connection, deal, contact, never) if state == "open" else 0


def _link_deal(connection: Connection, deal: int, contact: int, never: Never | None) -> int:
    mine = load(connection, [contact])[contact].addresses
    return relink.late(connection, deal, _keying(mine, mine, never), contact=contact)


def _keying(wanted: Iterable[str], mailed: Iterable[str], never: Never | None) -> list[str]:
    return [a for a in wanted if a in mailed and (never is None or never(a) is None)]


def _with_mail(connection: Connection, wanted: Iterable[str]) -> set[str]:
    """Those of these addresses that took part in any mail: a look into each season for each."""
    found: set[str] = set()
    every = seasons.seasons(connection)
    if not every:
        return found
    for chunk in linker.several(sorted(wanted)):
        address, season = texts(connection, chunk), numbers(connection, every)
        # A limit makes it a look for each pair: nobody reads the mail of an address for it.
        one = select(participants.id).where(
            schema.season(participants.when_us) == season, participants.address == address
        )
        has_mail = one.limit(1).correlate(address.table, season.table).scalar_subquery()
        pairs = select(address).select_from(season.table.join(address.table, true()))
        mailed = pairs.where(has_mail.is_not(None)).distinct()
        found.update(connection.execute(mailed).scalars())
    return found


def _open_deals(connection: Connection, contacts: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for contact, deal in connection.execute(
        select(deal_contacts.record_id, deal_contacts.deal_id)
        .join(schema.records, records.id == deal_contacts.deal_id)
        .where(
            among(connection, deal_contacts.record_id, contacts),
            deal_contacts.main == 1,
            records.state == "open",
        )
    ):
        found.setdefault(contact, []).append(deal)
    return found


# Reading all


def most_addresses(store: Store, kind: str | None) -> int:
    """How many addresses the record with the most of them has."""
    counted = (
        select(func.count().label("n"))
        .select_from(schema.record_addresses)
        .where(held.until_us.is_(None))
        .group_by(held.record_id)
    )
    if kind is not None:
        counted = counted.join(schema.records, records.id == held.record_id).where(
            records.kind == kind
        )
    with store.reading() as connection:
        found = connection.execute(select(func.max(counted.subquery().c.n))).scalar()
    return int(found or 0)


def stream(store: Store, kind: str | None, type: str = "") -> Iterator[tuple[Brief, Brief | None]]:
    """Every record, by id, people first; with its main contact.

    A transaction for each page: writing never waits for an export.
    """
    for deals in (False, True):
        after = 0
        while True:
            with store.reading() as connection:
                wanted = select(records.id).where(
                    records.id > after,
                    records.kind.in_(WITH_CONTACT) == deals,
                )
                if kind is not None:
                    wanted = wanted.where(records.kind == kind)
                if type:
                    wanted = wanted.where(records.type == type)
                ids = connection.execute(wanted.order_by(records.id).limit(PAGE)).scalars().all()
                page = load(connection, ids)
                contacts = load(connection, {one.contact for one in page.values() if one.contact})
            for id_ in ids:
                one = page[id_]
                yield one, contacts.get(one.contact or 0)
            if len(ids) < PAGE:
                break
            after = ids[-1]
