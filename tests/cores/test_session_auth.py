"""AUTH, relayed to the next hop: to the letter, nothing kept but the user's name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.cores.hopline import Hop
from tests.cores.world import AWAY, World, by_hand
from tests.sink.script import CLOSE

ALL = "PLAIN LOGIN XOAUTH2 OAUTHBEARER SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512"
CANARY = "c4n4ry-s3cr3t"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = b64(f"\0alice@x.example\0{CANARY}")


def door(hop: Hop | None = None, **more: Any) -> World:
    """A submission door in TLS, greeted; no secret may leave the session but to the hop."""
    world = World(
        hop=hop or Hop(auth=ALL, scripted=False),
        role="submission",
        auth=True,
        tls="implicit",
        begin=False,
        secrets=(CANARY, b64(CANARY), PLAIN),
        **more,
    )
    world.tell(world.core.tls_started, "TLSv1.3")
    world.tell(world.core.begin)
    return world.talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250 CHUNKING
    """)


def name(world: World) -> str | None:
    """Who the session thinks it is; and nothing else of the exchange is left in it."""
    state = {key: value for key, value in vars(world.core).items() if key != "around"}
    assert CANARY not in repr(state) and b64(CANARY) not in repr(state) and PLAIN not in repr(state)
    return world.core.client.auth


@pytest.mark.parametrize("mechanism", ["PLAIN", "plain", "Plain"])
def test_plain_with_an_initial_response(mechanism: str) -> None:
    """Row 7: mechanism names in any case."""
    world = door()
    world.talk(f"""
        C> AUTH {mechanism} {PLAIN}
        C<-
        H connects
        H< AUTH PLAIN {PLAIN}
        C<-
        H> 235 2.7.0 Authentication successful
        C< 235 2.7.0 Authentication successful
    """)
    assert name(world) == "alice@x.example"
    assert world.logs == [
        (
            "auth",
            {
                "mech": "PLAIN",
                "ok": True,
                "words": "235 2.7.0 Authentication successful",
                "listener": "mx",
                "ip": "192.0.2.7",
            },
        )
    ]


def test_plain_without_an_initial_response() -> None:
    world = door()
    world.talk(f"""
        C> AUTH PLAIN
        H connects
        H< AUTH PLAIN
        H> 334
        C< 334
        C> {PLAIN}
        H< {PLAIN}
        H> 235 ok
        C< 235 ok
    """)
    assert name(world) == "alice@x.example"


@pytest.mark.parametrize("first", ["AUTH LOGIN", f"AUTH LOGIN {b64('alice')}"])
def test_login_and_its_second_response_is_never_looked_at(first: str) -> None:
    world = door()
    world.talk(f"""
        C> {first}
        H connects
        H< {first}
    """)
    if first == "AUTH LOGIN":
        world.talk(f"""
            H> 334 VXNlcm5hbWU6
            C< 334 VXNlcm5hbWU6
            C> {b64("alice")}
            H< {b64("alice")}
        """)
    world.talk(f"""
        H> 334 UGFzc3dvcmQ6
        C< 334 UGFzc3dvcmQ6
        C> {b64(CANARY)}
        H< {b64(CANARY)}
        H> 235 ok
        C< 235 ok
    """)
    assert name(world) == "alice"


def test_an_empty_initial_response_is_the_first_one() -> None:
    """`AUTH LOGIN =` says an empty name; what follows is the password, and no name."""
    world = door()
    world.talk(f"""
        C> AUTH LOGIN =
        H connects
        H< AUTH LOGIN =
        H> 334 UGFzc3dvcmQ6
        C< 334 UGFzc3dvcmQ6
        C> {b64(CANARY)}
        H> 235 ok
        C< 235 ok
    """)
    assert name(world) == "(unknown)"


def test_xoauth2_with_its_error_challenge() -> None:
    token = b64(f"user=alice@x.example\x01auth=Bearer {CANARY}\x01\x01")
    world = door()
    world.talk(f"""
        C> AUTH XOAUTH2 {token}
        H connects
        H> 334 eyJzdGF0dXMiOiI0MDEifQ==
        C< 334 eyJzdGF0dXMiOiI0MDEifQ==
        C=> \\r\\n
        H< AUTH XOAUTH2 *
        H< *
        H> 535 5.7.8 expired
        C< 535 5.7.8 expired
    """)
    assert name(world) is None
    assert world.hop.commands == [f"AUTH XOAUTH2 {token}", ""]


@pytest.mark.parametrize(
    ("mechanism", "first", "rest", "who"),
    [
        ("OAUTHBEARER", f"n,a=alice,\x01auth=Bearer {CANARY}\x01\x01", [], "alice"),
        ("SCRAM-SHA-256", "n,,n=alice,r=abc", ["c=biws,r=abcdef,p=proof", ""], "alice"),
        ("SCRAM-SHA-1", "n,,n=alice,r=abc", ["c=biws,r=abcdef,p=proof"], "alice"),
    ],
)
def test_other_mechanisms(mechanism: str, first: str, rest: list[str], who: str) -> None:
    world = door()
    world.talk(f"""
        C> AUTH {mechanism} {b64(first)}
        H connects
    """)
    for answer in rest:
        world.talk("H> 334 Y2hhbGxlbmdl\nC< 334 Y2hhbGxlbmdl")
        world.send(b64(answer).encode() + b"\r\n")
    world.talk("H> 235 ok\nC< 235 ok")
    assert world.hop.commands == [f"AUTH {mechanism} {b64(first)}", *map(b64, rest)]
    assert name(world) == who


