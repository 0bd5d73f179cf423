"""Leads, contacts, deals and what else mail is about: whom our people write with, by what address.

A keeper. Promises: what a record gains links the mail that came before: the newest in the same
transaction, the rest behind it in small ones (relink.py). An address that leaves keeps its
history (valid from, until); its links stay, or are hidden. Addresses of ours are refused, they
never key a record; one that becomes ours later is marked, and shows no mail. An address may be on
several records: all of them get the mail, and of the same kind that is worth a warning. A deal has
a main contact, whose mail it shows while it is open; a general record may have one.
Cites: features.md A7 to A11, A29; beyond.md 17, 18; contract.md `mailweir record`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, case, func, insert, select, update

from crmstore import addresses, relink, schema
from crmstore.bulk import insert_rows
from crmstore.charsets import clean
from crmstore.kinds import GENERAL, KINDS, MAX_TYPE, WITH_CONTACT, type_of
from crmstore.recordbulk import set_main_contact
from crmstore.recordview import NoSuchRecord, Record, RecordAddress, listing, load, one, show
from crmstore.store import Store, micros, next_ids

__all__ = ["KINDS", "NoSuchRecord", "Record", "RecordAddress", "add", "change", "listing", "show"]

MAX_NAME = 500
MAX_HISTORY = 5 * addresses.MAX_OWNED  # those it had once, too

Never = Callable[[str], object | None]


def add(
    store: Store,
    kind: str,
    name: str,
    *,
    type: str = "",
    company: str = "",
    emails: Sequence[str] = (),
    main_contact: int | None = None,
    state: str = "open",
    domains: Iterable[str] = (),
    never: Never | None = None,
) -> Record:
    """A new record. `domains` are ours; `never` is [capture].never: such addresses stay unlinked.

    ValueError for what cannot be (in one line for people), NoSuchRecord for the main contact.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: allowed are {', '.join(KINDS)}")
    fields = _fields(kind, name=name, state=state, type=type, company=company)
    wanted = addresses.keys(emails)
    if kind == "deal" and main_contact is None:
        raise ValueError("a deal needs a main contact")
    if kind not in WITH_CONTACT and main_contact is not None:
        raise ValueError(f"a {kind} has no main contact, a deal or a general record has one")
    with store.writing() as connection:
        _refuse_ours(connection, wanted, domains)
        if main_contact is not None:
            _main_contact(connection, main_contact)
        id_ = next_ids(connection, "records", 1)[0]
        now = micros()
        connection.execute(
            insert(schema.records).values(id=id_, kind=kind, created_us=now, **fields)
        )
        warnings, linked = _gain(connection, id_, kind, wanted, _Span(now), never)
        if main_contact is not None:
            linked += set_main_contact(connection, id_, main_contact, never)
    linked += relink.run(store)
    with store.reading() as connection:
        return load(connection, [id_], warnings, linked)[0]


def change(
    store: Store,
    id_: int,
    *,
    name: str | None = None,
    state: str | None = None,
    type: str | None = None,
    company: str | None = None,
    main_contact: int | None = None,
    add_emails: Sequence[str] = (),
    remove_emails: Sequence[str] = (),
    since: float | None = None,
    until: float | None = None,
    domains: Iterable[str] = (),
    never: Never | None = None,
) -> Record:
    """Other words, another main contact, more addresses, fewer addresses (these keep their
    history).

    `since`: the addresses of `add_emails` are the record's from then on; mail before that is not
    (an address that it has already is given this beginning). `until`: those of `remove_emails` were
    the record's until then, and mail from then on is not; with nothing to remove, those of
    `add_emails` were the record's only until then. Seconds since 1970.
    """
    wanted, gone = addresses.keys(add_emails), addresses.keys(remove_emails)
    now = micros()
    span = _Span(now, since, until if not gone else None)
    ended = now if until is None else micros(until)
    if ended > now:
        raise ValueError("until: allowed is a time that is past")
    with store.writing() as connection:
        record = one(connection, id_)
        words = {"name": name, "state": state, "type": type, "company": company}
        given = {key: value for key, value in words.items() if value is not None}
        if values := _fields(record.kind, **given):
            connection.execute(update(schema.records).where(records.id == id_).values(**values))
        if missing := set(gone) - set(record.addresses):
            raise ValueError(f"record {id_} has no address {', '.join(sorted(missing))}")
        _lose(connection, record, gone, ended, exact=until is not None)
        kept = [a for a in wanted if a in record.addresses and a not in gone]
        fresh = [a for a in wanted if a not in kept]
        if len(record.history) + len(fresh) > MAX_HISTORY:
            raise ValueError(f"at most {MAX_HISTORY} addresses in the history of a record")
        _refuse_ours(connection, fresh, domains)
        warnings, linked = _gain(connection, id_, record.kind, fresh, span, never)
        if since is not None:
            linked += _begin_anew(connection, id_, kept, span, never)
        contact = record.main_contact
        if main_contact is not None and main_contact != contact:
            if record.kind not in WITH_CONTACT:
                raise ValueError(f"record {id_} is a {record.kind}: it has no main contact")
            _main_contact(connection, main_contact)
            linked += set_main_contact(connection, id_, main_contact, never)
        elif state == "open" and record.state != "open" and contact is not None:
            linked += _link_deal(connection, id_, contact, never)
    linked += relink.run(store)
    with store.reading() as connection:
        return load(connection, [id_], warnings, linked)[0]


