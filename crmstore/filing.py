"""Mail that rules of users put onto records: the links they make, and take back.

A link by a rule says what its user's rules say of the mail they have: its role is "rule", its
address the user's login, its evidence the rule. It is shown to that user alone (sharing.py), and is
no history: as long as a rule of theirs holds for a sighting of theirs that is shown, it is there;
else it is not. So what a rule put onto the wrong record goes with the rule, and doing all of it
twice changes nothing.
Promises: conditions meet outsiders only, as everywhere (nobody of ours keys a record), and a
recipient that one copy alone tells of (Bcc) only for whom that copy was seen. New mail gets
its links with all others, by intake.py; earlier mail in steps of relink.py, along an index.
A keeper of the links with the role "rule"; every function works inside the caller's transaction.
Cites: features.md A19; docs/decisions/0144.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)

from crmstore import schema, seasons
from crmstore.agreed import ours
from crmstore.bulk import among, insert_rows, rows_among
from crmstore.leftout import READS, WRITES
from crmstore.linker import LINK_COLUMNS, several
from crmstore.personal import RULE, Filed, PersonalRules, Wanted

if TYPE_CHECKING:
    from crmstore.relinkstep import Job

__all__ = ["link_rows", "rules_of", "settle", "step"]

kept = schema.capture_rules.c
links, participants, sightings = schema.links, schema.participants, schema.sightings

_SEEN: Select[Any] = select(
    sightings.c.message_id, sightings.c.capture_id, sightings.c.mailbox, sightings.c.when_us
).where(sightings.c.hidden == 0)
_PEOPLE: Select[Any] = select(
    participants.c.message_id,
    participants.c.role,
    participants.c.address,
    participants.c.capture_id,
).where(participants.c.role.in_(sorted(WRITES | READS)))


def rules_of(
    connection: Connection, user: int | None = None, *, onto: bool = False
) -> dict[int, PersonalRules]:
    """The rules of all users who have some, or of one; `onto`: of those onto records only."""
    found: dict[int, list[tuple[int, Wanted]]] = {}
    wanted = select(kept.user_id, kept.id, kept.field, kept.pattern, kept.record_id)
    if user is not None:
        wanted = wanted.where(kept.user_id == user)
    if onto:
        wanted = wanted.where(kept.record_id > 0)  # not "IS NOT NULL": this goes along the index
    for row in connection.execute(wanted):
        rule = Wanted(row.field, row.pattern, row.record_id)
        found.setdefault(row.user_id, []).append((row.id, rule))
    return {id_: PersonalRules(rules) for id_, rules in found.items()}


# New mail


def link_rows(
    message_id: int, when_us: int, filed: Iterable[tuple[str, Filed]]
) -> list[tuple[Any, ...]]:
    """The rows (linker.LINK_COLUMNS) of a message that comes in; `filed` as in Judgement."""
    return [
        (message_id, one.record, RULE, login, one.evidence, None, when_us) for login, one in filed
    ]


# Mail that is there


def settle(connection: Connection, user: int, ids: Iterable[int]) -> int:
    """Make the links of this user's rules on these messages what the rules say now; returns how
    many came to be."""
    login = connection.execute(
        select(schema.users.c.login).where(schema.users.c.id == user)
    ).scalar()
    if login is None:
        return 0
    rules = rules_of(connection, user, onto=True).get(user) or PersonalRules(())
    made = 0
    for chunk in several(ids):
        made += _settle(connection, login, rules, chunk)
    return made


def _settle(connection: Connection, login: str, rules: PersonalRules, ids: Sequence[int]) -> int:
    whens: dict[int, int] = {}
    said: dict[int, dict[int, list[str]]] = {}  # message -> record -> evidence, the best first
    if rules.files:
        said, whens = _said(connection, login, rules, ids)
    gone: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    theirs = (links.c.role == RULE, links.c.address == login)
    for row in connection.execute(
        select(links.c.message_id, links.c.record_id, links.c.evidence).where(
            among(connection, links.c.message_id, ids), *theirs
        )
    ):
        reasons = said.get(row.message_id, {}).pop(row.record_id, None)
        which = {"message": row.message_id, "record": row.record_id}
        if reasons is None:
            gone.append(which)
        elif row.evidence not in reasons:
            other.append({**which, "reason": reasons[0]})
    this = (
        links.c.message_id == bindparam("message"),
        links.c.record_id == bindparam("record"),
        *theirs,
    )
    if gone:
        connection.execute(delete(links).where(*this), gone)
    if other:
        told = update(links).where(*this).values(evidence=bindparam("reason"))
        connection.execute(told, other)
    new = [
        (message, record, RULE, login, reasons[0], None, whens[message])
        for message, records in said.items()
        for record, reasons in records.items()
    ]
    return insert_rows(connection, links, LINK_COLUMNS, new, ignore=True)


def _said(
    connection: Connection, login: str, rules: PersonalRules, ids: Sequence[int]
) -> tuple[dict[int, dict[int, list[str]]], dict[int, int]]:
    """What the rules say of the sightings that are shown; and when each message was."""
    seen: dict[int, list[Row[Any]]] = {}
    own = _SEEN.where(sightings.c.owner == login)
    for row in connection.execute(own.where(among(connection, sightings.c.message_id, ids))):
        seen.setdefault(row.message_id, []).append(row)
    people: dict[int, list[Row[Any]]] = {}
    for row in rows_among(connection, _PEOPLE, participants.c.message_id, list(seen)):
        copies = [one.capture_id for one in seen[row.message_id]]
        if row.capture_id is None or row.capture_id in copies:
            people.setdefault(row.message_id, []).append(row)
    mine = ours(connection, {row.address for some in people.values() for row in some})
    said: dict[int, dict[int, list[str]]] = {}
    for message, rows in seen.items():
        outside = [row for row in people.get(message, ()) if row.address not in mine]
        for one in rules.filed(
            [row.address for row in outside if row.role in WRITES],
            [row.address for row in outside if row.role in READS],
            [row.mailbox or "" for row in rows],
        ):
            said.setdefault(message, {}).setdefault(one.record, []).append(one.evidence)
    return said, {message: rows[0].when_us for message, rows in seen.items()}


# In steps


def step(connection: Connection, job: "Job", limit: int) -> "tuple[int, Job | None]":
    """The newest `limit` messages of a job "file" of a user: (links made, the job that is left).

    With an address, the mail it took part in; with a record, what lies on it; with neither, all
    that the user has."""
    user = job.user_id or 0
    login = connection.execute(
        select(schema.users.c.login).where(schema.users.c.id == user)
    ).scalar()
    table: Table
    conditions: list[ColumnElement[bool]]
    if job.address:
        table, conditions = participants, [participants.c.address == job.address]
    elif job.record_id is not None:
        table, conditions = links, [links.c.record_id == job.record_id, links.c.hidden == 0]
    else:
        table, conditions = sightings, [sightings.c.owner == login, sightings.c.hidden == 0]
    place = (table.c.when_us, table.c.message_id)
    wanted = (
        select(*place)
        .where(*conditions, tuple_(*place) < (job.when_us, job.message_id))
        .order_by(place[0].desc(), place[1].desc())
    )
    page: Sequence[Any]
    if table is sightings:
        page = connection.execute(wanted.limit(limit)).all()
    else:
        question = seasons.asked(connection.dialect.name, wanted, place[0], conditions)
        page = seasons.newest(connection, question, limit, upto_us=job.when_us)
    if not page:
        return 0, None
    made = settle(connection, user, dict.fromkeys(row.message_id for row in page))
    rest = replace(job, when_us=page[-1].when_us, message_id=page[-1].message_id)
    return made, rest if len(page) == limit else None
