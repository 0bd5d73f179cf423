"""Mail of a batch that is ours to deliver: its rows in the queue. Inside of ingest's transaction.

The blob of a mail that the CRM must not have stays for as long as its delivery needs it, and no
longer: `only_copy` says so. A keeper; crmstore/queue.py goes on from here.
"""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from crmstore import linker, schema
from crmstore.batch import Decided
from crmstore.bulk import among, insert_rows
from crmstore.charsets import storable
from crmstore.identity import prints_of, raw_key

__all__ = ["add", "keep"]

_RECIPIENTS = ("queue_id", "address", "params", "state", "attempts", "reply", "changed_us")


def add(
    connection: Connection, item: Decided, *, now_us: int, retry_us: int, delay_us: int
) -> bool:
    """The queue row of a message: its recipients whose outcome is "queued". False if there are
    none."""
    queued = dict.fromkeys(
        str(r.get("address"))
        for r in item.verdict.get("recipients", ())
        if isinstance(r, dict) and r.get("outcome") == "queued"
    )
    if not queued or item.body_lost or not item.deliver:
        return False
    header = item.message.header
    params = {
        str(r.get("address")): r.get("params", [])
        for r in header.get("recipients", ())
        if isinstance(r, dict)
    }
    excluded = item.judgement is not None and bool(item.judgement.excluded)
    only_copy = excluded and not _stored_too(connection, item)
    created = item.message.at_us
    sender = storable(str(header.get("sender", "")))
    table = schema.queue_messages
    queue_id = connection.execute(
        insert(table)
        .values(
            capture_id=item.message.capture_id,
            listener=str(header.get("listener", "")),
            sender=sender,
            sender_params=json.dumps(header.get("sender_params", [])),
            trace=storable(str(header.get("trace", ""))),
            sha256=str(header["sha256"]),
            bytes=int(header["size"]),
            flags=json.dumps(header.get("flags", [])),
            only_copy=int(only_copy),
            state="queued",
            attempts=0,
            created_us=created,
            expires_us=created + retry_us,
            next_us=now_us,
            report_us=created + delay_us if sender and delay_us else None,
        )
        .returning(table.c.id)
    ).scalar_one()
    insert_rows(
        connection,
        schema.queue_recipients,
        _RECIPIENTS,
        [
            (queue_id, storable(a), json.dumps(params.get(a, [])), "queued", 0, "", now_us)
            for a in queued
        ],
    )
    return True


def _stored_too(connection: Connection, item: Decided) -> bool:
    """Whether a captured message has the same octets: then the queue's copy is not its own."""
    sha256 = str(item.message.header["sha256"])
    key = (item.facts.key if item.facts is not None else "") or raw_key(sha256)
    messages, sightings, captures = schema.messages.c, schema.sightings.c, schema.captures.c
    wanted = (
        select(captures.capture_id)
        .join(schema.sightings, sightings.capture_id == captures.capture_id)
        .join(schema.messages, messages.id == sightings.message_id)
        .where(messages.print.between(*prints_of(key)), captures.sha256 == sha256)
        .limit(1)
    )
    return connection.execute(wanted).first() is not None


def keep(connection: Connection, digests: Sequence[str]) -> None:
    """These blobs are captured now: they stay when the queue is done with them."""
    queued = schema.queue_messages.c
    for chunk in linker.several(digests):
        connection.execute(
            update(schema.queue_messages)
            .where(queued.only_copy == 1, among(connection, queued.sha256, chunk))
            .values(only_copy=0)
        )
