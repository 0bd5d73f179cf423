"""Any stream of FETCH responses and APPENDs, cut anywhere: boundaries and bodies are found.

The grammar below is that of RFC 3501 and 9051, with contents chosen to look like IMAP; who wrote
the stream knows what must be captured.
"""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.imap.fragments import LONGEST
from tests.fuzz import imap as fuzz
from tests.transcripts.runner import Play, Script

LURES = [
    b"a OK done\r\n", b"* 1 FETCH (BODY[] {5}\r\n", b"{10}\r\n", b")", b"\r\n)\r\n", b'"', b"\\",
    b"+ go\r\n", b"* BYE\r\n", b"x APPEND y {3+}\r\n", b"hello", b"\n", b"\r", b"\x00\xff",
    b"~{2}\r\n",
]  # fmt: skip
CONTENT = st.lists(st.sampled_from(LURES), min_size=1, max_size=8).map(b"".join)
TEXT = st.text(st.sampled_from('abc {5}()*+"\\UID 7'), max_size=12).map(
    lambda text: b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
)


def literal(content: bytes, mark: bytes = b"") -> bytes:
    return mark + b"{%d}\r\n" % len(content) + content


STRING = st.one_of(TEXT, CONTENT.map(literal), st.just(b"NIL"))
ITEM = st.one_of(
    st.sampled_from(
        [b"FLAGS (\\Seen $UID)", b"RFC822.SIZE 77", b"MODSEQ (12)", b"BODY[TEXT] NIL",
         b'INTERNALDATE "22-Nov-2026 09:00:00 +0900"', b'BODY ("TEXT" "PLAIN" NIL (NIL) UID 9)']
    ),
    STRING.map(lambda string: b"BODY[HEADER.FIELDS (FROM UID)] " + string),
    STRING.map(lambda string: b"ENVELOPE (" + string + b" UID 8 NIL " + string + b")"),
    CONTENT.map(lambda content: b"BODY[1.2] " + literal(content)),
    CONTENT.map(lambda content: b"RFC822.HEADER " + literal(content, b"~")),
)  # fmt: skip


@dataclass
class Response:
    octets: bytes
    uid: int | None
    body: bytes


@st.composite
def fetches(draw: st.DrawFn, number: int = 1) -> Response:
    body = draw(CONTENT)
    uid = draw(st.one_of(st.none(), st.integers(1, 2**32 - 1)))
    items = draw(st.lists(ITEM, max_size=3))
    form = draw(st.sampled_from([b"", b"~", b'"']))
    name = draw(st.sampled_from([b"BODY[]", b"RFC822", b"body[]"]))
    if form == b'"':
        body = body.replace(b"\r", b"").replace(b"\n", b"") or b"q"
        value = b'"' + body.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    else:
        value = literal(body, form)
    items.insert(draw(st.integers(0, len(items))), name + b" " + value)
    if uid is not None:
        items.insert(draw(st.integers(0, len(items))), b"UID %d" % uid)
    return Response(b"* 3 FETCH (" + b" ".join(items) + b")\r\n", uid, body)


NOISE = st.sampled_from(
    [b"* OK text {5}\r\n", b"* 4 EXISTS\r\n", b"* SEARCH 1 2 3\r\n", b"* NO [ALERT] {7}\r\n",
     b"* 2 FETCH (FLAGS (\\Seen))\r\n", b'* LIST () "/" {3}\r\n{5}\r\n', b"* 5 EXPUNGE\r\n",
     b'* STATUS {5}\r\n" {3} (MESSAGES 1)\r\n', b"\r\n"]
)  # fmt: skip


def opened() -> Play:
    """A dialogue with INBOX selected."""
    play = Play(Script())
    for side, line in (
        ("server", b"* OK ready\r\n"), ("client", b"a LOGIN alice secret\r\n"),
        ("server", b"a OK in\r\n"), ("client", b"b SELECT INBOX\r\n"),
        ("server", b"* OK [UIDVALIDITY 5] x\r\nb OK done\r\n"),
    ):  # fmt: skip
        play.feed(side, line)
    play.to_client = play.to_server = b""
    return play


def feed(play: Play, side: str, octets: bytes, luck: random.Random) -> None:
    for piece in fuzz.cuts(octets, luck):
        play.feed(side, piece)


@settings(max_examples=80)
@given(st.lists(st.one_of(fetches(), NOISE), max_size=6), st.randoms(use_true_random=False))
def test_fetch(parts: list[Response | bytes], luck: random.Random) -> None:
    play = opened()
    stream = b"".join(part if isinstance(part, bytes) else part.octets for part in parts)
    feed(play, "server", stream, luck)
    assert play.to_client == stream
    wanted, known = [], set()
    for part in parts:
        if isinstance(part, Response) and (part.uid is None or part.uid not in known):
            known.add(part.uid)
            wanted.append((part.uid, part.body))
    found = [(sink.meta.uid, b"".join(sink.chunks)) for sink in play.sinks if sink.kept]
    assert found == wanted
    assert [result for result in play.results if result.startswith("blind")] == []


