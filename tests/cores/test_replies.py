"""Replies: read whole, byte by byte and cut at random they are the same, and never run away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.replies import MAX_LINE, MAX_LINES, ProtocolError, Reply, ReplyParser


def read(*pieces: bytes) -> tuple[list[Reply], str | None]:
    """What a parser makes of the pieces: replies, and the error that ended it."""
    parser = ReplyParser()
    replies: list[Reply] = []
    for piece in pieces:
        try:
            replies += parser.feed(piece)
        except ProtocolError as error:
            return replies + error.replies, str(error)
    return replies, None


def bytewise(wire: bytes) -> list[bytes]:
    return [wire[i : i + 1] for i in range(len(wire))]


GOOD = [
    (b"250 2.0.0 Ok\r\n", [Reply(250, (b"2.0.0 Ok",))]),
    (b"250 \r\n", [Reply(250, (b"",))]),
    (b"250\r\n", [Reply(250, (b"",))]),  # RFC 5321 section 4.2: clients must cope
    (b"354 go\n", [Reply(354, (b"go",))]),  # a hop with bare LF
    (b"250-a\r\n250-\r\n250 c\r\n", [Reply(250, (b"a", b"", b"c"))]),
    (b"250-a\r\n250\r\n", [Reply(250, (b"a", b""))]),
    (b"250 a\r\n550 b\r\n", [Reply(250, (b"a",)), Reply(550, (b"b",))]),
    (b"550 \xe5\xae\x9b\xe5\x85\x88\r\n", [Reply(550, ("宛先".encode(),))]),
    (b"250 tab\there\r\n", [Reply(250, (b"tab\there",))]),
    (b"250   spaced \r\n", [Reply(250, (b"  spaced ",))]),
    (b"599 x\r\n", [Reply(599, (b"x",))]),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "replies"), GOOD)
def test_whole_and_byte_by_byte(wire: bytes, replies: list[Reply]) -> None:
    assert read(wire) == (replies, None)
    assert read(*bytewise(wire)) == (replies, None)


@pytest.mark.parametrize(
    "wire",
    [b"hello\r\n", b"\r\n", b"2\r\n", b"25\r\n", b"250x\r\n", b"150 x\r\n", b"600 x\r\n",
     b"000 x\r\n", b" 250 x\r\n", b"250-a\r\n251 b\r\n", b"250-a\r\n\r\n",
     b"\x16\x03\x01\x00\xa5", b"+50 x\r\n",
     b"HTTP/1.1 400 Bad Request\r\n", "２５０ x\r\n".encode()],
)  # fmt: skip
def test_garbage_is_an_error_at_any_cut(wire: bytes) -> None:
    assert read(wire)[1]
    assert read(*bytewise(wire)) == read(wire)


def test_an_error_keeps_the_replies_before_it_and_closes_the_parser() -> None:
    parser = ReplyParser()
    with pytest.raises(ProtocolError) as caught:
        parser.feed(b"250 ok\r\nnonsense\r\n250 more\r\n")
    assert caught.value.replies == [Reply(250, (b"ok",))]
    with pytest.raises(ProtocolError):
        parser.feed(b"250 ok\r\n")


@pytest.mark.parametrize("control", [b"\r", b"\0", b"\x1b", b"\x7f", b"\x08", b"\r\0\r"])
def test_no_control_character_is_passed_on(control: bytes) -> None:
    for wire in (b"250 a" + control + b"b\r\n", b"250-a" + control + b"b\r\n250 z\r\n"):
        replies, error = read(wire)
        assert error is None
        assert replies[0].lines[0] == b"a" + b"?" * len(control) + b"b"
        assert read(*bytewise(wire)) == (replies, None)


def test_a_line_and_a_reply_have_a_limit() -> None:
    longest = b"250 " + b"x" * (MAX_LINE - 6) + b"\r\n"
    assert len(read(longest)[0]) == 1
    for wire in (longest[:-2] + b"x\r\n", b"250 " + b"x" * MAX_LINE, b"250-" + b"x" * 10**6):
        assert read(wire) == ([], "a reply line is too long")
        assert read(*bytewise(wire[: MAX_LINE + 10])) == ([], "a reply line is too long")
    lines = b"250-x\r\n" * (MAX_LINES - 1)
    assert len(read(lines + b"250 x\r\n")[0]) == 1
    assert read(lines + b"250-x\r\n") == ([], "a reply with too many lines")


def test_a_half_read_reply_is_not_idle() -> None:
    parser = ReplyParser()
    for piece, idle in [
        (b"25", False),
        (b"0 a\r\n", True),
        (b"250-a\r\n", False),
        (b"250 b\r\n", True),
    ]:
        parser.feed(piece)
        assert parser.idle is idle


text = st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\r\n"))
reply = st.builds(
    lambda code, lines: (code, lines), st.integers(200, 599), st.lists(text, min_size=1, max_size=5)
)


@pytest.mark.slow
@given(st.lists(reply, max_size=8), st.data())
def test_any_replies_at_any_cut(said: list[tuple[int, list[bytes]]], data: st.DataObject) -> None:
    wire = b"".join(
        b"%d%s%s\r\n" % (code, b" " if i == len(lines) - 1 else b"-", line)
        for code, lines in said
        for i, line in enumerate(lines)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    replies, error = read(*pieces)
    assert error is None
    assert [(r.code, len(r.lines)) for r in replies] == [(code, len(lines)) for code, lines in said]
    # What goes on to a client is the same reply again, and says nothing else.
    onward = b"".join(r.wire() for r in replies)
    assert read(onward) == (replies, None)
    assert onward.count(b"\n") == onward.count(b"\r") == wire.count(b"\n")


@given(st.binary(max_size=300), st.data())
def test_any_bytes_at_any_cut_give_the_same(wire: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(wire)))
    assert read(wire) == read(wire[:cut], wire[cut:]) == read(*bytewise(wire))


def test_replies_of_ours() -> None:
    assert Reply.of(451, "4.4.1", "no\r\n250 ok").wire() == b"451 4.4.1 no??250 ok\r\n"
    assert Reply.of(220, "", "mx.example ESMTP").wire() == b"220 mx.example ESMTP\r\n"
    assert Reply.of(550, "5.7.1", "a", "b").wire() == b"550-5.7.1 a\r\n550 5.7.1 b\r\n"
    assert Reply.of(250, "2.0.0").wire() == b"250 2.0.0 \r\n"


@pytest.mark.parametrize(
    ("reply", "enhanced"),
    [
        (Reply(250, (b"2.1.5 Ok",)), "2.1.5"),
        (Reply(550, (b"5.1.10 null MX", b"more")), "5.1.10"),
        (Reply(550, (b"5.7.1",)), "5.7.1"),
        (Reply(550, (b"4.7.1 of another class",)), None),
        (Reply(550, (b"5.1.1000 x",)), None),
        (Reply(550, (b"no 5.1.1",)), None),
        (Reply(354, (b"3.0.0 go",)), None),
    ],
)
def test_enhanced_codes(reply: Reply, enhanced: str | None) -> None:
    assert reply.enhanced == enhanced


def test_classes_and_words() -> None:
    kinds = [
        (r.positive, r.temporary, r.permanent)
        for r in (Reply(c, (b"",)) for c in (250, 354, 451, 550))
    ]
    assert kinds == [(1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert Reply(550, (b"a", b"\xff")).text == "550 a / \\xff"
    assert {Reply(250, (b"a",)), Reply(250, (b"a",))} == {Reply(250, (b"a",))}
