"""A file out of a message, by its number in the list that facts.py makes. A core.

For whoever wants the file itself: a person, or later a record. Promises: never raises on content;
the same numbers as `attachments` of the message, files of winmail.dat included.
Cites: features.md F7, F8.
"""

from crmstore import bodytext, facts, tnef
from crmstore.content import content
from crmstore.mimetree import parse

__all__ = ["file"]


def file(data: bytes, number: int) -> bytes | None:
    """The octets of attachment `number` (from 0) of a raw message; None if there is none."""
    tree = parse(data)
    opened = bodytext.read(data, tree).opened
    for position, leaf in enumerate(tree.leaves):
        inside = opened.get(position)
        count = len(facts.attachments(data, leaf, position, inside))
        if number >= count:
            number -= count
            continue
        octets = content(data, leaf, leaf.end - leaf.start)
        return octets if inside is None else tnef.read(octets).files[number].data
    return None
