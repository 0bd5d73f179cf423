"""The worker process: ingest, queue, upkeep. Mail goes on without it; it only goes after.

Ingest runs in a thread of its own (archive and store block), the queue runner in the loop.
Promises: no fault of store, archive or reader ends the worker: it waits with back-off, up to
MAX_PAUSE, and tries again from what the store says (a locked, full or missing store loses
nothing, the journal keeps it all). On SIGTERM it finishes the batch at hand and stops.
Cites: architecture.md "Processes"; JOURNAL.md, steps 9 to 13.
"""

import asyncio
import contextlib
import ctypes
import gc
import itertools
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from bounce import keyfile, suppressfile
from bounce.suppression import Suppressed
from config.settings import Settings
from crmstore import mailboxes, relink, suppressions, usage
from crmstore.archive import Archive, open_archive
from crmstore.queue import FINAL, Queue
from crmstore.store import Store, StoreError, open_store
from proxy import maillog, metrics, reports
from proxy.heartbeat import Heartbeat
from proxy.imap.upkeep import ImapUpkeep
from proxy.ingest import Ingest, Step
from proxy.lull import Lull
from proxy.reader import ReaderFailed
from proxy.reports import Reporter
from proxy.rescue import Rescuer

__all__ = ["IngestThread", "run_worker"]

PACE = 0.2  # seconds a batch may gather while there is little to do
MAX_PAUSE = 15.0
FIGURES = 5.0
HISTORY = 12  # of these rounds
UPKEEP = 60.0
TRIM = 10.0
LOOK = 1.0
SWITCH = 0.001  # seconds
KEEP = 600.0  # between two notes of headers for segments that are not done yet


_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it


async def run_worker(settings: Settings, heartbeat: Heartbeat | None = None) -> None:
    """Until SIGTERM or SIGINT."""
    from proxy.smtp.deliver import QueueRunner

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Batches are thousands of small objects without cycles: the collector's default pace costs a
    # sixth of the ingest. Upkeep asks for it.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    # Who commits to a server waits for it sixty times a batch, and each time for us to let go of
    # the interpreter: not 5 ms then.
    sys.setswitchinterval(SWITCH)
    store, archive = open_store(settings), open_archive(settings)
    patience = (settings.bounce.soft_count, settings.bounce.soft_for)
    queue = Queue(store, patience=patience)
    ingest = IngestThread(settings, store, archive, heartbeat)
    if heartbeat is not None:
        heartbeat.ready = True
    with ThreadPoolExecutor(1, thread_name_prefix="ingest") as pool:
        under_way = loop.run_in_executor(pool, ingest.run)
        runner = asyncio.create_task(QueueRunner(settings, queue, archive).run(stop))
        figures = asyncio.create_task(_figures(settings, queue, store, stop))
        told = asyncio.create_task(_reports(Reporter(settings, store, archive), stop))
        try:
            await stop.wait()
        finally:
            ingest.stop.set()
            stop.set()
            await asyncio.gather(under_way, runner, figures, told, return_exceptions=True)
            store.close()


async def _figures(settings: Settings, queue: Queue, store: Store, stop: asyncio.Event) -> None:
    """The numbers for the metrics: what waits in the queue often, all else seldom."""
    ended: dict[str, tuple[int, float]] = {}
    mail = MailFigures(settings.store.mail_quota)
    for count in itertools.count():
        whole = count % HISTORY == 0
        try:
            found = await asyncio.to_thread(queue.figures, time.time(), history=whole)
            if whole:
                ended = {state: found[state] for state in FINAL if state in found}
                metrics.coverage(await asyncio.to_thread(mailboxes.coverage, store))
                await asyncio.to_thread(mail.look, store)
            metrics.queue({**ended, **found})
        except StoreError:
            pass  # ingest tells of it; the old numbers stand
        try:
            await asyncio.wait_for(stop.wait(), FIGURES)
            return
        except TimeoutError:
            continue


