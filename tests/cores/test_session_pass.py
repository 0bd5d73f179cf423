"""Mail that passes through: the next hop is asked live, and its words are the client's answers."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.smtp.replies import Reply
from tests.cores.hopline import Hop
from tests.cores.world import MESSAGE, World, by_hand, by_script
from tests.sink.script import CLOSE


def test_one_message_step_by_step() -> None:
    world = by_hand()
    world.talk(rf"""
        C> MAIL FROM:<a@x.example>
        C< 250 2.1.0 Ok
        H<-
        C> RCPT TO:<b@y.example>
        C<-
        H connects
        H< MAIL FROM:<a@x.example>
        H< RCPT TO:<b@y.example>
        H> 250 fine
        C<-
        H> 250 2.1.5 my own words
        C< 250 2.1.5 my own words
        C> DATA
        C<-
        H< DATA
        H> 354 go on
        C< 354 End data with <CR><LF>.<CR><LF>
        C=> {MESSAGE}
        J< pass
        H<-
        C<-
        J> durable
        H<content
        C<-
        H> 250 2.0.0 stored as 4711
        V< accepted
        C< 250 2.0.0 stored as 4711
        C> QUIT
        C< 221 2.0.0 Bye
        C<end
    """)
    world.settled()
    (message,) = world.hop.messages
    assert message.body == b"Subject: x\r\n\r\nhello\r\n"
    assert message.octets.startswith(
        b"Received: from laptop ([192.0.2.7])\r\n"
        b"\tby mx.example.com (Mailweir) with ESMTP id 01KTEST0000000000000000001\r\n"
        b"\tfor <b@y.example>; Sun, 22 Nov 2026 00:40:01 +0000\r\n"
    )
    (record,) = world.records.values()
    assert record["trace"].encode() == message.octets[: len(record["trace"])]
    assert record["recipients"] == [{"address": "b@y.example", "params": [], "plan": "pass"}]
    assert [name for name, _ in world.logs] == ["accepted"]


def test_two_messages_on_one_connection() -> None:
    world = by_script()
    for _ in range(2):
        world.talk(rf"""
            C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
            C< 250 2.1.0 Ok
            C< 250 2.1.5 recipient ok
            C< 354 *
            C=> {MESSAGE}
            C< 250 2.0.0 stored
        """)
    world.settled()
    assert len(world.hop.messages) == 2
    assert len(world.opened) == 2 and len(world.pool) == 1, "the second came from the pool"


def test_pipelining_goes_through_as_pipelining() -> None:
    """RFC 2920: MAIL, RCPT and DATA in one write, and their replies in one write, in order."""
    hop = Hop(rcpt={"nobody": "550 5.1.1 <nobody@y.example> is unknown"})
    world = by_script(hop, auto=False)
    before = len(world.writes)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        + RCPT TO:<nobody@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C<-
    """)
    world.deliver("open")
    assert world.hop.commands == [
        "MAIL FROM:<a@x.example>",
        "RCPT TO:<b@y.example>",
        "RCPT TO:<nobody@y.example>",
        "RCPT TO:<c@y.example>",
    ]
    world.run()
    world.talk("""
        C< 250 2.1.5 recipient ok
        C< 550 5.1.1 <nobody@y.example> is unknown
        C< 250 2.1.5 recipient ok
        C< 354 *
    """)
    assert len(world.writes) - before <= 5, "a write for an answer of the hop at most"


def test_mail_and_rcpt_of_one_write_go_to_a_pooled_hop_in_one_write() -> None:
    world = by_script(pool=1)
    before = len(world.writes)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 250 2.1.5 recipient ok
    """)
    assert len(world.writes) - before <= 3


def test_a_hop_without_pipelining_is_asked_one_command_at_a_time() -> None:
    # That it gets one command at a time is checked by the hop itself.
    hop = Hop(without=("PIPELINING",), rcpt={"nobody": "550 5.1.1 no"})
    world = by_script(hop)
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        + RCPT TO:<nobody@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 550 5.1.1 no
        C< 250 2.1.5 recipient ok
        C< 354 *
        C=> {MESSAGE}
        C< 250 2.0.0 stored
    """).settled()
    assert [len(message.recipients) for message in hop.messages] == [2]


