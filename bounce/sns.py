"""Notifications of Amazon SES that SNS sends by mail: JSON instead of a report. A core.

Kinds (Amazon SES Developer Guide, "notification contents"): Bounce, Complaint, Delivery,
DeliveryDelay; by topic ("notificationType") or by configuration set ("eventType"). The JSON may
come folded by a mailer that cuts long lines, and inside another JSON.
Promises: never raises; JSON up to `MAX_JSON` characters is read.
"""

import json
import re
from typing import Any

from bounce.reason import of_status
from bounce.report import MAX_RECIPIENTS, Action, Kind, Recipient, Report
from bounce.view import View
from crmstore.addresses import key
from crmstore.charsets import clean

__all__ = ["is_notification", "parse"]

MAX_JSON = 64 << 10
_FOLDED = re.compile(r"!?\n ?")
_KINDS: dict[str, tuple[str, str, Kind, Action]] = {
    "Bounce": ("bounce", "bouncedRecipients", "bounce", "failed"),
    "Complaint": ("complaint", "complainedRecipients", "feedback", "delivered"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients", "delayed", "delayed"),
    "Delivery": ("delivery", "recipients", "delivered", "delivered"),
}


def is_notification(text: str) -> bool:
    """Whether a text begins as such a notification."""
    start = text[:200].lstrip()
    return start.startswith("{") and ('"notificationType' in text or '"eventType' in text)


def parse(view: View, text: str) -> Report | None:
    """The report in the text of a notification; None if it is none."""
    start = text.find("{")
    whole = _decode(_FOLDED.sub("", text[start : start + MAX_JSON]))
    if isinstance(whole.get("Message"), str):
        whole = _decode(whole["Message"])
    kind = whole.get("notificationType") or whole.get("eventType")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    name, where, report, action = _KINDS[kind]
    event = _object(whole.get(name))
    listed = event.get(where)
    people = listed[:MAX_RECIPIENTS] if isinstance(listed, list) else []
    mail = _object(whole.get("mail"))
    headers = {
        name: _text(value)
        for name, value in _object(mail.get("commonHeaders")).items()
        if name in ("messageId", "subject", "date")
    }
    return Report(
        report,
        tuple(found for person in people if (found := _recipient(person, event, report, action))),
        headers.get("messageId", ""),
        tuple(view.oddities),
        reporting_mta=_text(event.get("reportingMTA")).rpartition(";")[2].strip(),
        arrival=_text(mail.get("timestamp")),
        shape="amazon_sns",
        returned={name.lower(): value for name, value in headers.items() if name != "messageId"},
        feedback_type=_text(event.get("complaintFeedbackType")) if report == "feedback" else "",
    )


def _recipient(
    person: object, event: dict[str, Any], report: Kind, action: Action
) -> Recipient | None:
    fields = person if isinstance(person, dict) else {"emailAddress": person}
    address = key(_text(fields.get("emailAddress")))
    if not address:
        return None
    if report != "bounce":
        category = "unsubscribed" if report == "feedback" else report
        return Recipient(address, None, category, action, "", "", rule="sns")
    diagnostic = _text(fields.get("diagnosticCode")).partition(";")
    said = (
        f"{_text(event.get('bounceType'))} {_SUBTYPES.get(_text(event.get('bounceSubType')), '')}"
    )
    reason = of_status(
        _text(fields.get("status")), (diagnostic[2] or diagnostic[0]).strip(), said, ""
    )
    return reason.about(address, action)


# Amazon's own words for what the remote server does not say.
_SUBTYPES = {
    "NoEmail": "no such address",
    "MailboxFull": "mailbox full",
    "MessageTooLarge": "message too large",
    "ContentRejected": "content rejected",
    "AttachmentRejected": "attachment rejected",
    "Suppressed": "no such address: suppressed",
    "OnAccountSuppressionList": "no such address: suppressed",
}


def _decode(text: str) -> dict[str, Any]:
    try:
        return _object(json.JSONDecoder(strict=False).raw_decode(text)[0])
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return clean(value)[:2_000] if isinstance(value, str) else ""
