"""A record that is to be gone: its addresses, the rules onto it, its links with their evidence, and
then itself.

A keeper of the same tables as records.py. Promises: mail stays as it is, and is on this record no
more; a record that gets one of its addresses later, or has it already, has that mail by its own
right. From the first transaction on nothing new is linked to it; links go STEP a transaction, so
ingest waits for none of it; the record itself goes last, so what was interrupted is seen, and doing
it again goes on. Its id never comes back.
Limits: whoever is the main contact of anything is refused. What a deal has by a former main contact
stays on the deal, as it does when the contact is changed.
Cites: features.md A10, A11; beyond.md 17; decision 0064.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from crmstore import relink, schema, seasons
from crmstore.bulk import among
from crmstore.recordview import Record, one
from crmstore.store import Store, next_ids

__all__ = ["Needed", "Removed", "remove"]

records = schema.records.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c
links = schema.links.c


class Needed(ValueError):
    """It is the main contact of `of`, which would be without one."""

    def __init__(self, id_: int, of: tuple[int, ...]) -> None:
        shown = ", ".join(map(str, of))
        super().__init__(f"record {id_} is the main contact of {shown}: give them another first")
        self.id = id_
        self.of = of


@dataclass(frozen=True, slots=True)
class Removed:
    """The record as it was, how many links it had (an email may have several), and how many rules
    of users went with it that put mail onto it."""

    record: Record
    unlinked: int
    rules: int = 0


def remove(store: Store, id_: int) -> Removed:
    """Remove a record. NoSuchRecord, Needed."""
    with store.writing() as connection:
        record = one(connection, id_)
        if record.deals:
            raise Needed(id_, record.deals)
        rules = _forget_rules(connection, id_)
        _let_go(connection, record)
    unlinked, more = 0, True
    while more:
        with store.writing() as connection:
            everywhere = seasons.within(connection, links.when_us, seasons.seasons(connection))
            some = select(links.message_id).where(everywhere, links.record_id == id_)
            ids = connection.execute(some.limit(relink.STEP)).scalars().all()
            theirs = among(connection, links.message_id, sorted(set(ids)))
            gone = connection.execute(
                delete(schema.links).where(theirs, links.record_id == id_)
            ).rowcount
            unlinked += gone
            more = len(ids) == relink.STEP
            if not more:
                connection.execute(delete(schema.records).where(records.id == id_))
    relink.run(store)
    return Removed(record, unlinked, rules)


def _forget_rules(connection: Connection, id_: int) -> int:
    """Ingest learns of it as of every change of rules."""
    onto = schema.capture_rules.c.record_id == id_
    count = connection.execute(delete(schema.capture_rules).where(onto)).rowcount
    if count:
        next_ids(connection, "people", 1)
    return count


def _let_go(connection: Connection, record: Record) -> None:
    """Nothing leads to it any more, and nothing is linked late by it or through it."""
    relinks = schema.relinks.c
    connection.execute(
        delete(schema.relinks).where(
            (relinks.record_id == record.id) | (relinks.contact_id == record.id)
        )
    )
    once = connection.execute(
        select(deal_contacts.deal_id).where(deal_contacts.record_id == record.id)
    ).scalars()
    deals = once.all()
    connection.execute(
        delete(schema.deal_contacts).where(
            (deal_contacts.deal_id == record.id) | (deal_contacts.record_id == record.id)
        )
    )
    connection.execute(delete(schema.record_addresses).where(held.record_id == record.id))
    if relink.hides(connection):
        # of these deals it was the main contact: its addresses may show their mail no longer
        addresses = {one.address for one in record.history}
        relink.settle(connection, [(deal, one) for deal in deals for one in sorted(addresses)])