def test_parameters_reach_the_hop_to_the_letter() -> None:
    """Row: DSN params."""
    world = by_script()
    world.talk("""
        C> MAIL FROM:<a@x.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=Q+3Dx
        C< 250 2.1.0 Ok
        C> RCPT TO:<b@y.example> NOTIFY=NEVER ORCPT=rfc822;B@Y
        C< 250 2.1.5 recipient ok
    """)
    assert world.hop.commands == [
        "MAIL FROM:<a@x.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=Q+3Dx",
        "RCPT TO:<b@y.example> NOTIFY=NEVER ORCPT=rfc822;B@Y",
    ]


def test_parameters_that_a_hop_does_not_know_are_left_out_for_it_and_kept_in_the_journal() -> None:
    hop = Hop(without=("DSN", "SIZE"))
    world = by_script(hop)
    world.talk(rf"""
        C> MAIL FROM:<a@x.example> SIZE=100 RET=HDRS AUTH=<>
        C< 250 2.1.0 Ok
        C> RCPT TO:<b@y.example> NOTIFY=NEVER
        C< 250 2.1.5 recipient ok
        C> DATA
        C< 354 *
        C=> {MESSAGE}
        C< 250 2.0.0 stored
    """)
    assert hop.commands[:2] == ["MAIL FROM:<a@x.example>", "RCPT TO:<b@y.example>"]
    (record,) = world.records.values()
    assert record["sender_params"] == ["SIZE=100", "RET=HDRS", "AUTH=<>"]
    assert record["recipients"][0]["params"] == ["NOTIFY=NEVER"]


@pytest.mark.parametrize(
    ("lacks", "mail", "words"),
    [
        ("SMTPUTF8", "MAIL FROM:<日@x.example> SMTPUTF8", "550 5.6.7 *"),
        ("8BITMIME", "MAIL FROM:<a@x.example> BODY=8BITMIME", "550 5.6.3 *"),
    ],
)
def test_a_hop_that_cannot_carry_it_is_not_asked(lacks: str, mail: str, words: str) -> None:
    """Rows: 8BITMIME down, SMTPUTF8 down."""
    world = by_script(Hop(without=(lacks,)))
    world.talk(f"""
        C> {mail}
        C< 250 2.1.0 Ok
        C=> RCPT TO:<b@y.example>\\r\\nRCPT TO:<c@y.example>\\r\\nDATA\\r\\n
        C< {words}
        C< {words}
        C< 554 5.5.1 No valid recipients
    """).settled()
    assert world.hop.commands == []


def test_the_null_sender_and_utf_8() -> None:
    world = by_script()
    world.talk("""
        C> MAIL FROM:<> SMTPUTF8
        C< 250 2.1.0 Ok
        C> RCPT TO:<日本@y.example>
        C< 250 2.1.5 recipient ok
    """)
    assert world.hop.commands == ["MAIL FROM:<> SMTPUTF8", "RCPT TO:<日本@y.example>"]


def test_all_refused_then_data_with_the_body_in_one_segment() -> None:
    """Row: pipelining. The body never runs as commands."""
    world = by_script(Hop(rcpt="550 5.1.1 no"))
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        + MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@y.example>\r\n.\r\n
        C< 250 2.1.0 Ok
        C< 550 5.1.1 no
        C< 554 5.5.1 No valid recipients
        C< 421 4.7.0 Content before the reply to DATA
        C<end
    """).settled()
    assert "evil" not in str(world.hop.commands)


def test_a_body_that_comes_while_the_hop_thinks_about_data_is_no_command_either() -> None:
    world = by_hand()
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        + MAIL FROM:<evil@x.example>\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 554 5.7.1 not today
        C< 554 5.7.1 not today
        C< 421 4.7.0 *
        C<end
    """).settled()


def test_data_without_recipients_or_sender() -> None:
    world = by_script()
    world.talk("""
        C> DATA
        C< 503 5.5.1 Send MAIL first
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> DATA
        C< 554 5.5.1 No valid recipients
        C> DATA now
        C< 501 5.5.4 *
        C> RCPT TO:<b@y.example>
        C< 503 5.5.1 Send MAIL first
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> MAIL FROM:<a@x.example>
        C< 503 5.5.1 A transaction is open already
    """)
    assert world.hop.commands == []


