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
* A tagged answer to no command means that one of the two is not what it seems: from then on all
  passes unread (`raw`), and nothing is captured.

Limits: PENDING commands without an answer; LINE_BEFORE_LOGIN and LITERAL_BEFORE_LOGIN octets.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from proxy.imap.capabilities import IN_CLEAR, MECHANISMS, REFUSED, OurLeg, rewrite_line
from proxy.imap.fragments import ClientStream, ServerStream
from proxy.imap.grammar import Command, command
from proxy.imap.login import Exchange, Found, from_login
from proxy.imap.observer import WATCHED, Observer

PENDING: Final = 10_000
#: Tokens of large directories have some thousand octets; RFC 9051 section 4 asks for 8,192.
LINE_BEFORE_LOGIN: Final = 16_384
LITERAL_BEFORE_LOGIN: Final = 8_192
REFUSALS: Final = 20

PRIVACY: Final = b"NO [PRIVACYREQUIRED] Use TLS before you log in"
LIMIT: Final = b"NO [LIMIT] Too many failed logins, try again later"
CROWD: Final = b"NO [LIMIT] Too many connections of this user"
MECHANISM: Final = b"NO [CANNOT] Unsupported authentication mechanism"
TOO_BIG: Final = b"NO [TOOBIG] Message is too large"
NO_TLS: Final = b"BAD TLS is not to be had here or active already"

