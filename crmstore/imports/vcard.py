"""vCards of every version to rows. A core: chunks of bytes in.

Promises: never raises on content, a card that cannot be read is a remark with its line; memory of
one card; at most MAX_PROPERTIES of a card, MAX_CARDS a file. What no record has a place for is
counted by its name (`unknown`), never lost in silence.

Names: FN, else N in the order of its script, else the company (ORG), else the phonetic name.
Addresses: every EMAIL with its group ("item1.EMAIL"), preferred ones first, no X.400.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from crmstore.charsets import clean
from crmstore.imports.rows import Remark, Row
from crmstore.imports.terms import compose_name
from crmstore.imports.vcardlines import Property, properties, split_text, unescaped

__all__ = ["CONTACT", "CONTACT_MARK", "KIND", "STATE", "TYPE", "VcardFile"]

MAX_CARDS = 5_000_000
MAX_PROPERTIES = 2_000
MAX_UNKNOWN = 200  # different names that are counted

# Our own, for what vCard has no property for.
KIND = "X-MAILWEIR-KIND"
TYPE = "X-MAILWEIR-TYPE"
STATE = "X-MAILWEIR-STATE"
CONTACT = "X-MAILWEIR-MAIN-CONTACT"
CONTACT_MARK = "X-MAILWEIR-MAIN-CONTACT-ID"  # a mark (marks.py); the card's own is its UID

_PHONETIC = ("X-PHONETIC-LAST-NAME", "X-PHONETIC-FIRST-NAME")
_OURS = (KIND, TYPE, STATE, CONTACT, CONTACT_MARK)
_TAKEN = frozenset(["FN", "N", "ORG", "EMAIL", "KIND", "UID", *_OURS, *_PHONETIC])
# About the card itself, or the same as what we read.
_IGNORED = frozenset(["VERSION", "PRODID", "REV", "SOURCE", "CLASS", "SORT-STRING"])


class VcardFile:
    """One file, iterated once."""

    def __init__(self, chunks: Iterable[bytes], encoding: str = "") -> None:
        self._properties = properties(chunks, encoding)
        self.unknown: Counter[str] = Counter()
        """How often each property was there that nothing is taken from."""

    def __iter__(self) -> Iterator[Row | Remark]:
        card: list[Property] | None = None
        begin, previous, nested, cards, stray = 0, "", 0, 0, False
        for found in self._properties:
            name, word = found.name, found.value.strip().upper()
            if name == "BEGIN" and word == "VCARD":
                if card is not None and previous == "AGENT":
                    nested += 1  # 2.1: the card of an assistant inside the card
                    continue
                if card is not None:
                    yield Remark(begin, "card_not_ended", True)
                card, begin, nested, stray = [], found.line, 0, False
                cards += 1
                if cards > MAX_CARDS:
                    yield Remark(begin, "too_many_rows", True, {"allowed": MAX_CARDS})
                    return
            elif name == "END" and word == "VCARD" and nested:
                nested -= 1
            elif name == "END" and word == "VCARD":
                if card is not None:
                    yield self._card(begin, card)
                card = None
            elif card is None:
                if not stray:  # one remark for a run of lines
                    yield Remark(found.line, "not_in_card", True)
                stray = True
            elif not nested and len(card) <= MAX_PROPERTIES:
                card.append(found)
            previous = name
        if card is not None:
            yield Remark(begin, "card_not_ended", True)

    def _card(self, line: int, card: Sequence[Property]) -> Row | Remark:
        if len(card) > MAX_PROPERTIES:
            return Remark(line, "card_too_long", True, {"allowed": MAX_PROPERTIES})
        by_name: dict[str, list[Property]] = {}
        for found in card:
            if found.name in _TAKEN:
                if found.long and found.name != "UID":  # of a program that we do not know
                    return Remark(found.line, "property_too_long", True, {"property": found.name})
                by_name.setdefault(found.name, []).append(found)
            elif found.name not in _IGNORED:
                self._count(found.name)

        def text(name: str) -> str:
            for found in by_name.get(name, ()):
                if value := _line(unescaped(found.value)):
                    return value
            return ""

        if text("KIND").lower() == "group":
            return Remark(line, "card_group", True, {"name": text("FN")})
        company = _company(by_name.get("ORG", ()))
        phonetic = compose_name(*map(text, _PHONETIC))
        name = text("FN") or _name(by_name.get("N", ()))
        remarks: tuple[Remark, ...] = ()
        if any(not found.name for found in card):
            bad = next(found.line for found in card if not found.name)
            remarks = (Remark(bad, "not_a_property", False),)
        return Row(
            line,
            name or (phonetic if not company else ""),
            _emails(by_name.get("EMAIL", ())),
            text(KIND),
            text(STATE),
            company,
            text(CONTACT),
            text(TYPE),
            remarks,
            "",
            text("UID"),
            text(CONTACT_MARK),
        )

    def _count(self, name: str) -> None:
        if name and (name in self.unknown or len(self.unknown) < MAX_UNKNOWN):
            self.unknown[name] += 1


def _line(text: str) -> str:
    return clean(text).strip()


def _name(found: Sequence[Property]) -> str:
    """N is family; given; additional; prefixes; suffixes (RFC 6350 section 6.2.2)."""
    for one in found:
        family, given, middle, *_ = [*map(_line, split_text(one.value)), "", "", ""]
        if name := compose_name(family, given, middle):
            return name
    return ""


def _company(found: Sequence[Property]) -> str:
    for one in found:
        units = [unit for unit in map(_line, split_text(one.value)) if unit]
        if units:
            return " ".join(units)
    return ""


def _emails(found: Sequence[Property]) -> tuple[str, ...]:
    """Addresses as written, the preferred ones first, each once."""
    ranked: list[tuple[int, str]] = []
    for one in found:
        types = set(one.values_of("TYPE"))
        if "X400" in types:
            continue
        value = _line(unescaped(one.value))
        preferred = next(one.values_of("PREF"), "")
        rank = int(preferred) if preferred.isdecimal() and len(preferred) < 4 else 1_000
        ranked.append((0 if "PREF" in types else rank, value))
    ranked.sort(key=lambda item: item[0])
    return tuple(dict.fromkeys(address for _, address in ranked if address))
