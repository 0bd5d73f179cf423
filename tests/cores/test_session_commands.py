"""Everything that is said outside of a transaction: hello, STARTTLS, nonsense, attacks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from proxy.smtp.capabilities import Capabilities
from tests.cores.hopline import Hop
from tests.cores.world import World, by_script


def ehlo(**more: Any) -> list[str]:
    """The EHLO reply of a door, a word list a line, without the host's name."""
    world = World(**more)
    world.talk("""
        C< 220 *
        C> EHLO laptop
    """)
    lines = world.unread.decode().split("\r\n")[:-1]
    assert all(line.startswith("250-") for line in lines[:-1]) and lines[-1].startswith("250 ")
    return [line[4:] for line in lines[1:]]


OWN = ["PIPELINING", "SIZE 52428800", "ENHANCEDSTATUSCODES"]


def test_ehlo_is_our_own_list_cut_to_the_hops() -> None:
    """Row 14, and "CHUNKING bypass": never the hop's list."""
    hop = Hop(auth="PLAIN LOGIN CRAM-MD5", size=1000)
    more = {"XCLIENT": "NAME", "BINARYMIME": "", "REQUIRETLS": "", "BURL": ""}
    hop.capabilities = Capabilities({**hop.capabilities.keywords, **more})
    offered = ehlo(hop=hop)
    assert offered == [
        "PIPELINING",
        "SIZE 1000",
        *OWN[2:],
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "CHUNKING",
    ]
    assert ehlo(hop=Hop(without=("8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"))) == OWN


def test_ehlo_of_direct_delivery_is_the_whole_list() -> None:
    assert ehlo(hop_kind="mx", hop_known=False) == [*OWN, "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"]


def test_auth_is_offered_only_where_nobody_listens() -> None:
    """Row 6."""
    hop = Hop(auth="PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256-PLUS XOAUTH2")
    assert "AUTH" not in str(ehlo(hop=hop))
    assert "AUTH" not in str(ehlo(hop=hop, auth=True))
    assert "STARTTLS" in ehlo(hop=hop, auth=True, tls="starttls")
    assert "AUTH PLAIN LOGIN XOAUTH2" in ehlo(hop=hop, auth=True, auth_without_tls=True)


def test_after_starttls_everything_is_asked_anew() -> None:
    """RFC 3207 section 4.2."""
    World(hop=Hop(auth="PLAIN"), auth=True, tls="starttls").talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250-STARTTLS
        C<... 250 CHUNKING
        C> STARTTLS
        C< 220 2.0.0 Ready to start TLS
        C> MAIL FROM:<a@x.example>
        C< 503 5.5.1 Send EHLO first
        C> AUTH PLAIN AGEAYg==
        C< 503 5.5.1 Send EHLO first
        C> EHLO again
        C<... 250-AUTH PLAIN
        C<... 250 CHUNKING
        C> STARTTLS
        C< 503 5.5.1 STARTTLS is not available
    """)


def test_what_came_in_clear_behind_starttls_is_thrown_away() -> None:
    """Row 4, and "STARTTLS inject"."""
    world = by_script(tls="starttls", auto=False)
    world.talk(r"""
        C=> STARTTLS\r\nEHLO evil\r\nMAIL FROM:<inj@x.example>\r\n
        C< 220 2.0.0 Ready to start TLS
        C<-
    """)
    world.run()
    world.talk("""
        C> RCPT TO:<b@y.example>
        C< 503 5.5.1 Send MAIL first
    """)


def test_starttls_forgets_the_transaction() -> None:
    world = by_script(tls="starttls")
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> STARTTLS
        C< 220 *
        C> EHLO again
        C<... 250 CHUNKING
        C> RCPT TO:<b@y.example>
        C< 503 5.5.1 Send MAIL first
    """)


@pytest.mark.parametrize(
    ("tls", "command", "reply"),
    [
        ("none", "STARTTLS", "503 5.5.1 *"),
        ("implicit", "STARTTLS", "503 5.5.1 *"),
        ("starttls", "STARTTLS now", "501 5.5.4 *"),
    ],
)
def test_starttls_that_is_no_good(tls: str, command: str, reply: str) -> None:
    by_script(tls=tls).talk(f"C> {command}\nC< {reply}")


def test_starttls_after_a_login_is_too_late() -> None:
    """Who the client is was said in clear: that is not carried over into TLS (RFC 3207 4.2)."""
    world = by_script(Hop(auth="PLAIN"), auth=True, auth_without_tls=True, tls="starttls")
    world.talk("""
        C> AUTH PLAIN AGFsaWNlAHNlY3JldA==
        C< 235 *
        C> STARTTLS
        C< 503 5.5.1 *
    """)


