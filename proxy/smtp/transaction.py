"""One mail transaction, from MAIL to the final reply: its envelope, content and papers (core).

Holds what is known and builds the journal's records from it (the format is told in
proxy/JOURNAL.md). What happens next is decided in proxy/smtp/session.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from proxy.smtp.grammar import PathArgument
from proxy.smtp.octets import ChunkDecoder, DotDecoder, Stuffer
from proxy.smtp.replies import Reply
from proxy.smtp.trace import HEADER_LIMIT, count_hops

PASS, QUEUE = "pass", "queue"
#: Pieces of content that are kept one by one.
MANY = 1_000


@dataclass(slots=True)
class Client:
    """Who is at the other end. `auth` is the user name that the next hop has accepted."""

    ip: str
    port: int
    trusted: bool = False
    helo: str = ""
    esmtp: bool = False
    tls: str | None = None
    auth: str | None = None


@dataclass(slots=True)
class Recipient:
    """An accepted recipient, and who answers for the delivery to it."""

    path: PathArgument
    plan: str


class Content:
    """The message while it comes in: decoded, measured, hashed, kept up to a limit."""

    __slots__ = (
        *("_digest", "_head", "_joined"),
        *("decoder", "kept", "kept_size", "spooled", "too_big"),
    )

    def __init__(self, decoder: DotDecoder | ChunkDecoder) -> None:
        self.decoder = decoder
        #: Decoded pieces that are neither spooled nor sent yet.
        self.kept: list[bytes] = []
        self.kept_size = 0
        #: True once pieces have gone to disk and to the next hop.
        self.spooled = False
        self.too_big = False
        self._digest = hashlib.sha256()
        #: What is spooled of the octets in which the header section is looked for.
        self._head = b""
        self._joined = 0

    def add(self, piece: bytes) -> None:
        """Keep a decoded piece."""
        if not piece:
            return
        self._digest.update(piece)
        self.kept.append(piece)
        self.kept_size += len(piece)
        if len(self.kept) - self._joined > MANY:
            # A client that drips its message would fill the memory with objects.
            self.kept[self._joined :] = [b"".join(self.kept[self._joined :])]
            self._joined += 1

    def take(self) -> list[bytes]:
        """Hand out what is kept."""
        pieces, self.kept, self.kept_size, self._joined = self.kept, [], 0, 0
        if self.spooled and len(self._head) < HEADER_LIMIT:
            self._head = (self._head + b"".join(pieces))[:HEADER_LIMIT]
        return pieces

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def hops(self) -> int:
        """How many servers have passed this message on already."""
        head = self._head
        return count_hops(head if len(head) >= HEADER_LIMIT else head + b"".join(self.kept))


@dataclass(slots=True)
class Transaction:
    """What one MAIL command began."""

    mail: PathArgument
    recipients: list[Recipient] = field(default_factory=list)
    #: "queue" when nothing of this transaction is asked of a next hop any more.
    queue_only: bool = False
    #: The next hop has been told MAIL.
    mail_sent: bool = False
    #: It has answered something in this transaction: a lost connection is then no stale one.
    hop_answered: bool = False
    #: Why no recipient can be accepted: the answer of MAIL, or of the connection attempt.
    refused: Reply | None = None
    #: The recipient domain of the one next hop, with direct delivery.
    domain: str | None = None
    capture_id: str = ""
    trace: str = ""
    stuffer: Stuffer = field(default_factory=Stuffer)
    content: Content | None = None
    #: The next hop failed while content was on its way; said to the client after the dot.
    hop_failure: Reply | None = None
    chunked: bool = False
    content_sent: bool = False
    dot_sent: bool = False
    replies: list[Reply] = field(default_factory=list)
    #: What the gate (gate.py) knows of single recipients, and of those that the hop refused; both
    #: go into the journal.
    notes: dict[str, dict[str, object]] = field(default_factory=dict)
    turned_away: list[dict[str, object]] = field(default_factory=list)

    @property
    def smtputf8(self) -> bool:
        return self.mail.param("SMTPUTF8") is not None

    @property
    def passed(self) -> list[Recipient]:
        """The recipients for whom the next hop answers."""
        return [r for r in self.recipients if r.plan == PASS]

    def queue_all(self) -> None:
        """The next hop is gone before it took anything: all recipients become ours."""
        self.queue_only = True
        self.refused = None
        for recipient in self.recipients:
            recipient.plan = QUEUE

    def message_record(
        self, client: Client, *, door: str, listener: str, role: str, time: str
    ) -> dict[str, object]:
        """The journal's header of this message."""
        content = self.content
        assert content is not None
        record = {
            "id": self.capture_id,
            "time": time,
            "door": door,
            "listener": listener,
            "role": role,
            "client": {
                "ip": client.ip,
                "port": client.port,
                "helo": client.helo,
                "tls": client.tls,
                "auth": client.auth,
                "trusted": client.trusted,
            },
            "sender": self.mail.mailbox.text,
            "sender_params": list(self.mail.params),
            "recipients": [
                {"address": r.path.mailbox.text, "params": list(r.path.params), "plan": r.plan}
                for r in self.recipients
            ],
            "trace": self.trace,
            "size": content.decoder.size,
            "sha256": content.sha256,
            "flags": content.decoder.flags,
            "file": None,
        }
        if self.notes:
            record["notes"] = self.notes
        if self.turned_away:
            record["turned_away"] = self.turned_away
        return record

    def verdict_record(self, time: str, outcome: str, replies: list[Reply]) -> dict[str, object]:
        """What became of it. `replies`: one for all passed recipients, or one for each (LMTP)."""
        passed = iter(replies if len(replies) > 1 else [])
        known = len(self.replies)
        rows = []
        for recipient in self.recipients:
            if recipient.plan == QUEUE:
                # A message that its client was not told 250 for is not ours to deliver.
                took = "queued" if outcome in ("accepted", "queued") else "refused"
                reply = ""
            else:
                said = next(passed, replies[0])
                reply = said.text
                took = outcome
                if len(replies) > 1:
                    # LMTP: what the hop has not said of a recipient is not known.
                    known -= 1
                    took = "unknown" if known < 0 else "accepted" if said.positive else "refused"
            rows.append({"address": recipient.path.mailbox.text, "outcome": took, "reply": reply})
        return {
            "id": self.capture_id,
            "time": time,
            "outcome": outcome,
            "reply": replies[0].text,
            "recipients": rows,
        }
