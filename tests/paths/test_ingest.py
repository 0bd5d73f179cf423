"""From journals to the timeline: what the store holds after a batch, a crash, or trouble."""

import gc
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import message
from crmstore.store import StoreError, StoreGone, StoreUnavailable
from crmstore.whose import judge
from proxy import ingest as ingest_module
from proxy import readbatch
from proxy.journalread import list_segments
from proxy.reader import Reader
from tests.cores.test_mimetree import BOMBS
from tests.paths.office import BODY, Door, Office


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Office]:
    """Its store is a file that somebody can move."""
    made = Office(tmp_path)
    yield made
    made.close()
    made.store.close()


def test_a_sent_message_is_on_the_timeline_of_its_contact(office: Office) -> None:
    bob = office.contact("Bob@X.example")
    office.user("alice@ours.example")
    office.door().mail(auth="alice@ours.example")
    (step,) = office.take()
    assert (step.messages, step.taken.links) == (1, 1)
    (row,) = office.rows(record=bob.id)
    assert row["place"].endswith(":1") and office.rows(before=row["place"]) == []
    assert row == {
        "id": 1,
        "place": row["place"],
        "message_id": None,
        "subject": "hello",
        "from": "alice@ours.example",
        "to": ["bob@x.example"],
        "cc": [],
        "date": row["date"],
        "direction": "sent",
        "owner": "alice@ours.example",
        "source": ["submission"],
        "status": "delivered",
        "thread": 1,
        "records": [
            {
                "id": bob.id,
                "kind": "contact",
                "type": "",
                "name": "Bob",
                "role": "to",
                "evidence": "to header and envelope: bob@x.example",
                "shared_by": 1,
            }
        ],
        "attachments": [],
        "owners": ["alice@ours.example"],
        "seen": row["seen"],
        "from_name": "",
        "preview": "Hello Bob",
        "flags": [],
    }
    assert b"".join(message.raw(office.store, office.archive, 1)) == BODY
    assert office.audit().ok


def test_one_message_many_sightings(office: Office) -> None:
    """The same body at submission and inbound for two colleagues is one message."""
    office.user("alice@ours.example")
    office.user("carol@ours.example")
    sub, mx = office.door(), office.door("mx-0", "inbound")
    sub.mail(auth="alice@ours.example")
    mx.mail(to=["carol@ours.example", "dave@ours.example"])
    office.take()
    (row,) = office.rows()
    assert row["owners"] == ["alice@ours.example", "carol@ours.example", "dave@ours.example"]
    assert row["source"] == ["inbound", "submission"]
    assert office.rows(user="carol@ours.example")[0]["direction"] == "received"
    assert office.rows(user="dave@ours.example")[0]["owner"] == "dave@ours.example"
    assert office.query("SELECT count(*) FROM messages") == [(1,)]
    assert office.audit().captured == 2


def test_seen_again_it_brings_the_people_of_that_envelope(office: Office) -> None:
    door = office.door()
    door.mail()
    office.take()
    door.mail(to=["bob@x.example", "secret@x.example"])
    office.take()
    secret = office.contact("secret@x.example", name="Secret")
    (row,) = office.rows(record=secret.id)
    assert row["records"][-1]["role"] == "bcc"


def test_a_message_waits_for_its_verdict_also_over_a_restart(office: Office) -> None:
    door = office.door()
    first = door.message()
    door.mail(BODY + b"second")
    office.take()
    assert len(office.rows()) == 1
    assert office.audit().pending == 1 and office.audit().ok
    office.again()
    door.verdict(first)
    office.take()
    assert len(office.rows()) == 2
    assert office.audit().captured == 2 and office.audit().ok


def test_a_refused_message_is_counted_and_not_stored(office: Office) -> None:
    office.door().mail(outcome="refused")
    office.take()
    assert office.rows() == []
    report = office.audit()
    assert (report.refused, report.accepted, report.ok) == (1, 0, True)
    assert not list(office.settings.blob_dir.rglob("*.zst"))


