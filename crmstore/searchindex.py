"""The search index, write side: the tokens and the text of new messages, in their transaction.

Three levels, in ordinary tables that are the same on every engine (docs/decisions/0094):
- `search_pending`: the tokens of a message as they are. At most SEAL messages wait there.
- `search_segments` and `search_blocks`: a segment is the messages from one id to another, and has
  a block (blockindex.py) in each bucket. As soon as SEAL messages are there, they become a segment.
- JOIN new segments become one, by putting their blocks together: an octet is written twice.

Promises: a message is in search_pending or in one segment, as it was committed; ids ascend from
segment to segment, and those of pending messages are above them all, since ids are given in the
order of the transactions. What a transaction does is bounded by its own messages and, each JOIN-th
time, one joining of about JOIN_OCTETS. A block that is damaged stops nobody: it stays damaged, and
search (searchread.py) reads the texts of its messages instead.
`search_spans` has the first and the last moment of every SPAN ids, for questions about dates.
A keeper.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from crmstore import blockindex, schema
from crmstore.blockindex import BUCKETS
from crmstore.bulk import insert_rows
from crmstore.tokens import Tokens

__all__ = ["SPAN", "Entry", "Turned", "add", "turn"]

SPAN = 1 << 10
SEAL = 256  # messages
LARGE = 64 << 10  # octets of a message's tokens that do not wait
JOIN = 16  # segments
JOINED = 2 << 20  # octets of a segment that is joined with no other any more
JOIN_OCTETS = 16 << 20
_TEXTS = ("message_id", "document")
_PENDING = ("message_id", "tokens")
_BLOCKS = ("id", "octets")
DAMAGED = b"damaged"  # in the place of a block that could not be read when it was to be joined


class Entry(NamedTuple):
    """A new message: its packed document and the tokens of it (document.py, tokens.py)."""

    id: int
    when_us: int
    document: bytes
    tokens: Tokens


class Turned(NamedTuple):
    """Tokens of messages that will come one after the other, turned round before anybody knows
    their ids: of each part the number of its first message, and its bodies."""

    tokens: list[Tokens]
    parts: list[tuple[int, list[blockindex.Body | None]]]

    def of(self, entries: Sequence[Entry]) -> bool:
        """Whether it is these messages', and they came as was thought."""
        return (
            len(entries) == len(self.tokens)
            and entries[-1].id - entries[0].id == len(entries) - 1
            and all(e.tokens is tokens for e, tokens in zip(entries, self.tokens, strict=True))
        )


def turn(tokens: Sequence[Tokens]) -> Turned | None:
    """The most of add()'s work, without the store, for who has time before. None where it would be
    in vain: there are too few messages, or one of them says nothing."""
    if len(tokens) < SEAL or not all(tokens):
        return None
    parts = []
    for some in blockindex.cuts(list(enumerate(tokens))):
        first = some[0][0]
        parts.append((first, blockindex.turned([(number - first, one) for number, one in some])))
    return Turned(list(tokens), parts)


def add(connection: Connection, entries: Sequence[Entry], turned: Turned | None = None) -> None:
    """Index messages that are new to the store, their ids ascending and above all others.
    `turned`: what turn() made of what these may be."""
    if not entries:
        return
    texts = [(entry.id, entry.document) for entry in entries]
    insert_rows(connection, schema.search_texts, _TEXTS, texts)
    new = [(entry.id, entry.tokens) for entry in entries if entry.tokens]
    _spans(connection, entries)
    pending = schema.search_pending
    if len(new) < SEAL and all(tokens.octets < LARGE for _, tokens in new):
        known = connection.execute(select(func.count()).select_from(pending)).scalar_one()
        if known + len(new) < SEAL:
            rows = [(id_, b" %b " % tokens.text) for id_, tokens in new]
            insert_rows(connection, pending, _PENDING, rows)
            return
    waiting: list[blockindex.Message] = [
        (row.message_id, Tokens(bytes(row.tokens)))
        for row in connection.execute(select(pending).order_by(pending.c.message_id))
    ]
    if waiting:
        connection.execute(delete(pending))
    usable = turned is not None and not waiting and turned.of(entries)
    _seal(connection, waiting + new, turned if usable else None)
    _join(connection)


def _seal(
    connection: Connection, messages: Sequence[blockindex.Message], turned: Turned | None
) -> None:
    """A new segment of these messages."""
    first, last = messages[0][0], messages[-1][0]
    if turned is not None:
        parts = [blockindex.placed(first + number, bodies) for number, bodies in turned.parts]
    else:
        parts = [blockindex.parts(some) for some in blockindex.cuts(messages)]
    _write(connection, first, last, [b"".join(block) for block in zip(*parts, strict=True)])


def _join(connection: Connection) -> None:
    """The newest segments, if there are enough small ones, become one."""
    columns = schema.search_segments.c
    newest = connection.execute(
        select(schema.search_segments).order_by(columns.first_id.desc()).limit(JOIN)
    ).all()
    small = list(takewhile(lambda row: row.octets < JOINED, newest))
    octets = sum(row.octets for row in small)
    if len(small) < JOIN and octets < JOIN_OCTETS:
        return
    first, last = small[-1].first_id, small[0].last_id
    table = schema.search_blocks
    there = table.c.id.between(first * BUCKETS, small[0].first_id * BUCKETS + BUCKETS - 1)
    blocks: list[list[bytes]] = [[] for _ in range(BUCKETS)]
    for row in connection.execute(select(table).where(there).order_by(table.c.id)):
        blocks[row.id % BUCKETS].append(bytes(row.octets))
    connection.execute(delete(table).where(there))
    connection.execute(
        delete(schema.search_segments).where(columns.first_id.between(first, small[0].first_id))
    )
    _write(connection, first, last, [_joined(block) for block in blocks], octets)


def _joined(blocks: Sequence[bytes]) -> bytes:
    try:
        return blockindex.joined(blocks) if blocks else b""
    except blockindex.Damaged:
        return DAMAGED


def _write(
    connection: Connection, first: int, last: int, blocks: Sequence[bytes], octets: int = 0
) -> None:
    """A segment; `octets` is the size of its blocks as they are, if they are not."""
    rows = [(first * BUCKETS + place, block) for place, block in enumerate(blocks) if block]
    insert_rows(connection, schema.search_blocks, _BLOCKS, rows)
    size = octets or sum(map(len, blocks))
    connection.execute(
        insert(schema.search_segments).values(first_id=first, last_id=last, octets=size)
    )


def _spans(connection: Connection, entries: Sequence[Entry]) -> None:
    """Widen the spans of time that the ids of these messages belong to."""
    spans: dict[int, tuple[int, int]] = {}
    for entry in entries:
        number, when = entry.id // SPAN, entry.when_us
        first, last = spans.get(number, (when, when))
        spans[number] = min(first, when), max(last, when)
    table = schema.search_spans
    for number, (first, last) in spans.items():
        known = connection.execute(select(table).where(table.c.number == number)).one_or_none()
        if known is None:
            connection.execute(insert(table).values(number=number, first_us=first, last_us=last))
        elif first < known.first_us or last > known.last_us:
            connection.execute(
                update(table)
                .where(table.c.number == number)
                .values(first_us=min(first, known.first_us), last_us=max(last, known.last_us))
            )
