"""The timeline: pages of mail, newest first, and one message with everything known of it.

Rows are dictionaries in the shape of contract.md ("`emails` row"); `owners`, `seen`, `from_name`,
`preview` and `flags` are ours besides. Newest is what was seen last: clocks of senders are wrong.
Whatever the filters, a page is read along one index that is already in order, by keyset (after the
last row of the page before), season by season where it begins with them (seasons.py), so its cost
does not grow with the store; tests/keepers/test_query_plans.py holds that.

Hidden mail (relink.py) is on no page: links, sightings and messages with `hidden` are passed over
along the index.

With a `viewer` (a login or address) a page has what sharing.py shows them and nothing else: their
messages, and of each their sightings; a Bcc of somebody else is not in the row, not a link, and not
the reason why a message is on the page. Without one it is the operator who looks: a recipient whom
only the envelope knew is marked with the role "bcc".
"status" speaks for all recipients: the worst of them. On the page of a record or an address it is
that of those who are on it (three queries more for a page with mail that bounced or waits).
A keeper, read side. Cites: contract.md; features.md A2, A30, B2; beyond.md 1.20.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    exists,
    func,
    select,
    tuple_,
)

from crmstore import addresses, delivery, schema, seasons
from crmstore.bulk import rows_among
from crmstore.charsets import storable
from crmstore.personal import RULE
from crmstore.sharing import Viewer, owner_of, viewer_of
from crmstore.store import Store
from crmstore.times import moment
from crmstore.whose import ROLES

__all__ = ["Page", "all_at_once", "page", "rows_for"]

MAX_PAGE = 1_000
_PARTED = ("hard_bounce", "soft_bounce", "queued")  # may not be true of every recipient

messages = schema.messages.c
participants = schema.participants
sightings = schema.sightings
links = schema.links
records = schema.records.c
held = schema.record_addresses.c


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first; `next` is what to give as `before` for the page behind, None at the
    end. It is the `place` of the last row."""

    rows: list[dict[str, Any]]
    next: str | None


def page(
    store: Store,
    *,
    address: str | None = None,
    record: int | None = None,
    user: str | None = None,
    source: str | None = None,
    thread: int | None = None,
    limit: int = 50,
    before: str | None = None,
    viewer: str | None = None,
) -> Page:
    """The messages that fit every filter. ValueError for a `before` that was not a `next`."""
    limit = max(1, min(limit, MAX_PAGE))
    with store.reading() as connection:
        who = viewer_of(connection, viewer)
        owner = owner_of(connection, user)
        key = addresses.key(address) or _typed(address) if address else None
        after = _cursor(before)
        wanted, leading = _wanted(
            address=key,
            record=record,
            owner=owner,
            source=None if source is None else storable(source),
            thread=thread,
            viewer=who,
            after=after,
        )
        found: Sequence[Any]
        if leading is None:
            found = connection.execute(wanted.limit(limit + 1)).all()
        else:
            upto = seasons.END if after is None else after[0]
            question = seasons.asked(connection.dialect.name, wanted, *leading)
            found = seasons.newest(connection, question, limit + 1, upto_us=upto)
        ids = [row[1] for row in found[:limit]]
        rows = rows_for(connection, ids, owner, who, about=_About(key, record))
    places = {id_: f"{when}:{id_}" for when, id_ in found}
    for row in rows:
        row["place"] = places[row["id"]]
    return Page(rows, places[ids[-1]] if len(found) > limit else None)


def _cursor(before: str | None) -> tuple[int, int] | None:
    if not before:
        return None
    when, colon, id_ = before.partition(":")
    if not colon or not all(n.isascii() and n.isdigit() and len(n) < 19 for n in (when, id_)):
        raise ValueError("before: allowed is what the page before gave as next")
    return int(when), int(id_)


def _typed(text: str) -> str:
    """What a person asks for, as a text that a database can be asked for."""
    return storable(text.strip().lower())


