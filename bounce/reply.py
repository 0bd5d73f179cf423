"""What an SMTP reply says about the mail to one recipient: class, category and the rule. A core.

The same rules read live replies and the diagnostics of reports (taxonomy.md). In this order:

1. clear words ("over quota", "user unknown"): they override digits, so "5.1.1 ... rate limited" is
   throttled and "550 mailbox full" is mailbox_full;
2. an enhanced status that says something;
3. words that say little ("rejected"), then a general status, the reply code and the stage.

A block of our address or our content is hard only at 5xx: at 4xx it may end, it is deferred.
Promises: never raises; linear; the reply is read up to phrases.MAX_TEXT characters.
"""

import re
from typing import NamedTuple

from bounce import words as tables
from bounce.phrases import Phrases, Text, prepared
from bounce.report import Class, class_of
from bounce.status import enhanced_in, meaning

__all__ = ["Classified", "classify", "clear_rules", "read_reply"]


class Classified(NamedTuple):
    """`rule` says what decided: "words:unknown_user", "status:5.2.2", "code:552", "nothing"."""

    klass: Class | None
    category: str
    rule: str

    @property
    def sure(self) -> bool:
        """Whether clear words or a clear status decided."""
        return self.rule.startswith(("words:", "status:"))

    @property
    def vague(self) -> bool:
        """Whether better words elsewhere would be believed: "service unavailable", "try later"."""
        return not self.sure or self.rule in _VAGUE


_VAGUE = frozenset(["words:system", "words:temporary", "words:expired"])

# Rules in the order they are asked, and the category of each at 5xx and at 4xx.
ORDER: tuple[tuple[str, str, str], ...] = (
    ("mailbox_full", "mailbox_full", "mailbox_full"),
    ("message_too_large", "message_too_large", "message_too_large"),
    ("held", "server_unavailable", "server_unavailable"),
    ("greylist", "deferred", "deferred"),
    ("throttled", "throttled", "throttled"),
    ("authentication", "policy_block", "deferred"),
    ("relay", "policy_block", "deferred"),
    ("sender", "policy_block", "deferred"),
    ("reverse_dns", "policy_block", "deferred"),
    ("unsubscribed", "unsubscribed", "deferred"),
    ("inactive", "inactive_mailbox", "deferred"),
    ("block_list", "policy_block", "deferred"),
    ("dns_trouble", "server_unavailable", "server_unavailable"),
    ("unknown_host", "invalid_address", "server_unavailable"),
    ("unreachable", "server_unavailable", "server_unavailable"),
    ("unknown_user", "invalid_address", "invalid_address"),
    ("unavailable", "invalid_address", "deferred"),
    ("moved", "invalid_address", "deferred"),
    ("virus", "content_block", "deferred"),
    ("spam", "content_block", "deferred"),
    ("content", "content_block", "deferred"),
    ("expired", "server_unavailable", "server_unavailable"),
    ("system", "server_unavailable", "server_unavailable"),
    ("refused", "policy_block", "server_unavailable"),
    ("temporary", "deferred", "deferred"),
)
WEAK: tuple[tuple[str, str, str], ...] = (
    ("address_rejected", "invalid_address", "deferred"),
    ("syntax", "undetermined", "deferred"),
    ("policy", "policy_block", "deferred"),
)
# Codes that say something by themselves (RFC 5321 section 4.2.3, RFC 7504, RFC 4954).
_CODES: dict[int, str] = {
    421: "server_unavailable",
    432: "server_unavailable",
    452: "server_unavailable",
    522: "mailbox_full",
    523: "message_too_large",
    530: "policy_block",
    535: "policy_block",
    551: "invalid_address",
    552: "message_too_large",
    553: "invalid_address",
    556: "invalid_address",
}
_STRONG = Phrases(tables.STRONG)
_WEAK = Phrases(tables.WEAK)


def classify(code: int, enhanced: str, text: str, stage: str) -> Classified:
    """What a reply means for its recipient.

    `code` 0 = none known; `enhanced` "" = none (one in `text` is found); `stage` is where it came:
    "connect", "ehlo", "mail", "rcpt", "data", "final", or "" for a report. 2xx has no class.
    """
    enhanced = enhanced or enhanced_in(text)
    if 200 <= code < 400:
        return Classified(None, "delivered", f"code:{code}")
    temporary = code // 100 == 4 or enhanced.startswith("4.")
    words = prepared(text)
    rules = _STRONG.rules(words)
    if rules:
        for rule, permanent, temporarily in ORDER:
            if rule in rules:
                return _found(temporarily if temporary else permanent, f"words:{rule}")
    told = meaning(enhanced)
    if told.specific:
        category = told.category
        if temporary and class_of(category) == "hard" and enhanced.startswith("5."):
            category = "deferred"
        return _found(category, f"status:{enhanced}")
    weak = _weak(words, temporary)
    if weak is not None:
        return weak
    if told.category != "undetermined":
        return _found(told.category, f"general:{enhanced}")
    return _by_code(code, stage, temporary)


def clear_rules(words: Text) -> set[str]:
    """The rules that have clear words in a text."""
    return _STRONG.rules(words)


_REJECTED = " address rejected "


def _weak(words: Text, temporary: bool) -> Classified | None:
    if _REJECTED in words.words and not words.words.endswith(_REJECTED):
        # "<a@b>: Recipient address rejected: WHY": only why counts
        words = Text(words.words.rpartition(_REJECTED)[2].join("  "), words.dense)
    rules = _WEAK.rules(words)
    for rule, permanent, temporarily in WEAK:
        if rule in rules:
            return _found(temporarily if temporary else permanent, f"weak:{rule}")
    return None


def _by_code(code: int, stage: str, temporary: bool) -> Classified:
    if code >= 500 and stage in ("connect", "ehlo", "mail"):
        return _found("policy_block", f"stage:{stage}")  # it knows no recipient yet
    if code in _CODES:
        return _found(_CODES[code], f"code:{code}")
    if temporary:
        return _found("deferred", f"code:{code}" if code else "status:4")
    return _found("undetermined", "nothing")


def _found(category: str, rule: str) -> Classified:
    return Classified(class_of(category), category, rule)


_CODE = re.compile(r"(?<![\d.\-/:])([45][0-5]\d)(?=[\s\-#:,;)\]]|\Z)(?!-\d{2}-)")


def read_reply(text: str) -> tuple[int, str]:
    """(code, enhanced status) as they stand in a diagnostic; 0 and "" if they do not."""
    found = _CODE.search(text[:2_048])
    return (int(found[1]) if found else 0), enhanced_in(text)
