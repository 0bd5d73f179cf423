"""Leads, contacts and deals: whom our people write with, and by which addresses.

A keeper. Promises: what a record gains links the mail that came before, in the same transaction;
an address that leaves keeps its history (valid from, until) and its links; addresses of ours are
refused, they never key a record. An address may be on several records: all of them get the mail,
and of the same kind that is worth a warning. A deal has a main contact, whose mail it shows while
it is open. Kinds are words, so that more of them may come.
Cites: features.md A7 to A11, A29; beyond.md 17, 18; contract.md `mailweir record`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, update

from crmstore import addresses, linker, schema
from crmstore.bulk import insert_rows
from crmstore.charsets import clean
from crmstore.store import Store, micros, next_ids

__all__ = ["KINDS", "NoSuchRecord", "Record", "RecordAddress", "add", "change", "listing", "show"]

KINDS = ("lead", "contact", "deal")
MAX_ADDRESSES = 200


class NoSuchRecord(LookupError):
    """There is no record of this id."""


@dataclass(frozen=True, slots=True)
class RecordAddress:
    """An address and when it was valid; `until` None = now."""

    address: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """A record. `warnings` and `linked` (how many links were made) come with a change."""

    id: int
    kind: str
    name: str
    state: str
    addresses: tuple[str, ...]
    created: float
    main_contact: int | None = None
    deals: tuple[int, ...] = ()  # whose main contact it is
    history: tuple[RecordAddress, ...] = ()
    emails: int = 0
    last_email: float | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)
    linked: int = field(default=0, compare=False)


def add(
    store: Store,
    kind: str,
    name: str,
    *,
    emails: Sequence[str] = (),
    main_contact: int | None = None,
    state: str = "open",
    domains: Iterable[str] = (),
    never: Callable[[str], object | None] | None = None,
) -> Record:
    """A new record. `domains` are ours; `never` is [capture].never: such addresses stay unlinked.

    ValueError for what cannot be (in one line for people), NoSuchRecord for the main contact.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: allowed are {', '.join(KINDS)}")
    _state(state)
    shown = clean(name).strip()[:500]
    if not shown:
        raise ValueError("a record needs a name")
    wanted = _keys(emails)
    if (kind == "deal") != (main_contact is not None):
        raise ValueError("a deal needs a main contact, other records have none")
    with store.writing() as connection:
        _refuse_ours(connection, wanted, domains)
        if main_contact is not None:
            _main_contact(connection, main_contact)
        id_ = next_ids(connection, "records", 1)[0]
        now = micros()
        connection.execute(
            insert(schema.records).values(
                id=id_, kind=kind, name=shown, state=state, created_us=now
            )
        )
        if main_contact is not None:
            connection.execute(
                insert(schema.deal_contacts).values(deal_id=id_, record_id=main_contact, main=1)
            )
        warnings, linked = _gain(connection, id_, kind, wanted, now, never)
        if main_contact is not None and state == "open":
            linked += _link_deal(connection, id_, main_contact, never)
        return _load(connection, [id_], warnings, linked)[0]


def change(
    store: Store,
    id_: int,
    *,
    name: str | None = None,
    state: str | None = None,
    add_emails: Sequence[str] = (),
    remove_emails: Sequence[str] = (),
    domains: Iterable[str] = (),
    never: Callable[[str], object | None] | None = None,
) -> Record:
    """Another name or state, more addresses, fewer addresses (these keep their history)."""
    wanted, gone = _keys(add_emails), _keys(remove_emails)
    with store.writing() as connection:
        record = _one(connection, id_)
        now = micros()
        values: dict[str, str] = {}
        if name is not None and clean(name).strip():
            values["name"] = clean(name).strip()[:500]
        if state is not None:
            values["state"] = _state(state)
        if values:
            connection.execute(update(schema.records).where(records.id == id_).values(**values))
        if missing := set(gone) - set(record.addresses):
            raise ValueError(f"record {id_} has no address {', '.join(sorted(missing))}")
        if gone:
            connection.execute(
                update(schema.record_addresses)
                .where(held.record_id == id_, held.address.in_(gone), held.until_us.is_(None))
                .values(until_us=now)
            )
        fresh = [a for a in wanted if a not in record.addresses or a in gone]
        _refuse_ours(connection, fresh, domains)
        warnings, linked = _gain(connection, id_, record.kind, fresh, now, never)
        if state == "open" and record.state != "open" and record.main_contact is not None:
            linked += _link_deal(connection, id_, record.main_contact, never)
        return _load(connection, [id_], warnings, linked)[0]


def show(store: Store, id_: int) -> Record:
    """One record with its history and how much mail it has."""
    with store.reading() as connection:
        return _one(connection, id_)


def listing(
    store: Store, *, kind: str | None = None, limit: int = 100, after: int = 0
) -> list[Record]:
    """Records by id; pages by the last id."""
    with store.reading() as connection:
        wanted = select(records.id).where(records.id > after).order_by(records.id).limit(limit)
        if kind is not None:
            wanted = wanted.where(records.kind == kind)
        return _load(connection, connection.execute(wanted).scalars().all())


