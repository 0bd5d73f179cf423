"""What is captured already (proxy/imap/known.py): files of the worker, memory of the door."""

from pathlib import Path

import pytest

from crmstore.uidset import UidSet
from proxy.imap.known import Known, known_path, read_known, write_known

ALICE, INBOX, VALIDITY = "alice@example.com", "受信箱/INBOX", 1_700_000_000


def test_what_the_worker_wrote_is_known_after_a_select(tmp_path: Path) -> None:
    write_known(tmp_path, ALICE, INBOX, VALIDITY, UidSet.parse("1:300,305"))
    known = Known(tmp_path)
    assert not known.has(ALICE, INBOX, VALIDITY, 7)
    known.load(ALICE, INBOX, VALIDITY)
    assert known.has(ALICE, INBOX, VALIDITY, 300) and known.has(ALICE, INBOX, VALIDITY, 305)
    assert not known.has(ALICE, INBOX, VALIDITY, 301)
    assert not known.has(ALICE, INBOX, VALIDITY + 1, 7), "another UIDVALIDITY is another mailbox"
    assert not known.has("bob@example.com", INBOX, VALIDITY, 7)


def test_a_later_select_reads_what_was_written_since_and_keeps_its_own(tmp_path: Path) -> None:
    known = Known(tmp_path)
    known.load(ALICE, INBOX, VALIDITY)
    known.add(ALICE, INBOX, VALIDITY, 9)
    write_known(tmp_path, ALICE, INBOX, VALIDITY, UidSet.parse("1:3"))
    known.load(ALICE, INBOX, VALIDITY)
    assert str(known.uids(ALICE, INBOX, VALIDITY)) == "1:3,9"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"v": 2}', b"\xff", b"[" * 5000, b'{"v":1,"user":"a","mailbox":"x"}'],
)
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    known_path(tmp_path, ALICE, INBOX, VALIDITY).write_bytes(content)
    assert len(read_known(tmp_path, ALICE, INBOX, VALIDITY)) == 0


def test_a_file_of_another_mailbox_is_not_believed(tmp_path: Path) -> None:
    write_known(tmp_path, ALICE, "Other", VALIDITY, UidSet.parse("1:3"))
    known_path(tmp_path, ALICE, "Other", VALIDITY).rename(
        known_path(tmp_path, ALICE, INBOX, VALIDITY)
    )
    assert len(read_known(tmp_path, ALICE, INBOX, VALIDITY)) == 0


def test_without_uid_or_uidvalidity_nothing_is_known(tmp_path: Path) -> None:
    known = Known(tmp_path)
    known.add(ALICE, INBOX, None, 3)
    known.add(ALICE, INBOX, VALIDITY, None)
    assert not known.has(ALICE, INBOX, None, 3)
    assert not known.has(ALICE, INBOX, VALIDITY, None)


def test_only_the_mailboxes_used_last_are_remembered(tmp_path: Path) -> None:
    known = Known(tmp_path, most=2)
    for name in ("a", "b", "c"):
        known.add(ALICE, name, VALIDITY, 1)
    assert [known.has(ALICE, name, VALIDITY, 1) for name in ("a", "b", "c")] == [False, True, True]
