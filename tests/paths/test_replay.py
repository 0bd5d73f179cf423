"""A database that was lost, or is older than the mail, and what replay makes of it."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import headerlog, message
from proxy import replay as replay_module
from proxy.journalread import list_segments
from proxy.replay import Replay, Replayed
from tests.conftest import migrate
from tests.paths.office import BODY, Door, Office, lent_reader


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


def replay_of(office: Office) -> Replay:
    return Replay(office.settings, office.store, office.archive, reader=lent_reader())


def replay(office: Office) -> Replayed:
    return replay_of(office).run()


def fill(office: Office) -> tuple[Door, Door]:
    """Some of everything, in segments that are gone when it returns."""
    office.user("alice@ours.example")
    sub, mx = office.door(), office.door("mx-0", "inbound")
    sub.mail(auth="alice@ours.example", to=["bob@x.example", "secret@x.example"])
    mx.mail(b"Received: by us\r\n" + BODY, sender="bob@x.example", to=["carol@ours.example"])
    sub.mail(BODY + b"no", outcome="refused")
    sub.mail(b"To: hr@ours.example\r\n\r\nx", to=["hr@ours.example"])
    lost = sub.message(BODY + b"lost", sha256=hashlib.sha256(b"another").hexdigest())
    sub.verdict(lost)
    sub.mail(BODY + b"queued", outcome="queued", plan="queue")
    sub.mail(BODY + b"x" * 300_000, big=True)
    for n in range(5):
        mx.mail(BODY + b"%d" % n, sender="bob@x.example", to=["alice@ours.example"])
    sub.rotate()
    mx.rotate()
    office.take()
    assert list_segments(sub.folder) == list_segments(mx.folder) == [2]
    return sub, mx


def lose_the_database(office: Office) -> None:
    office.close()
    if office.store.engine.dialect.name == "postgresql":
        office.write("DROP SCHEMA public CASCADE")
        office.write("CREATE SCHEMA public")
    office.store.close()
    for path in office.folder.glob("mailweir.db*"):
        path.unlink()
    migrate(office.store)


def told(office: Office) -> list[Any]:
    """What the timeline says, without what a new database cannot know: ids."""
    rows = []
    for row in office.rows(limit=1000):
        shown = message.email(office.store, row["id"])
        sightings = sorted(
            (s["capture_id"], s["owner"], s["source"], s["direction"], s["sha256"])
            for s in shown["sightings"]
        )
        people = sorted((p["role"], p["address"], p["evidence"]) for p in shown["participants"])
        rows.append((row["seen"], row["subject"], row["preview"], sightings, people))
    return sorted(rows)


def account(office: Office) -> Any:
    report = office.audit(deep=True)
    assert report.ok, report.gaps
    return (report.accepted, report.captured, report.excluded, report.failed, report.refused,
            report.pending, report.frames)  # fmt: skip


def test_a_lost_database_comes_back(office: Office) -> None:
    fill(office)
    before, counted = told(office), account(office)
    assert counted == (11, 9, {"internal": 1}, 1, 1, 0, counted[-1])
    lose_the_database(office)
    done = replay(office)
    assert (done.captured, done.excluded, done.refused, done.failed) == (9, 1, 1, 1)
    assert done.queued == 1 and done.damaged == []
    assert account(office) == counted
    assert told(office) == before
    assert office.query("SELECT count(*) FROM queue_messages") == [(0,)]


def test_a_second_run_changes_nothing(office: Office) -> None:
    fill(office)
    lose_the_database(office)
    replay(office)
    before = told(office), office.query("SELECT count(*), max(id) FROM messages")
    done = replay(office)
    assert (done.frames, done.messages) == (0, 0)
    assert (told(office), office.query("SELECT count(*), max(id) FROM messages")) == before
    assert replay(office).captured == 0


def test_on_a_store_that_lacks_nothing_it_does_nothing(office: Office) -> None:
    fill(office)
    assert replay(office).frames == 0


def test_it_goes_on_where_it_was_stopped(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(office)
    before, counted = told(office), account(office)
    lose_the_database(office)
    monkeypatch.setattr(replay_module, "BATCH", 2)
    run = replay_of(office)
    commit = run._intake.commit
    left = [3]

    def killed(batch: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return commit(batch)

    monkeypatch.setattr(run._intake, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert 0 < len(told(office)) < len(before)
    replay(office)
    assert (told(office), account(office)) == (before, counted)


def test_an_older_database_is_filled_up(tmp_path: Path) -> None:
    """A backup of last night, and segments that are gone since."""
    office = Office(tmp_path)
    sub, _ = fill(office)
    office.close()
    office.store.close()
    shutil.copy(office.folder / "mailweir.db", office.folder / "backup")
    office.again()
    for n in range(3):
        sub.mail(BODY + b"since %d" % n)
    sub.rotate()
    office.take()
    before, counted = told(office), account(office)
    lose_the_database(office)
    office.store.close()
    for path in office.folder.glob("mailweir.db-*"):
        path.unlink()
    shutil.copy(office.folder / "backup", office.folder / "mailweir.db")
    done = replay(office)
    assert done.captured == 3
    assert (told(office), account(office)) == (before, counted)
    office.store.close()


def test_journals_go_on_behind_it(office: Office) -> None:
    sub, mx = fill(office)
    waiting = sub.message(BODY + b"waits")
    lose_the_database(office)
    replay(office)
    sub.verdict(waiting)
    mx.mail(BODY + b"new", sender="bob@x.example", to=["alice@ours.example"])
    sub.rotate()
    office.take()
    assert list_segments(sub.folder) == [3]
    assert account(office)[:2] == (13, 11)
    lose_the_database(office)
    replay(office)
    assert account(office)[:2] == (13, 11)


def test_a_verdict_in_a_segment_that_is_still_there(office: Office) -> None:
    """The message's own segment is gone: the body is in the archive, the verdict in the journal."""
    sub, _ = fill(office)
    waiting = sub.message(BODY + b"waits")
    sub.rotate()
    sub.verdict(waiting)
    office.take()
    assert list_segments(sub.folder) == [3]
    before, counted = told(office), account(office)
    lose_the_database(office)
    replay(office)
    assert (told(office), account(office)) == (before, counted)


