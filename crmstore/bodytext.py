"""The text of a message: what it says in all its parts, for search and for a preview. A core.

Of alternatives the plain one, unless it is empty or only says that there is HTML (RFC 2046 section
5.1.4 would have the last, which costs ten times as much to read and says the same). A multipart
that does not say what delimits its parts is read as if it did. Text beside an
attachment, inline or behind it is text all the same. A message in a message is read like the outer
one, down to MAX_NESTED. Calendars and cards give what people would look for. winmail.dat is opened
(tnef.py). What is encrypted is flagged and stays what it is.
Promises: never raises; at most MAX_TEXT octets are decoded and kept, each part once; flags:
"text_cut", "nested_limit", "encrypted", "tnef_unreadable".
Cites: RFC 3676 (format=flowed), RFC 5545, RFC 6350; beyond.md row 12; features.md F8.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from crmstore import htmltext, tnef
from crmstore.charsets import decode
from crmstore.content import content, disposition
from crmstore.headers import Block, unfold
from crmstore.mimetree import Leaf, Tree, guessed, parse
from crmstore.words import decode_words

__all__ = ["Inside", "Text", "preview", "read"]

MAX_TEXT = 262_144  # octets of text read of a message, and characters kept
MAX_HTML = 524_288  # octets of a part; much of it is markup
MAX_FILE_TEXT = 32_768  # of a text that is an attachment
MAX_TNEF = 32 << 20
MAX_NESTED = 4
MAX_PARTS = 200  # whose text is read
MAX_PREVIEW = 280


class Inside(NamedTuple):
    """A file that is no part of the message: one that winmail.dat holds."""

    name: str
    type: str
    bytes: int


@dataclass(slots=True)
class Text:
    """What was read. `names`: of files that are no attachment of the message itself. `opened`:
    for each leaf that was a container of files and could be read, what it holds."""

    body: str = ""
    names: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    opened: dict[int, list[Inside]] = field(default_factory=dict)


def read(data: bytes, tree: Tree) -> Text:
    """The text of a parsed message."""
    reading = _Reading()
    reading.message(data, tree, 0)
    body = "\n".join(reading.out + reading.behind).strip()
    return Text(body, reading.names, list(dict.fromkeys(reading.flags)), reading.opened)


class _Reading:
    def __init__(self) -> None:
        self.out: list[str] = []  # the writer's text
        self.behind: list[str] = []  # what was sent with it
        self._nested = False
        self.names: list[str] = []
        self.flags: list[str] = []
        self.opened: dict[int, list[Inside]] = {}
        self._left = MAX_TEXT
        self._parts = MAX_PARTS

    def message(self, data: bytes, tree: Tree, depth: int, *, guess: bool = False) -> None:
        """Every part that says something. `guess`: they are no leaves of the message's own."""
        unsaid = "no_parts" in tree.flags and not guess
        self._nested = depth > 0
        told: set[int] = set()  # alternatives whose text was found
        stubs: dict[int, str] = {}
        markup: list[Leaf] = []
        for position, leaf in enumerate(tree.leaves):
            if self._parts <= 0 or self._left <= 0:
                self.flags.append("text_cut")
                break
            kind = leaf.type
            if unsaid and self._guessed(data, leaf, depth):
                continue
            if kind == "text/html" and leaf.alternative:
                markup.append(leaf)
            elif kind == "text/plain" and not _is_file(leaf):
                text = self._plain(data, leaf)
                if leaf.alternative and len(text) < 400 and _STUB.search(text):
                    stubs[leaf.alternative] = text
                elif text:
                    told.add(leaf.alternative)
                    self._add(text)
            elif kind in _TNEF or _name(leaf) == _WINMAIL:
                self._winmail(data, leaf, position if depth == 0 and not guess else -1)
            else:
                self._other(data, leaf, depth)
        for leaf in markup:
            if leaf.alternative not in told and (text := self._html(data, leaf)):
                told.add(leaf.alternative)
                self._add(text)
        for alternative, text in stubs.items():
            if alternative not in told:
                self._add(text)

    def _add(self, text: str, *, file: bool = False) -> None:
        if text:
            self._parts -= 1
            (self.behind if file or self._nested else self.out).append(text)

    def _guessed(self, data: bytes, around: Leaf, depth: int) -> bool:
        """Whether its parts could be read."""
        parts, begin = guessed(data, around)
        if parts:
            tree = Tree(Block(around.fields, around.start, ()), parts, ())
            self.message(data, tree, depth, guess=True)
            self._files_of(tree)
            before = around._replace(end=begin)  # it may be more than a preamble
            self._add(self._decoded(data, before, MAX_FILE_TEXT).strip(), file=True)
        return bool(parts)

    def _files_of(self, tree: Tree) -> None:
        """The names of files that are no attachments of the message itself."""
        for leaf in tree.leaves[:MAX_PARTS]:
            name = disposition(leaf)[1].get("filename") or leaf.parameters.get("name")
            if name and len(self.names) < MAX_PARTS:
                self.names.append(name[:200])

    def _other(self, data: bytes, leaf: Leaf, depth: int) -> None:
        kind = leaf.type
        if kind == "text/html" and not _is_file(leaf):
            self._add(self._html(data, leaf))
        elif kind in ("message/rfc822", "message/global", "message/news"):
            self._message(data, leaf, depth)
        elif kind in ("message/delivery-status", "text/rfc822-headers", "message/rfc822-headers"):
            self._add(self._decoded(data, leaf, MAX_FILE_TEXT), file=True)
        elif kind in ("text/calendar", "text/vcard", "text/x-vcard", "text/directory"):
            self._add(_properties(self._decoded(data, leaf, MAX_TEXT)), file=True)
        elif kind in _ENCRYPTED:
            self.flags.append("encrypted")
        elif kind.startswith("text/") and not leaf.parent.startswith("multipart/encrypted"):
            self._add(self._decoded(data, leaf, MAX_FILE_TEXT), file=True)
        elif _name(leaf).endswith((".ics", ".vcf")):
            self._add(_properties(self._decoded(data, leaf, MAX_TEXT)), file=True)

    # Kinds of text

    def _decoded(self, data: bytes, leaf: Leaf, limit: int, charset: str = "") -> str:
        raw = content(data, leaf, min(limit, self._left))
        self._left -= len(raw)
        if leaf.end - leaf.start > limit:
            self.flags.append("text_cut")
        return _kept(decode(raw, charset or leaf.parameters.get("charset", ""), guess=True))

    def _plain(self, data: bytes, leaf: Leaf) -> str:
        text = self._decoded(data, leaf, MAX_TEXT)
        if "flowed" in leaf.parameters.get("format", "").lower():
            text = _unflowed(text, leaf.parameters.get("delsp", "").lower() == "yes")
        if "-----BEGIN PGP MESSAGE-----" in text:
            self.flags.append("encrypted")
            text = text.partition("-----BEGIN PGP MESSAGE-----")[0]
        if "\nbegin " in text or text.startswith("begin "):
            text = _UUENCODED.sub(r"\1\n", text)
        return text.strip()

    def _html(self, data: bytes, leaf: Leaf) -> str:
        raw = content(data, leaf, MAX_HTML)
        charset = leaf.parameters.get("charset", "")
        if not charset and (found := _META.search(raw[:2_048])) is not None:
            charset = found[1].decode("ascii", "replace")
        text = _kept(htmltext.visible(decode(raw, charset, guess=True)))
        if leaf.end - leaf.start > MAX_HTML or len(text) > self._left:
            self.flags.append("text_cut")
        text = text[: self._left]
        self._left -= len(text)
        return text

    def _message(self, data: bytes, leaf: Leaf, depth: int) -> None:
        if depth >= MAX_NESTED:
            self.flags.append("nested_limit")
            return
        raw = content(data, leaf, leaf.end - leaf.start)
        tree = parse(raw)
        head = []
        for header in (b"subject", b"from", b"to", b"cc"):
            values = tree.header.fields.get(header)
            if values:
                head.append(decode_words(unfold(values[0], 4_096))[:1_000])
        self._add("\n".join(head), file=True)
        self.message(raw, tree, depth + 1)
        self._nested = depth > 0
        self._files_of(tree)

    def _winmail(self, data: bytes, leaf: Leaf, position: int) -> None:
        """What Outlook packed together; its body only if the message has no other."""
        raw = content(data, leaf, MAX_TNEF)
        self._parts -= 1
        found = tnef.read(raw) if tnef.is_tnef(raw) else None
        if found is None or found.damaged:
            self.flags.append("tnef_unreadable")
        if found is None:
            return
        if not self.out and found.text:
            text = _kept(found.text)[: self._left]
            self._left -= len(text)
            self._add(text)
        if position >= 0:
            self.opened[position] = [
                Inside(file.name, file.type, len(file.data)) for file in found.files
            ]
        else:
            self.names += [file.name[:200] for file in found.files if file.name]


