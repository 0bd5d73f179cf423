"""Content and commit: from DATA or BDAT to the final reply (core).

The order that holds the promises, in `_content_end`, `durable` and `_final_answered`:

  end of content read → journalled (fsync) → the dot goes to the next hop → its reply
  → verdict written → the reply goes to the client

A small message is kept until it is durable and then goes out in one write. A larger one passes
through: piece by piece to the disk and, all but the dot, to the next hop.
"""

from __future__ import annotations

from typing import Final

from proxy.smtp import actions
from proxy.smtp.blindcopy import without_bcc
from proxy.smtp.envelope import Envelope
from proxy.smtp.octets import BARE_CR, ChunkDecoder, DotDecoder
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy, Surroundings
from proxy.smtp.relay import HOP_LOST
from proxy.smtp.replies import Reply
from proxy.smtp.trace import protocol_name, received_line
from proxy.smtp.transaction import Client, Content, Transaction

START_CONTENT: Final = Reply.of(354, "", "End data with <CR><LF>.<CR><LF>")


class Commit(Envelope):
    """See the page, and the floors in proxy/smtp/conversation.py."""

    def __init__(self, policy: DoorPolicy, around: Surroundings, client: Client) -> None:
        super().__init__(policy, around, client)
        self.chunk_left = 0
        self._chunk_last = False
        self._chunk_size = 0
        self._chunk_refusal: Reply | None = None

    # ------------------------------------------------------------------ content

    def begin_data(self) -> None:
        """DATA was read."""
        refusal = self._content_refusal()
        if refusal is not None:
            self._refuse_data(refusal)
        else:
            self._ask_for_content(chunked=False)

    def begin_chunk(self, size: int, last: bool) -> None:
        """BDAT was read: so many octets follow at once, whatever we think of them."""
        self.chunk_left = self._chunk_size = size
        self._chunk_last = last
        transaction = self.transaction
        first = transaction is None or transaction.content is None
        self._chunk_refusal = self._content_refusal() if first else None
        if first and self._chunk_refusal is None:
            self._ask_for_content(chunked=True)
        else:
            self._enter_chunk()

    def _content_refusal(self) -> Reply | None:
        transaction = self.transaction
        if transaction is None:
            return Reply.of(503, "5.5.1", "Send MAIL first")
        if transaction.content is not None:
            return Reply.of(503, "5.5.1", "BDAT has begun already")
        if not transaction.recipients:
            return Reply.of(554, "5.5.1", "No valid recipients")
        return transaction.hop_failure

    def _ask_for_content(self, chunked: bool) -> None:
        transaction, client, policy = self.transaction, self.client, self.policy
        assert transaction is not None
        transaction.chunked = chunked
        transaction.capture_id = transaction.capture_id or self.around.new_id()
        recipients = transaction.recipients
        _, date = self.around.times()
        transaction.trace = received_line(
            helo=client.helo,
            ip=client.ip,
            hostname=policy.hostname,
            protocol=protocol_name(
                esmtp=client.esmtp,
                lmtp=policy.role == "lmtp",
                tls=client.tls is not None,
                auth=client.auth is not None,
                utf8=transaction.smtputf8,
            ),
            capture_id=transaction.capture_id,
            recipient=recipients[0].path.mailbox.text if len(recipients) == 1 else None,
            date=date,
        )
        if transaction.passed:
            self.ask(b"DATA\r\n", "DATA")
        else:
            self._start_content()

    def _data_answered(self, reply: Reply) -> None:
        if reply.code == 354:
            self._start_content()
        else:
            self._refuse_content(reply if reply.code >= 400 else HOP_LOST)

    def _start_content(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        refuse = self.policy.refuse_bare_lf
        if transaction.chunked:
            transaction.content = Content(ChunkDecoder(refuse))
            self._enter_chunk()
        else:
            transaction.content = Content(DotDecoder(refuse))
            self.phase = Phase.DATA
            self._say("DATA", START_CONTENT)

    def _refuse_content(self, reply: Reply) -> None:
        """DATA or BDAT is refused before any content."""
        if self.transaction is not None and self.transaction.chunked:
            self._chunk_refusal = reply
            self._enter_chunk()
        else:
            self._refuse_data(reply)

    def _refuse_data(self, reply: Reply) -> None:
        self.phase = Phase.COMMAND
        self._say("DATA", reply)
        self.reset()
        if len(self._input) > self._at:
            # RFC 2920 section 3.1: nothing may follow DATA before its reply. What stands there is
            # a message, and none of its lines may run as a command.
            self._log("protocol_violation", what="content before the reply to DATA")
            self._say("OTHER", Reply.of(421, "4.7.0", "Content before the reply to DATA"))
            self._end()

    def content_received(self, data: bytes) -> bytes:
        """Octets after DATA; returns those behind its end."""
        transaction = self.transaction
        assert transaction is not None and transaction.content is not None
        decoder = transaction.content.decoder
        assert isinstance(decoder, DotDecoder)
        self._add(transaction, transaction.content, decoder.feed(data))
        if not decoder.ended:
            return b""
        self._content_end(transaction, transaction.content)
        return decoder.rest

    def _enter_chunk(self) -> None:
        self.phase = Phase.CHUNK
        if self.chunk_left == 0:
            self.chunk_received(b"")

    def chunk_received(self, data: bytes) -> None:
        """Octets of a BDAT chunk, never more than are left of it."""
        self.chunk_left -= len(data)
        done = self.chunk_left == 0
        if self._chunk_refusal is not None:
            if done:
                self.phase = Phase.COMMAND
                self._say("BDAT", self._chunk_refusal)
                self.reset()
            return
        transaction = self.transaction
        assert transaction is not None and transaction.content is not None
        content = transaction.content
        assert isinstance(content.decoder, ChunkDecoder)
        self._add(transaction, content, content.decoder.feed(data, last=done and self._chunk_last))
        if done and self._chunk_last:
            self._content_end(transaction, content)
        elif done:
            self.phase = Phase.COMMAND
            self._say("BDAT", Reply.of(250, "2.0.0", f"{self._chunk_size} octets received"))

    def _add(self, transaction: Transaction, content: Content, piece: bytes) -> None:
        if content.too_big or content.decoder.refused:
            return
        if content.decoder.size > self._max_size():
            content.too_big = True
            content.take()
            return
        content.add(piece)
        if content.kept_size > self.policy.spool_above:
            self._spool(transaction, content)

    def _spool(self, transaction: Transaction, content: Content) -> None:
        """More than we keep in memory: on to the disk and, all but the dot, to the next hop."""
        content.spooled = True
        pieces = content.take()
        for piece in pieces:
            self._do(actions.Spool(transaction.capture_id, piece))
        if self.hop is not None and transaction.hop_failure is None and transaction.passed:
            self._do(actions.HopContent(self._wire(transaction, pieces), 0))

    def _wire(self, transaction: Transaction, pieces: list[bytes]) -> list[bytes]:
        """The pieces as the next hop gets them: our line on top, dots doubled, no Bcc."""
        stuffer, content = transaction.stuffer, transaction.content
        if self.policy.role == "submission" and not transaction.content_sent:
            whole = content is not None and not content.spooled
            pieces = [without_bcc(b"".join(pieces), whole)]
        if content is not None and content.decoder.plain:
            wire = list(pieces)
            for piece in pieces:
                stuffer.pass_by(piece)
        else:
            wire = [stuffer.feed(piece) for piece in pieces]
        if not transaction.content_sent:
            transaction.content_sent = True
            wire.insert(0, transaction.trace.encode("utf-8"))
        return wire

    def _content_end(self, transaction: Transaction, content: Content) -> None:
        """The whole message is here: refuse it, or make it durable."""
        refusal = self._content_verdict(transaction, content)
        if refusal is not None:
            self._log_refused(transaction, "data", refusal)
            self._say_final(transaction, refusal)
            self.transaction = None
            self.phase = Phase.COMMAND
            self._give_up_content(transaction)
            return
        self.phase = Phase.WAIT
        self.committing = True
        if content.spooled and content.kept:
            self._spool(transaction, content)
        policy = self.policy
        time, _ = self.around.times()
        header = transaction.message_record(
            self.client, door=policy.door, listener=policy.listener, role=policy.role, time=time
        )
        self._do(actions.Journal(header, None if content.spooled else content.kept))

    def _content_verdict(self, transaction: Transaction, content: Content) -> Reply | None:
        flag = content.decoder.refused
        if flag is not None:
            what = "<CR>" if flag == BARE_CR else "<LF>"
            return Reply.of(550, "5.5.2", f"Bare {what} received: lines must end in <CR><LF>")
        if content.too_big:
            return Reply.of(552, "5.3.4", "Message too big")
        if content.hops() > self.policy.max_hops:
            return Reply.of(554, "5.4.6", "Too many hops: this looks like a mail loop")
        if transaction.hop_failure is not None and not transaction.queue_only:
            if not self.may_queue:
                return transaction.hop_failure
            # The dot was not sent, so the hop has nothing: the message can become ours.
            transaction.queue_all()
        return None

    def _give_up_content(self, transaction: Transaction) -> None:
        """Content had begun and must not become a message anywhere."""
        if transaction.content is not None and transaction.content.spooled:
            self._do(actions.DropSpool())
        if transaction.passed and self.hop is not None:
            private = self.hop_private
            self._drop(abort=True)
            if private and self.phase is not Phase.CLOSED:
                # The connection that knew the client's login is spent: let it log in anew.
                self._say("OTHER", Reply.of(421, "4.3.0", "Please connect again"))
                self._end()

    # ------------------------------------------------------------------ commit

    def durable(self, failure: Reply | None) -> None:
        """The journal has the message on disk, or says why not."""
        transaction = self.transaction
        assert transaction is not None and transaction.content is not None
        if failure is not None:
            self._drop(abort=True)
            self._settle("", failure)
        elif transaction.queue_only or not transaction.passed:
            queued = Reply.of(250, "2.0.0", f"Ok: queued as {transaction.capture_id}")
            self._settle("queued", queued)
        elif transaction.hop_failure is not None or self.hop is None:
            # It went away before the dot: it has no message, and the client is told so.
            self._settle("refused", transaction.hop_failure or HOP_LOST)
        else:
            pieces = self._wire(transaction, transaction.content.take())
            pieces.append(transaction.stuffer.end())
            count = len(transaction.passed) if self.policy.hop_kind == "lmtp" else 1
            transaction.dot_sent = True
            self._asked.extend([("FINAL", None)] * count)
            self._do(actions.HopContent(pieces, count))
            return
        self._run()

    def _final_answered(self, reply: Reply) -> None:
        transaction = self.transaction
        assert transaction is not None
        if not (reply.positive or reply.code >= 400):
            reply = HOP_LOST
        transaction.replies.append(reply)
        if self._asked:
            return
        if any(r.code == 421 for r in transaction.replies):
            self._drop(abort=True)
        good = any(r.positive for r in transaction.replies)
        self._settle("accepted" if good else "refused", *transaction.replies)

    def _settle(self, outcome: str, *replies: Reply) -> None:
        """The message's fate is known: write it down, tell the client, begin anew.

        `outcome` "" means that the message never became durable, so there is nothing to write.
        """
        transaction = self.transaction
        assert transaction is not None and transaction.content is not None
        answers = list(replies)
        if outcome == "unknown" and transaction.replies:
            # LMTP: what was answered before the connection broke stands.
            missing = len(transaction.passed) - len(transaction.replies)
            answers = transaction.replies + answers * missing
            if any(r.positive for r in transaction.replies):
                outcome = "accepted"
        if outcome:
            time, _ = self.around.times()
            record = transaction.verdict_record(time, outcome, answers)
            self._do(actions.Verdict(record))
        elif transaction.content.spooled:
            self._do(actions.DropSpool())
        if outcome in ("accepted", "queued"):
            self._errors = 0
            self._log(
                "accepted",
                id=transaction.capture_id,
                sender=transaction.mail.mailbox.text,
                rcpts=len(transaction.recipients),
                size=transaction.content.decoder.size,
                outcome=outcome,
                reply=answers[0].text,
            )
        else:
            self._log_refused(transaction, "eod" if outcome else "journal", answers[0])
        self._say_final(transaction, *answers)
        self.transaction = None
        self.committing = False
        self.phase = Phase.COMMAND
        # Queued after the hop had taken MAIL (a recipient for another hop): it still has that.
        self._release(dirty=transaction.mail_sent and not transaction.dot_sent)
        if self.client_gone or self._close_after_commit:
            self._end()

    def _say_final(self, transaction: Transaction, *replies: Reply) -> None:
        """The answer to the content: one, or in LMTP one for each accepted recipient."""
        count = len(transaction.recipients) if self.policy.role == "lmtp" else 1
        for index in range(count):
            reply = replies[index] if index < len(replies) else replies[-1]
            # The hop goes away, we do not.
            self._say("EOD", Reply(451, reply.lines) if reply.code == 421 else reply)
