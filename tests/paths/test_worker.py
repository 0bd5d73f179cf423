"""The worker around the ingest: patience with a store in trouble, doors that are gone, its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmstore import migrating
from proxy import maillog
from proxy.ingest import Step
from proxy.journallock import FolderLock
from proxy.reader import ReaderFailed
from proxy.rescue import Rescuer
from proxy.tail import Tail
from proxy.worker import IngestThread
from tests.paths.office import BODY, Office


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def worker(office: Office) -> IngestThread:
    return IngestThread(
        office.settings,
        office.store,
        office.archive,
        ingest=office.ingest,
        rescuer=Rescuer(still=0.0),
    )


def wait_until(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def test_a_step(office: Office, worker: IngestThread) -> None:
    office.door().mail()
    worker.once()
    assert len(office.rows()) == 1
    assert worker.totals == {"messages": 1, "unread": 0, "failed": 0, "steps": 1}


def test_a_store_in_trouble_is_waited_for(office: Office, worker: IngestThread) -> None:
    """Locked, then without a schema, then well again: the worker neither ends nor loses."""
    door = office.door()
    door.mail()
    with office.locked():
        pauses = []
        for _ in range(7):
            assert worker.once() is False
            pauses.append(worker._pause)
        assert pauses == [0.5, 1, 2, 4, 8, 15, 15]
    office.write("UPDATE alembic_version SET version_num = 'old'")
    worker.once()
    assert office.rows() == [] and worker._pause == 15
    office.write(f"UPDATE alembic_version SET version_num = '{migrating.head()}'")
    worker.once()
    assert len(office.rows()) == 1 and worker._pause == 0


def test_a_fault_of_ours_is_told_and_tried_again(
    office: Office, worker: IngestThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.door().mail()
    with monkeypatch.context() as patch:
        patch.setattr(office.ingest, "step", lambda: 1 / 0)
        worker.once()
    worker.once()
    assert len(office.rows()) == 1


@pytest.mark.parametrize(
    ("fault", "event"),
    [(ReaderFailed("no child"), "store.trouble"), (KeyError("ours"), "worker.fault")],
)
def test_a_fault_while_reading_ahead_is_told(
    office: Office,
    worker: IngestThread,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    event: str,
) -> None:
    """What was written meanwhile counts, and the next step reads it anew."""
    step = office.ingest.step

    def with_fault() -> Step:
        done = step()
        done.ahead = fault
        return done

    told: list[tuple[str, object]] = []
    monkeypatch.setattr(maillog, "store_trouble", lambda *a: told.append(("store.trouble", a[1])))
    monkeypatch.setattr(maillog, "worker_fault", lambda *a: told.append(("worker.fault", a[1])))
    office.door().mail()
    with monkeypatch.context() as patch:
        patch.setattr(office.ingest, "step", with_fault)
        worker.once()
    assert told == [(event, fault)]
    assert len(office.rows()) == 1 and worker._pause == 0
    worker.once()
    assert len(told) == 1


def test_a_door_that_is_gone_is_recovered(office: Office, worker: IngestThread) -> None:
    """Its message has no verdict and nobody will ever write one: the worker does."""
    door = office.door()
    door.message()
    with FolderLock(door.folder):
        worker.once()
        time.sleep(0.1)
        worker.once()
        worker.once()
        assert office.rows() == []  # its door lives: not ours to touch
    wait_until(lambda: worker.once() or office.rows() != [])
    assert office.rows()[0]["status"] == "sent"
    report = office.audit()
    assert (report.captured, report.pending, report.ok) == (1, 0, True)


def test_a_folder_in_order_is_left_alone(office: Office) -> None:
    door = office.door()
    door.mail()
    door.close()
    size = door.path.stat().st_size
    office.take()
    tail = next(iter(office.ingest.tails.values()))
    rescuer = Rescuer(still=0.0)
    time.sleep(0.1)
    assert rescuer.look(tail) is None and rescuer.look(tail) is None
    assert door.path.stat().st_size == size
    assert isinstance(tail, Tail)


def test_the_blob_of_excluded_mail_goes_when_it_is_delivered(
    office: Office, worker: IngestThread
) -> None:
    from crmstore.queued import Result

    body = b"To: hr@ours.example\r\n\r\nx"
    office.door().mail(body, "queued", plan="queue", to=["hr@ours.example"])
    worker.once()
    (message,) = office.queue.claim(1, time.time(), 60, "test")
    worker._next_upkeep = 0
    worker._upkeep()
    assert office.archive.read(message.sha256) == body
    done = [Result(message.recipients[0].id, "delivered", "250 ok")]
    office.queue.settle(message, done, time.time())
    worker._next_upkeep = 0
    worker._upkeep()
    assert not office.archive.exists(message.sha256)
    assert office.queue.spent_blobs() == []
    assert office.audit().excluded == {"internal": 1}


@pytest.mark.slow
def test_the_process_finishes_its_batch_and_ends_on_sigterm(office: Office) -> None:
    door = office.door()
    for n in range(200):
        door.mail(BODY + b"%d" % n)
    program = (
        "import asyncio, json, sys\n"
        "from config.settings import Settings\n"
        "from proxy.heartbeat import Heartbeat\n"
        "from proxy.worker import run_worker\n"
        "settings = Settings.model_validate(json.loads(sys.argv[1]))\n"
        "settings.run_dir.mkdir()\n"
        "heartbeat = Heartbeat(settings.run_dir, 'worker')\n"
        "asyncio.run(run_worker(settings, heartbeat))\n"
        "assert heartbeat.ready and heartbeat.figures['messages'] == 200\n"
    )
    given = json.dumps(office.tables)
    command = [sys.executable, "-c", program, given]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_until(lambda: office.query("SELECT count(*) FROM messages") == [(200,)])
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    assert office.audit().captured == 200
