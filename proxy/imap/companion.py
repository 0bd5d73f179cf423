"""The companion: fetches what no session has read whole, so that nobody's mail has a gap (edge).

Most mail programs fetch headers and parts. So beside the sessions of a user runs one connection of
our own, with that user's credentials, which looks into INBOX and Sent and fetches what is not known
there, from the day the user was enrolled (or `capture.backfill_since`), newest first, one message
after the other.

It is polite: at most `rate` messages a second; not while a session of the user waits for an answer;
one for each user, whatever the number of sessions, doors and processes (a lock in data_dir/run); it
logs out when nothing is left to do and comes again MIN_GAP seconds later if a session has said or
been told anything meanwhile, else after EVERY. What goes wrong is tried again later and later; a
login that was refused is not tried a second time with the same credentials.

It changes nothing: mailboxes are opened read-only and bodies fetched with BODY.PEEK, so \\Seen and
\\Recent stay as they are for the user's programs (proxy/imap/mailclient.py has no other command).

Credentials are in memory while a session of the user lives. When the last one ends they are let go;
a look that is under way then may go on over its connection for LINGER seconds, because phones log
in for moments only.
Limits: 200 messages in a FETCH, one body at a time, sets of UIDs as ranges.
Cites: imap.md "partial BODY[]..."; features.md A13, A14, A21, A27; libraries.md "aioimaplib".
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, Protocol

from crmstore.mailplace import Look
from crmstore.uidset import UidSet, without
from proxy import maillog
from proxy.imap.choice import Folder, chosen, chunks, imap_date, is_before, is_draft, passes
from proxy.imap.grammar import FetchItems
from proxy.imap.known import Known
from proxy.imap.login import Credentials
from proxy.imap.mailclient import MailboxClient, MailboxError, Server, connect
from proxy.imap.message import Meta, Octets, Outcome
from proxy.imap.roster import Entry

__all__ = ["Companion", "Figures", "Plan", "Sink"]

EVERY: Final = 900.0
MIN_GAP: Final = 15.0
ACTIVE_LOOK: Final = 5.0
LINGER: Final = 300.0
RETRY_FIRST: Final = 30.0
RETRY_MOST: Final = 3600.0
CLAIM_AGAIN: Final = 30.0
ROSTER_WAIT: Final = 60.0
BUSY_LOOK: Final = 0.05
#: A client that is never done (a first sync of days) does not keep its own gaps for ever.
BUSY_MOST: Final = 120.0


class Sink(Protocol):
    """A capture of proxy/imap/capture.py."""

    paused: bool
    lost: bool

    def write(self, chunk: Octets) -> None: ...

    def discard(self) -> None: ...

    def finish(
        self, outcome: Outcome, reply: str = "", *, done: Callable[[bool], None] | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all companions of a door. `folders`: special uses, or names. `preamble`
    is said before all else for a client's address (PROXY protocol), `ident` are its arguments of an
    ID command."""

    server: Server
    begin: Callable[[Meta], Sink | None]
    known: Known
    roster: Callable[[str], Entry | None]
    leave: Callable[[Look], Awaitable[None]]
    claims: Path
    preamble: Callable[[str, int], bytes] = lambda ip, port: b""
    ident: Callable[[str, int], str] = lambda ip, port: ""
    folders: Sequence[str] = ("inbox", "sent")
    rate: float = 5.0
    max_size: int = 50 << 20
    since: date | None = None
    zone: tzinfo = UTC
    every: float = EVERY
    min_gap: float = field(default_factory=lambda: MIN_GAP)
    patience: float = 60.0


@dataclass(slots=True)
class Figures:
    """What companions of this process have done, since its start."""

    fetched: int = 0
    skipped: int = 0
    looks: int = 0
    failed: int = 0
    running: int = 0


