"""A store with mail on it, put there directly, for tests of search on any engine."""

import hashlib
from itertools import count

from sqlalchemy import insert

from crmstore import facts, schema, searchindex
from crmstore.search import Found, Wanted, search
from crmstore.store import Store, next_ids
from tests.conftest import blank

_serial = count()


def mail(subject: str = "", body: str = "", *more: str) -> bytes:
    """A plain message in UTF-8; `more` are header lines."""
    head = [f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8", *more]
    return "\r\n".join([*head, "", body]).encode()


class Shelf:
    """Mail in a store. Ids begin at 1 and follow the order of put()."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put(self, *mails: bytes, when_us: int = 1_000_000, skip: int = 0) -> list[int]:
        """Store messages as ingest would; `skip` ids stay unused before them."""
        with self.store.writing() as connection:
            if skip:
                next_ids(connection, "messages", skip)
            ids = list(next_ids(connection, "messages", len(mails)))
            entries = []
            for id_, raw in zip(ids, mails, strict=True):
                found = facts.read(raw)
                sender = next((a for role, a, _ in found.people if role == "from"), "")
                digest = hashlib.sha256(b"%d" % next(_serial) + raw).hexdigest()
                row = blank(
                    schema.messages,
                    id=id_,
                    sha256=digest,
                    identity=digest[:32],
                    when_us=when_us + id_,
                    date_us=when_us + id_,
                    subject=found.subject,
                    from_address=sender,
                    attachments=len(found.attachments),
                    preview=found.preview,
                )
                connection.execute(insert(schema.messages), [row])
                people = [
                    {
                        "id": number, "message_id": id_, "role": role, "address": address,
                        "name": name, "evidence": "header", "capture_id": None,
                        "when_us": when_us + id_,
                    }
                    for number, (role, address, name) in enumerate(found.people)
                ]  # fmt: skip
                if people:
                    connection.execute(insert(schema.participants), people)
                entries.append(searchindex.Entry(id_, when_us + id_, found.document, found.tokens))
            searchindex.add(connection, entries)
        return ids

    def find(self, text: str, wanted: Wanted | None = None, **how: object) -> list[int]:
        """Ids of a page."""
        return [row["id"] for row in self.page(text, wanted, **how).rows]

    def page(self, text: str, wanted: Wanted | None = None, **how: object) -> Found:
        return search(self.store, text, wanted, **how)  # type: ignore[arg-type]

    def all(self, text: str, limit: int = 3) -> list[int]:
        """Ids of all pages."""
        found: list[int] = []
        before: str | None = None
        while True:
            page = search(self.store, text, limit=limit, before=before)
            found += [row["id"] for row in page.rows]
            if page.next is None:
                return found
            before = page.next
