"""How a next hop learns who our client is, where it is configured to (`next_hop_client`).

XCLIENT (Postfix, XCLIENT_README): before a transaction's EHLO; the client's name is not looked up
and told as unavailable. Postfix believes it once a connection, so such a connection serves one
client only, and one that goes on offering it can be pooled. PROXY (haproxy's proxy-protocol.txt,
version 1): the first line of a connection, which then serves one client only.

Promises: values are encoded as xtext (RFC 3461 section 4), so nothing that a client says can end
the line; only attributes that the hop has offered are told.
A core, but for `introduce`, which talks on a connection.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.hoptalk import Talk

Way = Literal["none", "xclient", "proxy"]

_PLAIN: Final = re.compile(r"[!-*,-<>-~]")
#: Octets of a name; a whole command line has 512 (RFC 5321 section 4.5.3.1.4).
_LONGEST: Final = 255


class Stranger(NamedTuple):
    """Our client, as far as a next hop cares: where it comes from, and where it came to."""

    ip: str
    port: int
    own_ip: str = ""
    own_port: int = 0
    helo: str = ""
    esmtp: bool = True


def xtext(value: str) -> str:
    """RFC 3461 section 4, of the UTF-8 octets."""
    return "".join(
        char if _PLAIN.match(char) else "".join(f"+{octet:02X}" for octet in char.encode("utf-8"))
        for char in value
    )


def xclient(client: Stranger, offered: str) -> bytes | None:
    """The command line for what the hop has `offered` (the words behind XCLIENT in its EHLO);
    None where it does not take an address."""
    attributes = set(offered.upper().split())
    if "ADDR" not in attributes or not client.ip:
        return None
    helo = xtext(client.helo)
    values = {
        "NAME": "[UNAVAILABLE]",
        "ADDR": f"IPV6:{client.ip}" if ":" in client.ip else client.ip,
        "PORT": str(client.port) if client.port else "[UNAVAILABLE]",
        "PROTO": "ESMTP" if client.esmtp else "SMTP",
        "HELO": helo if len(helo) <= _LONGEST else "",
    }
    words = [f"{name}={value}" for name, value in values.items() if value and name in attributes]
    return ("XCLIENT " + " ".join(words)).encode("ascii")


def proxy_line(client: Stranger | None) -> bytes:
    """The PROXY protocol's first version; UNKNOWN for a connection of our own."""
    if client is None or not client.ip:
        return b"PROXY UNKNOWN\r\n"
    six = ":" in client.ip
    own = client.own_ip
    if not own or (":" in own) != six:
        own = "::" if six else "0.0.0.0"
    kind = "TCP6" if six else "TCP4"
    return f"PROXY {kind} {client.ip} {own} {client.port} {client.own_port}\r\n".encode("ascii")


async def introduce(talk: Talk, client: Stranger, *, lmtp: bool, helo: bytes) -> None:
    """Say XCLIENT, and EHLO anew, in the client's name as nginx does. Raises HopUnavailable where
    the hop does not want it, HopLost; does nothing where XCLIENT is not offered.

    What the hop offers to this client may differ from what it offered us.
    """
    conn = talk.conn
    line = xclient(client, conn.caps.keywords.get("XCLIENT", ""))
    if line is None:
        return
    reply = (await talk.ask(line + b"\r\n"))[0]
    if reply.code != 220:
        raise HopUnavailable.said(reply, "XCLIENT")
    name = client.helo.encode("utf-8") or helo
    reply = (await talk.ask((b"LHLO " if lmtp else b"EHLO ") + name + b"\r\n"))[0]
    if reply.code != 250:
        raise HopUnavailable.said(reply, "LHLO" if lmtp else "EHLO")
    conn.caps = Capabilities.from_reply(reply)
    if not conn.caps.has("XCLIENT"):
        # The next client could not be told any more: it is this one's and never another's.
        conn.private = True
