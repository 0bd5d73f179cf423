"""Who is at a session, and whether anybody still is: logins and their limits, silence (edge).

It is what the dialogue asks about a login (dialogue.World), and what the door asks every second:
a session ends that said nothing for too long, or does not read our last words; one that lasts is
probed by the system (keep_alive), so that a server that is gone without a word is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from weakref import proxy

from proxy import maillog
from proxy.imap.leg import keep_alive
from proxy.imap.login import Found, account
from proxy.imap.observer import Observer
from proxy.imap.watcher import Watcher
from proxy.smtp.limits import TOLERATED

if TYPE_CHECKING:
    from proxy.imap.session import Session

#: Seconds that a closing connection may take to read our last words.
LINGER: Final = 15.0
#: Seconds after which a session is worth asking whether its server is still there.
BRIEF: Final = 60.0

IDLE: Final = b"* BYE Nothing was said for too long\r\n"

_CAPABILITIES = re.compile(rb"\[CAPABILITY [^\]]*\] ?", re.IGNORECASE)


class Presence:
    """Of one session, whose `seen` is the time of the last octet of either side."""

    __slots__ = (
        "_guesses", "_lasting", "_over", "_session", "_since", "active", "logged_in", "user",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self._session: Session = proxy(session)  # no circle: what is over is freed at once
        self.user = ""
        self.logged_in = False
        self.active = self._since = session.state.clock
        """When the dialogue last did something that is worth a look of the companion."""
        self._lasting = False
        self._guesses = 0
        self._over: Callable[[], None] | None = None

    # What the dialogue asks

    @property
    def largest(self) -> int:
        return self._session.state.listener.max_size

    def login_blocked(self) -> bool:
        self._guesses = self._session.state.guesses(self._session.arrival.counted)
        return self._guesses >= TOLERATED

    def login(self, found: Found, mechanism: str, ok: bool, words: bytes) -> Observer | None:
        """A login was answered."""
        session = self._session
        state = session.state
        counted = session.arrival.counted
        said = _said(words)
        maillog.auth(state.listener.name, session.ip, mechanism, ok, said)
        if not ok:
            if "[UNAVAILABLE]" not in said:  # that is the server's trouble: nobody has guessed
                state.login_ended(counted, False)
            return None
        if self._guesses:
            state.login_ended(counted, True)
        user = account(found.user, state.domains)
        if not state.users.enter(user):
            maillog.connection_refused(state.listener.name, session.ip, "user limit")
            return None
        self.user = user
        self.logged_in = True
        state.counters.logged_in(1)
        tls = session.client.tls_version
        watcher = Watcher(state.captures, user, session.ip, session.port, tls, self.largest)
        observer = Observer(watcher, user, state.purposes(user))
        self._over = state.on_login(session, found.credentials)
        return observer

    def blind(self, reason: str) -> None:
        self._session.state.captures.skip(reason)

    # What the door asks

    def tick(self) -> None:
        """Every second: has something happened, has it been too long?"""
        session = self._session
        state, dialogue, server = session.state, session.dialogue, session.server
        if dialogue is not None and dialogue.news:
            dialogue.news = False
            self.active = state.clock
        silent = state.clock - session.seen
        if not self._lasting and server is not None and state.clock > self._since + BRIEF:
            self._lasting = True
            keep_alive(server.sock)
        listener = state.listener
        if session.closing:
            if silent > LINGER:
                session.close()
        elif silent > (listener.idle_timeout if self.logged_in else listener.login_timeout):
            session.last_words(IDLE)

    def waits(self) -> bool:
        """Does the client wait for an answer? (IDLE is no question.)"""
        dialogue = self._session.dialogue
        return dialogue is not None and any(verb != b"IDLE" for verb in dialogue.pending.values())

    def close(self) -> None:
        """The session is over."""
        if self.logged_in:
            state = self._session.state
            state.users.leave(self.user)
            state.counters.logged_in(-1)
            over, self._over = self._over, None
            if over is not None:
                over()


@lru_cache(maxsize=64)  # a server answers with the same words mostly
def _said(words: bytes) -> str:
    """A server's answer to a login, as it is told and judged here."""
    return _CAPABILITIES.sub(b"", words).decode("utf-8", "replace")