def test_mail_before_hello() -> None:
    World().talk("""
        C< 220 *
        C> MAIL FROM:<a@x.example>
        C< 503 5.5.1 Send EHLO first
    """)


@pytest.mark.parametrize("words", ["550 5.7.1 sender is blocked", "451 4.7.1 greylisted"])
def test_what_the_hop_says_to_mail_is_the_answer_to_every_rcpt(words: str) -> None:
    """Decision 0002. (Under role inbound nothing is queued.)"""
    hop = Hop(mail=words, rcpt="503 5.5.1 no sender")
    world = by_script(hop)
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< {words}
        C< {words}
        C< 554 5.5.1 No valid recipients
        C> RSET
        C< 250 *
        C> MAIL FROM:<d@x.example>
        C< 250 *
    """).settled()


def test_the_same_without_pipelining() -> None:
    hop = Hop(without=("PIPELINING",), mail="550 5.7.1 sender is blocked")
    by_script(hop).talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 550 5.7.1 sender is blocked
        C< 550 5.7.1 sender is blocked
        C> RCPT TO:<d@y.example>
        C< 550 5.7.1 sender is blocked
    """).settled()
    assert hop.commands == ["MAIL FROM:<a@x.example>"]


def test_many_lines_of_the_hop_are_passed_on() -> None:
    hop = Hop(rcpt="550-5.1.1 no\n550 5.1.1 see http://x.example")
    by_script(hop).talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 550-5.1.1 no
        C< 550 5.1.1 see http://x.example
    """)


@pytest.mark.parametrize(
    "words", ["550 5.7.1 spam", "451 4.3.0 later", "552 5.2.2 full", "554-5.6.0 a\n554 5.6.0 b"]
)
def test_a_refusal_after_the_dot_is_passed_on(words: str) -> None:
    world = by_script(Hop(dot=words))
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C<... 354 *
        C=> {MESSAGE}
    """)
    assert world.unread.decode().rstrip("\r\n").replace("\r\n", "\n") == words
    world.settled()
    (verdict,) = world.verdicts.values()
    assert verdict["outcome"] == "refused" and verdict["recipients"][0]["outcome"] == "refused"
    assert [name for name, _ in world.logs] == ["refused"]


# ---------------------------------------------------------------------- the hop is away, inbound


def test_a_hop_that_is_down_is_a_4xx_at_rcpt() -> None:
    world = by_script(away=Reply.of(451, "4.4.1", "the next hop cannot be reached"))
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 451 4.4.1 the next hop cannot be reached
        C< 451 4.4.1 the next hop cannot be reached
        C< 554 5.5.1 No valid recipients
    """).settled()


def test_ehlo_before_the_hop_was_ever_asked() -> None:
    world = World(hop_known=False, hop=Hop(without=("DSN",)))
    world.talk("""
        C< 220 *
        C> EHLO laptop
        C< 250-mx.example.com
        C< 250-PIPELINING
        C< 250-SIZE 52428800
        C< 250-ENHANCEDSTATUSCODES
        C< 250-8BITMIME
        C< 250-SMTPUTF8
        C< 250 CHUNKING
    """)
    assert len(world.pool) == 1, "the connection that was made for EHLO serves the next one"


def test_ehlo_while_the_hop_is_down_promises_nothing_of_it() -> None:
    world = World(hop_known=False, away=Reply.of(451, "4.4.1", "down"))
    world.talk("""
        C< 220 *
        C> EHLO laptop
        C< 250-mx.example.com
        C< 250-PIPELINING
        C< 250-SIZE 52428800
        C< 250 ENHANCEDSTATUSCODES
    """)


@pytest.mark.parametrize(
    ("hop", "replies"),
    [
        (Hop(mail=CLOSE), ["451 4.4.2 *", "451 4.4.2 *", "554 5.5.1 *"]),
        (Hop(rcpt=CLOSE), ["451 4.4.2 *", "451 4.4.2 *", "554 5.5.1 *"]),
        (Hop(rcpt=["250 ok", CLOSE]), ["250 ok", "451 4.4.2 *", "451 4.4.2 *"]),
        (Hop(data=CLOSE), ["250 *", "250 *", "451 4.4.2 *"]),
        (Hop(mail="421 4.3.2 shutting down"), ["451 4.3.2 *", "451 4.3.2 *", "554 5.5.1 *"]),
        (Hop(rcpt="421 4.3.2 shutting down"), ["451 4.3.2 *", "451 4.3.2 *", "554 5.5.1 *"]),
        (Hop(data="421 4.3.2 shutting down"), ["250 *", "250 *", "451 4.3.2 *"]),
        (Hop(data="550 5.7.1 no"), ["250 *", "250 *", "550 5.7.1 no"]),
        (Hop(data="250 what?"), ["250 *", "250 *", "451 4.4.2 *"]),
        (Hop(rcpt="354 what?"), ["451 4.4.2 *", "451 4.4.2 *", "554 5.5.1 *"]),
        (Hop(mail="554 5.7.1 go away", rcpt=CLOSE), ["554 *", "554 *", "554 5.5.1 *"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_a_hop_that_breaks_off_before_the_content(hop: Hop, replies: list[str]) -> None:
    """A 421 of the hop is about its own connection, so the client hears it as a 451."""
    first, second, data = replies
    world = by_script(hop)
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< {first}
        C< {second}
        C< {data}
        C> RSET
        C< 250 *
        C> QUIT
        C< 221 *
        C<end
    """).settled()
    assert world.records == {}


