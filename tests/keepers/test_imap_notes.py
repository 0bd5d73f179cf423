"""Between IMAP doors and the worker: notes one way, what the doors go by the other way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmstore import mailboxes, users
from crmstore.mailplace import Look
from crmstore.uidset import UidSet
from proxy.imap import known, notes, roster
from proxy.imap.notes import Login
from proxy.imap.roster import Entry
from proxy.imap.upkeep import ImapUpkeep
from tests.paths.office import Office

ALICE = "alice@ours.example"
BODY = b"From: bob@x.example\r\nTo: alice@ours.example\r\n\r\nHi\r\n"


def look(present: str = "1:3", skipped: str = "", login: str = ALICE, box: str = "INBOX") -> Look:
    return Look(login, box, "inbox", 7, UidSet.parse(present), UidSet.parse(skipped))


def told(folder: Path) -> list[object]:
    """What a take finds, comparable."""
    return [
        note if isinstance(note, Login) else (*note[:4], str(note.present), str(note.skipped))
        for note in notes.take(folder).notes
    ]


# Notes


def test_a_later_note_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    notes.leave(folder, look("1:3"))
    notes.leave(folder, look("1:4", "2", box="受信"))
    notes.leave(folder, look("1:5"))
    notes.leave(folder, Login(ALICE, 5))
    notes.leave(folder, Login(ALICE, 6))
    found = told(folder)
    assert len(found) == 3
    assert Login(ALICE, 6) in found
    assert (ALICE, "INBOX", "inbox", 7, "1:5", "") in found
    assert (ALICE, "受信", "inbox", 7, "1:4", "2") in found


def test_a_note_is_there_until_it_was_done_and_one_written_meanwhile_too(tmp_path: Path) -> None:
    notes.leave(tmp_path, Login(ALICE, 1))
    first = notes.take(tmp_path)
    notes.leave(tmp_path, Login(ALICE, 2))
    assert told(tmp_path) == [Login(ALICE, 1)], "what is held comes first, as after a crash"
    first.done()
    assert told(tmp_path) == [Login(ALICE, 2)]
    notes.take(tmp_path).done()
    assert notes.take(tmp_path).paths == []
    assert notes.take(tmp_path / "nowhere").paths == ()


def test_notes_that_are_none_are_dropped(tmp_path: Path) -> None:
    for number, text in enumerate(["", "[]", '{"kind": "login"}', '{"kind": "x", "login": 1}']):
        (tmp_path / f"{number}.json").write_text(text)
    (tmp_path / "large.json").write_bytes(b" " * (notes.MOST_BYTES + 1))
    taken = notes.take(tmp_path)
    assert (taken.notes, len(taken.paths)) == ([], 5)
    taken.done()
    assert os.listdir(tmp_path) == []


def test_a_take_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MOST_NOTES", 2)
    for number in range(5):
        notes.leave(tmp_path, Login(f"u{number}@ours.example", number))
    seen = 0
    for _ in range(3):
        taken = notes.take(tmp_path)
        seen += len(taken.notes)
        taken.done()
    assert seen == 5


# The roster


def test_the_roster_answers_for_a_login(tmp_path: Path) -> None:
    entry = Entry("ärger@ours.example", True, False, 17)
    assert roster.read_entry(tmp_path, entry.login) is None
    roster.write_entry(tmp_path / "roster", entry)
    assert roster.read_entry(tmp_path / "roster", entry.login) == entry
    assert roster.entries(tmp_path / "roster") == {entry.login: entry}
    for path in (tmp_path / "roster").iterdir():
        path.write_text("{")
    assert roster.read_entry(tmp_path / "roster", entry.login) is None
    assert roster.entries(tmp_path / "roster") == {}


# The worker's side


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()
    made.store.close()


def entry_of(office: Office, login: str = ALICE) -> Entry | None:
    return roster.read_entry(office.folder / roster.FOLDER, login)


def known_of(office: Office, uidvalidity: int = 7) -> str:
    return str(known.read_known(office.folder / known.FOLDER, ALICE, "INBOX", uidvalidity))


def test_a_login_enrolls_and_is_answered(office: Office) -> None:
    folder = office.folder / notes.FOLDER
    notes.leave(folder, Login(ALICE, 1_900_000_000_000_000))
    notes.leave(folder, Login("bob@x.example", 1))
    upkeep = ImapUpkeep(office.settings, office.store)
    assert upkeep.step() == [ALICE]
    assert entry_of(office) == Entry(ALICE, True, True, 1_900_000_000_000_000)
    assert entry_of(office, "bob@x.example") == Entry("bob@x.example", False, True, 0)
    assert os.listdir(folder) == []
    notes.leave(folder, Login(ALICE, 1_900_000_000_999_999))
    assert upkeep.step() == []
    assert [user.login for user in users.listing(office.store)] == [ALICE]


def test_without_enrolment_nobody_becomes_a_user(tmp_path: Path) -> None:
    office = Office(tmp_path, capture={"enroll": False})
    notes.leave(office.folder / notes.FOLDER, Login(ALICE, 1))
    assert ImapUpkeep(office.settings, office.store).step() == []
    assert entry_of(office) == Entry(ALICE, False, True, 0)
    office.store.close()


def test_doors_hear_of_a_user_who_is_disabled(office: Office) -> None:
    office.user("alice", ALICE)
    notes.leave(office.folder / notes.FOLDER, Login(ALICE, 1))
    upkeep = ImapUpkeep(office.settings, office.store)
    upkeep.step()
    users.set_enabled(office.store, "alice", False)
    upkeep.step()
    found = entry_of(office)
    assert found is not None and (found.user, found.enabled) == (True, False)
    users.set_enabled(office.store, "alice", True)
    ImapUpkeep(office.settings, office.store).step()  # after a restart
    found = entry_of(office)
    assert found is not None and found.enabled


def test_a_look_gives_coverage_and_what_is_known_goes_to_the_doors(office: Office) -> None:
    upkeep = ImapUpkeep(office.settings, office.store)
    office.imap().seen(BODY, uid=2)
    for step in office.take():
        upkeep.learned(step.taken.mailboxes)
    assert known_of(office) == "2"
    notes.leave(office.folder / notes.FOLDER, look("1:10", "9"))
    upkeep.step()
    assert mailboxes.coverage(office.store)["inbox"] == (1, 2, 10, 1)
    assert known_of(office) == "2,9"


def test_files_that_are_lost_come_back_and_stale_ones_go(office: Office) -> None:
    office.imap().seen(BODY, uid=2)
    office.take()
    folder = office.folder / known.FOLDER
    folder.mkdir(exist_ok=True)
    (folder / "0123.json").write_text("{}")
    upkeep = ImapUpkeep(office.settings, office.store)
    upkeep.step()
    assert known_of(office) == "2" and not (folder / "0123.json").exists()
    known.known_path(folder, ALICE, "INBOX", 7).unlink()
    upkeep.step()
    assert known_of(office) == "", "the walk is made once, after a start"


def test_what_is_learned_behind_the_walk_is_not_stale(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.imap.upkeep.PAGE", 1)
    door = office.imap()
    for uid, name in enumerate(("INBOX", "Sent", "a", "b", "c"), 1):
        door.seen(BODY + name.encode(), uid=uid, mailbox=name)
    office.take()
    upkeep = ImapUpkeep(office.settings, office.store)
    for _ in range(3):
        upkeep.step()
    for uid, name in enumerate(("d", "e", "f", "g", "h"), 1):
        door.seen(BODY + name.encode(), uid=uid, mailbox=name)
    for step in office.take():
        upkeep.learned(step.taken.mailboxes)
    for _ in range(12):
        upkeep.step()
    assert len(list((office.folder / known.FOLDER).glob("*.json"))) == 10


def test_a_folder_that_cannot_be_written_stops_nothing(office: Office) -> None:
    (office.folder / known.FOLDER).write_text("in the way")
    (office.folder / roster.FOLDER).write_text("in the way")
    notes.leave(office.folder / notes.FOLDER, Login(ALICE, 1))
    office.imap().seen(BODY, uid=2)
    upkeep = ImapUpkeep(office.settings, office.store)
    for step in office.take():
        upkeep.learned(step.taken.mailboxes)
    upkeep.step()
    assert users.get(office.store, ALICE).enabled
