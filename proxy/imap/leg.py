"""One socket of an IMAP session, with or without TLS, straight on the door's poller (edge).

No transport and no stream lies between: octets are received into the process's one buffer, sent at
once, and kept only where the other side does not take them (imap.md section 2 has what that makes
out). TLS is an `SSLSocket` on the same descriptor: 16 KB a connection, where asyncio's TLS takes
67 KB and more.

Promises: nothing blocks; what `send` could not get rid of is bounded by the one read that it came
from, if its caller stops reading while `pending`.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import Final

from proxy.imap.poller import Poller

#: Room that a TLS record may need (RFC 8446 section 5.1).
RECORD: Final = 16_384
#: Octets of a record that holds a command, or its answer.
WORDS: Final = 1_024
#: Seconds until keepalive asks, between two questions, and how many stay unanswered.
KEEPALIVE: Final = (
    (socket.TCP_KEEPIDLE, 300),
    (socket.TCP_KEEPINTVL, 60),
    (socket.TCP_KEEPCNT, 5),
)

_NONE = bytes(4)  # octets of a socket to be read, an int
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def prompt(sock: socket.socket) -> None:
    """Small answers at once. Clients inherit it from a listening socket, and the next as well."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_alive(sock: socket.socket) -> None:
    """Dead peers are noticed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Leg:
    """`on_read` is called when there may be something to `receive`, `on_drained` when all that was
    kept has left. After an OSError of any method the leg is to be closed."""

    __slots__ = (
        "_corked", "_fd", "_handshaking", "_left", "_poller", "_reading", "_shaken", "_writing",
        "backlog", "on_drained", "on_read", "sock", "tls",
    )  # fmt: skip

    def __init__(
        self,
        poller: Poller,
        sock: socket.socket,
        on_read: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._poller = poller
        self.sock = sock
        self._fd = sock.fileno()
        self.on_read = on_read
        self.on_drained = on_drained
        self.tls: ssl.SSLSocket | None = None  # then `sock` is the same
        self.backlog: deque[memoryview] | None = None
        """What could not be sent yet; None or empty mostly."""
        self._reading = False
        self._writing = False
        self._handshaking = False
        self._corked = False  # what is sent waits for more of it
        self._left = False  # the peer has, without a last word
        self._shaken: Callable[[OSError | None], None] | None = None

    @property
    def pending(self) -> bool:
        """Something could not be sent yet."""
        return bool(self.backlog)

    @property
    def closed(self) -> bool:
        return self._fd < 0

    @property
    def tls_version(self) -> str | None:
        return self.tls.version() if self.tls is not None else None

    def acknowledge(self) -> None:
        """Nothing will be said to what was read: tell the peer's kernel now that it has arrived. It
        may hold back the next small piece until then (RFC 1122 section 4.2.3.4), and ours waits
        40 ms for an answer to go with it."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def resume(self) -> None:
        """Call `on_read` from now on."""
        if not self._reading and self._fd >= 0 and not self._handshaking:
            self._reading = True
            self._poller.read(self._fd, self.on_read)

    def settle(self) -> None:
        """Much has been read in small pieces, and more will come."""
        if self._reading:
            self._poller.settle(self._fd)

    def pause(self) -> None:
        """Do not: the peer has to wait."""
        if self._reading:
            self._reading = False
            self._poller.read(self._fd, None)

    def hand_to(self, on_read: Callable[[], None], on_drained: Callable[[], None]) -> None:
        """From now on somebody else is told."""
        self.on_read, self.on_drained = on_read, on_drained
        if self._reading:
            self._poller.read(self._fd, on_read)

    def receive(self, view: memoryview) -> int:
        """Octets received into `view`; 0 at the end of the stream, -1 if there is nothing now."""
        tls = self.tls
        if tls is None:
            try:
                return self.sock.recv_into(view)
            except (BlockingIOError, InterruptedError):
                return -1
        if self._poller.hung and self._has_left(tls):
            return 0
        # A call gives one record: take all that have come, for one send to the other side. Behind
        # a few words there is nothing mostly, and if there is, the poller says so.
        got, room = 0, len(view)
        try:
            while True:
                count = tls.recv_into(view[got:] if got else view)
                got += count
                if count <= WORDS or room - got < RECORD:
                    return got
        except _NOT_NOW:
            return got or -1
        except OSError:
            if not got:
                raise
        return got

    def _has_left(self, tls: ssl.SSLSocket) -> bool:
        """The peer sends no more: has it left nothing behind, not even a close_notify?"""
        if not self._left and not tls.pending():
            self._left = ioctl(self._fd, FIONREAD, _NONE) == _NONE
        return self._left

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send now what goes; keep the rest."""
        if self.backlog:
            self.backlog.append(memoryview(bytes(data)))
            return
        if self.tls is not None:
            sent = self._send(memoryview(data))
            if self._corked:
                self._cork(False)
        else:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
        if sent < len(data):
            if self.backlog is None:
                self.backlog = deque()
            self.backlog.append(memoryview(bytes(data[sent:])))
            if not self._writing:
                self._writing = True
                self._poller.write(self._fd, self._flush)

    def _send(self, data: memoryview) -> int:
        tls = self.tls
        if tls is None:
            try:
                return self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                return 0
        sent, size = 0, len(data)
        try:
            while sent < size:
                sent += tls.send(data[sent:] if sent else data)
        except _NOT_NOW:
            pass
        return sent

    def _flush(self) -> None:
        out = self.backlog
        try:
            while out:
                sent = self._send(out[0])
                if sent < len(out[0]):
                    out[0] = out[0][sent:]
                    return
                out.popleft()
        except OSError:
            if out is not None:
                out.clear()
            # whoever reads next hears of it as well
        self._writing = False
        self._poller.write(self._fd, None)
        self.on_drained()

    def start_tls(
        self,
        context: ssl.SSLContext,
        done: Callable[[OSError | None], None],
        *,
        server_name: str | None = None,
    ) -> None:
        """Shake hands, as the server unless `server_name` is given; then `done`."""
        self.pause()
        self._shaken = done
        self._handshaking = True
        try:
            self.sock = self.tls = context.wrap_socket(
                self.sock,
                server_side=server_name is None,
                do_handshake_on_connect=False,
                server_hostname=server_name,
            )
        except (OSError, ValueError) as error:
            self._hands(error if isinstance(error, OSError) else OSError(str(error)))
            return
        if server_name is None:  # the client speaks first, and has hardly done so yet
            self._poller.read(self._fd, self._handshake)
        else:
            self._handshake()

    def _handshake(self) -> None:
        poller, fd, tls = self._poller, self._fd, self.tls
        if fd < 0 or tls is None:
            return
        error: OSError | None = None
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            if self._writing:
                self._writing = False
                poller.write(fd, None)
            poller.read(fd, self._handshake)
            if tls.server_side and not self._corked:
                # Our part is sent. What follows its last word is a ticket, which nobody waits
                # for: it can leave with the first thing that is said.
                self._cork(True)
            return
        except ssl.SSLWantWriteError:
            self._writing = True
            poller.read(fd, None)
            poller.write(fd, self._handshake)
            return
        except OSError as trouble:
            error = trouble
        except ValueError as trouble:  # the certificate's name cannot be one
            error = OSError(str(trouble))
        poller.read(fd, None)
        if self._writing:
            self._writing = False
            poller.write(fd, None)
        self._hands(error)

    def _cork(self, corked: bool) -> None:
        """For 200 ms at most (tcp(7))."""
        self._corked = corked
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)

    def _hands(self, error: OSError | None) -> None:
        done, self._shaken = self._shaken, None
        self._handshaking = False
        if done is not None:
            done(error)

    def close(self) -> None:
        """At once; in TLS with a last word, so that the peer knows that nothing was cut off, but
        to one who has left without its own."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._poller.forget(fd)
        self._reading = self._writing = False
        self.backlog = None
        self._shaken = None
        self.on_read = self.on_drained = _nobody  # whoever listened can be freed at once
        tls, self.tls = self.tls, None
        if tls is not None and not self._handshaking and not self._left:
            try:
                tls.unwrap()
            except (OSError, ValueError):
                pass  # sent or not: the peer's answer is not waited for
        self.sock.close()


def _nobody() -> None:
    """Instead of whoever was told, once a leg is closed."""
