"""To whom mail is refused, for how long, and what its sender is told (core).

The rules are taxonomy.md's:
- one hard bounce is enough: the address is dead, closed, or its owner wants no more of it, or its
  server blocks us;
- a soft one never is, but `Patience.times` in a row over at least `Patience.seconds` are;
- a later success clears, if it says as much as the bounce did (`clears`).
What is believed: every rung of the ladder but the last (MATCHING.md), and of live replies only
those that are about the recipient (`counts`).

`pack` and `Packed` are the list as the doors read it: a table sorted by digests, so that a door
maps the file and finds an address among millions with twenty comparisons and no copy.
Cites: taxonomy.md; features.md D5; beyond.md section 2 row 5.
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from crmstore.whose import FORCE

__all__ = [
    "HARD", "Packed", "Patience", "Suppressed", "clears", "counts", "forced", "pack",
    "refusal",
]  # fmt: skip

Source = Literal["live", "dsn", "report"]

HARD: Final = frozenset(
    {"invalid_address", "inactive_mailbox", "unsubscribed", "policy_block", "content_block"}
)
#: The enhanced code of our refusal where the bounce gave none (RFC 3463, RFC 5248).
_CODES: Final = {
    "invalid_address": "5.1.1",
    "inactive_mailbox": "5.2.1",
    "unsubscribed": "5.7.1",
    "policy_block": "5.7.1",
    "content_block": "5.7.1",
    "mailbox_full": "5.2.2",
    "message_too_large": "5.2.3",
    "server_unavailable": "5.4.4",
    "manual": "5.7.1",
}
_MAX_WORDS: Final = 180


class Patience(NamedTuple):
    """How many soft bounces in a row, over at least so many seconds, are as good as a hard one."""

    times: int = 5
    seconds: float = 7 * 86_400.0


class Suppressed(NamedTuple):
    """Why an address is refused. `since`: seconds since 1970."""

    category: str
    status: str
    words: str
    since: float


def counts(category: str, source: Source, stage: str, *, final_hop: bool, evidence: str) -> bool:
    """May this bounce suppress its recipient, or bring them nearer to it?

    `stage`: where in the dialogue a live reply came ("" for a report). `final_hop`: it came from
    the recipient's own server and not from a relay of ours.
    """
    if source == "dsn":
        return evidence not in ("", "window")
    if source == "report":
        return True
    if stage in ("connect", "mail"):
        return False  # said of us
    if category in ("policy_block", "content_block"):
        # What our own relay thinks of a message or of its sender tells nothing of the recipient.
        return final_hop
    return True


def clears(success: Source, bounce: Source, *, final_hop: bool) -> bool:
    """Does this success end what that bounce began? A relay's 250 only takes back its own 5xx:
    it takes mail for addresses that it cannot reach, too, and reports afterwards."""
    if success == "live":
        return final_hop or bounce == "live"
    return True


def refusal(address: str, why: Suppressed) -> tuple[int, str, tuple[str, str]]:
    """The reply to RCPT: code, enhanced code, lines. It tells the reason, since when, and how to
    override it."""
    enhanced = why.status if why.status.startswith("5.") else _CODES.get(why.category, "5.7.1")
    day = datetime.fromtimestamp(max(0.0, why.since), UTC).strftime("%Y-%m-%d")
    words = "".join(c if " " <= c <= "~" else "?" for c in " ".join(why.words.split()))
    kind = why.category.replace("_", " ")
    reason = f"<{address}> is refused since {day} ({kind}): {words[:_MAX_WORDS] or 'no words'}"
    how = f"To send all the same: <{FORCE}{address}>, or `mailweir suppression remove {address}`"
    return 550, enhanced, (reason, how)


def forced(local: str) -> str | None:
    """The local part without the word that overrides a refusal; None if it is not there."""
    if local[: len(FORCE)].lower() == FORCE and len(local) > len(FORCE):
        return local[len(FORCE) :]
    return None


# The list as a file

_MAGIC: Final = b"MWSUPP1\n"
_HEAD: Final = struct.Struct(">8sQQ")  # magic, number of rows, octets in all
_ROW: Final = struct.Struct(">16sQI")  # digest of the address, where its text begins, its length


def pack(entries: Iterable[tuple[str, Suppressed]]) -> bytes:
    """The list, to be written into a file. Addresses in the form of crmstore.addresses.key()."""
    texts: list[bytes] = []
    rows: list[tuple[bytes, int, int]] = []
    at = 0
    for address, why in entries:
        text = json.dumps(list(why), separators=(",", ":")).encode("ascii")
        rows.append((_digest(address), at, len(text)))
        texts.append(text)
        at += len(text)
    rows.sort()
    begin = _HEAD.size + len(rows) * _ROW.size
    table = b"".join(_ROW.pack(digest, begin + where, size) for digest, where, size in rows)
    return _HEAD.pack(_MAGIC, len(rows), begin + at) + table + b"".join(texts)


class Packed:
    """A packed list. ValueError for anything else, or for one that is not whole."""

    def __init__(self, data: memoryview) -> None:
        if len(data) < _HEAD.size:
            raise ValueError("no suppression list")
        magic, count, size = _HEAD.unpack_from(data)
        if magic != _MAGIC or size != len(data) or _HEAD.size + count * _ROW.size > size:
            raise ValueError("no suppression list, or not all of it")
        self._data = data
        self._count: int = count

    def __len__(self) -> int:
        return self._count

    def find(self, address: str) -> Suppressed | None:
        """Why this address is refused; None if it is not."""
        if not self._count:
            return None
        wanted = _digest(address)
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            digest, at, size = _ROW.unpack_from(self._data, _HEAD.size + middle * _ROW.size)
            if digest == wanted:
                return Suppressed(*json.loads(bytes(self._data[at : at + size])))
            if digest < wanted:
                low = middle + 1
            else:
                high = middle
        return None


def _digest(address: str) -> bytes:
    return hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=16).digest()
