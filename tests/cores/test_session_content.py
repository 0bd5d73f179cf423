"""Content: DATA and BDAT, sizes, loops, bare CR and LF; what is refused reaches nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cores.hopline import Hop
from tests.cores.world import MESSAGE, World, by_hand, by_script

ENVELOPE = r"""
    C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n
    C< 250 2.1.0 Ok
    C< 250 2.1.5 recipient ok
"""
TO_DATA = ENVELOPE + "C> DATA\nC< 354 *\n"


def at_data(**more: Any) -> World:
    return by_script(**more).talk(TO_DATA)


def refused(world: World, words: str) -> None:
    """Refused, nothing journalled or delivered, and the session goes on."""
    world.talk(f"""
        C< {words}
        C> MAIL FROM:<next@x.example>
        C< 250 2.1.0 Ok
    """).settled()
    assert world.records == {} and world.hop.messages == []
    assert world.spool is None


# ---------------------------------------------------------------------- bare CR and LF

VARIANTS = [
    rb"\n.\n", rb"\n.\r\n", rb"\r\n.\n", rb"\r.\r", rb"\r.\r\n", rb"\r\n.\r", rb"\n.\r", rb"\r.\n",
    rb"\r\n.\r\r\n", rb"\r\r\n.\r\r\n", rb"\n.\r\r\n",
]  # fmt: skip


@pytest.mark.parametrize("end", VARIANTS)
def test_no_smuggled_message(end: bytes) -> None:
    """Rows: inbound smuggling, outbound smuggling. Cuts are in test_octets.py."""
    world = at_data()
    world.talk(
        r"C=> Subject: x\r\n\r\nhello"
        + end.decode()
        + r"MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\nevil\r\n.\r\n"
    )
    refused(world, "550 5.5.2 Bare *")
    assert "evil" not in str(world.hop.commands)


def test_nul_around_the_dot_is_content() -> None:
    world = at_data()
    world.talk(r"""
        C=> hello\r\n\0.\r\nx\r\n.\0\r\n.\r\n
        C< 250 2.0.0 stored
    """).settled()
    assert world.hop.messages[0].body == b"hello\r\n\0.\r\nx\r\n\0\r\n"


def test_a_bare_lf_is_mended_and_flagged() -> None:
    world = at_data()
    world.talk(r"""
        C=> Subject: x\n\nhello\n.\x2e\r\n.\r\n
        C< 250 2.0.0 stored
    """).settled()
    assert world.hop.messages[0].body == b"Subject: x\r\n\r\nhello\r\n..\r\n"
    (record,) = world.records.values()
    assert record["flags"] == ["bare_lf"]


def test_a_bare_lf_is_refused_where_that_is_asked_for() -> None:
    world = at_data(refuse_bare_lf=True)
    world.talk(r"C=> Subject: x\n\nhello\r\n.\r\n")
    refused(world, "550 5.5.2 Bare <LF> received: *")


def test_a_bare_cr_is_always_refused() -> None:
    world = at_data()
    world.talk(r"C=> Subject: x\r\n\r\nhel\rlo\r\n.\r\n")
    refused(world, "550 5.5.2 Bare <CR> received: *")


# ---------------------------------------------------------------------- what passes


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.\r\n",
        b"x" * 5000 + b"\r\n",
        bytes(c for c in range(256) if c not in b"\r\n") + b"\r\n",
        b"\r\n" * 50_000,
        b"Subject: x\r\n\r\n" + b".\r\n" * 200_000,
    ],
    ids=["empty", "a line", "dot", "dots", "long line", "all octets", "CRLF only", "spooled dots"],
)
def test_octets_go_through_unchanged(message: bytes) -> None:
    """Row: byte-exactness. The world compares what the hop got with what was journalled."""
    world = at_data()
    stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    world.send(stuffed + b".\r\nNOOP\r\n")
    world.talk("""
        C< 250 2.0.0 stored
        C< 250 2.0.0 Ok
    """).settled()
    assert list(world.bodies.values()) == [message]


def test_a_large_message_streams_and_only_the_dot_waits_for_the_disk() -> None:
    world = by_hand()
    world.talk(r"""
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C< 250 *
        H connects
        H> 250 ok
        H> 250 ok
        C< 250 ok
        H> 354 go
        C< 354 *
    """)
    for _ in range(10):
        world.send(b"0123456789abcde\n" * 4096)
    assert world.line is not None and len(world.line.content) > 500_000
    assert world.spool is not None and len(world.spool) > 500_000
    world.talk(r"""
        C=> \r\n.\r\n
        J< pass
        C<-
        J> durable
        H<content
        H> 250 stored
        C< 250 stored
    """)


def small_pieces(world: World, piece: bytes, count: int) -> int:
    """The number of objects that content in small pieces leaves in memory."""
    for _ in range(count):
        world.send(piece)
    transaction = world.core.transaction
    assert transaction is not None and transaction.content is not None
    return len(transaction.content.kept)


def test_drops_of_content_do_not_fill_the_memory_with_objects() -> None:
    assert small_pieces(at_data(), b"ab", 20_000) < 3_000


def test_empty_chunks_without_end_leave_nothing() -> None:
    world = by_script().talk(ENVELOPE)
    assert small_pieces(world, b"BDAT 0\r\n", 5_000) < 10


# ---------------------------------------------------------------------- size


def test_a_size_over_the_limit_is_refused_at_mail() -> None:
    world = by_script(max_size=1000)
    world.talk("""
        C> MAIL FROM:<a@x.example> SIZE=1001
        C< 552 5.3.4 Message too big
        C> MAIL FROM:<a@x.example> SIZE=1000
        C< 250 *
    """)


def test_the_hops_own_limit_counts_too() -> None:
    World(hop=Hop(size=2000)).talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250-SIZE 2000
        C<... 250 CHUNKING
        C> MAIL FROM:<a@x.example> SIZE=2001
        C< 552 5.3.4 *
    """)


