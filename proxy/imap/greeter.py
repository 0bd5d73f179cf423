"""What is said with the server before the client may speak: greeting, STARTTLS, ID (core).

Lines in, octets to send out; `done` when the session may begin, `failed` with the reason when it
may not. Tags are ours; all that belongs to them stays between us and the server.

* `* PREAUTH` is refused: nobody has logged in (RFC 9051 section 11.1), and with STARTTLS it is how
  an attacker in the middle would keep TLS away.
* After STARTTLS only what is said in TLS counts, and `line` must not be given anything that came in
  the same read as the OK.
* ID carries the client's address to a Dovecot that trusts us (login_trusted_networks).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from proxy.imap.grammar import response_code

LINES: Final = 100
POLICIES: Final = ("may", "require", "verify")


class Greeter:
    """One connection to the server."""

    __slots__ = ("_ident", "_lines", "_policy", "_state", "_tls", "caps", "done", "failed",
                 "wants_tls", "words")  # fmt: skip

    def __init__(self, *, tls: bool, policy: str, ident: bytes | None = None) -> None:
        """`tls`: it stands already. `ident`: the arguments of an ID command."""
        self._tls = tls
        self._policy = policy
        self._ident = ident
        self._state = "greeting"
        self._lines = 0
        self.caps: bytes | None = None
        self.words = b""
        """The greeting, without its code."""
        self.done = False
        self.failed = ""
        self.wants_tls = False
        """Shake hands now, then call `tls_stands`."""

    def line(self, text: bytes) -> bytes:
        """A line of the server, without CRLF; what to send, perhaps nothing."""
        self._lines += 1
        if self._lines > LINES:
            return self._fail("the server talks without end")
        if self._state == "greeting":
            return self._greeted(text)
        if text[:2] == b"* ":
            if text[:13].upper() == b"* CAPABILITY ":
                self.caps = text[13:]
            elif text[:6].upper() == b"* BYE ":
                return self._fail(text[6:].decode("utf-8", "replace"))
            return b""
        tag, _, rest = text.partition(b" ")
        if tag != b"mw" + self._state.encode():
            return self._fail("the server's answer is to nobody")
        return self._answered(rest[:3].upper() == b"OK ", rest)

    def tls_stands(self) -> bytes:
        """Hands are shaken: what to send."""
        self.wants_tls = False
        self._tls = True
        self.caps = None
        return self._next()

    def _greeted(self, text: bytes) -> bytes:
        head = text[:5].upper()
        if head == b"* OK ":
            self.caps, self.words = _greeting(text[5:])
            return self._next()
        if head == b"* BYE":
            return self._fail(text[6:].decode("utf-8", "replace"))
        if text[:9].upper() == b"* PREAUTH":
            return self._fail("the server let us in without a login")
        return self._fail("what answers is no IMAP server")

    def _answered(self, ok: bool, rest: bytes) -> bytes:
        if self._state == "caps" and (not ok or self.caps is None):
            return self._fail("the server does not say what it can do")
        if self._state == "tls":
            if ok:
                self.wants_tls = True
                return b""
            if self._policy != "may":
                return self._fail("the server refuses STARTTLS: " + rest.decode("utf-8", "replace"))
            self._policy = "none"  # loopback only (config/rules.py)
        if self._state == "id":
            self._ident = None
        return self._next()

    def _next(self) -> bytes:
        """The next step after what is known now."""
        if self.caps is None and (not self._tls or self._state != "greeting"):
            return self._ask("caps", b"CAPABILITY")
        offered = (self.caps or b"").upper().split()
        if not self._tls and self._policy in POLICIES:
            if b"STARTTLS" in offered:
                return self._ask("tls", b"STARTTLS")
            if self._policy != "may":
                return self._fail("the server offers no TLS, which is required here")
        if self._ident is not None and b"ID" in offered:
            return self._ask("id", b"ID " + self._ident)
        self.done = True
        return b""

    def _ask(self, state: str, command: bytes) -> bytes:
        self._state = state
        return b"mw" + state.encode() + b" " + command + b"\r\n"

    def _fail(self, why: str) -> bytes:
        self.failed = why
        return b""


@lru_cache(maxsize=16)  # a server has one, or one with the time of day in it
def _greeting(text: bytes) -> tuple[bytes | None, bytes]:
    """The capabilities in a greeting, and its words without them."""
    code = response_code(text)
    if code is None or code[0] != b"CAPABILITY":
        return None, text
    return code[1], text[text.index(b"]") + 1 :].lstrip(b" ")


def originating(ip: str, port: int, own_ip: str, own_port: int) -> bytes:
    """The arguments of Dovecot's ID for whoever is behind us; addresses need no escapes."""
    pairs = (
        ("x-originating-ip", ip), ("x-originating-port", port),
        ("x-connected-ip", own_ip), ("x-connected-port", own_port),
    )  # fmt: skip
    return ("(" + " ".join(f'"{key}" "{value}"' for key, value in pairs) + ")").encode("ascii")


def proxy_header(ip: str, port: int, own_ip: str, own_port: int) -> bytes:
    """The PROXY protocol's first version, for a server that wants the client's address so."""
    if not ip:
        return b"PROXY UNKNOWN\r\n"
    kind = "TCP6" if ":" in ip else "TCP4"
    if (":" in ip) != (":" in own_ip):
        own_ip = "::" if ":" in ip else "0.0.0.0"
    return f"PROXY {kind} {ip} {own_ip} {port} {own_port}\r\n".encode("ascii")
