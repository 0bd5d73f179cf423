"""The conversation of one client with its server: what passes, what is refused here, who logs in
(core).

`from_client` and `from_server` take what lies in a buffer and answer how much of it is understood;
what is to be changed on its way stands in `edits`. Everything else passes as it is. Changed are the
lists of capabilities, dropped are commands that are refused here (`say` has the answer), nothing
else (decision 0101).

* A command is tracked by its tag until the server's tagged answer.
* Behind LOGIN, AUTHENTICATE and a synchronising literal the client's octets are held until the
  server has answered, so that nobody needs to guess what they are.
* An answer of ours is said where the server's stream is between two responses.
* Most commands of a session hold no literal and are nothing to anybody but the server, and most
  answers are one line: for reads that are exactly one such line there is a short way
  (`plain_command`, `plain_answer`; decision 0118). It ends where the long way would.
* A tagged answer to no command means that one of the two is not what it seems: from then on all
  passes unread (`raw`), and nothing is captured.

Limits: PENDING commands without an answer, then the client waits (mbsync asks for every message
of a mailbox at once); before the login lines of LINE_BEFORE_LOGIN octets and literals of LITERAL.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from proxy.imap.capabilities import IN_CLEAR, MECHANISMS, REFUSED, OurLeg, rewrite_line
from proxy.imap.fragments import ClientStream, ServerStream
from proxy.imap.grammar import PLAIN_ANSWER, PLAIN_COMMAND, Command, command
from proxy.imap.login import Found
from proxy.imap.loginwatch import LITERAL, LoginWatch, mechanism
from proxy.imap.observer import WATCHED, Observer
from proxy.imap.pending import PENDING, Pending

#: Tokens of large directories have some thousand octets; RFC 9051 section 4 asks for 8,192.
LINE_BEFORE_LOGIN: Final = 16_384
REFUSALS: Final = 20
#: Octets of a read that may be such a line, and what `pending` holds instead of its verb.
SHORT: Final = 1_024
PLAIN: Final = b"PLAIN"

PRIVACY: Final = b"NO [PRIVACYREQUIRED] Use TLS before you log in"
LIMIT: Final = b"NO [LIMIT] Too many failed logins, try again later"
CROWD: Final = b"NO [LIMIT] Too many connections of this user"
MECHANISM: Final = b"NO [CANNOT] Unsupported authentication mechanism"
TOO_BIG: Final = b"NO [TOOBIG] Message is too large"
NO_TLS: Final = b"BAD TLS is not to be had here or active already"

_REWRITTEN = re.compile(rb"CAPABILITY|\[REFERRAL", re.IGNORECASE)

Edit = tuple[int, int, bytes]


class Host(Protocol):
    """What a dialogue asks the world."""

    @property
    def largest(self) -> int:
        """The largest message that may be filed with APPEND, in octets."""

    def login_blocked(self) -> bool:
        """Has this address guessed too often?"""

    def login(self, found: Found, mechanism: str, ok: bool, words: bytes) -> Observer | None:
        """A login was answered. With `ok`: its observer, or None: this user has enough sessions."""

    def blind(self, reason: str) -> None:
        """Something was not understood."""


class Dialogue:
    """One session, from the greeting on."""

    __slots__ = (
        "_command", "_idle", "_idle_on", "_login", "_refusal", "_refusals", "_sasl", "_starttls",
        "bye", "client", "edits", "ended", "fetching", "host", "leg", "logged_in", "news",
        "observer", "pending", "raw", "say", "server", "start_tls",
    )  # fmt: skip

    def __init__(self, host: Host, leg: OurLeg) -> None:
        self.host = host
        self.leg = leg
        self.logged_in = False
        self.observer: Observer | None = None
        self.pending = Pending()
        self.edits: list[Edit] = []
        """Of the last `from_...`: parts of the buffer (from, to) and what passes instead."""
        self.say = b""
        """Our own answers that the client is to get as soon as `server.between`."""
        self.start_tls: bytes | None = None
        """The tag of a STARTTLS that is to happen now."""
        self.ended = b""
        """Why this connection must end: the last words to the client."""
        self.raw = False
        """All passes unread."""
        self.bye = False
        """The server has said that it ends the connection."""
        self.news = False
        """The client has said something, or the server told of something, since this was set back.
        That it is still there, as Dovecot tells those who IDLE every two minutes, is no news."""
        self.client = _Client(self)
        self.server = _Server(self)
        self._command: Command | None = None
        self._refusal: bytes | None = None
        self._refusals = 0
        self._idle: bytes | None = None
        self._idle_on = False
        self._login: LoginWatch | None = None
        self._sasl = False
        self._starttls: bytes | None = None
        self.fetching = False
        """The response at hand, or the last one, is a FETCH with a body."""

    def from_client(self, buffer: bytearray, end: int) -> int:
        """Octets of the client, from the beginning of the buffer; how many were taken."""
        self.edits.clear()
        self.news = True
        return end if self.raw else self.client.feed(buffer, 0, end)

    def from_server(self, buffer: bytearray, end: int) -> int:
        """Octets of the server; how many were taken."""
        self.edits.clear()
        return end if self.raw else self.server.feed(buffer, 0, end)

    def plain_command(self, buffer: bytearray, end: int) -> bool:
        """Are the client's octets one command that nobody here needs to understand? Then it is
        noted, and passes as it is. False: nothing has happened, it is for `from_client`."""
        stream, pending = self.client, self.pending
        if (
            stream.hold
            or stream.literal
            or stream.continued
            or stream.head is not None
            or not self.logged_in
            or self._idle is not None
            or self.raw
            or (found := PLAIN_COMMAND.fullmatch(buffer, 0, end)) is None
            or (tag := found[1]) in pending
            or len(pending) + len(pending.again) >= PENDING - 1
        ):
            return False
        pending[tag] = PLAIN
        self.news = True
        stream.tee = None
        return True

    def plain_answer(self, buffer: bytearray, end: int) -> bool:
        """Are the server's octets the answer to such a command, and no more? Likewise."""
        stream, pending = self.server, self.pending
        if (
            stream.literal
            or stream.continued
            or stream.head is not None
            or self.say
            or self.raw
            or self.client.hold
            or pending.again
            or (found := PLAIN_ANSWER.fullmatch(buffer, 0, end)) is None
            or pending.get(tag := found[1]) is not PLAIN
        ):
            return False
        del pending[tag]
        stream.tee = None
        self.fetching = False
        return True

    def passing(self, end: int) -> bool:
        """Will the client's octets pass as they are, so that they need not wait to be understood?
        Nothing has happened yet: they are for `from_client` all the same."""
        return self.logged_in and self.client.inside(end)

    def passing_back(self, buffer: bytearray, end: int) -> bool:
        """Likewise the server's, for `from_server`."""
        return self.logged_in and not self.say and self.server.only_bodies(buffer, end)

    def lost(self) -> None:
        """The connection is over."""
        if self.observer is not None:
            self.observer.lost()
        self._login = None
        self.client.over()
        self.server.over()

    # ------------------------------------------------------------------ the client's lines

    def client_line(self, text: bytes, start: int, stop: int, size: int, first: bool) -> None:
        stream = self.client
        stream.tee = None
        if not first:
            self._client_more(text, start, stop, size)
            return
        if self._sasl:
            self._sasl = False
            stream.hold = True
            if self._login is not None and self._login.exchange is not None:
                self._login.exchange.response(text)
            return
        if self._idle is not None:
            over, self._idle = self._idle_on or text.strip().upper() == b"DONE", None
            self._idle_on = False
            if over:
                return
        found = command(text)
        if found is None:
            self._command = None
            self._expect(text.partition(b" ")[0], b"")
            return
        self._command = found
        refusal = self._judge(found, text, size)
        if refusal is not None:
            self._refuse(found, refusal, start, stop, size)
            return
        tag, verb = found.tag, found.verb
        self._expect(tag, verb)
        if self.logged_in:
            if verb in WATCHED:
                if self.observer is not None:
                    stream.tee = self.observer.command(found, text, size)
            elif verb == b"IDLE":
                self._idle, self._idle_on = tag, False
        elif verb in (b"LOGIN", b"AUTHENTICATE"):
            self._login = LoginWatch(found, text)
            self._login_goes_on(size)

    def _expect(self, tag: bytes, verb: bytes) -> None:
        """A tagged answer is to come."""
        if not self.pending.expect(tag, verb):
            if not self.logged_in:
                self._desync()
            elif verb != b"IDLE":  # which the client ends, not the server
                self.client.hold = True

    def _answered(self, tag: bytes) -> bytes | None:
        """The verb of the command whose answer it is; None if nobody waits for it."""
        verb = self.pending.answered(tag)
        if self.client.waiting is not None and self._command and tag == self._command.tag:
            self.client.called_off()
        if verb == b"IDLE" and tag == self._idle:
            self._idle, self._idle_on = None, False
        # Behind the login only a literal that waits for its "+" is held for another reason.
        if self.client.hold and self.logged_in and self.client.waiting is None:
            self.client.hold = self.pending.crowded
        return verb

    def _client_more(self, text: bytes, start: int, stop: int, size: int) -> None:
        """A command goes on behind a literal."""
        found = self._command
        if self._refusal is not None:
            self.edits.append((start, stop, b""))
            self._drop(size)
        elif found is None:
            return
        elif self._login is not None:
            self._login.more(text)
            self._login_goes_on(size)
        elif self.observer is not None and found.verb in WATCHED:
            if found.verb in (b"APPEND", b"REPLACE") and size > self.host.largest:
                self.host.blind("too_big")  # a later one of several: the server decides
            self.client.tee = self.observer.command_more(found, text, size)

    def client_long(self, head: bytes, first: bool) -> None:
        """A line of the client that is too long to be kept."""
        if not self.logged_in:
            self.ended = b"* BYE Line is too long\r\n"
        elif first:
            found = command(head)
            if found is None or self._judge(found, head, -1) is not None:
                self.ended = b"* BYE Line is too long\r\n"
            else:
                self._expect(found.tag, b"")
                self._command = None

    def server_long(self, head: bytes, first: bool) -> None:
        """A line of the server that was not kept has ended."""
        if self.observer is not None:
            self.observer.overlong()
        self.server.tee = None
        if first:
            self.fetching = False
            if head[:1] not in (b"*", b"+"):
                tag, _, rest = head.partition(b" ")
                verb = self._answered(tag)
                if verb is None or not self.logged_in:
                    self._desync()
                elif verb in WATCHED and self.observer is not None:
                    status, _, words = rest.partition(b" ")
                    self.observer.tagged(tag, status.upper() == b"OK", words)

    def _judge(self, found: Command, text: bytes, size: int) -> bytes | None:
        """The words of a refusal, or None for what may pass."""
        verb = found.verb
        if verb in REFUSED:
            return REFUSED[verb]
        if self.logged_in:
            if verb == b"STARTTLS":
                return NO_TLS
            if size >= 0 and verb in (b"APPEND", b"REPLACE") and size > self.host.largest:
                return TOO_BIG
            return None
        if size > LITERAL:
            self.ended = b"* BYE Literal is too large\r\n"
            return b"BAD Literal is too large"
        if verb == b"STARTTLS":
            if not self.leg.starttls:
                return NO_TLS
            self.client.hold = True
            self._starttls = found.tag
            return b""
        if verb in (b"LOGIN", b"AUTHENTICATE"):
            means = "LOGIN"
            if verb == b"AUTHENTICATE":
                means = mechanism(text, found.args)
                if means and means not in MECHANISMS:  # without one it is the server's BAD
                    return MECHANISM
            if not self.leg.clear and means in IN_CLEAR:
                return PRIVACY
            if self.host.login_blocked():
                return LIMIT
        return None

    def _refuse(self, found: Command, words: bytes, start: int, stop: int, size: int) -> None:
        """Drop a command, with the literals it may have, and answer it."""
        self.edits.append((start, stop, b""))
        self._refusal = found.tag + b" " + words + b"\r\n" if words else b""
        self._drop(size)

    def _drop(self, size: int) -> None:
        """What of a refused command is still to come?"""
        if size >= 0 and self.client.at_once:
            self.client.drop = True  # the client sends the literal whatever we say
            return
        self.client.denied = size >= 0
        self._refused()

    def _refused(self) -> None:
        words, self._refusal = self._refusal, None
        self.client.drop = False
        self._command = None
        if words:
            self.say += words
            self._refusals += 1
            if self._refusals >= REFUSALS and not self.ended:
                self.ended = b"* BYE Too many refused commands\r\n"
        elif not self.pending:
            self.start_tls, self._starttls = self._starttls, None

    # ------------------------------------------------------------------ the login

    def _login_goes_on(self, size: int) -> None:
        """A part of it is there. Behind the last one the client is held."""
        login = self._login
        assert login is not None
        if login.exchange is not None or size < 0:
            self.client.hold = True
        elif login.announced(size):
            self.client.tee = login.literal
        else:
            self.ended = b"* BYE Literal is too large\r\n"

    def _login_answered(self, login: LoginWatch, ok: bool, text: bytes) -> bool:
        """False: the user is turned away, although the server has let him in."""
        self._login = None
        self._sasl = False
        self.client.tee = None  # an answer to half a LOGIN: what still comes of it is nobody's
        observer = self.host.login(login.found(), login.mechanism, ok, text)
        if ok:
            self.logged_in = True
            self.observer = observer
            self.client.longest = self.server.longest
        self.client.hold = False
        return not ok or observer is not None

    # ------------------------------------------------------------------ the server's lines

    def server_line(self, text: bytes, start: int, stop: int, size: int, first: bool) -> None:
        stream, observer = self.server, self.observer
        stream.tee = None
        if not first:
            if observer is not None:
                if self.fetching:
                    stream.tee = observer.fetch_more(text, size)
                else:
                    stream.tee = observer.untagged_more(text, size)
            if size < 0 and self.say:
                self._say(stop)
            return
        kind = text[:1]
        if kind == b"*":
            self._untagged(text, start, stop, size)
        elif kind == b"+":
            self._plus()
        elif text:
            self.fetching = False
            self._tagged(text, start, stop)
        if size < 0 and self.say:
            self._say(stop)

    def _untagged(self, text: bytes, start: int, stop: int, size: int) -> None:
        observer = self.observer
        if text[2:3].isdigit():
            self.news = True
            self.fetching = False
            if (
                observer is not None
                and (size >= 0 or b"[]" in text or b'RFC822 "' in text)
                and b"FETCH (" in text[:40].upper()
            ):
                self.fetching = True
                self.server.tee = observer.fetch(text, size)
            return
        self.fetching = False
        if text[2:5].upper() != b"OK ":
            self.news = True
        if text[2:6].upper() == b"BYE ":
            self.bye = True
        if _REWRITTEN.search(text, 0, 64) is not None:
            fresh = rewrite_line(text, self.leg, self.logged_in)
            if fresh != text:
                self._replace(start, stop, fresh + b"\r\n")
        if observer is not None:
            self.server.tee = observer.untagged(text, size)

    def _plus(self) -> None:
        """The server wants the client to go on: with what it is waiting for."""
        if self._idle is not None and not self._idle_on:
            self._idle_on = True
        elif self.client.waiting is not None:
            self.client.go_on()
        elif self._login is not None and self._login.exchange is not None:
            self._sasl = True
            self.client.hold = False

    def _tagged(self, text: bytes, start: int, stop: int) -> None:
        tag, _, rest = text.partition(b" ")
        verb = self._answered(tag)
        if verb is None:
            self._desync()
            return
        status, _, words = rest.partition(b" ")
        ok, login = status.upper() == b"OK", self._login
        if not self.logged_in or _REWRITTEN.search(rest) is not None:
            inside = self.logged_in or (ok and login is not None and tag == login.tag)
            fresh = rewrite_line(rest, self.leg, inside)
            if fresh != rest:
                self._replace(start, stop, tag + b" " + fresh + b"\r\n")
        if verb in WATCHED and self.observer is not None:
            self.observer.tagged(tag, ok, words)
        elif login is not None and tag == login.tag:
            if not self._login_answered(login, ok, rest):
                self._replace(start, stop, tag + b" " + CROWD + b"\r\n")
                self.ended = b"* BYE Too many connections of this user\r\n"
        elif self._starttls is not None and not self.pending:
            self.start_tls, self._starttls = self._starttls, None

    def _replace(self, start: int, stop: int, fresh: bytes) -> None:
        if self.edits and self.edits[-1][:2] == (start, stop):
            self.edits.pop()
        self.edits.append((start, stop, fresh))

    def _say(self, stop: int) -> None:
        """Our answer, right behind a response."""
        self.edits.append((stop, stop, self.say))
        self.say = b""

    def _desync(self) -> None:
        """The two do not speak what we understand."""
        if not self.logged_in:
            self.ended = b"* BYE The mail server does not answer as it should\r\n"
            return
        self.raw = True
        self.client.hold = False
        self.host.blind("desync")
        if self.observer is not None:
            self.observer.lost()
            self.observer = None


class _Client(ClientStream):
    """The client's side of a dialogue."""

    __slots__ = ("_dialogue",)

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue.client_line, LINE_BEFORE_LOGIN)
        self._dialogue = dialogue

    def over(self) -> None:
        super().over()
        del self._dialogue

    def long_begins(self, head: bytes, first: bool) -> None:
        self._dialogue.client_long(head, first)

    def long_line(self, head: bytes, size: int, first: bool) -> None:
        self.tee = None

    def dropped(self, start: int, stop: int) -> None:
        self._dialogue.edits.append((start, stop, b""))


class _Server(ServerStream):
    """The server's side of a dialogue."""

    __slots__ = ("_dialogue",)

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue.server_line)
        self._dialogue = dialogue

    def over(self) -> None:
        super().over()
        del self._dialogue

    def long_begins(self, head: bytes, first: bool) -> None:
        """Nothing to decide: a server's line passes in any case."""

    def long_line(self, head: bytes, size: int, first: bool) -> None:
        self._dialogue.server_long(head, first)
