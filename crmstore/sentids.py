"""A Message-ID as a number to look it up by (a core).

Message-IDs are long, odd, and come back from reports with or without their brackets, folded or in
other case on the right of the "@": 63 bits of a digest of the plain form make an index of any of
them. Two that collide cost a look at the second; the recipient decides.
Cites: beyond.md 3 (a 15 kB Message-ID).
"""

import hashlib

__all__ = ["id_hash"]


def id_hash(message_id: str) -> int:
    """The same for every form in which servers give a Message-ID back; 0 for none."""
    plain = "".join(message_id.split()).strip("<>")
    if not plain:
        return 0
    local, at, domain = plain.rpartition("@")
    text = f"{local}@{domain.lower()}" if at else plain
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
