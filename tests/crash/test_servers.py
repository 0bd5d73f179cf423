"""The store on PostgreSQL, the blobs in a bucket: both servers go away again and again, under load.

PostgreSQL is stopped with `-m immediate`, which is its crash: connections break in the middle of a
COMMIT, its log is replayed at the next start. The bucket's server gets SIGKILL. Doors, worker and
queue live on; at the end verdict.py says whether a promise was broken.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.appliance import Appliance, wait_until
from tests.crash.load import Load
from tests.crash.test_disk_and_store import send
from tests.crash.verdict import assert_nothing_lost, assert_tidy
from tests.faultsink import OK, FaultSink
from tests.peers.postgres import Postgres
from tests.peers.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(1200)]

FULL = os.environ.get("CI") == "true" or os.environ.get("MAILWEIR_FULL") == "1"
RESTARTS = 20 if FULL else 4


@pytest.fixture
def seed() -> int:
    number = random.SystemRandom().randrange(10**6)
    print(f"seed {number}")
    return number


@pytest.fixture
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def hops(seed: int) -> Iterator[list[FaultSink]]:
    """A healthy next hop, and one that is too busy for half of the mail (for the queue)."""
    chance = random.Random(seed)
    busy = FaultSink(mail=lambda line: "451 4.3.2 busy" if chance.random() < 0.5 else OK)
    with FaultSink() as healthy, busy:
        yield [healthy, busy]


def box_on(
    folder: Path, hops: list[FaultSink], server: Postgres, bucket: S3Server | None = None
) -> Appliance:
    blobs = bucket.place().toml().replace("[store]\n", "") if bucket is not None else ""
    return Appliance(
        folder, mx_hop=hops[0].port, sub_hop=hops[1].port, route=hops[0].port,
        url=server.database(), blobs=blobs,
    )  # fmt: skip


def test_postgresql_crashes_again_and_again(
    tmp_path: Path, hops: list[FaultSink], server: Postgres, seed: int
) -> None:
    box = box_on(tmp_path, hops, server)
    chance = random.Random(seed)
    try:
        roles = [box.start(role) for role in ("mx", "sub", "worker")]
        assert all(role.wait_ready() for role in roles)
        load = Load(list(box.ports.values()), seed=seed)
        load.start()
        for _ in range(RESTARTS):
            time.sleep(chance.uniform(0.1, 2.5))
            server.restart_immediate()
        load.finish(180)
        assert all(role.alive for role in roles), "a role gave up"
        assert_nothing_lost(box, load.mails, hops)
        box.audit()
        assert "store.trouble" in box.log.read_text(), "no restart was ever noticed"
        for old in roles[:2]:
            assert old.stop() == 0
            box.start(old.role, old.slot)
        assert_tidy(box)
    finally:
        box.stop()
        print(box.log_tail())


def test_postgresql_and_the_bucket_come_and_go(
    tmp_path: Path, hops: list[FaultSink], server: Postgres, seed: int
) -> None:
    chance = random.Random(seed)
    with S3Server() as bucket:
        box = box_on(tmp_path, hops, server, bucket)
        try:
            everything = box.start("all")
            assert everything.wait_ready()
            load = Load(list(box.ports.values()), seed=seed, threads=3)
            load.start()
            for number in range(RESTARTS):
                time.sleep(chance.uniform(0.1, 1.5))
                if number % 2:
                    bucket.kill()
                    time.sleep(chance.uniform(0, 1.5))
                    bucket.start()
                else:
                    server.stop()
                    time.sleep(chance.uniform(0, 1.5))
                    server.start()
            load.finish(180)
            assert_nothing_lost(box, load.mails, hops, 150)
            box.audit()
            assert everything.stop() == 0
        finally:
            box.stop()
            print(box.log_tail())


def test_the_whole_on_postgresql_and_a_bucket(tmp_path: Path, server: Postgres) -> None:
    """From an empty database: what a person does on the first day, by commands only."""
    with S3Server() as bucket, FaultSink() as sink:
        box = box_on(tmp_path, [sink, sink], server, bucket)
        try:
            assert '"store.ready"' in box.command("check", "--json").stdout
            everything = box.start("all")
            assert everything.wait_ready()
            assert box.command("user", "add", "b@example.com").returncode == 0
            added = box.command("record", "add", "contact", "Ann", "--address", "a@example.net")
            assert added.returncode == 0, added.stderr
            for number in range(3):
                _, reply = send(box, "mx", f"day{number}")
                assert reply.startswith(b"250")

            def rows() -> list[dict[str, object]]:
                done = box.command("emails", "--address", "a@example.net", "--json")
                assert done.returncode == 0, done.stderr
                return [json.loads(line) for line in done.stdout.splitlines()]

            wait_until(lambda: len(rows()) == 3, 60, rows)
            assert {row["records"][0]["name"] for row in rows()} == {"Ann"}  # type: ignore[index]
            status = box.command("status", "--json")
            assert status.returncode == 0, status.stdout
            box.audit()
            server.stop()
            done = box.command("emails")
            assert done.returncode == 1 and "refused" in done.stderr
            assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
            _, reply = send(box, "mx", "while it is away")
            assert reply.startswith(b"250")
            server.start()
            wait_until(lambda: len(rows()) == 4, 60, rows)
            box.audit()
            assert everything.stop() == 0
        finally:
            box.stop()
            print(box.log_tail())
