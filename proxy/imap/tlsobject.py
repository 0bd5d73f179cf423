"""TLS on a socket that is non-blocking and stays what it is: OpenSSL's object and no more (edge).

    tls = on_socket(context, sock, None)          # as the server; as a client: the server's name
    tls.do_handshake(), tls.read(16384, view), tls.write(data), tls.shutdown()

`SSLContext.wrap_socket` makes a second socket around this same object and asks the kernel half a
dozen things first; each of its calls then passes three functions of Python. Here they go to the
object itself, which halves what TLS costs the interpreter at a login (decision 0114). The method
that makes the object has no public name: ssl.py calls it in this way since Python 3.7, and
`on_socket` is the only place that knows.

Errors: those of the module `ssl`; all are OSError. The end of the stream without TLS's last word is
ssl.SSLEOFError. Names and certificates are checked in the handshake, by OpenSSL, as the context
says.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Protocol


class TlsObject(Protocol):
    """What `ssl.SSLSocket` has inside."""

    def do_handshake(self) -> None:
        """A step of it, until it raises no more."""

    def read(self, size: int, buffer: memoryview, /) -> int:
        """Octets of one record at most; 0: the peer has said its last word."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Octets that were taken."""

    def shutdown(self) -> object:
        """Say the last word."""

    def version(self) -> str | None:
        """As in "TLSv1.3"; None before the handshake has ended."""


def on_socket(context: ssl.SSLContext, sock: socket.socket, server_name: str | None) -> TlsObject:
    """Speak TLS on `sock`, which must outlive it: it is known there by a weak reference.

    Raises OSError, or ValueError for a name that none can have.
    """
    if server_name is None and context.check_hostname:
        raise ValueError("a server has no name to check")
    name = None if server_name is None else server_name.encode("idna").decode("ascii")
    inner: Any = context
    made: TlsObject = inner._wrap_socket(sock, server_name is None, name)
    return made
