"""The structure of messages: held to the stdlib's parser, bounded where that is not."""

import re
import time
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.mimetree import MAX_DEPTH, MAX_PARTS, parse
from tests.corpus import mails


def own(data: bytes) -> list[tuple[str, bytes]]:
    return [(leaf.type, data[leaf.start : leaf.end]) for leaf in parse(data).leaves]


def stdlib(message: Message) -> list[tuple[str, bytes | None]]:
    payload = message.get_payload()
    if message.get_content_maintype() == "multipart" and isinstance(payload, list):
        return [leaf for part in payload if isinstance(part, Message) for leaf in stdlib(part)]
    if isinstance(payload, list):  # message/*: one leaf for us
        return [(message.get_content_type(), None)]
    text = message._payload  # type: ignore[attr-defined]  # get_payload() would decode it
    return [(message.get_content_type(), text.encode("ascii", "surrogateescape"))]


def agrees(data: bytes) -> bool:
    """Up to white space, which the two cut differently at broken ends."""
    ours = [(kind, b" ".join(body.split())) for kind, body in own(data)]
    theirs = stdlib(BytesParser(policy=compat32).parsebytes(data))
    return len(ours) == len(theirs) and all(
        a == c and (d is None or b == b" ".join(d.split()))
        for (a, b), (c, d) in zip(ours, theirs, strict=True)
    )


NESTED = b"""Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: multipart/alternative; boundary="in ner"

--in ner

plain
--in ner
Content-Type: text/html

<p>html</p>
--in ner--
epilogue of inner
--outer
Content-Type: application/pdf
Content-Transfer-Encoding: base64

QUJD
--outer--
epilogue
--outer
never a part
"""


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_nested(ending: bytes) -> None:
    data = NESTED.replace(b"\n", ending)
    assert own(data) == [
        ("text/plain", b"plain"),
        ("text/html", b"<p>html</p>"),
        ("application/pdf", b"QUJD"),
    ]
    assert agrees(data)


CASES = {
    "no multipart": (b"Subject: x\n\nbody\n--x\nbody\n", ["text/plain"]),
    "no end": (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo",
        ["text/plain"] * 2,
    ),
    "an outer delimiter ends an inner multipart": (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\n"
        b"Content-Type: multipart/mixed; boundary=i\n\n--i\n\none\n--o\n\ntwo\n--o--\n",
        ["text/plain", "text/plain"],
    ),
    "no blank line before the next delimiter": (
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: image/png\n--b\n\nx\n--b--",
        ["image/png", "text/plain"],
    ),
    "a boundary that begins like another": (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\n--b--\n",
        ["text/plain"],
    ),
    "blanks behind a delimiter": (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b  \n\none\n--b-- \n",
        ["text/plain"],
    ),
    "a digest's parts are messages": (
        b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nx\n--b--\n",
        ["message/rfc822"],
    ),
    "a type that is none": (b"Content-Type: nonsense\n\nbody", ["text/plain"]),
}


@pytest.mark.parametrize(("data", "types"), CASES.values(), ids=CASES.keys())
def test_odd_structures(data: bytes, types: list[str]) -> None:
    assert [kind for kind, _ in own(data)] == types
    assert agrees(data)


@pytest.mark.parametrize(
    "kind", [b"mixed; boundary=b", b"alternative;", b"report", b"mixed; boundary=" + b"b" * 5_000]
)
def test_a_multipart_without_parts_is_text(kind: bytes) -> None:
    tree = parse(b"Content-Type: multipart/" + kind + b"\n\nonly text\n")
    assert [leaf.type for leaf in tree.leaves] == ["text/plain"] and "no_parts" in tree.flags


def test_a_part_that_says_it_has_parts_and_not_how_they_are_told_apart() -> None:
    tree = parse(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/alternative\n\ntext\n--b\n\nmore\n--b--\n"
    )
    assert [leaf.type for leaf in tree.leaves] == ["text/plain", "text/plain"]
    assert tree.flags == ("no_parts",)


@pytest.mark.slow
def test_the_collection_agrees_with_the_stdlib() -> None:
    """Where both see parts. Empty parts and lines that are no fields are read differently, on
    purpose; that is 1 in 100 there."""
    differ = []
    for name, data in mails():
        flags = parse(data).flags
        if not agrees(data) and not {"no_parts", "header_garbage"} & set(flags):
            differ.append(name)
    assert len(differ) <= len(mails()) / 100, differ


PART = st.sampled_from(
    b"""--a|--b|--a--|--b--|--||text|Subject: x| folded|--a |Content-Type: text/html
Content-Type: multipart/mixed; boundary=b""".replace(b"\n", b"|").split(b"|")
)


@given(st.lists(PART, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_leaves_are_in_order_and_do_not_overlap(lines: list[bytes], ending: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=a" + ending * 2
    data = head + ending.join(lines)
    position = 0
    for leaf in parse(data).leaves:
        assert position <= leaf.start <= leaf.end <= len(data)
        position = leaf.end
        assert not re.search(
            rb"^--a(--)?[ \t]*\r?$", data[leaf.start : leaf.end], re.MULTILINE
        ) or ("no_parts" in parse(data).flags)


def bomb(depth: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(depth)
    )


BOMBS = {
    "nested 5,000 deep": (bomb(5_000) + b"\r\nx", "depth_limit"),
    "100,000 parts": (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
        "part_limit",
    ),
    "a million lines that look like delimiters": (
        bomb(100) + b"\r\n" + b"--b\r\n" * 1_000_000,
        "part_limit",
    ),
    "300,000 headers": (b"X: y\r\n" * 300_000 + b"\r\nx", "header_limit"),
    "2 MB in one folded header": (b"X: " + b"y\r\n " * 700_000 + b"\r\n\r\nx", "header_limit"),
    "a boundary of 1 MB": (
        b"Content-Type: multipart/mixed; boundary="
        + b"b" * 1_000_000
        + b"\r\n\r\n--"
        + b"b" * 1_000_000,
        "header_limit",
    ),
    "10,000 semicolons": (b"Content-Type: multipart/mixed" + b";" * 10_000 + b"\r\n\r\nx", ""),
    "10,000 sections of a boundary": (
        b"Content-Type: multipart/mixed;"
        + b"".join(b" boundary*%d=b;\r\n" % n for n in range(3_000))
        + b"\r\n\r\nx",
        "",
    ),
    "a line of 10 MB": (b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 2_500_000, ""),
    "10 MB of line ends": (b"Subject: x\r\n\r\n" + b"\n" * 10_000_000, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize(("data", "flag"), BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_bounded(data: bytes, flag: str) -> None:
    begun = time.process_time()
    tree = parse(data)
    assert time.process_time() - begun < 1
    assert flag in (*tree.flags, "")
    assert len(tree.leaves) <= MAX_PARTS + 1
    assert MAX_DEPTH == 100
