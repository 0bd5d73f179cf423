"""What doors share before their first client: processor, socket and TLS context (edge).

Several door processes share one port (SO_REUSEPORT); the kernel gives each its part of the clients.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Final

__all__ = ["BACKLOG", "DoorFailed", "bound", "own_processor", "tls_context"]

#: 3,000 connects at once: 0.16 s with 4096, 26.7 s with asyncio's 100 (threats.md row 24).
BACKLOG: Final = 4096


class DoorFailed(Exception):
    """The door cannot go on; the supervisor starts it anew."""


def own_processor(slot: int, doors: int) -> None:
    """Stay on one processor, where there is a door for each: a door's loop and its journal's thread
    take turns at one interpreter, and hand it over far cheaper there (decision 0007).

    Before any thread is started. With fewer doors than processors the kernel finds them a place;
    where a sandbox forbids it, it does so too.
    """
    processors = sorted(os.sched_getaffinity(0))
    if doors >= len(processors):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {processors[slot % len(processors)]})


def tls_context(tls: str, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None where the listener speaks no TLS. OSError (ssl.SSLError) for files that do not do."""
    if tls == "none" or cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.num_tickets = 1  # each costs, and a client that comes back gets the next one then
    return context


def bound(host: str, port: int) -> socket.socket:
    """A non-blocking TCP socket, bound and not listening yet. OSError if that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
