"""What a server said it can do: the EHLO (or LHLO) reply, read once (core).

A core. Keywords are upper case, their parameters stay as they came; a keyword that is none
(RFC 5321 section 4.1.1.1: letters, digits, hyphen) is dropped. `AUTH=LOGIN PLAIN`, the form from
before RFC 2554 that some servers still send beside or instead of `AUTH`, is read as `AUTH`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy.smtp.replies import Reply

#: What a door may offer only where the server behind it does, in the order of our own list.
RELAYED: Final = ("8BITMIME", "SMTPUTF8", "DSN", "CHUNKING")

_KEYWORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions of one server; empty after a HELO."""

    keywords: Mapping[str, str] = field(default_factory=dict)
    #: The largest message it takes; None if it does not say (RFC 1870: 0 is no limit).
    size: int | None = field(init=False, compare=False)
    #: Which of RELAYED it has.
    relayed: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Read once for each connection to a next hop, asked for in each session.
        value = self.keywords.get("SIZE", "")
        good = value.isascii() and value.isdigit() and len(value) < 20
        object.__setattr__(self, "size", (int(value) or None) if good else None)
        object.__setattr__(self, "relayed", tuple(k for k in RELAYED if k in self.keywords))

    @classmethod
    def from_reply(cls, reply: Reply) -> Capabilities:
        """Of a good EHLO reply: its first line is a greeting, each other one keyword."""
        keywords: dict[str, str] = {}
        for line in reply.lines[1:]:
            keyword, _, params = line.decode("utf-8", "replace").strip().partition(" ")
            keyword = keyword.upper()
            if keyword.startswith("AUTH="):
                keyword, params = "AUTH", f"{keyword[5:]} {params}".strip()
            if not _KEYWORD.match(keyword):
                continue
            if keyword == "AUTH" and "AUTH" in keywords:
                params = f"{keywords['AUTH']} {params}"
            keywords[keyword] = params.strip()
        return cls(keywords)

    def has(self, keyword: str) -> bool:
        """Was it offered? The keyword is asked for in upper case."""
        return keyword in self.keywords

    @property
    def auth(self) -> tuple[str, ...]:
        """The SASL mechanisms, upper case, in the server's order."""
        return tuple(dict.fromkeys(self.keywords.get("AUTH", "").upper().split()))
