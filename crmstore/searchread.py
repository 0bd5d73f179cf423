"""The search index, read side: which messages have all tokens of a question, newest first.

Messages that wait (search_pending) are looked through; segments follow, the newest one first, then
more of them at once as long as little is found. Of the newest all tokens are looked up, and with
that it is known which are rare: behind it the rarest come first, and a segment that has nothing
left is not asked for the others.

Promises: ids in descending order, each once, and a place to go on from after each step, whatever is
sealed or joined meanwhile. A step reads at most MOST_SEGMENTS blocks for a token. Where a block is
damaged, its token is taken to be anywhere (`sure` is False then: the texts must be read).
A keeper. Cites: docs/decisions/0094.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from crmstore import schema
from crmstore.blockindex import BUCKETS, Damaged, Probe, bucket, has, having
from crmstore.bulk import among
from crmstore.searchindex import SPAN

__all__ = ["Asked", "Index", "Named"]

MOST_SEGMENTS = 16
FEW = 64  # ids of a step; below that the next one looks at more segments
ENOUGH = 4  # candidates of a segment that are read rather than narrowed further

_Hits = dict[int, set[int]]  # base of a part -> what to add to it for the ids


class Asked(NamedTuple):
    """All of `must`, none of `without`. `read`: the texts will be looked at anyway, so a few too
    many do no harm."""

    must: Sequence[Probe]
    without: Sequence[Probe]
    read: bool


class Named(NamedTuple):
    """Ids in descending order; the id down to which all were named; whether they surely fit."""

    ids: list[int]
    place: int
    sure: bool


class _Segment(NamedTuple):
    first: int
    last: int


class Index:
    """One question to the index."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self._connection = connection
        self._asked = asked
        self.damaged = 0  # blocks that could not be read
        self._seen: dict[Probe, int] = dict.fromkeys(asked.must, 0)

    def named(self, below: int | None, spans: Collection[int] | None) -> Iterator[Named]:
        """What fits of the ids below `below`, in these spans (searchindex.SPAN); None: of all."""
        segments = self._segments(below, spans)
        waiting = _within(self._pending(below), below, spans)
        if waiting:
            yield Named(waiting, segments[0].last + 1 if segments else 0, sure=True)
        at_once = 1
        while segments:
            group, segments = segments[:at_once], segments[at_once:]
            found, sure = self._looked_up(group)
            ids = _within(found, below, spans)
            yield Named(ids, group[-1].first if segments else 0, sure)
            at_once = min(at_once * 2, MOST_SEGMENTS) if len(ids) < FEW else 1

    def _segments(self, below: int | None, spans: Collection[int] | None) -> list[_Segment]:
        """Those that may have something, newest first."""
        columns = schema.search_segments.c
        wanted = select(columns.first_id, columns.last_id).order_by(columns.first_id.desc())
        if below is not None:
            wanted = wanted.where(columns.first_id < below)
        found = [_Segment(*row) for row in self._connection.execute(wanted)]
        if spans is None:
            return found
        return [
            one
            for one in found
            if any(span in spans for span in range(one.first // SPAN, one.last // SPAN + 1))
        ]

    def _pending(self, below: int | None) -> list[int]:
        columns = schema.search_pending.c
        wanted = select(columns.message_id, columns.tokens)
        if below is not None:
            wanted = wanted.where(columns.message_id < below)
        must, without = self._asked.must, self._asked.without
        return [
            id_
            for id_, tokens in self._connection.execute(wanted)
            if all(has(tokens, one) for one in must)
            and not any(has(tokens, one) for one in without)
        ]

    def _looked_up(self, group: Sequence[_Segment]) -> tuple[list[int], bool]:
        """The ids of these segments, and whether they surely fit."""
        alive: dict[_Segment, _Hits | None] = dict.fromkeys(group)  # None: anything
        sure = True
        probes = sorted(self._asked.must, key=self._seen.__getitem__)
        steps = [probes] if len(group) == 1 else [[probe] for probe in probes]
        for some in steps:
            asked = [one for one in alive if not self._enough(alive[one])]
            for (segment, probe), hits in self._hits(asked, some):
                sure = sure and hits is not None
                if hits is not None:
                    self._seen[probe] += sum(map(len, hits.values()))
                    alive[segment] = _both(alive[segment], hits)
            alive = {one: left for one, left in alive.items() if left is None or left}
        for (segment, _), hits in self._hits(list(alive), self._asked.without):
            sure = sure and hits is not None
            alive[segment] = _less(alive[segment], hits or {})
        ids: list[int] = []
        for segment, left in alive.items():
            if left is None:
                ids += range(segment.first, segment.last + 1)
            else:
                ids += [base + more for base, some_ in left.items() for more in some_]
        return ids, sure

    def _enough(self, left: _Hits | None) -> bool:
        return self._asked.read and left is not None and sum(map(len, left.values())) <= ENOUGH

    def _hits(
        self, segments: Sequence[_Segment], probes: Sequence[Probe]
    ) -> Iterator[tuple[tuple[_Segment, Probe], dict[int, bytes] | None]]:
        """What the blocks say of each probe in each segment; None: nothing, they are damaged."""
        places = {
            (segment, probe): segment.first * BUCKETS + bucket(probe.token)
            for segment in segments
            for probe in probes
        }
        if not places:
            return
        columns = schema.search_blocks.c
        named = among(self._connection, columns.id, set(places.values()))
        rows = self._connection.execute(select(columns.id, columns.octets).where(named))
        blocks = {id_: bytes(octets) for id_, octets in rows}
        for both, place in places.items():
            try:
                yield both, having(blocks.get(place, b""), both[1])
            except Damaged:
                self.damaged += 1
                yield both, None


def _both(left: _Hits | None, hits: dict[int, bytes]) -> _Hits:
    if left is None:
        return {base: set(some) for base, some in hits.items()}
    return {
        base: common
        for base, some in hits.items()
        if base in left and (common := left[base].intersection(some))
    }


def _less(left: _Hits | None, hits: dict[int, bytes]) -> _Hits | None:
    if left is None:
        return None
    return {base: some.difference(hits.get(base, b"")) for base, some in left.items()}


def _within(ids: list[int], below: int | None, spans: Collection[int] | None) -> list[int]:
    """In descending order."""
    ids.sort(reverse=True)
    return [
        id_
        for id_ in ids
        if (below is None or id_ < below) and (spans is None or id_ // SPAN in spans)
    ]
