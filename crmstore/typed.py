"""Addresses that people type: validated with a word that helps, and a guess at what was meant.

flanker judges first (libraries.md "addresses"). It refuses addresses that exist, above all the
docomo form `a..b.@docomo.ne.jp`; what our tolerant reader takes is accepted with a note. It never
decides about mail on the wire, and its own spelling of an address is never used (it rewrites
xn-- domains). Imported on first use: it takes half a second and prints warnings.
"""

import contextlib
import io
import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from crmstore import addresses

__all__ = ["AddressRefused", "Typed", "check"]

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")


class AddressRefused(ValueError):
    """This is no address; the text says why and what would be one."""


@dataclass(frozen=True, slots=True)
class Typed:
    """An accepted address in the form of addresses.key(). `note`: what is odd about it; "" if
    nothing is. `meant`: another address that was perhaps meant; "" if there is no guess."""

    address: str
    name: str = ""
    note: str = ""
    meant: str = ""


def check(text: str) -> Typed:
    """One typed address, "bob@example.com" or "Bob <bob@example.com>"."""
    found = addresses.read(text, limit=2)
    if len(found) != 1:
        raise AddressRefused(f"{_shown(text)} is no address: {_why(text, len(found))}")
    name, address = found[0]
    local, _, domain = address.rpartition("@")
    labels = domain.split(".")
    if len(labels) < 2 or len(domain) > 253 or not all(map(_LABEL.match, labels)):
        raise AddressRefused(f"{_shown(text)} is no address: {domain} is no mail domain")
    if labels[-1].isdigit():
        raise AddressRefused(f"{_shown(text)} is no address: {domain} is no mail domain")
    if _flanker_takes(address):
        return Typed(address, name, meant=_guess(address))
    if _LOCAL.match(local):
        note = f"{address}: not an address by RFC 5322 (its dots), taken as it stands"
        return Typed(address, name, note, _guess(f"a@{domain}").replace("a@", f"{local}@", 1))
    raise AddressRefused(
        f'{_shown(text)} is no address: "{local}" cannot stand before the "@";'
        " allowed are letters, digits and .!#$%&'*+/=?^_`{|}~-"
    )


def _shown(text: str) -> str:
    return repr(text[:100])


def _why(text: str, found: int) -> str:
    if found > 1:
        return "give one address at a time"
    local, at, domain = text.strip().rpartition("@")
    if not at:
        return 'there is no "@"'
    if not local or not domain:
        return f'there is nothing {"before" if not local else "behind"} the "@"'
    if any(c.isspace() for c in text.strip()):
        return "there is a space in it"
    return "allowed is something like bob@example.com"


@cache
def _flanker() -> tuple[Any, Any]:
    """flanker's parser and its speller, imported in silence."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from flanker.addresslib import address, validate
    return address, validate


def _flanker_takes(address: str) -> bool:
    parser, _ = _flanker()
    try:
        return parser.parse(address, addr_spec_only=True) is not None
    except Exception:  # whatever it stumbles over, it has not said yes
        return False


def _guess(address: str) -> str:
    """What was meant, if the domain is a well-known one but for a slip."""
    _, speller = _flanker()
    try:
        meant = speller.suggest_alternate(address)
    except Exception:  # a guess is a courtesy
        return ""
    domain = addresses.domain_of(address)
    # with few letters everything is near to something
    if not isinstance(meant, str) or len(domain.partition(".")[0]) < 4:
        return ""
    return "" if meant == address else addresses.key(meant)
