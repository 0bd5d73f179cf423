"""What a message says: subject, date, people, a preview, attachments. A core.

Promises: read() never raises on content and is bounded in everything (the limits stand in
headers.py, mimetree.py, addresses.py and below), so a hostile message costs well under a second;
proxy/reader_child.py runs it in a process that can be killed all the same. All text is clean: one
line, no controls, storable. The first Subject and From count, more of them are flagged
(RFC 7489 section 6.6.1). The bytes are never changed and never put together again.
Cites: libraries.md "MIME", "charsets"; threats.md "MIME bomb", "header injection", "path
traversal".
"""

import binascii
import html
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from crmstore import addresses
from crmstore.charsets import clean, decode
from crmstore.headers import parameters, unfold
from crmstore.identity import content_key
from crmstore.mimetree import Leaf, parse, transfer_encoding
from crmstore.names import safe_name
from crmstore.words import decode_words

__all__ = ["Attachment", "Facts", "Person", "date_of", "read"]

MAX_SUBJECT = 2_000
MAX_MESSAGE_ID = 32_768
MAX_PREVIEW = 280
MAX_TEXT = 65_536  # octets of a body that are decoded
MAX_ATTACHMENTS = 500
MAX_ENCODED_WORDS = 16_384  # octets of a header that are decoded for its text

Person = tuple[str, str, str]  # role, address in key() form, name


@dataclass(slots=True)
class Attachment:
    """A part that is not the text of the message. `bytes` is its size after decoding."""

    name: str
    type: str
    bytes: int
    inline: bool


@dataclass(slots=True)
class Facts:
    """The facts of one message. `date` is seconds since 1970, None if not told or nonsense."""

    subject: str = ""
    message_id: str = ""
    date: int | None = None
    date_header: str = ""
    people: list[Person] = field(default_factory=list)  # from, to, cc, bcc of the header
    preview: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    key: str = ""  # identity.content_key(); "" for what was not read

    def pack(self) -> list[object]:
        """As plain lists, for JSON between processes."""
        packed = [getattr(self, name) for name in self.__slots__]
        packed[6] = [astuple(item) for item in self.attachments] if self.attachments else []
        return packed

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Facts":
        """The other way. People may be lists instead of tuples."""
        facts = cls(*packed)
        facts.attachments = [Attachment(*item) for item in packed[6]]
        return facts


def read(data: bytes) -> Facts:
    """The facts of a raw message."""
    tree = parse(data)
    fields = tree.header.fields
    facts = Facts(flags=list(tree.flags))
    facts.subject = _text(fields, b"subject", MAX_SUBJECT, facts)
    facts.message_id = _message_id(fields, facts)
    facts.date_header = _text(fields, b"date", 200, facts)
    facts.date = date_of(facts.date_header)
    facts.people = _people(fields, facts)
    facts.key = content_key(data, tree, facts.subject, facts.people)
    body = _body_leaf(data, tree.leaves)
    if body is not None:
        facts.preview = _preview(data, body)
    for position, leaf in enumerate(tree.leaves):
        if leaf is body:
            continue
        item = _attachment(data, leaf, position)
        if item is not None:
            facts.attachments.append(item)
            if len(facts.attachments) >= MAX_ATTACHMENTS:
                facts.flags.append("attachment_limit")
                break
    return facts


# Headers


def _text(fields: dict[bytes, list[bytes]], name: bytes, limit: int, facts: Facts) -> str:
    values = fields.get(name)
    if not values:
        return ""
    if len(values) > 1:
        facts.flags.append(f"duplicate_{name.decode().replace('-', '_')}")
    return decode_words(unfold(values[0], MAX_ENCODED_WORDS)).strip()[:limit]


def _message_id(fields: dict[bytes, list[bytes]], facts: Facts) -> str:
    """As it stands, brackets and all oddities kept: it is shown, and never the identity."""
    values = fields.get(b"message-id")
    if not values:
        return ""
    if len(values) > 1:
        facts.flags.append("duplicate_message_id")
    return clean(unfold(values[0]))[:MAX_MESSAGE_ID]


_DATE = re.compile(r"[\x20-\x7e]{6,100}\Z")


def date_of(text: str) -> int | None:
    """A Date header in seconds since 1970; None if it is none, or tells no time that anybody
    meant."""
    if not _DATE.match(text):
        return None
    try:
        found = parsedate_to_datetime(text)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    # 1970 to 9999, or no date that anybody meant
    return int(seconds) if 0 < seconds < 253_402_300_800 else None


_ROLES = ((b"from", "from"), (b"to", "to"), (b"cc", "cc"), (b"bcc", "bcc"))


def _people(fields: dict[bytes, list[bytes]], facts: Facts) -> list[Person]:
    """The header's people, each address once a role, in their order."""
    people: list[Person] = []
    for name, role in _ROLES:
        values = fields.get(name)
        if not values:
            continue
        if role == "from" and len(values) > 1:
            facts.flags.append("duplicate_from")
            values = values[:1]
        seen: set[str] = set()
        left = addresses.MAX_ADDRESSES
        for value in values:
            found = addresses.read(unfold(value), left)
            left -= len(found)
            for shown, address in found:
                if address not in seen:
                    seen.add(address)
                    people.append((role, address, shown))
        if left <= 0:
            facts.flags.append("address_limit")
        if role == "from" and len(seen) > 1:
            facts.flags.append("several_from")
    return people


