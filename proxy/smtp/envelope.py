"""MAIL and RCPT: the envelope of a message, asked of the next hop live (core).

MAIL is answered here and told to the next hop together with the first RCPT (decision 0002): one
round trip less for every message, and a hop that is down is known before a recipient is accepted.
Every RCPT is asked of the hop, and its words are the client's answer.

Who answers for a recipient: the next hop (plan "pass"), or our queue (plan "queue") when a client
that may relay finds the hop down or answering 4xx at connect or MAIL (design page
architecture.md, "Who is responsible"). What a hop has refused is never queued.
"""

from __future__ import annotations

from typing import Final

from proxy.smtp import actions, grammar
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.conversation import Slot
from proxy.smtp.grammar import PathArgument, Refused
from proxy.smtp.phase import Phase
from proxy.smtp.relay import HOP_LOST, NO_SPACE, Relay
from proxy.smtp.replies import Reply
from proxy.smtp.transaction import PASS, QUEUE, Recipient, Transaction

#: What the parameters of MAIL need; SMTPUTF8 itself is checked before (`_cannot_carry`).
_MAIL_NEEDS: Final = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "RET": "DSN",
    "ENVID": "DSN",
    "AUTH": "AUTH",
}
SENDER_OK: Final = Reply.of(250, "2.1.0", "Ok")
RECIPIENT_OK: Final = Reply.of(250, "2.1.5", "Ok")


