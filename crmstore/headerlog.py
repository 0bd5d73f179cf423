"""The ledger's frames, kept beside the blobs: with them a lost database can be made anew.

Before a journal segment is deleted, and every ten minutes, the frames that came since are written
into the archive as a note, `headers/<door>/<journal>-<first seq>.log`: a line for each frame with
its chain hash, what became of the message (at its verdict) and the header to the octet; no bodies.
Journals and these notes together hold every frame that ever was; bodies are blobs.
Promises: what journal_positions calls kept is durable in the archive. A crash in between writes
the same frames again under the same name. Bounded: FRAMES and about OCTETS a note.
A keeper. Cites: architecture.md "Journal"; JOURNAL.md; proxy/replay.py reads them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from sqlalchemy import select, tuple_, update

from crmstore import schema
from crmstore.archive import Archive
from crmstore.charsets import clean
from crmstore.store import Store

__all__ = ["FOLDER", "Kept", "Note", "keep", "notes", "read"]

FOLDER = "headers"
FRAMES = 5_000
OCTETS = 16 << 20
NONE = "none"  # of frames that belong to no journal that we know of

ledger = schema.ledger.c
captures = schema.captures.c
positions = schema.journal_positions.c


class Kept(NamedTuple):
    """One frame. `disposition` and `reason` stand at the verdict that decided a message."""

    hash: bytes
    disposition: str
    reason: str
    header: bytes


class Note(NamedTuple):
    """One note of the archive: frames of a door's journal from `first` on."""

    name: str
    door: str
    journal: str
    first: int


def keep(store: Store, archive: Archive, door: str) -> int:
    """Write the door's frames that are in the ledger and not in the archive; how many."""
    total = 0
    while True:
        rows = _unkept(store, door)
        if not rows:
            return total
        journal = rows[0].journal
        rows = [row for row in rows if row.journal == journal]
        name = f"{FOLDER}/{quote(door, safe='')}/{journal or NONE}-{rows[0].seq:012d}.log"
        archive.note(name, b"".join(_line(row) for row in rows))
        with store.writing() as connection:
            connection.execute(
                update(schema.journal_positions)
                .where(positions.door == door)
                .values(kept_journal=journal, kept_seq=rows[-1].seq)
            )
        total += len(rows)


def _unkept(store: Store, door: str) -> list[Any]:
    with store.reading() as connection:
        kept = connection.execute(
            select(positions.kept_journal, positions.kept_seq).where(positions.door == door)
        ).first()
        if kept is None:
            return []
        place = tuple_(ledger.journal, ledger.seq)
        wanted = (
            select(
                ledger.journal,
                ledger.seq,
                ledger.hash,
                ledger.header,
                captures.disposition,
                captures.reason,
                captures.verdict_seq,
            )
            .join(schema.captures, captures.capture_id == ledger.capture_id, isouter=True)
            .where(ledger.door == door, place > tuple(kept))
            .order_by(ledger.journal, ledger.seq)
            .limit(FRAMES)
        )
        rows: list[Any] = []
        octets = 0
        for row in connection.execute(wanted):
            rows.append(row)
            octets += len(row.header)
            if octets > OCTETS:
                break
        return rows


def _line(row: Any) -> bytes:
    disposition, reason = b"", b""
    if row.verdict_seq == row.seq:
        disposition = row.disposition.encode()
        reason = clean(row.reason).replace("\t", " ").encode("utf-8", "replace")
    found = (bytes(row.hash).hex().encode(), disposition, reason, bytes(row.header))
    return b"\t".join(found) + b"\n"


def notes(archive: Archive) -> list[Note]:
    """All notes, each door's in the order of its frames."""
    found: list[Note] = []
    for name in archive.notes(FOLDER):
        parts = name.removesuffix(".log").split("/")
        journal, _, first = parts[-1].rpartition("-")
        if len(parts) == 3 and journal and first.isdigit():
            found.append(Note(name, unquote(parts[1]), journal.replace(NONE, ""), int(first)))
    return sorted(found, key=lambda note: (note.door, note.journal, note.first))


def read(archive: Archive, note: Note) -> Iterator[Kept]:
    """The frames of a note. BlobMissing, BlobDamaged; ValueError for a line that is none."""
    for line in archive.read_note(note.name).splitlines():
        hashed, disposition, reason, header = line.split(b"\t", 3)
        yield Kept(bytes.fromhex(hashed.decode()), disposition.decode(), reason.decode(), header)
