"""swaks through a door at a real Postfix, and past it: only our Received line differs."""

from pathlib import Path

import pytest

from tests.paths.doors import DoorProcess
from tests.peers.postfix import Postfix, split_trace
from tests.peers.swaks import swaks

pytestmark = pytest.mark.peers

HEAD = (
    b"From: alice@example.com\r\nTo: bob@example.net\r\nDate: Mon, 30 Nov 2026 09:00:00 +0900\r\n"
    b"Message-ID: <1@example.com>\r\n"
)
MESSAGES = [
    HEAD + b"Subject: plain\r\n\r\nhello\r\n",
    HEAD + b"subject:  folded\r\n\t and odd \r\nX-Empty:\r\n\r\n.\r\n..\r\n.two\r\n \t\r\n\r\n",
    HEAD + "Subject: 見積\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n".encode()
    + "お世話になっております。\r\n".encode() * 2000,
    HEAD + b"Received: from a by b; Mon, 30 Nov 2026 08:00:00 +0900\r\n\r\n" + b"x" * 900 + b"\r\n",
    HEAD + b"Subject: large\r\n\r\n" + (b"y" * 76 + b"\r\n") * 8_000,
]  # fmt: skip


def test_what_arrives_is_what_arrives_without_us(tmp_path: Path) -> None:
    trusted = 'trusted = ["127.0.0.0/8"]'
    with (
        Postfix() as hop,
        DoorProcess(
            tmp_path, f"smtp://127.0.0.1:{hop.port}", role="submission", listener=trusted
        ) as door,
    ):
        for message in MESSAGES:
            for port in (hop.port, door.port):
                sent = swaks(port, data=message)
                assert sent.ok, sent.transcript
        mails = [split_trace(mail.content) for mail in hop.wait_for_mails(2 * len(MESSAGES))]
        for message in MESSAGES:
            above, below = split_trace(message)
            direct, through = sorted(
                (trace for trace, content in mails if content == below), key=len
            )
            assert len(through) == len(direct) + 1
            ours = through[len(through) - len(above) - 1]
            assert ours.startswith(b"Received: from ") and b"by mx.example.com (Mailweir)" in ours
