"""Mail by season: what keeps the indexes of people and records small where they grow.

A season is 2**43 microseconds, 102 days. The indexes by which the mail of a record or an address is
found begin with the season: what comes in now is entered in the part of this season, which is as
large as the mail of 102 days, not in any of the pages of all years. So the cost of taking mail in
does not grow with the store. Who reads asks season by season, newest first, for more at a time the
longer it takes (docs/decisions/0068 has the figures of both).

Promises: newest() reads a page in order, whose cost is that of its rows and of a look into each
season, and no row twice. Limits: mail of one moment is in one season, whatever its row (links and
participants repeat messages.when_us).
Read side, inside the caller's transaction. Cites: sqlite.org/expridx.html (the expression has to
stand in a query as it does in the index); PostgreSQL, "Indexes on Expressions".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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

__all__ = ["END", "START", "newest", "of", "seasons", "within"]

START, END = -1 << 63, (1 << 63) - 1  # what a column can hold
_WIDER = 8  # a look takes in as many seasons, and each as many times more than the one before

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


def newest(
    connection: Connection,
    wanted: Select[Any],
    when_us: ColumnElement[int],
    limit: int,
    *,
    first_us: int = START,
    upto_us: int = END,
) -> Sequence[Any]:
    """The first `limit` rows of a query that is ordered newest first by `when_us`; the query itself
    says which are meant, of the times from the one to the other."""
    every = seasons(connection, first_us, upto_us)
    if not every:
        return []
    season, most = schema.season(when_us), bindparam("most", type_=Integer)
    wanted = wanted.limit(most)
    # In order as it is read: with much mail, a page ends here.
    newest = wanted.where(season == every[0])
    found = list(connection.execute(newest, {"most": limit}))
    others = wanted.where(among_given(connection, season))
    for some in _wider(every[1:]):
        if len(found) >= limit:
            break
        found += connection.execute(others, {"most": limit - len(found), **given(some)})
    return found


def _wider(some: Iterable[int]) -> Iterator[Sequence[int]]:
    """The next few, then more, and so on."""
    left, width = list(some), _WIDER
    while left:
        yield left[:width]
        left, width = left[width:], width * _WIDER
