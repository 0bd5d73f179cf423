"""Recovery: bring a door's folder in order after its writer is gone, however it went.

Needs the folder's lock, which a writer holds all its life, so whoever gets it knows that nobody
writes. In this order, each step harmless to repeat, so a crash in the middle changes nothing:

1. remove half-made segments (*.tmp);
2. in the last segment cut what follows the last good frame (a torn frame, room made ahead); if
   whole frames lie behind the torn one, they are first kept in a *.torn file for a person;
3. write the frames that may not have been synced once more, and sync: after a failed sync the
   kernel may show pages that the disk does not have;
4. delete big-* files that no frame names (none, while any segment has damage: the frame that
   names one may be in there);
5. give each message without a verdict its verdict: "queued" to recipients with plan "queue",
   "unknown" to the others; then a `close` frame, which says that all this is done.

A last segment in which no frame at all can be read is renamed to *.damaged, and the next one
starts a new chain with a seq above any that could have been in it.
A keeper. See JOURNAL.md.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from proxy.captureid import new_capture_id
from proxy.failpoint import failpoint
from proxy.journalfmt import (
    GENESIS,
    KEY_SIZE,
    Damage,
    Frame,
    Framer,
    JournalError,
    JournalFull,
)
from proxy.journallock import FolderLock
from proxy.journalread import (
    BIG,
    FrameReader,
    big_of,
    damaged_path,
    list_segments,
    read_frames,
    segment_path,
    sync_folder,
)
from proxy.journalsegment import Disk, Segment, is_full

_DAMAGED = re.compile(r"(\d{8,18})\.damaged")


@dataclass
class Recovery:
    """What was found and done, and where the chain goes on."""

    next_segment: int = 1
    seq: int = 0
    hash: bytes = GENESIS
    journal: str = ""
    """Id of the chain, in every open frame; a new one only when the old chain is lost."""
    clean: bool = True
    """The last writer, or an earlier recovery, had left everything in order."""
    cut: int = 0
    """Octets of torn frames that were cut."""
    kept: list[str] = field(default_factory=list)
    """Files put aside for a person (*.torn, *.damaged)."""
    orphans: list[str] = field(default_factory=list)
    """Big files that no frame named, removed."""
    verdicts: list[str] = field(default_factory=list)
    """Ids of messages that got their verdict here."""
    damage: list[tuple[int, Damage]] = field(default_factory=list)
    """(segment, where): what could not be read and stays where it is."""


def recover(lock: FolderLock, disk: Disk | None = None) -> Recovery:
    """Bring the folder in order. JournalFull: no room for the verdicts; try again later."""
    try:
        return _Run(lock.folder, disk or Disk()).run()
    except OSError as error:
        if is_full(error):
            raise JournalFull("no room for recovery") from error
        raise


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Scan(NamedTuple):
    """What recovery needs to know of one segment."""

    messages: dict[str, dict[str, Any]]
    decided: set[str]
    big: set[str]


class _Run:
    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder = folder
        self.disk = disk
        self.result = Recovery()
        self.offsets: list[tuple[int, int]] = []  # (seq, offset) of the last segment's frames
        self.first: Frame | None = None
        self.last: Frame | None = None

    def run(self) -> Recovery:
        result = self.result
        for name in os.listdir(self.folder):
            if name.endswith(".tmp"):
                (self.folder / name).unlink()
        numbers = list_segments(self.folder)
        if not numbers:
            result.next_segment = self._highest() + 1
            result.seq = _above(result.next_segment)
            result.journal = _new_journal()
            self._remove_orphans([], set())
            return result
        reader, scan = self._read_last(numbers[-1])
        if self.last is None:
            numbers = [*numbers[:-1], self._replace_unreadable(numbers)]
            reader, scan = self._read_last(numbers[-1])
        last = self.last
        if last is None or reader.key is None:
            raise JournalError("a segment just written cannot be read")
        number = numbers[-1]
        size = reader.path.stat().st_size
        result.clean = last.kind == "close" and last.end_offset == size and not result.damage
        result.next_segment = self._highest() + 1
        if not result.clean:
            framer = Framer(reader.key, last.seq, last.hash, last.seq)
            segment = Segment.reopen(self.folder, number, reader.offset, self.disk)
            try:
                self._cut(segment, reader.stranded, size)
                self._write_again(segment, last)
                failpoint("r1.tail.synced")
                undecided = self._undecided(numbers, scan)
                failpoint("r2.orphans.removed")
                self._decide(segment, framer, undecided)
            finally:
                segment.abandon()
            result.seq, result.hash = framer.seq, framer.hash
        else:
            result.seq, result.hash = last.seq, last.hash
        result.journal = str((self.first or last).header.get("journal", "")) or _new_journal()
        return result

    def _highest(self) -> int:
        """The highest number ever used; a number never comes back."""
        damaged = [int(m[1]) for m in map(_DAMAGED.fullmatch, os.listdir(self.folder)) if m]
        return max([0, *list_segments(self.folder), *damaged])

    def _scan(self, number: int, reader: FrameReader) -> _Scan:
        scan = _Scan({}, set(), set())
        for frame in reader:
            if frame.kind == "message":
                scan.messages[frame.id] = frame.header
                name = big_of(frame)
                if name is not None:
                    scan.big.add(name)
            elif frame.kind == "verdict":
                scan.decided.add(frame.id)
            if reader.sealed:
                continue
            self.first = self.first or frame
            self.last = frame
            self.offsets.append((frame.seq, frame.offset))
            if frame.linked is False:
                bad = Damage(frame.offset, frame.end_offset, frame.seq, frame.seq, "chain broken")
                self.result.damage.append((number, bad))
        self.result.damage.extend((number, d) for d in reader.damage)
        return scan

    def _read_last(self, number: int) -> tuple[FrameReader, _Scan]:
        reader = read_frames(segment_path(self.folder, number))
        return reader, self._scan(number, reader)

    def _replace_unreadable(self, numbers: list[int]) -> int:
        """Put a last segment without any frame aside; begin a new chain behind it."""
        lost = numbers[-1]
        aside = damaged_path(self.folder, lost)
        os.rename(segment_path(self.folder, lost), aside)
        self.result.kept.append(aside.name)
        number = self._highest() + 1
        framer = Framer(secrets.token_bytes(KEY_SIZE), _above(number), GENESIS, 0)
        header = open_header(self.folder.name, _new_journal(), number, GENESIS, since=numbers[0])
        first = framer.frame("open", header)
        Segment.create(self.folder, number, first, self.disk).abandon()
        return number

    def _cut(self, segment: Segment, stranded: int, size: int) -> None:
        """Cut what follows the last good frame."""
        with segment.path.open("rb") as file:
            file.seek(segment.end)
            torn = file.read().rstrip(b"\0")
        if torn:
            self.result.cut = len(torn)
            if stranded and self.last is not None:
                name = f"{segment.number:08d}-{self.last.seq}.torn"
                with (self.folder / name).open("wb") as file:
                    file.write(torn)
                    file.flush()
                    self.disk.fsync(file.fileno())
                sync_folder(self.folder)
                self.result.kept.append(name)
        if segment.end < size:
            segment.keep(segment.end)

    def _write_again(self, segment: Segment, last: Frame) -> None:
        """After a failed fdatasync the page cache may show what the disk does not hold."""
        begin = min((at for seq, at in self.offsets if seq > last.durable), default=segment.end)
        segment.write_again(begin)

    def _undecided(self, numbers: list[int], scan: _Scan) -> dict[str, dict[str, Any]]:
        """Messages without verdict; removes orphaned big files on the way."""
        opened = self.first is not None and self.first.kind == "open"
        since = self.first.header.get("since") if opened and self.first else None
        oldest = since if isinstance(since, int) else numbers[0]
        messages, decided, named = {}, set(scan.decided), set(scan.big)
        for number in [n for n in numbers[:-1] if n >= oldest]:
            older = self._scan_sealed(number)
            messages.update(older.messages)
            decided |= older.decided
            named |= older.big
        messages.update(scan.messages)
        self._remove_orphans([n for n in numbers[:-1] if n < oldest], named)
        return {id_: header for id_, header in messages.items() if id_ not in decided}

    def _scan_sealed(self, number: int) -> _Scan:
        try:
            return self._scan(number, read_frames(segment_path(self.folder, number), sealed=True))
        except FileNotFoundError:
            return _Scan({}, set(), set())  # the worker deleted it just now: all in it is ingested

    def _remove_orphans(self, unread: list[int], named: set[str]) -> None:
        """Delete big files that no frame names. Reads older segments only while one is missing."""
        names = os.listdir(self.folder)
        present = {n for n in names if n.startswith(BIG)}
        for number in reversed(unread):
            if present <= named:
                break
            named = named | self._scan_sealed(number).big
        if self.result.damage or any(_DAMAGED.fullmatch(n) for n in os.listdir(self.folder)):
            return  # the frame that names a file may be in what cannot be read
        self.result.orphans = sorted(present - named)
        for name in self.result.orphans:
            (self.folder / name).unlink(missing_ok=True)  # so may the worker
        if self.result.orphans:
            sync_folder(self.folder)

    def _decide(
        self, segment: Segment, framer: Framer, undecided: dict[str, dict[str, Any]]
    ) -> None:
        if self.last is not None and self.last.kind == "close" and not undecided:
            segment.give_back()  # an earlier recovery was killed right before this
            return
        now = timestamp()
        frames = [framer.frame("verdict", undecided_verdict(h, now)) for h in undecided.values()]
        frames.append(framer.frame("close", {"time": now}))
        length = sum(map(len, frames))
        if not segment.make_room(segment.end + length):
            raise JournalFull("no room for the verdicts of recovery")
        segment.write(frames)
        segment.sync()
        failpoint("r3.verdicts.synced")
        segment.give_back()
        self.result.verdicts = list(undecided)


def open_header(
    door: str, journal: str, segment: int, previous: bytes, since: int
) -> dict[str, Any]:
    """The `open` frame. since: the oldest segment that may hold a message without verdict."""
    return {
        "time": timestamp(),
        "door": door,
        "journal": journal,
        "segment": segment,
        "prev": previous.hex(),
        "since": since,
    }


def undecided_verdict(message: dict[str, Any], now: str) -> dict[str, Any]:
    """Queue mode was decided before DATA, so those recipients are ours; of others nobody knows.

    What was read from a mailbox is there, whoever crashed; of an APPEND nobody knows.
    """
    recipients = [
        {
            "address": r.get("address", ""),
            "outcome": "queued" if r.get("plan") == "queue" else "unknown",
            "reply": "",
        }
        for r in message.get("recipients", [])
        if isinstance(r, dict)
    ]
    queued = bool(recipients) and all(r["outcome"] == "queued" for r in recipients)
    mailbox = message.get("imap")
    read = isinstance(mailbox, dict) and mailbox.get("source") in ("imap_fetch", "companion")
    return {
        "id": message.get("id", ""),
        "time": now,
        "outcome": "queued" if queued else "accepted" if read else "unknown",
        "reply": "",
        "recipients": recipients,
        "recovered": True,
    }


def _new_journal() -> str:
    return new_capture_id(time.time_ns() // 1_000_000, secrets.randbits(80))


def _above(number: int) -> int:
    """The seq before the first of a new chain in this segment: above every seq used before it.

    A segment of less than 2**32 * FIXED_SIZE octets holds less than 2**32 frames.
    """
    return 0 if number == 1 else number << 32
