"""How much there is: the numbers that `status` shows. A keeper, read side; cheap at any size."""

from dataclasses import dataclass

from sqlalchemy import func, select

from crmstore import schema
from crmstore.store import Store, counter

__all__ = ["Figures", "figures"]


@dataclass(frozen=True, slots=True)
class Figures:
    """`messages`, `records` and `users` are how many were ever made; `pending` wait for their
    verdict."""

    messages: int
    records: int
    users: int
    pending: int


def figures(store: Store) -> Figures:
    """The numbers now."""
    captures = schema.captures.c
    with store.reading() as connection:
        pending = connection.execute(
            select(func.count()).where(captures.disposition == "pending")
        ).scalar_one()
        return Figures(
            messages=counter(connection, "messages"),
            records=counter(connection, "records"),
            users=counter(connection, "users"),
            pending=int(pending),
        )
