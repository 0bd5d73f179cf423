"""TNEF streams for tests, written from the description (MS-OXTNEF), not by our reader."""

import struct


def attribute(level: int, name: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(data)) + data + struct.pack("<H", sum(data) % 65536)


def stream(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def properties(*each: bytes) -> bytes:
    return struct.pack("<I", len(each)) + b"".join(each)


def variable(name: int, kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("<HHII", kind, name, 1, len(value)) + value + padding


def body(text: str) -> bytes:
    named = struct.pack("<HH16sIII", 0x3, 0x8001, bytes(16), 0, 5, 7)  # a property with a number
    words = variable(0x1000, 0x1F, text.encode("utf-16-le") + b"\0\0")
    return attribute(1, 0x00069003, properties(struct.pack("<HHI", 0x3, 0x17, 1), named, words))


def html(markup: bytes) -> bytes:
    return attribute(1, 0x00069003, properties(variable(0x1013, 0x102, markup)))


def rtf(plain: bytes) -> bytes:
    """Compressed as literals only, nine octets for eight."""
    packed = b"".join(b"\0" + plain[i : i + 8] for i in range(0, len(plain), 8))
    head = struct.pack("<II4sI", len(packed) + 12, len(plain), b"LZFu", 0)
    return attribute(1, 0x00069003, properties(variable(0x1009, 0x102, head + packed)))


def bomb() -> bytes:
    """References of 17 octets each, 8 MB of them."""
    packed = b"\xff" + b"\x00\x0f" * 8
    head = struct.pack("<II4sI", 0, 0, b"LZFu", 0)
    return attribute(1, 0x00069003, properties(variable(0x1009, 0x102, head + packed * 60_000)))


def file(name: str, data: bytes) -> bytes:
    title = attribute(2, 0x00018010, b"SHORT~1.DAT\0")
    long_name = variable(0x3707, 0x1F, name.encode("utf-16-le") + b"\0\0")
    return (
        attribute(2, 0x00069002, bytes(14))
        + title
        + attribute(2, 0x0006800F, data)
        + attribute(2, 0x00069005, properties(long_name))
    )


def many(count: int) -> bytes:
    return attribute(1, 0x00069003, properties(*[struct.pack("<HHI", 3, 0x17, 1)] * count))