class Envelope(Relay):
    """See the page, and the floors in proxy/smtp/conversation.py."""

    def begin_transaction(self, transaction: Transaction) -> None:
        """MAIL was read. Raises Refused."""
        policy, client = self.policy, self.client
        if policy.role == "submission" and not client.trusted and client.auth is None:
            if policy.auth and client.esmtp and self._hop_unknown():
                # EHLO offered no AUTH, because nobody could be asked: the client's mail must wait.
                raise Refused(451, "4.7.0", "Logins cannot be checked now, try again later")
            if policy.auth:
                raise Refused(530, "5.7.0", "Authentication required")
            raise Refused(550, "5.7.1", "Relaying denied")
        size = transaction.mail.param("SIZE")
        if size is not None and int(size) > self._max_size():
            raise Refused(552, "5.3.4", "Message too big")
        if self.around.journal_full:
            self._say("MAIL", NO_SPACE)
            return
        if client.auth is not None and self.hop is None:
            # Logged in, and the server that knew the client is gone: the mail is ours to deliver.
            if not self.may_queue:
                self._hang_up("4.4.2", "Lost the server that you logged in to, connect again")
                return
            transaction.queue_only = True
        self.transaction = transaction
        self._say("MAIL", SENDER_OK)

    def _hop_unknown(self) -> bool:
        """No next hop has ever answered this door."""
        return self.around.capabilities is None and self.policy.hop_kind != "mx"

    def _max_size(self) -> int:
        hop = self.hop or self.around.capabilities
        return self.policy.largest(hop.size if hop else None)

    def _cmd_rcpt(self, text: str) -> None:
        transaction, policy = self.transaction, self.policy
        if transaction is None or transaction.content is not None:
            raise Refused(503, "5.5.1", "Send MAIL first")
        if len(transaction.recipients) + len(self._slots) >= policy.max_recipients:
            self._say("RCPT", Reply.of(452, "4.5.3", "Too many recipients"))
            return
        path = grammar.parse_rcpt(text, transaction.smtputf8)
        if policy.gate is not None:
            path, refusal = policy.gate.recipient(path, transaction)
            if refusal is not None:
                self._say("RCPT", refusal)
                self._log_refused(transaction, "rcpt", refusal, path.mailbox.text)
                self._note_guess(refusal)
                if not self._slots:
                    self._end_of_patience()
                return
        self._check_relay(path)
        if policy.hop_kind == "mx" and transaction.domain != path.mailbox.domain:
            self._leave_hop(transaction, path.mailbox.domain)
        if transaction.queue_only:
            self._accept(transaction, path, QUEUE, RECIPIENT_OK)
        elif transaction.refused is not None:
            self._say("RCPT", transaction.refused)
        elif self._needs_another_hop(transaction, path):
            if self.may_queue:
                self._accept(transaction, path, QUEUE, RECIPIENT_OK)
            else:
                self._say("RCPT", Reply.of(452, "4.5.3", "One destination in one transaction"))
        else:
            slot = Slot(path)
            self._slots.append(slot)
            self._to_send.append(slot)
            self.phase = Phase.WAIT
            if self.hop is None and not self._opening:
                self.open_for("RCPT")

    def _check_relay(self, path: PathArgument) -> None:
        """No open relay: to a stranger we take mail for our own domains only."""
        mailbox, domains = path.mailbox, self.policy.recipient_domains
        if self.client.trusted or self.client.auth is not None or not mailbox.domain:
            return
        if (domains is not None and mailbox.domain not in domains) or grammar.hides_a_route(
            mailbox
        ):
            denied = Refused(550, "5.7.1", "Relaying denied")
            if self.transaction is not None:
                self._log_refused(self.transaction, "rcpt", denied.reply, mailbox.text)
            raise denied

    def _leave_hop(self, transaction: Transaction, domain: str) -> None:
        """Direct delivery: what the hop of one domain said, or that it is away, tells nothing of
        another domain. Unless it has a recipient already: then it stays the one hop."""
        if transaction.passed or self._slots or transaction.queue_only:
            return
        self._release(dirty=transaction.mail_sent)
        transaction.domain = domain
        transaction.mail_sent = transaction.hop_answered = False
        transaction.refused = None

    def _needs_another_hop(self, transaction: Transaction, path: PathArgument) -> bool:
        """True if one connection and one final reply cannot serve this recipient as well."""
        if self.policy.hop_kind == "mx":
            other = transaction.domain != path.mailbox.domain
        else:
            # LMTP answers for each recipient at the end; an SMTP client can hear one answer only.
            other = self.policy.hop_kind == "lmtp" and self.policy.role != "lmtp"
        return other and bool(self._slots or transaction.passed)

    def _pump(self) -> None:
        """Send MAIL and the recipients that wait, as many at once as the hop can take."""
        transaction, hop = self.transaction, self.hop
        assert transaction is not None and hop is not None
        pipelining = hop.has("PIPELINING")
        if self._asked and not pipelining:
            return
        lines: list[bytes] = []
        if not transaction.mail_sent:
            refusal = self._cannot_carry(transaction, hop)
            if refusal is not None:
                self._rcpt_without_hop(refusal, permanent=False, may_queue=False)
                self._release(dirty=False)
                self._run()
                return
            transaction.mail_sent = True
            lines.append(self._mail_line(transaction, hop))
            self._asked.append(("MAIL", None))
        while self._to_send and (pipelining or not self._asked):
            slot = self._to_send.popleft()
            assert slot.path is not None
            path = slot.path
            if self.policy.gate is not None:
                path = self.policy.gate.onward_rcpt(path, hop)
            lines.append(_command(b"RCPT TO:<", path, hop.has("DSN")))
            self._asked.append(("RCPT", slot))
        if lines:
            self._do(actions.AskHop(b"".join(lines), len(lines)))

    @staticmethod
    def _cannot_carry(transaction: Transaction, hop: Capabilities) -> Reply | None:
        """A promise of our EHLO that this hop does not keep: it has changed since."""
        if not transaction.mail.params:
            return None
        if transaction.smtputf8 and not hop.has("SMTPUTF8"):
            return Reply.of(550, "5.6.7", "The next hop does not support SMTPUTF8")
        if (transaction.mail.param("BODY") or "").upper() == "8BITMIME" and not hop.has("8BITMIME"):
            return Reply.of(550, "5.6.3", "The next hop does not support 8BITMIME")
        return None

    def _mail_line(self, transaction: Transaction, hop: Capabilities) -> bytes:
        mail = transaction.mail
        if mail.params:
            kept = tuple(p for p in mail.params if self._goes_on(p.partition("=")[0].upper(), hop))
            mail = PathArgument(mail.mailbox, kept)
        if self.policy.gate is not None:
            if not transaction.capture_id:
                transaction.capture_id = self.around.new_id()
            mail = self.policy.gate.onward_mail(mail, transaction.capture_id, hop)
        return _command(b"MAIL FROM:<", mail, True)

    def _goes_on(self, keyword: str, hop: Capabilities) -> bool:
        """May the next hop be told this parameter of MAIL?"""
        if keyword == "AUTH" and not self.hop_private:
            return False
        return keyword == "SMTPUTF8" or hop.has(_MAIL_NEEDS[keyword])

    def _mail_answered(self, reply: Reply) -> None:
        transaction = self.transaction
        if transaction is None or reply.positive:
            return
        if reply.temporary and self.may_queue:
            transaction.queue_all()
            self._queue_slots(only_unsent=True)
        else:
            transaction.refused = reply if reply.code >= 400 else HOP_LOST
            for slot in self._to_send:
                self._answer(slot, transaction.refused)
            self._to_send.clear()
        self._slots_ready()

    def _rcpt_answered(self, slot: Slot, reply: Reply) -> None:
        transaction = self.transaction
        assert transaction is not None
        if transaction.queue_only:
            self._fill(transaction, slot, QUEUE, RECIPIENT_OK)
        elif transaction.refused is not None:
            self._answer(slot, transaction.refused)
        elif reply.positive:
            self._fill(transaction, slot, PASS, reply)
        else:
            refusal = reply if reply.code >= 400 else HOP_LOST
            if self.policy.gate is not None:
                self.policy.gate.turned_away(slot.path, refusal, transaction)
            self._answer(slot, refusal)
        self._slots_ready()

    def _rcpt_without_hop(self, reply: Reply, permanent: bool, may_queue: bool = True) -> None:
        """No next hop for the recipients that wait: queue them, or say why not."""
        transaction = self.transaction
        assert transaction is not None
        if transaction.refused is not None:
            # The hop had refused the sender before it went: that stands.
            reply, permanent, may_queue = transaction.refused, False, False
        if may_queue and self.may_queue and not permanent:
            transaction.queue_all()
            self._queue_slots()
            return
        for slot in self._to_send:
            self._answer(slot, reply)
        self._to_send.clear()
        if permanent:
            # Said of one domain; the next recipient may be of another.
            transaction.domain = None
        else:
            transaction.refused = reply
            if transaction.passed:
                transaction.hop_failure = reply
        self._slots_ready()

    def _queue_slots(self, only_unsent: bool = False) -> None:
        """Accept the recipients that wait into the queue."""
        transaction = self.transaction
        assert transaction is not None
        waiting = self._to_send if only_unsent else self._slots
        for slot in list(waiting):
            if slot.path is not None and slot.reply is None:
                self._fill(transaction, slot, QUEUE, RECIPIENT_OK)
        self._to_send.clear()
        self._slots_ready()

    def _accept(
        self, transaction: Transaction, path: PathArgument, plan: str, reply: Reply
    ) -> None:
        transaction.recipients.append(Recipient(path, plan))
        self._say("RCPT", reply)

    def _fill(self, transaction: Transaction, slot: Slot, plan: str, reply: Reply) -> None:
        assert slot.path is not None
        transaction.recipients.append(Recipient(slot.path, plan))
        self._answer(slot, reply)

    def _answer(self, slot: Slot, reply: Reply) -> None:
        slot.reply = reply
        self.around.count("RCPT", reply.code)
        if reply.code >= 400 and self.transaction is not None and slot.path is not None:
            self._log_refused(self.transaction, "rcpt", reply, slot.path.mailbox.text)
            self._note_guess(reply)

    def _note_guess(self, reply: Reply) -> None:
        """A stranger who is refused recipients for good may be guessing names: each is an error."""
        client = self.client
        known = client.trusted or client.auth is not None or self.policy.role == "lmtp"
        if reply.permanent and not known:
            self._errors += 1

    def _slots_ready(self) -> None:
        """Send what is answered, in order; go on when nothing is outstanding."""
        slots = self._slots
        while slots and slots[0].reply is not None:
            self._pending_out.append(slots.popleft().reply.wire())  # type: ignore[union-attr]
        if not slots and self.phase is Phase.WAIT and not self._opening:
            self.phase = Phase.COMMAND
        self._end_of_patience()


def _command(verb: bytes, path: PathArgument, with_params: bool) -> bytes:
    params = "".join([" " + p for p in path.params]) if with_params and path.params else ""
    return verb + path.mailbox.text.encode("utf-8") + b">" + params.encode("utf-8") + b"\r\n"
