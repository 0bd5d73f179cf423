"""Captures of an IMAP door: a body that passes by becomes a message frame and a verdict frame.

    capture = captures.begin(Meta("imap_fetch", user="alice@example.com", mailbox="INBOX", ...))
    if capture is not None:            # None: skipped, and counted with the reason
        capture.write(chunk)           # as the octets pass; never blocks, never asks to wait
        capture.finish("accepted")     # or capture.discard()

Promises: nothing here fails what passes to the client. Where captures come faster than the disk
takes them, `behind` asks the sessions they come from to read no more until they are told, PATIENCE
seconds at most (a first sync goes as fast as the disk). A capture that cannot be kept all the same
(journal full or broken, disk behind, memory used up) is dropped and counted by `skipped`; whoever
looks for what is missing (the companion, the next FETCH) takes it again. `Known` learns a message
only when its frame is durable. Of two that read the same message at the same time (two sessions, or
one and the companion) the first to have it whole is captured, the other dropped at its `finish`; an
APPEND is never dropped, since it says who has filed it (decision 0102).

A body stays a list of chunks, copied into memory that is used again (blocks.py), up to the
journal's `spool_above`, above it a file of its own. The octets of bodies in memory of one process
are bounded by HELD in all, and what waits for the disk by BEHIND. The frame is written at `finish`:
what is unfinished at a crash leaves nothing behind, or a big file without a frame, which recovery
deletes. A keeper; lives in the loop of its door. JOURNAL.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import Any, Final

from proxy import maillog
from proxy.captureid import CaptureIds
from proxy.imap.blocks import Blocks
from proxy.imap.known import Known
from proxy.imap.message import Meta, Octets, Outcome
from proxy.journal import BigBody, JournalBroken, JournalFull, JournalWriter
from proxy.journalrecover import timestamp

__all__ = ["Capture", "CaptureStats", "Captures", "Meta"]

#: Octets of bodies in memory, over all sessions of a process; above it bodies go to files at once.
HELD: Final = 32 << 20
#: Octets of one body that may wait for a disk that is slow; above it the capture is given up.
BEHIND: Final = 8 << 20
#: Captures that wait for their journal frame, over all sessions.
WAITING: Final = 2_000
#: Open big files of a process.
BIG_FILES: Final = 200
#: What waits for the disk when sessions are asked to read no more: captures, and their octets.
CROWD: Final = 1_000
HEAP: Final = 16 << 20
#: Seconds that they read no more; then mail goes first until the disk has caught up.
PATIENCE: Final = 5.0


@dataclass(slots=True)
class CaptureStats:
    """Since the start of the process."""

    taken: int = 0
    octets: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


class Captures:
    """The captures of one door process."""

    def __init__(
        self,
        journal: JournalWriter,
        known: Known,
        *,
        door: str,
        listener: str,
        on_broken: Callable[[], None],
        on_skip: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """`on_skip` hears the reason of every capture that is given up, for the metrics;

        `on_broken` that the journal is broken: the process must end (JOURNAL.md, EIO).
        """
        self.journal = journal
        self.known = known
        self.door = door
        self.listener = listener
        self.blocks = Blocks()
        self.stats = CaptureStats()
        self.held = 0
        self.big_files = 0
        self.waiting = 0
        self.behind = False
        """The disk is: whoever has something captured should `wait`, and read no more till then."""
        self._due = 0
        self._slow = 0
        self._impatient = False
        self._waiters: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._on_broken = on_broken
        self._on_skip = on_skip
        self._ids = CaptureIds()
        self._random = SystemRandom()

    def begin(self, meta: Meta) -> Capture | None:
        """Room for one more message? None if it must be skipped."""
        if self.journal.broken is not None:
            self.skip("journal_broken")
        elif self.journal.full:
            self.skip("journal_full")
        elif self.waiting >= WAITING:
            self.skip("disk_behind")
        else:
            return Capture(self, meta)
        return None

    def skip(self, reason: str) -> None:
        """A message passes without being captured; `reason` is from a closed set."""
        self.stats.skipped[reason] = self.stats.skipped.get(reason, 0) + 1
        self._on_skip(reason)

    def wait(self, tell: Callable[[], None]) -> None:
        """`tell` is called once, when there is room again or it has been long enough."""
        self._waiters.append(tell)

    def due(self, count: int, octets: int, slow: int = 0) -> None:
        """So many captures more (or less) wait for the disk; `slow`: big files that are behind."""
        self.waiting += count
        self._due += octets
        self._slow += slow
        if self.behind or self._impatient:
            if self.waiting < CROWD // 2 and self._due < HEAP // 2 and not self._slow:
                self._impatient = False
                self._go_on()
        elif self.waiting > CROWD or self._due > HEAP or self._slow:
            self.behind = True
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._long_enough)

    def _long_enough(self) -> None:
        self._impatient = True
        self._go_on()

    def _go_on(self) -> None:
        self.behind = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiters, self._waiters = self._waiters, []
        loop = asyncio.get_running_loop()
        for tell in waiters:
            loop.call_soon(tell)

    def new_id(self) -> str:
        return self._ids.next(time.time_ns() // 1_000_000, self._random.getrandbits(80))

    def trouble(self, error: Exception) -> None:
        """A capture did not become durable."""
        self.skip("journal_full" if isinstance(error, JournalFull) else "journal_broken")
        maillog.journal_trouble(self.door, f"capture not kept: {error}", error)
        if isinstance(error, JournalBroken):
            self._on_broken()


class Capture:
    """One message on its way; made by `Captures.begin`."""

    __slots__ = (
        "_big", "_chunks", "_finished", "_over", "_owner", "_sha", "id", "lost", "meta", "paused",
        "size",
    )  # fmt: skip

    def __init__(self, owner: Captures, meta: Meta) -> None:
        self._owner = owner
        self._sha = hashlib.sha256()
        self._chunks: list[Octets] = []
        self._big: BigBody | None = None
        self._over = 0
        self._finished = False
        self.id = owner.new_id()
        self.meta = meta
        self.size = 0
        self.paused = False
        """The disk is behind: whoever reads ahead by itself (the companion) waits for less."""
        self.lost = False
        """Given up; what follows is thrown away."""

    def write(self, chunk: Octets) -> None:
        """More octets of the body; copied."""
        if self.lost or self._finished or not chunk:
            return
        owner = self._owner
        self.size += len(chunk)
        self._sha.update(chunk)
        kept = owner.blocks.keep(chunk)
        if self._big is None:
            self._chunks += kept
            owner.held += len(chunk)
            if self.size > owner.journal.spool_above or owner.held > HELD:
                self._spool()
        elif not self._big.write(*kept):
            if self._big.error is not None:
                self._give_up(self._big.error)
        else:
            if not self.paused:
                self.paused = True
                owner.due(0, 0, 1)
            self._over += len(chunk)
            if self._over > BEHIND:
                owner.skip("disk_behind")
                self.discard()

    def _spool(self) -> None:
        owner = self._owner
        if owner.big_files >= BIG_FILES:
            owner.skip("disk_behind")
            self.discard()
            return
        owner.big_files += 1
        self._big = owner.journal.spool(self.id)
        self._big.on_resume = self._resumed
        self._big.on_written = owner.blocks.give
        self._big.write(*self._drop_chunks())

    def _resumed(self) -> None:
        if self.paused:
            self.paused = False
            self._owner.due(0, 0, -1)
        self._over = 0

    def _drop_chunks(self) -> list[Octets]:
        chunks, self._chunks = self._chunks, []
        self._owner.held -= sum(map(len, chunks))
        return chunks

    def _free_chunks(self) -> None:
        self._owner.blocks.give(self._drop_chunks())

    def _give_up(self, error: Exception) -> None:
        self._owner.trouble(error)
        self.discard()

    def discard(self) -> None:
        """Forget the message. Harmless twice; without effect after `finish`."""
        if self._finished:
            return
        self.lost = True
        self._free_chunks()
        self._resumed()
        if self._big is not None:
            big, self._big = self._big, None
            self._owner.big_files -= 1
            big.discard()

    def finish(
        self,
        outcome: Outcome,
        reply: str = "",
        *,
        learned: dict[str, int] | None = None,
        done: Callable[[bool], None] | None = None,
    ) -> None:
        """All octets were written: journal the message, then its verdict.

        `reply` is the server's word on an APPEND, `learned` what its APPENDUID says
        ({"uidvalidity", "uid"}). `done` hears whether the message is captured,
        by this or by another.
        """
        owner, meta, given = self._owner, self.meta, learned or {}
        place = (
            meta.user, meta.mailbox,
            given.get("uidvalidity", meta.uidvalidity), given.get("uid", meta.uid),
        )  # fmt: skip
        if self.lost:
            if done is not None:
                done(False)
            return
        if not owner.known.expect(*place) and meta.source != "imap_append":
            self.discard()
            if done is not None:
                done(True)
            return
        self._finished = True
        self._resumed()
        owner.due(1, self.size if self._big is None else 0)
        header = self._header()
        verdict: dict[str, Any] = {
            "id": self.id, "outcome": outcome, "reply": reply[:400], "recipients": [],
            "imap": dict(given),
        }  # fmt: skip
        durable = partial(self._durable, place, verdict, done)
        if self._big is None:
            owner.journal.append(header, self._chunks, durable)
        else:
            header["file"] = self._big.name
            self._big.finish(partial(self._spooled, header, durable))

    def _spooled(
        self,
        header: dict[str, Any],
        durable: Callable[[Exception | None], None],
        error: Exception | None,
    ) -> None:
        if error is not None:
            durable(error)
        else:
            # From here on a frame may name the file: only JournalFull says that none does.
            self._owner.journal.append(header, (), durable)

    def _durable(
        self,
        place: tuple[str, str, int | None, int | None],
        verdict: dict[str, Any],
        done: Callable[[bool], None] | None,
        error: Exception | None,
    ) -> None:
        owner = self._owner
        owner.known.came(*place, error is None)
        self._free_chunks()
        big, self._big = self._big, None
        owner.due(-1, -self.size if big is None else 0)
        if big is not None:
            owner.big_files -= 1
        if error is None:
            owner.journal.append_verdict(verdict)
            owner.stats.taken += 1
            owner.stats.octets += self.size
        else:
            if big is not None and isinstance(error, JournalFull):
                big.discard()
            owner.trouble(error)
        self.lost = True
        if done is not None:
            done(error is None)

    def _header(self) -> dict[str, Any]:
        meta, owner = self.meta, self._owner
        return {
            "id": self.id,
            "time": timestamp(),
            "door": owner.door,
            "listener": owner.listener,
            "role": "imap",
            "client": {
                "ip": meta.client_ip,
                "port": meta.client_port,
                "helo": "",
                "tls": meta.client_tls,
                "auth": meta.user,
                "trusted": False,
            },
            "sender": "",
            "sender_params": [],
            "recipients": [],
            "trace": "",
            "size": self.size,
            "sha256": self._sha.hexdigest(),
            "flags": [],
            "file": None,
            "imap": {
                "source": meta.source,
                "user": meta.user,
                "mailbox": meta.mailbox,
                "special": meta.special,
                "uidvalidity": meta.uidvalidity,
                "uid": meta.uid,
                "internaldate": meta.internaldate,
                "keywords": list(meta.keywords),
            },
        }
