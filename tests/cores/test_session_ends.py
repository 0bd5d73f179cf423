"""How sessions end: the client leaves, time runs out, the door stops. No commit is cancelled."""

from __future__ import annotations

import pytest

from tests.cores.hopline import Hop
from tests.cores.world import MESSAGE, World, by_hand, by_script

#: A whole transaction by hand; the client can leave behind each step.
STEPS = [
    "C> MAIL FROM:<a@x.example>",
    "C> RCPT TO:<b@y.example>",
    "H connects",
    "H> 250 ok",
    "H> 250 ok",
    "C> DATA",
    "H> 354 go",
    r"C=> Subject: x\r\n",
    r"C=> \r\nhello\r\n.\r\n",
    "J> durable",
    "H> 250 2.0.0 stored",
]
END_OF_CONTENT = STEPS.index(r"C=> \r\nhello\r\n.\r\n")


def play(world: World, steps: list[str]) -> None:
    for step in steps:
        world.unread = b""
        world.talk(step)


@pytest.mark.parametrize("end", ["C gone", "C eof"])
@pytest.mark.parametrize("spool_above", [5, 262_144])
@pytest.mark.parametrize("after", range(len(STEPS) + 1))
def test_the_client_leaves_after_each_step(after: int, spool_above: int, end: str) -> None:
    """Row 10. Before the end of the content nothing remains; after it the commit goes on."""
    world = by_hand(spool_above=spool_above)
    play(world, STEPS[:after])
    world.unread = b""
    world.talk(end)
    left = world.hop.commands[:]
    if after <= END_OF_CONTENT:
        if world.opened and world.line is None and after == 2:
            world.talk("H connects")  # it was on its way when the client left
        assert world.records == {} and world.hop.messages == []
        assert world.hop.commands == left, "nothing more is asked for a client that has gone"
    else:
        play(world, STEPS[after:])
        assert len(world.hop.messages) == 1
        (verdict,) = world.verdicts.values()
        assert verdict["outcome"] == "accepted"
        if end == "C eof" and after < len(STEPS):
            assert world.out.endswith(b"250 2.0.0 stored\r\n"), "it may still be listening"
    assert world.closed
    world.settled()


def test_the_client_leaves_while_mail_is_queued() -> None:
    world = by_hand(role="submission", trusted=True)
    world.talk(rf"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@far.example>
        H away 451 4.4.1 down
        C< 250 2.1.5 Ok
        C> DATA
        C< 354 *
        C=> {MESSAGE}
        C gone
        J> durable
        V< queued
    """).settled()


@pytest.mark.parametrize("fate", ["full", "broken"])
def test_the_client_leaves_and_the_disk_fails(fate: str) -> None:
    world = by_hand()
    play(world, STEPS[: END_OF_CONTENT + 1])
    world.unread = b""
    world.talk(f"C gone\nJ> {fate}").settled()
    assert world.verdicts == {} and world.hop.messages == []


def test_the_client_leaves_and_the_hop_goes_after_the_dot() -> None:
    world = by_hand()
    play(world, STEPS[: END_OF_CONTENT + 2])
    world.unread = b""
    world.talk("C gone\nH lost\nV< unknown").settled()


def test_the_client_leaves_in_a_bdat_chunk() -> None:
    world = by_script(spool_above=5)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nBDAT 100\r\n0123456789
        C< 250 *
        C< 250 *
        C gone
    """).settled()
    assert world.records == {}


