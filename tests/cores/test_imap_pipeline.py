"""A client that asks for a whole mailbox at once is understood to the end: nothing passes unread
because there is much of it. mbsync does so; with 20,000 messages we once lost track.
"""

import pytest

from proxy.imap.pending import GO_ON, PENDING
from tests.transcripts.runner import Play, Script

MANY = 2 * PENDING


def inside() -> Play:
    play = Play(Script())
    play.feed("server", b"* OK ready\r\n")
    play.feed("client", b"a LOGIN alice@example.com secret\r\n")
    play.feed("server", b"a OK in\r\n")
    play.feed("client", b"b SELECT INBOX\r\n")
    play.feed("server", b"* OK [UIDVALIDITY 5] valid\r\nb OK done\r\n")
    play.results.clear()
    return play


def asked(tag: int) -> bytes:
    return b"t%d UID FETCH %d BODY.PEEK[]\r\n" % (tag, tag)


def answered(tag: int) -> bytes:
    return b"* %d FETCH (UID %d BODY[] {3}\r\nabc)\r\nt%d OK done\r\n" % (tag, tag, tag)


def test_all_of_it_is_captured_and_the_client_waits_meanwhile() -> None:
    play = inside()
    before = play.to_server
    said = b"".join(asked(tag) for tag in range(1, MANY + 1))
    for at in range(0, len(said), 65_536):
        play.feed("client", said[at : at + 65_536])
    assert len(play.dialogue.pending) == PENDING, "bounded"
    assert play.to_server.count(b"\r\n") - before.count(b"\r\n") == PENDING
    for tag in range(1, PENDING - GO_ON):
        play.feed("server", answered(tag))
    assert len(play.dialogue.pending) == GO_ON + 1, "not one by one"
    for first in range(PENDING - GO_ON, MANY + 1, 50):
        last = min(first + 50, MANY + 1)
        play.feed("server", b"".join(answered(tag) for tag in range(first, last)))
    assert play.to_server == before + said, "every octet, once it was its turn"
    assert not play.dialogue.raw and not play.dialogue.pending
    assert [result.split()[0] for result in play.results] == ["captured"] * MANY


@pytest.mark.parametrize("announced", [b"{3}", b"{3+}"])
def test_a_literal_at_the_limit(announced: bytes) -> None:
    """The command that fills it up has a literal: it is not torn from its rest for ever."""
    play = inside()
    before = len(play.to_server)
    full = b"".join(asked(tag) for tag in range(1, PENDING))
    play.feed("client", full)
    command, rest = b"x APPEND INBOX " + announced + b"\r\n", b"abc\r\ny NOOP\r\n"
    play.feed("client", command)
    play.feed("client", rest)
    play.feed("server", b"".join(answered(tag) for tag in range(1, PENDING)))
    if announced == b"{3}":
        play.feed("server", b"+ go on\r\n")
    assert play.to_server[before:] == full + command + rest
    play.feed("server", b"x OK [APPENDUID 5 99] done\r\ny OK done\r\n")
    assert play.results[-1] == "captured imap_append INBOX 5/99 'abc'"
    assert not play.dialogue.pending and not play.dialogue.client.hold


def test_idle_is_ended_by_the_client() -> None:
    play = inside()
    play.feed("client", b"".join(asked(tag) for tag in range(1, PENDING)))
    play.feed("client", b"x IDLE\r\nDONE\r\n")
    assert play.to_server.endswith(b"x IDLE\r\nDONE\r\n")


def test_one_tag_for_everything() -> None:
    play = inside()
    before = len(play.to_server)
    play.feed("client", b"t NOOP\r\n" * (2 * PENDING))
    assert play.to_server[before:].count(b"\r\n") == PENDING
    for _ in range(4):
        play.feed("server", b"t OK done\r\n" * (PENDING // 2))
    assert play.to_server[before:] == b"t NOOP\r\n" * (2 * PENDING)
    assert not play.dialogue.raw and not play.dialogue.pending


def test_nobody_gets_that_much_room_before_the_login() -> None:
    play = Play(Script())
    play.feed("server", b"* OK ready\r\n")
    play.feed("client", b"".join(b"t%d NOOP\r\n" % tag for tag in range(PENDING + 1)))
    assert play.dialogue.ended
