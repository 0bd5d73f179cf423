"""Folders by the names of records: which record a folder of somebody's mailbox is about.

A folder is known by the last part of its name ("Acme" of "Clients/Acme" and "INBOX.Clients.Acme").
It is a record's if just one record of all kinds has this for its name or its company, compared
without case, width and spaces; nobody guesses.
A keeper, read side. Limits: every name is read once, since no index has names in that form.
Cites: features.md A19, G10.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import select

from crmstore import schema
from crmstore.imports.terms import folded_name
from crmstore.store import Store

__all__ = ["last_part", "records_named"]

records = schema.records.c
PAGE = 5_000


def last_part(folder: str) -> str:
    """Of the name of a folder. Below INBOX it shows what the server puts between the parts
    (RFC 9051 section 5.1); else that is "/", as in Gmail."""
    below = folder[:6] in ("INBOX.", "INBOX/")
    return folder.rpartition(folder[5] if below else "/")[2].strip()


def records_named(store: Store, folders: Iterable[str]) -> dict[str, list[int]]:
    """For each folder the records that it may be about, by id."""
    wanted = {folder: folded_name(last_part(folder)) for folder in folders}
    names = {name for name in wanted.values() if name}
    found: dict[str, set[int]] = {}
    for id_, *called in _called(store) if names else ():
        for folded in {folded_name(name) for name in called} & names:
            found.setdefault(folded, set()).add(id_)
    return {folder: sorted(found.get(name, ())) for folder, name in wanted.items()}


def _called(store: Store) -> Iterator[tuple[int, str, str]]:
    """(id, name, company) of every record."""
    after = 0
    while True:
        with store.reading() as connection:
            page = connection.execute(
                select(records.id, records.name, records.company)
                .where(records.id > after)
                .order_by(records.id)
                .limit(PAGE)
            ).all()
        yield from ((row.id, row.name, row.company) for row in page)
        if len(page) < PAGE:
            return
        after = page[-1].id
