"""Complaints: the Abuse Reporting Format (RFC 5965, RFC 6591) and its older kin. A core.

A complaint or an opt-out says that the recipient does not want our mail: category "unsubscribed".
Other kinds of feedback (authentication failures, "not spam") are feedback and no more.
Recipients: Original-Rcpt-To, Removal-Recipient, then the returned header's.
"""

import re

from bounce.dsn import address_in
from bounce.report import MAX_RECIPIENTS, Recipient, Report
from bounce.view import View, returned_fields
from crmstore.addresses import key
from crmstore.charsets import clean

__all__ = ["is_feedback", "parse"]

_UNWANTED = frozenset(["abuse", "opt-out", "opt-out-list", "unsubscribe", "complaint", ""])
_FIELD = re.compile(
    r"^([A-Za-z][A-Za-z0-9-]{1,60})[ \t]{0,20}:[ \t]{0,20}(.{0,1000})", re.MULTILINE
)
_WANTED = ("original-rcpt-to", "removal-recipient", "original-recipient", "complaint-recipient")


# In the header of the returned message: for whom it was, where To no longer tells.
_MARKED = re.compile(rb"^X-HmXmrOriginalRecipient:[ \t]*<?([^\s<>]{3,320})", re.I | re.M)


def is_feedback(view: View) -> bool:
    """Whether a message is a feedback report."""
    return any(leaf.type == "message/feedback-report" for leaf in view.leaves) or _complaint(view)


_COMPLAINT = re.compile(
    r"complaint about message from |(?:abuse|spam) complaint from ", re.IGNORECASE
)


def _complaint(view: View) -> bool:
    """Microsoft's programme for senders (JMRP) and its like: the message that somebody marked as
    spam, attached to a mail with a telling subject."""
    if not any(leaf.type == "message/rfc822" for leaf in view.leaves):
        return False
    return _COMPLAINT.match(view.header(b"subject")) is not None


def parse(view: View) -> Report:
    """The feedback of a message for which is_feedback() holds."""
    fields: dict[str, list[str]] = {}
    returned: dict[str, str] = {}
    marked: re.Match[bytes] | None = None
    for leaf in view.leaves:
        if leaf.type == "message/feedback-report":
            for count, field in enumerate(_FIELD.finditer(view.text(leaf))):
                if count >= MAX_RECIPIENTS:
                    break
                fields.setdefault(field[1].lower(), []).append(clean(field[2]).strip())
        elif leaf.type in ("message/rfc822", "text/rfc822-headers", "text/rfc822"):
            block = view.data(leaf, 32_768)
            returned = returned or returned_fields(block)
            marked = marked or _MARKED.search(block)
    kind = (fields.get("feedback-type") or ["abuse"])[0].lower().split(";")[0].strip()
    category = "unsubscribed" if kind in _UNWANTED else "feedback"
    people = [address_in(value) for name in _WANTED for value in fields.get(name, ())]
    if marked is not None:
        people.append(key(clean(marked[1].decode("ascii", "replace"))))
    if not any(people):
        people = [key(returned.get("delivered-to", "")), address_in(returned.get("to", ""))]
    return Report(
        "feedback",
        tuple(
            Recipient(person, None, category, "delivered", "", kind, rule=f"feedback:{kind}")
            for person in dict.fromkeys(filter(None, people))
        ),
        returned.get("message-id", ""),
        tuple(view.oddities),
        (fields.get("original-envelope-id") or [""])[0],
        (fields.get("reporting-mta") or [""])[0].rpartition(";")[2].strip(),
        (fields.get("arrival-date") or fields.get("received-date") or [""])[0],
        "arf",
        returned,
        kind,
    )
