"""What becomes of mail afterwards, where a door has a part in it (core).

One `Gate` a door process, or none. On submission it answers for suppressed recipients, and signs
the way back of what goes on: a return path of ours in MAIL, ENVID and ORCPT where the next hop
offers DSN and the client gave none. Inbound it takes what comes to a signed return path, and hands
it on to the sender it stands for. What the hop says of refused recipients it notes for the journal.

The message's bytes are never touched; inbound mail is never refused for a suppressed address.
ENVID: RFC 3461 section 5.2.1 forbids a relay to add one. A submission server speaks for the
sender, and adds what their mail program left out (decision 0132).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from bounce import suppression
from bounce.suppression import Suppressed
from bounce.verp import ReturnPaths
from crmstore import addresses
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.grammar import Mailbox, PathArgument, Refused, parse_mailbox
from proxy.smtp.replies import Reply

if TYPE_CHECKING:
    from proxy.smtp.transaction import Transaction

#: Refused recipients of one message that its journal record tells of, and how much of each reply.
MAX_TURNED_AWAY: Final = 200
MAX_WORDS: Final = 500

_EXPIRED: Final = Reply.of(550, "5.1.1", "This return path has expired")
_FORGED: Final = Reply.of(550, "5.1.1", "No such return path")


class Gate:
    """See the page. `paths` is exchanged when the keys change."""

    def __init__(
        self,
        role: str,
        *,
        suppressed: Callable[[str], Suppressed | None] | None = None,
        paths: ReturnPaths | None = None,
        envid: bool = False,
        ours: Collection[str] = (),
        clock: Callable[[], float],
        count: Callable[[str], None] = lambda what: None,
    ) -> None:
        """`ours`: our own domains, whose server answers for each recipient while we ask: nobody
        there is refused by the list. `clock`: seconds since 1970. `count` hears "suppressed",
        "valid", "expired", "forged"."""
        self.paths = paths
        self._submission = role == "submission"
        self._suppressed = suppressed if self._submission else None
        self._envid = envid and self._submission
        self._ours = frozenset(ours)
        self._clock = clock
        self._count = count

    # ------------------------------------------------------------------ what clients say

    def recipient(
        self, path: PathArgument, transaction: Transaction
    ) -> tuple[PathArgument, Reply | None]:
        """RCPT was read: the recipient that is meant, or why there is none."""
        if self.paths is not None and path.mailbox.domain == self.paths.domain:
            return self._decoded(path, self.paths, transaction)
        if self._suppressed is None:
            return path, None
        mailbox = path.mailbox
        local = suppression.forced(mailbox.local)
        if local is not None:
            meant = _mailbox(f"{local}@{mailbox.text.rpartition('@')[2]}")
            if meant is not None:
                transaction.notes.setdefault(meant.text, {})["forced"] = True
                return PathArgument(meant, path.params), None
        why = self._suppressed(addresses.key(mailbox.text))
        if why is None or mailbox.domain in self._ours:
            return path, None
        self._count("suppressed")
        code, enhanced, lines = suppression.refusal(mailbox.text, why)
        return path, Reply.of(code, enhanced, *lines)

    def _decoded(
        self, path: PathArgument, paths: ReturnPaths, transaction: Transaction
    ) -> tuple[PathArgument, Reply | None]:
        found = paths.decode(path.mailbox.local, self._clock())
        self._count(found.result)
        meant = _mailbox(found.sender)
        if found.result == "expired":
            return path, _EXPIRED
        if meant is None:
            return path, _FORGED
        transaction.notes.setdefault(meant.text, {})["return_path"] = found.mark
        # ORCPT and NOTIFY were about the return path, whose reports nobody reads.
        return PathArgument(meant, ()), None

    # ------------------------------------------------------------------ what goes on

    def onward_mail(self, mail: PathArgument, capture_id: str, hop: Capabilities) -> PathArgument:
        """MAIL as the next hop gets it."""
        if not self._submission or not mail.mailbox.text:
            return mail
        text, params = self.queued_mail(mail.mailbox.text, mail.params, capture_id, hop)
        return PathArgument(
            mail.mailbox if text == mail.mailbox.text else parse_mailbox(text), params
        )

    def onward_rcpt(self, rcpt: PathArgument, hop: Capabilities) -> PathArgument:
        """RCPT as the next hop gets it."""
        return PathArgument(rcpt.mailbox, self.queued_rcpt(rcpt.mailbox.text, rcpt.params, hop))

    def queued_mail(
        self, sender: str, params: tuple[str, ...], capture_id: str, hop: Capabilities
    ) -> tuple[str, tuple[str, ...]]:
        """Sender and parameters, signed; for mail of the queue as well."""
        if not sender:
            return sender, params
        if self._envid and hop.has("DSN") and not _has(params, "ENVID"):
            params = (*params, f"ENVID={capture_id}")
        signed = self.paths.sign(sender, capture_id) if self.paths is not None else None
        return signed or sender, params

    def queued_rcpt(
        self, address: str, params: tuple[str, ...], hop: Capabilities
    ) -> tuple[str, ...]:
        """Parameters of a recipient, with the address that the client wrote, so that a report
        names it however often the mail is forwarded."""
        if not self._envid or not hop.has("DSN") or _has(params, "ORCPT"):
            return params
        if not address.isascii() or "@" not in address:
            return params
        return (*params, f"ORCPT=rfc822;{xtext(address)}")

    # ------------------------------------------------------------------ what the hop says

    def turned_away(
        self, path: PathArgument | None, reply: Reply, transaction: Transaction
    ) -> None:
        """The next hop has refused a recipient; the others may still get the message."""
        if self._submission and path is not None and len(transaction.turned_away) < MAX_TURNED_AWAY:
            row: dict[str, object] = {"address": path.mailbox.text, "reply": reply.text[:MAX_WORDS]}
            transaction.turned_away.append(row)


def _has(params: tuple[str, ...], keyword: str) -> bool:
    return any(param.partition("=")[0].upper() == keyword for param in params)


def xtext(text: str) -> str:
    """RFC 3461 section 4: what is not printable, "+" and "=" in hexadecimal."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)


def _mailbox(text: str) -> Mailbox | None:
    try:
        return parse_mailbox(text) if text else None
    except Refused:
        return None
