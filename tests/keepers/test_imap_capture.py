"""Captures of an IMAP door in its journal (proxy/imap/capture.py)."""

import asyncio
import functools
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.imap import capture as module
from proxy.imap.capture import Capture, Captures, Meta
from proxy.imap.known import Known
from proxy.journal import JournalFull, JournalWriter
from proxy.journalfmt import Frame
from proxy.journalread import list_segments, read_frames, segment_path
from proxy.journalrecover import undecided_verdict
from tests.keepers.journals import FailingDisk, GatedDisk, writing


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


ALICE = "alice@example.com"


class World:
    """A journal, what is known, and what was skipped."""

    def __init__(self, folder: Path, journal: JournalWriter) -> None:
        self.folder, self.journal = folder, journal
        self.broken = 0
        self.uids = itertools.count(1)
        self.known = Known(folder / "imap-known")
        self.captures = Captures(
            journal, self.known, door="imap-0", listener="imap", on_broken=self._broke
        )

    def _broke(self) -> None:
        self.broken += 1

    def frames(self) -> list[Frame]:
        found: list[Frame] = []
        for number in list_segments(self.folder):
            found += read_frames(segment_path(self.folder, number))
        return [frame for frame in found if frame.kind in ("message", "verdict")]


@asynccontextmanager
async def world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    async with writing(folder, **settings) as journal:
        yield World(folder, journal)


def meta(uid: int | None = 7, **more: Any) -> Meta:
    values = {"user": ALICE, "mailbox": "INBOX", "special": "inbox", "uidvalidity": 5, **more}
    return Meta(values.pop("source", "imap_fetch"), uid=uid, **values)


async def kept(there: World, what: Meta, *chunks: bytes, **finish: Any) -> bool:
    capture = there.captures.begin(what)
    assert capture is not None
    for chunk in chunks:
        capture.write(chunk)
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    capture.finish(finish.pop("outcome", "accepted"), done=done.set_result, **finish)
    return await asyncio.wait_for(done, 60)


@in_a_loop
async def test_a_body_becomes_a_message_and_a_verdict(tmp_path: Path) -> None:
    async with world(tmp_path / "j") as there:
        assert await kept(there, meta(keywords=("\\Seen",)), b"Subject: x\r\n", b"\r\nhello\r\n")
        assert there.known.has(ALICE, "INBOX", 5, 7)
        assert there.captures.held == there.captures.waiting == 0
        await there.journal.close()
        message, verdict = there.frames()
    body = b"Subject: x\r\n\r\nhello\r\n"
    assert message.header["sha256"] == hashlib.sha256(body).hexdigest()
    assert (message.header["size"], message.header["role"]) == (len(body), "imap")
    assert message.header["client"]["auth"] == ALICE
    assert message.header["imap"] == {
        "source": "imap_fetch", "user": ALICE, "mailbox": "INBOX", "special": "inbox",
        "uidvalidity": 5, "uid": 7, "internaldate": None, "keywords": ["\\Seen"],
    }  # fmt: skip
    assert (verdict.id, verdict.header["outcome"]) == (message.id, "accepted")


@in_a_loop
@pytest.mark.parametrize("large", [False, True])
async def test_read_twice_at_the_same_time_it_is_captured_once(tmp_path: Path, large: bool) -> None:
    disk = GatedDisk()
    async with world(tmp_path / "j", disk=disk, spool_above=10 if large else 1000) as there:
        ends: list[tuple[str, bool]] = []
        captures = [there.captures.begin(meta(source=s)) for s in ("companion", "imap_fetch")]
        for capture in captures:
            assert capture is not None
            capture.write(b"Subject: x\r\n\r\n")
        for capture in captures:
            assert capture is not None
            capture.finish("accepted", done=functools.partial(_ended, ends, capture))
        assert ends == [("imap_fetch", True)], "the later one is dropped, and not reported as lost"
        assert not there.known.has(ALICE, "INBOX", 5, 7), "on its way is not captured yet"
        disk.gate.set()
        while len(ends) < 2:
            await asyncio.sleep(0.01)
        assert ends[1] == ("companion", True) and there.known.has(ALICE, "INBOX", 5, 7)
        assert there.captures.held == there.captures.big_files == there.captures.waiting == 0
        assert await kept(there, meta(), b"again"), "which was begun before it was known"
        assert await kept(there, meta(source="imap_append"), b"filed"), "who filed it is news"
        assert await kept(there, meta(None), b"no UID") and await kept(there, meta(8), b"another")
        await there.journal.close()
        told = [f.header["imap"] for f in there.frames() if f.kind == "message"]
        assert [(t["source"], t["uid"]) for t in told] == [
            ("companion", 7), ("imap_append", 7), ("imap_fetch", None), ("imap_fetch", 8)
        ]  # fmt: skip
        assert len(list((tmp_path / "j").glob("big-*"))) == (1 if large else 0)


def _ended(ends: list[tuple[str, bool]], capture: Capture, ok: bool) -> None:
    ends.append((capture.meta.source, ok))


@in_a_loop
async def test_what_did_not_get_to_the_disk_is_captured_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path / "j") as there:
        with monkeypatch.context() as patch:
            patch.setattr(there.journal, "append", _no_room)
            assert not await kept(there, meta(), b"x")
        assert there.captures.stats.skipped == {"journal_full": 1}
        assert not there.known.has(ALICE, "INBOX", 5, 7)
        assert await kept(there, meta(), b"x")
        await there.journal.close()
        assert len(there.frames()) == 2