@settings(max_examples=80)
@given(
    st.lists(st.tuples(CONTENT, st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_append(
    messages: list[tuple[bytes, bool, bool]], refused: bool, luck: random.Random
) -> None:
    """Literals of both kinds; the server may refuse one that waits, and then a command follows."""
    play = opened()
    said, answered = b"", b""
    line = b'c APPEND "Sent {5}"'
    for at, (content, waits, flags) in enumerate(messages):
        line += b" (\\Seen)" if flags else b""
        line += b" {%d%s}\r\n" % (len(content), b"" if waits else b"+")
        feed(play, "client", line, luck)
        said += line
        if waits and refused and at == len(messages) - 1:
            feed(play, "server", b"c NO [OVERQUOTA] {%d}\r\n" % len(content), luck)
            feed(play, "client", b"d NOOP\r\n", luck)
            assert play.to_server == said + b"d NOOP\r\n"
            assert not any(sink.kept for sink in play.sinks)
            assert list(play.dialogue.pending) == [b"d"]
            return
        if waits:
            if luck.random() < 0.5:
                feed(play, "client", content, luck)  # does not wait, although it should
                assert play.to_server == said
                feed(play, "server", b"+ OK\r\n", luck)
            else:
                feed(play, "server", b"+ OK\r\n", luck)
                feed(play, "client", content, luck)
            answered += b"+ OK\r\n"
        else:
            feed(play, "client", content, luck)
        said += content
        line = b""
    feed(play, "client", b"\r\n", luck)
    last = b"c OK [APPENDUID 9 1:%d] {3}\r\n" % len(messages)
    feed(play, "server", last, luck)
    assert play.to_server == said + b"\r\n"
    assert play.to_client == answered + last
    assert [b"".join(sink.chunks) for sink in play.sinks if sink.kept] == [
        content for content, _, _ in messages
    ]


@pytest.mark.parametrize("seed", range(5))
def test_lines_longer_than_are_kept(seed: int) -> None:
    """They pass as they come, and what follows is understood."""
    play, luck = opened(), random.Random(seed)
    uids = b",".join(b"%d" % (7 * n) for n in range(30_000))
    assert len(uids) > 2 * LONGEST
    said = b"c UID FETCH " + uids + b" (FLAGS)\r\nd NOOP\r\n"
    answer = b"* SEARCH " + uids.replace(b",", b" ") + b"\r\nc OK done\r\nd OK done\r\n"
    for side, octets in (("client", said), ("server", answer)):
        while octets:
            some = luck.randrange(1, 50_000)
            play.feed(side, octets[:some])
            assert len(play.kept[side]) <= LONGEST
            octets = octets[some:]
    assert (play.to_server, play.to_client) == (said, answer)
    assert not play.dialogue.pending and not play.dialogue.raw
    body = b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n"
    play.feed("server", body)
    assert [b"".join(sink.chunks) for sink in play.sinks] == [b"abc"]


def test_what_is_news() -> None:
    """The companion looks again when a session has some (proxy/imap/presence.py, tick)."""
    play, found = opened(), []
    for side, line in (
        ("client", b"a IDLE\r\n"), ("server", b"+ idling\r\n"), ("server", b"* OK Still here\r\n"),
        ("server", b"* 4 EXISTS\r\n"), ("server", b"* STATUS Sent (MESSAGES 3)\r\n"),
        ("client", b"DONE\r\n"), ("server", b"a OK done\r\n"), ("client", b"b NOOP\r\n"),
    ):  # fmt: skip
        play.dialogue.news = False
        play.feed(side, line)
        found.append(play.dialogue.news)
    assert found == [True, False, False, True, True, True, False, True]


LONG = b"x" * 2 * LONGEST + b"\r\n"


def in_pieces(play: Play, octets: bytes) -> None:
    while octets:
        play.feed("server", octets[:50_000])
        octets = octets[50_000:]


def test_an_answer_longer_than_is_kept_ends_its_command() -> None:
    play = opened()
    play.feed("client", b"c APPEND Sent {3+}\r\nabc\r\n")
    in_pieces(play, b"c OK [APPENDUID 9 4] " + LONG)
    assert play.results[-1:] == ["captured imap_append Sent 9/4 'abc'"]
    play.feed("client", b"d SELECT Archive\r\n")
    in_pieces(play, b"d NO " + LONG)
    play.feed("server", b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n")
    assert play.results[-1:] == ["blind no_mailbox"]
    play.feed("client", b"e IDLE\r\n")
    in_pieces(play, b"e BAD " + LONG)
    play.feed("client", b"f NOOP\r\n")
    assert list(play.dialogue.pending) == [b"f"] and not play.dialogue.raw


def test_a_login_answered_at_a_length_that_is_not_kept_is_the_end() -> None:
    play = Play(Script())
    play.feed("server", b"* OK ready\r\n")
    play.feed("client", b"a LOGIN alice secret\r\n")
    in_pieces(play, b"a OK " + LONG)
    assert play.results == ["ended BYE"]


def test_what_is_given_up_is_told_once() -> None:
    """A response of several literals: the line behind the first one is not understood."""
    play = opened()
    before = len(play.results)
    play.feed("server", b"* 1 FETCH (UID 1 BODY[1] {1}\r\nx ) ) {1}\r\nx BODY[] {1}\r\nx)\r\n")
    assert play.results[before:] == ["blind grammar"]


def test_a_short_piece_of_the_fuzz() -> None:
    for seed in range(100):
        fuzz.once(seed)
