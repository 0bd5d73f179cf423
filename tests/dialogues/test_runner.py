"""The runner of dialogues itself, against the FaultSink."""

import socket
import threading
from pathlib import Path

import pytest

from tests.dialogues.runner import DialogueError, octets, play, read
from tests.faultsink import CLOSE, FaultSink


def written(folder: Path, text: str) -> Path:
    path = folder / "x.smtp"
    path.write_text(text)
    return path


def test_a_whole_conversation(tmp_path: Path) -> None:
    conversation = r"""
# Two clients at once; the second one is cut off.
@ listener = mx
@ next hop = healthy

c <- 220 * ESMTP
d <~ ^220 .*ESMTP$
c -> EHLO me.example.com
c <... 250 STARTTLS
c -> STARTTLS
c <- 220 2.0.0 *
c starttls
c => EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<{b*60}@example.net>\r\n
c <... 250 CHUNKING
c <- 250 2.1.0 *
c <- 250 *
d close
c -> DATA
c <- 354*
c => Subject: \xe6\x97\xa5\\\r\n\r\n..\r\n.\r\n
c <- 250 2.0.0 stored
c quiet 0.1
wait 0.01
c -> QUIT
c <~ ^221
c eof
c <- 220 *
"""
    path = written(tmp_path, conversation)
    assert read(path).settings == {"listener": "mx", "next hop": "healthy"}
    with FaultSink(tls="starttls") as sink:
        play(path, ("127.0.0.1", sink.port))
        (message,) = sink.messages
        assert message.recipients == ["b" * 60 + "@example.net"]
        assert message.body == b"Subject: \xe6\x97\xa5\\\r\n\r\n.\r\n"
        assert b"EHLO me\r\nMAIL FROM:<a@example.com>" in sink.connections[0].segments[2]
        assert len(sink.connections) == 3


def test_both_sides_of_a_relay_in_one_dialogue(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
c -> ask
hop <- ask
hop -> answer
c <- answer
hop reset
c eof
""",
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_server(("127.0.0.1", 0)) as hop,
    ):
        relay = threading.Thread(target=_relay_once, args=(door, hop.getsockname()))
        relay.start()
        play(path, door.getsockname(), listener=hop)
        relay.join(5)


def _relay_once(door: socket.socket, hop: tuple[str, int]) -> None:
    client = door.accept()[0]
    with client, socket.create_connection(hop) as upstream:
        upstream.sendall(client.recv(100))
        client.sendall(upstream.recv(100))
        with pytest.raises(ConnectionResetError):
            upstream.recv(100)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("c <- 221 *", r"x.smtp:1: c <- 221 \*\n  but: got: 220 sink"),
        ("c <~ ^5", "but: got: 220"),
        ("c <- 220 *\nc <- 250", "x.smtp:2: c <- 250\n  but: silence"),
        ("c <- 220 *\nc eof", "the connection stays open"),
        ("c eof", "unread: b'220"),
        ("c quiet 0.1", "got: b'220"),
        ("c <- 220 *\nc -> QUIT\nc <- 221 *\nc quiet", "the end"),
        ("c <- 220 *\nc -> MAIL FROM:<>\nc <... 250", "503 5.5.1"),
        ("c <- 220 *\nc -> RSET\nc <- 250 *", "the connection was closed"),
        ("hop <- x", "needs a listener"),
        ("c ~> x", "no such step: c ~> x"),
        (r"c => \q", r"no such escape: \\q"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, steps: str, told: str) -> None:
    with FaultSink(rset=CLOSE) as sink:
        with pytest.raises(DialogueError, match=told):
            play(written(tmp_path, steps), ("127.0.0.1", sink.port), timeout=0.3)


def test_octets() -> None:
    assert octets(r"{\0*3}\x41\r\n\\n") == b"\0\0\0A\r\n\\n"