def test_an_excluded_message_is_counted_with_its_reason_and_not_stored(office: Office) -> None:
    door = office.door()
    body = b"From: alice@ours.example\r\nTo: hr@ours.example\r\n\r\nsecret"
    door.mail(body, to=["hr@ours.example"])
    office.take()
    report = office.audit()
    assert (report.accepted, report.excluded) == (1, {"internal": 1})
    assert office.rows() == [] and not list(office.settings.blob_dir.rglob("*.zst"))


def test_never_patterns(tmp_path: Path) -> None:
    office = Office(tmp_path, capture={"never": ["*@lawyer.example"]})
    office.door().mail(to=["a@lawyer.example"], body=b"To: a@lawyer.example\r\n\r\nx")
    office.take()
    assert office.audit().excluded == {"never *@lawyer.example": 1}
    office.close()


def test_queued_mail_gets_its_rows_and_excluded_queued_mail_its_blob(office: Office) -> None:
    door = office.door()
    door.mail(outcome="queued", plan="queue")
    door.mail(b"To: hr@ours.example\r\n\r\nx", "queued", plan="queue", to=["hr@ours.example"])
    office.take()
    queued = office.queue.claim(10, 4e9, 60, "test")
    assert [(m.recipients[0].address, m.recipients[0].params) for m in queued] == [
        ("bob@x.example", ("NOTIFY=NEVER",)),
        ("hr@ours.example", ("NOTIFY=NEVER",)),
    ]
    assert queued[0].trace == "Received: from pc\r\n"
    assert queued[0].sender_params == ("BODY=8BITMIME",)
    assert all(office.archive.exists(m.sha256) for m in queued)
    assert office.rows()[0]["status"] == "queued"
    assert office.audit().ok


def test_a_big_body_comes_from_its_file(office: Office) -> None:
    body = BODY + b"x" * 3_000_000
    door = office.door()
    capture_id = door.mail(body, big=True)
    door.rotate()
    office.take()
    assert b"".join(message.raw(office.store, office.archive, 1)) == body
    assert not (door.folder / f"big-{capture_id}").exists()  # its segment is done
    assert list_segments(door.folder) == [2]


def test_a_segment_stays_while_a_message_in_it_waits(office: Office) -> None:
    door = office.door()
    waiting = door.message()
    door.rotate()
    door.mail(BODY + b"2")
    office.take()
    assert list_segments(door.folder) == [1, 2]
    door.verdict(waiting)
    office.take()
    assert list_segments(door.folder) == [2]
    assert office.audit().captured == 2


def test_retain_keeps_segments(tmp_path: Path) -> None:
    office = Office(tmp_path, journal={"retain": "1h"})
    door = office.door()
    door.mail()
    door.rotate()
    office.take()
    assert list_segments(door.folder) == [1, 2]
    os.utime(door.folder / "00000001.seg", (0, 0))
    door.mail(BODY + b"2")
    office.take()
    assert list_segments(door.folder) == [2]
    office.close()


def test_retain_counts_from_the_ingest_on_also_over_a_restart(tmp_path: Path) -> None:
    """A worker that was down for a week must not delete what it has just read."""
    office = Office(tmp_path, journal={"retain": "1h"})
    door = office.door()
    door.mail()
    door.rotate()
    first = door.folder / "00000001.seg"
    os.utime(first, (0, 0))
    office.take()
    assert list_segments(door.folder) == [1, 2]
    os.utime(first, (time.time() - 1800,) * 2)
    office.again()
    door.mail(BODY + b"2")
    office.take()
    assert list_segments(door.folder) == [1, 2]
    os.utime(first, (time.time() - 3700,) * 2)
    office.again()
    door.mail(BODY + b"3")
    office.take()
    assert list_segments(door.folder) == [2]
    office.close()


# What cannot be captured


