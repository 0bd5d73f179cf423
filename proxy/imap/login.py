"""Who logs in, and with what, read from LOGIN and AUTHENTICATE as they pass untouched (core).

The exchange belongs to the client and the server. This looks at what the client says, in all the
forms it may have: LOGIN with atoms, quoted strings and literals, AUTHENTICATE with and without an
initial response (RFC 4959). The user's name is for the captures; a password or token stays in a
`Secret`, for the companion of this session only. SCRAM and CRAM-MD5 show a name and nothing else.

RFC 3501 6.2.2 and 6.2.3, RFC 4616 (PLAIN), RFC 5802 (SCRAM), RFC 7628 (OAUTHBEARER), RFC 2195.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Final, NamedTuple

from config.secret import Secret
from crmstore.mailplace import login_name
from proxy.imap.grammar import NotUnderstood, arguments

#: Octets of all that a client says until it is logged in: a token of a large directory is long.
MOST: Final = 65_536
MOST_NAME: Final = 320

# Two words as nearly all clients say them, atoms or in quotes, with nothing to undo in them.
_WORD = rb'(?:"([^"\\\r\n]*)"|([^\s()"{\\\[]+))'
_TWO_WORDS = re.compile(rb" *" + _WORD + rb" +" + _WORD + rb" *\Z")


class Credentials(NamedTuple):
    """What a second connection of the same session needs to log in.

    `mechanism` is LOGIN, PLAIN, XOAUTH2 or OAUTHBEARER; `authzid` whom a master user acts for.
    """

    mechanism: str
    user: str
    secret: Secret
    authzid: str = ""


class Found(NamedTuple):
    """Whose mailbox it is ("" where the exchange does not show it), and how to get there again."""

    user: str
    credentials: Credentials | None


def from_login(text: bytes, at: int, literals: Sequence[bytes | None]) -> Found:
    """A whole LOGIN command, its literals in order."""
    plain = None if literals else _TWO_WORDS.match(text, at)
    if plain is not None:
        quoted, atom, quoted_secret, secret = plain.groups(b"")
        user = _name(quoted or atom)
        return Found(user, _credentials("LOGIN", user, quoted_secret or secret))
    try:
        given = arguments(text, at, literals)
    except NotUnderstood:
        return Found("", None)
    if len(given) != 2 or not isinstance(given[0], bytes) or not isinstance(given[1], bytes):
        return Found("", None)
    user = _name(given[0])
    return Found(user, _credentials("LOGIN", user, given[1]))


class Exchange:
    """One AUTHENTICATE; `mechanism` in upper case."""

    __slots__ = ("_responses", "mechanism")

    def __init__(self, mechanism: str, initial: bytes | None = None) -> None:
        self.mechanism = mechanism
        self._responses: list[bytes] = []
        if initial is not None:
            self.response(initial)

    def response(self, line: bytes) -> None:
        """A line of the client, as on the wire. Only the first two can tell anything."""
        if len(self._responses) < 2:
            try:
                self._responses.append(b64decode(line, validate=True))
            except (binascii.Error, ValueError):
                self._responses.append(b"")

    def found(self) -> Found:
        """What the responses so far have told."""
        mechanism = self.mechanism
        first, second = ([*self._responses, b"", b""])[:2]
        if mechanism == "PLAIN":
            parts = first.split(b"\0")
            if len(parts) != 3:
                return Found("", None)
            authzid, user = _name(parts[0]), _name(parts[1])
            return Found(authzid or user, _credentials("PLAIN", user, parts[2], authzid))
        if mechanism == "LOGIN":
            return Found(_name(first), _credentials("LOGIN", _name(first), second))
        if mechanism in ("XOAUTH2", "OAUTHBEARER"):
            return _bearer(mechanism, first)
        if mechanism == "CRAM-MD5":
            return Found(_name(first.rpartition(b" ")[0]), None)
        if mechanism.startswith("SCRAM-"):
            return Found(_name(_gs2(first, b"a=") or _gs2(first, b"n=")), None)
        return Found("", None)


def _bearer(mechanism: str, response: bytes) -> Found:
    user = token = b""
    for field in response.split(b"\x01"):
        key, _, value = field.partition(b"=")
        if key == b"user":
            user = value
        elif key == b"auth":
            token = value.partition(b" ")[2]
    user = user or _gs2(response.partition(b"\x01")[0], b"a=")
    return Found(_name(user), _credentials(mechanism, _name(user), token))


def _gs2(message: bytes, prefix: bytes) -> bytes:
    for field in message.split(b","):
        if field.startswith(prefix):
            return field[2:].replace(b"=2C", b",").replace(b"=3D", b"=")
    return b""


def _name(raw: bytes) -> str:
    name = raw.decode("utf-8", "replace")
    return name if len(name) <= MOST_NAME and name.isprintable() else ""


def _credentials(mechanism: str, user: str, secret: bytes, authzid: str = "") -> Credentials | None:
    if not user or not secret:
        return None
    try:
        return Credentials(mechanism, user, Secret(secret.decode("utf-8")), authzid)
    except UnicodeDecodeError:
        return None  # the session itself goes on; only the companion has to do without


def account(user: str, domains: Sequence[str]) -> str:
    """A login name as the address that captures are kept under.

    Names are compared without case, as mail servers do; one without a domain belongs to ours, if
    there is only one.
    """
    name = login_name(user)
    if name and "@" not in name and len(domains) == 1:
        return login_name(f"{name}@{domains[0]}")
    return name
