"""What a message says: subject, date, people, a preview, attachments. A core.

Promises: read() never raises on content and is bounded in everything (the limits stand in
headers.py, mimetree.py, addresses.py and below), so a hostile message costs well under a second;
proxy/reader_child.py runs it in a process that can be killed all the same. All text is clean: one
line, no controls, storable. The first Subject and From count, more of them are flagged
(RFC 7489 section 6.6.1). The bytes are never changed and never put together again.
Cites: libraries.md "MIME", "charsets"; threats.md "MIME bomb", "header injection", "path
traversal".
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from crmstore import addresses, bodytext, document, forwards
from crmstore.answers import is_forward, quoted, references
from crmstore.charsets import clean
from crmstore.content import content, disposition, size
from crmstore.headers import split, unfold
from crmstore.identity import content_key, field_cut
from crmstore.mimetree import Leaf, parse
from crmstore.names import safe_name
from crmstore.tokens import Tokens, tokens
from crmstore.words import decode_words

__all__ = ["Attachment", "Facts", "Person", "attachments", "date_of", "read", "reading"]

MAX_SUBJECT = 2_000
MAX_MESSAGE_ID = 32_768
MAX_QUOTING = 16_384  # characters of the text, to find what it quotes
MAX_ATTACHMENTS = 500
MAX_ENCODED_WORDS = 16_384  # octets of a header that are decoded for its text

Person = tuple[str, str, str]  # role, address in key() form, name


class Attachment(NamedTuple):
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
    # by header: from, sender, reply-to, to, cc, bcc, resent-*; "forward": who wrote an attached
    # one, "forward-text": who wrote one that was forwarded as text
    people: list[Person] = field(default_factory=list)
    preview: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    key: str = ""  # identity.content_key(); "" for what was not read
    # what search needs, made of all the above and the text (document.py, tokens.py)
    document: bytes = field(default=b"", compare=False, repr=False)
    tokens: Tokens = field(default=Tokens(), compare=False, repr=False)
    refs: list[int] = field(default_factory=list)  # answers.references()
    quoted: str = ""  # answers.quoted(), if there are no references
    # what bounce/ reads in a delivery report, as plain values; not looked at here
    report: dict[str, Any] | None = None

    def pack(self) -> list[object]:
        """As plain lists, for JSON between processes; without document and tokens, whose length
        is most of it."""
        return [
            self.subject, self.message_id, self.date, self.date_header, self.people, self.preview,
            self.attachments, self.flags, self.key, None, None, self.refs, self.quoted, self.report,
        ]  # fmt: skip

    @classmethod
    def unpack(cls, packed: list[Any], document: bytes, tokens: Tokens) -> "Facts":
        """The other way. People may be lists instead of tuples."""
        packed[9], packed[10] = document, tokens
        if packed[6]:
            packed[6] = [Attachment(*item) for item in packed[6]]
        return cls(*packed)


def read(data: bytes) -> Facts:
    """The facts of a raw message."""
    steps = reading(data)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            facts: Facts = end.value
            return facts


def reading(data: bytes) -> Generator[None, None, Facts]:
    """The same in small steps, for many messages side by side: a processor does one thing for each
    of them in less time than all things for one after the other (docs/decisions/0035)."""
    tree = parse(data)
    yield
    fields = tree.header.fields
    facts = Facts(flags=list(tree.flags))
    charset = next((leaf.parameters.get("charset", "") for leaf in tree.leaves), "")
    facts.subject = _text(fields, b"subject", MAX_SUBJECT, facts, charset)
    yield
    facts.message_id = _message_id(fields, facts)
    yield
    facts.date_header = _text(fields, b"date", 200, facts)
    yield
    facts.date = date_of(facts.date_header)
    yield
    facts.people = _people(fields, facts, charset)
    yield
    facts.key = content_key(data, tree, *_shared(fields, facts, charset))
    yield
    facts.people += _inner_writers(data, tree.leaves)
    yield
    facts.refs = references(fields)
    yield
    text = bodytext.read(data, tree)
    yield
    facts.preview = clean(bodytext.preview(text.body))
    facts.flags += text.flags
    yield
    if not facts.refs:
        facts.quoted = quoted(text.body[:MAX_QUOTING])
    yield
    for position, leaf in enumerate(tree.leaves):
        facts.attachments += attachments(data, leaf, position, text.opened.get(position))
        if len(facts.attachments) >= MAX_ATTACHMENTS:
            del facts.attachments[MAX_ATTACHMENTS:]
            facts.flags.append("attachment_limit")
            break
    yield
    names = [item.name for item in facts.attachments]
    full = document.made(facts.subject, facts.people, [*names, *text.names], text.body)
    if is_forward(facts.subject):
        wrote = forwards.writer(text.body[:MAX_QUOTING])
        if wrote is not None:
            facts.people.append(("forward-text", wrote[1], wrote[0]))
    yield
    facts.document = document.packed(full)
    yield
    facts.tokens = tokens(full)
    return facts


# Headers


def _text(
    fields: dict[bytes, list[bytes]], name: bytes, limit: int, facts: Facts, charset: str = ""
) -> str:
    values = fields.get(name)
    if not values:
        return ""
    if len(values) > 1:
        facts.flags.append(f"duplicate_{name.decode().replace('-', '_')}")
    return decode_words(unfold(values[0], MAX_ENCODED_WORDS, charset)).strip()[:limit]


def _message_id(fields: dict[bytes, list[bytes]], facts: Facts) -> str:
    """As it stands, brackets and all oddities kept: it is shown, and never the identity."""
    values = fields.get(b"message-id")
    if not values:
        return ""
    if len(values) > 1:
        facts.flags.append("duplicate_message_id")
    return clean(unfold(values[0]))[:MAX_MESSAGE_ID]


_DATE = re.compile(r"[\x20-\x7e]{6,100}\Z")
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}  # fmt: skip
# As nearly everybody writes it (RFC 5322 section 3.3); all else is the standard library's.
_USUAL_DATE = re.compile(
    rf"(?:[A-Z][a-z][a-z], )?([0-3]?[0-9]) ({'|'.join(_MONTHS)}) ([1-9][0-9]{{3}})"
    r" ([0-2][0-9]):([0-5][0-9]):([0-5][0-9]) ([+-])([01][0-9])([0-5][0-9])\Z"
)


def date_of(text: str) -> int | None:
    """A Date header in seconds since 1970; None if it is none, or tells no time that anybody
    meant."""
    if not _DATE.match(text):
        return None
    try:
        usual = _USUAL_DATE.match(text)
        if usual is not None:
            day, month, year, hour, minute, second, sign, hours, minutes = usual.groups()
            found = datetime(
                int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC
            )
            east = int(hours) * 3600 + int(minutes) * 60
            seconds = found.timestamp() + (east if sign == "-" else -east)
        else:
            found = parsedate_to_datetime(text)
            seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    # 1970 to 9999, or no date that anybody meant
    return int(seconds) if 0 < seconds < 253_402_300_800 else None


_ROLES = tuple(
    (role.encode(), role)
    for role in (
        *("from", "sender", "reply-to", "to", "cc", "bcc"),
        *("resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc"),
    )
)
_WRITER = frozenset(("from", "sender", "reply-to"))


def _people(fields: dict[bytes, list[bytes]], facts: Facts, charset: str) -> list[Person]:
    """The header's people, each address once a role, in their order."""
    people: list[Person] = []
    for name, role in _ROLES:
        values = fields.get(name)
        if not values:
            continue
        if role == "from" and len(values) > 1:
            facts.flags.append("duplicate_from")
            values = values[:1]
        # who writes under his own name is told once, as From
        seen = {address for _, address, _ in people} if role in _WRITER else set()
        left = addresses.MAX_ADDRESSES
        for value in values:
            found = addresses.read(unfold(value, charset=charset), left)
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


