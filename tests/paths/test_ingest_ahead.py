"""Batches that are begun while the one before is written: the same in the store as one by one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import searchindex
from crmstore.search import search
from crmstore.store import StoreUnavailable
from crmstore.whose import judge
from proxy import ingest as ingest_module
from proxy import readbatch, tail
from proxy.ingest import Ingest
from proxy.readbatch import ReadBatch
from proxy.reader import ReaderFailed
from tests.paths.office import BODY, Door, Office

ALICE = "alice@ours.example"


@pytest.fixture
def office(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Its batches are full with two messages."""
    monkeypatch.setattr(ingest_module, "BATCH", 2)
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[ReadBatch]:
    """What was begun ahead."""
    found: list[ReadBatch] = []
    begin = Ingest._begin_after

    def noted(self: Ingest, *given: Any) -> None:
        already = self._begun[:]
        begin(self, *given)
        found.extend(one for one in self._begun if one not in already)

    monkeypatch.setattr(Ingest, "_begin_after", noted)
    return found


def captured(office: Office, count: int) -> None:
    """So many messages, each once, and the audit finds nothing wrong."""
    report = office.audit(deep=True)
    assert (report.accepted, report.captured, report.ok) == (count, count, True)
    assert office.query("SELECT count(*) FROM messages") == [(count,)]


