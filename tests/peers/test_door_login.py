"""Logging in through a door at a real Dovecot submission service: nothing set up, nothing stored.

Dovecot passes accepted mail on to a sink of ours, so what arrives can be compared to the octet.
Design pages: features.md A13, A14, A24; threats.md row 7 and "secrets".
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faultsink import FaultSink
from tests.paths.doors import DoorProcess
from tests.peers.dovecot import ALICE, Dovecot

pytestmark = pytest.mark.peers

MESSAGE = b"From: alice\r\nTo: bob@example.net\r\nSubject: hi\r\n\r\nthrough the door\r\n"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


GOOD = {
    "PLAIN": b64(f"\0{ALICE}\0secret"),
    "XOAUTH2": b64(f"user={ALICE}\x01auth=Bearer token-of-alice\x01\x01"),
    "OAUTHBEARER": b64(f"n,a={ALICE},\x01auth=Bearer token-of-alice\x01\x01"),
}


@pytest.fixture(scope="module")
def sink() -> Iterator[FaultSink]:
    with FaultSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def dovecot(sink: FaultSink) -> Iterator[Dovecot]:
    with Dovecot(relay_to=sink.port) as dovecot:
        yield dovecot


@pytest.fixture
def door(tmp_path: Path, dovecot: Dovecot) -> Iterator[DoorProcess]:
    with DoorProcess(
        tmp_path,
        f"smtp://127.0.0.1:{dovecot.submission_port}",
        role="submission",
        tls="starttls",
        listener='auth = "next_hop"',
    ) as door:
        yield door


@pytest.mark.parametrize("mechanism", sorted(GOOD))
def test_a_login_is_relayed_and_the_mail_arrives(
    mechanism: str, door: DoorProcess, sink: FaultSink
) -> None:
    before = len(sink.messages)
    with door.client() as client:
        client.reply()
        assert "AUTH" not in client.ask("EHLO me.example"), "not on a wire that others can read"
        client.starttls()
        offered = client.ask("EHLO me.example")
        assert mechanism in offered
        said = client.ask(f"AUTH {mechanism} {GOOD[mechanism]}")
        assert said.startswith("235"), said
        assert client.message(ALICE, ["bob@example.net"], MESSAGE).startswith("250")
    (message,) = sink.wait_for_messages(before + 1)[before:]
    assert message.body.endswith(MESSAGE)
    (record,) = door.messages()
    assert record["client"]["auth"] == ALICE
    for path, octets in door.octets_everywhere():
        for secret in (b"secret", b"token-of-alice", GOOD[mechanism].encode()):
            assert secret not in octets, path


def test_a_wrong_token_is_refused_in_the_words_of_dovecot(door: DoorProcess) -> None:
    stolen = b64(f"user={ALICE}\x01auth=Bearer stolen\x01\x01")
    with door.client() as client:
        client.reply()
        client.ask("EHLO me.example")
        client.starttls()
        client.ask("EHLO me.example")
        said = client.ask(f"AUTH XOAUTH2 {stolen}")
        assert said.startswith("334"), "the mechanism's own account of the failure"
        assert client.ask("").startswith("535")
        assert client.ask(f"MAIL FROM:<{ALICE}>").startswith("530")
