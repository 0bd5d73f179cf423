"""What every part of a session stands on: its state, its outputs, its hold on a next hop (core).

A session is built in floors, one duty each, in one object because they share one state:

  Conversation (this page)   state; answers to the client in order; letting go
  Relay        (relay.py)      the next hop's connection: what it says, and what if it is gone
  Envelope     (envelope.py)   MAIL and RCPT
  Commit       (commit.py)     content, the journal, the final reply
  AuthRelay    (authrelay.py)  AUTH, passed on
  Session      (session.py)    what the client says: lines, commands, time

Promises: answers leave in the order of the commands they answer (RFC 2920 section 3.2); those of
one input leave in one write; nothing is said after the connection was given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.smtp import actions
from proxy.smtp.actions import Action
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.grammar import PathArgument
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy, Surroundings
from proxy.smtp.replies import Reply
from proxy.smtp.transaction import Client, Transaction

_AFTER_WORDS = frozenset({actions.StartTls, actions.Close, actions.Delay})


@dataclass(slots=True, eq=False)
class Slot:
    """A reply's place in the order in which the client asked."""

    path: PathArgument | None
    reply: Reply | None = None


class Conversation:
    """See the page. Call an input, then do everything that `drain` returns."""

    def __init__(self, policy: DoorPolicy, around: Surroundings, client: Client) -> None:
        self.policy = policy
        self.around = around
        self.client = client
        self.phase: str = Phase.COMMAND
        self.transaction: Transaction | None = None
        #: What the connected next hop can do; None while none is held.
        self.hop: Capabilities | None = None
        #: That connection carries this client's AUTH and serves nobody else.
        self.hop_private = False
        #: The end of a message was read, its fate is not known yet.
        self.committing = False
        self.client_gone = False
        self.stopping = False
        self._close_after_commit = False
        #: What the client has said and was not read yet: from `_at` on. Outside of the command loop
        #: (`_run`) `_at` is 0; inside of it a flood of small commands is not copied for each one.
        self._input = b""
        self._at = 0
        self._errors = 0
        self._actions: list[Action] = []
        self._pending_out: list[bytes] = []
        self._slots: deque[Slot] = deque()
        self._to_send: deque[Slot] = deque()
        self._asked: deque[tuple[str, Slot | None]] = deque()
        self._opening = ""
        self._fresh = False
        self._hop_reused = False

    # ------------------------------------------------------------------ answers

    def drain(self) -> Sequence[Action]:
        """What is to be done now, in order. Empty when there is nothing."""
        if self._to_send and self.hop is not None:
            self._pump()  # recipients of one input go to the hop in one write
        if self._pending_out:
            self._flush()
        done = self._actions
        if not done:
            return ()
        self._actions = []
        return done

    @property
    def backlog(self) -> int:
        """Octets read from the client that wait for their turn."""
        return len(self._input)

    @property
    def rcpt_waiting(self) -> bool:
        """Replies to RCPT are outstanding, and nothing else is."""
        return bool(self._slots)

    def _flush(self) -> None:
        out, self._pending_out = self._pending_out, []
        if not self.client_gone:
            data = out[0] if len(out) == 1 else b"".join(out)
            self._actions.append(actions.ToClient(data))

    def _do(self, action: Action) -> None:
        # Whatever was said stands on the wire before a handshake or the end.
        if self._pending_out and type(action) in _AFTER_WORDS:
            self._flush()
        self._actions.append(action)

    def _say(self, verb: str, reply: Reply) -> None:
        """Answer the client, in its turn."""
        if self.phase is Phase.CLOSED:
            return
        self.around.count(verb, reply.code)
        if self._slots:
            self._slots.append(Slot(None, reply))
        else:
            self._pending_out.append(reply.wire())

    def _error(self, reply: Reply, verb: str = "OTHER") -> None:
        """Refuse a command; after too many, close."""
        self._say(verb, reply)
        self._errors += 1
        self._end_of_patience()

    def _end_of_patience(self) -> None:
        """Close, if there were too many errors since the last message (or the beginning)."""
        if self._errors >= (1 if self.around.stress else self.policy.errors):
            self._hang_up("4.7.0", "Too many errors")

    def _hang_up(self, enhanced: str, text: str) -> None:
        """421, and the end. What the next hop still owes is not waited for."""
        self._slots.clear()
        self._say("OTHER", Reply.of(421, enhanced, f"{self.policy.hostname} {text}"))
        self._end()

    def _log(self, event: str, **values: object) -> None:
        values["listener"] = self.policy.listener
        values["ip"] = self.client.ip
        self._actions.append(actions.Log(event, values))

    def _log_refused(
        self, transaction: Transaction, stage: str, reply: Reply, recipient: str = ""
    ) -> None:
        """An admin is asked why mail did not come: whatever a sender was refused has its line."""
        self._log(
            "refused",
            id=transaction.capture_id or None,
            sender=transaction.mail.mailbox.text,
            recipient=recipient,
            stage=stage,
            reply=reply.text,
        )

    def _end(self) -> None:
        """Close the client's connection and let go of everything that is not committed."""
        if self.phase is Phase.CLOSED:
            return
        # First of all: nothing below may speak to the client or begin something new.
        self.phase = Phase.CLOSED
        self.reset()
        if self.hop is not None:
            self._drop(abort=bool(self._asked))
        self._input = b""
        self._do(actions.Close())

    def abandon(self) -> None:
        """A fault of ours: forget everything; whoever calls this has let go of the rest."""
        self.phase = Phase.CLOSED
        self.transaction = None
        self.hop = None
        self.committing = False
        self._input = b""
        for waiting in (self._slots, self._to_send, self._asked, self._actions, self._pending_out):
            waiting.clear()

    def reset(self) -> None:
        """Forget the transaction; the next hop forgets it too."""
        transaction = self.transaction
        self._slots.clear()
        self._to_send.clear()
        if transaction is None:
            return
        self.transaction = None
        if transaction.content is not None:
            self._give_up_content(transaction)
        elif self.hop is not None:
            self._release(dirty=transaction.mail_sent)

    # ------------------------------------------------------------------ letting go

    def _release(self, dirty: bool) -> None:
        """The transaction needs the connection no more; it stays with a logged-in client."""
        if self.hop is None:
            return
        if not self.hop_private:
            if self._asked:
                # Its answers would reach whoever has the connection next.
                self._drop(abort=True)
                return
            self.hop = None
            self._do(actions.ReleaseHop(dirty))
        elif dirty and self.phase is not Phase.CLOSED:
            self._asked.append(("RSET", None))
            self._do(actions.AskHop(b"RSET\r\n", 1))

    def _drop(self, abort: bool) -> None:
        if self.hop is not None:
            self.hop = None
            self.hop_private = False
            self._asked.clear()
            self._do(actions.DropHop(abort))

    def _pump(self) -> None:
        """Send the recipients that wait."""
        raise NotImplementedError

    def _give_up_content(self, transaction: Transaction) -> None:
        """Content had begun and must not become a message anywhere."""
        raise NotImplementedError