_KEYED = (b"subject", b"from", b"to", b"cc")


def _shared(
    fields: dict[bytes, list[bytes]], facts: Facts, charset: str
) -> tuple[str, list[Person]]:
    """Subject and people as all copies of the message have them."""
    keyed = {name: fields[name] for name in _KEYED if name in fields}
    cut = {name: [field_cut(name, one) for one in values] for name, values in keyed.items()}
    if cut == keyed:
        return facts.subject, facts.people
    told = Facts()  # its flags are no news
    return _text(cut, b"subject", MAX_SUBJECT, told, charset), _people(cut, told, charset)


MAX_FORWARDED = 10
MAX_INNER = 65_536  # octets of an attached message that are looked at


def _inner_writers(data: bytes, leaves: list[Leaf]) -> list[Person]:
    """Who wrote the messages that are attached whole (message/rfc822), as their From has it."""
    people: list[Person] = []
    for leaf in [leaf for leaf in leaves if leaf.type == "message/rfc822"][:MAX_FORWARDED]:
        fields = split(content(data, leaf, MAX_INNER), lenient=True).fields
        for shown, address in addresses.read(unfold(fields.get(b"from", [b""])[0]), 10):
            if all(address != known for _, known, _ in people):
                people.append(("forward", address, shown))
    return people


# Attachments


def attachments(
    data: bytes, leaf: Leaf, position: int, inside: list[bodytext.Inside] | None
) -> list[Attachment]:
    """What a leaf is or holds: none for a rendering of the text."""
    if inside is not None:
        return [
            Attachment(
                safe_name(file.name, file.type, position + number),
                file.type if "/" in file.type else "application/octet-stream",
                file.bytes,
                False,
            )
            for number, file in enumerate(inside, 1)
        ]
    kind, params = disposition(leaf)
    name = params.get("filename") or leaf.parameters.get("name") or ""
    if leaf.type in ("text/plain", "text/html") and not name and kind != "attachment":
        return []
    inline = kind == "inline" or (b"content-id" in leaf.fields and kind == "")
    label = safe_name(name, leaf.type, position + 1)
    return [Attachment(label, leaf.type, size(data, leaf), inline)]