# The text


def _body_leaf(data: bytes, leaves: list[Leaf]) -> Leaf | None:
    """The first text that is not an attachment and not empty: plain if there is one, else HTML."""
    markup: Leaf | None = None
    for leaf in leaves[:50]:
        if leaf.type not in ("text/plain", "text/html") or _is_attachment(leaf):
            continue
        if leaf.type == "text/html":
            markup = markup or leaf
        elif data[leaf.start : min(leaf.end, leaf.start + 500)].strip():
            return leaf
    return markup


def _is_attachment(leaf: Leaf) -> bool:
    raw = leaf.fields.get(b"content-disposition")
    if raw is not None:
        disposition, params = parameters(raw[0])
        if disposition == "attachment" or "filename" in params:
            return True
    return "name" in leaf.parameters


_MARKUP = re.compile(r"<[^<>]*>")
_HIDDEN = (
    ("<head", "</head>"), ("<style", "</style>"), ("<script", "</script>"), ("<!--", "-->"),
)  # fmt: skip


def _preview(data: bytes, leaf: Leaf) -> str:
    """The first words of the text, on one line."""
    is_html = leaf.type == "text/html"
    # Plain text needs no more than its beginning; HTML begins with its style sheets.
    limit = MAX_TEXT if is_html else 2_048
    text = decode(_content(data, leaf, limit), leaf.parameters.get("charset", ""), guess=True)
    if is_html:
        text = _visible(text)
    words = " ".join(text[: MAX_PREVIEW * 4].split())
    return clean(words[:MAX_PREVIEW])


def _content(data: bytes, leaf: Leaf, limit: int) -> bytes:
    """The first `limit` octets or so of a part, decoded."""
    encoding = transfer_encoding(leaf)
    if encoding == "base64":
        raw = data[leaf.start : min(leaf.end, leaf.start + limit * 3 // 2)]
        return _base64(raw)[:limit]
    raw = data[leaf.start : min(leaf.end, leaf.start + limit)]
    if encoding == "quoted-printable":
        if len(raw) == limit:  # not in the middle of "=E3"
            raw = raw[: raw.rfind(b"=", -3)] if b"=" in raw[-2:] else raw
        return binascii.a2b_qp(raw)
    return raw


def _base64(raw: bytes) -> bytes:
    """Whatever of it is base64; broken padding costs the last octets only."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        plain = re.sub(rb"[^A-Za-z0-9+/]+", b"", raw)
        return binascii.a2b_base64(plain[: len(plain) // 4 * 4])


def _visible(markup: str) -> str:
    """Roughly what a reader sees of HTML: enough for a preview, linear on any input."""
    for begin, end in _HIDDEN:
        markup = _without(markup, begin, end)
    return html.unescape(_MARKUP.sub(" ", markup[:MAX_TEXT])[:MAX_TEXT])


def _without(text: str, begin: str, end: str) -> str:
    low = text.lower()
    if len(low) != len(text):  # a few letters grow when lowered: offsets would not fit
        low = text
    out: list[str] = []
    position = 0
    while (start := low.find(begin, position)) >= 0:
        out.append(text[position:start])
        stop = low.find(end, start)
        if stop < 0:
            return "".join(out)
        position = stop + len(end)
    out.append(text[position:])
    return "".join(out)


# Attachments


def _attachment(data: bytes, leaf: Leaf, position: int) -> Attachment | None:
    """A leaf as an attachment; None for the other rendering of the text."""
    disposition = ""
    params: Mapping[str, str] = {}
    raw = leaf.fields.get(b"content-disposition")
    if raw is not None:
        disposition, params = parameters(raw[0])
    name = params.get("filename") or leaf.parameters.get("name") or ""
    if leaf.type in ("text/plain", "text/html") and not name and disposition != "attachment":
        return None
    inline = disposition == "inline" or (b"content-id" in leaf.fields and disposition == "")
    return Attachment(
        safe_name(name, leaf.type, position + 1), leaf.type, _size(data, leaf), inline
    )


def _size(data: bytes, leaf: Leaf) -> int:
    """Octets after decoding, without decoding what may be large."""
    length = leaf.end - leaf.start
    encoding = transfer_encoding(leaf)
    if encoding == "base64":
        tail = data[max(leaf.start, leaf.end - 8) : leaf.end]
        breaks = data.count(b"\n", leaf.start, leaf.end) + data.count(b"\r", leaf.start, leaf.end)
        return max(0, (length - breaks) * 3 // 4 - tail.count(b"="))
    if encoding == "quoted-printable" and length <= 1 << 20:
        return len(binascii.a2b_qp(data[leaf.start : leaf.end]))
    return length