@pytest.mark.parametrize("answer", ["235 ok", "535 no", "334 x"])
def test_a_logged_in_client_leaves(answer: str) -> None:
    world = by_hand(auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk("""
        C> AUTH PLAIN AGEAYg==
        H connects
        C gone
    """).settled()
    world = by_hand(auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk(f"""
        C> AUTH PLAIN AGEAYg==
        H connects
        H> {answer}
        C< {answer}
        C gone
    """).settled()
    assert len(world.dropped) == 1


def test_what_waits_is_forgotten_when_the_client_closes() -> None:
    world = by_hand()
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nhello\r\n.\r\n
        C< 250 *
        C eof
        H connects
    """).settled()
    assert world.hop.commands == [] and world.closed


def test_a_delay_that_ends_after_the_client_has_gone() -> None:
    world = by_hand(auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk("""
        C> AUTH PLAIN AGEAYg==
        H connects
        H> 535 no
        C< 535 no
        C gone
        now +1
    """).settled()


# ---------------------------------------------------------------------- time


def test_a_silent_client_is_sent_away() -> None:
    by_script(command_timeout=300.0).talk("""
        now +299
        C> NOOP
        C< 250 *
        now +300
        C<-
        now +1
        C< 421 4.4.2 mx.example.com Timeout, closing connection
        C<end
    """)


def test_in_content_the_other_limit_counts() -> None:
    world = by_hand(command_timeout=10.0, data_timeout=20.0)
    play(world, STEPS[:8])
    world.unread = b""
    world.talk("""
        now +20
        C<-
        now +1
        C< 421 4.4.2 *
        C<end
    """).settled()
    assert world.records == {}


def test_under_stress_time_is_short() -> None:
    world = by_script()
    world.stress = True
    world.talk("""
        now +10
        C<-
        now +1
        C< 421 4.4.2 *
        C<end
    """)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dripping_content_is_cut_off(chunked: bool) -> None:
    """Row: slow loris."""
    world = by_script(min_rate=500)
    how = "BDAT 1000000" if chunked else "DATA"
    world.talk(rf"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n{how}\r\n
    """)
    world.unread = b""
    for _ in range(60):
        world.send(b"x" * 400)
        world.wait(1)
        if world.closed:
            break
    world.talk("C< 421 4.4.2 mx.example.com Too slow, closing connection\nC<end").settled()
    assert world.records == {}


def test_a_slow_but_steady_content_passes() -> None:
    world = by_script(min_rate=500)
    world.talk(r"C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n")
    world.unread = b""
    for _ in range(1000):
        world.send(b"x" * 600)
        world.wait(1)
    world.talk(r"""
        C=> \r\n.\r\n
        C< 250 2.0.0 stored
    """).settled()


def test_our_own_slowness_is_not_the_clients() -> None:
    world = by_hand()
    play(world, STEPS[:8])
    for _ in range(1000):
        world.clock += 1
        world.tell(world.core.tick, world.clock, 1.0, True)
    assert not world.closed
    play(world, STEPS[8:])
    world.settled()


def test_a_hop_that_thinks_for_long_costs_the_client_nothing() -> None:
    world = by_hand()
    play(world, STEPS[: END_OF_CONTENT + 2])
    world.unread = b""
    world.wait(590)
    world.talk("H> 250 2.0.0 stored\nC< 250 2.0.0 stored\nnow +299\nC> NOOP\nC< 250 *").settled()


def test_a_session_has_an_end() -> None:
    """Row 11: NOOP every so often kept a session forever."""
    world = by_script(session=600.0)
    for _ in range(5):
        world.talk("""
            now +100
            C> NOOP
            C< 250 *
        """)
    world.talk("""
        now +101
        C< 421 4.4.2 mx.example.com Session too long, closing connection
        C<end
    """)


@pytest.mark.parametrize("drip", ["NOOP\r\n", "x", "BDAT 0\r\n"])
def test_an_open_transaction_does_not_make_a_session_endless(drip: str) -> None:
    world = by_script(session=600.0, data_timeout=300.0)
    world.talk(r"C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n")
    for _ in range(100):
        if not world.closed:
            world.wait(10)
            world.send(drip.encode())
    assert world.closed
    world.settled()


def test_a_running_transaction_may_end_after_the_sessions_time() -> None:
    world = by_script(session=600.0)
    world.talk("now +290\nC> NOOP\nC< 250 *\nnow +290\nC> MAIL FROM:<a@x.example>\nC< 250 *")
    world.talk(rf"""
        now +30
        C=> RCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        C< 354 *
        C=> {MESSAGE}
        C< 250 2.0.0 stored
        now +1
        C< 421 4.4.2 *
        C<end
    """).settled()


# ---------------------------------------------------------------------- the door stops


def test_an_idle_client_is_sent_away() -> None:
    by_script().talk("""
        stop
        C< 421 4.3.2 mx.example.com Service shutting down
        C<end
    """).settled()


def test_a_running_transaction_ends_first() -> None:
    by_script().talk(rf"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        stop
        C<-
        C=> RCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        C< 354 *
        C=> {MESSAGE}
        C< 250 2.0.0 stored
        C< 421 4.3.2 *
        C<end
    """).settled()


@pytest.mark.parametrize("last", ["RSET", "EHLO again", "DATA"])
def test_a_transaction_that_is_given_up_was_the_last(last: str) -> None:
    world = by_script()
    world.talk(f"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        stop
        C> {last}
    """)
    assert world.unread.endswith(b"421 4.3.2 mx.example.com Service shutting down\r\n")
    assert world.closed
    world.settled()


def test_no_new_transaction_of_what_was_said_at_once() -> None:
    by_script().talk(r"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        stop
        C=> RSET\r\nMAIL FROM:<a@x.example>\r\n
        C< 250 *
        C< 421 4.3.2 *
        C<end
    """).settled()


@pytest.mark.parametrize("after", range(1, len(STEPS)))
def test_when_the_door_can_wait_no_longer(after: int) -> None:
    """Clear words, or none while the end of a message is on its way."""
    world = by_hand()
    play(world, STEPS[:after])
    world.unread = b""
    world.gone = committing = after > END_OF_CONTENT
    world.tell(world.core.cut)
    if committing:
        play(world, STEPS[after:])
        assert [verdict["outcome"] for verdict in world.verdicts.values()] == ["accepted"]
    else:
        world.talk("C< 421 4.3.2 mx.example.com Service shutting down\nC<end")
        if after == 2:
            world.talk("H connects")
    world.settled()


def test_stop_while_a_login_is_under_way() -> None:
    world = by_hand(auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk("""
        C> AUTH PLAIN AGEAYg==
        H connects
        stop
        H> 235 ok
        C< 235 ok
        C< 421 4.3.2 *
        C<end
    """).settled()


def test_stop_while_a_guesser_waits() -> None:
    world = by_hand(auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk("""
        C> AUTH PLAIN AGEAYg==
        H connects
        H> 535 no
        C< 535 no
        stop
        C<-
        now +1
        C< 421 4.3.2 *
        C<end
    """).settled()


def test_stop_while_the_hop_is_asked_for_ehlo() -> None:
    world = World(hop=Hop(scripted=False), hop_known=False)
    world.talk("""
        C< 220 *
        C> EHLO laptop
        stop
        H connects
        C<... 250 CHUNKING
        C< 421 4.3.2 *
        C<end
    """).settled()


def test_time_and_stop_do_nothing_to_a_commit() -> None:
    world = by_hand()
    play(world, STEPS[: END_OF_CONTENT + 1])
    world.unread = b""
    world.talk("""
        stop
        now +1000
        C<-
        J> durable
        now +1000
        C<-
        H> 250 2.0.0 stored
        C< 250 2.0.0 stored
        C< 421 4.3.2 *
        C<end
    """).settled()


def test_a_private_connection_in_content_when_time_runs_out() -> None:
    """One 421, one end."""
    hop = Hop(auth="PLAIN")
    world = by_script(hop, auth=True, auth_without_tls=True, role="submission")
    world.talk(r"""
        C> AUTH PLAIN AGEAYg==
        C< 235 *
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n
        C<... 354 *
        now +301
        C< 421 4.4.2 *
        C<end
    """).settled()


# ---------------------------------------------------------------------- our own faults


def test_after_a_fault_nothing_is_wanted_any_more() -> None:
    world = by_hand()
    play(world, STEPS[:5])
    world.core.abandon()
    assert world.core.drain() == ()
    world.core.receive(b"DATA\r\n", world.clock)
    world.core.tick(world.clock + 1000, 1.0, False)
    world.core.stop()
    world.core.eof()
    world.core.lost()
    assert world.core.drain() == ()
