"""One step of late linking or hiding: the newest messages of a job, and the job that is left.

What relink.py promises is done here, `limit` messages at a time, along the index of participants
(or sightings) by address, newest first; so a step costs the same however much mail there is.
A link's `hidden` is the sum of FORMER, OURS and OWNER, worked out anew by each step: doing it twice
changes nothing, and a reason that has gone meanwhile is not done. Links that rules of users make
are filing.py's: they are never hidden, they are there or not.
Part of the keeper of `relinks`; every function works inside the caller's transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    select,
    tuple_,
    update,
)

from crmstore import filing, schema, seasons
from crmstore.agreed import hides, ours
from crmstore.bulk import among_given, given, insert_ignoring
from crmstore.linker import several, via
from crmstore.personal import RULE

__all__ = ["END", "FORMER", "OURS", "OWNER", "Job", "show", "step"]

FORMER = 1  # the address has left the record (and [capture].address_change is "hide")
OURS = 2  # the address is a user's, or of our domains
OWNER = 4  # everybody who saw the message has lost the address it was seen by
END = 2**62

What = Literal["link", "unlink", "settle", "hide", "show", "file"]

links, messages, sightings = schema.links, schema.messages, schema.sightings
participants = schema.participants.c
held = schema.record_addresses.c
deal_contacts = schema.deal_contacts.c
people = schema.user_addresses.c


@dataclass(frozen=True, slots=True)
class Job:
    """A row of `relinks`: what to do with the mail of an address that is older than
    (`when_us`, `message_id`), and was seen from `from_us` until before `until_us`."""

    what: What
    address: str
    record_id: int | None = None
    contact_id: int = 0
    user_id: int | None = None
    from_us: int = 0
    until_us: int | None = None
    when_us: int = END
    message_id: int = END


def step(connection: Connection, job: Job, limit: int) -> tuple[int, Job | None]:
    """The newest `limit` messages of a job: (links made, the job that is left)."""
    if job.what in ("hide", "show"):
        return 0, _owner_step(connection, job, limit)
    if job.what == "file":
        return filing.step(connection, job, limit)
    engine = connection.dialect.name
    values = {
        "whose": job.address,
        "since": job.from_us,
        "until": END if job.until_us is None else job.until_us,
        "when": job.when_us,
        "number": job.message_id,
    }
    page = seasons.newest(
        connection,
        _mail_of(engine),
        limit,
        first_us=job.from_us,
        upto_us=job.when_us,
        **values,
    )
    if not page:
        return 0, None
    low_us, low = page[-1]
    values |= {"low_us": low_us, "low": low, **given({seasons.of(row[0]) for row in page})}
    made = _DOING[job.what](connection, job, values)
    return made, replace(job, when_us=low_us, message_id=low) if len(page) == limit else None


_PLACE = (participants.when_us, participants.message_id)
_WHOSE = participants.address == bindparam("whose", type_=String)


def _time(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger)


# The statements are put together once: for most addresses of an import that is what they cost.
_THEIRS = and_(
    _WHOSE,
    _PLACE[0] >= _time("since"),
    _PLACE[0] < _time("until"),
    tuple_(*_PLACE) < tuple_(_time("when"), _time("number")),
)


@cache
def _mail_of(engine: str) -> seasons.Newest:
    """The mail of an address that a job is about."""
    newest_first = (_PLACE[0].desc(), _PLACE[1].desc())
    wanted = select(*_PLACE).where(_THEIRS).order_by(*newest_first)
    return seasons.asked(engine, wanted, _PLACE[0], [_WHOSE])


@cache
def _these(engine: str) -> ColumnElement[bool]:
    """The participants that a step is about: down to `low`, of the seasons that are given."""
    in_season = among_given(engine, schema.season(_PLACE[0]))
    return and_(_THEIRS, tuple_(*_PLACE) >= tuple_(_time("low_us"), _time("low")), in_season)


@cache
def _linking(engine: str) -> Insert:
    evidence: ColumnElement[str] = bindparam("through", type_=Text) + participants.evidence
    state: ColumnElement[int] = bindparam("state", type_=Integer)
    chosen = {
        "message_id": participants.message_id,
        "record_id": bindparam("record", type_=BigInteger),
        "role": participants.role,
        "address": participants.address,
        "evidence": evidence,
        "capture_id": participants.capture_id,
        "when_us": participants.when_us,
        "hidden": case((messages.c.hidden == 1, OWNER), else_=0) + state,
    }
    rows = (
        select(*chosen.values())
        .join(messages, messages.c.id == participants.message_id)
        .where(_these(engine))
    )
    return insert_ignoring(engine, links, list(chosen), rows)


def _link(connection: Connection, job: Job, values: Mapping[str, Any]) -> int:
    record = job.record_id or 0
    of_link = {
        "record": record,
        "through": via(job.contact_id, "") if job.contact_id else "",
        "state": _wanted(connection, [record], job.address)[record],
    }
    done = connection.execute(_linking(connection.dialect.name), {**values, **of_link})
    return max(done.rowcount, 0)


def _unlink(connection: Connection, job: Job, values: Mapping[str, Any]) -> int:
    """From the record, and from those that have it only through the record."""
    record = job.record_id or 0
    concerned = [record, *_dependents(connection, record)]
    holders = _holders(connection, concerned, job.address)
    alone = [r for r in concerned if not holders[r] - {record}]
    these = select(participants.message_id).where(_these(connection.dialect.name))
    for chunk in several(alone):
        connection.execute(
            delete(links).where(
                links.c.message_id.in_(these),
                links.c.record_id.in_(chunk),
                links.c.address == job.address,
                links.c.role != RULE,
            ),
            values,
        )
    return 0


def _settle(connection: Connection, job: Job, values: Mapping[str, Any]) -> int:
    record = job.record_id or 0
    by_state: dict[int, list[int]] = {}
    concerned = [record, *_dependents(connection, record)]
    for one, state in _wanted(connection, concerned, job.address).items():
        by_state.setdefault(state, []).append(one)
    these = select(participants.message_id).where(_these(connection.dialect.name))
    for state, some in by_state.items():
        for chunk in several(some):
            connection.execute(
                update(links)
                .where(
                    links.c.message_id.in_(these),
                    links.c.record_id.in_(chunk),
                    links.c.address == job.address,
                    links.c.role != RULE,
                )
                .values(hidden=links.c.hidden.bitwise_and(OWNER) + state),
                values,
            )
    return 0


_DOING: dict[str, Callable[[Connection, Job, Mapping[str, Any]], int]] = {
    "link": _link,
    "unlink": _unlink,
    "settle": _settle,
}


def _wanted(connection: Connection, records: Sequence[int], address: str) -> dict[int, int]:
    """Why each of these records hides the mail of this address now; 0 = it does not."""
    if ours(connection, [address]):
        return dict.fromkeys(records, OURS)
    if not hides(connection):
        return dict.fromkeys(records, 0)
    holders = _holders(connection, records, address)
    return {record: 0 if holders[record] else FORMER for record in records}


def _holders(connection: Connection, records: Sequence[int], address: str) -> dict[int, set[int]]:
    """Who has this address now: the record itself, or somebody who is or was its contact."""
    having = set(
        connection.execute(
            select(held.record_id).where(held.address == address, held.until_us.is_(None))
        ).scalars()
    )
    found = {record: {record} & having for record in records}
    for chunk in several(having):
        for deal, contact in connection.execute(
            select(deal_contacts.deal_id, deal_contacts.record_id).where(
                deal_contacts.record_id.in_(chunk)
            )
        ):
            if deal in found:
                found[deal].add(contact)
    return found


def _dependents(connection: Connection, contact: int) -> Sequence[int]:
    """The records whose main contact this one is, or was."""
    return (
        connection.execute(select(deal_contacts.deal_id).where(deal_contacts.record_id == contact))
        .scalars()
        .all()
    )


def _owner_step(connection: Connection, job: Job, limit: int) -> Job | None:
    hide = job.what == "hide"
    mine = exists().where(people.user_id == job.user_id, people.address == job.address)
    current = connection.execute(select(mine)).scalar()
    if hide == bool(current or not hides(connection)):
        return None  # it was thought better of since
    seen, users = sightings.c, schema.users.c
    login = select(users.login).where(users.id == job.user_id).scalar_subquery()
    conditions = [
        seen.owner == login,
        seen.hidden == (0 if hide else 1),
        tuple_(seen.when_us, seen.message_id) < (job.when_us, job.message_id),
    ]
    page = connection.execute(
        select(seen.when_us, seen.message_id)
        .where(*conditions)
        .order_by(seen.when_us.desc(), seen.message_id.desc())
        .limit(limit)
    ).all()
    if not page:
        return None
    low = (page[-1][0], page[-1][1])
    conditions.append(tuple_(seen.when_us, seen.message_id) >= low)
    chosen = connection.execute(
        select(seen.message_id).where(*conditions, seen.address == job.address)
    ).scalars()
    concerned = sorted(set(chosen))
    for chunk in several(concerned):
        theirs = (seen.owner == login, seen.hidden == int(not hide), seen.address == job.address)
        connection.execute(
            update(sightings).where(seen.message_id.in_(chunk), *theirs).values(hidden=int(hide))
        )
    if hide:
        _hide_messages(connection, concerned)
    else:
        show(connection, concerned)
    filing.settle(connection, job.user_id or 0, concerned)
    return replace(job, when_us=low[0], message_id=low[1]) if len(page) == limit else None


def _hide_messages(connection: Connection, ids: Sequence[int]) -> None:
    """Those of these messages that nobody's sighting shows."""
    for chunk in several(ids):
        shown = set(
            connection.execute(
                select(sightings.c.message_id).where(
                    sightings.c.message_id.in_(chunk), sightings.c.hidden == 0
                )
            ).scalars()
        )
        gone = [id_ for id_ in chunk if id_ not in shown]
        connection.execute(update(messages).where(messages.c.id.in_(gone)).values(hidden=1))
        connection.execute(
            update(links)
            .where(links.c.message_id.in_(gone))
            .values(hidden=links.c.hidden.bitwise_and(FORMER + OURS) + OWNER)
        )


def show(connection: Connection, ids: Sequence[int]) -> None:
    """Somebody's sighting shows these messages (again)."""
    for chunk in several(ids):
        connection.execute(update(messages).where(messages.c.id.in_(chunk)).values(hidden=0))
        connection.execute(
            update(links)
            .where(links.c.message_id.in_(chunk))
            .values(hidden=links.c.hidden.bitwise_and(FORMER + OURS))
        )
