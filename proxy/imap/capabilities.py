"""Which capabilities of the server a client may see, and which commands are refused here (core).

An allow-list: a capability is shown only if the proxy can honour it, that is, if what it does to
the stream is understood or passes as it is. Tokens are taken out one by one, order and spelling
stay. A client may use an extension without having looked, so commands that belong to a hidden
capability are refused too (`REFUSED`). Registry: IANA "IMAP Capabilities".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: What passes untouched, or is understood by the observer.
SHOWN: Final = frozenset(
    (
        "ACL APPENDLIMIT ANNOTATE-EXPERIMENT-1 BINARY CATENATE CHILDREN CONDSTORE CONVERT"
        " CREATE-SPECIAL-USE ENABLE ESEARCH ESORT FILTERS ID IDLE IMAP4 IMAP4REV1 IMAP4REV2"
        " INPROGRESS LANGUAGE LIST-EXTENDED LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+"
        " LITERAL- LOGINDISABLED METADATA METADATA-SERVER MOVE MULTIAPPEND MULTISEARCH NAMESPACE"
        " NOTIFY OBJECTID PARTIAL PREVIEW QRESYNC QUOTA QUOTASET REPLACE SASL-IR SAVEDATE SEARCHRES"
        " SORT SPECIAL-USE STARTTLS UIDBATCHES UIDONLY UIDPLUS UNSELECT WITHIN"
        # not registered, but seen at large servers and harmless
        " X-GM-EXT-1 XLIST XMOVE XAPPLEPUSHSERVICE XYMHIGHESTMODSEQ CLIENTACCESSRULES"
        " CLIENTNETWORKPRESENCELOCATION UNIQUEID LOGIN LOGOUT"
    ).split()
)
#: The same with a value behind "=".
SHOWN_WITH_VALUE: Final = frozenset(
    "APPENDLIMIT CONTEXT I18NLEVEL IMAPSIEVE MESSAGELIMIT PREVIEW QUOTA RIGHTS SAVELIMIT SEARCH"
    " SNIPPET SORT STATUS THREAD UTF8 VENDOR".split()
)
#: What is hidden, and why. All that stands nowhere is hidden as well: nobody knows what it does.
HIDDEN: Final = {
    "COMPRESS=DEFLATE": "everything after its OK is opaque: nothing could be captured",
    "LOGIN-REFERRALS": "leads the client to another server, past this one (RFC 2221)",
    "MAILBOX-REFERRALS": "leads the client to another server, past this one (RFC 2193)",
    "JMAPACCESS": "tells the client of a way past this one (RFC 9698)",
    "URLAUTH": "its URLs name the server behind, and content would leave by them (RFC 4467)",
    "URLAUTH=BINARY": "as URLAUTH (RFC 5524)",
    "URL-PARTIAL": "has a meaning only with URLAUTH (RFC 5550)",
    "UNAUTHENTICATE": "another user would go on in a connection that is counted as the first one's",
    "BACKENDAUTHENTICATE": "between Exchange servers only",
    "AUTH=GSSAPI": "may negotiate a security layer, which makes the stream opaque",
    "AUTH=GSS-SPNEGO": "as GSSAPI",
    "AUTH=KERBEROS_V4": "as GSSAPI",
    "AUTH=DIGEST-MD5": "may negotiate a security layer (auth-conf)",
    "AUTH=NTLM": "may be bound to the TLS channel, which ends here",
    "AUTH=EXTERNAL": "is about the client's certificate, which ends here",
    "AUTH=SCRAM-SHA-1-PLUS": "is bound to the TLS channel, which ends here",
    "AUTH=SCRAM-SHA-256-PLUS": "as SCRAM-SHA-1-PLUS",
    "AUTH=SCRAM-SHA-512-PLUS": "as SCRAM-SHA-1-PLUS",
    "AUTH=ANONYMOUS": "nobody's mailbox",
}
#: SASL mechanisms that work when both legs see the same octets. Those of the first line show the
#: password or token to whoever listens.
IN_CLEAR: Final = frozenset("PLAIN LOGIN XOAUTH2 OAUTHBEARER XOAUTH PLAIN-CLIENTTOKEN".split())
MECHANISMS: Final = IN_CLEAR | frozenset("CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512".split())
#: Commands of hidden capabilities, with the words of the refusal.
REFUSED: Final = {
    b"COMPRESS": b"NO [CANNOT] No compression here",
    b"UNAUTHENTICATE": b"NO [CANNOT] Log out and connect again",
    b"GENURLAUTH": b"NO [CANNOT] No URLAUTH here",
    b"URLFETCH": b"NO [CANNOT] No URLAUTH here",
    b"RESETKEY": b"NO [CANNOT] No URLAUTH here",
    b"RLIST": b"NO [CANNOT] No referrals here",
    b"RLSUB": b"NO [CANNOT] No referrals here",
}

_CODE = re.compile(rb"\[CAPABILITY ([^\]]*)\]", re.IGNORECASE)
_REFERRAL = re.compile(rb"\[REFERRAL [^\]]*\] ?", re.IGNORECASE)


def shown(token: str) -> bool:
    """May a client see this capability of the server?"""
    name = token.upper()
    if name in HIDDEN:
        return False
    if name in SHOWN:
        return True
    kind, equals, value = name.partition("=")
    if not equals:
        return False
    return value in MECHANISMS if kind == "AUTH" else kind in SHOWN_WITH_VALUE


class OurLeg:
    """What is true of the connection between the client and us."""

    __slots__ = ("clear", "starttls")

    def __init__(self, starttls: bool, clear: bool) -> None:
        """`starttls`: we offer it now. `clear`: a password may cross this connection."""
        self.starttls = starttls
        self.clear = clear


def rewrite(tokens: bytes, leg: OurLeg, logged_in: bool) -> bytes:
    """The server's list of capabilities as our client may see it.

    Before the login STARTTLS and LOGINDISABLED are those of our leg, and mechanisms that would
    show a password are left out where it must not cross.
    """
    return _rewritten(tokens, leg.starttls, leg.clear, logged_in)


@lru_cache(maxsize=256)  # a server has two or three lists, and says one of them at each login
def _rewritten(tokens: bytes, starttls: bool, clear: bool, logged_in: bool) -> bytes:
    out = []
    for token in tokens.split():
        name = token.decode("ascii", "replace").upper()
        if name == "STARTTLS" or not shown(name):
            continue
        if not clear and not logged_in and name.startswith("AUTH=") and name[5:] in IN_CLEAR:
            continue
        out.append(token)
    if not logged_in:
        if starttls:
            out.append(b"STARTTLS")
        if not clear and b"LOGINDISABLED" not in out:
            out.append(b"LOGINDISABLED")
    return b" ".join(out)


def rewrite_line(text: bytes, leg: OurLeg, logged_in: bool) -> bytes:
    """A line with the list in it, in either of its forms, and without a way past us; other lines
    come back as they are. Of a tagged answer what follows the tag, which is new each time."""
    return _rewritten_line(text, leg.starttls, leg.clear, logged_in)


@lru_cache(maxsize=64)
def _rewritten_line(text: bytes, starttls: bool, clear: bool, logged_in: bool) -> bytes:
    if text[:13].upper() == b"* CAPABILITY ":
        text = text[:13] + _rewritten(text[13:], starttls, clear, logged_in)
    elif (found := _CODE.search(text)) is not None:
        list_ = _rewritten(found[1], starttls, clear, logged_in)
        text = text[: found.start(1)] + list_ + text[found.end(1) :]
    return _REFERRAL.sub(b"", text) if b"[REFERRAL" in text.upper() else text