def test_a_body_that_is_not_the_one_we_acknowledged_is_failed(office: Office) -> None:
    door = office.door()
    capture_id = door.message(sha256=hashlib.sha256(b"another").hexdigest())
    door.verdict(capture_id)
    missing = door.mail(BODY + b"x", big=True)
    (door.folder / f"big-{missing}").unlink()
    door.mail(BODY + b"good")
    steps = office.take()
    assert [why for step in steps for _, why in step.failed] == [
        "body is damaged",
        "body is missing",
    ]
    report = office.audit()
    assert (report.accepted, report.captured, report.failed, report.ok) == (3, 1, 2, True)


def test_a_message_that_cannot_be_read_is_stored_raw_and_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.reader._STEP", 0.01)
    office = Office(tmp_path, reader=Reader(cpu_seconds=0.03))
    door = office.door()
    door.mail(BOMBS["a million lines that look like delimiters"][0], big=True)
    door.mail(BODY)
    steps = office.take()
    assert [why for step in steps for _, why in step.unread] == ["time"]
    rows = {row["preview"]: row for row in office.rows()}
    assert rows[""]["flags"] == ["unread"] and rows["Hello Bob"]["flags"] == []
    assert office.audit(deep=True).captured == 2
    office.close()


def test_what_the_store_refuses_is_failed_and_stops_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that no database takes must not hold up the mail behind it."""
    door = office.door()
    door.mail(BODY + b"1")
    poison = door.mail(BODY + b"poison")
    door.mail(BODY + b"3")

    def poisoned(header: Any, *rest: Any) -> Any:
        found = judge(header, *rest)
        if header["id"] != poison:
            return found
        return found._replace(owners=[found.owners[0]._replace(name="\ud800")])

    monkeypatch.setattr(readbatch, "judge", poisoned)
    steps = office.take()
    assert [capture for step in steps for capture, _ in step.failed] == [poison]
    report = office.audit()
    assert (report.captured, report.failed, report.ok) == (2, 1, True)
    assert office.archive.exists(hashlib.sha256(BODY + b"poison").hexdigest())


def test_a_fault_of_ours_in_one_message_stops_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = office.door()
    bad = door.mail(BODY + b"bad", outcome="queued", plan="queue")
    door.mail()

    def faulty(header: Any, *rest: Any) -> Any:
        return 1 / 0 if header["id"] == bad else judge(header, *rest)

    monkeypatch.setattr(readbatch, "judge", faulty)
    (step,) = office.take()
    assert step.failed == [(bad, "fault: ZeroDivisionError")]
    assert (office.audit().captured, office.audit().failed) == (1, 1)
    (queued,) = office.queue.claim(1, 4e9, 60, "test")  # we promised to deliver it
    assert office.archive.read(queued.sha256) == BODY + b"bad"


# Trouble


def test_a_locked_store_is_tried_again(office: Office) -> None:
    office.door().mail()
    with office.locked(), pytest.raises(StoreUnavailable):
        office.ingest.step()
    office.take()
    assert len(office.rows()) == 1 and office.audit().ok


def test_a_full_disk_is_tried_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.door().mail()

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("crmstore.archive.os.write", full)
        with pytest.raises(OSError):
            office.ingest.step()
    assert not list(office.settings.blob_dir.rglob("*.zst"))
    office.take()
    assert office.audit(deep=True).captured == 1


def test_after_trouble_batches_begin_small_and_grow(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk a small batch may fit where a large one does not."""
    door = office.door()
    for n in range(40):
        door.mail(BODY + b"%d" % n)
    commit = office.ingest._intake.commit

    def fits(batch: Any) -> Any:
        if len(batch.decided) > 10:
            raise StoreUnavailable("database or disk is full")
        return commit(batch)

    monkeypatch.setattr(ingest_module, "BATCH", 40)
    monkeypatch.setattr(office.ingest, "_limit", 40)
    monkeypatch.setattr(office.ingest._intake, "commit", fits)
    with pytest.raises(StoreUnavailable):
        office.ingest.step()
    assert office.ingest.step().messages == 10
    with pytest.raises(StoreUnavailable):
        office.ingest.step()
    assert office.ingest.step().messages == 5
    monkeypatch.undo()
    office.take()
    assert office.audit().captured == 40