def _wanted(
    *,
    address: str | None,
    record: int | None,
    owner: str | None,
    source: str | None,
    thread: int | None,
    viewer: Viewer | None,
    after: tuple[int, int] | None,
) -> tuple[Select[Any], tuple[ColumnElement[int], Sequence[ColumnElement[bool]]] | None]:
    """(when, id) of the messages, in order; and the time and key of what is to be asked for by
    season, if any is. The narrowest filter leads, the others are looked up for each of its rows."""
    filters: list[tuple[FromClause, list[ColumnElement[bool]]]] = []
    if record is not None:
        filters.append((links, [links.c.record_id == record, links.c.hidden == 0]))
    if address is not None:
        filters.append((participants, [participants.c.address == address]))
    if owner is not None:
        own = [sightings.c.owner == owner, sightings.c.hidden == 0]
        if source is not None:
            own.append(sightings.c.source == source)
        filters.append((sightings, own))
    elif source is not None:
        filters.append((sightings, [sightings.c.source == source, sightings.c.hidden == 0]))
    key = list(filters[0][1]) if filters else []  # what an index answers; the rest is looked up
    for table, conditions in filters:
        if table is participants:
            conditions.append(_not_hidden())
    if viewer is not None:
        for table, conditions in filters:
            conditions.append(viewer.sighting() if table is sightings else viewer.person(table))
        if not any(table is sightings for table, _ in filters):
            filters.append((sightings, [viewer.sighting()]))
    if not filters or thread is not None:
        wanted = select(messages.when_us, messages.id).where(messages.hidden == 0)
        if thread is not None:
            wanted = wanted.where(messages.thread == thread)
        for other, more in filters:
            wanted = wanted.where(exists().where(other.c.message_id == messages.id, *more))
        if after is not None:
            wanted = wanted.where(tuple_(messages.when_us, messages.id) < after)
        return wanted.order_by(messages.when_us.desc(), messages.id.desc()), None
    (table, conditions), *others = filters
    when, id_ = table.c.when_us, table.c.message_id
    wanted = select(when, id_).where(*conditions).distinct()
    for other, more in others:
        wanted = wanted.where(exists().where(other.c.message_id == id_, *more))
    if after is not None:
        wanted = wanted.where(tuple_(when, id_) < after)
    return wanted.order_by(when.desc(), id_.desc()), None if table is sightings else (when, key)


def _not_hidden() -> ColumnElement[bool]:
    return exists().where(messages.id == participants.c.message_id, messages.hidden == 0)


# Rows


class _About(NamedTuple):
    """Whose page it is: an address in key() form, a record, or nobody's."""

    address: str | None = None
    record: int | None = None

    def recipients(self, linked: Iterable[Row[Any]]) -> set[str]:
        """The addresses that such a page is about, of those a message is linked by."""
        if self.address is not None:
            return {self.address}
        on_it = (link for link in linked if link.record_id == self.record)
        return {link.address for link in on_it if link.role != RULE}


_NOBODY = _About()


def rows_for(
    connection: Connection,
    ids: Sequence[int],
    owner: str | None = None,
    viewer: Viewer | None = None,
    *,
    about: _About = _NOBODY,
) -> list[dict[str, Any]]:
    """The contract's rows of these messages, in this order; those that are not shown are left
    out."""
    if not ids:
        return []
    all_at_once(connection)
    found = {row.id: row for row in rows_among(connection, _MESSAGES, messages.id, ids)}
    seen = _by_message(connection, _SEEN, sightings.c.message_id, ids)
    people = _by_message(connection, _ADDRESSED, participants.c.message_id, ids)
    filed = [row.id for row in found.values() if row.attachments]
    files = _by_message(connection, _FILES, schema.attachments.c.message_id, filed) if filed else {}
    linked = _by_message(connection, _LINKED, links.c.message_id, ids)
    shared = _shared(connection, {link.address for some in linked.values() for link in some})
    if viewer is not None:
        people = {id_: viewer.people(some, seen.get(id_, ())) for id_, some in people.items()}
        linked = {id_: viewer.people(some, seen.get(id_, ())) for id_, some in linked.items()}
        seen = {id_: shown for id_, some in seen.items() if (shown := viewer.sightings(some))}
        owner = owner or viewer.login
    ends: dict[str, dict[str, str]] = {}
    if about != _NOBODY:
        differ = [some for some in seen.values() if any(s.status in _PARTED for s in some)]
        tries = [s.capture_id for some in differ for s in some if s.source == "submission"]
        ends = delivery.statuses(connection, tries) if tries else {}
    return [
        _row(
            found[id_],
            seen.get(id_, []),
            people.get(id_, []),
            linked.get(id_, []),
            files.get(id_, []),
            owner,
            shared,
            delivery.theirs(
                ends,
                [sighting.capture_id for sighting in seen.get(id_, [])],
                about.recipients(linked.get(id_, [])),
            ),
        )
        for id_ in ids
        if id_ in found and (viewer is None or id_ in seen)
    ]


