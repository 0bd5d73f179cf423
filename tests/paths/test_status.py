"""status: what is down, waits, is full or unreadable is said, and is the exit code."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.load import parse
from config.settings import Capture, Settings
from crmstore.store import open_store
from crmstore.usage import Usage
from proxy import heartbeat
from proxy.ground import SUPERVISOR, Lock
from proxy.journal import JournalWriter
from proxy.status import MailState, status
from proxy.texts import Language
from tests.conftest import migrate

LANGUAGES: tuple[Language, ...] = ("en", "ja")
CONFIG = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
data_dir = "data"
[[smtp]]
name = "mx"
listen = "127.0.0.1:20025"
role = "inbound"
next_hop = "smtp://127.0.0.1:20026"
doors = 1
[journal]
min_free = 0
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = parse(CONFIG, base=tmp_path)
    for folder in (found.journal_dir, found.run_dir):
        folder.mkdir(parents=True)
    migrate(open_store(found))
    return found


def beat(settings: Settings, *roles: str) -> None:
    for role in roles:
        heart = heartbeat.Heartbeat(settings.run_dir, role)
        heart.ready = True
        heart.beat()


def test_all_is_well(settings: Settings) -> None:
    beat(settings, "mx-0", "worker")
    found = status(settings)
    assert found.ok and found.wrong == () and found.lag_seconds == 0.0
    assert [(role.role, role.up) for role in found.roles] == [("mx-0", True), ("worker", True)]
    json.dumps(found.document())


def test_a_staged_roll_out_is_told_and_is_not_wrong(settings: Settings) -> None:
    beat(settings, "mx-0", "worker")
    assert status(settings).document()["notes"] == ()
    capture = Capture.model_validate(
        {"mode": "observe", "users": "listed", "listed": ["*@sales.example.com"]}
    )
    found = status(settings.model_copy(update={"capture": capture}))
    assert found.ok
    for lang in LANGUAGES:
        observe, listed = found.notes_in(lang)
        assert "capture.mode" in observe and "*@sales.example.com" in listed
    assert found.document()["notes"] == found.notes_in("en")


def test_nothing_runs(settings: Settings) -> None:
    found = status(settings)
    assert not found.ok and "nothing runs" in found.wrong[0]


def test_what_has_begun_and_is_not_up_yet_is_not_told_to_be_begun(settings: Settings) -> None:
    with Lock(settings.run_dir / SUPERVISOR, "mailweir run"):
        (told,) = status(settings).wrong
        beat(settings, "mx-0")
        assert status(settings).wrong == ("worker is not up yet",)
    (settings.run_dir / "mx-0.json").unlink()
    assert "has begun" in told and "start it" not in told
    assert "nothing runs" in status(settings).wrong[0]


def test_a_role_that_fell_silent_or_died_is_down(settings: Settings) -> None:
    beat(settings, "mx-0", "worker")
    os.utime(settings.run_dir / "worker.json", (0, 0))
    assert status(settings).wrong == ("worker is down",)
    beat(settings, "worker")
    path = settings.run_dir / "mx-0.json"
    dead = json.loads(path.read_text()) | {"pid": 2**22 + 1}
    path.write_text(json.dumps(dead))
    assert status(settings).wrong == ("mx-0 is down",)


def test_no_room_for_the_journal(settings: Settings) -> None:
    beat(settings, "mx-0", "worker")
    little = settings.model_copy(
        update={"journal": settings.journal.model_copy(update={"min_free": 2**60})}
    )
    assert "journal.min_free" in status(little).wrong[0]


def test_a_store_of_another_version_is_said(settings: Settings) -> None:
    beat(settings, "mx-0", "worker")
    settings.database.unlink()
    found = status(settings)
    assert len(found.wrong) == 1 and "mailweir migrate" in found.wrong[0]
    assert found.lag_seconds is None or not found.journals


def test_what_waits_for_the_store_is_counted(settings: Settings) -> None:
    async def write() -> None:
        journal = JournalWriter(
            settings.journal_dir / "mx-0",
            "mx-0",
            loop=asyncio.get_running_loop(),
            segment_bytes=2**20,
            min_free=0,
        )
        ident = "01JD0000000000000000000000"
        head = {"id": ident, "time": "2026-11-22T00:00:00.000000Z"}
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        journal.append(
            head | {"size": 2, "sha256": "0" * 64, "recipients": [], "file": None},
            [b"\r\n"],
            lambda error: done.set_exception(error) if error else done.set_result(None),
        )
        await done
        await journal.close()

    asyncio.run(write())
    now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=1)
    found = status(settings, now)
    (door,) = found.journals
    assert (door.door, door.oldest_pending_seconds) == ("mx-0", 3600.0)
    assert door.pending in (1, 2)  # recovery or close may add what became of it
    assert door.pending_bytes is not None and 100 < door.pending_bytes <= door.bytes
    assert (found.lag_records, found.lag_bytes) == (door.pending, door.pending_bytes)
    assert not door.at_least
    assert any("mx-0" in line and "3600 s" in line for line in found.wrong)


def test_mail_beyond_its_quota_is_told_and_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(settings, "mx-0", "worker")
    found = status(settings)
    assert found.mail == MailState(0, 5 * 2**30, "ok")
    monkeypatch.setattr("proxy.status.mail_usage.usage", lambda *_: Usage(2**40, 2**30))
    found = status(settings)
    assert found.mail == MailState(2**40, 2**30, "over")
    (wrong,) = found.wrong
    assert "store.mail_quota" in wrong and "stored whole" in wrong