def _is_file(leaf: Leaf) -> bool:
    """Whether a text was sent as a file, not to be read in place."""
    kind, params = disposition(leaf)
    return kind == "attachment" or "filename" in params or "name" in leaf.parameters


def _name(leaf: Leaf) -> str:
    return (disposition(leaf)[1].get("filename") or leaf.parameters.get("name") or "").lower()


_ENCRYPTED = frozenset(
    ["application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"]
)
_TNEF = frozenset(["application/ms-tnef", "application/vnd.ms-tnef"])
_WINMAIL = "winmail.dat"
_META = re.compile(rb"<meta[^<>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.I)
# "Your reader does not show HTML": the plain part of a mail that has none.
_STUB = re.compile(r"(?i)html|browser|ブラウザ")
_UUENCODED = re.compile(r"(?m)^begin [0-7]{3,4} (.{1,200})\n(?:[!-`]{1,62}\n){2,}")
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_WANTED_ASCII = bytes(n if n in b"\t\n" or 31 < n < 127 else 32 for n in range(256))


def _kept(text: str) -> str:
    """Text as it is kept: lines, and nothing that a terminal or a database would choke on."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text.encode("ascii").translate(_WANTED_ASCII).decode("ascii")  # at the speed of C
    return _UNWANTED.sub(" ", text)


def _unflowed(text: str, delsp: bool) -> str:
    """Lines joined that were broken for the way only (RFC 3676 section 4.2)."""
    out: list[str] = []
    open_depth = -1  # of the paragraph that goes on
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare[1:] if bare.startswith(" ") else bare  # section 4.4
        flowed = bare.endswith(" ") and bare != "-- "
        piece = bare[:-1] if flowed and delsp else bare
        if open_depth == depth and bare != "-- ":
            out.append(piece)
        else:
            out.append(("\n" if out else "") + "> " * min(depth, 20) + piece)
        open_depth = depth if flowed else -1
    return "".join(out)


_PROPERTY = re.compile(
    r"(?im)^(?:[a-z0-9-]+\.)?(?:SUMMARY|DESCRIPTION|LOCATION|COMMENT|ORGANIZER|ATTENDEE|CONTACT"
    r"|FN|ORG|TITLE|NOTE|EMAIL|TEL|ADR|URL|NICKNAME)((?:;[^:\"\n]*(?:\"[^\"\n]*\"[^:\"\n]*)*)?):(.*)$"
)
_NAMED = re.compile(r"(?i);CN=(\"[^\"]*\"|[^;:]*)")


def _properties(text: str) -> str:
    """What people wrote into a calendar or card (RFC 5545 section 3.1, RFC 6350 section 3.2)."""
    unfolded = text.replace("\n ", "").replace("\n\t", "")
    lines = []
    for found in _PROPERTY.finditer(unfolded):
        named = _NAMED.search(found[1])
        value = re.sub(r"\\([nN,;\\])", lambda m: "\n" if m[1] in "nN" else m[1], found[2])
        lines.append(f"{named[1]} {value}" if named else value)
        if len(lines) >= 1_000:
            break
    return "\n".join(lines)


# The preview

_LINE = re.compile(r"[^\n]+")
_QUOTE_BEGINS = re.compile(
    r"(?i)^(?:-{2,} ?(?:original message|forwarded message|元のメッセージ|転送メッセージ)"
    r"|_{20,}$|(?:on|am|le|el) .{4,120}(?:wrote|schrieb|écrit|escribió) ?:$"
    r"|.{4,120}(?:さんは書きました|のメール|wrote) ?[:：]$|(?:差出人|from) ?[:：] ?.{1,200}$"
    r"|\d{4}[年/].{4,120}[<＜].{3,100}[>＞].{0,10}[:：]$)"
)
_MAY_BEGIN, _MAY_END = frozenset("-_差fF"), frozenset(":：")  # every line that it matches


def preview(body: str) -> str:
    """The first words that are the writer's own, on one line; of whatever there is if none are."""
    own: list[str] = []
    length = 0
    for found in _LINE.finditer(body, 0, 20_000):
        line = found[0].strip()
        if not line or line.startswith((">", "＞", "|")):
            continue
        may_begin = line[0] in _MAY_BEGIN or line[-1] in _MAY_END
        if own and may_begin and (line == "--" or _QUOTE_BEGINS.match(line)):
            break
        # No ruler: three different characters, which mostly are the first that one looks at.
        if len(line) <= 3 or len({*line[:4], line[-1]}) > 2 or len(set(line)) > 2:
            own.append(line)
            length += len(line)
            if length > MAX_PREVIEW:
                break
    if not own:
        return " ".join(body[: MAX_PREVIEW * 4].split())[:MAX_PREVIEW]
    shown = " ".join(own)
    if "  " in shown or not shown.isprintable():  # no white space is printable but this
        shown = " ".join(shown.split())
    return shown[:MAX_PREVIEW]
