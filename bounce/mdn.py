"""Receipts: message disposition notifications (RFC 8098). A core.

A receipt says that somebody (or his program) has seen, deleted or refused to tell about a
message; the message was delivered.
"""

import re

from bounce.dsn import address_in
from bounce.report import Recipient, Report
from bounce.view import View, returned_fields
from crmstore.charsets import clean

__all__ = ["is_receipt", "parse"]

_FIELD = re.compile(
    r"^([A-Za-z][A-Za-z0-9-]{1,60})[ \t]{0,20}:[ \t]{0,20}(.{0,1000})", re.MULTILINE
)
_TYPE = "message/disposition-notification"


def is_receipt(view: View) -> bool:
    """Whether a message is a receipt."""
    return any(leaf.type == _TYPE for leaf in view.leaves)


def parse(view: View) -> Report:
    """The receipt in a message for which is_receipt() holds."""
    fields: dict[str, str] = {}
    returned: dict[str, str] = {}
    for leaf in view.leaves:
        if leaf.type == _TYPE:
            for count, field in enumerate(_FIELD.finditer(view.text(leaf))):
                if count >= 100:
                    break
                fields.setdefault(field[1].lower(), clean(field[2]).strip())
        elif leaf.type in ("message/rfc822", "text/rfc822-headers"):
            returned = returned or returned_fields(view.data(leaf, 32_768))
    person = address_in(fields.get("original-recipient", "")) or address_in(
        fields.get("final-recipient", "")
    )
    disposition = fields.get("disposition", "")
    people = (Recipient(person, None, "receipt", "delivered", "", disposition, rule="mdn"),)
    return Report(
        "receipt",
        people if person else (),
        fields.get("original-message-id", "") or returned.get("message-id", ""),
        tuple(view.oddities),
        shape="mdn",
        returned=returned,
    )
