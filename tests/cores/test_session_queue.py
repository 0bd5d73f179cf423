"""Submission, else queue: mail of a client that may relay becomes ours when the hop is away."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.smtp.replies import Reply
from tests.cores.hopline import Hop
from tests.cores.world import AWAY, MESSAGE, World, by_hand, by_script
from tests.sink.script import CLOSE

ENVELOPE = r"""
    C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\nRCPT TO:<c@far.example>\r\nDATA\r\n
    C< 250 2.1.0 Ok
"""
QUEUED = "250 2.0.0 Ok: queued as 01KTEST0000000000000000001"
LOGIN = """
    C> AUTH PLAIN AGFsaWNlAHNlY3JldA==
    H connects
    H< AUTH PLAIN AGFsaWNlAHNlY3JldA==
    H> 235 2.7.0 welcome
    C< 235 2.7.0 welcome
"""


def trusted(hop: Hop | None = None, **more: Any) -> World:
    return by_script(hop, role="submission", trusted=True, **more)


def queued(world: World) -> None:
    """Both recipients became ours, and the hop got nothing."""
    world.settled()
    (record,) = world.records.values()
    assert [r["plan"] for r in record["recipients"]] == ["queue", "queue"]
    (verdict,) = world.verdicts.values()
    assert verdict["outcome"] == "queued"
    assert [row["outcome"] for row in verdict["recipients"]] == ["queued", "queued"]
    assert world.hop.messages == []
    assert world.logs[-1][1]["outcome"] == "queued"


@pytest.mark.parametrize(
    ("hop", "away"),
    [
        (Hop(), AWAY),
        (Hop(mail="451 4.3.0 greylisted"), None),
        (Hop(mail="421 4.3.2 shutting down"), None),
        (Hop(mail="451 4.3.0 x", without=("PIPELINING",)), None),
        (Hop(mail=CLOSE), None),
        (Hop(rcpt=CLOSE), None),
        (Hop(rcpt=["250 ok", CLOSE]), None),
        (Hop(rcpt=["250 ok", "421 4.3.2 shutting down"]), None),
        (Hop(rcpt=["250 ok", CLOSE], without=("PIPELINING",)), None),
        (Hop(data=CLOSE), None),
        (Hop(data="421 4.3.2 shutting down"), None),
    ],
    ids=[
        "down at connect",
        "4xx at MAIL",
        "421 at MAIL",
        "4xx at MAIL, one by one",
        "lost at MAIL",
        "lost at RCPT",
        "lost at the second RCPT",
        "421 at the second RCPT",
        "lost at the second RCPT, one by one",
        "lost before 354",
        "421 before 354",
    ],
)
def test_the_hop_is_away(hop: Hop, away: Reply | None) -> None:
    world = trusted(hop, away=away)
    world.talk(rf"""
        {ENVELOPE.strip()}
        C< 250 *
        C< 250 *
        C< 354 *
        C=> {MESSAGE}
        C< {QUEUED}
    """)
    queued(world)


def test_further_recipients_of_a_queued_transaction_are_not_asked_of_anybody() -> None:
    world = trusted(away=AWAY)
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@far.example>
        C< 250 2.1.5 Ok
        C> RCPT TO:<c@other.example>
        C< 250 2.1.5 Ok
    """)
    assert len(world.opened) == 1