def _no_room(header: object, chunks: object, done: Callable[[Exception | None], None]) -> None:
    done(JournalFull("no room"))


@in_a_loop
async def test_an_append_is_known_under_the_uid_that_the_server_gave(tmp_path: Path) -> None:
    async with world(tmp_path / "j") as there:
        what = meta(None, source="imap_append", mailbox="Sent", uidvalidity=None)
        learned = {"uidvalidity": 9, "uid": 31}
        assert await kept(there, what, b"x", reply="OK APPEND completed", learned=learned)
        assert there.known.has(ALICE, "Sent", 9, 31)
        await there.journal.close()
        assert there.frames()[1].header["imap"] == learned


@in_a_loop
async def test_a_large_body_lies_in_its_own_file(tmp_path: Path) -> None:
    async with world(tmp_path / "j", spool_above=1000) as there:
        chunks = [bytes([65 + n]) * 900 for n in range(20)]
        assert await kept(there, meta(), *chunks)
        assert there.captures.held == there.captures.big_files == 0
        await there.journal.close()
        header = there.frames()[0].header
        assert (tmp_path / "j" / header["file"]).read_bytes() == b"".join(chunks)


@in_a_loop
async def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "j", spool_above=1000) as there:
        for chunks in ([b"small"], [b"x" * 900] * 3):
            capture = there.captures.begin(meta())
            assert capture is not None
            for chunk in chunks:
                capture.write(chunk)
            capture.discard()
            capture.discard()
            capture.write(b"late")
            capture.finish("accepted")
        await there.journal.close()
        assert there.frames() == []
        assert list((tmp_path / "j").glob("big-*")) == []
        assert there.captures.held == there.captures.big_files == 0


@in_a_loop
async def test_a_full_journal_skips_and_counts(tmp_path: Path) -> None:
    async with world(tmp_path / "j", min_free=1 << 60) as there:
        assert there.captures.begin(meta()) is None
        assert there.captures.stats.skipped == {"journal_full": 1}


@in_a_loop
async def test_a_disk_that_falls_behind_costs_the_capture_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEHIND", 100_000)
    async with world(tmp_path / "j", spool_above=1000) as there:
        capture = there.captures.begin(meta())
        assert capture is not None
        for _ in range(20):  # the loop does not turn, so nothing reaches the disk meanwhile
            capture.write(b"x" * 100_000)
        assert capture.lost
        assert there.captures.stats.skipped == {"disk_behind": 1}


@in_a_loop
async def test_a_broken_journal_ends_the_process_and_nothing_is_known(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with world(tmp_path / "j", disk=disk) as there:
        disk.fail = "fdatasync"
        assert not await kept(there, meta(), b"x")
        assert there.broken == 1
        assert not there.known.has(ALICE, "INBOX", 5, 7)
        assert there.captures.begin(meta()) is None


@pytest.mark.parametrize(
    ("source", "outcome"),
    [("imap_fetch", "accepted"), ("companion", "accepted"), ("imap_append", "unknown")],
)
def test_recovery_knows_that_what_was_read_is_there(source: str, outcome: str) -> None:
    found = undecided_verdict({"id": "X", "recipients": [], "imap": {"source": source}}, "now")
    assert found["outcome"] == outcome


def behind(there: World) -> bool:
    return there.captures.behind


def paused(capture: Capture) -> bool:
    return capture.paused


async def crowd(there: World, count: int) -> list[bool]:
    """So many captures at once; what becomes of them, as it is known."""
    ends: list[bool] = []
    for _ in range(count):
        capture = there.captures.begin(meta(next(there.uids)))
        assert capture is not None
        capture.write(b"Subject: x\r\n\r\n")
        capture.finish("accepted", done=ends.append)
    return ends


@in_a_loop
async def test_who_has_something_captured_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWD", 10)
    disk = GatedDisk()
    async with world(tmp_path / "j", disk=disk) as there:
        ends = await crowd(there, 10)
        assert not behind(there)
        ends += await crowd(there, 1)
        assert behind(there)
        told = asyncio.Event()
        there.captures.wait(told.set)
        await asyncio.sleep(0.05)
        assert not told.is_set() and behind(there)
        disk.gate.set()
        await asyncio.wait_for(told.wait(), 60)
        assert not behind(there) and len(ends) > 5 and all(ends)
    assert there.captures.stats.skipped == {}


@in_a_loop
async def test_a_large_body_that_the_disk_does_not_take_is_waited_for(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with world(tmp_path / "j", disk=disk, spool_above=1000) as there:
        capture = there.captures.begin(meta())
        assert capture is not None
        while not behind(there):
            capture.write(b"x" * 100_000)
        assert paused(capture)
        told = asyncio.Event()
        there.captures.wait(told.set)
        disk.gate.set()
        await asyncio.wait_for(told.wait(), 60)
        assert not (behind(there) or paused(capture))
        capture.write(b"x" * (2 << 20))  # behind again, until the disk has it or nobody wants it
        capture.discard()
        assert not behind(there)


@in_a_loop
async def test_mail_goes_first_when_the_disk_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWD", 10)
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    disk = GatedDisk()
    async with world(tmp_path / "j", disk=disk) as there:
        await crowd(there, 11)
        told = asyncio.Event()
        there.captures.wait(told.set)
        await asyncio.wait_for(told.wait(), 60)
        await crowd(there, 20)
        assert not there.captures.behind  # nobody is asked again before it has caught up
        disk.gate.set()
        while there.captures.waiting:
            await asyncio.sleep(0.01)
        disk.gate.clear()
        await crowd(there, 11)
        assert behind(there)
        disk.gate.set()
