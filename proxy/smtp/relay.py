"""The next hop's half of a session: its connection, what it says, and what if it is gone (core).

A hop that breaks off is judged by what it still owed us. Before the final dot it has nothing: the
message can become ours, or the client keeps it (4xx). After the dot nobody knows, and the client
is told so (4xx, verdict "unknown").

The client's connection is not the hop's: a 421 of the hop is the hop going away (RFC 5321 section
3.8), and the client never hears that code for it.
"""

from __future__ import annotations

from typing import Final

from proxy.smtp import actions
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.conversation import Conversation, Slot
from proxy.smtp.phase import Phase
from proxy.smtp.replies import Reply
from proxy.smtp.transaction import Transaction

NO_SPACE: Final = Reply.of(452, "4.3.1", "Insufficient system storage")
AUTH_LATER: Final = Reply.of(454, "4.7.0", "Temporary authentication failure")
HOP_LOST: Final = Reply.of(451, "4.4.2", "Lost the connection to the next hop, try again later")


class Relay(Conversation):
    """See the page, and the floors in proxy/smtp/conversation.py."""

    # ------------------------------------------------------------------ connection

    def open_for(self, purpose: str, fresh: bool = False) -> None:
        """Have a connection to the next hop opened, and wait for it."""
        self.phase = Phase.WAIT
        self._opening = purpose
        if self.hop is not None:
            self._opened()
            return
        domain = self.transaction.domain if self.transaction else None
        self._do(actions.OpenHop(domain, fresh))

    def hop_opened(self, capabilities: Capabilities, reused: bool) -> None:
        """The connection that was asked for is there."""
        self.hop = capabilities
        self._hop_reused = reused
        if self.phase is Phase.CLOSED:
            self._release(dirty=False)
            return
        self._opened()
        self._run()

    def _opened(self) -> None:
        purpose, self._opening = self._opening, ""
        if purpose == "EHLO":
            self.phase = Phase.COMMAND
            self.answer_ehlo(self.hop)
            self._release(dirty=False)
        elif purpose == "AUTH":
            self.auth_opened()

    def hop_failed(self, reply: Reply, permanent: bool) -> None:
        """There is no connection; `reply` says why, in words for the client."""
        purpose, self._opening = self._opening, ""
        if self.phase is Phase.CLOSED:
            return
        if purpose == "EHLO":
            self.phase = Phase.COMMAND
            self.answer_ehlo(None)
        elif purpose == "AUTH":
            self.phase = Phase.COMMAND
            self._say("AUTH", AUTH_LATER)
        else:
            self._rcpt_without_hop(reply, permanent)
        self._run()

    def ask(self, line: bytes, kind: str) -> None:
        """Send one command and wait for its reply."""
        self.phase = Phase.WAIT
        self._asked.append((kind, None))
        self._do(actions.AskHop(line, 1))

    def hop_reply(self, reply: Reply) -> None:
        """The next hop has answered; answers come in the order of what was asked."""
        if not self._asked:
            return
        if reply.code == 421 and self._asked[0][0] != "FINAL":
            self.hop = None
            self.hop_private = False
            self._do(actions.DropHop(True))
            self._without_hop(Reply(451, reply.lines))
            self._run()
            return
        kind, slot = self._asked.popleft()
        if self.transaction is not None:
            self.transaction.hop_answered = True
        if kind == "RCPT":
            assert slot is not None
            self._rcpt_answered(slot, reply)
        elif kind == "MAIL":
            self._mail_answered(reply)
        elif kind == "DATA":
            self._data_answered(reply)
        elif kind == "FINAL":
            self._final_answered(reply)
        elif kind == "AUTH":
            self.auth_answered(reply)
        self._run()

    def hop_lost(self, reply: Reply, words: Reply | None = None) -> None:
        """The connection is gone. `reply` is a 4xx of ours that says so; `words` is what the hop
        said unasked just before."""
        self.hop = None
        self.hop_private = False
        if words is not None and words.code >= 400:
            content = self.transaction is not None and self.transaction.content is not None
            # In the middle of content a 552 is about this content. Elsewhere it is about us.
            if words.temporary or content:
                reply = Reply(451, words.lines) if words.code == 421 else words
        if self.phase is not Phase.CLOSED or self.committing:
            self._without_hop(reply)
            self._run()

    def _without_hop(self, reply: Reply) -> None:
        """Go on without the next hop, by what it owed us."""
        transaction = self.transaction
        waiting = [slot for _, slot in self._asked if slot is not None]
        # A RSET that nobody waits for may stand in front.
        owed = next((kind for kind, _ in self._asked if kind != "RSET"), "")
        self._asked.clear()
        if owed == "AUTH":
            self.phase = Phase.COMMAND
            self._say("AUTH", AUTH_LATER)
        elif transaction is None:
            pass
        elif transaction.queue_only:
            self._queue_slots()
        elif owed == "FINAL":
            self._settle("unknown", reply)
        elif owed in ("MAIL", "RCPT"):
            self._hop_gone_at_rcpt(transaction, reply, waiting)
        elif owed == "DATA":
            if self.may_queue:
                transaction.queue_all()
                self._start_content()
            else:
                self._refuse_content(reply)
        elif transaction.content is not None:
            transaction.hop_failure = reply
        elif transaction.passed:
            if self.may_queue:
                transaction.queue_all()
            else:
                transaction.refused = transaction.hop_failure = reply

    def _hop_gone_at_rcpt(
        self, transaction: Transaction, reply: Reply, waiting: list[Slot]
    ) -> None:
        self._to_send.extendleft(reversed(waiting))
        if self._hop_reused and not transaction.hop_answered:
            # A pooled connection that had died unseen: nothing was lost but time.
            transaction.mail_sent = False
            self.open_for("RCPT", fresh=True)
        else:
            self._rcpt_without_hop(reply, permanent=False)

    # ------------------------------------------------------------------ the other floors

    @property
    def may_queue(self) -> bool:
        """May mail of this client become ours to deliver?"""
        client = self.client
        return self.policy.role == "submission" and (client.trusted or client.auth is not None)

    def _mail_answered(self, reply: Reply) -> None:
        """The next hop's answer to MAIL."""
        raise NotImplementedError

    def _rcpt_answered(self, slot: Slot, reply: Reply) -> None:
        """The next hop's answer to RCPT."""
        raise NotImplementedError

    def _rcpt_without_hop(self, reply: Reply, permanent: bool, may_queue: bool = True) -> None:
        """No next hop for the recipients that wait."""
        raise NotImplementedError

    def _queue_slots(self, only_unsent: bool = False) -> None:
        """Accept the recipients that wait into the queue."""
        raise NotImplementedError

    def _start_content(self) -> None:
        """Let the client send the message."""
        raise NotImplementedError

    def _refuse_content(self, reply: Reply) -> None:
        """Refuse DATA or BDAT before any content."""
        raise NotImplementedError

    def _data_answered(self, reply: Reply) -> None:
        """The next hop's answer to DATA."""
        raise NotImplementedError

    def _final_answered(self, reply: Reply) -> None:
        """The next hop's answer to the message, or one of them."""
        raise NotImplementedError

    def _settle(self, outcome: str, *replies: Reply) -> None:
        """The message's fate is known."""
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError

    def answer_ehlo(self, hop: Capabilities | None) -> None:
        """Answer EHLO, now that the next hop's abilities are known, or known to be unknown."""
        raise NotImplementedError

    def auth_opened(self) -> None:
        """There is a next hop to hand AUTH to."""
        raise NotImplementedError

    def auth_answered(self, reply: Reply) -> None:
        """The next hop's word in an AUTH exchange."""
        raise NotImplementedError
