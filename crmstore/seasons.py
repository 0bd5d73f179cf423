"""Mail by season: what keeps the indexes of people and records small where they grow.

A season is 2**43 microseconds, 102 days. The indexes by which the mail of a record or an address is
found begin with the season: what comes in now is entered in the part of this season, which is as
large as the mail of 102 days, not in any of the pages of all years. So the cost of taking mail in
does not grow with the store. Who reads asks for the newest season, then for all others together if
there is little in them, else for one after the other (docs/decisions/0068 has the figures).

Promises: newest() reads a page in order, whose cost is that of its rows, of a look into each season
and of FEW rows, however much mail the key has; and no row twice. Limits: mail of one moment is in
one season, whatever its row (links and participants repeat messages.when_us).
Read side, inside the caller's transaction. Cites: sqlite.org/expridx.html (the expression has to
stand in a query as it does in the index); PostgreSQL, "Indexes on Expressions".
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    select,
)

from crmstore import schema
from crmstore.bulk import among, among_given, given

__all__ = ["END", "START", "Newest", "asked", "newest", "of", "seasons", "within"]

START, END = -1 << 63, (1 << 63) - 1  # what a column can hold
FEW = 500  # rows of a key that are sorted rather than read season by season

messages = schema.messages.c


def _in_order() -> Select[Any]:
    """The seasons that have mail, newest first: one look into an index for each."""
    newest = select(schema.season(func.max(messages.when_us)).label("season"))
    found = newest.where(messages.when_us <= bindparam("upto", type_=BigInteger)).cte(
        "found", recursive=True
    )
    begins = found.c.season.op("<<", return_type=BigInteger())(literal_column(str(schema.SEASON)))
    before = select(schema.season(func.max(messages.when_us))).where(messages.when_us < begins)
    more = found.c.season > bindparam("first", type_=BigInteger)  # not so of NULL, the end
    found = found.union_all(select(before.scalar_subquery()).where(more))
    return select(found.c.season).where(found.c.season.is_not(None))


_SEASONS = _in_order()


def of(when_us: int) -> int:
    """The season of a moment."""
    return when_us >> schema.SEASON


def seasons(connection: Connection, first_us: int = START, upto_us: int = END) -> list[int]:
    """The seasons of all mail that was seen from the one time to the other, newest first."""
    first = of(first_us)
    found = connection.execute(_SEASONS, {"first": first, "upto": upto_us}).scalars()
    return [season for season in found if season >= first]


def within(
    connection: Connection, when_us: ColumnElement[int], some: Sequence[int]
) -> ColumnElement[bool]:
    """The condition that a row is of one of these seasons. Of a single one, an index that goes on
    with the time is in order."""
    season = schema.season(when_us)
    return season == some[0] if len(some) == 1 else among(connection, season, some)


class Newest(NamedTuple):
    """A question for the newest mail of a key, as statements: see asked()."""

    one: Select[Any]  # of one season, in order as it is read
    some: Select[Any]  # of several, which are sorted
    many: Select[Any]  # how much mail the key has in these, counted up to FEW and one more


def asked(
    engine: str,
    wanted: Select[Any],
    when_us: ColumnElement[int],
    key: Sequence[ColumnElement[bool]],
) -> Newest:
    """The statements for a query that is ordered newest first by `when_us`. `key`: those of its
    conditions that an index by season answers, as constants or bindparam()s."""
    season, most = schema.season(when_us), bindparam("most", type_=Integer)
    among_some = among_given(engine, season)
    there = select(when_us).where(among_some, *key).limit(FEW + 1).subquery()
    return Newest(
        wanted.where(season == bindparam("season", type_=BigInteger)).limit(most),
        wanted.where(among_some).limit(most),
        select(func.count()).select_from(there),
    )


def newest(
    connection: Connection,
    question: Newest,
    limit: int,
    *,
    first_us: int = START,
    upto_us: int = END,
    **values: Any,
) -> Sequence[Any]:
    """The first `limit` rows, of the times from the one to the other; the question itself says
    which are meant, and `values` are for its own bindparam()s."""
    found: list[Any] = []
    every = seasons(connection, first_us, upto_us)
    for number, season in enumerate(every):
        if number == 1:  # the newest had not enough
            rest = given(every[1:])
            many = connection.execute(question.many, {**rest, **values}).scalar_one()
            if not many:
                break
            if many <= FEW:
                most = {"most": limit - len(found)}
                return [*found, *connection.execute(question.some, {**rest, **most, **values})]
        most = {"most": limit - len(found)}
        found += connection.execute(question.one, {"season": season, **most, **values})
        if len(found) >= limit:
            break
    return found
