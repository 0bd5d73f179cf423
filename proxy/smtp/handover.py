"""One queued message to the recipients of one destination, over one connection.

An edge. MAIL and RCPT go out together where the hop knows PIPELINING (RFC 2920); DATA waits for
their replies, so that no message is sent for nobody. The content is streamed from the archive, a
piece at a time, at the hop's pace.

Promises: each recipient gets an outcome with the remote's words, or `HopLost` is raised and
nothing is known of those that `outcomes` does not hold. Delivered means the hop's own 2xx after
the dot (under LMTP: to this recipient, RFC 2033 section 4.2). A body that cannot be read to its
verified end never gets its dot.

5xx is final, except where it is about us and not about the message: 530, 534, 535 and 538 (who we
are), 552 to RCPT (too many recipients, RFC 5321 section 4.5.3.1.10) and 421, 503.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from crmstore.archive import BlobDamaged, BlobMissing
from crmstore.queued import QueuedMessage, QueuedRecipient
from proxy import maillog
from proxy.smtp import onward
from proxy.smtp.blindcopy import without_bcc
from proxy.smtp.gate import Gate
from proxy.smtp.hoptalk import Talk
from proxy.smtp.nexthop import HopConnection
from proxy.smtp.octets import Stuffer
from proxy.smtp.replies import Reply

PIECE: Final = 128 * 1024
# RFC 5321 section 4.5.3.1.8: every server takes a hundred; for more there is another transaction.
MAX_RECIPIENTS: Final = 100

_ABOUT_US: Final = frozenset({503, 530, 534, 535, 538})
_HOST: Final = re.compile(r"(?=.{3,255}\Z)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_UNREADABLE: Final = Reply.of(451, "4.3.0", "our copy of the message cannot be read")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient, in the remote's words or ours."""

    kind: Literal["delivered", "failed", "later"]
    reply: Reply
    #: Where it was said: connect, domain (of the recipient), mail, rcpt, data, final; "ours" for
    #: what we said ourselves.
    stage: str = "ours"
    #: The name of who said it, and whether that server tells the sender what becomes of it.
    remote: str = ""
    passed_on: bool = False


def judged(reply: Reply, stage: str, remote: str) -> Outcome:
    """A refusal: for good, or for now?"""
    ours = reply.code in _ABOUT_US or (stage == "rcpt" and reply.code == 552)
    return Outcome("failed" if reply.permanent and not ours else "later", reply, stage, remote)


def _name(conn: HopConnection) -> str:
    """The hop by the name in its greeting (RFC 5321 section 4.2), else by its address."""
    words = conn.banner.lines[0].split() if conn.banner is not None else []
    name = words[0].decode("ascii", "replace") if words else ""
    return name if _HOST.fullmatch(name) else conn.peer[0]


