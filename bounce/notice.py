"""The text of a report taken apart: what its server says, and what came back. A core.

Promises: linear, never raises. The notice is the first text of the message up to the line behind
which the returned message stands ("--- Below this line is a copy of the message."), at most
`MAX_NOTICE` characters.
"""

import re
from typing import NamedTuple

from bounce.dsn import is_status
from bounce.view import View, returned_fields

__all__ = ["Notice", "notice"]

MAX_NOTICE = 8_192
_RETURNED_TYPES = frozenset(
    "message/rfc822 text/rfc822-headers message/rfc822-headers message/global"
    " message/global-headers text/rfc822 message/partial".split()
)

# Lines behind which the returned message stands. Anchored at the line; what may stand before the
# words is punctuation.
_CUT = re.compile(
    r"^[ \t>|*=_#-]{0,80}+(?:"
    r"(?:this is|below is|here is|included is|attached is|enclosed is|following is)? ?a copy of"
    r" (?:the|your|part)|below this line|the (?:body|header|headers|text) of (?:the|your)"
    r"|(?:start of )?(?:the )?(?:original|unsent|returned|undelivered|rejected|failed|bounced)"
    r" (?:message|mail|e-mail|text)(?: headers?| text| body)?(?: (?:follows|as follows|is (?:below"
    r"|attached|included)|begins|header|source|starts))?[ \t.:*=_#|-]*+$"
    r"|(?:your )?(?:message|mail)(?: (?:text|header|headers|body|contents?|source))? follows?\b"
    r"|first \d+ lines of|your (?:original )?message (?:follows|reads|was)[^\n]{0,20}:?$"
    r"|message (?:headers?|body|contents?|text)[ \t.:*=_#|-]*+$"
    r"|contents? of (?:the )?(?:message|original)"
    r"|(?:the )?original message (?:follows|header|is|was as)|---- original|begin(?:ning)? of"
    r"|(?:ursprüngliche|originale?) (?:nachricht|nachrichtenkopfzeilen)"
    r"|en-têtes de message d'origine|encabezados de mensajes? originale|message original"
    r"|mensaje original|messaggio originale|oorspronkelijk bericht|исходное сообщение"
    r"|元のメッセージ|元メッセージ|オリジナルメッセージ|返送メール|送信されたメール"
    r"|原始邮件(?!信息)|原邮件(?!信息)|원본 메시지"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
# A returned header without such a line.
_HEADER = re.compile(
    r"^[ \t>|]{0,8}(?:received: ?(?:from|by|\()|return-path: ?<|dkim-signature: ?[vad]="
    r"|x-[a-z-]{2,40}received:)",
    re.IGNORECASE | re.MULTILINE,
)
_INDENT = re.compile(r"^(?:[ \t>|]{1,8})(?=[A-Z][A-Za-z-]{1,40}:)", re.MULTILINE)


# A notice that only names the message it is about.
_MESSAGE_ID = re.compile(
    r"^[ \t>|]{0,12}(?:original[- ])?message[- ]id(?:entifier)?:[ \t]{0,20}(<[^<>\s]{3,500}>)",
    re.IGNORECASE | re.MULTILINE,
)


class Notice(NamedTuple):
    """`text` is what the server says, `returned` the fields of the message that came back."""

    text: str
    returned: dict[str, str]
    behind: str = ""  # what stands behind the notice in the same text


def notice(view: View) -> Notice:
    """The notice of a message and the returned header, wherever these stand."""
    text = ""
    html = ""
    returned: dict[str, str] = {}
    behind = ""
    for leaf in view.leaves:
        if leaf.type in _RETURNED_TYPES:
            if not returned:
                returned = returned_fields(view.data(leaf, 32_768))
        elif leaf.type == "text/html":
            html = html or view.text(leaf)
        elif leaf.parent and (b"received" in leaf.fields or b"message-id" in leaf.fields):
            # a part that has lost its own header: what stands there is the returned one
            returned = returned or returned_fields(view.raw[_header_start(view, leaf.start) :])
        elif leaf.type.startswith("text/") and not text.strip():
            text = view.text(leaf)
    text = text if text.strip() else html if html.strip() else _misplaced(view)
    text, behind = cut(text)
    if not returned and behind:
        returned = returned_fields(_INDENT.sub("", behind[:32_768]).encode("utf-8", "replace"))
    if "message-id" not in returned:
        told = _MESSAGE_ID.search(text)
        if told:
            returned = {**returned, "message-id": told[1]}
    return Notice(text, returned, behind)


def _misplaced(view: View) -> str:
    """A notice that was labelled as a delivery status."""
    for leaf in view.leaves:
        if is_status(leaf.type) and "ecipient:" not in view.text(leaf):
            return view.text(leaf)
    return ""


def _header_start(view: View, body: int) -> int:
    """Where the header block ends at `body` began: behind the delimiter line above it."""
    line = view.raw.rfind(b"\n--", max(0, body - 32_768), body)
    following = view.raw.find(b"\n", line + 1)
    return following + 1 if line >= 0 else max(0, body - 32_768)


def cut(text: str) -> tuple[str, str]:
    """(what the server says, what stands behind it)."""
    found = _CUT.search(text, 0, 65_536)
    header = _HEADER.search(text, 0, 65_536)
    end = behind = len(text)
    if found and (not header or found.start() < header.start()):
        end = found.start()
        line = text.find("\n", found.end())
        behind = line + 1 if line >= 0 else len(text)
        if found.end() - found.start() > 0 and not text[:end].strip():
            # the returned message first and the reason behind it: no such report is known, and
            # a notice that opens with these words is one all the same
            second = _HEADER.search(text, behind, 65_536)
            end = second.start() if second else len(text)
            behind = end
    elif header:
        end = behind = header.start()
    return text[: min(end, MAX_NOTICE)], text[behind:].lstrip("\r\n ")
