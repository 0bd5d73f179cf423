"""A wire between a client and a real server that can be cut, slowed down or gone dead.

with FaultWire(to=server.port) as wire:
    wire.delay = 0.2          # seconds that each piece waits, both ways
    wire.rate = 1_000_000     # octets a second, each connection and way
    wire.cut_after = 100_000  # octets from the client, on each connection, then a reset
    wire.dead = True          # takes connections and octets, passes nothing on
    wire.most, wire.octets    # connections at once so far; octets from clients
"""

import socket
import struct
import threading
import time
from typing import Self

PIECE = 64 * 1024


class FaultWire:
    def __init__(self, to: int) -> None:
        self.to = to
        self.delay = 0.0
        self.rate = 0.0
        self.cut_after: int | None = None
        self.dead = False
        self.most = self.octets = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing alone leaves accept() waiting, and the kernel may go on with it at the number of
        # the descriptor, which is the next wire's by then.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset all connections there are."""
        with self._lock:
            for one in list(self._open):
                _reset(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.to), timeout=30)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
            self.most = max(self.most, len(self._open) // 2)
        back = threading.Thread(target=self._pass, args=(server, client, False), daemon=True)
        back.start()
        self._pass(client, server, True)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        passed = 0
        try:
            while piece := source.recv(PIECE):
                passed += len(piece)
                if counted:
                    with self._lock:
                        self.octets += len(piece)
                if counted and self.cut_after is not None and passed >= self.cut_after:
                    _reset(source)
                    _reset(sink)
                    return
                time.sleep(self.delay + (len(piece) / self.rate if self.rate else 0.0))
                if not self.dead:
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(source)
            _reset(sink)


def _reset(one: socket.socket) -> None:
    """No FIN but RST, as a machine that has forgotten the connection."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already
