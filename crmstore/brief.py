"""A record in brief: what an import compares and an export writes. A core."""

from typing import NamedTuple

from crmstore.imports.marks import mark_of

__all__ = ["Brief"]


class Brief(NamedTuple):
    """A record without its mail and its history."""

    id: int
    kind: str
    name: str
    state: str
    addresses: tuple[str, ...]  # current, in their order
    contact: int | None  # the main contact of a deal
    type: str = ""
    company: str = ""
    created_us: int = 0

    @property
    def mark(self) -> str:
        """What it is called in files of ours."""
        return mark_of(self.id, self.created_us)