@pytest.mark.parametrize(
    ("hop", "max_size", "told"),
    [
        (100 * 2**20, None, 100 * 2**20),
        (5 * 2**30, None, 2 * 2**30),
        (None, None, 50 * 2**20),
        (100 * 2**20, 60 * 2**20, 60 * 2**20),
        (2000, 60 * 2**20, 2000),
    ],
)
def test_mail_may_carry_what_the_next_hop_takes(
    hop: int | None, max_size: int | None, told: int
) -> None:
    """We shrink nothing, unless we are told to."""
    World(hop=Hop(size=hop), max_size=max_size).talk(f"""
        C< 220 *
        C> EHLO laptop
        C<... 250-SIZE {told}
        C<... 250 CHUNKING
        C> MAIL FROM:<a@x.example> SIZE={told + 1}
        C< 552 5.3.4 *
        C> MAIL FROM:<a@x.example> SIZE={told}
        C< 250 *
    """)


def test_the_limit_of_one_hop_is_not_that_of_another_with_direct_delivery() -> None:
    world = by_script(Hop(size=2000), hop_kind="mx", role="submission", trusted=True)
    world.capabilities = None  # as the door says it: no hop of the past speaks for the next one
    world.talk("""
        C> MAIL FROM:<a@x.example> SIZE=2001
        C< 250 *
    """)


@pytest.mark.parametrize("spool_above", [100, 262_144])
def test_a_lie_about_the_size_is_told_after_the_dot(spool_above: int) -> None:
    """Row: DATA size lie."""
    world = by_script(max_size=100_000, spool_above=spool_above)
    world.talk(r"""
        C=> MAIL FROM:<a@x.example> SIZE=10\r\nRCPT TO:<b@y.example>\r\nDATA\r\n
        C<... 354 *
    """)
    for _ in range(100):
        world.send(b"x" * 10_000)
        transaction = world.core.transaction
        assert transaction is not None and transaction.content is not None
        assert transaction.content.kept_size <= 110_000
        assert len(world.spool or b"") <= 110_000
    world.talk(r"C=> \r\n.\r\n")
    refused(world, "552 5.3.4 Message too big")


def test_a_loop_is_refused() -> None:
    """Row: loops."""
    world = at_data(max_hops=5)
    world.send(b"Received: from a by b\r\n" * 6 + b"Subject: x\r\n\r\n.\r\n")
    refused(world, "554 5.4.6 Too many hops: *")
    world = at_data(max_hops=5, spool_above=10)
    for _ in range(6):
        world.send(b"Received: from a by b\r\n")
    world.send(b"\r\n.\r\n")
    refused(world, "554 5.4.6 *")
    world = at_data(max_hops=5)
    world.send(b"Received: x\r\n" * 5 + b"\r\n" + b"Received: x\r\n" * 100 + b".\r\n")
    world.talk("C< 250 2.0.0 stored")


# ---------------------------------------------------------------------- BDAT


def test_bdat_in_chunks() -> None:
    world = by_script().talk(ENVELOPE)
    world.talk(r"""
        C=> BDAT 14\r\nSubject: x\r\n\r\n
        C< 250 2.0.0 14 octets received
        C=> BDAT 3\r\n.\r\nBDAT 0\r\nBDAT 7 LAST\r\nhello\r\nNOOP\r\n
        C< 250 2.0.0 3 octets received
        C< 250 2.0.0 0 octets received
        C< 250 2.0.0 stored
        C< 250 2.0.0 Ok
    """).settled()
    assert world.hop.messages[0].body == b"Subject: x\r\n\r\n.\r\nhello\r\n"


