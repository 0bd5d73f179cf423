"""Full-text search: the mail that has these words, newest first, a page at a time.

A word matches a word; of Japanese (and other scripts without spaces) any part matches; "a phrase"
matches words that stand side by side; several terms must all be there; -term must not. The index
says which messages have the tokens (searchread.py), and where that is not the whole question, the
text itself is looked at (tokens.py). Nothing of it is the engine's, so the answers are the same.

Newest is what entered the store last; ids say that, so a page is resumed after an id.
Promises: a bounded amount of work for any question and any number of messages: the segments of the
index are asked newest first, a few at a time, and after BUDGET seconds the page ends with what
was found; `next` then goes on from there, and `whole` says that there may be more. A filter that
leaves few messages is read instead of the index.
Bcc is searched by nobody: it is not in the index, and the filter by address obeys timeline.py's
rule. `viewer` is whom the answer is for; who may see which message at all is a later issue's: one
more condition in _Filters.
A keeper, read side. Cites: libraries.md "search"; features.md A28, A30; docs/decisions/0091, 0094.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, select

from crmstore import addresses, document, schema, seasons
from crmstore.blockindex import Probe
from crmstore.bulk import among, by_index
from crmstore.searchread import Asked, Index
from crmstore.sharing import Viewer, owner_of, viewer_of
from crmstore.snippet import cut
from crmstore.store import Store
from crmstore.timeline import MAX_PAGE, rows_for
from crmstore.tokens import FIELD, Query, Refused, Sight, Term, parse, term

__all__ = ["BUDGET", "Found", "Refused", "Wanted", "search"]

BUDGET = 0.3  # seconds
FEW = 500  # messages that are read rather than searched
FIRST_LOOK, LAST_LOOK = 64, 4_096  # candidates tried at once; they grow while little fits
MOST_READ = 256  # of them, if their texts must be read
MOST_ASKED = 64  # tokens that the index is asked for; the text decides the rest

messages = schema.messages.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters; all that are given must fit. Times in microseconds: first_us <= seen < until_us."""

    address: str | None = None
    record: int | None = None
    user: str | None = None
    thread: int | None = None
    source: str | None = None
    direction: str | None = None  # "sent" or "received"
    first_us: int | None = None
    until_us: int | None = None
    files: bool = False  # has an attachment
    file: str | None = None  # has one with these words in its name


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of timeline.py with "snippet" and "highlights" ([start, end] in it). `next` is what
    to give as `before`; `whole`: the page is not short because time was up. `damaged`: how often
    the index could not be read, and texts were instead."""

    rows: list[dict[str, Any]]
    next: str | None
    whole: bool = True
    damaged: int = 0


def search(
    store: Store,
    text: str,
    wanted: Wanted | None = None,
    *,
    limit: int = 20,
    before: str | None = None,
    viewer: str | None = None,
    budget: float = BUDGET,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """A page of what fits. Refused (a ValueError) for a text that is no question, ValueError for
    a `before` that was not a `next`."""
    query = parse(text)
    limit = max(1, min(limit, MAX_PAGE))
    below = _cursor(before)
    wanted = wanted or Wanted()
    until = clock() + budget
    with store.reading() as connection:
        who = viewer_of(connection, viewer)
        owner = owner_of(connection, wanted.user)
        filters = _Filters(connection, wanted, owner, who)
        reading = _Reading(connection, query, filters)
        hits: dict[int, str] = {}
        place = 0
        whole = True
        for ids, place in reading.looks(below):
            for id_, text_of in reading.fitting(ids):
                hits[id_] = text_of
                if len(hits) > limit:
                    break
            if len(hits) > limit:
                break
            if clock() > until and place > 0:
                whole = False
                break
        shown = list(hits)[:limit]
        rows = rows_for(connection, shown, owner, who)
        texts = {id_: hits[id_] for id_ in shown if hits[id_]}
        texts |= reading.texts([id_ for id_ in shown if id_ not in texts])
        for row in rows:
            _add_snippet(row, texts.get(row["id"], ""), query.terms)
    if len(hits) > limit:
        return Found(rows, str(shown[-1]), damaged=reading.damaged)
    return Found(rows, None if whole else str(place), whole, reading.damaged)


def _cursor(before: str | None) -> int | None:
    if not before:
        return None
    if not (before.isascii() and before.isdigit() and len(before) < 19):
        raise ValueError("before: allowed is what the page before gave as next")
    return int(before)


def _add_snippet(row: dict[str, Any], text: str, terms: Sequence[Term]) -> None:
    fields = text.split(FIELD)
    fields += [""] * (document.BODY + 1 - len(fields))
    order = (document.BODY, document.NAMES, document.PEOPLE)
    found = cut([fields[number] for number in order], terms)
    row["snippet"] = found.text if found.marks else row["preview"][:160]
    row["highlights"] = [list(span) for span in found.marks]


class _Filters:
    """Conditions on a message besides its text."""

    def __init__(
        self, connection: Connection, wanted: Wanted, owner: str | None, viewer: Viewer | None
    ) -> None:
        self._connection = connection
        self.first_us, self.until_us = wanted.first_us, wanted.until_us
        self.file = term(wanted.file) if wanted.file is not None else None
        if wanted.file is not None and self.file is None:
            raise Refused("nothing")
        self._narrow: list[tuple[ColumnElement[int], ColumnElement[bool]]] = []
        self._conditions: list[ColumnElement[bool]] = [messages.hidden == 0]
        if wanted.record is not None:
            links = schema.links
            on_it = and_(links.c.record_id == wanted.record, links.c.hidden == 0)
            self._add(links, on_it, viewer)
        if wanted.address is not None:
            people = schema.participants
            key = addresses.key(wanted.address) or wanted.address.strip().lower()
            self._add(people, people.c.address == key, viewer)
        sightings = schema.sightings
        seen = [
            column == value
            for column, value in (
                (sightings.c.owner, owner),
                (sightings.c.source, wanted.source),
                (sightings.c.direction, wanted.direction),
            )
            if value is not None
        ]
        if seen:
            seen.append(sightings.c.hidden == 0)
        if viewer is not None:
            seen.append(viewer.sighting())
        if owner is not None or viewer is not None:
            self._narrow.append((sightings.c.message_id, and_(*seen)))
        if seen:
            self._conditions.append(
                exists().where(sightings.c.message_id == messages.id, and_(*seen))
            )
        if wanted.thread is not None:
            self._narrow.append((messages.id, messages.thread == wanted.thread))
            self._conditions.append(messages.thread == wanted.thread)
        if wanted.files or self.file is not None:
            self._conditions.append(messages.attachments > 0)
        if self.first_us is not None:
            self._conditions.append(messages.when_us >= self.first_us)
        if self.until_us is not None:
            self._conditions.append(messages.when_us < self.until_us)

    def _add(self, source: Any, condition: ColumnElement[bool], viewer: Viewer | None) -> None:
        if viewer is not None:
            condition = and_(condition, viewer.person(source))
        first = seasons.START if self.first_us is None else self.first_us
        times = seasons.seasons(self._connection, first)
        then = seasons.within(self._connection, source.c.when_us, times)
        self._narrow.append((source.c.message_id, and_(then, condition)))
        self._conditions.append(exists().where(source.c.message_id == messages.id, condition))

    def few(self) -> list[int] | None:
        """The messages of a filter that leaves few, newest first; None if there is none such."""
        for ids, condition in self._narrow:
            found = self._connection.execute(select(ids).where(condition).limit(FEW + 1))
            some = set(found.scalars())
            if len(some) <= FEW:
                return sorted(some, reverse=True)
        return None

    def spans(self) -> set[int] | None:
        """The spans of ids that have mail of the time; None: all."""
        if self.first_us is None and self.until_us is None:
            return None
        columns = schema.search_spans.c
        wanted = select(columns.number)
        if self.first_us is not None:
            wanted = wanted.where(columns.last_us >= self.first_us)
        if self.until_us is not None:
            wanted = wanted.where(columns.first_us < self.until_us)
        return set(self._connection.execute(wanted).scalars())

    def passed(self, ids: Sequence[int]) -> list[int]:
        """Those that fit, in the same order."""
        if not self._conditions:
            return list(ids)
        named = among(self._connection, messages.id, ids)
        wanted = select(messages.id).where(named, *self._conditions)
        good = set(self._connection.execute(wanted).scalars())
        return [id_ for id_ in ids if id_ in good]


class _Reading:
    """One question on its way through the windows."""

    def __init__(self, connection: Connection, query: Query, filters: _Filters) -> None:
        self._connection = connection
        self._query = query
        self._filters = filters
        self._few = filters.few()
        index_decides = (
            self._few is None
            and filters.file is None
            and all(one.exact for one in (*query.terms, *query.without))
        )
        self._must_read = not index_decides
        self._look = FIRST_LOOK
        self.damaged = 0
        by_index(connection)

    def looks(self, below: int | None) -> Iterator[tuple[list[int], int]]:
        """(candidates in descending order, the id down to which all were named), and on."""
        if self._few is not None:
            ids = [id_ for id_ in self._few if below is None or id_ < below]
            for start in range(0, len(ids), 50):
                some = ids[start : start + 50]
                yield some, some[-1] if start + 50 < len(ids) else 0
            return
        index = Index(self._connection, self._asked())
        decided = not self._must_read
        for ids, place, sure in index.named(below, self._filters.spans()):
            self._must_read = not (decided and sure)
            self.damaged = index.damaged
            while len(ids) > self._look:
                some, ids = ids[: self._look], ids[self._look :]
                yield some, some[-1]
            yield ids, place

    def _asked(self) -> Asked:
        """What the index is asked; what it cannot know is seen in the text."""
        terms = [*self._query.terms, *([self._filters.file] if self._filters.file else [])]
        must = dict.fromkeys(probe for one in terms for probe in _probes(one))
        without = [probe for one in self._query.without if one.exact for probe in _probes(one)]
        return Asked(list(must)[:MOST_ASKED], without, self._must_read)

    def fitting(self, ids: Sequence[int]) -> Iterator[tuple[int, str]]:
        """(id, its document if it was read) of the candidates that fit."""
        good = self._filters.passed(ids)
        self._look = min(self._look * 4, MOST_READ if self._must_read else LAST_LOOK)
        if not self._must_read:
            yield from ((id_, "") for id_ in good)
            return
        for start in range(0, len(good), 50):
            texts = self.texts(good[start : start + 50])
            for id_ in good[start : start + 50]:
                text = texts.get(id_)
                if text is not None and self._fits(text):
                    yield id_, text

    def _fits(self, text: str) -> bool:
        sight, query = Sight(text), self._query
        if not all(map(sight.has, query.terms)) or any(map(sight.has, query.without)):
            return False
        file = self._filters.file
        return file is None or Sight(text.split(FIELD)[document.NAMES]).has(file)

    def texts(self, ids: Sequence[int]) -> dict[int, str]:
        """The documents of messages."""
        texts = schema.search_texts.c
        rows = self._connection.execute(
            select(texts.message_id, texts.document).where(
                among(self._connection, texts.message_id, ids)
            )
        )
        return {row.message_id: document.unpacked(bytes(row.document)) for row in rows}


def _probes(term: Term) -> Iterator[Probe]:
    for token in term.asked:
        yield Probe(token.encode("utf-8", "replace"))
    if term.prefix:
        yield Probe(term.prefix.encode("utf-8", "replace"), whole=False)
