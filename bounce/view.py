"""A message laid out for reading: header, parts, texts, the returned message in it. A core.

Promises: never raises on content, linear, bounded. Of a message longer than `MAX_LOOK` the first
`HEAD` and the last `TAIL` octets are looked at: reports have their reason in one of these, the
middle is what came back. Mends what would hide a report: CR as the only line end, blank lines
before the header. Parts, charsets and header fields are crmstore's (mimetree.py, charsets.py,
headers.py).
"""

import binascii
import html as entities
import re
from collections.abc import Mapping, Sequence

from crmstore.charsets import clean, decode
from crmstore.headers import split, unfold
from crmstore.mimetree import Leaf, Tree, parse
from crmstore.words import decode_words

__all__ = ["MAX_LOOK", "MAX_TEXT", "Fields", "View", "first", "returned_fields"]

HEAD, TAIL = 384 << 10, 128 << 10
MAX_LOOK = HEAD + TAIL
MAX_TEXT = 64 << 10  # octets of a part that are decoded
MAX_VALUE = 2_000

Fields = Mapping[bytes, list[bytes]]

_TAG = re.compile(r"<(?:(!--)|/?([a-zA-Z][a-zA-Z0-9]{0,9})\b[^<>]{0,2000}+>)")
_UNSEEN = {"style": "</style", "script": "</script", "head": "</head", "": "-->"}
_BREAKING = frozenset("br p div tr table li ul ol h1 h2 h3 h4 blockquote pre hr td".split())


class View:
    """One message. Texts are decoded when asked for, and once."""

    def __init__(self, raw: bytes) -> None:
        self.oddities: list[str] = []
        if len(raw) > MAX_LOOK:
            raw = raw[:HEAD] + b"\r\n" + raw[-TAIL:]
            self.oddities.append("read_in_part")
        if raw[:1] in b"\r\n \t\0\xef" and raw:
            stripped = raw.lstrip(b"\r\n \t\0\xef\xbb\xbf")
            if stripped:
                raw = stripped
                self.oddities.append("blank_first_line")
        if b"\n" not in raw and b"\r" in raw:
            raw = raw.replace(b"\r", b"\n")
            self.oddities.append("cr_only")
        self.raw = raw
        self.tree: Tree = _mended(raw, parse(raw), self.oddities)
        self.fields: Fields = self.tree.header.fields
        self.oddities += self.tree.flags
        self._texts: dict[int, str] = {}
        self._headers: dict[bytes, str] = {}

    @property
    def leaves(self) -> list[Leaf]:
        return self.tree.leaves

    def header(self, name: bytes) -> str:
        """The first field of this name, decoded, one line; "" if there is none."""
        value = self._headers.get(name)
        if value is None:
            value = self._headers[name] = first(self.fields, name)
        return value

    def text(self, leaf: Leaf, limit: int = MAX_TEXT) -> str:
        """The text of a part, its transfer encoding and charset undone, lines ended by LF."""
        found = self._texts.get(leaf.start)
        if found is None:
            found = self._texts[leaf.start] = self._decode(leaf, limit)
        return found

    def data(self, leaf: Leaf, limit: int = MAX_TEXT) -> bytes:
        """The octets of a part, its transfer encoding undone."""
        part = self.raw[leaf.start : min(leaf.end, leaf.start + limit * 2)]
        how = b"".join(leaf.fields.get(b"content-transfer-encoding", [b""])[:1])
        how = how.strip().lower()
        if how.startswith(b"quoted") and b"=" in part:
            part = binascii.a2b_qp(part)
        elif how.startswith(b"base64"):
            part = _base64(part)
        return part[:limit]

    def _decode(self, leaf: Leaf, limit: int) -> str:
        text = decode(self.data(leaf, limit), leaf.parameters.get("charset", ""))
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if leaf.type == "text/html":
            text = plain(text)
        return text.replace("\0", " ")