@pytest.mark.parametrize("initial", [True, False])
def test_a_response_of_12_kib(initial: bool) -> None:
    """Row 7: RFC 4954 section 4 asks for 12,288 octets."""
    long = b64("user=alice\x01auth=Bearer " + "x" * 9150 + "\x01\x01")
    assert 12_200 < len(long) <= 12_288
    world = door()
    if initial:
        world.talk(f"C> AUTH XOAUTH2 {long}\nH connects")
    else:
        world.talk(f"C> AUTH XOAUTH2\nH connects\nH> 334\nC< 334\nC> {long}")
    assert world.hop.commands[-1].endswith(long)
    world.talk("H> 235 ok\nC< 235 ok")
    assert name(world) == "alice"


def test_an_endless_response_ends_the_session() -> None:
    world = door().talk("C> AUTH PLAIN\nH connects\nH> 334\nC< 334")
    for _ in range(20):
        world.send(b"A" * 1000)
        assert world.core.backlog < 13_500
    world.talk(r"""
        C=> A\r\n
        C< 421 5.5.6 *
        C<end
    """).settled()


def test_cancelling() -> None:
    world = door()
    world.talk("""
        C> AUTH LOGIN
        H connects
        H> 334 VXNlcm5hbWU6
        C< 334 VXNlcm5hbWU6
        C> *
        H< AUTH LOGIN
        H< *
        H> 501 5.7.0 cancelled
        C< 501 5.7.0 cancelled
        now +1
        C> NOOP
        C< 250 *
    """)
    assert name(world) is None


@pytest.mark.parametrize(
    "response", [r"abc\rMAIL FROM:<evil@x.example>", r"ab cd", r"abc\0", r"\xff\xfe", "ab$c", "**"]
)
def test_what_is_no_base64_cancels_and_never_reaches_the_hop(response: str) -> None:
    """A bare CR in a response may be a line end to the server behind us."""
    world = door()
    world.talk(rf"""
        C> AUTH PLAIN
        H connects
        H> 334
        C< 334
        C=> {response}\r\n
        H< AUTH PLAIN
        H< *
        H> 501 5.7.0 cancelled
        C< 501 5.7.0 cancelled
    """)
    assert world.hop.commands[1:] == ["*"]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("AUTH", "504 5.5.4 *"),
        ("AUTH XYZZY", "504 5.5.4 *"),
        ("AUTH CRAM-MD5", "504 5.5.4 *"),
        ("AUTH SCRAM-SHA-256-PLUS", "504 5.5.4 *"),
        ("AUTH PLAIN two words", "501 5.5.4 *"),
        ("AUTH PLAIN é", "501 5.5.4 *"),
        ("AUTH PLAIN a*", "501 5.5.4 *"),
    ],
)
def test_auth_that_is_not_even_asked_of_the_hop(command: str, reply: str) -> None:
    world = door().talk(f"C> {command}\nC< {reply}")
    assert world.opened == []


def test_a_mechanism_that_this_hop_has_not() -> None:
    world = door(Hop(auth="LOGIN", scripted=False))
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        H connects
        C< 504 5.5.4 *
        C> QUIT
        C< 221 *
        C<end
    """).settled()
    assert world.hop.commands == []


def test_auth_in_clear_is_refused_and_not_passed_on() -> None:
    """Row 6."""
    world = World(hop=Hop(auth=ALL), auth=True, tls="starttls", role="submission")
    world.talk(f"""
        C< 220 *
        C> EHLO laptop
        C<... 250 CHUNKING
        C> AUTH PLAIN {PLAIN}
        C< 538 5.7.11 *
    """)
    assert world.opened == []


def test_auth_where_there_is_none() -> None:
    World(hop=Hop(auth=ALL)).talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250 CHUNKING
        C> AUTH PLAIN AGEAYg==
        C< 502 5.5.1 *
    """)


