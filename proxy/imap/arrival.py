"""A connection until the server has greeted it: limits, PROXY header, implicit TLS, the way to the
server (edge). What goes wrong here ends with words that the client understands, or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import proxy

from proxy import maillog
from proxy.imap.peek import HeaderPeek
from proxy.imap.state import READ
from proxy.imap.upstream import Dialing
from proxy.smtp.limits import client_key

if TYPE_CHECKING:
    from proxy.imap.leg import Leg
    from proxy.imap.session import Session

AWAY: Final = b"* BYE [UNAVAILABLE] The mail server cannot be reached, try again later\r\n"
STOPPING: Final = b"* BYE [UNAVAILABLE] Service shutting down, connect again\r\n"
TOO_MANY: Final = b"* BYE [UNAVAILABLE] Too many connections\r\n"


class Arrival:
    """Of one session. It calls `ready` of that when the server's greeting is there."""

    __slots__ = ("_dialing", "_peek", "_session", "counted")

    def __init__(self, session: Session) -> None:
        self._session: Session = proxy(session)  # no circle: what is over is freed at once
        self._peek: HeaderPeek | None = None
        self._dialing: Dialing | None = None
        self.counted = ""
        """The client's address (client_key) once it has a place among those of its own."""

    def start(self) -> None:
        """Take the client, or send it away."""
        session = self._session
        state = session.state
        if state.stopping:
            self._turn_away(STOPPING, "shutting down")
        elif len(state.sessions) > state.listener.max_connections:
            self._turn_away(TOO_MANY, "connection limit")
        elif state.listener.proxy_protocol:
            if not state.may_proxy(session.ip):
                state.counters.connection("proxy_failed")
                maillog.connection_refused(state.listener.name, session.ip, "no PROXY peer")
                session.close()
                return
            self._peek = HeaderPeek(state.loop, session.client.sock, self._proxied)
        else:
            self._admit()

    def _proxied(self, peer: tuple[str, int] | None) -> None:
        self._peek = None
        session = self._session
        if peer is None:
            session.state.counters.connection("proxy_failed")
            name = session.state.listener.name
            maillog.connection_refused(name, session.ip, "bad PROXY header")
            session.close()
            return
        if peer[0]:
            session.ip, session.port = peer
        self._admit()

    def _admit(self) -> None:
        session = self._session
        state = session.state
        key = client_key(session.ip)
        if not state.clients.enter(key):
            self._turn_away(TOO_MANY, "client limit")
            return
        self.counted = key
        state.counters.connection("accepted")
        if state.listener.tls == "implicit":
            assert state.tls_context is not None
            session.client.start_tls(state.tls_context, self._implicit)
        else:
            self._dial()

    def _turn_away(self, words: bytes, reason: str) -> None:
        session = self._session
        state = session.state
        state.counters.connection("refused")
        maillog.connection_refused(state.listener.name, session.ip, reason)
        if state.listener.tls != "implicit":
            session.last_words(words)
        else:
            session.close()

    def _implicit(self, error: OSError | None) -> None:
        if error is not None:
            self._session.state.counters.connection("tls_failed")
            self._session.close()
        else:
            self._dial()

    def _dial(self) -> None:
        session = self._session
        state = session.state
        self._dialing = Dialing(
            state.poller,
            state.server,
            (session.ip, session.port),
            state.view[:READ],
            self._ready,
            self._away,
        )
        self._dialing.start()

    def _ready(self, leg: Leg, words: bytes, caps: bytes | None) -> None:
        self._dialing = None
        self._session.ready(leg, words, caps)

    def _away(self, stage: str, why: str) -> None:
        self._dialing = None
        state = self._session.state
        maillog.hop_unavailable(state.listener.name, str(state.server.target), stage, why)
        self._session.last_words(AWAY)

    def stop_dialing(self) -> None:
        if self._dialing is not None:
            self._dialing.close()
            self._dialing = None

    def close(self) -> None:
        """The session is over; its place is free for another."""
        if self._peek is not None:
            self._peek.close()
            self._peek = None
        self.stop_dialing()
        if self.counted:
            self._session.state.clients.leave(self.counted)
