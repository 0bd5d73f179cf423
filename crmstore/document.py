"""What of a message is searched: its subject, people, names of files and body, as one text. A core.

Never in it: Bcc, whoever only an envelope knew, and whom the rules of [capture] keep out. It is
kept beside the index, since the index knows words and not where they stand: phrases are looked up
here, and what is shown of a hit is cut from it. Cites: features.md A30; beyond.md 20 (a Bcc is
found by nobody but its sender).
"""

from backports import zstd

from crmstore.tokens import FIELD, ITEM

__all__ = ["BODY", "NAMES", "PEOPLE", "SUBJECT", "made", "packed", "unpacked", "with_people"]

SUBJECT, PEOPLE, NAMES, BODY = range(4)  # the fields in their order
MAX_PEOPLE = 65_536  # characters
MAX_UNPACKED = 4 << 20
_ITEMS = f" {ITEM} "
_compressor = zstd.ZstdCompressor(level=1)


def made(subject: str, people: list[tuple[str, str, str]], names: list[str], body: str) -> str:
    """The document; `people` as in facts.Facts."""
    fields = (subject, _shown(people), _ITEMS.join(names), body)
    return FIELD.join(field.replace(FIELD, " ") if FIELD in field else field for field in fields)


def with_people(document: str, people: list[tuple[str, str, str]]) -> str:
    """The same document with these people instead of its own."""
    fields = document.split(FIELD)
    fields[PEOPLE:NAMES] = [_shown(people).replace(FIELD, " ")]
    return FIELD.join(fields)


def _shown(people: list[tuple[str, str, str]]) -> str:
    return _ITEMS.join(
        f"{name} {address}" if name else address for role, address, name in people if role != "bcc"
    )[:MAX_PEOPLE]


def packed(document: str) -> bytes:
    """As it is stored."""
    return _compressor.compress(
        document.encode("utf-8", "replace"), zstd.ZstdCompressor.FLUSH_FRAME
    )


def unpacked(stored: bytes) -> str:
    """The other way; a damaged row is no text, and hinders no search."""
    try:
        return zstd.ZstdDecompressor().decompress(stored, MAX_UNPACKED).decode("utf-8", "replace")
    except zstd.ZstdError:
        return ""