def mails(door: Door, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        door.mail(BODY + b"%d" % n)


def test_a_long_backlog(office: Office, begun: list[ReadBatch]) -> None:
    mails(office.door(), 9)
    steps = office.take()
    assert [step.messages for step in steps] == [2, 2, 2, 2, 1]
    assert len(begun) == 4
    captured(office, 9)
    assert not office.ingest.step().frames  # and nothing is left behind


def test_a_verdict_in_the_batch_behind_its_message(office: Office, begun: list[ReadBatch]) -> None:
    door = office.door()
    waiting = [door.message(BODY + b"w%d" % n) for n in range(3)]
    mails(door, 2)
    for capture in waiting:
        door.verdict(capture)
    mails(door, 3, first=5)
    office.take()
    assert begun
    captured(office, 8)
    assert office.query("SELECT count(*) FROM captures WHERE disposition = 'pending'") == [(0,)]


def test_a_second_verdict_in_the_batch_behind(office: Office, begun: list[ReadBatch]) -> None:
    """The first one counts."""
    door = office.door()
    door.mail(BODY + b"1")
    twice = door.message(BODY + b"twice")
    door.verdict(twice)
    door.verdict(twice, "refused")
    mails(door, 3, first=5)
    office.take()
    assert begun
    assert office.query("SELECT count(*) FROM captures WHERE disposition = 'captured'") == [(5,)]
    assert office.query("SELECT count(*) FROM sightings") == [(5,)]


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_a_message_is_met_by_verdicts_of_batches_behind(
    office: Office, begun: list[ReadBatch], behind: int
) -> None:
    """The first one counts, and the message is taken once, however many batches are begun while
    the one that brought it, or decided it, is not in the store yet."""
    door = office.door()
    once = door.message(BODY + b"once")
    mails(door, 2 * behind)
    door.verdict(once)
    mails(door, 1, first=20)  # with that verdict one batch
    mails(door, 2 * behind - 2, first=30)
    door.verdict(once, "refused")
    mails(door, 5, first=40)
    office.take()
    assert begun
    captured(office, 4 * behind + 5)


def test_what_is_begun_behind_the_next_batch_is_read_while_one_is_written(
    office: Office, begun: list[ReadBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as there is time; and if that fails, what is written counts."""
    if not office.store.elsewhere:
        pytest.skip("the store works in this process")
    commit, read_on = office.ingest._intake.commit, ReadBatch.read_on
    failed: list[ReadBatch] = []

    def slowly(batch: Any) -> Any:
        while not failed and not (len(begun) > 1 and begun[1]._read == 2):
            time.sleep(0.01)
        return commit(batch)

    def fails_once(self: ReadBatch) -> bool:
        found = read_on(self)
        if found and not failed and len(begun) > 1 and self is begun[1]:
            failed.append(self)
            raise ReaderFailed("no child")
        return found

    monkeypatch.setattr(office.ingest._intake, "commit", slowly)
    mails(office.door(), 3)
    with monkeypatch.context() as patch:
        patch.setattr(ReadBatch, "read_on", fails_once)
        mails(office.door("mx-0", "inbound"), 6, first=5)
        first = office.ingest.step()
    assert failed == [begun[1]] and isinstance(first.ahead, ReaderFailed)
    assert first.messages == 2
    steps = office.take()
    assert all(step.ahead is None for step in steps)
    captured(office, 9)


@pytest.mark.parametrize("copied", [False, True])
def test_an_index_that_was_made_before_the_commit(
    office: Office, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    """It counts if the messages are those that it was made for."""
    monkeypatch.setattr(searchindex, "SEAL", 1)
    finish, fits = ReadBatch.finish, searchindex.Turned.of
    used: list[bool] = []

    def and_turn(self: ReadBatch) -> None:
        finish(self)
        self.turn()

    def noted(self: searchindex.Turned, entries: Any) -> bool:
        used.append(fits(self, entries))
        return used[-1]

    monkeypatch.setattr(ReadBatch, "finish", and_turn)
    monkeypatch.setattr(searchindex.Turned, "of", noted)
    door = office.door()
    for n in (0, 1, 1 if copied else 2, 3):
        door.mail(b"Message-ID: <%d@x.example>\r\nSubject: %d\r\n\r\nboth word%d\r\n" % (n, n, n))
    office.take()
    assert used == [True, not copied]
    for n in (0, 1, 3):
        assert [row["subject"] for row in search(office.store, f"word{n}").rows] == [str(n)]
    assert len(search(office.store, "both").rows) == (3 if copied else 4)


def test_a_copy_in_the_batch_behind(office: Office, begun: list[ReadBatch]) -> None:
    door = office.door()
    for _ in range(4):
        door.mail(b"Message-ID: <one@x.example>\r\n" + BODY)
    office.take()
    assert begun
    assert office.query("SELECT count(*) FROM messages") == [(1,)]
    assert office.query("SELECT count(*) FROM captures WHERE message_id = 1") == [(4,)]


def test_who_is_new_in_the_batch_behind_owns_their_mail(office: Office) -> None:
    """It is not begun before they are users."""
    door = office.door()
    mails(door, 2)
    door.mail(BODY + b"new", auth=ALICE)
    mails(door, 3, first=5)
    steps = office.take()
    assert [login for step in steps for login in step.enrolled] == [ALICE]
    captured(office, 6)


def test_who_is_new_in_the_last_batch_does_not_wait_for_more_mail(office: Office) -> None:
    """What was read and not begun is no reason to think that all of the journal is taken."""
    door = office.door()
    mails(door, 2)
    door.mail(BODY + b"new", auth=ALICE)
    time.sleep(2 * tail._QUIET)  # nobody has written since
    steps = office.take()
    assert [login for step in steps for login in step.enrolled] == [ALICE]
    captured(office, 3)


def test_people_who_change_while_a_batch_is_begun(
    office: Office, begun: list[ReadBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was judged by who was a user before: it is judged again."""
    door = office.door("mx-0", "inbound")
    for n in range(4):
        door.mail(BODY + b"%d" % n, sender="bob@x.example", to=[ALICE])
    judged: list[Any] = []

    def judge_and_enrol(*given: Any) -> Any:
        judged.append(given)
        if len(judged) == 3 and begun:
            office.user("alice", ALICE)
        return judge(*given)

    monkeypatch.setattr(readbatch, "judge", judge_and_enrol)
    office.take()
    assert begun
    owners = [row["owner"] for row in office.rows()]
    assert owners[:2] == ["alice", "alice"] and len(owners) == 4
    captured(office, 4)


def test_a_store_that_refuses_a_batch_while_the_next_is_begun(
    office: Office, begun: list[ReadBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    mails(office.door(), 6)
    commit = office.ingest._intake.commit
    failing = ["temporary", "of one message"]

    def commits(batch: Any) -> Any:
        if failing and failing[0] == "temporary":
            failing.pop(0)
            raise StoreUnavailable("gone for a moment")
        if failing and len(batch.decided) > 1:
            raise ValueError("there is something in it")
        return commit(batch)

    monkeypatch.setattr(office.ingest._intake, "commit", commits)
    with pytest.raises(StoreUnavailable):
        office.ingest.step()
    monkeypatch.setattr(office.ingest, "_limit", 2)
    office.ingest.step()
    failing.clear()
    office.take()
    assert begun
    captured(office, 6)


def test_a_batch_that_was_begun_and_never_written(office: Office, begun: list[ReadBatch]) -> None:
    """The worker stops between two batches: the next one takes it."""
    mails(office.door(), 5)
    assert office.ingest.step().messages == 2
    assert len(begun) == (2 if office.store.elsewhere else 1)
    office.again()
    office.take()
    captured(office, 5)


def test_a_batch_that_cannot_be_read_while_the_one_before_is_written(
    office: Office, begun: list[ReadBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is told all the same; the fault belongs to the step that comes next."""
    finish = ReadBatch.finish
    failed: list[ReadBatch] = []

    def fails_once(self: ReadBatch) -> None:
        if self in begun and not failed:
            failed.append(self)
            raise ReaderFailed("no child")
        finish(self)

    monkeypatch.setattr(ReadBatch, "finish", fails_once)
    mails(office.door(), 5)
    steps = [office.ingest.step()]
    assert (steps[0].messages, len(steps[0].at_us)) == (2, 2)
    if office.store.elsewhere:
        assert isinstance(steps[0].ahead, ReaderFailed)
    else:  # it is read in the next step anyway
        assert steps[0].ahead is None
        with pytest.raises(ReaderFailed):
            office.ingest.step()
        office.ingest.forget()
    assert failed
    steps += office.take()
    assert [step.messages for step in steps if step.messages] == [2, 2, 1]
    assert sum(sum(step.taken.captures.values()) for step in steps) == 5
    captured(office, 5)


def test_the_end_of_the_journal_is_not_come_to_with_a_batch_that_was_dropped(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read to the end, and nothing of it is in the store."""
    written = Ingest._write
    kept: list[object] = []

    def dropped_once(self: Ingest, *given: Any) -> None:
        written(self, *given)
        kept.append(self._begun[:])
        if len(kept) == 1:
            self._drop()

    monkeypatch.setattr(Ingest, "_write", dropped_once)
    mails(office.door(), 3)
    time.sleep(0.06)  # the journal is quiet
    steps = office.take()
    assert kept[0]
    assert [step.messages for step in steps if step.messages] == [2, 1]
    captured(office, 3)