@pytest.mark.parametrize(
    ("chunks", "body", "flags"),
    [
        ([b"Subject: x\r\n\r\nhello\r\n"], b"Subject: x\r\n\r\nhello\r\n", []),
        ([b"a\r", b"\n.\r\n", b".b\r\n", b""], b"a\r\n.\r\n.b\r\n", []),
        ([b"", b"", b""], b"", []),
        ([b"no end"], b"no end\r\n", ["no_final_crlf"]),
        ([b"a\n", b"b\r\n"], b"a\r\nb\r\n", ["bare_lf"]),
        ([b".\r\n.\r\na\r\n", b"b\nc\r\n"], b".\r\n.\r\na\r\nb\r\nc\r\n", ["bare_lf"]),
        ([b"a\r\n.\r\nb\nc\r\n"], b"a\r\n.\r\nb\r\nc\r\n", ["bare_lf"]),
        ([b"a\r\n.\r\n", b"b\nc\r\n"], b"a\r\n.\r\nb\r\nc\r\n", ["bare_lf"]),
        ([b"MAIL FROM:<evil@x>\r\nQUIT\r\n"], b"MAIL FROM:<evil@x>\r\nQUIT\r\n", []),
    ],
)
def test_bdat_goes_on_as_data(chunks: list[bytes], body: bytes, flags: list[str]) -> None:
    """Decision 0003; a lone dot is content here."""
    world = by_script().talk(ENVELOPE)
    for chunk in chunks[:-1]:
        world.send(b"BDAT %d\r\n" % len(chunk) + chunk)
        world.talk(f"C< 250 2.0.0 {len(chunk)} octets received")
    world.send(b"bdat %d last\r\n" % len(chunks[-1]) + chunks[-1])
    world.talk("C< 250 2.0.0 stored").settled()
    assert world.hop.messages[0].body == body
    (record,) = world.records.values()
    assert record["flags"] == flags
    assert "BDAT" not in str(world.hop.commands)


def test_a_lone_dot_beside_a_bare_lf_is_refused_in_bdat_at_every_cut() -> None:
    for text in (b"a\n.\r\nb\r\n", b"a\r\n.\nb\r\n", b"a\n.\nb\r\n", b".\nb\r\n"):
        for cut in range(len(text) + 1):
            world = by_script().talk(ENVELOPE)
            world.send(b"BDAT %d\r\n" % cut + text[:cut])
            world.send(b"BDAT %d LAST\r\n" % (len(text) - cut) + text[cut:])
            assert world.unread.endswith(b"lines must end in <CR><LF>\r\n"), (text, cut)


def test_bdat_is_refused_and_its_octets_never_run_as_commands() -> None:
    """Row: CHUNKING bypass."""
    world = by_script(Hop(rcpt="550 5.1.1 no"))
    world.talk(r"""
        C=> BDAT 6\r\nNOOP\r\nNOOP\r\n
        C< 503 5.5.1 Send MAIL first
        C< 250 2.0.0 Ok
        C=> MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n
        C< 250 *
        C< 550 5.1.1 no
        C< 554 5.5.1 No valid recipients
        C< 250 2.0.0 Ok
    """).settled()


def test_bdat_refused_by_the_hop() -> None:
    world = by_script(Hop(data="451 4.3.0 not now")).talk(ENVELOPE)
    world.talk(r"""
        C=> BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n
        C< 451 4.3.0 not now
        C< 503 5.5.1 Send MAIL first
        C< 250 2.0.0 Ok
    """).settled()


@pytest.mark.parametrize("argument", ["", "x", "-1", "1 FIRST", "1 LAST x", "9999999999999", "1.0"])
def test_bdat_without_a_size_ends_the_session(argument: str) -> None:
    """Where the chunk ends is unknown, so nothing behind it can be a command."""
    world = by_script().talk(ENVELOPE)
    world.talk(rf"""
        C=> BDAT {argument}\r\nMAIL FROM:<evil@x.example>\r\n
        C< 501 5.5.4 Syntax: BDAT size [LAST]
        C<end
    """).settled()


def test_bdat_too_large() -> None:
    world = by_script(max_size=10_000).talk(ENVELOPE)
    world.send(b"BDAT 20000\r\n" + b"x" * 20_000)
    world.unread = b""
    world.send(b"BDAT 6 LAST\r\nhello\n")
    refused(world, "552 5.3.4 Message too big")


