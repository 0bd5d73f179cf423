"""Gmail's mailFilters.xml: an Atom feed with an entry for each filter.

Promises: bounded by MAX_OCTETS, MAX_FILTERS and a depth of 16; a document type, and with it every
entity, is refused as soon as it begins. `read` gives Filters, or raises Unreadable.
Understood: from, to, hasTheWord where it is one from: or to:; shouldTrash, shouldSpam and label.
Of alternatives (OR, |, {}) each is a condition; what is left beside them refuses the filter.
Cites: what Gmail's "Export filters" writes (namespace http://schemas.google.com/apps/2006).
"""

import re
from typing import Final
from xml.parsers import expat

from crmstore.imports.filters import MAX_FILTERS, Filter, NotOne, patterns
from crmstore.imports.rows import Unreadable
from crmstore.personal import Wanted, wanted

__all__ = ["read"]

MAX_DEPTH: Final = 16
_PROPERTY: Final = "http://schemas.google.com/apps/2006 property"
_ENTRY: Final = "http://www.w3.org/2005/Atom entry"
#: Say what Gmail does with what has matched, or (size*) nothing without a size.
_ACTIONS: Final = frozenset(
    "label shouldTrash shouldSpam shouldArchive shouldMarkAsRead shouldStar shouldNeverSpam"
    " shouldAlwaysMarkAsImportant shouldNeverMarkAsImportant smartLabelToApply forwardTo"
    " sizeOperator sizeUnit excludeChats".split()
)
_ONE = re.compile(r"(from|to):\s*(\([^(){}]*\)|\{[^(){}]*\}|[^\s(){}]+)", re.IGNORECASE)


class _Feed:
    """The properties of each entry, as expat finds them."""

    def __init__(self) -> None:
        self.entries: list[list[tuple[str, str]]] = []
        self.root = ""
        self._depth = 0
        self._inside = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self.root = self.root or name
        if self._depth > MAX_DEPTH:
            raise Unreadable("xml", reason="too deep")
        if name == _ENTRY:
            if len(self.entries) >= MAX_FILTERS:
                raise Unreadable("many", limit=MAX_FILTERS)
            self.entries.append([])
            self._inside = True
        elif name == _PROPERTY and self._inside:
            self.entries[-1].append((attributes.get("name", ""), attributes.get("value", "")))

    def end(self, name: str) -> None:
        self._depth -= 1
        if name == _ENTRY:
            self._inside = False


def read(octets: bytes) -> list[Filter]:
    """The filters, numbered from 1."""
    feed = _Feed()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = feed.start
    parser.EndElementHandler = feed.end

    def refuse(*_: object) -> None:
        raise Unreadable("xml", reason="document types and entities are not read")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(octets, True)
    except expat.ExpatError as error:
        raise Unreadable("xml", reason=str(error)) from None
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise Unreadable("xml", reason=str(error)) from None
    if not feed.root.endswith(" feed"):
        raise Unreadable("xml", reason="this is no list of Gmail filters")
    return [_filter(number, found) for number, found in enumerate(feed.entries, 1)]


def _filter(number: int, found: list[tuple[str, str]]) -> Filter:
    told = {name: value for name, value in found if value not in ("", "false")}
    labels = tuple(value for name, value in found if name == "label" and value)
    away = told.get("shouldTrash") == "true" or told.get("shouldSpam") == "true"
    asked = {name: value for name, value in told.items() if name not in _ACTIONS}
    words = ", ".join(f"{name}: {value}" for name, value in asked.items())
    try:
        conditions = _conditions(asked)
    except NotOne as error:
        refused = (error.code, error.value)
        return Filter(number, words, away=away, folders=labels, refused=refused)
    return Filter(number, words, conditions, away, labels)


def _conditions(asked: dict[str, str]) -> tuple[Wanted, ...]:
    if len(asked) > 1:
        raise NotOne("both", ", ".join(asked))
    for name, value in asked.items():
        if name == "hasTheWord" and (one := _ONE.fullmatch(value.strip())):
            return _alternatives(one[1].lower(), one[2])
        if name not in ("from", "to"):
            raise NotOne("condition", name)
        return _alternatives(name, value)
    return ()


def _alternatives(name: str, value: str) -> tuple[Wanted, ...]:
    """Words that Gmail joins by OR."""
    text = value.strip()
    either = text[:1] == "{" and text[-1:] == "}"
    if either or (text[:1] == "(" and text[-1:] == ")"):
        text = text[1:-1]
    if any(mark in text for mark in "(){}"):
        raise NotOne("pattern", value)
    spaced = text.replace("|", " OR ").replace(",", " OR ").split()
    words = [word for word in spaced if word != "OR"]
    if not words:
        raise NotOne("pattern", value)
    if any(word.startswith("-") or word in ("NOT", "AND") for word in words):
        raise NotOne("negated", value)
    joined = all(word == "OR" for word in spaced[1::2]) and len(spaced) == 2 * len(words) - 1
    if len(words) > 1 and not either and not joined:
        raise NotOne("pattern", value)  # all of these words at once
    return tuple(wanted(name, pattern) for word in words for pattern in patterns(word))
