"""The SMTP session of a door: octets and events in, actions out (core).

One session is one client connection. It speaks SMTP or LMTP to the client and decides what is
asked of the next hop, what is journalled, and what the client is told. It owns no socket: the
listener feeds it and does what `drain` gives out.

Promises (design page architecture.md)
- No 250 for a message before it is durable *and* somebody answers for its delivery: the next hop
  has said 250, or every recipient is in our queue by the durable record itself.
- The next hop's words are the client's answer; only what the hop cannot say is said by us, and
  then it is temporary.
- A client that hangs up does not stop a message whose end has been read.
- Bounded: command lines, recipients, errors, time; content over a limit is passed on and spooled.

Phases. COMMAND: lines are commands. AUTH: lines are SASL responses. DATA, CHUNK: octets are
content. WAIT: nothing is read until the next hop, the journal or a delay has answered; RCPT
commands alone are read on while earlier ones wait, so that a pipelining client (RFC 2920) gets a
pipelining relay. CLOSED: nothing is read any more.

RFC 5321, 2033 (LMTP), 2920, 3030, 3207, 3461, 4954, 6152, 6531; decisions 0002 and 0003.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from proxy.smtp import actions, grammar
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.commit import Commit
from proxy.smtp.grammar import Refused
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy, Surroundings
from proxy.smtp.replies import Reply
from proxy.smtp.saslwatch import MAX_RESPONSE, RELAYABLE, user_name
from proxy.smtp.transaction import Client, Transaction

#: RFC 5321 section 4.5.3.1.4 asks for 512; MAIL and RCPT with parameters need more.
MAX_LINE: Final = 2_048
MAX_AUTH_LINE: Final = MAX_RESPONSE + 64

_HTTP: Final = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE"})
OK: Final = Reply.of(250, "2.0.0", "Ok")
BYE: Final = Reply.of(221, "2.0.0", "Bye")


@lru_cache(maxsize=64)
def _greeting(hostname: str) -> Reply:
    return Reply.of(220, "", f"{hostname} ESMTP Mailweir")


@lru_cache(maxsize=256)
def _ehlo_reply(
    hostname: str, size: int, starttls: bool, mechanisms: tuple[str, ...], offered: tuple[str, ...]
) -> Reply:
    lines = [hostname, "PIPELINING", f"SIZE {size}", "ENHANCEDSTATUSCODES"]
    if starttls:
        lines.append("STARTTLS")
    if mechanisms:
        lines.append("AUTH " + " ".join(mechanisms))
    return Reply.of(250, "", *lines, *offered)


class Session(Commit):
    """One client connection. Call an input, then do everything that `drain` returns."""

    def __init__(
        self, policy: DoorPolicy, around: Surroundings, client: Client, now: float
    ) -> None:
        super().__init__(policy, around, client)
        self._began = self._last_read = now
        self._content_seconds = 0.0
        self._content_octets = 0
        self._errors = 0
        self._auth_failures = 0
        self._mechanism = ""
        self._auth_name: str | None = None
        self._auth_line = b""
        self._watched = False
        self._last_line_long = False

    # ------------------------------------------------------------------ inputs from the client

    def begin(self) -> None:
        """The client may be greeted (after PROXY and implicit TLS)."""
        self._say("CONNECT", _greeting(self.policy.hostname))

    def receive(self, data: bytes, now: float) -> None:
        """Octets from the client."""
        if self.phase is Phase.CLOSED:
            return
        self._last_read = now
        self._input = self._input + data if self._input else data
        self._run()

    def eof(self) -> None:
        """The client has closed its side. A message whose end was read goes on its way."""
        self._input = b""
        if self.committing:
            self._close_after_commit = True
        else:
            self._end()

    def lost(self) -> None:
        """The client's connection is gone."""
        self.client_gone = True
        self.eof()

    def tls_started(self, version: str) -> None:
        """The handshake is done: RFC 3207 section 4.2 says to forget all that was said."""
        self.client.tls = version
        self.client.helo = ""
        self.client.esmtp = False
        self._input = b""
        self.phase = Phase.COMMAND

    def resume(self) -> None:
        """A delay is over."""
        if self.phase is Phase.WAIT:
            self.phase = Phase.COMMAND
            self._run()

    def tick(self, now: float, seconds: float, stalled_by_us: bool) -> None:
        """Time passes; called about once a second. `stalled_by_us`: we are not reading."""
        if self.phase in (Phase.CLOSED, Phase.WAIT) or stalled_by_us:
            self._last_read = now
            return
        policy = self.policy
        content = self.phase in (Phase.DATA, Phase.CHUNK)
        limit = policy.data_timeout if content else policy.command_timeout
        if self.around.stress:
            limit = min(limit, policy.stress_timeout)
        if now - self._last_read > limit:
            self._hang_up("4.4.2", "Timeout, closing connection")
            return
        if content:
            self._content_seconds += seconds
            wanted = self._content_seconds * policy.min_rate
            if self._content_seconds > 30 and self._content_octets < wanted:
                self._hang_up("4.4.2", "Too slow, closing connection")
        elif now - self._began > policy.session and self.transaction is None:
            self._hang_up("4.4.2", "Session too long, closing connection")

    def stop(self) -> None:
        """The door shuts down: an idle client is sent away, a running transaction ends first."""
        self.stopping = True
        if self.transaction is None and self.phase in (Phase.COMMAND, Phase.AUTH):
            self._hang_up("4.3.2", "Service shutting down")

    # ------------------------------------------------------------------ the command loop

    def _run(self) -> None:
        """Read on as far as the phase allows."""
        while self._input:
            if self.phase is Phase.COMMAND or (self.phase is Phase.WAIT and self.rcpt_waiting):
                if not self._read_command():
                    break
            elif self.phase is Phase.AUTH:
                line = self._take_line(MAX_AUTH_LINE)
                if line is None:
                    break
                self._sasl_response(line)
            elif self.phase is Phase.DATA:
                self._read_data()
            elif self.phase is Phase.CHUNK:
                self._read_chunk()
            else:
                break

    def _take_line(self, limit: int) -> bytes | None:
        """A line without its CRLF; None when there is no whole line yet or it was no line."""
        end = self._input.find(b"\n", 0, limit)
        if end < 0:
            if len(self._input) < limit:
                return None
            # Keep nothing of an endless line, and answer it once, at its end.
            end = self._input.find(b"\n")
            self._last_line_long = True
            if end < 0:
                self._input = b"-"
                return None
        line, self._input = self._input[:end], self._input[end + 1 :]
        if self.phase is Phase.AUTH and (self._last_line_long or not line.endswith(b"\r")):
            # The exchange with the next hop has no way back from here.
            self._hang_up("5.5.6", "Bad line in the authentication exchange")
            return None
        if self._last_line_long:
            self._last_line_long = False
            self._error(Reply.of(500, "5.5.2", "Line too long"))
            return None
        if not line.endswith(b"\r"):
            self._error(Reply.of(500, "5.5.2", "A line must end in CRLF"))
            return None
        return line[:-1]

    def _read_command(self) -> bool:
        """One command; false when it has to wait."""
        if self.rcpt_waiting and self._input[:5].upper() != b"RCPT ":
            return False
        before = len(self._input)
        auth = self._input[:5].upper() == b"AUTH "
        line = self._take_line(MAX_AUTH_LINE if auth else MAX_LINE)
        if line is None:
            return len(self._input) != before and self.phase is Phase.COMMAND
        word, _, rest = line.partition(b" ")
        verb = word.upper().decode("latin-1")
        if verb not in _COMMANDS:
            self._unknown(verb)
            return True
        try:
            _COMMANDS[verb](self, grammar.decode_line(rest).strip())
        except Refused as refused:
            self._error(refused.reply, verb)
        return True

    def _unknown(self, verb: str) -> None:
        # A browser, or a mail header: somebody makes another program speak to us (row 18).
        if verb in _HTTP or not verb[:1].isalpha() or verb.endswith(":"):
            self._log("protocol_violation", what="not SMTP: " + verb[:40])
            self._say("OTHER", Reply.of(421, "4.7.0", "This is not SMTP"))
            self._end()
            return
        self._error(Reply.of(500, "5.5.2", "Command not recognized"))

    def _error(self, reply: Reply, verb: str = "OTHER") -> None:
        """Refuse a command; after too many, close."""
        self._say(verb, reply)
        self._errors += 1
        if self._errors >= (1 if self.around.stress else self.policy.errors):
            self._hang_up("4.7.0", "Too many errors")

    def _hang_up(self, enhanced: str, text: str) -> None:
        self._slots.clear()
        self._say("OTHER", Reply.of(421, enhanced, f"{self.policy.hostname} {text}"))
        self._end()

    # ------------------------------------------------------------------ commands without a hop

    def _cmd_ehlo(self, text: str) -> None:
        if self.policy.role == "lmtp":
            raise Refused(500, "5.5.1", "This is LMTP: use LHLO")
        self._hello(text)

    def _cmd_lhlo(self, text: str) -> None:
        if self.policy.role != "lmtp":
            raise Refused(500, "5.5.1", "This is SMTP: use EHLO")
        self._hello(text)

    def _cmd_helo(self, text: str) -> None:
        if self.policy.role == "lmtp":
            raise Refused(500, "5.5.1", "This is LMTP: use LHLO")
        self.client.helo = grammar.parse_helo(text)
        self.client.esmtp = False
        self.reset()
        self._say("HELO", Reply.of(250, "", self.policy.hostname))

    def _hello(self, text: str) -> None:
        self.client.helo = grammar.parse_helo(text)
        self.client.esmtp = True
        self.reset()
        if self.around.capabilities is None and self.policy.hop_kind != "mx":
            # Nobody has spoken to the next hop yet: ask it before we promise anything.
            self.open_for("EHLO")
        else:
            self.answer_ehlo(self.around.capabilities)

    def answer_ehlo(self, hop: Capabilities | None) -> None:
        """Our own list, cut to what the next hop can do; never the hop's list."""
        policy, client = self.policy, self.client
        direct = policy.hop_kind == "mx" or (hop is None and policy.role == "submission")
        offered = tuple(
            keyword
            for keyword in ("8BITMIME", "SMTPUTF8", "DSN", "CHUNKING")
            if direct or (hop is not None and hop.has(keyword))
        )
        starttls = policy.tls == "starttls" and client.tls is None
        size = min(policy.max_size, (hop.size if hop else None) or policy.max_size)
        reply = _ehlo_reply(policy.hostname, size, starttls, self._mechanisms(hop), offered)
        self._say("EHLO", reply)

    def _mechanisms(self, hop: Capabilities | None) -> tuple[str, ...]:
        """What AUTH may be offered now: nothing on a wire that others can read."""
        client, policy = self.client, self.policy
        if not policy.auth or client.auth is not None or hop is None:
            return ()
        if client.tls is None and not policy.auth_without_tls:
            return ()
        return tuple(name for name in RELAYABLE if name in hop.auth)

    def _cmd_noop(self, text: str) -> None:
        self._say("NOOP", OK)

    def _cmd_rset(self, text: str) -> None:
        self.reset()
        self._say("RSET", OK)

    def _cmd_quit(self, text: str) -> None:
        self._say("QUIT", BYE)
        self._end()

    def _cmd_vrfy(self, text: str) -> None:
        # Constant: the argument is not echoed (row 20), and no address is confirmed.
        self._say("VRFY", Reply.of(252, "2.5.2", "Send some mail, I will try my best"))

    def _cmd_expn(self, text: str) -> None:
        self._error(Reply.of(502, "5.5.1", "EXPN is not available"), "EXPN")

    def _cmd_help(self, text: str) -> None:
        self._say("HELP", Reply.of(214, "2.0.0", "See RFC 5321"))

    def _cmd_starttls(self, text: str) -> None:
        if self.client.tls is not None or self.policy.tls != "starttls":
            raise Refused(503, "5.5.1", "STARTTLS is not available")
        if text:
            raise Refused(501, "5.5.4", "STARTTLS takes no argument")
        self.reset()
        self._say("STARTTLS", Reply.of(220, "2.0.0", "Ready to start TLS"))
        # What came in clear behind the command is not the client's (RFC 3207 section 6).
        self._input = b""
        self.phase = Phase.WAIT
        self._do(actions.StartTls())

    # ------------------------------------------------------------------ AUTH, relayed

    def _cmd_auth(self, text: str) -> None:
        mechanism, _, initial = text.partition(" ")
        mechanism = mechanism.upper()
        if not self.client.esmtp:
            raise Refused(503, "5.5.1", "Send EHLO first")
        if self.client.auth is not None or self.transaction is not None:
            raise Refused(503, "5.5.1", "AUTH is not allowed now")
        if not self.policy.auth:
            raise Refused(502, "5.5.1", "AUTH is not available")
        if self.client.tls is None and not self.policy.auth_without_tls:
            raise Refused(538, "5.7.11", "Encryption required: send STARTTLS first")
        if self.around.login_blocked(self.client.ip):
            raise Refused(454, "4.7.0", "Too many failed logins, try again later")
        if mechanism not in RELAYABLE:
            raise Refused(504, "5.5.4", "Unrecognized authentication mechanism")
        if any(c.isspace() for c in initial):
            raise Refused(501, "5.5.4", "Syntax: AUTH mechanism initial-response")
        self._mechanism = mechanism
        self._watched = initial not in ("", "=")
        self._auth_name = user_name(mechanism, initial.encode()) if self._watched else None
        self._auth_line = f"AUTH {mechanism} {initial}".rstrip().encode() + b"\r\n"
        self.open_for("AUTH")

    def auth_opened(self) -> None:
        """The next hop is there: hand it the AUTH command to the letter."""
        hop = self.hop
        line, self._auth_line = self._auth_line, b""
        if hop is None or self._mechanism not in hop.auth:
            self.phase = Phase.COMMAND
            self._error(Reply.of(504, "5.5.4", "Unrecognized authentication mechanism"), "AUTH")
            return
        self.ask(line, "AUTH")

    def _sasl_response(self, line: bytes) -> None:
        # Only the first response names the user; the next one may be the password.
        if not self._watched:
            self._watched = True
            self._auth_name = user_name(self._mechanism, line)
        self.ask(line + b"\r\n", "AUTH")

    def auth_answered(self, reply: Reply) -> None:
        """The next hop's word in the exchange: a challenge, or the end."""
        if 300 <= reply.code < 400:
            self._say("AUTH", reply)
            self.phase = Phase.AUTH
            return
        self.phase = Phase.COMMAND
        good = reply.positive
        self._log("auth", mech=self._mechanism, ok=good, words=reply.text)
        self._say("AUTH", reply)
        if good:
            self.client.auth = self._auth_name or "(unknown)"
            return
        self._auth_failures += 1
        if self._auth_failures >= self.policy.auth_failures:
            self._hang_up("4.7.0", "Too many failed logins")
        else:
            # A guesser pays with time, and more each time.
            self.phase = Phase.WAIT
            self._do(actions.Delay(float(self._auth_failures)))

    # ------------------------------------------------------------------ content

    def _read_data(self) -> None:
        data, self._input = self._input, b""
        self._content_octets += len(data)
        self._input = self.content_received(data)

    def _cmd_data(self, text: str) -> None:
        if text:
            raise Refused(501, "5.5.4", "DATA takes no argument")
        self._content_seconds = 0.0
        self._content_octets = 0
        self.begin_data()

    def _cmd_bdat(self, text: str) -> None:
        size, _, last = text.partition(" ")
        if not (size.isascii() and size.isdigit() and len(size) <= 12):
            # Where the chunk ends is unknown, so nothing behind it can be read as a command.
            self._say("BDAT", Reply.of(501, "5.5.4", "Syntax: BDAT size [LAST]"))
            self._end()
            return
        if last.upper() not in ("", "LAST"):
            self._say("BDAT", Reply.of(501, "5.5.4", "Syntax: BDAT size [LAST]"))
            self._end()
            return
        if self.transaction is None or self.transaction.content is None:
            self._content_seconds = 0.0
            self._content_octets = 0
        self.begin_chunk(int(size), last != "")

    def _read_chunk(self) -> None:
        data = self._input[: self.chunk_left]
        self._input = self._input[len(data) :]
        self._content_octets += len(data)
        self.chunk_received(data)

    def _cmd_mail(self, text: str) -> None:
        if not self.client.helo:
            raise Refused(503, "5.5.1", "Send EHLO first")
        if self.transaction is not None:
            raise Refused(503, "5.5.1", "A transaction is open already")
        if self.stopping:
            self._hang_up("4.3.2", "Service shutting down")
            return
        self.begin_transaction(Transaction(grammar.parse_mail(text)))


_COMMANDS: Final[dict[str, Callable[[Session, str], None]]] = {
    "EHLO": Session._cmd_ehlo,
    "HELO": Session._cmd_helo,
    "LHLO": Session._cmd_lhlo,
    "MAIL": Session._cmd_mail,
    "RCPT": Session._cmd_rcpt,
    "DATA": Session._cmd_data,
    "BDAT": Session._cmd_bdat,
    "RSET": Session._cmd_rset,
    "NOOP": Session._cmd_noop,
    "QUIT": Session._cmd_quit,
    "VRFY": Session._cmd_vrfy,
    "EXPN": Session._cmd_expn,
    "HELP": Session._cmd_help,
    "STARTTLS": Session._cmd_starttls,
    "AUTH": Session._cmd_auth,
}
