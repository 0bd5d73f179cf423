"""LMTP on either side (RFC 2033): a reply for each recipient, where the other side can say it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cores.hopline import Hop
from tests.cores.world import World, by_script
from tests.sink.script import CLOSE

THREE = r"""
    C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
    + RCPT TO:<c@y.example>\r\nRCPT TO:<d@y.example>\r\nDATA\r\n
    C<... 354 *
    C=> Subject: x\r\n\r\nhello\r\n.\r\n
"""


def lmtp(hop: Hop, **more: Any) -> World:
    """An LMTP door."""
    return World(hop=hop, role="lmtp", **more).talk("""
        C< 220 mx.example.com LMTP Mailweir
        C> LHLO other
        C<... 250 CHUNKING
    """)


def outcomes(world: World) -> list[str]:
    (verdict,) = world.verdicts.values()
    return [row["outcome"] for row in verdict["recipients"]]


def test_each_recipient_has_its_own_answer() -> None:
    world = lmtp(Hop(lmtp=True, dot={"c@": "452 4.2.2 mailbox full"}))
    world.talk(THREE).talk("""
        C< 250 2.0.0 stored
        C< 452 4.2.2 mailbox full
        C< 250 2.0.0 stored
        C> QUIT
        C< 221 *
        C<end
    """).settled()
    assert outcomes(world) == ["accepted", "refused", "accepted"]
    assert b"with LMTP id" in world.hop.messages[0].octets
    assert b"\tfor " not in world.hop.messages[0].octets


def test_a_refused_recipient_has_no_answer_after_the_dot() -> None:
    world = lmtp(Hop(lmtp=True, rcpt={"c@": "550 5.1.1 no"}))
    world.talk(THREE).talk("""
        C< 250 2.0.0 stored
        C< 250 2.0.0 stored
        C> NOOP
        C< 250 *
    """).settled()


def test_all_refused() -> None:
    world = lmtp(Hop(lmtp=True, dot="550 5.7.1 spam"))
    world.talk(THREE).talk("""
        C< 550 5.7.1 spam
        C< 550 5.7.1 spam
        C< 550 5.7.1 spam
    """).settled()
    assert outcomes(world) == ["refused"] * 3


@pytest.mark.parametrize("first", ["250 stored", "550 5.7.1 no"])
def test_what_was_answered_before_the_hop_went_stands(first: str) -> None:
    world = lmtp(Hop(lmtp=True, dot=[first, CLOSE]))
    world.talk(THREE).talk(f"""
        C< {first}
        C< 451 4.4.2 *
        C< 451 4.4.2 *
    """).settled()
    known = "accepted" if first.startswith("250") else "refused"
    assert outcomes(world) == [known, "unknown", "unknown"]


def test_an_smtp_hop_answers_for_all() -> None:
    world = lmtp(Hop())
    world.talk(THREE).talk("""
        C< 250 2.0.0 stored
        C< 250 2.0.0 stored
        C< 250 2.0.0 stored
    """).settled()
    assert outcomes(world) == ["accepted"] * 3


def test_bdat_by_lmtp() -> None:
    world = lmtp(Hop(lmtp=True, dot={"c@": "452 4.2.2 full"}))
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        + RCPT TO:<c@y.example>\r\nBDAT 2 LAST\r\n\r\n
        C< 250 *
        C< 250 *
        C< 250 *
        C< 250 2.0.0 stored
        C< 452 4.2.2 full
    """).settled()


def test_our_own_refusal_is_said_to_each() -> None:
    world = lmtp(Hop(lmtp=True), max_size=10)
    world.talk(THREE).talk("""
        C< 552 5.3.4 *
        C< 552 5.3.4 *
        C< 552 5.3.4 *
    """).settled()
    world = lmtp(Hop(lmtp=True), journal="full")
    world.talk(THREE).talk("""
        C< 452 4.3.1 *
        C< 452 4.3.1 *
        C< 452 4.3.1 *
    """).settled()


@pytest.mark.parametrize("command", ["EHLO x", "HELO x"])
def test_smtp_is_not_spoken_at_an_lmtp_door(command: str) -> None:
    lmtp(Hop()).talk(f"C> {command}\nC< 500 5.5.1 This is LMTP: use LHLO")


def test_behind_an_smtp_door_an_lmtp_hop_gets_one_recipient_a_transaction() -> None:
    """An SMTP client can hear one answer only."""
    by_script(Hop(lmtp=True)).talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 452 4.5.3 One destination in one transaction
        C< 354 *
        C=> \r\n.\r\n
        C< 250 2.0.0 stored
    """).settled()


def test_a_connection_whose_recipient_was_refused_is_reset_when_the_rest_is_queued() -> None:
    """The hop has MAIL and nobody to deliver to; the next client must not inherit that."""
    world = by_script(Hop(lmtp=True, rcpt="550 5.1.1 no"), role="submission", trusted=True)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 550 5.1.1 no
        C< 250 2.1.5 Ok
        C< 354 *
        C=> \r\n.\r\n
        C< 250 2.0.0 Ok: queued as *
    """).settled()
    assert len(world.pool) == 1 and world.pool[0].clean


def test_submission_to_an_lmtp_hop_queues_the_others() -> None:
    world = by_script(Hop(lmtp=True), role="submission", trusted=True)
    world.talk(THREE).talk("C< 250 2.0.0 stored").settled()
    # The queued ones were accepted while the hop was still being asked for the first.
    assert outcomes(world) == ["queued", "queued", "accepted"]