records = schema.records.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c


class _Span(NamedTuple):
    """When new addresses are a record's: since always (as far as anybody knows), or from a time;
    and still, or until a time."""

    now: int
    since: float | None = None
    until: float | None = None

    @property
    def from_us(self) -> int:
        start = self.now if self.since is None else micros(self.since)
        end = self.until_us
        if end is not None and self.since is None:
            start = min(start, end)
        if start > self.now:
            raise ValueError("from: allowed is a time that is past")
        if end is not None and start > end:
            raise ValueError("from, until: the time ends before it begins")
        return start

    @property
    def mail_from_us(self) -> int:
        return 0 if self.since is None else self.from_us

    @property
    def until_us(self) -> int | None:
        return None if self.until is None else micros(self.until)


def _fields(kind: str, **given: str) -> dict[str, str]:
    """The columns of what is given, checked and cleaned."""
    values = {key: clean(value).strip() for key, value in given.items()}
    if "state" in values and values["state"] not in ("open", "closed"):
        raise ValueError(f"state {given['state']!r}: allowed are open, closed")
    if "name" in values:
        values["name"] = values["name"][:MAX_NAME]
        if not values["name"]:
            raise ValueError("a record needs a name")
    if "company" in values:
        values["company"] = values["company"][:MAX_NAME]
    if "type" in values:
        if values["type"] and kind != GENERAL:
            raise ValueError(f"a {kind} has no type: a {GENERAL} record has one")
        if len(values["type"]) > MAX_TYPE:
            raise ValueError(f"type: at most {MAX_TYPE} characters")
        values["type"] = type_of(values["type"])
    return values


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
    if kind in WITH_CONTACT:
        raise ValueError(f"record {id_} is a {kind}: the main contact of a deal is a person")


def _gain(
    connection: Connection,
    id_: int,
    kind: str,
    wanted: Sequence[str],
    span: _Span,
    never: Never | None,
) -> tuple[tuple[str, ...], int]:
    """New addresses: warn of twins, link the mail that came before, also on the record's deals."""
    from_us, until_us = span.from_us, span.until_us
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
            records.kind.not_in(WITH_CONTACT),
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
        ("record_id", "address", "position", "from_us", "until_us", "mail_from_us"),
        [
            (id_, address, start + n, from_us, until_us, span.mail_from_us)
            for n, address in enumerate(wanted)
        ],
    )
    keying, unlinked = _keying(wanted, never)
    warnings += [f"{a} matches capture.never: its mail is not linked" for a in unlinked]
    if until_us is not None:
        linked = sum(
            relink.late_until(connection, id_, address, span.mail_from_us, until_us)
            for address in keying
        )
        return tuple(warnings), linked
    return tuple(warnings), _link(connection, id_, keying)


def _link(connection: Connection, id_: int, keying: Sequence[str]) -> int:
    """Late linking of a record and of what it is the main contact of; what was hidden is shown."""
    linked = relink.late(connection, id_, keying)
    for deal in _open_deals(connection, id_):
        linked += relink.late(connection, deal, keying, contact=id_)
    relink.settle_again(connection, id_, keying)
    return linked


def _lose(
    connection: Connection, record: Record, gone: Sequence[str], ended: int, *, exact: bool
) -> None:
    """These addresses are the record's no longer; `exact`: since a time that somebody knows."""
    if not gone:
        return
    # An address without a beginning that somebody has said was the record's before it was added.
    begins = [h.mail_since for h in record.history if h.address in gone and h.until is None]
    if any(begin is not None and micros(begin) > ended for begin in begins):
        raise ValueError("until: the time ends before it begins")
    connection.execute(
        update(schema.record_addresses)
        .where(held.record_id == record.id, held.address.in_(gone), held.until_us.is_(None))
        .values(from_us=case((held.from_us > ended, ended), else_=held.from_us), until_us=ended)
    )
    for address in gone if exact else ():
        relink.unlink(connection, record.id, address, since=ended)
    if relink.hides(connection):
        relink.settle(connection, [(record.id, address) for address in gone])


def _begin_anew(
    connection: Connection,
    id_: int,
    kept: Sequence[str],
    span: _Span,
    never: Never | None,
) -> int:
    """Addresses that the record has are its own from this time on."""
    if not kept:
        return 0
    connection.execute(
        update(schema.record_addresses)
        .where(held.record_id == id_, held.address.in_(kept), held.until_us.is_(None))
        .values(from_us=span.from_us, mail_from_us=span.mail_from_us)
    )
    for address in kept:
        relink.unlink(connection, id_, address, before=span.mail_from_us)
    return _link(connection, id_, _keying(kept, never)[0])


def _keying(wanted: Sequence[str], never: Never | None) -> tuple[list[str], list[str]]:
    unlinked = [a for a in wanted if never is not None and never(a) is not None]
    return [a for a in wanted if a not in unlinked], unlinked


def _link_deal(connection: Connection, deal: int, contact: int, never: Never | None) -> int:
    mine = connection.execute(
        select(held.address).where(held.record_id == contact, held.until_us.is_(None))
    ).scalars()
    keying, _ = _keying(mine.all(), never)
    return relink.late(connection, deal, keying, contact=contact)


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
