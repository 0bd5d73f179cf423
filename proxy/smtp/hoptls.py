"""TLS towards the next hop, with buffers of 32 KiB instead of 256.

asyncio's `SSLProtocol` reserves `max_size` = 256 KiB per connection (295 kB measured against 67 kB
with 32 KiB), and `loop.start_tls` cannot be told otherwise. So this subclasses
`asyncio.sslproto.SSLProtocol`, which is not documented API: `tests/paths/test_hoptls.py` fails when
one of the names used here changes. It runs on asyncio's and on uvloop's transports alike.

Policies: "verify" checks chain and name; "require" and "may" only encrypt, which keeps out who
listens but not who stands in between.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from asyncio import sslproto
from pathlib import Path


class SmallBufferTLS(sslproto.SSLProtocol):
    """One TLS leg over an existing transport."""

    max_size = 32 * 1024

    def feed(self, data: bytes) -> None:
        """Octets that were read before the leg stood (behind a PROXY header)."""
        while data:
            room = self.get_buffer(len(data))
            taken = min(len(room), len(data))
            room[:taken] = data[:taken]
            self.buffer_updated(taken)
            data = data[taken:]


def client_context(policy: str, ca: Path | None) -> ssl.SSLContext:
    """The context of a policy; for "verify", `ca` replaces the system's authorities."""
    if policy == "verify":
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        # Python 3.13 began to insist on extensions that many a private authority leaves out. A
        # newer Python must not stop the mail; chain, time and name are checked all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_leg(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext,
    server_name: str,
    timeout: float,
) -> tuple[SmallBufferTLS, asyncio.Future[None]]:
    """A leg that calls `protocol.connection_made` once hands are shaken, and its future.

    The future ends with an OSError (ssl.SSLError is one) if it fails.
    """
    done: asyncio.Future[None] = loop.create_future()
    # Whole seconds: what the type hints of this undocumented class ask for.
    seconds = math.ceil(timeout)
    leg = SmallBufferTLS(
        loop, protocol, context, done, False, server_name, ssl_handshake_timeout=seconds
    )
    return leg, done


def switch(transport: asyncio.Transport, leg: SmallBufferTLS) -> None:
    """STARTTLS: from now on the transport's bytes are TLS."""
    # Reading stops while the protocols change places: uvloop picks its way of reading when it
    # (re)starts, and not a byte may reach the old protocol.
    transport.pause_reading()
    transport.set_protocol(leg)
    leg.connection_made(transport)
    transport.resume_reading()