records = schema.records.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c


def _state(state: str) -> str:
    if state not in ("open", "closed"):
        raise ValueError(f"state {state!r}: allowed are open, closed")
    return state


def _keys(emails: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for email in emails:
        address = addresses.key(email)
        if not address:
            raise ValueError(f"{email[:100]!r} is no address")
        found[address] = None
    if len(found) > MAX_ADDRESSES:
        raise ValueError(f"at most {MAX_ADDRESSES} addresses")
    return list(found)


def _refuse_ours(connection: Connection, wanted: Sequence[str], domains: Iterable[str]) -> None:
    ours = {domain.lower() for domain in domains}
    column = schema.user_addresses.c.address
    taken = set(connection.execute(select(column).where(column.in_(wanted))).scalars())
    for address in wanted:
        if address in taken or addresses.domain_of(address) in ours:
            raise ValueError(f"{address} is ours (a user, or node.domains) and keys no record")


def _main_contact(connection: Connection, id_: int) -> None:
    kind = connection.execute(select(records.kind).where(records.id == id_)).scalar()
    if kind is None:
        raise NoSuchRecord(f"no record {id_}")
    if kind == "deal":
        raise ValueError(f"record {id_} is a deal: the main contact of a deal is a person")


def _gain(
    connection: Connection,
    id_: int,
    kind: str,
    wanted: Sequence[str],
    now: int,
    never: Callable[[str], object | None] | None,
) -> tuple[tuple[str, ...], int]:
    """New addresses: warn of twins, link the mail that came before, also on the record's deals."""
    if not wanted:
        return (), 0
    twins = connection.execute(
        select(held.address, held.record_id, records.name)
        .join(schema.records, records.id == held.record_id)
        .where(
            held.address.in_(wanted),
            held.until_us.is_(None),
            held.record_id != id_,
            records.kind == kind,
        )
        .order_by(held.record_id)
        .limit(20)
    )
    warnings = [
        f"{address} is also on {kind} {other} ({name}): both get its mail"
        for address, other, name in twins
    ]
    start = connection.execute(
        select(func.count()).select_from(schema.record_addresses).where(held.record_id == id_)
    ).scalar_one()
    insert_rows(
        connection,
        schema.record_addresses,
        ("record_id", "address", "position", "from_us"),
        [(id_, address, start + n, now) for n, address in enumerate(wanted)],
    )
    keying, unlinked = _keying(wanted, never)
    warnings += [f"{a} matches capture.never: its mail is not linked" for a in unlinked]
    linked = linker.late(connection, id_, keying)
    for deal in _open_deals(connection, id_):
        linked += linker.late(connection, deal, keying, contact=id_)
    return tuple(warnings), linked


def _keying(
    wanted: Sequence[str], never: Callable[[str], object | None] | None
) -> tuple[list[str], list[str]]:
    unlinked = [a for a in wanted if never is not None and never(a) is not None]
    return [a for a in wanted if a not in unlinked], unlinked


def _link_deal(
    connection: Connection,
    deal: int,
    contact: int,
    never: Callable[[str], object | None] | None,
) -> int:
    mine = connection.execute(
        select(held.address).where(held.record_id == contact, held.until_us.is_(None))
    ).scalars()
    keying, _ = _keying(mine.all(), never)
    return linker.late(connection, deal, keying, contact=contact)


def _open_deals(connection: Connection, contact: int) -> Sequence[int]:
    return (
        connection.execute(
            select(deal_contacts.deal_id)
            .join(schema.records, records.id == deal_contacts.deal_id)
            .where(
                deal_contacts.record_id == contact,
                deal_contacts.main == 1,
                records.state == "open",
            )
        )
        .scalars()
        .all()
    )


def _one(connection: Connection, id_: int) -> Record:
    found = _load(connection, [id_])
    if not found:
        raise NoSuchRecord(f"no record {id_}")
    return found[0]


def _load(
    connection: Connection,
    ids: Sequence[int],
    warnings: tuple[str, ...] = (),
    linked: int = 0,
) -> list[Record]:
    history: dict[int, list[RecordAddress]] = {}
    for row in connection.execute(
        select(schema.record_addresses)
        .where(held.record_id.in_(ids))
        .order_by(held.record_id, held.position)
    ):
        until = None if row.until_us is None else row.until_us / 1e6
        history.setdefault(row.record_id, []).append(
            RecordAddress(row.address, row.from_us / 1e6, until)
        )
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
            .where(links.record_id.in_(ids))
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
            addresses=tuple(a.address for a in history.get(row.id, ()) if a.until is None),
            created=row.created_us / 1e6,
            main_contact=main.get(row.id),
            deals=tuple(sorted(deals.get(row.id, ()))),
            history=tuple(history.get(row.id, ())),
            emails=mail[row.id].emails if row.id in mail else 0,
            last_email=mail[row.id].last / 1e6 if row.id in mail else None,
            warnings=warnings,
            linked=linked,
        )
        for row in rows
    ]
