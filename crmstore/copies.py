"""Which message of the store is a capture a copy of? A batch at a time.

Copies are found by their content (crmstore/identity.py), along one index on its print and by
exact values: the cost does not grow with the store, nor with mail that has the same content a
million times. Only a copy without Message-ID or without Date may have to be held against others
that it cannot name; then `MAX_CANDIDATES` of them are looked at.
A keeper of `messages`, as far as identity goes; every function works inside the caller's
transaction. Cites: beyond.md 2, 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, Select, select, update

from crmstore import schema
from crmstore.bulk import among
from crmstore.facts import Facts, date_of
from crmstore.identity import Hint, choose, id_hash, print_of, prints_at, prints_of, raw_key
from crmstore.linker import several

__all__ = ["Copies", "Known", "Told", "recognise", "told"]

MAX_CANDIDATES = 200
FIRST = "seen first"

messages = schema.messages.c


@dataclass(frozen=True, slots=True)
class Told:
    """What one capture says about which message it is."""

    key: str
    hint: Hint
    message_id: str
    date_header: str


@dataclass(slots=True)
class Known:
    """A message with this content; `id` is 0 until a new one gets its own. `when_us`: its sort
    time."""

    id: int
    key: str
    hint: Hint
    when_us: int
    first: int = -1  # of a new one: the number of the capture that brings it
    # columns of the message that a copy told first
    learned: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Copies:
    """The answer for a batch: of each capture its message and the evidence, in their order."""

    of: list[tuple[Known, str]] = field(default_factory=list)
    new: list[Known] = field(default_factory=list)


def told(facts: Facts, sha256: str, seen_us: int) -> Told:
    """What a capture tells; one that could not be read tells its octets."""
    hint = Hint(id_hash(facts.message_id), facts.date, seen_us // 1_000_000)
    return Told(facts.key or raw_key(sha256), hint, facts.message_id, facts.date_header)


def recognise(connection: Connection, batch: Sequence[tuple[Told, int]]) -> Copies:
    """The messages of a batch of (what it tells, when it was seen in microseconds), first seen
    first. What known messages learn is written; new ones are the caller's to insert."""
    known = _known(connection, [one for one, _ in batch])
    searched: set[str] = set()
    copies = Copies()
    for number, (one, when_us) in enumerate(batch):
        some = known.setdefault(one.key, [])
        index, decision = choose([each.hint for each in some], one.hint)
        if index is None and not one.hint.tells_all and one.key not in searched:
            searched.add(one.key)
            some = known[one.key] = _more(connection, one.key, some)
            index, decision = choose([each.hint for each in some], one.hint)
        if index is None:
            found = Known(0, one.key, one.hint, when_us, number)
            some.append(found)
            copies.new.append(found)
            copies.of.append((found, FIRST if len(some) == 1 else f"{FIRST} ({decision.evidence})"))
            continue
        found = some[index]
        _learn(found, one)
        copies.of.append((found, decision.evidence))
    _write_learned(connection, known.values())
    return copies


def _known(connection: Connection, batch: Iterable[Told]) -> dict[str, list[Known]]:
    """Key -> messages where copies of the batch may stand, oldest first: one query."""
    prints = {number for one in batch for number in prints_at(one.key, one.hint.places())}
    found: dict[str, list[Known]] = {}
    for chunk in several(sorted(prints)):
        wanted = _select().where(among(connection, messages.print, chunk))
        for row in connection.execute(wanted):
            found.setdefault(row.identity, []).append(_of_row(row))
    for some in found.values():
        some.sort(key=lambda one: one.id)
    return found


def _more(connection: Connection, key: str, some: Sequence[Known]) -> list[Known]:
    """Others with this content, wherever they stand."""
    wanted = _select().where(messages.print.between(*prints_of(key)), messages.identity == key)
    rows = connection.execute(wanted.limit(MAX_CANDIDATES))
    here = {one.id for one in some}
    stored = [one for one in some if one.id] + [_of_row(row) for row in rows if row.id not in here]
    return sorted(stored, key=lambda one: one.id) + [one for one in some if not one.id]


def _select() -> Select[tuple[int, str, int, int, str]]:
    return select(
        messages.id, messages.identity, messages.hint, messages.when_us, messages.date_header
    )


def _of_row(row: Row[tuple[int, str, int, int, str]]) -> Known:
    hint = Hint.stored(row.hint, date_of(row.date_header), row.when_us // 1_000_000)
    return Known(row.id, row.identity, hint, row.when_us)


def _learn(known: Known, one: Told) -> None:
    """A gateway gave this copy a Message-ID or a Date that the ones before did not have."""
    old = known.hint
    if not old.id and one.hint.id:
        known.learned["message_id"] = one.message_id
        known.hint = known.hint._replace(id=one.hint.id)
    if old.date is None and one.hint.date is not None:
        known.learned["date_header"] = one.date_header
        known.hint = known.hint._replace(date=one.hint.date)


def _write_learned(connection: Connection, known: Iterable[Sequence[Known]]) -> None:
    for one in [one for some in known for one in some if one.learned and one.id]:
        place = one.hint.place
        values = {**one.learned, "hint": place, "print": print_of(one.key, place)}
        connection.execute(update(schema.messages).where(messages.id == one.id).values(values))