@pytest.mark.parametrize(
    ("command", "reply"),
    [("RSET", "250 2.0.0 Ok"), ("EHLO again", "250-*"), ("QUIT", "221 *"), ("DATA", "503 *")],
)
def test_between_chunks_the_message_can_be_given_up(command: str, reply: str) -> None:
    world = by_script(spool_above=3).talk(ENVELOPE)
    world.talk(rf"""
        C=> BDAT 6\r\nhello!
        C< 250 2.0.0 6 octets received
        C> {command}
        C< {reply}
    """)
    world.unread = b""
    world.settled()
    assert world.records == {} and world.hop.messages == []
    assert [line.partial != b"" for line in world.dropped] == [True], "the hop hears no dot"


@pytest.mark.parametrize("command", ["MAIL FROM:<c@x.example>", "RCPT TO:<c@y.example>"])
def test_between_chunks_the_envelope_is_closed(command: str) -> None:
    world = by_script().talk(ENVELOPE)
    world.talk(rf"""
        C=> BDAT 6\r\nhello!
        C< 250 2.0.0 6 octets received
        C> {command}
        C< 503 5.5.1 *
        C> NOOP
        C< 250 *
        C=> BDAT 2 LAST\r\n\r\n
        C< 250 2.0.0 stored
    """).settled()
    assert len(world.hop.messages[0].recipients) == 1


def test_data_between_chunks_with_a_body_behind_it_ends_the_session() -> None:
    world = by_script().talk(ENVELOPE)
    world.talk(r"""
        C=> BDAT 6\r\nhello!
        C< 250 *
        C=> DATA\r\nMAIL FROM:<evil@x.example>\r\n
        C< 503 5.5.1 BDAT has begun already
        C< 421 4.7.0 *
        C<end
    """).settled()


def test_bdat_is_taken_where_it_was_not_offered_too() -> None:
    """What we understand is captured: only octets that we cannot count could hide a message."""
    world = World(hop=Hop(without=("CHUNKING",)))
    world.talk("""
        C< 220 *
        C> EHLO laptop
        C<... 250 DSN
    """)
    world.talk(ENVELOPE).talk(r"""
        C=> BDAT 7 LAST\r\nhello\r\n
        C< 250 2.0.0 stored
    """).settled()


# ---------------------------------------------------------------------- the disk


@pytest.mark.parametrize("spool_above", [5, 262_144])
@pytest.mark.parametrize(("fate", "words"), [("full", "452 4.3.1 *"), ("broken", "451 4.3.0 *")])
def test_a_disk_that_cannot(spool_above: int, fate: str, words: str) -> None:
    world = by_script(spool_above=spool_above, journal=fate).talk(TO_DATA)
    world.talk(rf"""
        C=> {MESSAGE}
        C< {words}
        C> MAIL FROM:<a@x.example>
        C< 250 *
    """).settled()
    assert world.hop.messages == [] and world.verdicts == {} and world.spool is None
    assert world.dropped[0].partial != b"" or spool_above > 5


def test_a_full_disk_is_told_at_mail() -> None:
    world = by_script()
    world.journal_full = True
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 452 4.3.1 Insufficient system storage
    """)
    world.journal_full = False
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
    """)


def test_the_log_of_a_refused_message_names_the_stage_and_not_the_content() -> None:
    world = at_data()
    world.talk(r"C=> Subject: c4n4ry\r\n\r\nx\rx\r\n.\r\n")
    assert world.logs == [
        (
            "refused",
            {
                "id": "01KTEST0000000000000000001",
                "sender": "a@x.example",
                "recipient": "",
                "stage": "data",
                "reply": "550 5.5.2 Bare <CR> received: lines must end in <CR><LF>",
                "listener": "mx",
                "ip": "192.0.2.7",
            },
        )
    ]


def test_a_refused_recipient_has_its_line_in_the_log() -> None:
    """An admin is asked why a mail did not come; the words must be found."""
    world = by_script(
        Hop(rcpt={"nobody@y.example": "550 5.1.1 no such user"}),
        recipient_domains=frozenset({"y.example"}),
    )
    world.talk("""
        C> MAIL FROM:<a@x.example>
        C< 250 *
        C> RCPT TO:<nobody@y.example>
        C< 550 5.1.1 no such user
        C> RCPT TO:<b@elsewhere.example>
        C< 550 5.7.1 Relaying denied
    """)
    refused = [(v["recipient"], v["stage"], v["reply"]) for e, v in world.logs if e == "refused"]
    assert refused == [
        ("nobody@y.example", "rcpt", "550 5.1.1 no such user"),
        ("b@elsewhere.example", "rcpt", "550 5.7.1 Relaying denied"),
    ]