def test_a_database_that_was_moved_away_is_not_replaced_in_silence(in_file: Office) -> None:
    office = in_file
    door = office.door()
    door.mail()
    office.take()
    aside = office.folder / "aside.db"
    shutil.copy(office.settings.database, aside)
    office.settings.database.unlink()
    door.mail(BODY + b"2")
    with pytest.raises(StoreGone):
        office.ingest.step()
    assert not office.settings.database.exists()
    with pytest.raises(StoreError):
        office.ingest.step()
    office.store.migrate()  # an empty one: everything that the journal still has comes back
    office.take()
    assert len(office.rows()) == 2
    assert office.audit().ok


def test_an_older_database_is_filled_up_from_the_journal(in_file: Office) -> None:
    office = in_file
    door = office.door()
    door.mail()
    office.take()
    office.store.close()
    for name in ("mailweir.db", "mailweir.db-wal"):
        if (office.folder / name).exists():
            shutil.copy(office.folder / name, office.folder / f"old-{name}")
    door.mail(BODY + b"2")
    office.take()
    office.again()
    office.store.close()
    for name in ("mailweir.db", "mailweir.db-wal", "mailweir.db-shm"):
        (office.folder / name).unlink(missing_ok=True)
        if (office.folder / f"old-{name}").exists():
            (office.folder / f"old-{name}").rename(office.folder / name)
    office.take()
    assert len(office.rows()) == 2 and office.audit().ok


# Crashes


class Crash(BaseException):
    """Stands for SIGKILL; the real ones are in tests/crash."""


STEPS = ["9.ingest.read", "10.blobs.written", "11.blobs.synced", "12.store.committed"]


@pytest.mark.parametrize("step", [*STEPS, "13.segment.deleted"])
def test_a_crash_at_any_step_repeats_or_is_done(
    office: Office, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    door = office.door()
    for n in range(3):
        door.mail(BODY + b"%d" % n)
    door.mail(BODY + b"big", big=True)
    door.mail(outcome="queued", plan="queue")
    door.rotate()

    def crash(name: str) -> None:
        if name == step:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "failpoint", crash)
        with pytest.raises(Crash):
            office.ingest.step()
    office.again()
    office.take()
    report = office.audit(deep=True)
    assert (report.accepted, report.captured, report.ok) == (5, 5, True)
    assert office.query("SELECT count(*) FROM messages") == [(5,)]
    assert office.query("SELECT count(*) FROM queue_messages") == [(1,)]
    assert list_segments(door.folder) == [2]


def test_two_ingests_of_one_journal_do_not_double(office: Office) -> None:
    """The second finds that the store has moved on, and begins again from there."""
    door = office.door()
    door.mail()
    second = ingest_module.Ingest(office.settings, office.store, office.archive)
    second._follow()
    office.take()
    second.step()
    second.close()
    assert office.query("SELECT count(*) FROM ledger") == [(3,)]
    assert office.query("SELECT count(*) FROM captures") == [(1,)]


