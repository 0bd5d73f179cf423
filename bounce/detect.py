"""What kind of message is this, and what does it say about mail that was sent? A core.

Promises: read() never raises, whatever the octets; linear time; a message of any size costs less
than 0.2 s (view.py says what is looked at of a long one). Most mail is ordinary: it is left after
a look at its header (signs.py).
In this order: complaints and receipts by their part; delivery statuses (RFC 3464); notices of
other shapes, if the header has a sign of a report; challenges; answering machines; mail. What a
person hands on or answers is mail, whatever is quoted in it or attached to it.
"""

from typing import Literal

from bounce import arf, dsn, mdn, sns
from bounce.autoreply import asks_for_proof, is_auto_reply, is_challenge
from bounce.dsn import address_in
from bounce.fromstatus import from_status
from bounce.fromtext import from_text
from bounce.notice import notice
from bounce.report import Recipient, Report
from bounce.signs import look
from bounce.view import View
from crmstore.addresses import key

__all__ = ["read"]

_REPORT_PARTS = dsn.TYPES | {"message/feedback-report", "message/disposition-notification"}


def read(raw: bytes, *, sender: str | None = None) -> Report:
    """The report in a raw message. `sender` is its envelope return path, None if unknown."""
    try:
        return _read(raw, sender)
    except (RecursionError, MemoryError, ValueError, LookupError, TypeError) as error:
        # Nothing that is known comes here; what is not known must not stop mail
        return Report("unreadable", oddities=(f"fault: {type(error).__name__}",))


def _read(raw: bytes, sender: str | None) -> Report:
    if not raw.strip(b"\0\r\n \t"):
        return Report("unreadable", oddities=("empty",))
    view = View(raw)
    signs = look(view, sender)
    parts = {leaf.type for leaf in view.leaves} & _REPORT_PARTS
    reporting = signs.report or signs.null_sender or signs.daemon
    if not parts and reporting and any(dsn.is_disguised(view, leaf) for leaf in view.leaves):
        parts.add("message/delivery-status")
    if parts and signs.handed_on and not signs.report and not signs.null_sender:
        view.oddities.append("report_handed_on")
        return _plain(view)
    if parts or signs.complaint:
        if arf.is_feedback(view):
            return arf.parse(view)
        if mdn.is_receipt(view):
            return mdn.parse(view)
        found = from_status(view, signs)
        if found is not None:
            return found
    if signs.any and not signs.by_person:
        said = notice(view)
        if (signs.null_sender or signs.auto) and asks_for_proof(view, said.text):
            return _answer(view, "challenge")
        if sns.is_notification(said.text):
            report = sns.parse(view, said.text + said.behind)
        else:
            report = from_text(view, signs, said)
        if report is not None:
            return report
        if is_challenge(view, signs, said.text):
            return _answer(view, "challenge")
    if is_auto_reply(view, signs):
        return _answer(view, "auto_reply")
    return _plain(view)


def _plain(view: View) -> Report:
    return Report("mail", oddities=tuple(view.oddities))


def _answer(view: View, kind: Literal["auto_reply", "challenge"]) -> Report:
    """What a program answers to our message; the message is the one that In-Reply-To names."""
    author = key(address_in(view.header(b"from")))
    people = (Recipient(author, None, kind, "delivered", "", "", rule=kind),) if author else ()
    answered = view.header(b"in-reply-to") or view.header(b"references").rpartition(" ")[2]
    return Report(kind, people, answered[:1_000], tuple(view.oddities), shape=kind)