_DELIMITER = re.compile(
    rb"^--([!-~][^\r\n]{0,200}?)[ \t]{0,20}\r?\n(?=[A-Za-z-]{3,60}:|\r?\n)", re.MULTILINE
)


# What may stand before the first delimiter of a message without Content-Type.
_PREAMBLE = re.compile(rb"\s*\Z|[^\n]{0,60}\bM(?:IME|ULTI-PART)\b", re.IGNORECASE)
MAX_MENDED = 8


def _mended(raw: bytes, tree: Tree, oddities: list[str]) -> Tree:
    """The tree, with the parts that really stand in a multipart which seems to have none: its
    boundary parameter was lost or rewritten on its way, or its whole Content-Type."""
    leaves: list[Leaf] = []
    mended = 0
    for leaf in tree.leaves:
        inside = _inside(raw, leaf) if mended < MAX_MENDED else ()
        mended += bool(inside)
        leaves += inside or (leaf,)
    if not mended:
        return tree
    oddities.append("boundary_mended")
    return Tree(tree.header, leaves, tree.flags)


def _inside(raw: bytes, leaf: Leaf) -> Sequence[Leaf]:
    """The parts of a leaf that is a multipart, by the delimiters that stand in it."""
    types = leaf.fields.get(b"content-type")
    if (types and types[0].lstrip()[:10].lower() != b"multipart/") or (not types and leaf.parent):
        return ()
    # without a type only a preamble may come first, not a notice that quotes a message
    look = 65_536 if types else 200
    found = _DELIMITER.search(raw, leaf.start, min(leaf.end, leaf.start + look))
    if found is None or b'"' in found[1]:
        return ()
    if not types and not _PREAMBLE.match(raw[leaf.start : found.start()]):
        return ()
    start = b'Content-Type: multipart/mixed; boundary="' + found[1] + b'"\n\n'
    shift = found.start() - len(start)
    again = parse(start + raw[found.start() : leaf.end])
    return [part._replace(start=part.start + shift, end=part.end + shift) for part in again.leaves]


def first(fields: Fields, name: bytes) -> str:
    values = fields.get(name)
    return decode_words(unfold(values[0], MAX_VALUE)).strip() if values else ""


def plain(html: str) -> str:
    """The words of HTML, a line for each block: enough to find a reason in."""
    lower = html.lower()
    never_closed: set[str] = set()  # looked for once: looking again and again would be quadratic
    out: list[str] = []
    position = 0
    for tag in _TAG.finditer(html):
        if tag.start() < position:
            continue
        out.append(html[position : tag.start()])
        name = "" if tag[1] else tag[2].lower()
        position = tag.end()
        if name in _UNSEEN and name not in never_closed and html[tag.start() + 1] != "/":
            end = lower.find(_UNSEEN[name], position)
            if end < 0:
                never_closed.add(name)
            else:
                position = end + len(_UNSEEN[name]) if name == "" else html.find(">", end) + 1
                position = position or len(html)
        out.append("\n" if name in _BREAKING else " ")
    out.append(html[position:])
    return entities.unescape("".join(out)).replace("\xa0", " ")


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def _base64(data: bytes) -> bytes:
    """Lenient: foreign characters skipped, missing padding no error, ended by the first '='."""
    kept = _NOT_BASE64.sub(b"", data.partition(b"=")[0])
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


# What is kept of a returned header.
RETURNED = (
    "message-id from to cc subject date return-path sender reply-to references in-reply-to"
    " delivered-to x-original-to list-id auto-submitted"
).split()


def returned_fields(data: bytes) -> dict[str, str]:
    """The fields of a returned header block that are worth keeping."""
    if data[:1] in b"\r\n":
        data = data.lstrip(b"\r\n")
    fields = split(data[:32_768], lenient=True).fields
    return {
        name: clean(first(fields, name.encode()))[:MAX_VALUE]
        for name in RETURNED
        if name.encode() in fields
    }
