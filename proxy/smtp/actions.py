"""What a session asks of the world around it (core): plain values, one for each deed.

`proxy/smtp/session.py` gives them out in the order in which they are to be done;
`proxy/smtp/listener.py` does them. Whoever wants to know what a door can do to the outside reads
this page: there is nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class ToClient(NamedTuple):
    """Send these octets to the client, in one write."""

    data: bytes


class StartTls(NamedTuple):
    """Begin the TLS handshake on the client's side; then call `tls_started`."""


class Close(NamedTuple):
    """Close the client's connection once everything sent has left."""


class Delay(NamedTuple):
    """Call `resume` after so many seconds."""

    seconds: float


class OpenHop(NamedTuple):
    """Get a connection to the next hop; then call `hop_opened` or `hop_failed`.

    `domain`: the recipient domain, for direct delivery by MX. `fresh`: not one from the pool.
    """

    domain: str | None
    fresh: bool


class AskHop(NamedTuple):
    """Send command lines to the next hop; `hop_reply` is called for each of `replies`."""

    data: bytes
    replies: int


class HopContent(NamedTuple):
    """Send message content, already dot-stuffed; `replies` > 0 when this holds the end."""

    pieces: Sequence[bytes]
    replies: int


class ReleaseHop(NamedTuple):
    """The next hop's connection may serve others; `dirty`: a transaction is open on it."""

    dirty: bool


class DropHop(NamedTuple):
    """Close the next hop's connection: what was sent on it must not become a message.

    `abort`: the hop is in the middle of content, so not even QUIT may be sent.
    """

    abort: bool


class Spool(NamedTuple):
    """Write a piece of a large body to disk, under the capture id."""

    capture_id: str
    piece: bytes


class DropSpool(NamedTuple):
    """Remove the large body begun for this transaction."""


class Journal(NamedTuple):
    """Make the message durable, then call `durable`. `body` is None when it was spooled."""

    header: dict[str, object]
    body: Sequence[bytes] | None


class Verdict(NamedTuple):
    """Write what became of a journalled message; nobody waits for it."""

    header: dict[str, object]


class Log(NamedTuple):
    """One line for the log: the event's name in proxy/maillog.py and its values."""

    event: str
    values: Mapping[str, object]


Action = (
    ToClient
    | StartTls
    | Close
    | Delay
    | OpenHop
    | AskHop
    | HopContent
    | ReleaseHop
    | DropHop
    | Spool
    | DropSpool
    | Journal
    | Verdict
    | Log
)
