"""Is this the same message? One message, many sightings. A core.

A mail is seen at submission, inbound for each colleague, in Sent, by a drop address: each time
with other octets. On its way it gets trace headers, loses its Bcc, may get a Message-ID and a Date
that it lacked, and may have its transfer encoding changed (RFC 6152 section 3) or, by Postfix, its
lines of more than 998 octets cut, in the header too (smtp_line_length_limit). None of this makes
another message.
Another body, subject, author or addressee does, and so does another Message-ID.

`content_key` reduces a message to what all of its copies share. `judge` compares two copies with
the same key by what they say of themselves, and tells why. Message-ID is a hint only: real ones
are missing, doubled, 20,000 octets long, or shared by different mails (beyond.md 2 and 3). It can
part two messages, never join two that differ.

Promises: never raises on content; linear in the message; what is kept has a fixed length,
whatever a message says of itself. Parts that mimetree's limits hide are compared octet by octet.
Limits: a footer that a list or a scanner adds, or a line that a hop wraps in another way, is
another body: that copy is a message of its own (and its Message-ID puts it into the same thread).
The 64 bits that are kept of a Message-ID decide only between copies of the same content.
"""

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from crmstore.content import from_base64
from crmstore.headers import unfold
from crmstore.mimetree import Leaf, Tree, parse, transfer_encoding

__all__ = [
    "SAME_WITHIN",
    "Decision",
    "Hint",
    "choose",
    "content_key",
    "field_cut",
    "id_hash",
    "judge",
    "print_of",
    "prints_at",
    "prints_of",
    "raw_key",
]

#: Copies that do not tell their date are one mail only if they were seen this close together.
SAME_WITHIN = 86_400  # seconds
KEY = 32  # hex digits
LONGEST = 998  # octets of a line (RFC 5322 section 2.1.1)
MAX_LINES = 1 << 20  # octets of a text that is cut into lines
MAX_NESTED = 8  # mails inside of mails whose transfer encoding is looked through
_LIMITED = frozenset({"part_limit", "depth_limit", "header_limit"})
_LONG = re.compile(rb"^[^\n]{%d}[^\n]+" % LONGEST, re.MULTILINE)
_NO_DATE = 1 << 40  # above every date in seconds


class Hint(NamedTuple):
    """What a copy says about which message it is, besides its content: `id` is id_hash() of its
    Message-ID, 0 if it has none; `date` its Date in seconds since 1970, None if it tells none;
    `seen` when it was seen."""

    id: int
    date: int | None
    seen: int

    @property
    def place(self) -> int:
        """Where this copy stands among those of the same content: by its Message-ID, else by its
        date, else by the day."""
        if self.id:
            return self.id
        return -self.date if self.date else -_NO_DATE - self.seen // SAME_WITHIN

    def places(self) -> list[int]:
        """Where a copy that judge() finds to be the same may stand; all of them if this one tells
        both Message-ID and date, else there may be others anywhere among the content's."""
        day = self.seen // SAME_WITHIN
        found = [-_NO_DATE - near for near in (day - 1, day, day + 1)]
        if self.date:
            found.append(-self.date)
        if self.id:
            found.append(self.id)
        return found

    @classmethod
    def stored(cls, place: int, date: int | None, seen: int) -> "Hint":
        """From the place of a message; `date` where the place does not tell it."""
        if place > 0:
            return cls(place, date, seen)
        return cls(0, -place if place > -_NO_DATE else None, seen)

    @property
    def tells_all(self) -> bool:
        return bool(self.id and self.date)


class Decision(NamedTuple):
    """The answer, its evidence in words, and how strong it is (a larger number is stronger)."""

    same: bool
    evidence: str
    strength: int = 0


def judge(known: Hint, new: Hint) -> Decision:
    """Are two copies with the same content the same message?"""
    if known.id and new.id:
        if known.id == new.id:
            return Decision(True, "same content, same Message-ID", 3)
        return Decision(False, "same content, another Message-ID")
    if known.date is not None and new.date is not None:
        if known.date == new.date:
            return Decision(True, "same content, same Date, not both with a Message-ID", 2)
        return Decision(False, "same content, another Date, not both with a Message-ID")
    if abs(known.seen - new.seen) <= SAME_WITHIN:
        return Decision(True, "same content within a day, not both with Message-ID and Date", 1)
    return Decision(False, "same content more than a day later, not both with Message-ID and Date")


def choose(known: Sequence[Hint], new: Hint) -> tuple[int | None, Decision]:
    """Which of `known` (with this content, oldest first) is the message that `new` is a copy of:
    by the strongest evidence, then the oldest. None for a message of its own, with what speaks
    against the last."""
    chosen: int | None = None
    decision = Decision(False, "nothing else with this content")
    for index, hint in enumerate(known):
        found = judge(hint, new)
        if found.strength > decision.strength or (chosen is None and not found.same):
            decision = found
            chosen = index if found.same else None
    return chosen, decision


def id_hash(message_id: str) -> int:
    """A Message-ID in 63 bits, never 0 unless it is empty. What gateways change does not count:
    brackets, doubled or missing, and blanks."""
    plain = "".join(message_id.split()).strip("<>")
    if not plain:
        return 0
    digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8]) >> 1) or 1


