"""Who may see what: the one rule that pages, messages, copies, search and `explain` ask.

Mail belongs to whoever it was seen for, and is private (features.md B2): a viewer sees a message if
one of its sightings is theirs and not hidden, and of it those sightings only. That a message is on
a record, or from a colleague, opens it to nobody; so who makes the boss's address a contact reads
none of the boss's mail. A disabled user sees nothing (B10, B15).

A link that a rule of somebody's made is shown to that user alone (filing.py).

Bcc: a participant or link that one capture alone gives the reason for is shown to the owner of
that sending; received mail whose header does not name its recipient shows that one to nobody but
themselves.

A viewer is a user, or an address that mail waits under while there is no such user. None is the
operator, who has the database: everything is shown. Each predicate exists twice, for SQL and for
rows that are read already; tests/keepers/test_sharing.py holds the two together.
A core beside the tables. Cites: features.md A30, B2; beyond.md 1.6, 1.20.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    and_,
    exists,
    false,
    or_,
    select,
)

from crmstore import addresses, schema
from crmstore.charsets import storable
from crmstore.personal import RULE
from crmstore.store import Store
from crmstore.whose import RECIPIENT

__all__ = ["Viewer", "is_somebody", "owner_of", "viewer_of"]

sightings = schema.sightings


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks. `known`: a user of ours; else an address that mail may wait under."""

    login: str
    known: bool = True
    enabled: bool = True

    # In SQL

    def sighting(self, table: FromClause = sightings) -> ColumnElement[bool]:
        """Is this sighting shown?"""
        if not self.enabled:
            return false()
        return and_(table.c.owner == self.login, table.c.hidden == 0)

    def message(self, id_: ColumnElement[int]) -> ColumnElement[bool]:
        """Is the message of this id shown?"""
        seen = sightings.alias()
        return exists().where(seen.c.message_id == id_, self.sighting(seen))

    def person(self, table: FromClause) -> ColumnElement[bool]:
        """Is this participant or link of a message that is shown, shown too?"""
        seen = sightings.alias()
        told = exists().where(
            seen.c.message_id == table.c.message_id,
            seen.c.capture_id == table.c.capture_id,
            self.sighting(seen),
            or_(
                seen.c.direction == "sent",
                table.c.evidence != RECIPIENT,
                seen.c.address == table.c.address,
            ),
        )
        everybody = and_(table.c.role != "bcc", table.c.capture_id.is_(None))
        if "record_id" not in table.c:
            return or_(everybody, told)
        by_rule = table.c.role == RULE
        return or_(and_(everybody, ~by_rule), told, and_(by_rule, table.c.address == self.login))

    # Of rows

    def sightings(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Those that are shown; of a message that is not shown there are none."""
        return [row for row in rows if self.enabled and row.owner == self.login and not row.hidden]

    def people(self, rows: Sequence[Row[Any]], seen: Sequence[Row[Any]]) -> list[Row[Any]]:
        """The participants or links that are shown, of a message with these sightings."""
        mine = self.sightings(seen)

        def told(row: Row[Any]) -> bool:
            return any(
                row.capture_id == one.capture_id
                and (
                    one.direction == "sent"
                    or row.evidence != RECIPIENT
                    or one.address == row.address
                )
                for one in mine
            )

        def shown(row: Row[Any]) -> bool:
            if row.role == RULE:
                return bool(mine) and row.address == self.login
            return (row.role != "bcc" and row.capture_id is None) or told(row)

        return [row for row in rows if shown(row)]

    def why(self, seen: Sequence[Row[Any]]) -> str:
        """The reason why a message with these sightings is shown ("own") or is not: "disabled",
        "nobody" (no user of ours, and no mail waits for the address), "former" (only by an
        address that they have no longer), "private" (it is others' mail)."""
        if not self.enabled:
            return "disabled"
        if self.sightings(seen):
            return "own"
        if any(row.owner == self.login for row in seen):
            return "former"
        return "private" if self.known else "nobody"


def viewer_of(connection: Connection, who: str | None) -> Viewer | None:
    """The viewer of a login or an address; None for None."""
    if who is None:
        return None
    text = storable(who.strip().lower())
    names, users = schema.user_addresses.c, schema.users.c
    key = addresses.key(text) or text
    found = connection.execute(
        select(users.login, users.enabled).where(users.login.in_({text, key}))
    ).first()
    if found is None:
        found = connection.execute(
            select(users.login, users.enabled)
            .join(schema.user_addresses, names.user_id == users.id)
            .where(names.address == key)
        ).first()
    if found is not None:
        return Viewer(found.login, enabled=bool(found.enabled))
    seen = sightings.c  # in the order of the index, so that a planner does not think of the table
    waiting = select(seen.id).where(seen.owner == key).order_by(seen.hidden, seen.when_us)
    waits = connection.execute(waiting.limit(1))
    return Viewer(key, known=waits.first() is not None)


def owner_of(connection: Connection, who: str | None) -> str | None:
    """A user's login for their login or one of their addresses; else the address itself."""
    found = viewer_of(connection, who)
    return found.login if found is not None else None


def is_somebody(store: Store, who: str) -> bool:
    """Whether this is a user, or an address that mail waits for."""
    with store.reading() as connection:
        found = viewer_of(connection, who)
    return found is not None and found.known
