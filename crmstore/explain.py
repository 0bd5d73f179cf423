"""Why a message is where it is: how it was recognised, whom it keys and whom not, what is hidden.

Builds on message.py, and tells besides: links that are hidden, with the reason; why a participant
is on no record; whether the rules kept somebody out of a copy. Who that was is told by nobody: not
even the rule, which may be an address. For a viewer: why they see it (and then what they see of
it), or why not (and then nothing of it).
A keeper, read side. Cites: features.md A10 to A12, B2; SCHEMA.md "Hidden".
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from crmstore import schema
from crmstore.agreed import ours
from crmstore.message import NoSuchEmail, email
from crmstore.personal import RULE
from crmstore.relinkstep import FORMER, OURS, OWNER
from crmstore.sharing import viewer_of
from crmstore.store import Store
from crmstore.whose import kinds

__all__ = ["HIDDEN", "explain"]

#: Why a link is hidden, as explain() names it.
HIDDEN = {FORMER: "former", OURS: "ours", OWNER: "owner"}

links, records = schema.links, schema.records


def explain(
    store: Store, id_: int, *, domains: Collection[str] = (), viewer: str | None = None
) -> dict[str, Any]:
    """ "participants" with "keys" (records) and "why" there are none: "ours", "no_record",
    "hidden"; "links" with "hidden" (a list of "former", "ours", "owner") and "shared_by";
    "sightings" with "left_out" (a list of "never", "rule", "user disabled", "not enrolled");
    "thread" and "delivery".

    With a viewer there is "viewer" besides: who, whether they see it and why (sharing.Viewer.why);
    if they do not, there is nothing else.
    `domains`: those that are ours. NoSuchEmail.
    """
    looks = None if viewer is None else _looks(store, id_, viewer)
    if looks is not None and not looks["sees"]:
        return {"id": id_, "viewer": looks}
    found = email(store, id_, viewer=viewer)
    with store.reading() as connection:
        linked = _links(connection, id_)
        if viewer is not None:
            shown = {(link["record"], link["role"], link["address"]) for link in found["links"]}
            linked = [one for one in linked if (one.record_id, one.role, one.address) in shown]
        people = {person["address"] for person in found["participants"]}
        mine = ours(connection, people) | {a for a in people if a.rpartition("@")[2] in domains}
        held = _held(connection, {link.address for link in linked})
        left_out = _left_out(connection, [seen["capture_id"] for seen in found["sightings"]])
    return {
        "id": id_,
        **({"viewer": looks} if looks is not None else {}),
        "subject": found["subject"],
        "message_id": found["message_id"],
        "participants": [_participant(p, linked, mine) for p in found["participants"]],
        "links": [
            {
                "record": link.record_id,
                "kind": link.kind,
                "type": link.type,
                "name": link.name,
                "role": link.role,
                "address": link.address,
                "evidence": link.evidence,
                "shared_by": max(1, held.get(link.address, 0)),
                "hidden": [why for bit, why in HIDDEN.items() if link.hidden & bit],
            }
            for link in linked
        ],
        "sightings": [
            {
                **{key: seen.get(key) for key in _OF_SIGHTING},
                "left_out": left_out.get(seen["capture_id"], []),
            }
            for seen in found["sightings"]
        ],
        "thread": {"id": found["thread"], "evidence": found["thread_evidence"]},
        "delivery": found["delivery"],
    }


def _looks(store: Store, id_: int, viewer: str) -> dict[str, Any]:
    with store.reading() as connection:
        who = viewer_of(connection, viewer)
        seen = connection.execute(
            select(schema.sightings).where(schema.sightings.c.message_id == id_)
        ).all()
    if who is None or not seen:
        raise NoSuchEmail(f"no email {id_}")
    why = who.why(seen)
    return {"login": who.login, "sees": bool(who.sightings(seen)), "why": why}


_OF_SIGHTING = (
    "capture_id", "seen", "owner", "sent_as", "direction", "source", "door", "mailbox", "status",
    "evidence",
)  # fmt: skip


def _participant(
    person: dict[str, Any], linked: Sequence[Row[Any]], mine: Collection[str]
) -> dict[str, Any]:
    address = person["address"]
    theirs = [link for link in linked if link.address == address and link.role != RULE]
    keys = sorted({link.record_id for link in theirs if not link.hidden})
    why = None
    if not keys:
        why = "ours" if address in mine else "hidden" if theirs else "no_record"
    return {**person, "keys": keys, "why": why}


def _links(connection: Connection, id_: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(links, records.c.kind, records.c.type, records.c.name)
        .join(records, records.c.id == links.c.record_id)
        .where(links.c.message_id == id_)
        .order_by(links.c.record_id, links.c.role, links.c.address)
    ).all()


def _held(connection: Connection, addresses: Collection[str]) -> dict[str, int]:
    """How many records have each of these addresses now."""
    held = schema.record_addresses.c
    rows = connection.execute(
        select(held.address, func.count())
        .where(held.address.in_(addresses), held.until_us.is_(None))
        .group_by(held.address)
    )
    return {row[0]: row[1] for row in rows}


def _left_out(connection: Connection, capture_ids: Sequence[str]) -> dict[str, list[str]]:
    captures = schema.captures.c
    rows = connection.execute(
        select(captures.capture_id, captures.reason).where(captures.capture_id.in_(capture_ids))
    )
    return {row.capture_id: kinds(row.reason) for row in rows}
