"""The short way of a dialogue ends where the long way does, whatever is said and answered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.imap.pending import GO_ON, PENDING
from tests.transcripts.runner import Play, Script

TAGS = st.sampled_from([b"a", b"b1", b"c.2", b"d-3", b"+", b"", b"x y"])
COMMANDS = st.one_of(
    st.sampled_from(
        [b"NOOP", b"UID FETCH 1:* (FLAGS)", b"FETCH 1 BODY[]", b"STORE 1 +FLAGS (\\Seen)",
         b"SEARCH UNSEEN", b'SEARCH SUBJECT "a {3}"', b"SEARCH SUBJECT {3+}", b"STATUS x (UNSEEN)",
         b"LIST * *", b"SELECT INBOX", b"IDLE", b"DONE", b"APPEND Sent {4}", b"APPEND Sent {2+}",
         b"COMPRESS DEFLATE", b"noop", b"CAPABILITY", b"LOGOUT", b"STARTTLS", b"XYZ", b""]
    ),
    st.text(st.sampled_from('NOOP FETCH{}"+1\\()[]'), max_size=12).map(str.encode),
)  # fmt: skip
ANSWERS = st.one_of(
    st.sampled_from(
        [b"OK done", b"NO not now", b"BAD what", b"OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] done",
         b"OK [READ-WRITE] done", b"NO [REFERRAL imap://else/] go", b"OK", b"OK {5}", b"ok done",
         b"OK [APPENDUID 7 9] filed"]
    ),
    st.text(st.sampled_from("OK NO[]{5}"), max_size=10).map(str.encode),
)  # fmt: skip
OTHERS = st.sampled_from(
    [b"* 4 EXISTS\r\n", b"+ go on\r\n", b"* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n", b"* BYE\r\n",
     b"* LIST (\\Sent) \"/\" {4}\r\nSent\r\n", b"* OK [UIDVALIDITY 7] x\r\n"]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\n", b"", b"\r\nn", b"\r\n\r\n"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("client"),
            st.builds(lambda tag, rest, end: tag + b" " + rest + end, TAGS, COMMANDS, ENDS),
        ),
        st.tuples(
            st.just("server"),
            st.builds(lambda tag, rest, end: tag + b" " + rest + end, TAGS, ANSWERS, ENDS),
        ),
        st.tuples(st.just("server"), OTHERS),
    ),
    max_size=12,
)


def opened(short: bool) -> Play:
    """A dialogue with INBOX selected."""
    play = Play(Script(), short)
    for side, line in (
        ("server", b"* OK ready\r\n"), ("client", b"a LOGIN alice secret\r\n"),
        ("server", b"a OK in\r\n"), ("client", b"b SELECT INBOX\r\n"),
        ("server", b"* OK [UIDVALIDITY 7] x\r\nb OK done\r\n"),
    ):  # fmt: skip
        play.feed(side, line)
    return play


def state(play: Play) -> dict[str, object]:
    """All that tells one end from another."""
    dialogue = play.dialogue
    streams = (dialogue.client, dialogue.server)
    return {
        "passed": (play.to_client, play.to_server),
        "kept": play.kept,
        "told": play.results,
        "waiting": list(dialogue.pending),
        "again": [tag for tag, _ in dialogue.pending.again],
        "flags": (dialogue.raw, dialogue.ended, dialogue.bye, dialogue.fetching),
        "streams": [(one.literal, one.continued, one.hold, one.head) for one in streams],
        "tees": [one.tee is None for one in streams],
        "mailbox": dialogue.observer.mailbox if dialogue.observer is not None else None,
    }


@settings(max_examples=400)
@given(EVENTS)
def test_both_ways_end_alike(events: list[tuple[str, bytes]]) -> None:
    short, long = opened(True), opened(False)
    for side, octets in events:
        short.feed(side, octets)
        long.feed(side, octets)
        assert state(short) == state(long)


@pytest.mark.parametrize(
    "line",
    [b"n NOOP\r\n", b"A001 UID FETCH 1:* (FLAGS)\r\n", b"x.1 UID STORE 7 +FLAGS (\\Seen)\r\n",
     b"s SEARCH RETURN (ALL) UNSEEN\r\n", b"l LIST * INBOX\r\n"],
)  # fmt: skip
def test_the_short_way_is_taken(line: bytes) -> None:
    dialogue = opened(True).dialogue
    assert dialogue.plain_command(bytearray(line), len(line))
    (tag,) = dialogue.pending
    answer = tag + b" OK done (0.001 secs).\r\n"
    assert dialogue.plain_answer(bytearray(answer), len(answer))
    assert not dialogue.pending


@pytest.mark.parametrize(
    "line",
    [b"n SELECT INBOX\r\n", b"n COPY 1 x\r\n", b"n IDLE\r\n", b"n COMPRESS DEFLATE\r\n",
     b"n APPEND x {3}\r\n", b"n SEARCH SUBJECT {3}\r\n", b'n SEARCH SUBJECT "x"\r\n', b"n NOOP\n",
     b"n NOOP\r\nn NOOP\r\n", b"n NOOP\r", b"n FETCH 1 \0\r\n", b"n XYZ\r\n", b"NOOP\r\n"],
)  # fmt: skip
def test_what_matters_goes_the_long_way(line: bytes) -> None:
    dialogue = opened(True).dialogue
    assert not dialogue.plain_command(bytearray(line), len(line))
    assert not dialogue.pending


def held(play: Play) -> bool:
    return play.dialogue.client.hold


@pytest.mark.parametrize("short", [True, False])
def test_nobody_piles_up_commands(short: bool) -> None:
    play = opened(short)
    for number in range(PENDING - 1):
        play.feed("client", b"t%d NOOP\r\n" % number)
    assert not held(play)
    play.feed("client", b"last NOOP\r\n")
    play.feed("client", b"more NOOP\r\n")  # has to wait
    assert held(play) and not play.dialogue.raw
    assert play.to_server.endswith(b"last NOOP\r\n")
    for number in range(PENDING - GO_ON):
        play.feed("server", b"t%d OK done\r\n" % number)
    assert play.to_server.endswith(b"last NOOP\r\nmore NOOP\r\n")


BODY = b"* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n"
QUOTED = b'* 1 FETCH (INTERNALDATE "22-Nov-2026 09:00:00 +0900" BODY[] {5}\r\nhello)\r\n'


@pytest.mark.parametrize(
    "octets",
    [BODY, BODY[:30], BODY[:33], BODY + BODY, QUOTED + b"n OK done\r\n", BODY + BODY[:30]],
)
def test_bodies_need_not_wait_to_be_understood(octets: bytes) -> None:
    dialogue = opened(True).dialogue
    assert dialogue.passing_back(bytearray(octets), len(octets))


@pytest.mark.parametrize(
    "octets",
    [BODY[:20], BODY[:-1], BODY + b"n OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] done\r\n",
     b"* OK [CAPABILITY COMPRESS=DEFLATE] x\r\n", BODY + b"* CAPABILITY COMPRESS=DEFLATE\r\n",
     BODY[:-3] + b" X {3}\r\nabc)\r\n", b'* 1 FETCH (X "{5}\r\n', b"* 4 EXISTS\r\n",
     BODY[:-2] + b"\n", BODY + b"n OK done\r\nn"],
)  # fmt: skip
def test_what_may_be_changed_waits(octets: bytes) -> None:
    dialogue = opened(True).dialogue
    assert not dialogue.passing_back(bytearray(octets), len(octets))


def test_our_answer_comes_before_what_else_is_said() -> None:
    play = opened(True)
    play.feed("server", BODY[:30])
    play.feed("client", b"c COMPRESS DEFLATE\r\n")
    assert not play.dialogue.passing_back(bytearray(BODY[30:]), len(BODY) - 30)
    play.feed("server", BODY[30:])
    assert play.to_client.endswith(BODY + b"c NO [CANNOT] No compression here\r\n")


def test_a_message_that_is_filed_need_not_wait_either() -> None:
    play = opened(True)
    play.feed("client", b"n APPEND Sent {5+}\r\nhe")
    assert play.dialogue.passing(3)
    assert not play.dialogue.passing(5)  # its last line says more, perhaps
    play.feed("client", b"llo")
    assert not play.dialogue.passing(2)
