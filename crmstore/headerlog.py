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
from dataclasses import dataclass
from typing import NamedTuple
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


@dataclass(slots=True)
class _Unkept:
    """Frames that are to be kept: the lines of those from `first` to `last`."""

    journal: str
    first: int
    last: int
    lines: list[bytes]


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
        found = _unkept(store, door)
        if found is None:
            return total
        name = f"{FOLDER}/{quote(door, safe='')}/{found.journal or NONE}-{found.first:012d}.log"
        archive.note(name, b"".join(found.lines))
        with store.writing() as connection:
            connection.execute(
                update(schema.journal_positions)
                .where(positions.door == door)
                .values(kept_journal=found.journal, kept_seq=found.last)
            )
        total += len(found.lines)


def _unkept(store: Store, door: str) -> _Unkept | None:
    """The frames behind those that are kept, of one journal and as many as go into a note."""
    with store.reading() as connection:
        kept = connection.execute(
            select(positions.kept_journal, positions.kept_seq).where(positions.door == door)
        ).first()
        if kept is None:
            return None
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
        found: _Unkept | None = None
        octets = 0
        for journal, seq, hashed, header, disposition, reason, decided in connection.execute(
            wanted
        ):
            if found is None:
                found = _Unkept(journal, seq, seq, [])
            elif journal != found.journal:
                break
            if decided != seq:
                disposition = reason = ""
            found.lines.append(_line(hashed, disposition, reason, header))
            found.last = seq
            octets += len(header)
            if octets > OCTETS:
                break
        return found


def _line(hashed: bytes, disposition: str, reason: str, header: bytes) -> bytes:
    told = clean(reason).replace("\t", " ") if reason else ""
    ended = f"{hashed.hex()}\t{disposition}\t{told}\t".encode("utf-8", "replace")
    return b"%b%b\n" % (ended, header)


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
