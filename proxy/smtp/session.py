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
from proxy.smtp.authrelay import AuthRelay
from proxy.smtp.capabilities import RELAYED, Capabilities
from proxy.smtp.grammar import Refused
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy, Surroundings
from proxy.smtp.replies import Reply
from proxy.smtp.saslwatch import MAX_RESPONSE, RELAYABLE
from proxy.smtp.transaction import Client, Transaction

#: RFC 5321 section 4.5.3.1.4 asks for 512; MAIL and RCPT with parameters need more.
MAX_LINE: Final = 2_048
MAX_AUTH_LINE: Final = MAX_RESPONSE + 64

_IDLE: Final = (Phase.COMMAND, Phase.AUTH)
_HTTP: Final = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE"})
OK: Final = Reply.of(250, "2.0.0", "Ok")
BYE: Final = Reply.of(221, "2.0.0", "Bye")


@lru_cache(maxsize=64)
def _greeting(hostname: str, protocol: str) -> Reply:
    return Reply.of(220, "", f"{hostname} {protocol} Mailweir")


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


class Session(AuthRelay):
    """One client connection. Call an input, then do everything that `drain` returns."""

    def __init__(
        self, policy: DoorPolicy, around: Surroundings, client: Client, now: float
    ) -> None:
        super().__init__(policy, around, client)
        self._began = self._last_read = now
        self._content_seconds = 0.0
        self._content_octets = 0
        self._last_line_long = False

    # ------------------------------------------------------------------ inputs from the client

    def begin(self) -> None:
        """The client may be greeted (after PROXY and implicit TLS)."""
        policy = self.policy
        protocol = "LMTP" if policy.role == "lmtp" else "ESMTP"
        self._say("CONNECT", _greeting(policy.hostname, protocol))

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
            return
        # A transaction may end first, but cannot make a session endless either.
        grace = policy.data_timeout if self.transaction is not None else 0.0
        if now - self._began > policy.session + grace:
            self._hang_up("4.4.2", "Session too long, closing connection")

    def stop(self) -> None:
        """The door shuts down: an idle client is sent away, a running transaction ends first."""
        self.stopping = True
        self._run()

    def cut(self) -> None:
        """The door can wait no longer. A message whose end was read keeps its fate."""
        if self.committing:
            self.lost()
        else:
            self._hang_up("4.3.2", "Service shutting down")

    # ------------------------------------------------------------------ the command loop

    def _run(self) -> None:
        """Read on as far as the phase allows."""
        if not self._input and not self.stopping:
            return
        while len(self._input) > self._at:
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
        if self._at:
            self._input = self._input[self._at :]
            self._at = 0
        if self.stopping and self.transaction is None and self.phase in _IDLE:
            self._hang_up("4.3.2", "Service shutting down")

    def _take_line(self, limit: int) -> bytes | None:
        """A line without its CRLF; None when there is no whole line yet or it was no line."""
        start = self._at
        end = self._input.find(b"\n", start, start + limit)
        if end < 0:
            if len(self._input) - start < limit:
                return None
            # Keep nothing of an endless line, and answer it once, at its end.
            end = self._input.find(b"\n", start)
            self._last_line_long = True
            if end < 0:
                self._input, self._at = b"-", 0
                return None
        line = self._input[start:end]
        self._at = end + 1
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
        start = self._at
        head = self._input[start : start + 5].upper()
        if self._slots and head != b"RCPT ":
            return False
        line = self._take_line(MAX_AUTH_LINE if head == b"AUTH " else MAX_LINE)
        if line is None:
            return self._at != start
        word, _, rest = line.partition(b" ")
        verb = word.upper().decode("latin-1")
        command = _COMMANDS.get(verb)
        if command is None:
            self._unknown(verb)
            return True
        try:
            command(self, grammar.decode_line(rest).strip(" ") if rest else "")
        except Refused as refused:
            self._error(refused.reply, verb)
        return True

    def _unknown(self, verb: str) -> None:
        # A browser, or a mail header: somebody makes another program speak to us (row 18).
        if verb in _HTTP or (verb and not verb[:1].isalpha()) or verb.endswith(":"):
            self._log("protocol_violation", what="not SMTP: " + verb[:40])
            self._say("OTHER", Reply.of(421, "4.7.0", "This is not SMTP"))
            self._end()
            return
        self._error(Reply.of(500, "5.5.2", "Command not recognized"))

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
        offered = RELAYED if direct else hop.relayed if hop is not None else ()
        starttls = policy.tls == "starttls" and client.tls is None
        size = policy.largest(hop.size if hop else None)
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
        # After a login in clear: it would have to be forgotten (RFC 3207 section 4.2).
        if self.client.tls or self.policy.tls != "starttls" or self.client.auth is not None:
            raise Refused(503, "5.5.1", "STARTTLS is not available")
        if text:
            raise Refused(501, "5.5.4", "STARTTLS takes no argument")
        self.reset()
        self._say("STARTTLS", Reply.of(220, "2.0.0", "Ready to start TLS"))
        # What came in clear behind the command is not the client's (RFC 3207 section 6).
        self._input = b""
        self.phase = Phase.WAIT
        self._do(actions.StartTls())

    # ------------------------------------------------------------------ content

    def _read_data(self) -> None:
        data = self._input[self._at :] if self._at else self._input
        self._input, self._at = b"", 0
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
        data = self._input[self._at : self._at + self.chunk_left]
        self._at += len(data)
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
