"""Rows of files into the store, batch by batch. A keeper.

Promises: a batch is one transaction, so what was counted is in the store; running the same files
again changes nothing more; memory is bounded by a batch however long the files are (scratch.py);
nobody is asked while a transaction is open. Mail that came before is linked in the same
transaction. A dry run only reads. Deals that name a contact whom nobody knows yet are tried again
at the end. Cites: features.md G9, G10, A10, A11.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from crmstore import recordbulk, relink
from crmstore.addresses import domain_of
from crmstore.imports.addresscheck import check_cell
from crmstore.imports.check import Wanted, prepare
from crmstore.imports.marks import record_of
from crmstore.imports.plan import Choice, Conflict, Decision, Known, decide
from crmstore.imports.rows import Place, Remark, Row
from crmstore.imports.scratch import Scratch
from crmstore.imports.terms import folded_name
from crmstore.kinds import WITH_CONTACT
from crmstore.store import Store, counter, micros

__all__ = ["BATCH", "Importer", "Told", "Totals"]

# Rows of one transaction: the worker waits for its turn to write a quarter of a second at most.
BATCH = 2_000

Grade = Literal["refused", "duplicate", "conflict", "note"]


class Told(NamedTuple):
    """Something about a row that the person who imports should know."""

    place: Place
    grade: Grade
    remark: Remark
    shown: str  # the record's name or address; "" if it was not read so far


@dataclass(slots=True)
class Totals:
    """Rows by what became of them. `kept`: fields that the store kept by choice."""

    rows: int = 0
    new: int = 0
    same: int = 0
    changed: int = 0
    duplicates: int = 0
    refused: int = 0
    conflicts: int = 0
    kept: int = 0
    linked: int = 0
    notes: Counter[str] = field(default_factory=Counter)


class Importer:
    """One import of one or more files. `ask` decides a conflict, True = the file wins; without it
    conflicts under the choice "ask" stay as they are in the store, and are told."""

    def __init__(
        self,
        store: Store,
        scratch: Scratch,
        tell: Callable[[Told], None],
        *,
        kind: tuple[str, str] = ("", ""),
        choice: Choice = "store",
        ask: Callable[[Conflict], bool] | None = None,
        dry_run: bool = False,
        domains: Collection[str] = (),
        never: Callable[[str], object | None] | None = None,
    ) -> None:
        self.totals = Totals()
        self._store = store
        self._scratch = scratch
        self._tell = tell
        self._kind = kind
        self._choice: Choice = choice
        self._ask = ask
        self._dry_run = dry_run
        self._domains = frozenset(domain.lower() for domain in domains)
        self._never = never
        self._users_version = -1
        self._user_addresses: frozenset[str] = frozenset()

    def take(self, file: int, rows: Iterable[Row | Remark]) -> None:
        """All rows of one file."""
        batch: list[Wanted] = []
        for item in rows:
            self.totals.rows += 1
            if isinstance(item, Remark):
                self.totals.refused += 1
                self._told(Place(file, item.line), item)
                continue
            wanted, remarks = prepare(item, file, self._kind, check_cell)
            for remark in remarks:
                self._told(Place(file, item.line), remark, item.name or item.company)
            if wanted is None:
                self.totals.refused += 1
                continue
            batch.append(wanted)
            if len(batch) >= BATCH:
                self._people_first(batch)
                batch = []
        self._people_first(batch)

    def _people_first(self, batch: Sequence[Wanted]) -> None:
        """Deals after their contacts, where those stand in the same batch: so few wait for the
        end, and records are made in the order in which an export has them."""
        self._batch([wanted for wanted in batch if wanted.kind not in WITH_CONTACT])
        self._batch([wanted for wanted in batch if wanted.kind in WITH_CONTACT])

    def finish(self) -> Totals:
        """The deals that waited for their contacts."""
        batch: list[Wanted] = []
        for wanted in self._scratch.waiting():
            batch.append(wanted)
            if len(batch) >= BATCH:
                self._batch(batch, last=True)
                batch = []
        self._batch(batch, last=True)
        return self.totals

    def _told(self, place: Place, remark: Remark, shown: str = "") -> None:
        if not remark.refused:
            self.totals.notes[remark.code] += 1
        self._tell(Told(place, "refused" if remark.refused else "note", remark, shown))

    # A batch

    def _batch(self, batch: Sequence[Wanted], *, last: bool = False) -> None:
        if not batch:
            return
        self._learn_names({wanted.kind for wanted in batch if wanted.by_name})
        answers: dict[Conflict, bool] = {}
        first = not last
        if last:
            batch = self._without_strange_marks(batch)
        while True:
            with self._transaction() as connection:
                known = self._known(connection, batch)
                decisions = self._decisions(batch, known, answers, first=first)
                asked = [conflict for one in decisions for conflict in one.conflicts]
                if not asked or self._ask is None:
                    linked = 0 if self._dry_run else self._write(connection, decisions)
                    break
            # Outside of the transaction: a person thinks for as long as they like.
            answers |= {conflict: self._ask(conflict) for conflict in asked}
            batch, first = [one.original for one in decisions], False
        if not self._dry_run:
            linked += relink.run(self._store)
        self.totals.linked += linked
        self._note_marks(decisions)
        for decision in decisions:
            self._account(decision, last=last)

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self._store.reading() if self._dry_run else self._store.writing()

    def _learn_names(self, kinds: Iterable[str]) -> None:
        """Names of records of these kinds that the scratch does not have yet.

        In a transaction that only reads, because the first time it takes a while.
        """
        for kind in kinds:
            with self._store.reading() as connection:
                self._learn(connection, kind)

    def _learn(self, connection: Connection, kind: str) -> None:
        known_to = self._scratch.named_to.get(kind, 0)
        highest = known_to

        def noted() -> Iterable[tuple[int, str]]:
            nonlocal highest
            for id_, name in recordbulk.names(connection, kind, known_to):
                highest = id_
                yield id_, name

        self._scratch.learn_names(kind, noted())
        self._scratch.named_to[kind] = highest

    def _known(self, connection: Connection, batch: Sequence[Wanted]) -> Known:
        """What the store has of a batch: a few queries, however many rows."""
        addresses = {address for wanted in batch for address in wanted.addresses}
        addresses |= {wanted.contact for wanted in batch if wanted.contact}
        marks = {wanted.contact_mark for wanted in batch if wanted.contact_mark}
        marked = {mark: record_of(mark) for mark in marks} | self._scratch.records_of(marks)
        by_address = recordbulk.ids_by_address(connection, addresses)
        ids = {id_ for found in by_address.values() for id_ in found}.union(marked.values())
        names = {(one.kind, folded_name(one.name)) for one in batch if one.by_name}
        for kind in {kind for kind, _ in names}:
            self._learn(connection, kind)
        by_name = {name: self._scratch.ids_of_name(*name) for name in names}
        ids.update(id_ for found in by_name.values() for id_ in found)
        records = recordbulk.load(connection, ids)
        contacts = {one.contact for one in records.values() if one.contact} - records.keys()
        records |= recordbulk.load(connection, contacts)
        # a record may have been renamed since its name was learned
        still = {
            (kind, folded): [
                id_ for id_ in found if id_ in records and folded_name(records[id_].name) == folded
            ]
            for (kind, folded), found in by_name.items()
        }
        ours = addresses & self._users(connection)
        ours |= {address for address in addresses if domain_of(address) in self._domains}
        coming = self._coming(batch) if self._dry_run else frozenset()
        if not any(one.mark or one.contact_mark for one in batch):
            return Known(records, by_address, still, frozenset(ours), coming=coming)
        came = self._scratch.records_of(marks)
        people = {
            mark: id_
            for mark, id_ in marked.items()
            if (one := records.get(id_)) is not None
            and one.kind not in WITH_CONTACT
            and (mark in came or one.mark == mark)
        }
        taken = self._scratch.marks_of(records)
        return Known(records, by_address, still, frozenset(ours), taken, people, coming)

    def _coming(self, batch: Sequence[Wanted]) -> frozenset[str]:
        """The main contacts of a batch, by address or mark, that the files have had: a dry run has
        not made them."""
        marks = {one.contact_mark for one in batch if one.contact_mark}
        named = {one.contact for one in batch if one.contact}
        here = {address for address in named if self._scratch.has_person(address)}
        return frozenset(here.union(self._scratch.records_of(marks)))

    def _users(self, connection: Connection) -> frozenset[str]:
        """Addresses of users, read again when somebody changed them."""
        version = counter(connection, "people")
        if version != self._users_version:
            self._user_addresses = recordbulk.ours(connection)
            self._users_version = version
        return self._user_addresses

    def _decisions(
        self,
        batch: Sequence[Wanted],
        known: Known,
        answers: Mapping[Conflict, bool],
        *,
        first: bool,
    ) -> list[Decision]:
        """What to do with each row. The `first` time without those whose key the files had
        before: the first one counts."""
        taken = dict(known.taken)
        known = known._replace(taken=taken)
        found: list[Decision] = []
        for wanted in batch:
            one = decide(wanted, known, self._choice, answers)
            if first:
                # a refused one too: else it hangs on what is written already (a batch before, a
                # call before) whether the second of two rows is a duplicate or nobody knows whose
                counts = one.verdict != "refused"
                before = self._scratch.first_with(one.wanted, one.record, note=counts)
                if before is not None:
                    self._told_duplicate(one.wanted, before)
                    continue
            if wanted.mark and one.record and _is_it(one):
                # others with its key are other records
                taken[one.record] = wanted.mark
            found.append(one)
        return found

    def _told_duplicate(self, wanted: Wanted, before: Place) -> None:
        self.totals.duplicates += 1
        values = {"line": before.line, "file": before.file}
        remark = Remark(wanted.place.line, "duplicate", False, values)
        self._tell(Told(wanted.place, "duplicate", remark, wanted.shown))

    def _note_marks(self, decisions: Sequence[Decision]) -> None:
        """Which records the rows with these marks are about, once they are written."""
        self._scratch.note_marks(
            (one.wanted.mark, one.record, one.record > 0 and _is_it(one))
            for one in decisions
            if one.wanted.mark and (one.verdict == "new" or one.record)
        )

    def _without_strange_marks(self, batch: Sequence[Wanted]) -> list[Wanted]:
        """Main contacts whose marks neither the files nor the store had are known by their
        address, as in any file."""
        marks = {one.contact_mark for one in batch if one.contact_mark}
        came = self._scratch.records_of(marks)
        ids = {mark: record_of(mark) for mark in marks - came.keys()}
        with self._store.reading() as connection:
            there = recordbulk.load(connection, ids.values())
        for mark, id_ in ids.items():
            if id_ in there and there[id_].mark == mark and there[id_].kind not in WITH_CONTACT:
                came[mark] = id_
        return [one if one.contact_mark in came else one._replace(contact_mark="") for one in batch]

    def _write(self, connection: Connection, decisions: Sequence[Decision]) -> int:
        now = micros()
        made = [one for one in decisions if one.verdict == "new"]
        fresh = [
            recordbulk.Fresh(
                one.wanted.kind,
                one.name,
                one.state,
                one.addresses,
                one.contact,
                one.wanted.type,
                one.company,
            )
            for one in made
        ]
        ids, linked = recordbulk.add_many(connection, fresh, now, self._never)
        for one, id_ in zip(made, ids, strict=True):
            one.record = id_
        changed = [one for one in decisions if one.verdict == "change"]
        more = {one.record: one.addresses for one in changed if one.addresses}
        linked += recordbulk.gain(connection, more, now, self._never)
        linked += recordbulk.set_fields(
            connection,
            {one.record: one.name for one in changed if one.name},
            {one.record: one.company for one in changed if one.company},
            {one.record: one.state for one in changed if one.state},
            self._never,
        )
        for one in changed:
            if one.contact:
                linked += recordbulk.set_main_contact(
                    connection, one.record, one.contact, self._never
                )
        return linked

    def _account(self, one: Decision, *, last: bool) -> None:
        totals, wanted = self.totals, one.wanted
        if one.verdict == "wait" and not last:
            self._scratch.wait(one.original)  # its remarks come when it is decided
            return
        for remark in one.remarks:
            self._told(wanted.place, remark, wanted.shown)
        totals.kept += one.kept
        if one.verdict == "new":
            totals.new += 1
        elif one.verdict == "same":
            totals.same += 1
        elif one.verdict == "change":
            totals.changed += 1
        elif one.verdict == "refused":
            totals.refused += 1
        elif one.verdict == "wait":
            self._without_contact(wanted)
        else:
            totals.conflicts += 1
            for conflict in one.conflicts:
                values = {"field": conflict.field, "file": conflict.file, "store": conflict.store}
                values["record"] = str(conflict.record)
                remark = Remark(wanted.place.line, "conflict", False, values)
                self._tell(Told(wanted.place, "conflict", remark, wanted.shown))

    def _without_contact(self, wanted: Wanted) -> None:
        self.totals.refused += 1
        values = {"contact": wanted.contact}
        remark = Remark(wanted.place.line, "contact_unknown", True, values)
        self._told(wanted.place, remark, wanted.shown)


def _is_it(one: Decision) -> bool:
    """Is the record what the row says, once it is written? Not where the store won."""
    return one.verdict in ("new", "same", "change") and not one.kept
