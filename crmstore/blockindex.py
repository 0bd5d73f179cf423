"""The blocks of the search index: which messages have which token. A core.

The tokens of up to PART messages, whose ids lie less than PART apart, are turned round and spread
over BUCKETS by their hash. What a bucket gets of them is a part:

    head      "mwb1", CRC-32 of all that follows, base (the first id), octets of the names, number
              of tokens, octets of the postings; little-endian
    names     LF token LF token LF ... LF, in UTF-8
    counts    an octet for each token: octets of its postings, less one
    postings  an octet for each message that has the token: its id less the base, ascending

A block is parts one after the other, ids ascending: as they are (new ones), or together in one zstd
frame with a checksum (joined). Putting blocks together needs no look into them.

Promises: having() finds exactly the messages that were given to parts() with the token; it reads
the names at the speed of C and nothing else. Octets that are not a block are Damaged, never an
answer. Memory: PART_OCTETS of tokens at once, MOST_OCTETS of a block.
A pair of characters (tokens.py) lies in the bucket of its first one, so that a single character, a
beginning, is asked of one bucket as well. Cites: RFC 8878 (zstd); docs/decisions/0094.
"""

import struct
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple, TypeVar
from zlib import crc32

from backports import zstd

from crmstore.tokens import Tokens, pair

__all__ = [
    "BUCKETS", "Body", "Damaged", "Probe", "bucket", "cuts", "has", "having", "joined", "parts",
    "placed", "turned",
]  # fmt: skip

BUCKETS = 256
PART = 256  # messages
PART_OCTETS = 4 << 20  # of their tokens
REMEMBERED = 1 << 15  # words, and as many pairs: 8 MB
MOST_OCTETS = 256 << 20
_HEAD = struct.Struct("<4sIQIII")
_NUMBER = struct.Struct("=I")  # as memoryview.cast() reads one
_MAGIC = b"mwb1"
_CHECKED = 8  # octets before those that the checksum is of
_PACKED = b"\x28\xb5\x2f\xfd"
_LF = b"\n"
_compressor = zstd.ZstdCompressor(
    options={
        zstd.CompressionParameter.compression_level: 1,
        zstd.CompressionParameter.checksum_flag: 1,
    }
)

_Token = TypeVar("_Token", bytes, int)
Message = tuple[int, Tokens]  # its id, and what it says


class Damaged(ValueError):
    """These octets are no block."""


class Probe(NamedTuple):
    """What is looked for: a token, or (not `whole`) how a token of a pair begins."""

    token: bytes
    whole: bool = True


def bucket(token: bytes) -> int:
    """Where a token lies: at least the first character of a pair decides it."""
    lead = token[0]
    if lead >= 0xE0 and len(token) <= 8:  # characters of three and four octets
        token = token[: 3 if lead < 0xF0 else 4]
    return crc32(token) % BUCKETS


