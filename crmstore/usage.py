"""How much mail there is, of everybody, of a user, of a record; and the quota that it is held to.

`mail_bytes` is octets as they were sent, each message once, whatever the archive makes of them: of
the organisation every message, of a user those that they have a sighting of, of a record those that
it shows. So a mail of two colleagues counts for both, and once for the organisation. The quota is
min(100 GB, 5 GB x users whose mail is captured), 1 GB = 2^30 octets, or what store.mail_quota says.

Promises: it is a measure and an alarm. Nothing here stops a capture, cuts a body or refuses mail
(docs/decisions/0083). The whole is a sum that goes on from where it stood (`settle`), so it costs
the same however much mail there is; ingest has no part in it. That of a user or a record is read
from their mail, along its index.
A keeper of one row of `remembered`. Cites: features.md F11, F13.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Select, delete, func, insert, select

from crmstore import schema, seasons
from crmstore.sharing import owner_of
from crmstore.store import Store

__all__ = ["EACH", "GB", "MOST", "Level", "Usage", "of_record", "of_user", "settle", "usage"]

GB = 2**30
MOST, EACH = 100 * GB, 5 * GB
STEP = 50_000  # messages in one transaction

Level = Literal["", "ok", "warn", "high", "over"]

LEVELS: dict[Level, float] = {"high": 0.95, "warn": 0.8}

messages = schema.messages.c
remembered = schema.remembered.c
_NAME = "mail_bytes"


@dataclass(frozen=True, slots=True)
class Usage:
    """`mail_bytes` of the organisation; `quota` in octets, None if there is none."""

    mail_bytes: int
    quota: int | None

    @property
    def share(self) -> float | None:
        """How much of the quota is taken, 1.0 = all of it."""
        return None if self.quota is None else self.mail_bytes / self.quota

    @property
    def level(self) -> Level:
        """ "warn" from 80 % on, "high" from 95 %, "over" beyond all of it; "" without a quota."""
        if self.share is None:
            return ""
        if self.share > 1:
            return "over"
        return next((level for level, least in LEVELS.items() if self.share >= least), "ok")


def usage(store: Store, quota: int | str = "auto") -> Usage:
    """What there is now, and the quota: a number of octets, "auto" or "none"."""
    users = schema.users.c
    with store.reading() as connection:
        total, upto = _stood(connection)
        total += connection.execute(
            select(func.coalesce(func.sum(messages.bytes), 0)).where(messages.id > upto)
        ).scalar_one()
        if isinstance(quota, int):
            return Usage(int(total), quota)
        if quota == "none":
            return Usage(int(total), None)
        people = connection.execute(
            select(func.count()).select_from(schema.users).where(users.enabled == 1)
        ).scalar_one()
    # Before anybody is there, mail that waits for them has the room of one.
    return Usage(int(total), min(MOST, EACH * max(1, people)))


def settle(store: Store) -> bool:
    """Go on with the sum, by STEP messages at most. True if there is more.

    Ids of messages grow in the order of the commits (writers come one after the other), so what is
    above the mark is what has not been counted.
    """
    with store.reading() as connection:
        _, upto = _stood(connection)
        # In order: else PostgreSQL looks for one from the beginning of the table, to its end.
        more_mail = select(messages.id).where(messages.id > upto).order_by(messages.id).limit(1)
        if connection.execute(more_mail).first() is None:
            return False
    with store.writing() as connection:
        total, upto = _stood(connection)
        step = (
            select(messages.id, messages.bytes)
            .where(messages.id > upto)
            .order_by(messages.id)
            .limit(STEP)
            .subquery()
        )
        count, last, more = connection.execute(
            select(func.count(), func.max(step.c.id), func.sum(step.c.bytes))
        ).one()
        if not count:
            return False
        connection.execute(delete(schema.remembered).where(remembered.name == _NAME))
        value = f"{total + int(more)} {int(last)}"
        connection.execute(insert(schema.remembered).values(name=_NAME, value=value))
    return bool(count == STEP)


def of_user(store: Store, who: str) -> int:
    """Octets of the mail that a user (by login or address) has a sighting of."""
    with store.reading() as connection:
        seen = schema.sightings.c
        mine = select(seen.message_id).where(seen.owner == owner_of(connection, who))
        return _sum(connection, mine)


def of_record(store: Store, id_: int) -> int:
    """Octets of the mail that a record shows."""
    with store.reading() as connection:
        links = schema.links.c
        on_it = select(links.message_id).where(
            seasons.within(connection, links.when_us, seasons.seasons(connection)),
            links.record_id == id_,
            links.hidden == 0,
        )
        return _sum(connection, on_it)


def _sum(connection: Connection, ids: Select[tuple[int]]) -> int:
    once = ids.distinct().subquery()
    found = select(func.coalesce(func.sum(messages.bytes), 0)).join_from(
        once, schema.messages, messages.id == once.c.message_id
    )
    return int(connection.execute(found).scalar_one())


def _stood(connection: Connection) -> tuple[int, int]:
    """The sum so far, and the last message that is in it."""
    value = connection.execute(select(remembered.value).where(remembered.name == _NAME)).scalar()
    total, upto = (value or "0 0").split()
    return int(total), int(upto)