def test_a_hop_that_goes_between_rcpt_and_data() -> None:
    by_hand().talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@y.example>
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H lost 421 4.3.2 reloading
        C> RCPT TO:<c@y.example>
        C< 4*
        C> DATA
        C< 4*
        C> MAIL FROM:<a@x.example>
        C< 250 *
    """).settled()


@pytest.mark.parametrize("words", ["", " 452 4.3.1 full", " 552 5.3.4 too big for me"])
def test_a_hop_that_goes_in_mid_content(words: str) -> None:
    """The rest is read to its end, then the client is told; a 552 here is about this content."""
    world = by_hand()
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 go
        C< 354 *
        C=> Subject: x\r\n\r\nhel
        H lost{words}
        C<-
        C=> lo\r\n.\r\n
        C< {words.strip() or "451 4.4.2 *"}
        C> MAIL FROM:<a@x.example>
        C< 250 *
    """)
    assert world.records == {}
    world.settled()


def test_a_hop_that_goes_while_the_disk_writes() -> None:
    """It had no dot, so it has no message: refused, and the verdict says so."""
    by_hand().talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 go
        C< 354 *
        C=> {MESSAGE}
        H lost
        C<-
        J> durable
        V< refused
        C< 451 4.4.2 *
    """).settled()


def test_a_hop_that_goes_after_the_dot() -> None:
    """Nobody knows whether it took the message: 4xx, so that it comes again."""
    by_hand().talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 go
        C< 354 *
        C=> {MESSAGE}
        J> durable
        H lost
        V< unknown
        C< 451 4.4.2 *
        C> QUIT
        C< 221 *
        C<end
    """).settled()


def test_a_421_after_the_dot() -> None:
    world = by_script(Hop(dot="421 4.3.2 shutting down"))
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C<... 354 *
        C=> {MESSAGE}
        C< 451 4.3.2 shutting down
        C> NOOP
        C< 250 *
    """).settled()
    assert world.pool == []


# ---------------------------------------------------------------------- the pool


def test_a_stale_pooled_connection_is_tried_once_more_on_a_fresh_one() -> None:
    world = by_script(pool=2, stale=2)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 250 2.1.5 recipient ok
    """)
    assert [action.fresh for action in world.opened] == [False, True]
    assert world.hop.commands == [
        "MAIL FROM:<a@x.example>",
        "RCPT TO:<b@y.example>",
        "RCPT TO:<c@y.example>",
    ]


def test_a_pooled_connection_that_says_421_to_mail_is_stale_too() -> None:
    hop = Hop(mail=["421 4.4.2 idle for too long", "250 ok"])
    world = by_script(hop, pool=1)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
    """)
    assert [action.fresh for action in world.opened] == [False, True]


def test_only_once() -> None:
    world = by_script(Hop(mail=CLOSE), pool=1)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 451 4.4.2 *
    """).settled()
    assert [action.fresh for action in world.opened] == [False, True]