@dataclass(slots=True)
class Companion:
    """One user's. `busy` says whether a session of the user waits for an answer now, `active` when
    one has said or been told something last."""

    plan: Plan
    user: str
    credentials: Credentials | None
    busy: Callable[[], bool]
    figures: Figures
    active: Callable[[], float] = lambda: 0.0
    client: tuple[str, int] = ("", 0)
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    last_look: float = 0.0
    looking: bool = False
    refused: bool = False  # the login was, for good
    _skipped: dict[str, tuple[int, UidSet]] = field(default_factory=dict)
    _told: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def forget(self) -> None:
        """The last session has ended: let go of the credentials."""
        self.credentials = None

    def _alone(self) -> bool:
        return self.credentials is None

    async def run(self) -> None:
        """Until cancelled, or until there is no use in going on."""
        try:
            claim = await self._claim()
        except OSError as error:
            maillog.companion_trouble(self.user, "claim", error.strerror or "")
            return
        self.figures.running += 1
        try:
            await self._rounds()
        finally:
            self.figures.running -= 1
            os.close(claim)  # and the lock with it

    async def _claim(self) -> int:
        """The right to be the only one for this user on this machine."""
        name = hashlib.sha256(self.user.encode("utf-8", "replace")).hexdigest()[:40]
        self.plan.claims.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(
            self.plan.claims / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return fd
                except BlockingIOError:
                    await asyncio.sleep(CLAIM_AGAIN * random.uniform(0.8, 1.2))
        except BaseException:
            os.close(fd)
            raise

    async def _rounds(self) -> None:
        entry = await self._entry()
        failures = 0
        while self.credentials is not None and entry is not None:
            if not entry.user or not entry.enabled:
                return
            self.nudged.clear()
            last = self.active()
            try:
                self.looking = True
                await self._round(entry)
                failures = 0
                pause = self.plan.min_gap
            except MailboxError as error:
                self.figures.failed += 1
                maillog.companion_trouble(self.user, error.stage, error.words)
                if error.stage in ("login", "authenticate") and not passes(error.words):
                    self.refused = True
                    return
                pause = min(RETRY_FIRST * 2**failures, RETRY_MOST) * random.uniform(0.8, 1.2)
                failures += 1
            finally:
                self.looking = False
                self.last_look = asyncio.get_running_loop().time()
            if self._alone():
                return
            await asyncio.sleep(pause)
            if not failures:
                await self._until_active(last, self.plan.every - pause)
            entry = self.plan.roster(self.user)

    async def _until_active(self, last: float, most: float) -> None:
        """Wait until there may be something new, at most so many seconds."""
        while most > 0 and self.active() == last and not self.nudged.is_set():
            step = min(most, ACTIVE_LOOK)
            most -= step
            try:
                async with asyncio.timeout(step):
                    await self.nudged.wait()
            except TimeoutError:
                pass

    async def _entry(self) -> Entry | None:
        """What the worker says of this user; for a first login that takes a moment."""
        waited = 0.0
        while waited < ROSTER_WAIT:
            entry = self.plan.roster(self.user)
            if entry is not None:
                return entry
            await asyncio.sleep(0.25)
            waited += 0.25
        return None

    # One round

    async def _round(self, entry: Entry) -> None:
        """Log in, look into each folder, log out."""
        plan, client_at = self.plan, self.client
        server = plan.server._replace(
            preamble=plan.preamble(*client_at), ident=plan.ident(*client_at)
        )
        client = await connect(server, plan.patience)
        try:
            credentials = self.credentials
            if credentials is None:  # the last session has ended meanwhile
                return
            await client.login(credentials)
            del credentials
            for folder, name, special in chosen(await client.folders(), self.plan.folders):
                await self._look(client, folder, name, special, entry)
            await client.logout()
        finally:
            client.close()
        self.figures.looks += 1

    async def _look(
        self, client: MailboxClient, folder: Folder, name: str, special: str, entry: Entry
    ) -> None:
        """Fetch what is not known of one folder."""
        plan, user = self.plan, self.user
        await self._quiet()
        validity = await client.examine(folder.raw)
        plan.known.load(user, name, validity)
        first = self._first_day(entry)
        # INTERNALDATE has a zone of its own and SINCE looks at its day only: one day more, and
        # what is too early is left out by its exact time.
        found = await client.search(imap_date(first - timedelta(days=1)))
        if name not in self._skipped or self._skipped[name][0] != validity:
            self._skipped[name] = validity, UidSet()
        skipped = self._skipped[name][1]
        present = found
        await self._tell(name, special, validity, present, skipped)
        begin = datetime(first.year, first.month, first.day, tzinfo=plan.zone)
        left_out = UidSet()
        wanted = without(without(found, plan.known.uids(user, name, validity)), skipped)
        for uids in chunks(wanted):
            await self._quiet()
            items = await client.sizes(uids)
            for uid in sorted(items, reverse=True):
                item = items[uid]
                if is_draft(item) or is_before(item, begin):
                    left_out.add(uid)
                elif item.size is not None and item.size > plan.max_size:
                    skipped.add(uid)
                    self.figures.skipped += 1
                    maillog.companion_skipped(user, item.size, plan.max_size)
                else:
                    await self._fetch(client, name, special, validity, uid, item)
        await self._tell(name, special, validity, without(present, left_out), skipped)

    async def _fetch(
        self,
        client: MailboxClient,
        name: str,
        special: str,
        validity: int,
        uid: int,
        item: FetchItems,
    ) -> None:
        await self._quiet()
        if self.plan.known.has(self.user, name, validity, uid):
            return  # a session has read it meanwhile
        meta = Meta(
            "companion", self.user, name, special, validity, uid,
            item.internaldate, item.flags or (), *self.client,
        )  # fmt: skip
        sink = self.plan.begin(meta)
        if sink is None:
            raise MailboxError("journal", "no room")

        def write(chunk: Octets) -> bool:
            sink.write(chunk)
            return not sink.paused

        whole = False
        try:
            whole = await client.body(uid, write)
        finally:
            if not whole:
                sink.discard()
        if not whole:
            return  # expunged meanwhile
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def ended(ok: bool) -> None:
            if not kept.done():
                kept.set_result(ok)

        sink.finish("accepted", "OK FETCH", done=ended)
        if not await kept:
            raise MailboxError("journal", "not kept")
        self.figures.fetched += 1
        await asyncio.sleep(1.0 / self.plan.rate)

    async def _quiet(self) -> None:
        """The user's own programs go first."""
        waited = 0.0
        while self.busy() and waited < BUSY_MOST:
            await asyncio.sleep(BUSY_LOOK)
            waited += BUSY_LOOK

    async def _tell(
        self, name: str, special: str, validity: int, present: UidSet, skipped: UidSet
    ) -> None:
        """The worker keeps the figures; it is told what has changed."""
        told = (validity, str(present), str(skipped))
        if self._told.get(name) != told:
            self._told[name] = told
            try:
                look = Look(self.user, name, special, validity, present, skipped)
                await self.plan.leave(look)
            except OSError as error:
                del self._told[name]
                maillog.companion_trouble(self.user, "note", error.strerror or "")

    def _first_day(self, entry: Entry) -> date:
        enrolled = datetime.fromtimestamp(entry.since_us / 1e6, self.plan.zone).date()
        return enrolled if self.plan.since is None else min(self.plan.since, enrolled)