def test_a_user_who_comes_in_the_middle_of_a_batch_owns_their_mail(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch was judged by who was a user then: it is judged again."""
    office.door("mx-0", "inbound").mail(sender="bob@x.example", to=["alice@ours.example"])
    judged: list[Any] = []

    def judge_and_enrol(*given: Any) -> Any:
        if not judged:
            office.user("alice", "alice@ours.example")
        judged.append(given)
        return judge(*given)

    monkeypatch.setattr(readbatch, "judge", judge_and_enrol)
    office.take()
    assert len(judged) == 2
    assert [row["owner"] for row in office.rows()] == ["alice"]


def test_damage_in_the_middle_is_passed_and_told(office: Office) -> None:
    door = office.door()
    door.mail(BODY + b"1")
    door.mail(BODY + b"2")
    door.mail(BODY + b"3")
    door.rotate()
    first = door.folder / "00000001.seg"
    data = bytearray(first.read_bytes())
    data[data.index(b"Hello Bob\r\n2")] ^= 1
    first.write_bytes(data)
    steps = office.take()
    assert [d.first_seq for step in steps for _, _, d in step.damage] == [4]
    report = office.audit()
    assert not report.ok and report.gaps[0].seq == 4
    assert len(office.rows()) == 2


def test_a_batch_of_many_people_is_cut(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readbatch, "BATCH_PEOPLE", 50)
    monkeypatch.setattr(readbatch, "READ_AT_ONCE", 4)
    door = office.door()
    for n in range(30):
        people = ", ".join(f"p{m}@x.example" for m in range(20))
        door.mail(f"To: {people}\r\n\r\n{n}".encode())
    steps = office.take()
    assert [step.messages for step in steps][:2] == [4, 4]
    assert office.audit().captured == 30


def test_a_step_leaves_no_file_open(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the batch is full in the middle of a segment: deleted segments would keep their
    space. Not the garbage collector's job: it comes by once in a minute."""
    monkeypatch.setattr(office.ingest, "_limit", 2)
    door = office.door()
    for n in range(5):
        door.mail(BODY + b"%d" % n)
    gc.disable()
    try:
        assert office.ingest.step().more
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        files = [os.readlink(path) for path in links if path.exists()]
        assert [name for name in files if name.endswith(".seg")] == []
    finally:
        gc.enable()


@pytest.mark.parametrize(("waiting", "taken"), [((2, 30), (2, 10)), ((30, 30), (6, 6))])
def test_a_batch_is_shared_by_doors_that_have_something(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    waiting: tuple[int, int],
    taken: tuple[int, int],
) -> None:
    """What a door does not need is for the others, and none of these waits for one."""
    monkeypatch.setattr(ingest_module, "BATCH", 12)
    monkeypatch.setattr(office.ingest, "_limit", 12)
    office.door("mx-0").mail(BODY + b"first")
    office.take()
    for name, count in zip(("mx-1", "mx-2"), waiting, strict=True):
        door = office.door(name)
        for n in range(count):
            door.mail(BODY + f"{name} {n}".encode())
    office.ingest.step()
    found = office.query("SELECT door, count(*) FROM captures GROUP BY door ORDER BY door")
    assert found == [("mx-0", 1), ("mx-1", taken[0]), ("mx-2", taken[1])]


def test_both_doors_of_a_listener(office: Office) -> None:
    doors = [office.door(f"sub-{n}") for n in range(3)]
    for n in range(40):
        doors[n % 3].mail(BODY + b"%d" % n)
    office.take()
    assert office.audit().captured == 40


def test_odd_frames_do_no_harm(office: Office) -> None:
    door: Door = office.door()
    door.verdict("01M80E4PJAY60V7228BE1TMG9V")  # of no message
    door.message(size="many")  # a header that cannot be used
    door._write("message", {"id": "../../x", "time": _odd()})
    door._write("other", {"x": 1})
    good = door.mail()
    door.verdict(good, "refused")  # a second verdict
    office.take()
    assert len(office.rows()) == 1
    assert not office.audit().ok  # these are gaps: nobody knows what they were


def _odd() -> object:
    return ["no", "time"]


def test_how_far_behind_it_is(office: Office) -> None:
    """In octets of the journals; what is kept after it was taken in does not count."""
    door, other = office.door("mx-0"), office.door("mx-1")
    assert office.ingest.behind() == 0  # nothing is known yet
    office.take()
    assert office.ingest.behind() == 0
    begun = door.path.stat().st_size
    door.mail()
    size = door.path.stat().st_size - begun
    assert office.ingest.behind() == size
    door.rotate()
    other.mail()
    assert office.ingest.behind() > 2 * size
    office.take()
    assert office.ingest.behind() == 0