def test_starttls_in_tls() -> None:
    """Row 5."""
    world = World(tls="implicit", begin=False)
    world.tell(world.core.tls_started, "TLSv1.3")
    world.tell(world.core.begin)
    world.talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250 CHUNKING
        C> STARTTLS
        C< 503 5.5.1 *
    """)


def test_helo() -> None:
    world = World()
    world.talk(r"""
        C< 220 *
        C> helo laptop
        C< 250 mx.example.com
        C> AUTH PLAIN x
        C< 503 5.5.1 Send EHLO first
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C<... 354 *
        C=> \r\n.\r\n
        C< 250 *
        C> HELO
        C< 501 5.5.4 *
        C> HELO two words
        C< 501 5.5.4 *
    """)
    assert b"with SMTP id" in world.hop.messages[0].octets


def test_small_commands() -> None:
    by_script().talk("""
        C> noop whatever
        C< 250 2.0.0 Ok
        C> RSET
        C< 250 2.0.0 Ok
        C> HELP
        C< 214 *
        C> EXPN staff
        C< 502 5.5.1 *
        C> LHLO laptop
        C< 500 5.5.1 This is SMTP: use EHLO
        C> TURN
        C< 500 5.5.2 Command not recognized
        C> quit
        C< 221 2.0.0 Bye
        C<end
    """)


@pytest.mark.parametrize("argument", ["b@y.example", "<b@y.example>", "", "x" * 1000])
def test_vrfy_says_the_same_whatever_it_is_asked(argument: str) -> None:
    """Row 20."""
    by_script().talk(f"C> VRFY {argument}\nC< 252 2.5.2 Send some mail, I will try my best")


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (r"VRFY b\rMAIL\r\n", "500 5.5.2 *"),
        (r"NOOP \0\r\n", "500 5.5.2 *"),
        (r"NOOP\n", "500 5.5.2 A line must end in CRLF"),
        (r"MAIL FROM:<a@x.example>\n", "500 5.5.2 *"),
        (r"\r\n", "500 5.5.2 *"),
        (r" NOOP\r\n", "500 5.5.2 *"),
        (r"NOOP\xe9 x\r\n", "500 5.5.2 *"),
        (r"NOOP \xff\r\n", "500 5.5.2 *"),
        (r"NO\x1bOP\r\n", "500 5.5.2 *"),
    ],
)
def test_malformed_commands(octets: str, reply: str) -> None:
    world = by_script()
    world.talk(f"C=> {octets}\nC< {reply}")
    if not world.closed:
        world.talk("C> NOOP\nC< 250 *")


@pytest.mark.parametrize("length", [2049, 5000, 300_000])
def test_a_long_command_is_refused_once_and_the_session_goes_on(length: int) -> None:
    """Row: long command. In one write, and in many."""
    line = b"NOOP " + b"x" * (length - 6) + b"\r\n"
    for size in (len(line), 1000):
        world = by_script()
        for start in range(0, len(line), size):
            world.send(line[start : start + size])
            assert world.core.backlog <= max(size, 2100), "an endless line is not kept"
        world.talk("""
            C< 500 5.5.2 Line too long
            C> NOOP
            C< 250 2.0.0 Ok
        """)


def test_a_line_of_the_greatest_length_is_taken() -> None:
    by_script().talk("C> NOOP " + "x" * 2041 + "\nC< 250 *")


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "POST / HTTP/1.1",
        "CONNECT x:25 HTTP/1.1",
        "get /",
        "Host: x",
        "Subject: x",
        "\x16\x03\x01",
    ],
)
def test_who_speaks_another_protocol_is_sent_away(line: str) -> None:
    """Row 18: HTTP POST with SMTP in its body."""
    world = World()
    world.talk(rf"""
        C< 220 *
        C=> {line}\r\nContent-Length: 100\r\n\r\nEHLO x\r\nMAIL FROM:<evil@x.example>\r\n
        C< 421 4.7.0 This is not SMTP
        C<end
    """).settled()
    assert world.logs[0][0] == "protocol_violation"


def test_too_many_errors() -> None:
    world = by_script(errors=3)
    world.talk("""
        C> X1
        C< 500 *
        C> X2
        C< 500 *
        C> X3
        C< 500 *
        C< 421 4.7.0 mx.example.com Too many errors
        C<end
    """)


def test_under_stress_one_error_is_enough() -> None:
    world = by_script()
    world.stress = True
    world.talk("""
        C> X1
        C< 500 *
        C< 421 4.7.0 *
        C<end
    """)


def test_who_guesses_recipients_is_sent_away() -> None:
    world = by_script(Hop(rcpt="550 5.1.1 nobody"), errors=3)
    world.send(b"EHLO me\r\nMAIL FROM:<a@x.example>\r\n")
    world.send(b"".join(b"RCPT TO:<a%d@y.example>\r\n" % n for n in range(10)))
    said = world.out.decode().split("\r\n")
    assert said[-5:] == [*["550 5.1.1 nobody"] * 3, "421 4.7.0 mx.example.com Too many errors", ""]
    assert world.closed and world.core.hop is None


def test_a_message_forgives() -> None:
    rcpt = [*["550 5.1.1 nobody"] * 2, "250 ok", *["550 5.1.1 nobody"] * 2]
    world = by_script(Hop(rcpt=rcpt), errors=3)
    world.send(b"EHLO me\r\n")
    for recipients in (3, 2):
        world.send(b"MAIL FROM:<a@x.example>\r\n" + b"RCPT TO:<a@y.example>\r\n" * recipients)
        world.send(b"DATA\r\n")
        if recipients == 3:
            world.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            assert b"\r\n250 2.0.0" in world.out
    assert not world.closed


@pytest.mark.parametrize("known", [{"trusted": True}, {"role": "lmtp"}])
def test_a_known_client_may_have_dead_addresses_on_its_list(known: dict[str, Any]) -> None:
    world = World(hop=Hop(rcpt="550 5.1.1 nobody"), errors=3, **known)
    hello = b"LHLO me\r\n" if "role" in known else b"EHLO me\r\n"
    world.send(hello + b"MAIL FROM:<a@x.example>\r\n" + b"RCPT TO:<b@y.example>\r\n" * 10)
    assert world.out.count(b"550 5.1.1") == 10 and not world.closed


def test_later_is_no_error() -> None:
    """Greylisting, and a next hop that is away."""
    world = by_script(Hop(rcpt="450 4.2.0 later"), errors=3)
    world.send(b"EHLO me\r\nMAIL FROM:<a@x.example>\r\n" + b"RCPT TO:<b@y.example>\r\n" * 10)
    assert world.out.count(b"450 4.2.0") == 10 and not world.closed


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("MAIL FROM:<a@x.example> BODY=BINARYMIME", "501 *"),
        ("MAIL FROM:<a@x.example> REQUIRETLS", "555 *"),
        ("MAIL FROM:a@x.example", "501 *"),
        ("RCPT TO:<b@y.example>", "503 *"),
    ],
)
def test_refused_commands_are_errors(command: str, reply: str) -> None:
    by_script(errors=2).talk(f"""
        C> {command}
        C< {reply}
        C> {command}
        C< {reply}
        C< 421 4.7.0 *
        C<end
    """)


@pytest.mark.parametrize(
    "recipient",
    [
        "b@other.example",
        "b%other.example@y.example",
        "other.example!b@y.example",
        '"b@other.example"@y.example',
        "@y.example:b@other.example",
        "@y.example,@y.example:b@other.example",
        "b@[192.0.2.1]",
        '"b\\@other.example"@y.example',
        "b@y.example.other.example",
        "b@sub.y.example",
    ],
)
def test_no_open_relay(recipient: str) -> None:
    """Rows: 8, open relay."""
    world = by_script()
    world.talk(f"""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<{recipient}>
        C< 550 5.7.1 *
    """)
    assert world.hop.commands == []


def test_a_trusted_client_may_relay_through_an_inbound_door() -> None:
    by_script(trusted=True).talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<b@other.example>
        C< 250 2.1.5 recipient ok
    """)


