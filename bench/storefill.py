"""A store with a history: a million records and messages as rows, without their bodies.

The rows are those that ingest would have made of mail by bench/mailgen.py, written a few thousand
at a time. Keys are as in life: digests at random, capture ids and ids in the order of time.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import LargeBinary, String, Table

from bench.mailgen import USERS, outsider, pick, user
from crmstore import recordbulk, schema, searchindex, users
from crmstore.bulk import insert_rows
from crmstore.store import Store, next_ids
from proxy.captureid import new_capture_id

CHUNK = 10_000
WORDS = 120  # of a message in the search index
THREAD_KEYS = 3
SPACING_US = 1_000_000  # a message a second
END_US = 1_795_000_000_000_000  # the history ends here: before the mail that is measured
_HEADER = {
    "v": 1, "type": "message", "time": "2026-11-22T00:40:01.123456Z", "door": "old-0",
    "client": {"ip": "192.0.2.1", "port": 1234, "helo": "relay.example", "tls": "TLSv1.3"},
    "sender_params": ["SIZE=20000", "BODY=8BITMIME"], "size": 20_000, "file": None,
    "trace": "Received: from relay.example (relay.example [192.0.2.1])\r\n\tby mail.ours.example"
    " with ESMTPS id 01M80E4PJAY60V7228BE1TMG9V\r\n\tfor <user@ours.example>; Sun, 22 Nov 2026\r\n",
}  # fmt: skip

Row = Mapping[str, Any]


def fill(store: Store, records: int, messages: int) -> None:
    """Users, `records` contacts with an address each, `messages` messages that are linked."""
    for number in range(USERS):
        users.add(store, user(number))
    for start in range(0, records, CHUNK):
        names = range(start, min(start + CHUNK, records))
        fresh = [recordbulk.Fresh("contact", f"Person {n}", "open", (outsider(n),)) for n in names]
        with store.writing() as connection:
            recordbulk.add_many(connection, fresh, 1, None)
    for start in range(0, messages, CHUNK):
        _messages(store, range(start, min(start + CHUNK, messages)), messages, records)


def _messages(store: Store, numbers: range, total: int, records: int) -> None:
    tables: dict[str, list[Row]] = {
        name: []
        for name in (
            "messages", "thread_keys", "participants", "sightings", "links", "captures", "ledger"
        )
    }  # fmt: skip
    entries: list[searchindex.Entry] = []
    with store.writing() as connection:
        ids = next_ids(connection, "messages", len(numbers))
        for id_, number in zip(ids, numbers, strict=True):
            when = END_US - (total - number) * SPACING_US
            _one(tables, id_, number, when, records)
            entries.append(searchindex.Entry(id_, when, b"\0" * 400, _tokens(number)))
        for name, rows in tables.items():
            insert(connection, schema.metadata.tables[name], rows)
        searchindex.add(connection, entries)


def _tokens(number: int) -> str:
    """Words as mail has them: some in every second message, most in few."""
    chance = random.Random(number)
    return " ".join({f"w{int(30_000 ** chance.random())}" for _ in range(WORDS)})


def _one(tables: Mapping[str, list[Row]], id_: int, number: int, when: int, records: int) -> None:
    chance = random.Random(number)
    capture = new_capture_id(when // 1000, chance.getrandbits(80))
    sha256 = hashlib.sha256(b"%d" % number).hexdigest()
    ours, outside = user(chance.randrange(USERS)), pick(chance, records)
    address = outsider(outside)
    tables["messages"].append({
        "id": id_, "sha256": sha256, "bytes": 20_000, "when_us": when, "date_us": when,
        "message_id": f"{number}.old@mail.example", "subject": f"An old message, number {number}",
        "from_address": address, "from_name": "Person", "preview": "words " * 30,
        "identity": sha256[:32], "print": chance.getrandbits(62), "thread": id_,
    })  # fmt: skip
    tables["thread_keys"] += [
        {"hash": chance.getrandbits(62), "message_id": id_} for _ in range(THREAD_KEYS)
    ]
    seen = {"message_id": id_, "when_us": when}
    for role, who in (("from", address), ("to", ours), ("cc", user(number + 1))):
        person = {"role": role, "address": who, "name": "Person", "evidence": f"{role} header"}
        tables["participants"].append({**seen, **person})
    tables["links"].append(
        {**seen, "record_id": outside + 1, "role": "from", "address": address, "evidence": "from"}
    )
    tables["sightings"].append({
        **seen, "capture_id": capture, "owner": ours, "direction": "received", "source": "inbound",
        "status": "received", "seen_us": when,
    })  # fmt: skip
    frame = {"door": "old-0", "journal": "0" * 26, "capture_id": capture}
    tables["captures"].append({
        **frame, "seq": 2 * number + 1, "verdict_seq": 2 * number + 2, "role": "inbound",
        "at_us": when, "disposition": "captured", "outcome": "accepted", "sha256": sha256,
        "bytes": 20_000, "message_id": id_, "segment": 1 + number // 3_000, "offset": 0,
    })  # fmt: skip
    header = json.dumps({**_HEADER, "id": capture, "sender": address, "sha256": sha256}).encode()
    for seq, kind in ((2 * number + 1, "message"), (2 * number + 2, "verdict")):
        text = header if kind == "message" else header[: len(header) // 2]
        digest = hashlib.sha256(b"%d" % seq).digest()
        tables["ledger"].append({**frame, "seq": seq, "kind": kind, "header": text, "hash": digest})


def insert(connection: Any, table: Table, rows: Iterable[Row]) -> None:
    """With nothing in the columns that need something and are not given."""
    rows = list(rows)
    nothing = {
        column.name: _nothing(column.type)
        for column in table.c
        if not column.nullable and column.server_default is None and column.name != "id"
    }
    names = tuple(c.name for c in table.c if c.name in nothing or c.name in rows[0])
    insert_rows(
        connection, table, names, [tuple(row.get(n, nothing.get(n)) for n in names) for row in rows]
    )


def _nothing(kind: Any) -> object:
    if isinstance(kind, LargeBinary):
        return b""
    return "" if isinstance(kind, String) else 0
