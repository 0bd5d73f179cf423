"""A row of a file to what is wanted in the store, or why it is refused. A core.

Judged by the row alone: kind, name, addresses, state. What the store has comes later (plan.py).
An address that is refused does not refuse the row as long as another one is good; a row whose every
address is refused is refused, because by its name alone it would be somebody else.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from crmstore.addresses import MAX_ADDRESS, MAX_OWNED
from crmstore.imports.marks import is_mark
from crmstore.imports.rows import Checked, Place, Remark, Row
from crmstore.imports.terms import folded_name, state_of
from crmstore.kinds import GENERAL, KINDS, TYPES, WITH_CONTACT, kind_of, type_of

__all__ = ["Wanted", "prepare"]

MAX_NAME = MAX_COMPANY = 500  # as crmstore.records has it

Judge = Callable[[str], Iterable[Checked]]  # the addresses of a cell


class Wanted(NamedTuple):
    """A record as the file wants it. `name`, `state`, `company` "" = not said."""

    place: Place
    kind: str
    name: str
    addresses: tuple[str, ...]  # in the form of addresses.key()
    state: str = ""
    contact: str = ""
    type: str = ""
    company: str = ""
    mark: str = ""  # which record it was in the export that it comes from
    contact_mark: str = ""

    @property
    def by_name(self) -> bool:
        """Is it known by its name? A person is by their addresses, if they have any."""
        return not self.addresses or self.kind == GENERAL

    @property
    def shown(self) -> str:
        """What to call it in reports."""
        return self.name or (self.addresses[0] if self.addresses else "")


def prepare(
    row: Row, file: int, default: tuple[str, str], judge: Judge
) -> tuple[Wanted | None, list[Remark]]:
    """The wanted record, and what is to be told; None if one of the remarks refuses it. `default`:
    the kind and type of a row that does not say; ("", "") = by the file's header, else contacts."""
    line = row.line
    remarks = list(row.remarks)

    def refuse(code: str, **values: object) -> tuple[None, list[Remark]]:
        remarks.append(Remark(line, code, True, values))
        return None, remarks

    kind, type_ = kind_of(row.kind) if row.kind else default
    if not row.kind and not kind:
        kind = row.hint or "contact"
    if not kind:
        return refuse("kind_unknown", kind=row.kind, allowed=", ".join((*KINDS, *TYPES)))
    if kind == GENERAL:
        type_ = type_ or type_of(row.type)
    state = state_of(row.state) if row.state else ""
    if row.state and not state:
        remarks.append(Remark(line, "state_unknown", False, {"state": row.state}))
    # "Contact e-mail" in a list of people is their own; in a list of deals it is the contact's.
    has_contact = kind in WITH_CONTACT
    cells = row.addresses if has_contact or not row.contact else (*row.addresses, row.contact)
    addresses = _addresses(line, cells, judge, remarks)
    contact = ""
    if has_contact and row.contact:
        found = _addresses(line, [row.contact], judge, remarks)
        if not found:
            return refuse("no_contact_address", contact=row.contact)
        contact = next(iter(found))
    if len(addresses) > MAX_OWNED:
        return refuse("too_many_addresses", found=len(addresses), allowed=MAX_OWNED)
    if cells and not addresses and not (has_contact and row.name):
        return refuse("no_good_address")
    name = row.name or row.company
    if not name and not addresses:
        return refuse("no_name")
    if not addresses and not folded_name(name):
        return refuse("no_name")
    if len(name) > MAX_NAME:
        remarks.append(Remark(line, "name_cut", False, {"allowed": MAX_NAME}))
        name = name[:MAX_NAME].strip()
    company = row.company[:MAX_COMPANY].strip() if row.name else ""
    place, known_by = Place(file, line), tuple(addresses)
    marks = (row.mark if is_mark(row.mark) else "", "")
    if has_contact and is_mark(row.contact_mark):
        marks = (marks[0], row.contact_mark)
    return Wanted(place, kind, name, known_by, state, contact, type_, company, *marks), remarks


def _addresses(
    line: int, cells: Collection[str], judge: Judge, remarks: list[Remark]
) -> dict[str, None]:
    """The good ones, each once, in their order; remarks on the others."""
    found: dict[str, None] = {}
    for cell in cells:
        for one in judge(cell):
            written = one.written[:MAX_ADDRESS]
            if not one.key:
                values = {"address": written, "reason": one.reason, "meant": one.meant}
                remarks.append(Remark(line, "address_refused", False, values))
                continue
            found[one.key] = None
            if one.note:
                remarks.append(Remark(line, "address_tolerated", False, {"address": one.key}))
            if one.meant:
                values = {"address": one.key, "meant": one.meant}
                remarks.append(Remark(line, "address_meant", False, values))
    return found