def test_not_in_a_transaction_and_not_twice() -> None:
    """Row 7: RFC 4954 section 4."""
    world = door(Hop(auth=ALL), trusted=True)
    world.talk(f"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> AUTH PLAIN {PLAIN}
        C< 503 5.5.1 *
        C> RSET
        C< 250 *
        C> AUTH PLAIN {PLAIN}
        C< 235 *
        C> AUTH PLAIN {PLAIN}
        C< 503 5.5.1 *
        C> EHLO again
    """)
    assert "AUTH" not in world.unread.decode(), "offered no more"


def test_the_mail_of_a_logged_in_client_goes_over_its_own_connection() -> None:
    world = door(Hop(auth=ALL))
    world.talk(rf"""
        C> AUTH PLAIN {PLAIN}
        C< 235 2.7.0 welcome
    """)
    for _ in range(2):
        world.talk(r"""
            C=> MAIL FROM:<a@x.example> AUTH=<>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n
            C<... 354 *
            C=> \r\n.\r\n
            C< 250 2.0.0 stored
        """)
    assert len(world.opened) == 1
    assert "MAIL FROM:<a@x.example> AUTH=<>" in world.hop.commands
    world.talk("C> QUIT\nC< 221 *\nC<end").settled()
    assert world.pool == [] and len(world.dropped) == 1
    record = next(iter(world.records.values()))
    assert record["client"]["auth"] == "alice@x.example"
    assert b"with ESMTPSA id" in world.hop.messages[0].octets


def test_rset_reaches_a_private_connection() -> None:
    world = door(Hop(auth=ALL))
    world.talk(rf"""
        C=> AUTH PLAIN {PLAIN}\r\n
        C< 235 *
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\nRSET\r\n
        C< 250 *
        C< 250 *
        C< 250 *
        C=> MAIL FROM:<c@x.example>\r\nRCPT TO:<d@far.example>\r\n
        C< 250 *
        C< 250 *
    """)
    assert world.hop.commands[1:] == [
        "MAIL FROM:<a@x.example>",
        "RCPT TO:<b@far.example>",
        "RSET",
        "MAIL FROM:<c@x.example>",
        "RCPT TO:<d@far.example>",
    ]


@pytest.mark.parametrize(("role", "reply"), [("submission", "250 2.1.5 Ok"), ("inbound", "451 *")])
def test_a_hop_that_goes_while_it_owes_the_answer_to_rset(role: str, reply: str) -> None:
    """RSET was answered by us already; who waits is the recipient behind it."""
    world = by_hand(role=role, auth=True, auth_without_tls=True, auth_offered="PLAIN")
    world.talk(rf"""
        C> AUTH PLAIN AGFsaWNlAHNlY3JldA==
        H connects
        H> 235 ok
        C< 235 ok
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@y.example>
        H> 250 ok
        H> 250 ok
        C< 250 ok
        C=> RSET\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
        C< 250 2.0.0 Ok
        C< 250 2.1.0 Ok
        H lost
        C< {reply}
    """).settled()


def test_a_private_connection_that_is_spent_sends_the_client_to_log_in_again() -> None:
    """Content was refused by us, the hop waits for its end: the connection has no way back."""
    world = door(Hop(auth=ALL))
    world.talk(rf"""
        C> AUTH PLAIN {PLAIN}
        C< 235 *
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n
        C<... 354 *
        C=> bare\rcr\r\n.\r\n
        C< 550 5.5.2 *
        C< 421 4.3.0 Please connect again
        C<end
    """).settled()


def test_the_hop_is_away() -> None:
    world = door(Hop(auth=ALL), away=AWAY)
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        C< 454 4.7.0 Temporary authentication failure
        C> NOOP
        C< 250 *
    """).settled()
    assert world.logs == [], "nobody has guessed"


@pytest.mark.parametrize("answer", [CLOSE, "421 4.3.2 shutting down"])
def test_the_hop_goes_in_the_exchange(answer: Any) -> None:
    world = door(hop_with(answer))
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        C< 454 4.7.0 *
        C> NOOP
        C< 250 *
        C> QUIT
        C< 221 *
    """).settled()
    assert name(world) is None


def hop_with(answer: Any) -> Hop:
    hop = Hop(auth=ALL)
    hop.answer(auth=answer)
    return hop


def test_a_stale_pooled_connection_is_no_failed_login() -> None:
    world = door(Hop(auth=ALL), pool=1, stale=1)
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        C< 235 2.7.0 welcome
    """)


def test_failed_logins_cost_time_and_then_the_connection() -> None:
    """Row: AUTH abuse."""
    world = door(hop_with("535 5.7.8 no"), auth_failures=3)
    for attempt in (1, 2):
        world.talk(rf"""
            C=> AUTH PLAIN {PLAIN}\r\nNOOP\r\n
            C< 535 5.7.8 no
            C<-
        """)
        assert len(world.lanes["delay"]) == 1
        world.talk("now +1\nC< 250 2.0.0 Ok")
        assert len(world.hop.commands) == attempt
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        C< 535 5.7.8 no
        C< 421 4.7.0 mx.example.com Too many failed logins
        C<end
    """).settled()
    assert [values["ok"] for event, values in world.logs] == [False] * 3


def test_a_guesser_from_other_connections_is_blocked() -> None:
    world = door(Hop(auth=ALL))
    world.blocked.add("192.0.2.7")
    world.talk(f"""
        C> AUTH PLAIN {PLAIN}
        C< 454 4.7.0 Too many failed logins, try again later
    """)
    assert world.opened == []


def test_a_client_that_leaves_while_its_second_login_is_connecting() -> None:
    world = door()
    world.talk("""
        C> AUTH PLAIN AGEAYg==
        H connects
        H> 535 5.7.8 no
        C< 535 *
        now +1
        H lost
        C> AUTH PLAIN AGEAYg==
        C gone
        H connects
    """).settled()
