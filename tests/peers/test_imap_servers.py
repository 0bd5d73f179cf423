"""The same sessions at real servers, directly and through the door: the same answers.

A Dovecot with all its plugins and a Cyrus; two users of one server, one for each way. What must
differ (names, times, UIDVALIDITY) is put aside, and of the capabilities what the door hides on
purpose.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.paths.doors import until
from tests.paths.imapdoors import ImapDoor
from tests.peers.cyrus import Cyrus
from tests.peers.dovecot import Dovecot
from tests.peers.sessions import SESSIONS
from tests.peers.talk import Talk, comparable

pytestmark = [pytest.mark.peers, pytest.mark.slow]

Ways = tuple[int, ImapDoor]


@pytest.fixture(scope="module", params=["dovecot", "cyrus"])
def ways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ways]:
    """The port of a real server, and a door before it."""
    users = {f"{kind}{n:02}@y.example": "secret" for kind in "dt" for n in range(len(SESSIONS))}
    with (
        Dovecot(users=users, relay_to=1, plugins=True)
        if request.param == "dovecot"
        else Cyrus(users=users)
    ) as server:
        url = f"imap://127.0.0.1:{server.imap_port}"
        with ImapDoor(tmp_path_factory.mktemp("door"), url) as door:
            yield server.imap_port, door


def played(name: str, port: int, user: str) -> list[str]:
    talk = Talk(port, user)
    for step in SESSIONS[name]:
        talk.take(step)
    return comparable(talk.end(), user)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_same_answers(ways: Ways, name: str) -> None:
    port, door = ways
    number = list(SESSIONS).index(name)
    with ThreadPoolExecutor(2) as pool:  # servers let who guessed wrong wait
        one = pool.submit(played, name, port, f"d{number:02}@y.example")
        through = played(name, door.port, f"t{number:02}@y.example")
        direct = one.result()
    assert len(direct) >= len(SESSIONS[name])
    assert through == direct


def test_what_passed_is_captured_once(ways: Ways) -> None:
    """Ten reads and a move later a message is still one capture."""
    door = ways[1]
    user = "t00@y.example"

    def own() -> list[dict[str, Any]]:
        # Captures share a sync: another session's may come to light while this one runs.
        return [message for message in door.captured() if message["client"]["auth"] == user]

    before = len(own())
    talk = Talk(door.port, user)
    for step in [
        b"a LOGIN %u secret", b"b CREATE Once", b"c APPEND Once {8+}\r\nS: abc\r\n",
        b"d SELECT Once", *[b"e UID FETCH 1:* (FLAGS BODY.PEEK[])"] * 10, b"f CREATE Twice",
        b"g UID MOVE 1:* Twice", b"h SELECT Twice", b"i UID FETCH 1:* (UID BODY[])",
    ]:  # fmt: skip
        talk.take(step)
        if step[:1] == b"c":
            until(lambda: len(own()) > before, "it is durable, so it is known")
    talk.end()
    (message,) = own()[before:]
    assert message["imap"]["source"] == "imap_append"


#: What the server would do or say, and our words instead.
HIDDEN = {
    b"COMPRESS DEFLATE": b"NO [CANNOT] No compression here",
    b'GENURLAUTH "imap://u@h/I/;uid=1;urlauth=anonymous" INTERNAL': b"NO [CANNOT] No URLAUTH here",
    b"RESETKEY": b"NO [CANNOT] No URLAUTH here",
    b'RLIST "" "*"': b"NO [CANNOT] No referrals here",
    b"UNAUTHENTICATE": b"NO [CANNOT] Log out and connect again",
    b"STARTTLS": b"BAD TLS is not to be had here or active already",
}  # fmt: skip


def test_what_is_hidden_is_refused_and_the_session_goes_on(ways: Ways) -> None:
    port, door = ways
    direct, through = Talk(port, "d01@y.example"), Talk(door.port, "t01@y.example")
    for talk in (direct, through):
        talk.take(b"a LOGIN %u secret")
    assert b"COMPRESS=DEFLATE" in direct.got[-1] and b"COMPRESS" not in through.got[-1]
    for command, words in HIDDEN.items():
        through.take(b"b " + command)
        assert through.got[-1] == b"b " + words + b"\r\n"
        through.take(b"c NOOP")
        assert through.got[-1].startswith(b"c OK")
    direct.take(b"b COMPRESS DEFLATE")
    assert direct.got[-1].startswith(b"b OK")
    direct.sock.close()  # what it says from now on is deflated
    through.end()
