"""A session that is over is freed at once: nothing of it waits for the collector.

With many short sessions (webmail logs in for each page) what waits costs memory, and a walk through
all of it.
"""

import asyncio
import gc
import socket
from types import SimpleNamespace
from typing import Any

from proxy.imap.capabilities import OurLeg
from proxy.imap.dialogue import Dialogue
from proxy.imap.leg import Leg
from proxy.imap.login import Found
from proxy.imap.poller import Poller
from proxy.imap.session import Session


def state(loop: asyncio.AbstractEventLoop) -> Any:
    """As much of a door as a session without a server of its own needs."""
    buffer = bytearray(1000)
    nothing = SimpleNamespace(enter=lambda key: True, leave=lambda key: None)
    return SimpleNamespace(
        poller=Poller(loop), sessions=set(), clock=0.0, users=nothing, clients=nothing,
        domains=("y.example",), listener=SimpleNamespace(name="imap", max_size=1000),
        login_ended=lambda ip, ok: None, purposes=lambda user: {},
        captures=SimpleNamespace(behind=False), buffer=buffer, view=memoryview(buffer),
        counters=SimpleNamespace(logged_in=lambda change: None),
        on_login=lambda session, credentials: None,
    )  # fmt: skip


def ended(door: Any) -> None:
    """A session from its login to its end."""
    ours, theirs = socket.socketpair()
    behind, server = socket.socketpair()
    with theirs, server:
        session = Session(door, ours, "192.0.2.1", 1234)
        door.sessions.add(session)
        session.server = Leg(door.poller, behind, session._server_readable, session._server_drained)
        session.dialogue = Dialogue(session.presence, OurLeg(False, True))
        session.dialogue.logged_in = True
        found = Found("alice", None)
        session.dialogue.observer = session.presence.login(found, "LOGIN", True, b"OK in")
        session.client.resume()
        session.server.resume()
        session.close()


def test_a_server_that_is_still_there_is_no_news() -> None:
    """Who IDLEs is told so every two minutes: no reason for the companion to log in as often."""

    async def play() -> None:
        door = state(asyncio.get_running_loop())
        door.listener.idle_timeout = door.listener.login_timeout = 100.0
        ours, theirs = socket.socketpair()
        behind, server = socket.socketpair()
        behind.setblocking(False)
        ours.setblocking(False)
        with theirs, server:
            session = Session(door, ours, "192.0.2.1", 1234)
            door.sessions.add(session)
            session.server = Leg(door.poller, behind, session._server_readable, lambda: None)
            session.dialogue = Dialogue(session.presence, OurLeg(False, True))
            session.dialogue.logged_in = True
            session.server.resume()
            for clock, words, active in (
                (1.0, b"* OK Still here\r\n", 0.0), (2.0, b"* 3 EXISTS\r\n", 2.0),
                (3.0, b"* OK Still here\r\n", 2.0),
            ):  # fmt: skip
                door.clock = clock
                server.sendall(words)
                while session.seen != clock:
                    await asyncio.sleep(0.001)
                session.presence.tick()
                assert session.presence.active == active
            session.close()
        door.poller.close()

    asyncio.run(play())


def test_nothing_is_left() -> None:
    async def play() -> None:
        door = state(asyncio.get_running_loop())
        ended(door)  # whatever is made once is there
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                ended(door)
            assert gc.collect() == 0
        finally:
            gc.enable()
            door.poller.close()

    asyncio.run(play())