@pytest.mark.parametrize("words", ["", " 421 4.3.2 reloading"])
def test_lost_between_rcpt_and_data(words: str) -> None:
    world = by_hand(role="submission", trusted=True)
    world.talk(rf"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C=> RCPT TO:<b@far.example>\r\nRCPT TO:<c@far.example>\r\n
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 250 ok
        C< 250 ok
        H lost{words}
        C> DATA
        C< 354 *
        C=> {MESSAGE}
        J< queue queue
        J> durable
        V< queued
        C< {QUEUED}
    """)
    queued(world)


@pytest.mark.parametrize("octets", [8, 300_000])
def test_lost_in_mid_content(octets: int) -> None:
    """The dot was not sent, so the hop has nothing; small and spooled."""
    world = by_hand(role="submission", trusted=True)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\n
        + RCPT TO:<c@far.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 ok
        C< 354 *
    """)
    world.send(b"Subject: x\r\n\r\n" + b"0123456789abcde\n" * (octets // 16))
    world.talk(rf"""
        C<-
        H lost
        C=> \r\nhello\r\n.\r\n
        J< queue queue
        J> durable
        C< {QUEUED}
    """)
    queued(world)


def test_a_hop_that_refuses_the_content_midway_is_away_too() -> None:
    """Nothing was delivered, so it is ours; the queue hears the hop's words again."""
    world = by_hand(role="submission", trusted=True)
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\n
        + RCPT TO:<c@far.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 ok
        C< 354 *
        C=> Subj
        H lost 451 4.3.0 later
        C=> {MESSAGE}
        J> durable
        C< {QUEUED}
    """)
    queued(world)


def test_lost_after_the_dot_is_not_queued() -> None:
    """It may have the message: the client decides, and may send it again."""
    by_hand(role="submission", trusted=True).talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 ok
        C< 354 *
        C=> {MESSAGE}
        J< pass
        J> durable
        H lost
        V< unknown
        C< 451 4.4.2 *
    """).settled()


@pytest.mark.parametrize(
    "hop",
    [
        Hop(mail="550 5.7.1 no", rcpt="503 5.5.1 no"),
        Hop(mail="550 5.7.1 no", rcpt=CLOSE),
        Hop(mail="550 5.7.1 no", rcpt=CLOSE, without=("PIPELINING",)),
        Hop(rcpt="550 5.7.1 no"),
        Hop(rcpt="450 5.7.1 no"),
        Hop(data="554 5.7.1 no"),
        Hop(dot="554 5.7.1 no"),
        Hop(dot="451 4.3.0 no"),
    ],
    ids=[
        "MAIL",
        "MAIL then gone",
        "MAIL then gone, no PIPELINING",
        "RCPT",
        "RCPT for now",
        "DATA",
        "dot",
        "dot for now",
    ],
)
def test_what_a_hop_refuses_is_refused_and_not_queued(hop: Hop) -> None:
    world = trusted(hop)
    world.talk(ENVELOPE)
    world.unread = b""
    if world.dialogue()[-1].startswith("354"):
        world.talk(f"C=> {MESSAGE}")
    assert world.dialogue()[-1][:3] in ("451", "550", "554")
    world.settled()
    assert not [v for v in world.verdicts.values() if v["outcome"] != "refused"]


def test_a_domain_that_takes_no_mail_is_refused_and_not_queued() -> None:
    away = Reply.of(556, "5.1.10", "null MX")
    world = trusted(away=away, away_for_good=True, hop_kind="mx")
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@far.example>
        C< 556 5.1.10 null MX
    """).settled()


@pytest.mark.parametrize("role", ["inbound", "lmtp"])
def test_other_roles_never_queue(role: str) -> None:
    world = World(role=role, trusted=True, away=AWAY)
    hello = "LHLO" if role == "lmtp" else "EHLO"
    world.talk(f"""
        C< 220 *
        C> {hello} laptop
        C<... 250 CHUNKING
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@y.example>
        C< 451 4.4.1 *
    """).settled()


def test_an_unknown_client_of_a_submission_door_gets_nowhere() -> None:
    """Row 8: open relay."""
    by_script(role="submission").talk("""
        C> MAIL FROM:<a@x.example>
        C< 550 5.7.1 Relaying denied
    """)
    by_script(Hop(auth="PLAIN"), role="submission", auth=True).talk("""
        C> MAIL FROM:<a@x.example>
        C< 530 5.7.0 Authentication required
    """)


def test_a_client_that_could_not_log_in_because_nobody_answers_waits() -> None:
    """No AUTH was offered, so "authentication required" would make a relay return the mail."""
    World(role="submission", auth=True, auth_without_tls=True, away=AWAY, hop_known=False).talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250 CHUNKING
        C> MAIL FROM:<a@x.example>
        C< 451 4.7.0 Logins cannot be checked now, try again later
    """)


def submission_by_hand(role: str = "submission") -> World:
    return by_hand(role=role, auth=True, auth_without_tls=True, auth_offered="PLAIN")


def test_a_logged_in_client_whose_server_goes_between_messages() -> None:
    """Nobody else could speak for it at the hop: the mail is ours to deliver."""
    world = submission_by_hand()
    world.talk(rf"""
        {LOGIN.strip()}
        H lost
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\n
        + RCPT TO:<c@far.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 Ok
        C< 250 2.1.5 Ok
        C< 354 *
        C=> {MESSAGE}
        J< queue queue
        J> durable
        C< {QUEUED}
    """)
    (record,) = world.records.values()
    assert record["client"]["auth"] == "alice"
    queued(world)


def test_the_same_where_nothing_is_queued_sends_the_client_away() -> None:
    """Role inbound: asked again, the client logs in again."""
    submission_by_hand(role="inbound").talk(rf"""
        {LOGIN.strip()}
        H lost
        C> MAIL FROM:<a@x.example>
        C< 421 4.4.2 *
        C<end
    """).settled()


def test_a_failed_login_and_a_lost_hop_open_no_way_into_the_queue() -> None:
    world = submission_by_hand(role="inbound")
    world.talk(r"""
        C> AUTH PLAIN AGFsaWNlAHdyb25n
        H connects
        H> 535 5.7.8 no
        C< 535 5.7.8 no
        now +1
        H lost
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@y.example>
        C<-
        H connects
        H< AUTH *
        H< MAIL FROM:<a@x.example>
        H< RCPT TO:<b@y.example>
    """)


def test_mixed_responsibility_when_the_hop_refuses_the_message() -> None:
    """The client was told 550 for the whole message: nothing of it is ours."""
    world = trusted(Hop(dot="550 5.7.1 spam"), hop_kind="mx")
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\n
        + RCPT TO:<c@other.example>\r\nDATA\r\n
        C<... 354 *
        C=> {MESSAGE}
        C< 550 5.7.1 spam
    """).settled()
    (verdict,) = world.verdicts.values()
    assert [row["outcome"] for row in verdict["recipients"]] == ["refused", "refused"]


def test_no_space_for_queued_mail_either() -> None:
    world = trusted(away=AWAY, journal="full")
    world.talk(rf"""
        {ENVELOPE.strip()}
        C< 250 *
        C< 250 *
        C< 354 *
        C=> {MESSAGE}
        C< 452 4.3.1 Insufficient system storage
    """).settled()
    assert world.verdicts == {}