def cuts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Messages, ids ascending, as many at a time as make a part."""
    start = size = 0
    for place, (id_, tokens) in enumerate(messages):
        if place > start and (id_ - messages[start][0] >= PART or size > PART_OCTETS):
            yield messages[start:place]
            start, size = place, 0
        size += tokens.octets
    if messages:
        yield messages[start:]


class Body(NamedTuple):
    """A part without its head, so wherever its messages come to lie."""

    names: int  # octets of them
    tokens: int
    octets: bytes


def parts(messages: Sequence[Message]) -> list[bytes]:
    """The part of each bucket; empty where no token lies in it. `messages` as of cuts()."""
    base = messages[0][0]
    return placed(base, turned([(id_ - base, tokens) for id_, tokens in messages]))


def turned(messages: Sequence[Message]) -> list[Body | None]:
    """The tokens of messages with ids below PART, turned round: by bucket."""
    words: defaultdict[bytes, bytearray] = defaultdict(bytearray)
    pairs: defaultdict[int, bytearray] = defaultdict(bytearray)
    for id_, tokens in messages:
        _add(words, tokens.words.split(), id_)
        _add(pairs, memoryview(tokens.pairs).cast("I").tolist(), id_)
    names: list[list[bytes]] = [[] for _ in range(BUCKETS)]
    postings: list[list[bytes | bytearray]] = [[] for _ in range(BUCKETS)]
    for (place, token), posting in zip(map(_pairs.__getitem__, pairs), pairs.values(), strict=True):
        if token:
            if token in words:  # of another message, in UTF-8
                posting = bytearray(sorted({*posting, *words.pop(token)}))
            names[place].append(token)
            postings[place].append(posting)
    for place, item in zip(map(_words.__getitem__, words), words.items(), strict=True):
        names[place].append(item[0])
        postings[place].append(item[1])
    return [_body(*both) if both[0] else None for both in zip(names, postings, strict=True)]


def _add(postings: defaultdict[_Token, bytearray], tokens: list[_Token], id_: int) -> None:
    """800 tokens a message: no loop of ours over them."""
    if len(tokens) > 1:
        deque(map(bytearray.append, itemgetter(*tokens)(postings), repeat(id_)), 0)
    elif tokens:
        postings[tokens[0]].append(id_)


class _Words(dict[bytes, int]):
    """bucket() of the words that were met last: half of it, at the price of looking it up."""

    def __missing__(self, token: bytes) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        place = self[token] = bucket(token)
        return place


class _Pairs(dict[int, tuple[int, bytes]]):
    """bucket() and UTF-8 of the pairs that were met last, b"" for those that are no token."""

    def __missing__(self, number: int) -> tuple[int, bytes]:
        if len(self) >= REMEMBERED:
            self.clear()
        token = pair(_NUMBER.pack(number)).encode()
        found = self[number] = bucket(token) if token else 0, token
        return found


_words, _pairs = _Words(), _Pairs()


def _body(names: list[bytes], postings: list[bytes | bytearray]) -> Body:
    counts = list(map(len, postings))
    if max(counts) > PART:  # a token may stand in a message's tokens several times
        postings = [bytes(sorted(set(one))) if len(one) > PART else one for one in postings]
        counts = list(map(len, postings))
    text = b"\n%b\n" % _LF.join(names)
    octets = text + bytes([count - 1 for count in counts]) + b"".join(postings)
    return Body(len(text), len(names), octets)


def placed(base: int, bodies: Iterable[Body | None]) -> list[bytes]:
    """The parts of messages whose ids begin at `base`."""
    return [b"" if body is None else _part(base, *body) for body in bodies]


def _part(base: int, names: int, tokens: int, octets: bytes) -> bytes:
    size = len(octets) - names - tokens
    head = _HEAD.pack(_MAGIC, 0, base, names, tokens, size)
    check = crc32(octets, crc32(head[_CHECKED:]))
    return _HEAD.pack(_MAGIC, check, base, names, tokens, size) + octets


def joined(blocks: Iterable[bytes]) -> bytes:
    """One block of several, ids ascending. Damaged if one of them is."""
    return _compressor.compress(b"".join(map(_raw, blocks)), zstd.ZstdCompressor.FLUSH_FRAME)


def _raw(block: bytes) -> bytes:
    """The parts, undamaged."""
    if block.startswith(_PACKED):
        unpacking = zstd.ZstdDecompressor()
        try:
            raw = unpacking.decompress(block, MOST_OCTETS)
        except zstd.ZstdError as error:
            raise Damaged(str(error)) from None
        if not unpacking.eof:
            raise Damaged("cut off")
        return raw
    for check, start, end in _walk(block):
        if crc32(memoryview(block)[start:end]) != check:
            raise Damaged("another checksum")
    return block


def _walk(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """(checksum, where what it is of begins and ends) of each part."""
    place = 0
    while place < len(raw):
        start = place + _HEAD.size
        if start > len(raw):
            raise Damaged("cut off")
        magic, check, _, names, tokens, size = _HEAD.unpack_from(raw, place)
        place = start + names + tokens + size
        if magic != _MAGIC or place > len(raw):
            raise Damaged("no part")
        yield check, start - _HEAD.size + _CHECKED, place


def having(block: bytes, probe: Probe) -> dict[int, bytes]:
    """Base of a part -> what to add to it for the ids of the messages that have the token."""
    raw = _raw(block)
    needle = b"\n%b\n" % probe.token if probe.whole else _LF + probe.token
    found: dict[int, bytes] = {}
    place, at = 0, -1
    while place < len(raw):
        _, _, base, names, tokens, size = _HEAD.unpack_from(raw, place)
        start = place + _HEAD.size
        counts = start + names
        place = counts + tokens + size
        if at < start:  # the last one was found, or stood by chance in something else
            at = raw.find(needle, start)
            if at < 0:
                break
        if at + len(needle) <= counts:
            found[base] = _postings(raw, needle, at, start, counts, tokens, whole=probe.whole)
    return found


def _postings(
    raw: bytes, needle: bytes, at: int, start: int, counts: int, tokens: int, *, whole: bool
) -> bytes:
    """Of the token at `at` and, of beginnings, of those behind it."""
    several: list[bytes] = []
    number, first = raw.count(_LF, start, at), counts + tokens
    before = sum(raw[counts : counts + number]) + number
    while True:
        size = raw[counts + number] + 1
        several.append(raw[first + before : first + before + size])
        following = -1 if whole else raw.find(needle, at + 1, counts)
        if following < 0:
            return b"".join(several)
        passed = raw.count(_LF, at, following)
        before += sum(raw[counts + number : counts + number + passed]) + passed
        number, at = number + passed, following


def has(tokens: bytes, probe: Probe) -> bool:
    """The same of one message's tokens, with a space around each."""
    return (b" %b " % probe.token if probe.whole else b" " + probe.token) in tokens
