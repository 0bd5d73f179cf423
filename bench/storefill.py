"""A store with a history: a million records and messages as rows, without their bodies.

The rows are those that ingest would have made of mail by bench/mailgen.py, written a few thousand
at a time; what is searched in is by bench/words.py. Keys are as in life: digests at random, capture
ids and ids in the order of time. Filling goes on where it stopped, so a large store can be made in
pieces: `python bench/storefill.py --keep DIR --engine E --rows N [--seconds S]`, which
bench/store.py and bench/search.py then measure with the same `--keep DIR`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import LargeBinary, String, Table

from bench.mailgen import DOMAIN, USERS, outsider, pick, user
from bench.measure import forget
from bench.words import Words, own
from config.database import parse_database
from crmstore import document, recordbulk, relink, schema, searchindex, usage, users
from crmstore.bulk import insert_rows
from crmstore.store import Store, counter, next_ids
from crmstore.tokens import Tokens, tokens
from proxy.captureid import new_capture_id
from tests.peers.postgres import Postgres
from tests.peers.servers import wait_until

CHUNK = 5_000
BATCH = 500  # messages that the index takes at once, as from ingest
THREAD_KEYS = 3
SPAN_US = 3 * 365 * 86_400 * 1_000_000  # three years
END_US = 1_795_000_000_000_000  # the history ends here: before the mail that is measured
# What an administrator would set for a store of this size (docs/operating.md).
SERVER = """
shared_buffers = 2GB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = lz4
effective_io_concurrency = 200
shared_preload_libraries = 'pg_prewarm'
autovacuum_naptime = 60s
"""
_HEADER = {
    "v": 1, "type": "message", "time": "2026-11-22T00:40:01.123456Z", "door": "old-0",
    "client": {"ip": "192.0.2.1", "port": 1234, "helo": "relay.example", "tls": "TLSv1.3"},
    "sender_params": ["SIZE=20000", "BODY=8BITMIME"], "size": 20_000, "file": None,
    "trace": "Received: from relay.example (relay.example [192.0.2.1])\r\n\tby mail.ours.example"
    " with ESMTPS id 01M80E4PJAY60V7228BE1TMG9V\r\n\tfor <user@ours.example>; Sun, 22 Nov 2026\r\n",
}  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a store is; `folder` is for the files around it."""

    folder: Path
    url: str
    server: Postgres | None

    def store(self) -> Store:
        if self.server is None:
            return Store(self.folder / "data" / "mailweir.db")
        return Store(parse_database(self.url))

    @property
    def files(self) -> Path:
        """The folder of the database's files."""
        return self.folder / ("data" if self.server is None else "server")

    @contextmanager
    def cold(self, *, warmed: bool = False) -> Iterator[Store]:
        """The store as after the machine was started: nothing of it is in any memory. `warmed`:
        once the server has read again what it had in its own (pg_prewarm)."""
        server = self.server
        if server is not None:
            server.stop()
            if not warmed:
                (server.data / "autoprewarm.blocks").unlink(missing_ok=True)
        forget(self.files)
        if server is not None:
            said = len(server.log())
            server.start()
            if warmed:
                done = "autoprewarm successfully prewarmed"
                wait_until(lambda: done in server.log()[said:], "the server has read it again")
        store = self.store()
        try:
            yield store
        finally:
            store.close()


@contextmanager
def place(engine: str, folder: Path) -> Iterator[Place]:
    """A store in this folder, empty if there was none; a server of its own runs meanwhile."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    # ext4 looks at every file that was deleted in the last five minutes beside a new one, which
    # costs 0.2 ms a blob where others empty folders: have these in a place of their own.
    subprocess.run(["chattr", "+T", str(folder), str(folder / "data")], stderr=subprocess.DEVNULL)
    if engine == "sqlite":
        yield Place(folder, "sqlite", None)
        return
    home, name = folder / "server", folder / "database"
    home.mkdir(exist_ok=True)
    if (home / "data").exists():  # made with other settings, maybe: the last word is this file's
        (home / "data" / "postgresql.auto.conf").write_text(SERVER)
    with Postgres(SERVER, folder=home) as server:
        if not name.exists():
            name.write_text(server.database().rpartition("/")[2])
        yield Place(folder, server.url(name.read_text()), server)


def fill(store: Store, records: int, messages: int, *, seconds: float = 1e9) -> bool:
    """Users, `records` contacts with an address each, `messages` messages that are linked: what is
    missing of them. False: after so many seconds there is more to do."""
    until = time.monotonic() + seconds
    with store.reading() as connection:
        known = {name: counter(connection, name) for name in ("users", "records", "messages")}
    for number in range(known["users"], USERS):
        users.add(store, user(number))
    for start in range(known["records"], records, CHUNK):
        names = range(start, min(start + CHUNK, records))
        fresh = [recordbulk.Fresh("contact", f"Person {n}", "open", (outsider(n),)) for n in names]
        with store.writing() as connection:
            recordbulk.add_many(connection, fresh, 1, None)
        if time.monotonic() > until:
            return False
    pool = Words().pool() if known["messages"] < messages else []
    for start in range(known["messages"], messages, CHUNK):
        _messages(store, range(start, min(start + CHUNK, messages)), messages, records, pool)
        if time.monotonic() > until:
            return False
    return True


def settle(store: Store) -> None:
    """A history is not of this minute: the worker has summed it up since, and the server looked at
    its tables."""
    relink.agree(store, [DOMAIN], "keep")
    relink.run(store)
    while usage.settle(store):
        pass
    if store.engine.dialect.name == "postgresql":
        driver = store.engine.raw_connection()
        driver.driver_connection.execute("VACUUM ANALYZE")  # type: ignore[union-attr]
        driver.driver_connection.execute("CHECKPOINT")  # type: ignore[union-attr]
        driver.close()


def _messages(
    store: Store, numbers: range, total: int, records: int, pool: list[tuple[str, Tokens]]
) -> None:
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
            when = END_US - (total - number) * (SPAN_US // total)
            _one(tables, id_, number, when, records)
            (text, some), mine = pool[number % len(pool)], own(number)
            packed, more = document.packed(f"{text}\n{mine}"), tokens(mine)
            both = Tokens(b"%b %b" % (some.words, more.words), some.pairs + more.pairs)
            entries.append(searchindex.Entry(id_, when, packed, both))
        for name in ("participants", "sightings"):
            fresh = next_ids(connection, "rows", len(tables[name]))
            tables[name] = [
                {"id": number, **row} for number, row in zip(fresh, tables[name], strict=True)
            ]
        for name, rows in tables.items():
            insert(connection, schema.metadata.tables[name], rows)
        for start in range(0, len(entries), BATCH):
            searchindex.add(connection, entries[start : start + BATCH])


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, required=True, help="where the store is, and stays")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1e9, help="then stop; 75: there is more")
    options = parser.parse_args()
    folder = options.keep / f"{options.engine}-{options.rows}"
    with place(options.engine, folder) as where:
        store = where.store()
        store.migrate()
        whole = fill(store, options.rows, options.rows, seconds=options.seconds)
        if whole:
            settle(store)
        with store.reading() as connection:
            print(f"{counter(connection, 'messages'):,} messages", file=sys.stderr)
        store.close()
    return 0 if whole else 75


if __name__ == "__main__":
    sys.exit(main())