def test_postmaster_is_always_ours() -> None:
    by_script().talk("""
        C> MAIL FROM:<>
        C< 250 *
        C> RCPT TO:<postmaster>
        C< 250 2.1.5 recipient ok
    """)


def test_too_many_recipients() -> None:
    """Row 17. Those that wait for the hop count as well."""
    world = by_script(max_recipients=3, auto=False)
    world.talk("C> MAIL FROM:<a@x.example>\nC< 250 *")
    world.send(b"".join(b"RCPT TO:<b%d@y.example>\r\n" % n for n in range(5)))
    world.run()
    world.talk("""
        C< 250 *
        C< 250 *
        C< 250 *
        C< 452 4.5.3 Too many recipients
        C< 452 4.5.3 Too many recipients
    """)


def test_thirty_ehlos_change_nothing() -> None:
    """Row 19: aiosmtpd's limits grew with each EHLO."""
    world = by_script()
    for _ in range(30):
        world.send(b"EHLO laptop\r\n")
    world.unread = b""
    world.talk("C> MAIL FROM:<" + "a" * 3000 + "@x.example>\nC< 500 5.5.2 Line too long")


def test_each_reply_stands_in_one_write() -> None:
    """Row 14: EHLO in one write, and pipelined commands too."""
    world = World()
    world.send(b"EHLO laptop\r\nNOOP\r\nVRFY x\r\nQUIT\r\n")
    assert len(world.writes) == 2, "the greeting, and everything else"
    assert world.closed


@pytest.mark.slow
def test_a_flood_of_small_commands_costs_linear_time() -> None:
    """Row 14: 20,000 NOOP in 0.22 s; not a copy of the rest for every command."""

    def seconds(count: int) -> float:
        world = by_script()
        world.core.around = Deaf(world)  # type: ignore[assignment]
        start = time.process_time()
        world.send(b"NOOP\r\n" * count)
        assert world.unread.count(b"250 2.0.0 Ok\r\n") == count
        return time.process_time() - start

    few = min(seconds(10_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < 24 * few, "8 times as many; squared it is 64"


class Deaf:
    """Surroundings that count nothing."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> object:
        return getattr(self._world, name)

    def count(self, verb: str, code: int) -> None:
        pass