def print_of(key: str, place: int) -> int:
    """Key and place in 63 bits, to be looked up by: 31 of the key, then 32 of the place. Two may
    share it by accident or by malice; who finds a message by it compares key and hint."""
    return prints_at(key, (place,))[0]


def prints_at(key: str, places: Iterable[int]) -> list[int]:
    """The same for several places."""
    first = int(key[:8], 16) >> 1 << 32
    return [first | mixed for mixed in map(_mixed, places)]


@lru_cache(maxsize=4096)  # each is asked for twice, and days for every message
def _mixed(place: int) -> int:
    return int.from_bytes(hashlib.sha256(place.to_bytes(9, signed=True)).digest()[:4])


def prints_of(key: str) -> tuple[int, int]:
    """The first and the last print that a message of this key may have."""
    first = int(key[:8], 16) >> 1 << 32
    return first, first | 0xFFFF_FFFF


def raw_key(sha256: str) -> str:
    """The key of a message that could not be read: its octets decide."""
    return sha256[:KEY]


def content_key(
    data: bytes, tree: Tree, subject: str, people: Iterable[tuple[str, str, str]]
) -> str:
    """The digest of what every copy of a message shares: subject, From, To and Cc as facts.py
    reads them (of long lines as field_cut() has them), and the decoded content of each part."""
    people = list(people)
    digest = hashlib.sha256()
    _add(digest, " ".join(subject.split()))
    for roles in (("from",), ("to", "cc")):
        _add(digest, "\0".join(sorted({a for role, a, _ in people if role in roles})))
    _add_parts(digest, data, tree, 0)
    return digest.hexdigest()[:KEY]


def _add(digest: "hashlib._Hash", text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    digest.update(b"%d:" % len(raw))
    digest.update(raw)


def _add_parts(digest: "hashlib._Hash", data: bytes, tree: Tree, depth: int) -> None:
    if not _LIMITED.isdisjoint(tree.flags):
        digest.update(hashlib.sha256(_lines(data[tree.header.body :])).digest())
        return
    for leaf in tree.leaves:
        digest.update(_part(data, leaf, depth))


def _part(data: bytes, leaf: Leaf, depth: int) -> bytes:
    """The digest of a part's content, whatever carries it."""
    digest = hashlib.sha256()
    _add(digest, leaf.type)
    content = _decoded(data, leaf)
    if leaf.type == "message/rfc822" and depth < MAX_NESTED:
        # A hop that has to change the encoding inside of a mail changes its parts' (RFC 6152).
        tree = parse(content)
        for name in sorted(tree.header.fields.keys() - {b"content-transfer-encoding"}):
            digest.update(name + b":")
            for value in tree.header.fields[name]:
                _add(digest, " ".join(unfold(field_cut(name, value)).split()))
        _add_parts(digest, content, tree, depth + 1)
    elif leaf.type.startswith(("text/", "message/")):
        digest.update(_lines(content))
    else:
        digest.update(content)
    return digest.digest()


def _lines(content: bytes) -> bytes:
    """Text without what belongs to the transport: how lines end, blanks before that, empty lines
    at the end (as RFC 6376 section 3.4.4)."""
    if len(content) <= MAX_LINES:  # a list of all lines is faster, and takes more memory
        lines = content.splitlines()
        if lines and max(map(len, lines)) > LONGEST:
            lines = b"\n".join(map(_cut, lines)).split(b"\n")
        return b"\n".join(map(bytes.rstrip, lines, repeat(b" \t"))).rstrip(b" \t\n")
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    content = _LONG.sub(lambda found: _cut(found[0]), content)
    if b" \n" in content or b"\t\n" in content:
        content = b"\n".join([line.rstrip(b" \t") for line in content.split(b"\n")])
    return content.rstrip(b" \t\n")


def _cut(line: bytes) -> bytes:
    """A line of more than LONGEST octets as Postfix sends it on: where a hop has cut it already,
    there is nothing left to cut."""
    return b"\n ".join(_pieces(line))


def _pieces(line: bytes) -> list[bytes]:
    rest = range(LONGEST, len(line), LONGEST - 1)
    return [line[:LONGEST], *(line[at : at + LONGEST - 1] for at in rest)]


def field_cut(name: bytes, value: bytes) -> bytes:
    """A field's value with lines of more than LONGEST octets cut as Postfix does: wherever that
    is, in the midst of a word or an address, where unfolding puts a blank. As it is if there are
    none."""
    if len(name) + len(value) < LONGEST:  # and a colon
        return value
    lines = (name + b":" + value).replace(b"\r\n", b"\n").rstrip(b"\r").split(b"\n")
    if max(map(len, lines)) <= LONGEST:
        return value
    return b"\r\n".join(b"\r\n ".join(_pieces(line)) for line in lines)[len(name) + 1 :]


def _decoded(data: bytes, leaf: Leaf) -> bytes:
    encoding = transfer_encoding(leaf)
    if encoding == "base64":
        try:
            return from_base64(data, leaf.start, leaf.end)
        except binascii.Error:
            return data[leaf.start : leaf.end]
    raw = data[leaf.start : leaf.end]
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw
