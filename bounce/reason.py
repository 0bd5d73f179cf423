"""From the words about a recipient to what became of the mail: diagnostic, class. A core.

A notice says more than its server's reply: names of hosts, advice, apologies. So the reply in it
is asked first, then all that stands with the recipient, then the whole notice.
"""

import re
from typing import NamedTuple

from bounce.reply import Classified, classify, read_reply
from bounce.report import Action, Recipient
from bounce.status import enhanced_in
from crmstore.charsets import clean

__all__ = ["MAX_DIAGNOSTIC", "Reason", "of_status", "of_words"]

MAX_DIAGNOSTIC = 1_000

# Where a server's reply begins in a text.
_REPLY = re.compile(
    r"(?<![\d.\-/:@\w])(?:[45][0-5]\d(?=[ \t\-:;#,\n])"
    r"(?![ \t](?:attempts|hours|days|minutes|bytes))"
    r"|#[45]\.\d\.\d{1,3}|\(#[45]\.\d\.\d{1,3}\))"
)
_SAID = re.compile(
    r"(?:said|responded|response was|returned|reason|error was|because)[^\n:]{0,40}:", re.I
)
_BOILERPLATE = re.compile(
    r"this is (?:a|an) (?:permanent|automatically)[^\n]{0,80}|i've given up[^\n]{0,60}"
    r"|(?:please |we recommend |for further |if you |to learn )[^\n]{0,300}"
    r"|(?:your message|a message that you (?:have )?sent|the original message was received)"
    r"[^\n]{0,120}"
    r"|this (?:message|mail|e-?mail) (?:was|is) (?:created|generated)[^\n]{0,80}",
    re.IGNORECASE,
)


class Reason(NamedTuple):
    """Why, as far as it is told."""

    found: Classified
    status: str
    diagnostic: str

    def about(
        self,
        address: str,
        action: Action = "failed",
        *,
        remote_mta: str = "",
        final: str = "",
        original: str = "",
    ) -> Recipient:
        """The recipient whose mail it became of."""
        return Recipient(
            address,
            self.found.klass,
            self.found.category,
            action,
            self.status,
            self.diagnostic,
            remote_mta,
            final,
            original,
            self.found.rule,
        )


def of_status(status: str, diagnostic: str, words: str, notice: str) -> Reason:
    """Of a recipient in a delivery status: `words` are those about him in the notice, or ""."""
    code, enhanced = read_reply(diagnostic)
    best = _better(status, enhanced)
    found = Reason(classify(code, best, diagnostic, ""), best, diagnostic)
    if _worth(found) == 3 and (diagnostic or found.found.rule.startswith("words:")):
        return found
    for text, whole in ((words, False), (notice, True)):
        if not text:
            continue
        other = of_words(text, "", best)
        if whole and not other.found.rule.startswith("words:"):
            continue  # a notice is full of codes and of "rejected"
        if _worth(other) > _worth(found) or (
            not diagnostic and _worth(other) and other.found.rule.startswith("words:")
        ):
            found = Reason(other.found, best or other.status, diagnostic or other.diagnostic)
    return found if found.diagnostic else found._replace(diagnostic=_one_line(words))


def of_words(words: str, notice: str, status: str = "") -> Reason:
    """Of a recipient whom a notice names."""
    at = _REPLY.search(words)
    reply = words[at.start() :] if at else ""
    diagnostic = _one_line(reply or _behind(words))
    best = Reason(classify(0, status, "", ""), status, diagnostic)
    for text in (reply, words, _BOILERPLATE.sub(" ", notice) if notice else ""):
        if not text.strip():
            continue
        code, enhanced = read_reply(text)
        told = _better(status, enhanced)
        found = Reason(classify(code, told, _one_line(text, 4_096), ""), told, diagnostic)
        if _worth(found) > _worth(best):
            best = found
        if _worth(best) == 3 or (_worth(best) == 2 and text is words):
            break
    return best


def says_reply(text: str) -> bool:
    """Whether a text quotes a server's reply: a code of 4xx or 5xx, an enhanced status."""
    return _REPLY.search(text) is not None or enhanced_in(text) != ""


def _worth(reason: Reason) -> int:
    """How much a reason says: 3 clear, 2 vague, 1 weak, 0 nothing."""
    found = reason.found
    if found.sure:
        return 2 if found.vague else 3
    return int(found.rule != "nothing")


def _better(told: str, found: str) -> str:
    """Of two statuses the one that says more; that of the remote's own words first."""
    if not found or (found.endswith(".0.0") and told and not told.endswith(".0.0")):
        return told
    return found


def _behind(words: str) -> str:
    """What stands behind the address: the reason, up to the next empty line but one."""
    said = _SAID.search(words)
    if said and words[said.end() :].strip():
        return words[said.end() :]
    return words


def _one_line(text: str, limit: int = MAX_DIAGNOSTIC) -> str:
    return clean(" ".join(text[: limit * 2].split()))[:limit]
