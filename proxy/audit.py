"""Reconciliation: accepted = captured + excluded (by reason) + failed, with the chain verified.

First the ledger against captures, messages and blobs (crmstore/ledger.py), then each door's
journal against where its ledger ends. A gap is anything that breaks the promise "never a 250 for
a message that the CRM does not have or has not recorded as excluded".
Promises: changes nothing; bounded memory; may run beside doors and worker.
Cites: architecture.md "Journal"; contract.md `mailweir audit`; JOURNAL.md.
"""

from pathlib import Path

from crmstore import ledger
from crmstore.archive import Archive
from crmstore.ledger import AuditReport, Gap
from crmstore.store import Store, micros
from proxy.journalfmt import Damage
from proxy.journalread import Position, follow, segment_path
from proxy.tail import doors, replaced

__all__ = ["AuditReport", "Gap", "reconcile"]

_TRIES = 5

Evidence = tuple[int, str, str]  # seq, capture id, what


def reconcile(
    store: Store,
    archive: Archive,
    journal_dir: Path,
    *,
    since: float | None = None,
    until: float | None = None,
    deep: bool = False,
) -> AuditReport:
    """The account of messages accepted from `since` up to `until` (seconds since 1970).

    Messages that the store does not have yet, and those without verdict, are `pending`.
    `deep` reads every blob.
    """
    report = AuditReport()
    told = ledger.account(
        store,
        archive,
        report,
        since_us=None if since is None else micros(since),
        until_us=None if until is None else micros(until),
        deep=deep,
    )
    for door in sorted({*told, *doors(journal_dir)}):
        _journal(store, journal_dir / door, told.get(door, ("", 0)), report)
    return report


def _journal(store: Store, folder: Path, counted: tuple[str, int], report: AuditReport) -> None:
    """One door's journal against the end of its ledger."""
    for _ in range(_TRIES):
        try:
            pending, found = _behind(store, folder, counted)
        except FileNotFoundError:
            continue  # ingested and deleted under our eyes: begin again where it is now
        report.pending += pending
        for seq, capture_id, what in found:
            report.gap(folder.name, seq, capture_id, what, chain=True)
        return
    report.gap(folder.name, 0, "", "the journal changes too fast to be read")


def _behind(store: Store, folder: Path, counted: tuple[str, int]) -> tuple[int, list[Evidence]]:
    """Messages that came into the store behind the frame `counted`, and those behind the store's
    position; and what is wrong on the way to them."""
    found: list[Evidence] = []
    stands, end, pending = ledger.end_of(store, folder.name, counted)
    if (stands is None) != (end is None) or (
        stands is not None
        and end is not None
        and (stands.journal, stands.seq, stands.hash) != (end.journal, end.seq, end.hash)
    ):
        seq = end.seq if end is not None else 0
        found.append((seq, "", "the ledger does not end where ingest says it stands"))
    position = None
    # of a journal that was replaced the ledger will tell, once ingest has read the new one
    if stands is not None and not replaced(folder, stands):
        position = Position(stands.segment, stands.offset, stands.seq, stands.hash)
    first = position is None
    for number, item in follow(folder, position):
        if isinstance(item, Damage):
            what = f"segment {number}: {item.reason}"
            if item.last_seq is not None:
                what += f", frames {item.first_seq} to {item.last_seq}"
            found.append((item.first_seq or 0, "", what))
            continue
        if first and item.seq != 1:
            found.append((item.seq, item.id, f"the journal begins at frame {item.seq}"))
        elif item.linked is False:
            found.append((item.seq, item.id, "the chain is broken before this frame"))
        first = False
        pending += item.kind == "message"
    for seq, capture_id, segment in ledger.waiting(store, folder.name):
        if not segment_path(folder, segment).exists():
            what = f"it waits for its verdict, and segment {segment} is gone"
            found.append((seq, capture_id, what))
    return pending, found