def test_with_nothing_left_but_the_archive(office: Office) -> None:
    fill(office)
    before = told(office)
    office.ingest.keep_headers()  # as the worker does every ten minutes
    lose_the_database(office)
    shutil.rmtree(office.settings.journal_dir)
    replay(office)
    assert told(office) == before
    gaps = office.audit(deep=True).gaps  # whatever came behind it nobody can know
    assert {gap.what for gap in gaps} == {"segment 2: the segment read last is gone"}


def test_what_the_archive_lost_too_is_told(office: Office) -> None:
    fill(office)
    digest = hashlib.sha256(BODY + b"3").hexdigest()
    office.archive.delete(digest)
    (name,) = [note.name for note in headerlog.notes(office.archive) if note.door == "mx-0"]
    lose_the_database(office)
    done = replay(office)
    assert (done.captured, done.failed) == (8, 2)
    assert office.audit().ok
    lose_the_database(office)
    (office.settings.blob_dir / "notes" / name).write_bytes(b"broken")
    done = replay(office)
    assert done.damaged == [name]
    assert not office.audit().ok  # the frames of that door are missing


def test_rules_of_today_exclude_nothing_that_was_captured(office: Office) -> None:
    fill(office)
    counted = account(office)
    lose_the_database(office)
    run = replay_of(office)
    run._rules = run._rules._replace(never=lambda address: "*")
    run.run()
    assert account(office) == counted


# What is kept


def test_headers_are_kept_before_a_segment_goes(office: Office) -> None:
    fill(office)
    kept = [note for note in headerlog.notes(office.archive) if note.door == "sub-0"]
    lines = [line for note in kept for line in headerlog.read(office.archive, note)]
    assert [line.disposition for line in lines if line.disposition] == [
        "captured", "refused", "excluded", "failed", "captured", "captured",
    ]  # fmt: skip
    rows = office.query("SELECT header, hash FROM ledger WHERE door = 'sub-0' ORDER BY seq")
    assert [(line.header, line.hash) for line in lines] == rows[: len(lines)]
    assert len(lines) >= len(rows) - 1
    assert headerlog.keep(office.store, office.archive, "sub-0") in (0, 1)
    assert headerlog.keep(office.store, office.archive, "sub-0") == 0


def test_an_archive_that_takes_no_note_keeps_the_segments(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(office.archive, "note", full)
        sub = office.door()
        sub.mail()
        sub.rotate()
        steps = office.take()
        assert [door for step in steps for door, _ in step.trouble] == ["sub-0"]
        assert list_segments(sub.folder) == [1, 2]
    monkeypatch.setattr(office.ingest, "_keep_again", 0.0)
    office.take()
    assert list_segments(sub.folder) == [2]
    assert office.audit().ok
