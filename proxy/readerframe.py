"""What the process that reads mail answers with: four lengths, then four runs of octets.

The first is JSON (facts without their bulk, or {"error": why}), the second the document, the others
the tokens: words and pairs (crmstore/tokens.py). All of it in one JSON cost 90 µs a message on both
sides together; marshal and pickle are not to be read from a process that a message may have got
hold of.
Limits: JSON is read by pydantic's own parser, which refuses lone surrogates and more than 200
levels; told() writes neither.
"""

import json
import struct

from pydantic_core import to_json

from crmstore.tokens import Tokens

__all__ = ["LENGTHS", "MAX_FRAME", "frame", "told"]

LENGTHS = struct.Struct("<IIII")
MAX_FRAME = 64 << 20  # octets; a longer one is nonsense
_NONE = Tokens()


def told(value: object) -> bytes:
    """The first part of a frame: plain values as JSON, "?" for a lone surrogate."""
    try:
        return to_json(value)
    except ValueError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def frame(told: bytes, document: bytes = b"", tokens: Tokens = _NONE) -> bytes:
    """An answer as it is sent."""
    words, pairs = tokens
    lengths = LENGTHS.pack(len(told), len(document), len(words), len(pairs))
    return b"".join((lengths, told, document, words, pairs))
