"""One door process: its socket, its journal, its next hop; from start to an orderly end (edge).

Several door processes share one port (SO_REUSEPORT); each has a journal folder of its own, and
the folder's lock sees to it that there is never a second process of the same name.

Ends: SIGTERM or SIGINT. No new connection is taken, idle clients are sent away with 421, running
transactions may end within GRACE seconds, then the journal is closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Final

from config.settings import Settings
from proxy import maillog
from proxy.doorsocket import BACKLOG, DoorFailed, bound, own_processor, tls_context
from proxy.journal import JournalWriter
from proxy.metrics import SmtpCounters
from proxy.sharedmemory import shared
from proxy.smtp.doorstate import DoorState
from proxy.smtp.limits import TABLE_SIZE, LoginFailures
from proxy.smtp.listener import door_factory
from proxy.smtp.nexthop import NextHop
from proxy.smtp.policy import DoorPolicy
from proxy.smtp.wayback import WayBack

if TYPE_CHECKING:
    from proxy.heartbeat import Heartbeat

GRACE: Final = 10.0


async def run_door(settings: Settings, name: str, slot: int, heartbeat: Heartbeat) -> None:
    """Serve one listener until SIGTERM. Raises DoorFailed when the journal is broken."""
    loop = asyncio.get_running_loop()
    # aiosmtpd logs addresses and octets as they come; what matters is in our own log.
    logging.getLogger("mail").addHandler(logging.NullHandler())
    logging.getLogger("mail").propagate = False
    listener = settings.listener(name)
    own_processor(slot, listener.doors)
    counters = SmtpCounters(name)
    back = WayBack(settings, listener.role, counters)
    policy = DoorPolicy.of(settings, name, slot, back.gate)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    journal = JournalWriter(
        settings.journal_dir / policy.door,
        policy.door,
        loop=loop,
        segment_bytes=settings.journal.segment_bytes,
        min_free=settings.journal.min_free,
    )
    _tell_recovery(policy.door, journal)
    next_hop = NextHop(
        listener.next_hop,
        helo=settings.node.hostname,
        tls=listener.next_hop_tls,
        ca=listener.next_hop_ca,
        allow_private=listener.allow_private,
        own=[(other.listen.host, other.listen.port) for other in settings.smtp],
        tell=listener.next_hop_client,
        loop=loop,
    )
    state = DoorState(
        policy,
        journal=journal,
        next_hop=next_hop,
        counters=counters,
        tls_context=tls_context(listener.tls, listener.cert, listener.key),
        connections=settings.limits.connections,
        per_client=listener.max_connections_per_client,
        proxy_from=listener.proxy_from if listener.proxy_protocol else (),
        on_broken=end.set,
        failures=LoginFailures(shared(settings.logins_file, TABLE_SIZE)),
    )
    counters.start(loop)
    server = await loop.create_server(
        door_factory(state, loop), sock=bound(*listener.listen), backlog=BACKLOG
    )
    ticker = loop.create_task(_tick(state, back, heartbeat))
    heartbeat.ready = True
    heartbeat.beat()
    maillog.listening(name, str(listener.listen), os.getpid())
    try:
        await end.wait()
    finally:
        heartbeat.ready = False
        server.close()
        await _finish(state)
        ticker.cancel()
        next_hop.close()
        await journal.close()
        counters.stop()
    if journal.broken is not None:
        raise DoorFailed(f"the journal is broken: {journal.broken}")


def _tell_recovery(door: str, journal: JournalWriter) -> None:
    found = journal.recovery
    if found is not None and (found.cut or found.verdicts or found.orphans):
        maillog.journal_recovered(door, found.cut, len(found.verdicts), len(found.orphans))


async def _tick(state: DoorState, back: WayBack, heartbeat: Heartbeat) -> None:
    """Once a second: time-outs of all sessions, and the figures of `mailweir status`."""
    last = state.now()
    while True:
        await asyncio.sleep(1.0)
        now = state.now()
        for door in list(state.doors):
            door.tick(now, now - last)
        last = now
        back.refresh()
        if state.journal.broken is not None:
            # It may break while nobody writes; the sooner the door starts anew, the better.
            state.journal_broken()
        stats = state.journal.stats
        heartbeat.figures = {
            "connections": len(state.doors),
            "journal_full": state.journal.full,
            "journal_bytes": stats.bytes,
            "journal_frames": stats.frames,
            "journal_syncs": stats.syncs,
            "verdicts_held": stats.held,
            "hops_idle": state.next_hop.idle,
            "hops_open": state.next_hop.open,
        }


async def _finish(state: DoorState) -> None:
    """Let running transactions end, then close what is left."""
    state.stopping = True
    for door in list(state.doors):
        door.stop()
    give_up = state.now() + GRACE
    # Looked at rather than told: this is the end, and `busy` has many causes.
    while state.busy and state.now() < give_up and state.journal.broken is None:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    for door in list(state.doors):
        door.kill()
    await asyncio.sleep(0)
