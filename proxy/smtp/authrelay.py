"""AUTH, passed on to the next hop and back, mechanism by mechanism (core).

The exchange belongs to the client and the hop; what stays here is the user's name once the hop has
said 235. The connection that carried it serves this client alone from then on.

Promises: nothing of an exchange is kept or logged; what goes to the hop is base64, `*` or nothing,
so no response can hold a line end that we do not see; AUTH is never passed on from a wire that
others can read, in a transaction, or twice. RFC 4954 sections 4 to 6.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.smtp import actions
from proxy.smtp.commit import Commit
from proxy.smtp.grammar import Refused
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy, Surroundings
from proxy.smtp.replies import Reply
from proxy.smtp.saslwatch import RELAYABLE, user_name
from proxy.smtp.transaction import Client

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
#: RFC 4954 section 4: the client gives up; the hop answers 501.
_CANCEL: Final = b"*"


class AuthRelay(Commit):
    """See the page, and the floors in proxy/smtp/conversation.py."""

    def __init__(self, policy: DoorPolicy, around: Surroundings, client: Client) -> None:
        super().__init__(policy, around, client)
        self._auth_failures = 0
        self._mechanism = ""
        self._auth_name: str | None = None
        self._auth_line = b""
        self._watched = False

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
        response = initial.encode()
        if not _BASE64.fullmatch(response):
            raise Refused(501, "5.5.4", "Syntax: AUTH mechanism initial-response")
        self._mechanism = mechanism
        # "=" is a response too, an empty one: what comes behind it may be the password.
        self._watched = response != b""
        self._auth_name = user_name(mechanism, response)
        self._auth_line = f"AUTH {mechanism} {initial}".rstrip().encode() + b"\r\n"
        # Not from the pool: it becomes this client's own, and must not turn out to be stale.
        self.open_for("AUTH", fresh=True)

    def auth_opened(self) -> None:
        """The next hop is there: hand it the AUTH command to the letter."""
        hop = self.hop
        line, self._auth_line = self._auth_line, b""
        if hop is None or self._mechanism not in hop.auth:
            self.phase = Phase.COMMAND
            self._error(Reply.of(504, "5.5.4", "Unrecognized authentication mechanism"), "AUTH")
            self._release(dirty=False)
            return
        self.hop_private = True
        self.ask(line, "AUTH")

    def _sasl_response(self, line: bytes) -> None:
        if line != _CANCEL and not _BASE64.fullmatch(line):
            line = _CANCEL
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