_REFERRAL = re.compile(rb"\[REFERRAL [^\]]*\] ?", re.IGNORECASE)

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
        "_again", "_auth_tag", "_command", "_exchange", "_idle", "_idle_on",
        "_login_parts", "_refusal", "_refusals", "_sasl", "_starttls", "bye", "client",
        "edits", "ended", "fetching", "host", "leg", "logged_in", "observer", "pending", "raw",
        "say", "server", "start_tls",
    )  # fmt: skip

    def __init__(self, host: Host, leg: OurLeg) -> None:
        self.host = host
        self.leg = leg
        self.logged_in = False
        self.observer: Observer | None = None
        self.pending: dict[bytes, bytes] = {}
        """Tag and verb of each command that the server has not answered."""
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
        self.client = _Client(self)
        self.server = _Server(self)
        self._command: Command | None = None
        self._refusal: bytes | None = None
        self._refusals = 0
        self._idle: bytes | None = None
        self._idle_on = False
        self._auth_tag: bytes | None = None
        self._exchange: Exchange | None = None
        self._login_parts: tuple[bytes, list[bytes]] = (b"", [])
        self._sasl = False
        self._starttls: bytes | None = None
        self.fetching = False
        """The response at hand, or the last one, is a FETCH with a body."""
        self._again: list[tuple[bytes, bytes]] = []

    def from_client(self, buffer: bytearray, end: int) -> int:
        """Octets of the client, from the beginning of the buffer; how many were taken."""
        self.edits.clear()
        return end if self.raw else self.client.feed(buffer, 0, end)

    def from_server(self, buffer: bytearray, end: int) -> int:
        """Octets of the server; how many were taken."""
        self.edits.clear()
        return end if self.raw else self.server.feed(buffer, 0, end)

    def lost(self) -> None:
        """The connection is over."""
        if self.observer is not None:
            self.observer.lost()
        self._exchange = None
        self.client.tee = self.server.tee = None

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
            if self._exchange is not None:
                self._exchange.response(text)
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
        elif verb == b"LOGIN":
            self._login_begin(found, text, size)
        elif verb == b"AUTHENTICATE":
            self._authenticate(found, text)

    def _expect(self, tag: bytes, verb: bytes) -> None:
        """A tagged answer is to come. Some clients give all their commands one tag."""
        pending = self.pending
        if tag in pending:
            self._again.append((tag, verb))
            if len(self._again) > PENDING:
                self._desync()
        elif tag:
            pending[tag] = verb
            if len(pending) > PENDING:
                self._desync()

    def _answered(self, tag: bytes) -> bytes | None:
        """Whose answer it is; None if nobody waits for it."""
        verb = self.pending.pop(tag, None)
        if self._again:
            for at, (other, next_verb) in enumerate(self._again):
                if other == tag:
                    del self._again[at]
                    self.pending[tag] = next_verb
                    break
        return verb

    def _client_more(self, text: bytes, start: int, stop: int, size: int) -> None:
        """A command goes on behind a literal."""
        found = self._command
        if self._refusal is not None:
            self.edits.append((start, stop, b""))
            self._drop(size)
        elif found is None:
            return
        elif self._auth_tag is not None:
            before, literals = self._login_parts
            self._login_parts = (before + text, literals)
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
            if head[:1] not in (b"*", b"+") and self._answered(head.partition(b" ")[0]) is None:
                self._desync()

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
        if size > LITERAL_BEFORE_LOGIN:
            self.ended = b"* BYE Literal is too large\r\n"
            return b"BAD Literal is too large"
        if verb == b"STARTTLS":
            if not self.leg.starttls:
                return NO_TLS
            self.client.hold = True
            self._starttls = found.tag
            return b""
        if verb in (b"LOGIN", b"AUTHENTICATE"):
            mechanism = "LOGIN"
            if verb == b"AUTHENTICATE":
                mechanism = _mechanism(text, found.args)
                if mechanism and mechanism not in MECHANISMS:  # without one it is the server's BAD
                    return MECHANISM
            if not self.leg.clear and mechanism in IN_CLEAR:
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

    def _login_begin(self, found: Command, text: bytes, size: int) -> None:
        self._auth_tag = found.tag
        self._exchange = None
        self._login_parts = (text, [])
        self._login_goes_on(size)

    def _login_goes_on(self, size: int) -> None:
        if size < 0:
            self.client.hold = True
            return
        literals = self._login_parts[1]
        if size > LITERAL_BEFORE_LOGIN or len(literals) > 2:
            self.ended = b"* BYE Literal is too large\r\n"
            return
        literals.append(b"")
        self.client.tee = self._login_literal

    def _login_literal(self, part: bytes) -> None:
        self._login_parts[1][-1] += part

    def _authenticate(self, found: Command, text: bytes) -> None:
        self._auth_tag = found.tag
        words = text[found.args :].split(b" ")
        initial = words[1] if len(words) > 1 else None
        self._exchange = Exchange(_mechanism(text, found.args), initial)
        self.client.hold = True

    def _login_answered(self, ok: bool, text: bytes) -> bool:
        """False: the user is turned away, although the server has let him in."""
        exchange, self._exchange = self._exchange, None
        parts, self._login_parts = self._login_parts, (b"", [])
        self._auth_tag = None
        self._sasl = False
        self.client.tee = None  # an answer to half a LOGIN: what still comes of it is nobody's
        if exchange is not None:
            found, mechanism = exchange.found(), exchange.mechanism
        else:
            at = self._command.args if self._command is not None else 0
            found, mechanism = from_login(parts[0], at, parts[1]), "LOGIN"
        observer = self.host.login(found, mechanism, ok, text)
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
        if text[2:6].upper() == b"BYE ":
            self.bye = True
        if b"CAPABILITY" in text[:64].upper():
            self._rewrite(text, start, stop, self.logged_in)
        if observer is not None:
            self.server.tee = observer.untagged(text, size)

    def _plus(self) -> None:
        """The server wants the client to go on: with what it is waiting for."""
        if self._idle is not None and not self._idle_on:
            self._idle_on = True
        elif self.client.waiting is not None:
            self.client.go_on()
        elif self._auth_tag is not None and self._exchange is not None:
            self._sasl = True
            self.client.hold = False

    def _tagged(self, text: bytes, start: int, stop: int) -> None:
        tag, _, rest = text.partition(b" ")
        verb = self._answered(tag)
        if verb is None:
            self._desync()
            return
        status, _, words = rest.partition(b" ")
        ok = status.upper() == b"OK"
        if not self.logged_in or b"[C" in text or b"[c" in text:
            inside = self.logged_in or (ok and tag == self._auth_tag)
            self._rewrite(text, start, stop, inside)
        if self.client.waiting is not None and self._command and tag == self._command.tag:
            self.client.called_off()
        if verb in WATCHED and self.observer is not None:
            self.observer.tagged(tag, ok, words)
        elif verb == b"IDLE":
            if tag == self._idle:
                self._idle, self._idle_on = None, False
        elif tag == self._auth_tag:
            if not self._login_answered(ok, rest):
                self._replace(start, stop, tag + b" " + CROWD + b"\r\n")
                self.ended = b"* BYE Too many connections of this user\r\n"
        elif self._starttls is not None and not self.pending:
            self.start_tls, self._starttls = self._starttls, None

    def _rewrite(self, text: bytes, start: int, stop: int, inside: bool) -> None:
        """Lists of capabilities as they are true here; no way past us."""
        fresh = rewrite_line(text, self.leg, inside)
        if b"[REFERRAL" in fresh.upper():
            fresh = _REFERRAL.sub(b"", fresh)
        if fresh != text:
            self._replace(start, stop, fresh + b"\r\n")

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

    def long_begins(self, head: bytes, first: bool) -> None:
        """Nothing to decide: a server's line passes in any case."""

    def long_line(self, head: bytes, size: int, first: bool) -> None:
        self._dialogue.server_long(head, first)


def _mechanism(text: bytes, at: int) -> str:
    return text[at:].split(b" ", 1)[0].decode("ascii", "replace").upper()
