"""One client's session: two legs and the dialogue between them (edge).

    client ── leg ── dialogue ── leg ── server
                        └── observer ── captures

Octets go on in the same turn of the loop in which they came. Bodies are sent on before anything is
captured of them (decision 0120); the rest is understood first. Reading stops on a leg while the
other one has something unsent, so that memory stays bounded by one read a direction, whatever the
two do. Faults of ours end this session and no other.

Order of a session: limits, PROXY header, TLS if implicit, the server's greeting (arrival.py), then
the dialogue until one side leaves; who is there, and whether anybody still is, watches presence.py.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Final

from proxy import maillog
from proxy.imap.arrival import AWAY, STOPPING, Arrival
from proxy.imap.capabilities import OurLeg, rewrite
from proxy.imap.dialogue import SHORT, Dialogue, Edit
from proxy.imap.leg import Leg
from proxy.imap.presence import Presence
from proxy.imap.state import READ, ImapState

#: Octets of a read behind which the client may hold back a last small one.
PIECE: Final = 65_536
#: Commands by the short way until the loop watches both sockets itself.
SETTLES: Final = 16

FAULT: Final = b"* BYE [UNAVAILABLE] Temporary local problem, try again later\r\n"


class Session:
    """Made for each connection that is accepted."""

    __slots__ = (
        "__weakref__", "_from_client_rest", "_from_server_rest", "_starting_tls", "_words",
        "arrival", "client", "closing", "dialogue", "ip", "port", "presence", "seen", "server",
        "state",
    )  # fmt: skip

    def __init__(self, state: ImapState, sock: socket.socket, ip: str, port: int) -> None:
        self.state = state
        self.ip, self.port = ip, port
        self.seen = state.clock  # when either side last said something
        self._words = 0  # commands that went the short way
        self.client = Leg(state.poller, sock, self._client_readable, self._client_drained)
        self.server: Leg | None = None
        self.dialogue: Dialogue | None = None
        self._from_client_rest = b""
        self._from_server_rest = b""
        self._starting_tls = b""
        self.closing = False
        self.arrival = Arrival(self)
        self.presence = Presence(self)

    def start(self) -> None:
        """Take the client, or send it away."""
        self.state.sessions.add(self)
        self.arrival.start()

    def ready(self, leg: Leg, words: bytes, caps: bytes | None) -> None:
        """The server has greeted us: so do we."""
        self.server = leg
        leg.hand_to(self._server_readable, self._server_drained)
        listener = self.state.listener
        starttls = listener.tls == "starttls"
        ours = OurLeg(starttls, not starttls or listener.auth_plain_without_tls)
        self.dialogue = Dialogue(self.presence, ours)
        try:
            self.client.send(_greeting(words, caps, ours.starttls, ours.clear))
        except OSError:
            self.close()
            return
        self.client.resume()
        leg.resume()

    # ------------------------------------------------------------------ octets

    def _client_readable(self) -> None:
        state, dialogue, client, server = self.state, self.dialogue, self.client, self.server
        rest = self._from_client_rest
        kept = len(rest)
        try:
            if dialogue is None or self.closing:
                self.close()  # it talks too early, or too late
                return
            if kept:
                state.buffer[:kept] = rest
                count = client.receive(state.view[kept : kept + READ])
            else:
                count = client.receive(state.view)
            if count > 0:
                self.seen = state.clock
                if (
                    kept
                    or count > SHORT
                    or server is None
                    or not dialogue.logged_in
                    or not dialogue.plain_command(state.buffer, count)
                ):
                    self._take_from_client(kept + count)
                    return
                server.send(state.view[:count])
                if server.backlog:
                    client.pause()
                self._words += 1
                if self._words % SETTLES == 0:
                    client.settle()
                    server.settle()
            elif count == 0:
                self.close()
        except OSError:
            self.close()
        except Exception as error:
            self._fault(error)

    def _take_from_client(self, end: int) -> None:
        dialogue, server, state = self.dialogue, self.server, self.state
        if dialogue is None or server is None:
            return
        ahead = dialogue.passing(end)
        if ahead:
            server.send(state.view[:end])
        taken = dialogue.from_client(state.buffer, end)
        self._from_client_rest = bytes(state.view[taken:end]) if taken < end else b""
        if dialogue.ended:
            self.last_words(dialogue.say + dialogue.ended)
            return
        edits = dialogue.edits
        if ahead:
            pass
        elif not edits:
            if taken:
                server.send(state.view[:taken])
        elif passing := _edited(state.view, taken, edits):
            server.send(passing)
        if dialogue.say and dialogue.server.between:
            words, dialogue.say = dialogue.say, b""
            self.client.send(words)
        if dialogue.start_tls is not None:
            self._start_tls(dialogue)
        elif server.backlog or (dialogue.client.hold and self._from_client_rest):
            self.client.pause()
        else:
            if end < PIECE and (self._from_client_rest or not dialogue.client.between):
                self.client.acknowledge()  # half a command: no answer takes it along
            if state.captures.behind and dialogue.client.tee is not None:
                self._wait_for_disk(self.client)

    def _server_readable(self) -> None:
        state, dialogue, server = self.state, self.dialogue, self.server
        if dialogue is None or server is None:
            return
        rest = self._from_server_rest
        kept = len(rest)
        try:
            if kept:
                state.buffer[:kept] = rest
                count = server.receive(state.view[kept : kept + READ])
            else:
                count = server.receive(state.view)
            if count > 0:
                self.seen = state.clock
                if (
                    kept
                    or count > SHORT
                    or not dialogue.logged_in
                    or not dialogue.plain_answer(state.buffer, count)
                ):
                    self._take_from_server(kept + count)
                    return
                self._to_client(state.view[:count])
                if self.client.backlog:
                    server.pause()
            elif count == 0:
                self._server_left()
        except OSError:
            self._server_left()
        except Exception as error:
            self._fault(error)

    def _take_from_server(self, end: int) -> None:
        dialogue, server, state = self.dialogue, self.server, self.state
        if dialogue is None or server is None:
            return
        ahead = dialogue.passing_back(state.buffer, end)
        if ahead:
            self._to_client(state.view[:end])
            if self.closing:
                return
        taken = dialogue.from_server(state.buffer, end)
        self._from_server_rest = bytes(state.view[taken:end]) if taken < end else b""
        edits = dialogue.edits
        if ahead:
            pass
        elif not edits:
            if taken:
                self._to_client(state.view[:taken])
        elif passing := _edited(state.view, taken, edits):
            self._to_client(passing)
        if self.closing:
            return
        if dialogue.ended:
            self.last_words(dialogue.ended)
        elif dialogue.start_tls is not None:
            self._start_tls(dialogue)
        else:
            if self.client.backlog:
                server.pause()
            elif state.captures.behind and dialogue.fetching:
                self._wait_for_disk(server)
            if self._from_client_rest and not dialogue.client.hold:
                self._go_on_with_client()

    def _to_client(self, octets: bytes | memoryview) -> None:
        """What the server says; it is not the server's fault if nobody is there any more."""
        try:
            self.client.send(octets)
        except OSError:
            self.close()

    def _go_on_with_client(self) -> None:
        """What the client said while it had to wait."""
        dialogue = self.dialogue
        if dialogue is None or self.closing:
            return
        rest = self._from_client_rest
        if rest and not dialogue.client.hold:
            self.state.buffer[: len(rest)] = rest
            self._take_from_client(len(rest))
        blocked = dialogue.client.hold and self._from_client_rest
        if self.server is not None and not self.server.pending and not blocked:
            self.client.resume()

    def _client_drained(self) -> None:
        """The client has taken everything."""
        if self.closing:
            self.close()
        elif self._starting_tls:
            self._shake_hands()
        elif self.server is not None:
            self.server.resume()

    def _server_drained(self) -> None:
        try:
            self._go_on_with_client()
        except OSError:
            self.close()
        except Exception as error:
            self._fault(error)

    def _wait_for_disk(self, leg: Leg) -> None:
        """What is captured comes faster than it can be kept."""
        leg.pause()
        self.state.captures.wait(self._disk_is_back)

    def _disk_is_back(self) -> None:
        if self.server is not None and not self.client.pending:
            self.server.resume()
        self._server_drained()

    # ------------------------------------------------------------------ STARTTLS

    def _start_tls(self, dialogue: Dialogue) -> None:
        tag, dialogue.start_tls = dialogue.start_tls, None
        assert tag is not None
        self.client.pause()
        self._from_client_rest = b""  # said in clear by whoever: nobody will answer it in TLS
        self._starting_tls = tag
        self.client.send(tag + b" OK Begin TLS negotiation now\r\n")
        if not self.client.pending:
            self._shake_hands()

    def _shake_hands(self) -> None:
        self._starting_tls = b""
        assert self.state.tls_context is not None
        self.client.start_tls(self.state.tls_context, self._shaken)

    def _shaken(self, error: OSError | None) -> None:
        dialogue = self.dialogue
        if error is not None or dialogue is None:
            self.state.counters.connection("tls_failed")
            self.close()
            return
        dialogue.leg.starttls = False
        dialogue.leg.clear = True
        dialogue.client.hold = False
        self.client.resume()

    # ------------------------------------------------------------------ the end

    def stop(self) -> None:
        """The door process ends."""
        self.last_words(STOPPING)

    def _server_left(self) -> None:
        """The client may still have to read what the server said last."""
        dialogue = self.dialogue
        rest, self._from_server_rest = self._from_server_rest, b""
        between = dialogue is not None and dialogue.server.between and not dialogue.raw
        words = b"" if rest or not between or self._said_bye() else AWAY
        self.last_words(rest + words, anyway=True)

    def _said_bye(self) -> bool:
        return self.dialogue is not None and self.dialogue.bye

    def last_words(self, words: bytes, anyway: bool = False) -> None:
        """Say something if it can be understood here, and close as soon as it is read."""
        if self.closing:
            return
        self.closing = True
        self.seen = self.state.clock
        dialogue = self.dialogue
        if not anyway and dialogue is not None and not dialogue.server.between:
            words = b""
        self._end_server()
        self.client.pause()
        try:
            if words:
                self.client.send(words)
        except OSError:
            self.close()
            return
        if not self.client.pending:
            self.close()

    def _fault(self, error: BaseException) -> None:
        maillog.session_fault(self.state.listener.name, self.ip, error)
        self.last_words(FAULT)

    def _end_server(self) -> None:
        self.arrival.stop_dialing()
        if self.server is not None:
            self.server.close()
            self.server = None
        dialogue, self.dialogue = self.dialogue, None
        if dialogue is not None:
            dialogue.lost()

    def close(self) -> None:
        """Both legs, at once."""
        state = self.state
        if self not in state.sessions:
            return
        state.sessions.discard(self)
        self.closing = True
        self.arrival.close()  # before the socket that it may be looking at
        self._end_server()
        self.client.close()
        self.presence.close()


@lru_cache(maxsize=16)  # a server greets with the same words mostly
def _greeting(words: bytes, caps: bytes | None, starttls: bool, clear: bool) -> bytes:
    """Ours, to the client."""
    if caps is None:
        return b"* OK " + words + b"\r\n"
    list_ = rewrite(caps, OurLeg(starttls, clear), False)
    return b"* OK [CAPABILITY " + list_ + b"] " + words + b"\r\n"


def _edited(view: memoryview, taken: int, edits: list[Edit]) -> bytes:
    """What passes of the first `taken` octets."""
    if len(edits) == 1 and edits[0][0] == 0 and edits[0][1] == taken:
        return edits[0][2]  # an answer to a login, as it mostly comes
    parts: list[bytes | memoryview] = []
    at = 0
    for start, stop, fresh in edits:
        parts.append(view[at:start])
        parts.append(fresh)
        at = stop
    parts.append(view[at:taken])
    return b"".join(parts)
