"""Checks of the IMAP servers behind: greeted as a door would, each once.

Uses the doors' own way to the server (proxy/imap/upstream.py), so that what works here works there.
Nobody logs in.
"""

import asyncio
from collections.abc import AsyncIterator
from ssl import SSLError

from config.settings import ImapListener, Settings
from proxy.checks import Note, fail, ok, warn
from proxy.imap.capabilities import shown
from proxy.imap.leg import Leg
from proxy.imap.poller import Poller
from proxy.imap.upstream import Dialing, UpstreamServer

SECONDS = 20.0


async def mailbox_notes(settings: Settings) -> AsyncIterator[Note]:
    """A line or more for each server, however many listeners lead to it."""
    seen = set()
    for listener in settings.imap:
        way = (
            str(listener.upstream), listener.upstream_tls, listener.upstream_client,
            listener.upstream_ca,
        )  # fmt: skip
        if way not in seen:
            seen.add(way)
            for note in await _visit(listener):
                yield note


async def _visit(listener: ImapListener) -> list[Note]:
    about, server = listener.name, str(listener.upstream)
    try:
        upstream = UpstreamServer(listener)
    except (OSError, SSLError, ValueError) as error:
        return [fail("imap.authorities", about, reason=str(error))]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Leg | None, bytes, str]] = loop.create_future()

    def ready(leg: Leg, _words: bytes, caps: bytes | None) -> None:
        answer.set_result((leg, caps or b"", ""))

    def failed(stage: str, why: str) -> None:
        answer.set_result((None, b"", f"{stage}: {why}"))

    buffer = memoryview(bytearray(65_536))
    poller = Poller(loop)
    dialing = Dialing(poller, upstream, ("127.0.0.1", 0), buffer, ready, failed)
    try:
        async with asyncio.timeout(SECONDS):
            await upstream.look_up()
            dialing.start()
            leg, caps, why = await answer
    except (OSError, TimeoutError) as error:
        dialing.close()
        return [fail("imap.away", about, server=server, reason=str(error) or "time-out")]
    finally:
        poller.close()
    if leg is None:
        return [fail("imap.away", about, server=server, reason=why)]
    tls = leg.tls_version or "-"
    leg.close()
    return list(_judge(listener, server, tls, caps.decode("ascii", "replace").upper().split()))


def _judge(listener: ImapListener, server: str, tls: str, offered: list[str]) -> list[Note]:
    about = listener.name
    hidden = [word for word in offered if word != "STARTTLS" and not shown(word)]
    notes = [ok("imap.greeted", about, server=server, tls=tls, hidden=" ".join(hidden) or "-")]
    if "LOGINDISABLED" in offered:
        notes.append(fail("imap.no_login", about, server=server))
    if listener.upstream_client == "id" and offered and "ID" not in offered:
        notes.append(warn("imap.no_id", about, server=server))
    return notes
