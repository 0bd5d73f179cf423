"""The addresses in a cell: which of them can key a record, and what is wrong with the others.

Values in, values out; no core only because flanker is imported on first use. The judge is
crmstore.typed (flanker, then our tolerant reader for docomo-style a..b.@),
which costs half a millisecond. Lists have a million addresses, so what is plainly right (RFC 5321
dot-string at a domain of ordinary labels) is taken without asking, unless its domain is one slip
away from a well-known one: then typed says what was perhaps meant.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

from crmstore import addresses, typed
from crmstore.imports.rows import Checked

__all__ = ["check_cell"]

MAX_IN_CELL = 200

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}\Z")
_BETWEEN = re.compile(r":::|[;,\s]+")


def check_cell(cell: str) -> Iterator[Checked]:
    """Each address of a cell; several stand there with ; , ::: or spaces between them."""
    if _is_plain(cell):
        yield Checked(cell, cell.lower())
        return
    wide = unicodedata.normalize("NFKC", cell) if not cell.isascii() else cell
    pieces = _pieces(wide)
    for written in pieces[:MAX_IN_CELL]:
        yield _check(written)
    if len(pieces) > MAX_IN_CELL:
        yield Checked(pieces[MAX_IN_CELL][:100], "", "too_many")


def _pieces(cell: str) -> list[str]:
    if "<" in cell:
        # "Taro <taro@example.jp>; Hanako <hanako@example.jp>"
        found = [address for _, address in addresses.read(cell, limit=MAX_IN_CELL + 1)]
        if found:
            return found
    cell = cell.replace("、", ",")
    if cell.count("@") > 1 or ";" in cell:
        pieces = [piece for piece in _BETWEEN.split(cell) if piece]
        if all("@" in piece for piece in pieces):
            return pieces
    return [cell.strip(" ,")]


def _is_plain(text: str) -> bool:
    key = text.lower()
    return bool(_PLAIN.match(key)) and not _near_a_known_one(addresses.domain_of(key))


def _check(written: str) -> Checked:
    if _is_plain(written):
        return Checked(written, written.lower())
    text = written[7:] if written[:7].lower() == "mailto:" else written
    try:
        found = typed.check(text)
    except typed.AddressRefused:
        found = None
    if found is None or addresses.key(text) != found.address:
        return Checked(written[:320], "", _reason(text), meant=_mended(text))
    return Checked(written, found.address, "", "tolerated" if found.note else "", _sure(found))


def _reason(text: str) -> str:
    """Why an address is refused: the last part of a text's name."""
    local, at, domain = text.rpartition("@")
    if not at:
        return "no_at"
    if not local or not domain:
        return "half"
    if any(character.isspace() for character in text):
        return "space"
    if "@" in local and not local.startswith('"'):
        return "two_ats"
    if len(text) > addresses.MAX_ADDRESS or len(local) > 64:
        return "long"
    return "local" if _PLAIN.match(f"a@{domain}".lower()) else "domain"


def _mended(text: str) -> str:
    """What was perhaps meant by an address that is refused: without what slipped in."""
    mended = re.sub(r"\s+", "", text).replace("@@", "@")
    local, _, domain = mended.rpartition("@")
    domain = re.sub(r"[,.]+", ".", domain).strip(".")
    key = f"{local}@{domain}".lower()
    return key if _PLAIN.match(key) else ""


def _sure(found: typed.Typed) -> str:
    """What was meant, if it is one slip away: flanker also guesses me.com for acme.com."""
    meant = found.meant and addresses.domain_of(found.meant)
    return found.meant if meant and _one_slip(addresses.domain_of(found.address), meant) else ""


@lru_cache(maxsize=50_000)
def _near_a_known_one(domain: str) -> bool:
    """Perhaps a slip for one of flanker's well-known domains: worth half a millisecond."""
    known, first_labels, rests, less = _known()
    if domain in known:
        return False
    label, _, rest = domain.partition(".")
    if label not in first_labels and rest not in rests:
        return False  # one slip cannot be in both
    return not less.isdisjoint(_with_a_letter_less(domain))


@cache
def _known() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """flanker's well-known domains; of those that are not too short (everything is near to
    those): first labels, what is behind these, and all of them with at most one letter less."""
    typed.check("a@example.com")  # its import is made silent there
    from flanker.addresslib import corrector

    known = frozenset(corrector.MOST_COMMON_DOMAINS)
    longer = [domain for domain in known if len(domain.partition(".")[0]) >= 5]
    split = [domain.partition(".") for domain in longer]
    return (
        known,
        frozenset(label for label, _, _ in split),
        frozenset(rest for _, _, rest in split),
        frozenset(less for domain in longer for less in _with_a_letter_less(domain)),
    )


def _with_a_letter_less(domain: str) -> list[str]:
    return [domain] + [domain[:i] + domain[i + 1 :] for i in range(min(len(domain), 64))]


def _one_slip(written: str, meant: str) -> bool:
    """One letter more, less, another, or two that changed places."""
    if written == meant or abs(len(written) - len(meant)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if start is None:
        return True
    a, b = written[start:], meant[start:]
    if a[1:] == b or a == b[1:] or a[1:] == b[1:]:
        return True
    return a[:2] == b[1::-1] and a[2:] == b[2:]
