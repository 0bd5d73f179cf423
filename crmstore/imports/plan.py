"""What an import does with a wanted record, given what the store has. A core.

The key of a record is its addresses within its kind; without an address its name, compared without
case, width and spaces (the rule of the documents, features.md G10). Then:
- nobody has the key: new. New records never have conflicts.
- one has it: `same`, or `change` for what was empty (an address more, a name where there was only
  an address), or a conflict for each field in which both say something else. By choice the file
  wins, the store wins, or somebody is asked (G9). Addresses never conflict: a record may have many.
- several have it: refused, unless just one of them has the name too. Nobody guesses.
- a person without address whose name several have: the one without address of these, if it is one.
- a deal without address of its own is known by its name and its main contact: two customers may
  both have a "Renewal 2027".
- a general record (a quote, an invoice) is known by its type and its name: one customer has many.
- rows of our own export say by their marks (marks.py) which record each of them was. Two of them
  are two records even with one key; of several records that have the key it is the one with that
  mark, or one that is just as the row says, and none that another such row has become.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from crmstore.brief import Brief
from crmstore.imports.check import Wanted
from crmstore.imports.rows import Place, Remark
from crmstore.imports.terms import folded_name

__all__ = ["Choice", "Conflict", "Decision", "Known", "decide"]

Choice = Literal["ask", "file", "store"]
Verdict = Literal["new", "same", "change", "conflict", "refused", "wait"]


NOBODY = Wanted(Place(0, 0), "", "", ())


NONE_TAKEN: Mapping[int, str] = {}
NONE_MARKED: Mapping[str, int] = {}
COMING = -1  # a main contact that only a run that writes would have made by now


class Known(NamedTuple):
    """What the store has of a batch of wanted records."""

    records: Mapping[int, Brief]
    by_address: Mapping[str, Sequence[int]]  # current addresses only
    by_name: Mapping[tuple[str, str], Sequence[int]]  # (kind, folded name)
    ours: frozenset[str]  # addresses that belong to us, and key nothing
    taken: Mapping[int, str] = NONE_TAKEN  # whose mark a row had that a record has become
    marked: Mapping[str, int] = NONE_MARKED  # the people whose marks rows name as main contact
    coming: frozenset[str] = frozenset()  # addresses and marks of who is COMING


class Conflict(NamedTuple):
    """A field in which file and store differ. `record` is the store's."""

    wanted: Wanted
    record: int
    field: Literal["name", "state", "contact", "company"]
    file: str
    store: str


@dataclass(slots=True)
class Decision:
    """What happens to `wanted`, which is the `original` without addresses of ours. `name`, `state`,
    `contact` are set where they change; `conflicts` are those that nobody has decided yet; `kept`
    were decided for the store."""

    verdict: Verdict
    wanted: Wanted
    record: int = 0
    name: str = ""
    state: str = ""
    contact: int = 0
    company: str = ""
    addresses: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    kept: int = 0
    remarks: tuple[Remark, ...] = ()
    original: Wanted = NOBODY


def decide(
    wanted: Wanted, known: Known, choice: Choice, answers: Mapping[Conflict, bool]
) -> Decision:
    """`answers`: conflicts that were asked about, True = the file wins."""
    decision, remarks = _decided(wanted, known, choice, answers)
    decision.remarks = tuple(remarks)
    decision.original = wanted
    return decision


def _decided(
    wanted: Wanted, known: Known, choice: Choice, answers: Mapping[Conflict, bool]
) -> tuple[Decision, list[Remark]]:
    remarks: list[Remark] = []
    line = wanted.place.line
    if wanted.contact_mark:
        marked = known.marked.get(wanted.contact_mark)
        if marked is None and wanted.contact_mark not in known.coming:
            return Decision("wait", wanted), remarks
        person = known.records[marked] if marked is not None else None
        if person and wanted.contact and wanted.contact not in person.addresses:
            wanted = wanted._replace(contact_mark="")  # somebody has written another one since
    good = _not_ours(wanted, known, remarks)
    if good is None:
        return Decision("refused", wanted), remarks
    wanted = good
    contact = 0
    if wanted.contact_mark:
        contact = known.marked.get(wanted.contact_mark, COMING)
    elif wanted.contact:
        contacts = _contacts(wanted.contact, known)
        if len(contacts) > 1:
            values = {"name": wanted.contact, "records": ", ".join(map(str, contacts[:10]))}
            remarks.append(Remark(line, "several_records", True, values))
            return Decision("refused", wanted), remarks
        if not contacts and wanted.contact not in known.coming:
            return Decision("wait", wanted), remarks
        contact = contacts[0] if contacts else COMING
    found = _matches(wanted, contact, known)
    if len(found) > 1:
        values = {"name": wanted.shown, "records": ", ".join(str(one.id) for one in found[:10])}
        remarks.append(Remark(line, "several_records", True, values))
        return Decision("refused", wanted), remarks
    if found:
        return _existing(wanted, found[0], contact, known, choice, answers), remarks
    return _new(wanted, contact, remarks), remarks


