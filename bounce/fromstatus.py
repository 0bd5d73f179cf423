"""A report from its delivery-status part (RFC 3464) and the notice beside it. A core."""

import re

from bounce import dsn
from bounce.dsn import Entry, Status
from bounce.fromtext import alone_in, people_in
from bounce.notice import Notice, notice
from bounce.reason import of_status, of_words
from bounce.recipients import Found
from bounce.report import Kind, Recipient, Report
from bounce.shapes import recognise
from bounce.signs import Signs
from bounce.view import View

__all__ = ["from_entries", "from_status"]

_WORD = re.compile(r"[\w.+%-]{1,64}\Z")
MAX_STATUS = 256 << 10  # octets of a delivery-status part


def from_status(view: View, signs: Signs) -> Report | None:
    """The report in a message with a delivery-status part; None if that names nobody."""
    entries: list[Entry] = []
    whole: Status | None = None
    for leaf in view.leaves:
        if dsn.is_status(leaf.type) or dsn.is_disguised(view, leaf):
            status = dsn.parse(view.text(leaf, MAX_STATUS))
            whole = whole or status
            entries += status.entries
            if status.limited:
                view.oddities.append("recipient_limit")
    if whole is None or not entries:
        if whole is not None:
            view.oddities.append("status_without_recipients")
        return None
    return from_entries(view, signs, notice(view), whole, entries)


def from_entries(
    view: View, signs: Signs, said: Notice, whole: Status, entries: list[Entry]
) -> Report:
    """The report that these recipients' fields make."""
    people: list[Found] = []
    if any(not entry.diagnostic or not entry.final for entry in entries):
        people = people_in(view, said, None)
    about = {found.address: found.words for found in people}
    recipients = tuple(
        _recipient(view, entry, signs, said, about, len(entries) == 1) for entry in entries
    )
    actions = {one.action for one in recipients}
    kind: Kind = "delivered"
    if "failed" in actions:
        kind = "bounce"
    elif "delayed" in actions:
        kind = "delayed"
    return Report(
        kind,
        recipients,
        said.returned.get("message-id", ""),
        tuple(dict.fromkeys(view.oddities)),
        whole.envelope_id,
        whole.reporting_mta,
        whole.arrival,
        "dsn",
        said.returned,
    )


def _recipient(
    view: View, entry: Entry, signs: Signs, said: Notice, about: dict[str, str], only: bool
) -> Recipient:
    action = entry.action or ("delivered" if entry.status.startswith("2") else "failed")
    address = entry.original or entry.final or _named(entry, signs, said, about, only)
    other = entry.final if entry.final != address else ""
    if action != "failed":
        category = "relayed" if action in ("relayed", "expanded") else action
        return Recipient(
            address,
            None,
            category,
            action,
            entry.status,
            entry.diagnostic,
            entry.remote_mta,
            other,
            entry.original,
            "action",
        )
    words = about.get(entry.final) or about.get(address) or ""
    shape = recognise(view, said.text) if only else None
    reason = of_words(said.text, "") if shape is not None and shape.telling else None
    if reason is not None and reason.found.sure:
        reason = reason._replace(status=reason.status or entry.status)
    else:
        reason = of_status(entry.status, entry.diagnostic, words, said.text if only else "")
    return reason.about(address, remote_mta=entry.remote_mta, final=other, original=entry.original)


def _named(entry: Entry, signs: Signs, said: Notice, about: dict[str, str], only: bool) -> str:
    """Who is meant by a recipient field that is no address ("rfc822; info")."""
    local = entry.named.strip("<>\"' ").lower()
    for address in about:
        if local and address.startswith(local + "@"):
            return address
    word = local if _WORD.match(local) else ""  # a user of that host; better than nobody
    if not only:
        return word
    return (
        next(iter(about), "")
        or alone_in(signs.failed_recipients)
        or word
        or alone_in(said.returned.get("to", ""))
    )