class Handover:
    """A message on its way; `outcomes` by recipient id grows as replies come."""

    def __init__(
        self,
        conn: HopConnection,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        pieces: Callable[[int], Iterator[bytes]],
        gate: Gate | None = None,
    ) -> None:
        """`pieces(size)` opens the body anew; it is read in a thread. `gate` signs the way back."""
        self._conn = conn
        self._talk = Talk(conn)
        self._message = message
        self._recipients = recipients
        self._pieces = pieces
        self._gate = gate
        self._remote = _name(conn)
        self.outcomes: dict[int, Outcome] = {}
        #: The hop has answered something: it was no dead connection from the pool.
        self.answered = False

    async def run(self) -> None:
        """All transactions it takes. Afterwards the connection is clean, or aborted."""
        message, caps = self._message, self._conn.caps
        try:
            octets = None
            if onward.must_scan(caps, message.sender_params):
                octets = await asyncio.to_thread(lambda: onward.scan(self._pieces(PIECE)))
        except (BlobDamaged, BlobMissing, OSError) as error:
            maillog.worker_fault("reading a queued message", error)
            self._all(Outcome("later", _UNREADABLE))
            return
        refusal = onward.obstacle(caps, octets, message.sender)
        if refusal is not None:
            self._all(Outcome("failed", refusal))
            return
        waiting: list[QueuedRecipient] = []
        for recipient in self._recipients:
            refusal = onward.rcpt_obstacle(caps, recipient.address)
            if refusal is None:
                waiting.append(recipient)
            else:
                self.outcomes[recipient.id] = Outcome("failed", refusal)
        for start in range(0, len(waiting), MAX_RECIPIENTS):
            await self._transaction(waiting[start : start + MAX_RECIPIENTS])
            if self._conn.over:
                return

    async def _transaction(self, recipients: Sequence[QueuedRecipient]) -> None:
        accepted = await self._envelope(recipients)
        if not accepted:
            await self._reset()
            return
        go = (await self._talk.ask(b"DATA\r\n"))[0]
        if go.code != 354:
            self._these(accepted, judged(go, "data", self._remote))
            await self._reset()
            return
        try:
            end = await self._content()
        except (BlobDamaged, BlobMissing, OSError) as error:
            maillog.worker_fault("reading a queued message", error)
            # Half a message is on the wire: the only way not to deliver it is to hang up.
            self._conn.abort()
            self._these(accepted, Outcome("later", _UNREADABLE))
            return
        count = len(accepted) if self._conn.lmtp else 1
        wait = self._talk.expect(count)
        self._conn.write(end)
        replies = await wait
        for number, recipient in enumerate(accepted):
            reply = replies[number if self._conn.lmtp else 0]
            self.outcomes[recipient.id] = (
                Outcome("delivered", reply, "final", self._remote, self._conn.caps.has("DSN"))
                if reply.positive
                else judged(reply, "final", self._remote)
            )

    async def _envelope(self, recipients: Sequence[QueuedRecipient]) -> list[QueuedRecipient]:
        """MAIL and RCPT; the recipients that the hop takes."""
        message, caps = self._message, self._conn.caps
        size = message.bytes + len(message.trace.encode("utf-8"))
        sender, params = message.sender, message.sender_params
        each = [(r.address, r.params) for r in recipients]
        if self._gate is not None:
            sender, params = self._gate.queued_mail(sender, params, message.capture_id, caps)
            each = [(to, self._gate.queued_rcpt(to, its, caps)) for to, its in each]
        mail = onward.mail_line(caps, sender, params, size)
        lines = [onward.rcpt_line(caps, to, its) for to, its in each]
        if caps.has("PIPELINING"):
            first, *replies = await self._talk.ask(mail + b"".join(lines), 1 + len(lines))
        else:
            first = (await self._talk.ask(mail))[0]
            replies = []
            for line in lines if first.positive else []:
                replies += await self._talk.ask(line)
        self.answered = True
        if not first.positive:
            self._these(recipients, judged(first, "mail", self._remote))
            return []
        accepted = []
        for recipient, reply in zip(recipients, replies, strict=True):
            if reply.positive:
                accepted.append(recipient)
            else:
                self.outcomes[recipient.id] = judged(reply, "rcpt", self._remote)
        return accepted

    async def _content(self) -> bytes:
        """Everything but the final dot, which is returned."""
        stuffer = Stuffer()
        await self._talk.write(stuffer.feed(self._message.trace.encode("utf-8")))
        pieces = self._pieces(PIECE)
        first = True
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if first:
                piece = without_bcc(piece, len(piece) >= self._message.bytes)
                first = False
            await self._talk.write(stuffer.feed(piece))
        return stuffer.end()

    async def _reset(self) -> None:
        """RFC 5321 section 4.1.1.5: what was begun is forgotten."""
        if not self._conn.over and not (await self._talk.ask(b"RSET\r\n"))[0].positive:
            self._conn.abort()

    def _all(self, outcome: Outcome) -> None:
        self._these(self._recipients, outcome)

    def _these(self, recipients: Sequence[QueuedRecipient], outcome: Outcome) -> None:
        for recipient in recipients:
            self.outcomes[recipient.id] = outcome