def test_a_pooled_connection_that_has_answered_is_not_stale() -> None:
    """On another connection the recipients that it has taken would be missing."""
    world = by_script(Hop(rcpt=["250 ok", CLOSE]), pool=1)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n
        C< 250 2.1.0 Ok
        C< 250 ok
        C< 451 4.4.2 *
        C> DATA
        C< 451 4.4.2 *
    """).settled()
    assert len(world.opened) == 1


@pytest.mark.parametrize("last", ["RSET", "EHLO again", "QUIT", "DATA"])
def test_a_transaction_that_is_given_up_leaves_a_clean_connection(last: str) -> None:
    world = by_script(Hop(data="452 4.3.1 not now"))
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        C< 250 *
        C< 250 *
    """)
    world.send(last.encode() + b"\r\n")
    assert len(world.pool) == 1 and world.pool[0].clean
    world.settled()


# ---------------------------------------------------------------------- direct delivery


def direct(**more: Any) -> World:
    return by_script(hop_kind="mx", role="submission", trusted=True, **more)


def test_direct_delivery_asks_the_hop_of_the_domain() -> None:
    world = direct()
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@Y.example>\r\nRCPT TO:<c@y.EXAMPLE>\r\n
        C<... 250 2.1.5 recipient ok
        C< 250 2.1.5 recipient ok
    """)
    assert [action.domain for action in world.opened] == ["y.example"]


def test_a_second_domain_goes_to_the_queue() -> None:
    world = direct()
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        + RCPT TO:<c@other.example>\r\nDATA\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 250 2.1.5 Ok
        C< 354 *
        C=> {MESSAGE}
        C< 250 2.0.0 stored
    """).settled()
    (verdict,) = world.verdicts.values()
    assert {row["address"]: row["outcome"] for row in verdict["recipients"]} == {
        "b@y.example": "accepted",
        "c@other.example": "queued",
    }


def test_a_second_domain_is_for_another_transaction_where_nothing_is_queued() -> None:
    world = by_script(hop_kind="mx", recipient_domains=frozenset({"y.example", "z.example"}))
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@z.example>\r\n
        C< 250 2.1.0 Ok
        C< 250 2.1.5 recipient ok
        C< 452 4.5.3 One destination in one transaction
    """)


def test_a_domain_that_takes_no_mail_says_so_and_the_next_one_is_asked() -> None:
    world = direct(auto=False)
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@nowhere.example>
    """)
    world.away, world.away_for_good = Reply.of(550, "5.1.2", "no such domain"), True
    world.run()
    world.talk("""
        C< 550 5.1.2 no such domain
        C> RCPT TO:<b@y.example>
    """)
    world.away = None
    world.run()
    world.talk("C< 250 2.1.5 recipient ok")
    assert [action.domain for action in world.opened] == ["nowhere.example", "y.example"]


def test_after_a_refused_recipient_another_domain_is_asked_at_its_own_hop() -> None:
    """Not at the hop of the first domain, which is connected and knows nothing of the second."""
    world = direct(hop=Hop(rcpt={"nobody": "550 5.1.1 no"}))
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<nobody@y.example>
        C< 550 5.1.1 no
        C> RCPT TO:<c@z.example>
        C< 250 2.1.5 recipient ok
    """).settled()
    assert [action.domain for action in world.opened] == ["y.example", "z.example"]
    assert world.hop.commands[2:] == ["MAIL FROM:<a@x.example>", "RCPT TO:<c@z.example>"]


def test_with_direct_delivery_one_hop_that_is_away_says_nothing_of_another() -> None:
    world = by_script(
        hop_kind="mx", recipient_domains=frozenset({"y.example", "z.example"}), auto=False
    )
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@y.example>
    """)
    world.away = Reply.of(451, "4.4.1", "cannot be reached")
    world.run()
    world.talk("""
        C< 451 4.4.1 cannot be reached
        C> RCPT TO:<c@z.example>
    """)
    world.away = None
    world.run()
    world.talk("C< 250 2.1.5 recipient ok")
