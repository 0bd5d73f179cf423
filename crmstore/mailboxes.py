"""Mailboxes that are read by IMAP: which messages of each are known, and how many there are.

A keeper of the table `mailboxes`, a row for each that a door has seen. Known is what was taken into
the store or excluded by a rule, or is too large to be taken; present is what a look into the
mailbox found there since the day that captures begin. Both are sets of UIDs as ranges, so a row
costs what its gaps cost, whatever the mailbox holds. A new UIDVALIDITY begins anew: the UIDs of the
old one mean nothing any more.

learn() works inside the transaction of the batch that brought the captures; so no UID is known that
the store does not have, and what is known twice is known once.
Cites: RFC 9051 section 2.3.1.1; imap.md "Traps", FETCH and partial fetches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from crmstore import schema
from crmstore.linker import several
from crmstore.mailplace import Look, Place, key
from crmstore.store import Store, micros
from crmstore.uidset import UidSet, common

__all__ = [
    "Coverage",
    "Mailbox",
    "all_known",
    "by_login",
    "coverage",
    "learn",
    "looked",
    "of_logins",
]

table = schema.mailboxes


@dataclass(slots=True)
class Mailbox:
    """One mailbox of one login."""

    login: str
    mailbox: str
    special: str
    uidvalidity: int
    known: UidSet
    present: UidSet | None  # None: nobody has looked yet
    skipped: int
    changed_us: int

    @property
    def known_count(self) -> int:
        """Of what is present, how many are known; of an unlooked mailbox, how many at all."""
        return len(self.known) if self.present is None else common(self.known, self.present)


class Coverage(NamedTuple):
    """The mailboxes of one kind (inbox, sent) that were looked into, together."""

    mailboxes: int
    known: int
    present: int
    skipped: int


_FIGURES = (
    func.count(),
    func.sum(table.c.known_count),
    func.sum(table.c.present_count),
    func.sum(table.c.skipped_count),
)
_LOOKED = and_(table.c.special.in_(("inbox", "sent")), table.c.present_count.is_not(None))


def learn(connection: Connection, places: Iterable[Place]) -> list[Mailbox]:
    """These messages are in the store now; returns the mailboxes that this changes."""
    shelf = _Shelf(connection)
    wanted = [place for place in places if place.uid is not None and place.uidvalidity is not None]
    shelf.load(key(place.login, place.mailbox) for place in wanted)
    for place in wanted:
        assert place.uid is not None and place.uidvalidity is not None
        box = shelf.box(place.login, place.mailbox, place.special, place.uidvalidity)
        box.known.add(place.uid)
    return shelf.save()


def looked(connection: Connection, looks: Sequence[Look]) -> list[Mailbox]:
    """What looks have found; returns the mailboxes that they change."""
    shelf = _Shelf(connection)
    shelf.load(key(look.login, look.mailbox) for look in looks)
    for look in looks:
        box = shelf.box(look.login, look.mailbox, look.special, look.uidvalidity)
        box.present = look.present
        for low, high in look.skipped.ranges():
            before = len(box.known)
            box.known.add(low, high)
            box.skipped += len(box.known) - before
    return shelf.save()


def all_known(store: Store, after: str = "", limit: int = 500) -> tuple[list[Mailbox], str]:
    """Mailboxes in the order of their keys, a page at a time, and the last key ("" at the end)."""
    with store.reading() as connection:
        rows = connection.execute(
            select(table).where(table.c.key > after).order_by(table.c.key).limit(limit)
        ).all()
    return [_mailbox(row) for row in rows], rows[-1].key if len(rows) == limit else ""


def coverage(store: Store) -> dict[str, Coverage]:
    """By special use: what is known of what is present, over all users. One row a mailbox is read:
    for figures, not for every batch."""
    special = table.c.special
    with store.reading() as connection:
        rows = connection.execute(select(special, *_FIGURES).where(_LOOKED).group_by(special))
        return {row[0]: Coverage(*(int(value) for value in row[1:])) for row in rows}


def by_login(store: Store, logins: Iterable[str]) -> dict[str, Coverage]:
    """By login: what is known of what is present in INBOX and Sent, where somebody has looked."""
    columns = table.c
    found: dict[str, Coverage] = {}
    with store.reading() as connection:
        for chunk in several(dict.fromkeys(logins)):
            rows = connection.execute(
                select(columns.login, *_FIGURES)
                .where(columns.login.in_(chunk), _LOOKED)
                .group_by(columns.login)
            )
            found.update((row[0], Coverage(*(int(value) for value in row[1:]))) for row in rows)
    return found


def of_logins(store: Store, logins: Iterable[str]) -> list[Mailbox]:
    """The mailboxes of a user's logins, by name."""
    with store.reading() as connection:
        rows = connection.execute(
            select(table)
            .where(table.c.login.in_(list(logins)))
            .order_by(table.c.login, table.c.mailbox)
            .limit(1_000)
        )
        return [_mailbox(row) for row in rows]


class _Shelf:
    """Mailboxes under change in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._boxes: dict[str, Mailbox] = {}
        self._stored: set[str] = set()

    def load(self, keys: Iterable[str]) -> None:
        for chunk in several(dict.fromkeys(keys)):
            rows = self._connection.execute(select(table).where(table.c.key.in_(chunk)))
            for row in rows:
                self._boxes[row.key] = _mailbox(row)
                self._stored.add(row.key)

    def box(self, login: str, mailbox: str, special: str, uidvalidity: int) -> Mailbox:
        ident = key(login, mailbox)
        box = self._boxes.get(ident)
        if box is None or box.uidvalidity != uidvalidity:
            box = self._boxes[ident] = Mailbox(
                login, mailbox, special, uidvalidity, UidSet(), None, 0, 0
            )
        box.special = special or box.special
        return box

    def save(self) -> list[Mailbox]:
        now = micros()
        fresh: list[dict[str, object]] = []
        changed: list[dict[str, object]] = []
        for ident, box in self._boxes.items():
            box.changed_us = now
            (changed if ident in self._stored else fresh).append(_values(ident, box))
        if fresh:
            self._connection.execute(insert(table), fresh)
        if changed:
            names = [name for name in changed[0] if name != "key"]
            self._connection.execute(
                update(table)
                .where(table.c.key == bindparam("of_key"))
                .values({name: bindparam(f"new_{name}") for name in names}),
                [
                    {"of_key": row["key"], **{f"new_{name}": row[name] for name in names}}
                    for row in changed
                ],
            )
        return list(self._boxes.values())


def _values(ident: str, box: Mailbox) -> dict[str, object]:
    return {
        "key": ident,
        "login": box.login,
        "mailbox": box.mailbox,
        "special": box.special,
        "uidvalidity": box.uidvalidity,
        "known": str(box.known),
        "present": "" if box.present is None else str(box.present),
        "known_count": box.known_count,
        "present_count": None if box.present is None else len(box.present),
        "skipped_count": box.skipped,
        "changed_us": box.changed_us,
    }


def _mailbox(row: Row[Any]) -> Mailbox:
    return Mailbox(
        row.login,
        row.mailbox,
        row.special,
        row.uidvalidity,
        UidSet.parse(row.known),
        None if row.present_count is None else UidSet.parse(row.present),
        row.skipped_count,
        row.changed_us,
    )
