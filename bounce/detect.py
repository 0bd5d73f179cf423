"""What kind of message is this, and what does it say about mail that was sent? A core.

Promises: read() never raises, whatever the octets; linear time; a message of any size costs less
than 0.2 s (see view.py for what is looked at of a long one).
"""

from bounce import dsn
from bounce.dsn import Entry, Status
from bounce.reply import classify, read_reply
from bounce.report import Kind, Recipient, Report
from bounce.view import View, returned_fields

__all__ = ["read"]


def read(raw: bytes, *, sender: str | None = None) -> Report:
    """The report in a raw message. `sender` is its envelope return path, None if unknown."""
    try:
        return _read(raw, sender)
    except (RecursionError, MemoryError, ValueError, LookupError, TypeError) as error:
        # Nothing of what is known comes here; what is not known must not stop mail
        return Report("unreadable", oddities=(f"fault: {type(error).__name__}",))


def _read(raw: bytes, sender: str | None) -> Report:
    if not raw.strip():
        return Report("unreadable", oddities=("empty",))
    view = View(raw)
    for leaf in view.leaves:
        if dsn.is_status(leaf.type):
            return _from_status(view, dsn.parse(view.text(leaf)))
    return Report("mail", oddities=tuple(view.oddities))


def _from_status(view: View, status: Status) -> Report:
    recipients = tuple(_recipient(entry) for entry in status.entries)
    actions = {one.action for one in recipients}
    kind: Kind = "bounce" if "failed" in actions else "delayed"
    if not actions & {"failed", "delayed"}:
        kind = "delivered"
    returned: dict[str, str] = {}
    for leaf in view.leaves:
        if leaf.type in ("message/rfc822", "text/rfc822-headers", "message/global"):
            returned = returned_fields(view.data(leaf))
    return Report(
        kind,
        recipients,
        returned.get("message-id", ""),
        tuple(view.oddities),
        status.envelope_id,
        status.reporting_mta,
        status.arrival,
        "dsn",
        returned,
    )


def _recipient(entry: Entry) -> Recipient:
    action = entry.action or ("delivered" if entry.status.startswith("2") else "failed")
    code, enhanced = read_reply(entry.diagnostic)
    status = enhanced or entry.status
    address = entry.original or entry.final
    other = entry.final if entry.final != address else ""
    if action != "failed":
        category = "relayed" if action in ("relayed", "expanded") else action
        return Recipient(
            address, None, category, action, status, entry.diagnostic, entry.remote_mta, other
        )
    found = classify(code, status, entry.diagnostic, "")
    return Recipient(
        address,
        found.klass,
        found.category,
        action,
        status,
        entry.diagnostic,
        entry.remote_mta,
        other,
        entry.original,
        found.rule,
    )
