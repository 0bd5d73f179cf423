"""The rules by which users leave mail out, or put it onto records: kept, listed, removed. A keeper.

Promises: a rule is there once; a change is seen by ingest in its next batch, like any change of
users. Removing a rule brings back nothing that it has left out, and takes back what it has put onto
a record, unless another rule of the user's puts it there, too. What a change means for mail that is
there already is noted, and done by relink.run() or the worker. At most MOST rules a user.
Cites: features.md A19, A25; crmstore/personal.py says what a rule means, crmstore/filing.py how
mail gets onto a record by it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from crmstore import filing, relink, schema
from crmstore.agreed import ours, recall
from crmstore.charsets import clean
from crmstore.linker import several
from crmstore.personal import PersonalRules, Wanted
from crmstore.recordview import NoSuchRecord
from crmstore.store import Store, micros, next_ids
from crmstore.users import find

__all__ = [
    "MOST", "Rule", "TooMany", "add", "by_user", "keyless", "listing", "remove", "there", "would",
]  # fmt: skip

MOST: Final = 2_000
MAX_WORDS: Final = 500


class TooMany(ValueError):
    """A user would have more than MOST rules."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`origin`: hand, gmail or sieve; `words`: what it was made of; `record`: onto which it puts
    mail (with its kind and name), None: it leaves it out."""

    id: int
    user: str
    field: str
    pattern: str
    origin: str
    words: str
    created: float
    record: int | None = None
    kind: str | None = None
    name: str | None = None


rules = schema.capture_rules.c


def add(
    store: Store, who: str, asked: Iterable[tuple[Wanted, str]], *, origin: str = "hand"
) -> list[tuple[int, bool]]:
    """For each of these (rule, words): its id, and whether it is new. TooMany, NoSuchUser,
    NoSuchRecord. Whether a rule onto a record can hit anybody is the caller's to ask (keyless)."""
    asked = list(asked)
    with store.writing() as connection:
        user = find(connection, who)
        _all_there(connection, [one for one, _ in asked])
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
                    "record_id": one.record,
                }
                for one, id_ in new.items()
            ],
        )
        relink.file(connection, user, new)
        _changed(connection)
        return [(known.get(one) or new[one], one in new) for one, _ in asked]


def there(store: Store, who: str) -> set[Wanted]:
    """Which rules a user has."""
    with store.reading() as connection:
        return set(_known(connection, find(connection, who)))


def would(store: Store, who: str, asked: Sequence[Wanted]) -> list[bool]:
    """Which of these would be new: for a look before something is done. NoSuchUser, NoSuchRecord,
    as add() says it."""
    with store.reading() as connection:
        known = _known(connection, find(connection, who))
        _all_there(connection, asked)
    return [one not in known for one in asked]


def keyless(store: Store, patterns: Iterable[str]) -> set[str]:
    """Those of these patterns that hit nobody but ours (a user's address, a domain of ours, as
    relink.agree was told): whom no rule onto a record can be about."""
    wanted = set(patterns)
    with store.reading() as connection:
        mine = ours(connection, [pattern for pattern in wanted if "*" not in pattern])
        domains = recall(connection).get("domains", "").split()
    return mine | {pattern for pattern in wanted if pattern.rpartition("@")[2] in domains}


def listing(
    store: Store, who: str | None = None, *, limit: int = 1_000, after: int = 0
) -> list[Rule]:
    """Those of a user, or all; by id."""
    records = schema.records.c
    wanted = (
        select(schema.capture_rules, schema.users.c.login, records.kind, records.name)
        .join(schema.users, schema.users.c.id == rules.user_id)
        .join(schema.records, records.id == rules.record_id, isouter=True)
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
                row.record_id,
                row.kind,
                row.name,
            )
            for row in rows
        ]


def remove(store: Store, ids: Sequence[int]) -> list[int]:
    """Those of these that were there."""
    gone: list[int] = []
    onto: dict[int, set[int]] = {}
    with store.writing() as connection:
        for chunk in several(ids):
            these = rules.id.in_(chunk)
            for row in connection.execute(
                select(rules.id, rules.user_id, rules.record_id).where(these)
            ):
                gone.append(row.id)
                if row.record_id is not None:
                    onto.setdefault(row.user_id, set()).add(row.record_id)
            connection.execute(delete(schema.capture_rules).where(these))
        for user, records in onto.items():
            relink.unfile(connection, user, sorted(records))
        if gone:
            _changed(connection)
    return gone


def by_user(connection: Connection) -> dict[int, PersonalRules]:
    """For ingest: the rules of all users who have some."""
    return filing.rules_of(connection)


def _known(connection: Connection, user: int) -> dict[Wanted, int]:
    rows = connection.execute(
        select(rules.id, rules.field, rules.pattern, rules.record_id).where(rules.user_id == user)
    )
    return {Wanted(row.field, row.pattern, row.record_id): row.id for row in rows}


def _all_there(connection: Connection, asked: Collection[Wanted]) -> None:
    """NoSuchRecord, if a rule is onto a record that does not exist."""
    wanted = {one.record for one in asked if one.record is not None}
    for chunk in several(wanted):
        column = schema.records.c.id
        found = connection.execute(select(column).where(column.in_(chunk))).scalars()
        if missing := set(chunk) - set(found):
            raise NoSuchRecord(f"no record {min(missing)}")


def _changed(connection: Connection) -> None:
    next_ids(connection, "people", 1)
