"""Records as vCards 4.0 (RFC 6350) or 3.0 (RFC 2426) that vcard.py reads back to the same. A core.

Lines are folded at 75 octets, never inside a character. What vCard has no property for stands in
extended ones (X-MAILWEIR-...), which other programs pass over.
"""

from typing import Literal

from crmstore.imports.csvout import Exported
from crmstore.imports.vcard import CONTACT, CONTACT_MARK, KIND, STATE, TYPE

__all__ = ["FOLD_AT", "vcard"]

FOLD_AT = 75

_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})


def vcard(
    record: Exported, contact: Exported | None, version: Literal["4.0", "3.0"] = "4.0"
) -> str:
    """One card. `contact` is the record's main contact."""
    shown = record.name.translate(_ESCAPES)
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"FN:{shown}", f"N:{shown};;;;"]
    if record.company:
        lines.append(f"ORG:{record.company.translate(_ESCAPES)}")
    for position, address in enumerate(record.addresses, 1):
        if version == "4.0":
            how = f";PREF={min(position, 100)}"
        else:
            how = ";TYPE=INTERNET,PREF" if position == 1 else ";TYPE=INTERNET"
        lines.append(f"EMAIL{how}:{address.translate(_ESCAPES)}")
    lines.append(f"{KIND}:{record.kind.translate(_ESCAPES)}")
    if record.type:
        lines.append(f"{TYPE}:{record.type.translate(_ESCAPES)}")
    if record.state != "open":
        lines.append(f"{STATE}:{record.state.translate(_ESCAPES)}")
    if contact is not None:
        if contact.addresses:
            lines.append(f"{CONTACT}:{contact.addresses[0].translate(_ESCAPES)}")
        lines.append(f"{CONTACT_MARK}:{contact.mark}")
    # RFC 6350 section 6.7.6: a URI, unless it says that it is text
    lines.append(f"UID{';VALUE=text' if version == '4.0' else ''}:{record.mark}")
    lines.append("END:VCARD")
    return "".join(map(_folded, lines))


def _folded(line: str) -> str:
    """A content line with its end, folded (RFC 6350 section 3.2)."""
    data = line.encode("utf-8", "replace")
    pieces: list[str] = []
    while len(data) > (room := FOLD_AT - bool(pieces)):  # a space stands before all but the first
        cut = room
        while data[cut] & 0xC0 == 0x80:  # inside a character
            cut -= 1
        pieces.append(data[:cut].decode())
        data = data[cut:]
    pieces.append(data.decode())
    return "\r\n ".join(pieces) + "\r\n"
