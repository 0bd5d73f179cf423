"""The rules by which users leave mail out: kept, listed, removed. A keeper.

Promises: a rule is there once; a change is seen by ingest in its next batch, like any change of
users; removing a rule brings back nothing that it has left out. At most MOST rules a user.
Cites: features.md A19, A25; crmstore/personal.py says what a rule means.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from crmstore import schema
from crmstore.charsets import clean
from crmstore.linker import several
from crmstore.personal import PersonalRules, Wanted
from crmstore.store import Store, micros, next_ids
from crmstore.users import find

__all__ = ["MOST", "Rule", "TooMany", "add", "by_user", "listing", "remove", "there"]

MOST: Final = 2_000
MAX_WORDS: Final = 500


class TooMany(ValueError):
    """A user would have more than MOST rules."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`origin`: hand, gmail or sieve; `words`: what it was made of."""

    id: int
    user: str
    field: str
    pattern: str
    origin: str
    words: str
    created: float


rules = schema.capture_rules.c


def add(
    store: Store, who: str, asked: Iterable[tuple[Wanted, str]], *, origin: str = "hand"
) -> list[tuple[int, bool]]:
    """For each of these (rule, words): its id, and whether it is new. TooMany, NoSuchUser."""
    asked = list(asked)
    with store.writing() as connection:
        user = find(connection, who)
        known = _known(connection, user)
        fresh = {one: words for one, words in reversed(asked) if one not in known}
        if len(known) + len(fresh) > MOST:
            raise TooMany(f"{MOST} rules a user, at most")
        if not fresh:
            return [(known[one], False) for one, _ in asked]
        ids = next_ids(connection, "rules", len(fresh))
        new = dict(zip(dict.fromkeys(one for one, _ in asked if one in fresh), ids, strict=True))
        now = micros()
        connection.execute(
            insert(schema.capture_rules),
            [
                {
                    "id": id_,
                    "user_id": user,
                    "field": one.field,
                    "pattern": one.pattern,
                    "origin": origin,
                    "words": clean(fresh[one])[:MAX_WORDS],
                    "created_us": now,
                }
                for one, id_ in new.items()
            ],
        )
        _changed(connection)
        return [(known.get(one) or new[one], one in new) for one, _ in asked]


def there(store: Store, who: str) -> set[Wanted]:
    """Which rules a user has: for a look before something is done."""
    with store.reading() as connection:
        return set(_known(connection, find(connection, who)))


def listing(
    store: Store, who: str | None = None, *, limit: int = 1_000, after: int = 0
) -> list[Rule]:
    """Those of a user, or all; by id."""
    wanted = select(schema.capture_rules, schema.users.c.login).join(
        schema.users, schema.users.c.id == rules.user_id
    )
    with store.reading() as connection:
        if who is not None:
            wanted = wanted.where(rules.user_id == find(connection, who))
        rows = connection.execute(wanted.where(rules.id > after).order_by(rules.id).limit(limit))
        return [
            Rule(
                row.id,
                row.login,
                row.field,
                row.pattern,
                row.origin,
                row.words,
                row.created_us / 1e6,
            )
            for row in rows
        ]


def remove(store: Store, ids: Sequence[int]) -> list[int]:
    """Those of these that were there."""
    gone: list[int] = []
    with store.writing() as connection:
        for chunk in several(ids):
            found = connection.execute(select(rules.id).where(rules.id.in_(chunk)))
            gone += found.scalars()
            connection.execute(delete(schema.capture_rules).where(rules.id.in_(chunk)))
        if gone:
            _changed(connection)
    return gone


def by_user(connection: Connection) -> dict[int, PersonalRules]:
    """For ingest: the rules of all users who have some."""
    found: dict[int, list[tuple[int, str, str]]] = {}
    for row in connection.execute(select(rules.user_id, rules.id, rules.field, rules.pattern)):
        found.setdefault(row.user_id, []).append((row.id, row.field, row.pattern))
    return {user: PersonalRules(rows) for user, rows in found.items()}


def _known(connection: Connection, user: int) -> dict[Wanted, int]:
    rows = connection.execute(
        select(rules.id, rules.field, rules.pattern).where(rules.user_id == user)
    )
    return {Wanted(row.field, row.pattern): row.id for row in rows}


def _changed(connection: Connection) -> None:
    next_ids(connection, "people", 1)