class MailFigures:
    """How much mail there is: metrics, and a line when it comes to another level of the quota."""

    def __init__(self, quota: int | str) -> None:
        self._quota = quota
        self._told = "ok"

    def look(self, store: Store) -> None:
        """StoreError."""
        while usage.settle(store):
            pass
        found = usage.usage(store, self._quota)
        metrics.mail(found.mail_bytes, found.quota)
        if found.level not in (self._told, ""):
            self._told = found.level
            maillog.mail_quota(found.level, found.mail_bytes, found.quota)


async def _reports(reporter: Reporter, stop: asyncio.Event) -> None:
    """Senders of queued mail hear what became of it."""
    while not stop.is_set():
        made = await asyncio.to_thread(reporter.once)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.01 if made else reports.PAUSE)


class IngestThread:
    """The loop around proxy/ingest.py: pace, patience, words and numbers."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        archive: Archive,
        heartbeat: Heartbeat | None = None,
        *,
        ingest: Ingest | None = None,
        rescuer: Rescuer | None = None,
        lull: Lull | None = None,
    ) -> None:
        self.stop = threading.Event()
        self._store = store
        self._archive = archive
        self._queue = Queue(store)
        self._ingest = ingest or Ingest(settings, store, archive)
        self._imap = ImapUpkeep(settings, store)
        self._rescuer = rescuer or Rescuer()
        self._lull = lull or Lull(settings.journal_dir, behind=self._ingest.behind)
        self._heartbeat = heartbeat
        self._checked = False
        self._capture = (settings.node.domains, settings.capture.address_change)
        self._pause = 0.0
        self._caught_up = time.time()
        self._next_upkeep = self._next_trim = 0.0
        self._settings = settings
        self._published = -1
        self._next_look = self._next_touch = 0.0
        self._next_keep = 0.0
        self.totals = {"messages": 0, "unread": 0, "failed": 0, "steps": 0}

    def run(self) -> None:
        """Until `stop` is set."""
        try:
            while not self.stop.is_set():
                begun = time.monotonic()
                self._lull.await_one(self.stop)
                more = self.once()
                if self._pause:
                    self.stop.wait(self._pause)
                elif not more:
                    self.stop.wait(max(0.01, begun + PACE - time.monotonic()))
            self._keep_headers()
        finally:
            self._ingest.close()

    def _keep_headers(self) -> None:
        """At the end, for a machine that does not come back."""
        try:
            self._ingest.keep_headers()
        except (StoreError, OSError) as error:
            maillog.store_trouble("keeping headers in the archive", error, 0.0)

    def once(self) -> bool:
        """One step; True if there may be more to do at once. Never raises."""
        try:
            begun = time.monotonic()
            if not self._checked:
                self._store.check_schema()
                relink.agree(self._store, *self._capture)
                self._checked = True
            step = self._ingest.step()
            self._tell(step, (time.monotonic() - begun) * 1000)
            self._imap.learned(step.taken.mailboxes)
            for login in self._imap.step():
                maillog.enrolled(login)
            # A step of it between two batches: ingest never waits long for it, nor it for ingest.
            _, relinking = relink.step(self._store)
            self._give_back()
            if not step.more:
                self._lull.caught_up()
                self._publish()
                self._upkeep()
            self._pause = 0.0
            return step.more or relinking
        except (StoreError, OSError, ReaderFailed) as error:
            self._wait("ingest", error)
        except Exception as error:
            maillog.worker_fault("ingest", error)
            self._wait("", error)
        return False

    def _wait(self, what: str, error: Exception) -> None:
        """Something is wrong: come back later, with nothing believed but the store."""
        self._pause = min(max(0.5, 2 * self._pause), MAX_PAUSE)
        self._checked = False
        self._ingest.forget()
        if what:
            maillog.store_trouble(what, error, self._pause)
        metrics.ingest_lag(max(0.0, time.time() - self._caught_up))

    def _tell(self, step: Step, ms: float) -> None:
        for (role, disposition), count in step.taken.captures.items():
            metrics.captured(role, disposition, count)
        now = time.time()
        for at in step.at_us:
            metrics.capture_to_link(now - at / 1e6)
        for login in step.enrolled:
            maillog.enrolled(login)
        for capture_id, why in step.unread:
            maillog.unread(capture_id, why)
        for capture_id, why in step.failed:
            maillog.capture_missing("", f"{capture_id}: {why}")
        for door, segment, damage in step.damage:
            seqs = f"{damage.first_seq or '?'} to {damage.last_seq or '?'}"
            maillog.capture_missing(door, f"segment {segment}: {damage.reason}, frames {seqs}")
        for bounce in step.bounces.bounces:
            maillog.bounced(*bounce)
            metrics.bounce(bounce.klass, bounce.category, bounce.source)
        for capture_id, result in step.bounces.reports:
            metrics.bounce_report(result)
            if result == "forged":
                maillog.report_forged(capture_id)
        for address in step.bounces.suppressed:
            maillog.suppressed(address)
        metrics.unread(len(step.unread))
        if missing := len(step.failed) + len(step.damage):
            metrics.capture_missing(missing)
        if step.messages:
            maillog.ingested(" ".join(sorted(step.doors)), step.messages, step.taken.links, ms)
        for door, error in step.trouble:
            maillog.journal_trouble(door, "keeping its headers in the archive", error)
        if isinstance(step.ahead, StoreError | OSError | ReaderFailed):
            maillog.store_trouble("reading ahead", step.ahead, 0.0)
        elif step.ahead is not None:
            maillog.worker_fault("reading ahead", step.ahead)
        if step.more:  # what comes next was written about when the last of this batch was
            if step.upto_us:
                self._caught_up = min(now, step.upto_us / 1e6)
            metrics.ingest_lag(now - self._caught_up)
        else:
            self._caught_up = now
            metrics.ingest_lag(0.0)
        self.totals["messages"] += step.messages
        self.totals["unread"] += len(step.unread)
        self.totals["failed"] += len(step.failed)
        self.totals["steps"] += 1
        if self._heartbeat is not None:
            self._heartbeat.figures = dict(self.totals)

    def _give_back(self) -> None:
        """Garbage in cycles, and memory that the allocator holds between what is in use: also in
        the middle of a long backlog, whose batches would otherwise leave ever more of it."""
        now = time.monotonic()
        if now >= self._next_trim:
            self._next_trim = now + TRIM
            gc.collect()
            if _trim is not None:
                _trim(0)

    def _publish(self) -> None:
        """The suppression list for the doors: when it has changed, and touched so that they know
        that somebody cares for it."""
        now = time.monotonic()
        if not self._settings.bounce.suppress or now < self._next_look:
            return
        self._next_look = now + LOOK
        version = suppressions.version(self._store)
        path = self._settings.suppression_file
        try:
            if version != self._published or not path.exists():
                found = suppressions.entries(self._store)
                rows = (
                    (e.address, Suppressed(e.category, e.status, e.words, e.since)) for e in found
                )
                suppressfile.publish(path, rows)
                self._published = version
            elif now >= self._next_touch:
                self._next_touch = now + UPKEEP
                os.utime(path)
        except OSError as error:
            # No trouble of ingest: a full disk must not keep it from freeing some. Doors whose
            # list grows old refuse nobody.
            maillog.store_trouble("publishing the suppression list", error, LOOK)

    def _upkeep(self) -> None:
        """What can wait: doors that are gone, blobs that nobody names any more."""
        for tail in self._ingest.tails.values():
            self._rescuer.look(tail)
        now = time.monotonic()
        if now < self._next_upkeep:
            return
        self._next_upkeep = now + UPKEEP
        self._store.rest()
        bounce = self._settings.bounce
        if bounce.return_path_domain and bounce.key_file is None:
            keyfile.keep(self._settings.return_path_keys, time.time())
        if now >= self._next_keep:
            self._next_keep = now + KEEP
            self._ingest.keep_headers()
        while digests := self._queue.spent_blobs():
            self._archive.delete_many(digests)
            self._queue.blobs_removed(digests)
