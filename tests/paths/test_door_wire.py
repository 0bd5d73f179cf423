"""A door process on the wire: the octets that go through it, and the dialogues of tests/dialogues/.

Rows of threats.md: 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, inbound smuggling, outbound smuggling,
byte-exactness, pipelining, DSN params, DATA size lie, loops.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialogues.runner import find, play
from tests.faultsink import OK, FaultSink
from tests.paths.doors import DoorProcess, until

FOLDER = Path(__file__).resolve().parents[1] / "dialogues"
RECEIVED = re.compile(
    rb"Received: from me\.example \(\[127\.0\.0\.1\]\)\r\n"
    rb"\tby mx\.example\.com \(Mailweir\) with ESMTP id ([0-9A-Z]{26})(?:\r\n"
    rb"\tfor <b@y\.example>)?; [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\r\n"
)


@pytest.fixture(scope="module")
def sink() -> Iterator[FaultSink]:
    with FaultSink(
        rcpt={"nobody@": "550 5.1.1 <nobody@y.example>: no such user", "later@": "450 4.2.1 later"}
    ) as sink:
        yield sink


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, sink: FaultSink) -> Iterator[DoorProcess]:
    folder = tmp_path_factory.mktemp("door")
    with DoorProcess(folder, sink, listener="max_size = 10000000", limits="errors = 20") as door:
        yield door


@pytest.mark.parametrize("path", find(FOLDER / "door"), ids=lambda path: path.stem)
def test_dialogue(path: Path, door: DoorProcess) -> None:
    play(path, ("127.0.0.1", door.port))


@pytest.mark.slow
def test_dialogues_with_both_sides(tmp_path: Path) -> None:
    """One after the other at one door: each leaves it without a connection to its hop."""
    with socket.create_server(("127.0.0.1", 0)) as hop:
        target = f"smtp://127.0.0.1:{hop.getsockname()[1]}"
        with DoorProcess(tmp_path, target) as door:
            for path in find(FOLDER / "hop"):
                play(path, ("127.0.0.1", door.port), listener=hop)


def last(sink: FaultSink, before: int) -> bytes:
    """The one message that came since, without our line on top."""
    (message,) = sink.wait_for_messages(before + 1)[before:]
    assert message.bare == [], "a bare CR or LF on the onward wire"
    found = RECEIVED.match(message.body)
    assert found, message.body[:300]
    return message.body[found.end() :]


@pytest.mark.parametrize(
    "body",
    [
        b"Subject: x\r\n\r\nhello\r\n",
        b"",
        b"\r\n",
        b".\r\n..\r\n...\r\n.x\r\n",
        b"Subject: x\r\n\r\n" + bytes(c for c in range(256) if c not in b"\r\n") + b"\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n",
        b"\r\n" * 100_000,
        b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n.\r\n" * 50_000,
    ],
    ids="plain empty line dots octets long-line crlf-only large".split(),
)
def test_a_message_goes_through_octet_for_octet(
    door: DoorProcess, sink: FaultSink, body: bytes
) -> None:
    """Rows 13 and byte-exactness: sha256 after our trace line is that of what was sent."""
    before = len(sink.messages)
    with door.greeted() as client:
        assert client.message("a@x.example", ["b@y.example"], body) == "250 2.0.0 stored"
    digest = hashlib.sha256(body).hexdigest()
    assert hashlib.sha256(last(sink, before)).hexdigest() == digest
    record = door.messages()[-1]
    assert (record["sha256"], record["size"]) == (digest, len(body))


SMUGGLE = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
    b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\n.\r\r\n",
    b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n\0.\0\r\n",
]  # fmt: skip


@pytest.mark.parametrize("end", SMUGGLE, ids=repr)
def test_nothing_is_smuggled(door: DoorProcess, sink: FaultSink, end: bytes) -> None:
    """Rows 1 to 3, inbound and outbound smuggling (each packet cut: tests/cores/test_octets.py)."""
    before = len(sink.messages)
    with door.greeted() as client:
        client.ask("MAIL FROM:<a@x.example>")
        client.ask("RCPT TO:<b@y.example>")
        client.ask("DATA")
        evil = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nevil\r\n"
        client.send(b"Subject: x\r\n\r\nhello" + end[:1])
        client.send(end[1:] + evil + b".\r\n")
        said = client.reply()
        assert client.ask("NOOP").startswith("250"), "one reply, and still in step"
    if b"\0" in end:
        assert said.startswith("250") and b"evil" in last(sink, before)
    else:
        assert said.startswith("550 5.5.2")
    assert "evil@x.example" not in [message.sender for message in sink.messages]
    assert len(sink.messages) == before + said.startswith("250")


def test_a_bare_lf_leaves_as_crlf(door: DoorProcess, sink: FaultSink) -> None:
    """Row 2, outbound smuggling: 0 bare LF, 0 bare CR on the onward wire."""
    before = len(sink.messages)
    with door.greeted() as client:
        client.ask("MAIL FROM:<a@x.example>")
        client.ask("RCPT TO:<b@y.example>")
        client.ask("DATA")
        client.send(b"Subject: x\n\nhello\nworld\r\n.\r\n")
        assert client.reply().startswith("250")
    assert last(sink, before) == b"Subject: x\r\n\r\nhello\r\nworld\r\n"
    assert door.messages()[-1]["flags"] == ["bare_lf"]


def test_parameters_reach_the_hop_to_the_letter(door: DoorProcess, sink: FaultSink) -> None:
    """Rows 14, 15, DSN params: bytes equal at the sink."""
    said = [
        "MAIL FROM:<> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=Q+3DmiXed",
        "RCPT TO:<B.c@Y.example> NOTIFY=NEVER ORCPT=rfc822;B+2Bx@Y",
    ]
    with door.greeted() as client:
        assert client.ask(said[0]).startswith("250")
        assert client.ask(said[1]).startswith("250")
        assert client.ask("RSET").startswith("250")
    for line in said:
        assert sink.lines.count(line.encode()) == 1


def test_refused_in_the_session_and_nobody_is_written_to(
    door: DoorProcess, sink: FaultSink
) -> None:
    """Row: backscatter. No message of ours to a sender, and none to the null sender."""
    before = len(sink.messages)
    sink.answer(dot="550 5.7.1 no")
    with door.greeted() as client:
        for sender in ("victim@x.example", ""):
            assert client.message(sender, ["nobody@y.example"], b"x\r\n").startswith("550 5.1.1")
            client.ask("RSET")
            assert client.message(sender, ["b@y.example"], b"x\r\n") == "550 5.7.1 no"
    sink.answer(dot=OK)
    assert {message.sender for message in sink.messages[before:]} == {"victim@x.example", ""}
    assert {tuple(message.recipients) for message in sink.messages[before:]} == {("b@y.example",)}


@pytest.mark.parametrize(
    "path", [b'"b\rDATA"@y.example', b"b\0@y.example", b"b\x7f@y.example", b"b\t@y.example"]
)
def test_addresses_with_control_characters_reach_nobody(
    door: DoorProcess, sink: FaultSink, path: bytes
) -> None:
    """Row 16: mail went to another mailbox."""
    before = len(sink.lines)
    with door.greeted() as client:
        client.ask("MAIL FROM:<a@x.example>")
        client.send(b"RCPT TO:<" + path + b">\r\n")
        assert client.reply().startswith("500 5.5.2")
    assert not [line for line in sink.lines[before:] if line.startswith(b"RCPT")]


def test_one_write_for_what_was_asked_in_one(door: DoorProcess) -> None:
    """Row 14: EHLO in one write; pipelined replies in order."""
    with door.greeted() as client:
        client.send(
            b"EHLO me.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
            b"RCPT TO:<nobody@y.example>\r\nRCPT TO:<later@y.example>\r\nDATA\r\n"
        )
        assert client.reply().startswith("250-mx.example.com")
        assert [client.reply()[:9] for _ in range(5)] == [
            "250 2.1.0", "250 2.1.5", "550 5.1.1", "450 4.2.1", "354 End d",
        ]  # fmt: skip
        client.send(b".\r\nNOOP\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "221"]
        assert client.rest() == b""


def test_twenty_thousand_commands_in_one_write(door: DoorProcess) -> None:
    """Row 14, and nobody waits for a client that does not read."""
    with door.greeted() as client:
        client.send(b"NOOP\r\n" * 20_000)
        assert {client.reply() for _ in range(20_000)} == {"250 2.0.0 Ok"}


def test_a_lie_about_the_size(door: DoorProcess, sink: FaultSink) -> None:
    """Row: DATA size lie. 552 after DATA, memory flat."""
    before = len(sink.messages)
    with door.greeted() as client:
        client.ask("MAIL FROM:<a@x.example> SIZE=10")
        client.ask("RCPT TO:<b@y.example>")
        client.ask("DATA")
        memory = door.rss()
        for _ in range(60):
            client.send(b"x" * 1_000_000)
        client.send(b"\r\n.\r\n")
        assert client.reply() == "552 5.3.4 Message too big"
        assert door.rss() - memory < 16_000_000
        assert client.ask("NOOP").startswith("250")
    assert len(sink.messages) == before
    kept = {message["file"] for message in door.messages()} - {None}
    folder = door.data / "journal" / "mx-0"
    until(lambda: {path.name for path in folder.glob("big-*")} == kept, "its file is gone")


@pytest.mark.parametrize("text", [b"\r\n", b"0123456789abcde\r\n"], ids=["crlf-only", "lines"])
def test_eight_megabytes_cost_no_memory(door: DoorProcess, sink: FaultSink, text: bytes) -> None:
    """Row 12: 8 MB of bare CRLF took 705 MB."""
    before = len(sink.messages)
    body = text * (8_000_000 // len(text))
    memory = door.rss()
    with door.greeted() as client:
        assert client.message("a@x.example", ["b@y.example"], body) == "250 2.0.0 stored"
    assert door.rss() - memory < 16_000_000
    assert last(sink, before) == body


def test_a_loop(door: DoorProcess, sink: FaultSink) -> None:
    """Row: loops."""
    body = b"Received: from a by b; now\r\n" * 100 + b"\r\nhello\r\n"
    with door.greeted() as client:
        assert client.message("a@x.example", ["b@y.example"], body).startswith("554 5.4.6")


def test_no_for_clause_with_two_recipients(door: DoorProcess, sink: FaultSink) -> None:
    """Row: Received "for" leak."""
    before = len(sink.messages)
    with door.greeted() as client:
        client.message("a@x.example", ["b@y.example", "c@y.example"], b"hello\r\n")
        client.message("a@x.example", ["b@y.example"], b"hello\r\n")
    two, one = sink.wait_for_messages(before + 2)[before:]
    assert b"for <" not in two.body and b"for <b@y.example>" in one.body


def test_many_recipients(door: DoorProcess) -> None:
    """Row 17: 1,000 recipients, and not one more."""
    with door.greeted() as client:
        client.ask("MAIL FROM:<a@x.example>")
        client.send(b"".join(b"RCPT TO:<b%d@y.example>\r\n" % n for n in range(1001)))
        replies = [client.reply()[:9] for _ in range(1001)]
        assert replies == ["250 2.1.5"] * 1000 + ["452 4.5.3"]


def test_every_message_has_one_verdict(door: DoorProcess, sink: FaultSink) -> None:
    """At the end of all of the above, and of one more."""
    with door.greeted() as client:
        assert client.message("a@x.example", ["b@y.example"], b"hello\r\n").startswith("250")
    ids = [message["id"] for message in door.messages()]
    assert len(set(ids)) == len(ids) >= 1

    def verdicts() -> list[str]:
        return sorted(r["id"] for r in door.records() if r["type"] == "verdict")

    # Of clients that hung up the last verdict may still be on its way.
    until(lambda: len(verdicts()) >= len(ids), "a verdict of each")
    assert verdicts() == sorted(ids)
    assert sink.complaints == [], "the hop was never confused"
