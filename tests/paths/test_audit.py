"""The account balances, and whatever breaks it is named with its evidence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import ledger
from proxy.journalread import segment_path
from tests.paths.office import BODY, Door, Office


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def door(office: Office) -> Door:
    """Six messages of each sort in the store, and one that is not there yet."""
    door = office.door()
    for n in range(3):
        door.mail(BODY + b"%d" % n)
    door.mail(b"To: hr@ours.example\r\n\r\nx", to=["hr@ours.example"])
    door.mail(BODY + b"no", outcome="refused")
    door.message(BODY + b"waits")
    office.take()
    door.mail(BODY + b"new")
    return door


def found(office: Office, **how: bool) -> list[str]:
    report = office.audit(**how)
    assert report.gap_count == len(report.gaps)
    assert report.ok == (not report.gaps)
    return [f"{gap.seq}: {gap.what}" for gap in report.gaps]


def test_it_balances(office: Office, door: Door) -> None:
    report = office.audit(deep=True)
    assert report.gaps == []
    assert report.accepted == report.captured + sum(report.excluded.values()) + report.failed
    assert (report.captured, report.excluded, report.failed) == (3, {"internal": 1}, 0)
    assert (report.refused, report.pending, report.chain_ok) == (1, 2, True)


def test_what_comes_into_the_store_meanwhile_is_pending(
    office: Office, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the store when the journals are read, and was not when the ledger was."""
    account = ledger.account

    def slow(*given: Any, **how: Any) -> dict[str, tuple[str, int]]:
        told = account(*given, **how)
        office.door("later-0").mail(BODY + b"of a new door")
        door.mail(BODY + b"newer")
        office.take()
        return told

    monkeypatch.setattr(ledger, "account", slow)
    report = office.audit()
    assert (report.accepted, report.pending, report.gaps) == (4, 4, [])
    monkeypatch.undo()
    assert (office.audit().accepted, office.audit().pending) == (7, 1)


def test_a_span_of_time(office: Office, door: Door) -> None:
    assert office.audit(since=4e9).accepted == 0
    assert office.audit(until=4e9).accepted == 4


@pytest.mark.parametrize("chunk", [1, 2, 5, 1000])
def test_chunks_do_not_matter(
    office: Office, door: Door, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "CHUNK", chunk)
    assert found(office) == []


ALTERED = {
    "sqlite": "CAST(replace(CAST(header AS TEXT), 'alice@', 'mallo@') AS BLOB)",
    "postgresql": "convert_to(replace(convert_from(header, 'UTF8'), 'alice@', 'mallo@'), 'UTF8')",
}
GAPS = {
    "a frame is missing": (
        "DELETE FROM ledger WHERE seq = 4",
        ["4: frames 4 to 4 are missing", "4: a capture without frame"],
    ),
    "the first frame is missing": (
        "DELETE FROM ledger WHERE seq = 1",
        ["1: frames 1 to 1 are missing"],
    ),
    "the last frame is missing": (
        "DELETE FROM ledger WHERE seq = 12",
        ["12: a capture without frame", "11: the ledger does not end where ingest says it stands"],
    ),
    "a header was altered": (
        "UPDATE ledger SET header = ALTERED WHERE seq = 4",
        ["4: the chain is broken: this frame or the one before was altered"],
    ),
    "a capture is missing": (
        "DELETE FROM captures WHERE seq = 4",
        ["4: a message without capture", "5: a verdict without capture"],
    ),
    "a message is missing": (
        "DELETE FROM messages WHERE id = 2",
        ["4: captured, but its message or its sighting is missing"],
    ),
    "a sighting is missing": (
        "DELETE FROM sightings WHERE message_id = 2",
        ["4: captured, but its message or its sighting is missing"],
    ),
    "a capture of another body": (
        "UPDATE captures SET sha256 = (SELECT sha256 FROM captures WHERE seq = 2) WHERE seq = 4",
        ["4: its capture is of another body"],
    ),
    "an accepted message called refused": (
        "UPDATE captures SET disposition = 'refused' WHERE seq = 4",
        ["5: the verdict is accepted, the capture refused"],
    ),
    "a decided message called pending": (
        "UPDATE captures SET disposition = 'pending' WHERE seq = 4",
        ["5: decided, but still pending"],
    ),
    "a capture that nobody sent": (
        "INSERT INTO captures SELECT '01M80E4PJAY60V7228BE1TMG9V', door, journal, 99, 100, role,"
        " at_us, disposition, reason, outcome, sha256, bytes, message_id, segment, \"offset\""
        " FROM captures WHERE seq = 2",
        ["99: a capture without frame"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "gaps"), GAPS.values(), ids=GAPS.keys())
def test_whatever_somebody_did_to_the_store(
    office: Office, door: Door, sql: str, gaps: list[str]
) -> None:
    office.write(sql.replace("ALTERED", ALTERED[office.store.engine.dialect.name]))
    assert found(office) == gaps


def test_a_missing_blob_and_deep_a_damaged_one(office: Office, door: Door) -> None:
    sha256 = office.query("SELECT sha256 FROM messages ORDER BY id")[1][0]
    blob = next(office.settings.blob_dir.rglob(f"{sha256}.zst"))
    data = blob.read_bytes()
    blob.write_bytes(data[:-3])
    what = "4: captured, but its body is missing or damaged in the archive"
    assert found(office) == []
    assert found(office, deep=True) == [what]
    blob.unlink()
    assert found(office) == [what]


def test_a_journal_that_does_not_follow_the_ledger(office: Office, door: Door) -> None:
    path = segment_path(door.folder, 1)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"Hello Bob\r\nnew")] ^= 1
    path.write_bytes(data)
    door.mail(BODY + b"behind the damage")
    door.rotate()
    assert found(office) == ["13: segment 1: unreadable bytes, frames 13 to 13"]


def test_the_segment_of_a_waiting_message_is_gone(office: Office, door: Door) -> None:
    door.rotate()
    segment_path(door.folder, 1).unlink()
    gaps = found(office)
    assert "12: it waits for its verdict, and segment 1 is gone" in gaps
    assert "13: segment 2: frames missing, frames 13 to 14" in gaps


def test_a_journal_that_was_thrown_away(office: Office, door: Door) -> None:
    """The folder was emptied while frames were not in the store; a new chain begins."""
    segment_path(door.folder, 1).unlink()
    again = office.door()
    again.mail(BODY + b"again")
    office.again()
    office.take()
    gaps = found(office)
    assert any("another follows" in gap for gap in gaps)


def test_an_orderly_end_and_a_new_beginning_are_no_gap(office: Office) -> None:
    door = office.door()
    door.mail()
    door.close()
    office.take()
    segment_path(door.folder, 1).unlink()
    office.door().mail(BODY + b"again")
    office.again()
    office.take()
    assert found(office) == []


def test_gaps_are_all_counted_and_some_kept(
    office: Office, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_GAPS", 2)
    office.write("DELETE FROM captures")
    report = office.audit()
    assert len(report.gaps) == 2 and report.gap_count > 6
