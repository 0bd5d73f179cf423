"""One IMAP door process: its socket, its journal, its server; from start to an orderly end (edge).

Several share one port (SO_REUSEPORT); each has a journal folder of its own, as the SMTP doors.

Ends: SIGTERM or SIGINT. No new connection is taken, every client gets a BYE, what is being captured
is kept if it is whole, then the journal is closed. IMAP clients connect again by themselves.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from config.settings import ImapListener, Settings
from crmstore.mailplace import Look
from proxy import maillog
from proxy.doorsocket import BACKLOG, DoorFailed, bound, tls_context
from proxy.imap import notes, roster
from proxy.imap.capture import Captures
from proxy.imap.companion import Plan
from proxy.imap.companions import Companions
from proxy.imap.greeter import originating, proxy_header
from proxy.imap.known import FOLDER, Known
from proxy.imap.leg import keep_alive, prompt
from proxy.imap.login import Credentials
from proxy.imap.mailclient import Server
from proxy.imap.notes import Login
from proxy.imap.roster import read_entry
from proxy.imap.session import Session
from proxy.imap.state import ImapState
from proxy.imap.upstream import UpstreamServer
from proxy.journal import JournalWriter
from proxy.metrics import ImapCounters

if TYPE_CHECKING:
    from proxy.heartbeat import Heartbeat

ACCEPTS: Final = 64
#: Seconds until a process that had no descriptor left accepts again.
AGAIN: Final = 1.0
TICK: Final = 1.0
#: Seconds that a capture may wait for others to share a sync with: it is nobody's answer.
PATIENCE: Final = 0.05
#: Seconds that captures may take to become durable at the end.
GRACE: Final = 10.0


async def run_imap_door(settings: Settings, name: str, slot: int, heartbeat: Heartbeat) -> None:
    """Serve one listener until SIGTERM. Raises DoorFailed when the journal is broken."""
    loop = asyncio.get_running_loop()
    listener = settings.imap_listener(name)
    door = f"{name}-{slot}"
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    journal = JournalWriter(
        settings.journal_dir / door,
        door,
        loop=loop,
        segment_bytes=settings.journal.segment_bytes,
        min_free=settings.journal.min_free,
        spool_above=settings.journal.spool_above,
        patience=PATIENCE,
    )
    found = journal.recovery
    if found is not None and (found.cut or found.verdicts or found.orphans):
        maillog.journal_recovered(door, found.cut, len(found.verdicts), len(found.orphans))
    counters = ImapCounters(name)
    captures = Captures(
        journal,
        Known(settings.data_dir / FOLDER),
        door=door,
        listener=name,
        on_broken=end.set,
        on_skip=counters.blind,
    )
    server = UpstreamServer(listener)
    state = ImapState(
        settings,
        listener,
        loop=loop,
        captures=captures,
        server=server,
        counters=counters,
        tls_context=tls_context(listener.tls, listener.cert, listener.key),
    )
    companions = _companions(settings, state)
    counters.start(loop)
    looking = loop.create_task(server.keep_looking())
    await asyncio.wait((server.found,), timeout=5)  # the first client should find somebody
    sock = _listen(listener)
    loop.add_reader(sock.fileno(), _accept, state, sock)
    ticker = loop.create_task(_tick(state, companions, heartbeat))
    heartbeat.ready = True
    heartbeat.beat()
    maillog.listening(name, str(listener.listen), os.getpid())
    gc.freeze()  # what is there now stays: the collector need not walk it again
    gc.set_threshold(20_000, 20, 20)  # a session is small, and many end at once
    try:
        await end.wait()
    finally:
        heartbeat.ready = False
        loop.remove_reader(sock.fileno())
        sock.close()
        looking.cancel()
        await companions.close()
        await _finish(state)
        ticker.cancel()
        await journal.close()
        counters.stop()
        state.poller.close()
    if journal.broken is not None:
        raise DoorFailed(f"the journal is broken: {journal.broken}")


def _companions(settings: Settings, state: ImapState) -> Companions:
    """One beside the sessions of each user ([capture].companion); logins are noted in any case."""
    loop, server, capture = state.loop, state.server, settings.capture
    folder = settings.data_dir / notes.FOLDER

    def preamble(ip: str, port: int) -> bytes:
        return proxy_header(ip, port, "0.0.0.0", 0) if server.tells == "proxy" else b""

    def ident(ip: str, port: int) -> str:
        told = server.tells == "id" and ip
        return originating(ip, port, "127.0.0.1", 0).decode("ascii") if told else ""

    def leave(note: Login | Look) -> asyncio.Future[None]:
        return loop.run_in_executor(None, notes.leave, folder, note)

    def tell(note: Login) -> None:
        leave(note).add_done_callback(told)

    def told(done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, Exception):
            maillog.journal_trouble(state.captures.door, "a note was not kept", error)

    plan = Plan(
        Server(
            server.target.host, server.target.port, server.implicit, server.policy, server.context
        ),
        begin=state.captures.begin,
        known=state.captures.known,
        roster=partial(read_entry, settings.data_dir / roster.FOLDER),
        leave=leave,
        claims=settings.run_dir / "companions",
        preamble=preamble,
        ident=ident,
        folders=capture.companion_folders,
        rate=capture.companion_rate,
        max_size=min(capture.companion_max_size, state.listener.max_size),
        since=capture.backfill_since,
        zone=ZoneInfo(settings.node.timezone),
    )
    looking = capture.companion and capture.mode == "capture"
    companions = Companions(plan if looking else None, tell, excluded=capture.matches_never)

    def login(session: Session, credentials: Credentials | None) -> Callable[[], None] | None:
        seat = companions.join(
            session.presence.user,
            credentials,
            busy=session.presence.waits,
            active=lambda: session.presence.active,
            client=(session.ip, session.port),
        )
        return None if seat is None else seat.leave

    state.on_login = login
    return companions


def _listen(listener: ImapListener) -> socket.socket:
    sock = bound(*listener.listen)
    try:
        prompt(sock)
        keep_alive(sock)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _accept(state: ImapState, sock: socket.socket) -> None:
    """Clients wait at the door."""
    for _ in range(ACCEPTS):
        try:
            client, address = sock.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            # Gone again, or we are out of descriptors: what is in the queue is taken later then.
            maillog.connection_refused(state.listener.name, "", f"accept: {error.strerror}")
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                state.loop.remove_reader(sock.fileno())
                state.loop.call_later(AGAIN, _accept_again, state, sock)
            return
        client.setblocking(False)
        Session(state, client, address[0], address[1]).start()


def _accept_again(state: ImapState, sock: socket.socket) -> None:
    if not state.stopping:
        state.loop.add_reader(sock.fileno(), _accept, state, sock)


async def _tick(state: ImapState, companions: Companions, heartbeat: Heartbeat) -> None:
    """Once a second: time-outs of all sessions, and the figures of `mailweir status`."""
    while True:
        await asyncio.sleep(TICK)
        state.clock = state.loop.time()
        for session in list(state.sessions):
            session.presence.tick()
        captures = state.captures
        captures.blocks.trim()
        stats = captures.journal.stats
        heartbeat.figures = {
            "connections": len(state.sessions),
            "captured": captures.stats.taken,
            "skipped": sum(captures.stats.skipped.values()),
            "companions": companions.figures.running,
            "fetched": companions.figures.fetched,
            "journal_full": captures.journal.full,
            "journal_bytes": stats.bytes,
        }


async def _finish(state: ImapState) -> None:
    """Send all clients away; what is being captured may become durable."""
    state.stopping = True
    for session in list(state.sessions):
        session.stop()
    give_up = state.loop.time() + GRACE
    captures = state.captures
    # Looked at rather than told: this is the end, and both have many causes.
    while (  # noqa: ASYNC110
        (state.sessions or captures.waiting)
        and state.loop.time() < give_up
        and captures.journal.broken is None
    ):
        await asyncio.sleep(0.05)
    for session in list(state.sessions):
        session.close()
