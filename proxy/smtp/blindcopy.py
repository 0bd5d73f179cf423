"""Bcc fields of submitted mail do not go onward (core).

RFC 5322 section 3.6.3: what stands in Bcc is for nobody else to see. Mail programs take it out, or
leave it to the server; Postfix drops it (message_drop_headers), others do not. The journal keeps
the message as it was sent, so the sender's own timeline knows.

Promises: nothing else changes, and a field that a DKIM signature covers stays (RFC 6376 section
5.4), since the signature would break: what is signed is meant to be seen.
Limits: a header section that does not end in these octets is left alone.
"""

from __future__ import annotations

import re
from typing import Final

_REST: Final = rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*"
_BLIND: Final = re.compile(rb"^(?:resent-)?bcc[ \t]*:" + _REST, re.IGNORECASE | re.MULTILINE)
_SIGNED: Final = re.compile(rb"^dkim-signature[ \t]*:" + _REST, re.IGNORECASE | re.MULTILINE)
_COVERS: Final = re.compile(rb";\s*h\s*=[^;]*\bbcc\b", re.IGNORECASE)


def without_bcc(head: bytes, whole: bool = False) -> bytes:
    """The first octets of a message without its Bcc fields. `whole`: it ends here."""
    end = 0 if head.startswith(b"\r\n") else head.find(b"\r\n\r\n") + 2
    if end == 1:
        if not whole:
            return head
        end = len(head)
    fields = head[:end]
    if _BLIND.search(fields) is None:
        return head
    if any(_COVERS.search(signature) for signature in _SIGNED.findall(fields)):
        return head
    return _BLIND.sub(b"", fields) + head[end:]