def all_at_once(connection: Connection) -> None:
    """For the rest of this transaction: PostgreSQL asks the disk for the rows that a statement
    names together (a bitmap scan reads ahead as far as the server's `effective_io_concurrency`
    says), not for one after the other. The rows of a page lie anywhere, each a wait for the disk if
    memory does not have it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT set_config('enable_indexscan', 'off', true),"
            " set_config('enable_seqscan', 'off', true)"
        )


# Of what lies around a message a page reads those rows and columns only that it shows.
_MESSAGES = select(schema.messages)
_SEEN = select(sightings).order_by(sightings.c.seen_us, sightings.c.id)
_ADDRESSED = (
    select(
        participants.c.message_id,
        participants.c.role,
        participants.c.address,
        participants.c.evidence,
        participants.c.capture_id,
    )
    .where(participants.c.role.in_(("to", "cc")))
    .order_by(participants.c.id)
)
_FILES = select(schema.attachments).order_by(schema.attachments.c.position)
_LINKED = (
    select(links, records.kind, records.type, records.name)
    .join(schema.records, records.id == links.c.record_id)
    .where(links.c.hidden == 0)
    .order_by(links.c.record_id, links.c.role, links.c.address)
)


def _by_message(
    connection: Connection, wanted: Select[Any], column: ColumnElement[int], ids: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = {}
    for row in rows_among(connection, wanted, column, ids):
        grouped.setdefault(row.message_id, []).append(row)
    return grouped


def _row(
    message: Row[Any],
    seen: Sequence[Row[Any]],
    people: Iterable[Row[Any]],
    linked: Iterable[Row[Any]],
    files: Iterable[Row[Any]],
    owner: str | None,
    shared: Mapping[str, int],
    ends: Mapping[str, str],
) -> dict[str, Any]:
    """A message has one row however often it was seen: it is told as `owner` saw it, if they
    did, else as it was seen first."""
    shown = [sighting for sighting in seen if not sighting.hidden] or seen
    mine = [sighting for sighting in shown if sighting.owner == owner]
    first = next(iter([*mine, *shown]), None)
    to: list[str] = []
    cc: list[str] = []
    for person in people:
        if person.role == "to":
            to.append(person.address)
        elif person.role == "cc":
            cc.append(person.address)
    return {
        "id": message.id,
        "message_id": message.message_id or None,
        "subject": message.subject,
        "from": message.from_address,
        "to": to,
        "cc": cc,
        "date": moment(message.date_us),
        "direction": first.direction if first is not None else None,
        "owner": first.owner if first is not None else None,
        "source": sorted({sighting.source for sighting in shown}),
        "status": _status(first, shown, ends),
        "thread": message.thread,
        "records": _records(linked, shared),
        "attachments": [{"name": f.name, "bytes": f.bytes, "type": f.type} for f in files],
        "owners": sorted({sighting.owner for sighting in shown}),
        "seen": moment(message.when_us),
        "from_name": message.from_name,
        "preview": message.preview,
        "flags": message.flags.split(),
    }


def _status(
    first: Row[Any] | None, seen: Sequence[Row[Any]], ends: Mapping[str, str]
) -> str | None:
    """Sent again after it was refused: what became of it is what became of the last try. A copy in
    a Sent folder knows nothing of that. `ends`: of the sendings to those whom the page is about."""
    if first is None or first.direction != "sent":
        return first.status if first is not None else None
    tries = [s for s in seen if s.owner == first.owner and s.source == "submission"]
    theirs = [ends[s.capture_id] for s in tries if s.capture_id in ends]
    if theirs:
        return theirs[-1]
    return str((tries[-1] if tries else first).status)


_HOLDERS = (
    select(held.address, func.count().label("holders"))
    .where(held.until_us.is_(None))
    .group_by(held.address)
)


def _shared(connection: Connection, linked_by: Collection[str]) -> dict[str, int]:
    """How many records have each of these addresses now."""
    if not linked_by:
        return {}
    rows = rows_among(connection, _HOLDERS, held.address, linked_by)
    return {row.address: row.holders for row in rows}


def _records(linked: Iterable[Row[Any]], shared: Mapping[str, int]) -> list[dict[str, Any]]:
    """Each record once, by its best reason: a person in From is more than one in Cc.
    `shared_by`: how many records have the address that is the reason."""
    best: dict[int, Row[Any]] = {}
    for link in linked:
        known = best.get(link.record_id)
        if known is None or ROLES.index(link.role) < ROLES.index(known.role):
            best[link.record_id] = link
    return [
        {
            "id": link.record_id,
            "kind": link.kind,
            "type": link.type,
            "name": link.name,
            "role": link.role,
            "evidence": f"{link.evidence}: {link.address}",
            "shared_by": max(1, shared.get(link.address, 0)),
        }
        for link in best.values()
    ]
