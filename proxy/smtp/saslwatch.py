"""Who logs in, read from a SASL exchange that is passed on untouched (core).

The exchange itself belongs to the client and the next hop. This looks at what the client says and
keeps nothing but the user name; passwords and tokens are never stored, not even in passing.

RFC 4616 (PLAIN), LOGIN, XOAUTH2, RFC 7628 (OAUTHBEARER), RFC 5802 and 7677 (SCRAM). SCRAM with
channel binding (-PLUS) cannot cross a TLS terminator and is not offered.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

#: Mechanisms that can be relayed; each works if both legs see the same octets.
RELAYABLE: Final = (
    "PLAIN",
    "LOGIN",
    "XOAUTH2",
    "OAUTHBEARER",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
)
#: RFC 4954 section 4: room for 12,288 octets of response.
MAX_RESPONSE: Final = 12_288


def user_name(mechanism: str, response: bytes) -> str | None:
    """The user name in the client's first response (base64, as on the wire), or None."""
    try:
        text = b64decode(response, validate=True)
    except (binascii.Error, ValueError):
        return None
    name = b""
    if mechanism == "PLAIN":
        parts = text.split(b"\0")
        name = parts[1] if len(parts) == 3 else b""
    elif mechanism == "LOGIN":
        name = text
    elif mechanism == "XOAUTH2":
        for field in text.split(b"\x01"):
            if field.startswith(b"user="):
                name = field[5:]
    elif mechanism == "OAUTHBEARER" or mechanism.startswith("SCRAM-"):
        prefix = b"a=" if mechanism == "OAUTHBEARER" else b"n="
        for field in text.split(b"\x01")[0].split(b","):
            if field.startswith(prefix):
                name = field[2:].replace(b"=2C", b",").replace(b"=3D", b"=")
                break
    decoded = name.decode("utf-8", "replace")
    return decoded if 0 < len(decoded) <= 320 and decoded.isprintable() else None
