"""What the store was told by the configuration: which domains are ours, and what happens to the
mail of former addresses (relink.agree); and by that and its users: which addresses are ours.

A keeper, read side; every function works inside the caller's transaction.
"""

from collections.abc import Collection

from sqlalchemy import Connection, select

from crmstore import schema
from crmstore.linker import several

__all__ = ["hides", "ours", "recall"]

remembered = schema.remembered.c
people = schema.user_addresses.c


def recall(connection: Connection) -> dict[str, str]:
    """What agree() was told."""
    rows = connection.execute(
        select(remembered.name, remembered.value).where(
            remembered.name.in_(("address_change", "domains"))
        )
    )
    return {row.name: row.value for row in rows}


def hides(connection: Connection) -> bool:
    """Is the mail of former addresses hidden?"""
    return recall(connection).get("address_change") == "hide"


def ours(connection: Connection, wanted: Collection[str]) -> set[str]:
    """Those of these addresses that are a user's or of our domains (as agree() was told)."""
    found: set[str] = set()
    for chunk in several(wanted):
        found.update(
            connection.execute(select(people.address).where(people.address.in_(chunk))).scalars()
        )
    domains = recall(connection).get("domains", "").split()
    found.update(a for a in wanted if a.rpartition("@")[2] in domains)
    return found
