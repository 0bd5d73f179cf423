"""kill -9 of an ingest while it seals and joins blocks of the search index, on both engines.

Whatever the step, the next life finds a message in the index as often as it is in the store: the
answers at the end are those of a store whose ingest nobody disturbed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from crmstore import schema
from crmstore.search import search
from tests.crash.index_child import JOIN, SEAL
from tests.paths.office import Office

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MAILS = 90
# In the transaction, before it, and behind it; each at another level of the index.
KILLS = [
    "sealed:1", "12.store.committed:2", "11.blobs.synced:3", "joined:1", "sealed:2",
    "12.store.committed:3", "joined:1", "10.blobs.written:2", "sealed:1", "12.store.committed:1",
]  # fmt: skip
WORDS = [
    "all",
    "東京",
    "見積",
    "京",
    *(f"of{n}" for n in range(7)),
    *(f"own{n}" for n in range(MAILS)),
]


def body(number: int) -> bytes:
    text = f"all of{number % 7} own{number} 東京の見積{number % 5}です"
    head = f"Message-ID: <{number}@x.example>\r\nSubject: {number}\r\n"
    mime = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}{mime}Content-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n".encode()


def ingest(office: Office, failpoint: str = "") -> int:
    """A life of an ingest; how it ended."""
    environ = {**os.environ, "MAILWEIR_FAILPOINT": failpoint, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.crash.index_child", str(office.folder)]
    return subprocess.run(command, cwd=ROOT, env=environ, timeout=120).returncode


def opened(folder: Path, url: str) -> Office:
    folder.mkdir()
    office = Office(folder, url)
    (folder / "office.json").write_text(json.dumps(office.tables))
    return office


def answers(office: Office) -> dict[str, list[str]]:
    """What each word finds, and no block was unreadable meanwhile."""
    found = {}
    for word in WORDS:
        page = search(office.store, word, limit=MAILS)
        assert page.damaged == 0 and page.next is None
        found[word] = [row["subject"] for row in page.rows]
    return found


def indexed(office: Office) -> list[tuple[int, int]]:
    """The ids that each segment has, and those that wait; in their order."""
    segments, pending = schema.search_segments.c, schema.search_pending.c
    with office.store.reading() as connection:
        wanted = select(segments.first_id, segments.last_id).order_by(segments.first_id)
        some = [(row.first_id, row.last_id) for row in connection.execute(wanted)]
        ids = connection.execute(select(pending.message_id).order_by(pending.message_id)).scalars()
        return some + [(id_, id_) for id_ in ids]


def test_the_answers_are_those_of_an_undisturbed_ingest(tmp_path: Path, store_url: str) -> None:
    calm, torn = opened(tmp_path / "calm", "sqlite"), opened(tmp_path / "torn", store_url)
    door = torn.door()
    for number in range(MAILS):
        door.mail(body(number))
    shutil.copytree(torn.settings.journal_dir, calm.settings.journal_dir, dirs_exist_ok=True)
    assert ingest(calm) == 0
    assert len(indexed(calm)) < MAILS // SEAL, "segments were joined"

    for failpoint in KILLS:
        assert ingest(torn, failpoint) == -signal.SIGKILL, f"it never came to {failpoint}"
    assert ingest(torn) == 0

    expected = answers(calm)
    assert len(expected["all"]) == MAILS and expected["own7"] == ["7"]
    assert answers(torn) == expected
    ranges = indexed(torn)
    assert [first for first, _ in ranges[1:]] == [last + 1 for _, last in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (1, MAILS)
    assert any(last - first > SEAL * JOIN // 2 for first, last in ranges)
    assert torn.audit(deep=True).ok
    for office in (calm, torn):
        office.close()
        office.store.close()