def _not_ours(wanted: Wanted, known: Known, remarks: list[Remark]) -> Wanted | None:
    """Without our own addresses; None if they were all it had, or its contact is one of us."""
    contact_ours = wanted.contact in known.ours and not wanted.contact_mark
    if known.ours.isdisjoint(wanted.addresses) and not contact_ours:
        return wanted
    good = tuple(address for address in wanted.addresses if address not in known.ours)
    line = wanted.place.line
    for address in wanted.addresses:
        if address in known.ours:
            remarks.append(Remark(line, "address_ours", not good, {"address": address}))
    if contact_ours:
        remarks.append(Remark(line, "address_ours", True, {"address": wanted.contact}))
        return None
    return wanted._replace(addresses=good) if good else None


def _matches(wanted: Wanted, contact: int, known: Known) -> list[Brief]:
    """The records of the kind that have the key, fewer than all if the name tells them apart."""
    ids = {id_ for address in wanted.addresses for id_ in known.by_address.get(address, ())}
    folded = folded_name(wanted.name)
    if wanted.by_name:
        ids = set(known.by_name.get((wanted.kind, folded), ()))
    found = [known.records[id_] for id_ in sorted(ids) if id_ in known.records]
    found = [one for one in found if (one.kind, one.type) == (wanted.kind, wanted.type)]
    if contact and wanted.by_name:
        found = [one for one in found if one.contact in (contact, None)]
    if wanted.mark:
        found = [one for one in found if known.taken.get(one.id, wanted.mark) == wanted.mark]
        alike = [one for one in found if one.mark == wanted.mark]
        alike = alike or [one for one in found if _just_as(wanted, contact, one)]
        found = alike[:1] or found
    if len(found) > 1 and wanted.by_name:
        bare = [one for one in found if not one.addresses]
        return bare if len(bare) == 1 else found
    if len(found) > 1:
        named = [one for one in found if folded and folded_name(one.name) == folded]
        return named if len(named) == 1 else found
    return found


def _just_as(wanted: Wanted, contact: int, one: Brief) -> bool:
    """Is there nothing in the row that the record does not have, and nothing more in the record?"""
    return (
        (one.name, one.addresses) == (wanted.shown, wanted.addresses)
        and one.state == (wanted.state or "open")
        and (one.company, one.contact or 0) == (wanted.company, contact)
    )


def _contacts(address: str, known: Known) -> list[int]:
    """Who may be a deal's main contact by this address: contacts, else leads."""
    found = [known.records[id_] for id_ in known.by_address.get(address, ())]
    for kind in ("contact", "lead"):
        if ids := [one.id for one in found if one.kind == kind]:
            return ids
    return []


def _new(wanted: Wanted, contact: int, remarks: list[Remark]) -> Decision:
    if wanted.kind == "deal" and not contact:
        values = {"name": wanted.shown}
        remarks.append(Remark(wanted.place.line, "deal_without_contact", True, values))
        return Decision("refused", wanted)
    return Decision(
        "new",
        wanted,
        name=wanted.shown,
        state=wanted.state or "open",
        contact=contact,
        company=wanted.company,
        addresses=wanted.addresses,
    )


def _existing(
    wanted: Wanted,
    record: Brief,
    contact: int,
    known: Known,
    choice: Choice,
    answers: Mapping[Conflict, bool],
) -> Decision:
    decision = Decision("same", wanted, record.id)
    more = tuple(address for address in wanted.addresses if address not in record.addresses)
    decision.addresses = more
    conflicts: list[Conflict] = []
    if wanted.name and folded_name(wanted.name) != folded_name(record.name):
        if record.name in record.addresses:  # nobody has named it yet
            decision.name = wanted.name
        elif wanted.name not in wanted.addresses:
            conflicts.append(Conflict(wanted, record.id, "name", wanted.name, record.name))
    if wanted.company and folded_name(wanted.company) != folded_name(record.company):
        if not record.company:
            decision.company = wanted.company
        else:
            conflicts.append(Conflict(wanted, record.id, "company", wanted.company, record.company))
    if wanted.state and wanted.state != record.state:
        conflicts.append(Conflict(wanted, record.id, "state", wanted.state, record.state))
    if contact and contact != record.contact:
        if record.contact is None:
            decision.contact = contact
        else:
            named = wanted.contact or _address_of(contact, known, wanted.contact_mark)
            shown = _address_of(record.contact, known)
            conflicts.append(Conflict(wanted, record.id, "contact", named, shown))
    undecided: list[Conflict] = []
    for conflict in conflicts:
        wins = answers.get(conflict, {"file": True, "store": False}.get(choice))
        if wins is None:
            undecided.append(conflict)
        elif not wins:
            decision.kept += 1
        elif conflict.field == "name":
            decision.name = conflict.file
        elif conflict.field == "state":
            decision.state = conflict.file
        elif conflict.field == "company":
            decision.company = conflict.file
        else:
            decision.contact = contact
    if undecided:
        decision.verdict = "conflict"
        decision.conflicts = tuple(undecided)
    elif any((decision.name, decision.state, decision.contact, decision.company, more)):
        decision.verdict = "change"
    return decision


def _address_of(id_: int, known: Known, mark: str = "") -> str:
    found = known.records.get(id_)
    if found is None and mark:
        return mark
    return found.addresses[0] if found is not None and found.addresses else f"#{id_}"
