"""The queue on its way out: what is delivered, what fails, what waits, in whose words."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore.archive import BlobDamaged
from proxy.smtp.resolve import MailResolver
from tests.faultsink import CLOSE, OK, RESET, At, FaultSink, Say
from tests.paths.fakedns import SERVFAIL, FakeDNS
from tests.paths.hops import run_on
from tests.paths.queued import BODY, TRACE, Appliance

Make = Callable[..., Appliance]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(sink: FaultSink | None = None, kind: str = "smtp", **outbound: Any) -> Appliance:
        if sink is not None:
            where = sink.unix or f"127.0.0.1:{sink.port}"
            outbound["route"] = f"{kind}://{where}"
        return Appliance(tmp_path, **outbound)

    return make


def attempt(appliance: Appliance, *idents: int, **more: Any) -> None:
    run_on("uvloop", appliance.attempt(*idents, **more))


# -- delivered -----------------------------------------------------------------------------------


def test_delivered_to_the_letter_with_the_trace_line_on_top(make: Make) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example", "c@y.example"])
        attempt(appliance, ident)
        assert appliance.states(ident) == ["delivered"] * 3
        assert appliance.replies(ident) == ["250 2.0.0 stored"] * 2
        assert sink.messages[0].body == TRACE.encode() + BODY
        assert sink.messages[0].sender == "alice@example.com"
        assert sink.messages[0].recipients == ["b@x.example", "c@y.example"]
        assert len(sink.messages) == 1 and not sink.complaints


@pytest.mark.slow
def test_a_body_larger_than_a_piece_is_stuffed_across_its_cuts(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.smtp.handover.PIECE", 7)
    rng = random.Random(5)
    lines = b"".join(
        b"." * rng.randrange(4) + b"x" * rng.randrange(9) + b"\r\n" for _ in range(500)
    )
    with FaultSink() as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example"], b"Subject: dots\r\n\r\n" + lines)
        attempt(appliance, ident)
        assert sink.messages[0].body == TRACE.encode() + b"Subject: dots\r\n\r\n" + lines
        assert not sink.messages[0].bare


@pytest.mark.slow
def test_a_large_body_at_the_pace_of_the_hop(make: Make) -> None:
    body = b"Subject: large\r\n\r\n" + (b"z" * 998 + b"\r\n") * 8000
    with FaultSink(read_rate=30_000_000) as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example"], body)
        attempt(appliance, ident)
        assert sink.messages[0].body == TRACE.encode() + body


def test_parameters_are_forwarded_as_the_hop_offers(make: Make) -> None:
    params = ["SIZE=1", "BODY=8BITMIME", "RET=HDRS", "ENVID=Q+3D"]
    recipients = [("b@x.example", ["NOTIFY=NEVER", "ORCPT=rfc822;B@X.example"])]
    size = len(TRACE) + len(BODY)
    with FaultSink() as sink:
        appliance = make(sink)
        attempt(appliance, appliance.put(recipients, params=params))
        assert sink.lines[1:3] == [
            b"MAIL FROM:<alice@example.com> SIZE=%d BODY=8BITMIME RET=HDRS ENVID=Q+3D" % size,
            b"RCPT TO:<b@x.example> NOTIFY=NEVER ORCPT=rfc822;B@X.example",
        ]
        sink.keywords = ["HELP"]
        attempt(appliance, appliance.put(recipients, params=params))
        assert sink.lines[-4:-2] == [b"MAIL FROM:<alice@example.com>", b"RCPT TO:<b@x.example>"]


def test_the_null_sender(make: Make) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        attempt(appliance, appliance.put(["b@x.example"], sender=""))
        assert sink.lines[1].startswith(b"MAIL FROM:<> ")


def test_lmtp_by_unix_socket_with_a_verdict_each(make: Make, tmp_path: Path) -> None:
    with FaultSink(
        lmtp=True,
        unix=tmp_path / "lmtp",
        rcpt={"nobody@": "550 5.1.1 no such user"},
        dot={"full@": "452 4.2.2 over quota", "gone@": "554 5.2.1 disabled"},
    ) as sink:
        appliance = make(sink, "lmtp")
        ident = appliance.put([f"{name}@x.example" for name in ("a", "nobody", "full", "gone")])
        attempt(appliance, ident)
    assert appliance.states(ident) == ["queued", "delivered", "failed", "queued", "failed"]
    assert appliance.replies(ident) == [
        "250 2.0.0 stored", "550 5.1.1 no such user", "452 4.2.2 over quota", "554 5.2.1 disabled",
    ]  # fmt: skip


def test_many_recipients_go_in_hundreds(make: Make) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        ident = appliance.put([f"u{n}@x.example" for n in range(250)])
        attempt(appliance, ident)
        assert [len(m.rcpts) for m in sink.messages] == [100, 100, 50]
        assert set(appliance.states(ident)) == {"delivered"}


@pytest.mark.slow
def test_many_messages_by_few_connections(make: Make) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        idents = appliance.put_many([["b@x.example"]] * 120)
        attempt(appliance, *idents)
        assert {appliance.states(i)[0] for i in idents} == {"delivered"}
        assert len(sink.messages) == 120 and len(sink.connections) <= 6


def test_the_service_account(make: Make, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    with FaultSink(auth=["PLAIN"], auth_needed=True) as sink:
        appliance = make(sink, user="crm@example.com", password_file=str(tmp_path / "password"))
        ident = appliance.put(["b@x.example"])
        (tmp_path / "password").unlink()
        attempt(appliance, ident)
        assert appliance.replies(ident)[0].startswith("451 4.3.5")
        (tmp_path / "password").write_text("s3cret\n")
        appliance.now += 3600
        attempt(appliance, ident)
        assert appliance.states(ident)[0] == "delivered"
        assert sink.connections[-1].auth == ("PLAIN", [b"\0crm@example.com\0s3cret"])


# -- refused and put off ---------------------------------------------------------------------------

LATER, FAILED = "queued", "failed"


@pytest.mark.parametrize(
    ("stage", "words", "state"),
    [
        ("mail", "451 4.7.1 greylisted", LATER),
        ("mail", "550 5.7.1 not you", FAILED),
        ("mail", "530 5.7.0 authentication required", LATER),
        ("mail", "421 4.3.2 going down", LATER),
        ("rcpt", "450 4.2.0 greylisted", LATER),
        ("rcpt", "550 5.1.1 no such user", FAILED),
        ("rcpt", "552 too many recipients", LATER),
        ("data", "451 4.3.0 no", LATER),
        ("data", "554 5.5.1 no", FAILED),
        ("dot", "452 4.3.1 disk full", LATER),
        ("dot", "554 5.6.0 spam", FAILED),
    ],
)
def test_the_words_of_every_stage_are_kept(make: Make, stage: str, words: str, state: str) -> None:
    with FaultSink(**{stage: words}) as sink:  # type: ignore[arg-type]
        appliance = make(sink)
        ident = appliance.put(["b@x.example"])
        attempt(appliance, ident)
        assert appliance.states(ident) == [state, state]
        assert appliance.replies(ident) == [words]
        assert not sink.messages or stage == "dot"
        wait = appliance.message(ident).next - appliance.now
        assert state == FAILED or 48 <= wait <= 60
        # The connection was left clean: the next message goes well.
        sink.answer(**{stage: OK})
        appliance.now += 120
        again = appliance.put(["b@x.example"])
        attempt(appliance, again)
        assert appliance.states(again)[0] == "delivered"
        # A pipelined RCPT behind a refused MAIL is what RFC 2920 expects; nothing else is.
        assert all("RCPT before MAIL" in complaint for complaint in sink.complaints)


@pytest.mark.parametrize("fault", [CLOSE, RESET])
@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "content", "dot"])
def test_a_connection_lost_at_any_stage_means_later(make: Make, stage: str, fault: Any) -> None:
    with FaultSink(**{stage: At(30, fault) if stage == "content" else fault}) as sink:  # type: ignore[arg-type]
        appliance = make(sink)
        ident = appliance.put(["b@x.example"])
        attempt(appliance, ident)
        assert appliance.states(ident) == ["queued", "queued"]
        assert appliance.replies(ident)[0].startswith("451 4.4.")
        sink.answer(**{stage: OK})
        appliance.now += 120
        attempt(appliance, ident)
        assert appliance.states(ident) == ["delivered", "delivered"]


def test_words_said_while_the_content_was_coming(make: Make) -> None:
    with FaultSink(content=At(30, Say("552 5.3.4 too big", then=CLOSE))) as sink:
        appliance = make(sink)
        # Too much for the sockets between: the dot cannot be on its way before the words come.
        ident = appliance.put(
            ["b@x.example"], b"Subject: x\r\n\r\n" + b"x" * 76 * 200_000 + b"\r\n"
        )
        attempt(appliance, ident)
        assert appliance.replies(ident) == ["552 5.3.4 too big"]
        assert appliance.states(ident)[0] == "queued"


def test_bcc_does_not_go_on(make: Make) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        body = b"To: b@x.example\r\nBcc: c@x.example,\r\n d@x.example\r\n\r\nBcc: x\r\n"
        attempt(appliance, appliance.put(["b@x.example", "c@x.example"], body))
        (message,) = sink.messages
        assert message.body.endswith(b"\r\nTo: b@x.example\r\n\r\nBcc: x\r\n")
        assert b"d@x.example" not in message.body


def test_some_recipients_are_taken_and_only_the_others_come_again(make: Make) -> None:
    with FaultSink(rcpt={"slow@": ["450 4.2.0 later", OK], "no@": "550 5.1.1 no"}) as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example", "slow@x.example", "no@x.example"])
        attempt(appliance, ident)
        assert appliance.states(ident) == ["queued", "delivered", "queued", "failed"]
        appliance.now += 120
        attempt(appliance, ident)
        assert appliance.states(ident) == ["failed", "delivered", "delivered", "failed"]
        assert [m.recipients for m in sink.messages] == [["b@x.example"], ["slow@x.example"]]


def test_the_wait_grows_and_ends_in_expiry_with_the_last_words(make: Make) -> None:
    with FaultSink(rcpt="450 4.2.0 later") as sink:
        appliance = make(sink, retry_first="60s", retry_max="1h")
        ident = appliance.put(["b@x.example"], lives=6 * 3600)
        waits = []
        while appliance.states(ident)[0] == "queued":
            attempt(appliance, ident)
            message = appliance.message(ident)
            waits.append(message.next - appliance.now)
            appliance.now = message.next
        assert appliance.states(ident) == ["expired", "expired"]
        assert appliance.replies(ident) == ["450 4.2.0 later"]
        assert waits[1] > waits[0] and 8 < len(waits) < 20
        assert max(waits) <= 3600


def test_a_pooled_connection_that_died_is_no_failure(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hop closes after each message, so soon that nobody has seen it yet."""
    monkeypatch.setattr("proxy.smtp.deliver.MAX_PER_DESTINATION", 1)
    with FaultSink(mail=[OK, CLOSE, OK, CLOSE, OK]) as sink:
        appliance = make(sink)
        idents = appliance.put_many([["b@x.example"]] * 3)
        attempt(appliance, *idents)
        assert [appliance.message(i).attempts for i in idents] == [1, 1, 1]
        assert {appliance.states(i)[0] for i in idents} == {"delivered"}
        assert len(sink.messages) == 3


# -- what the message needs ------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_bits_are_not_forced_on_a_hop(make: Make) -> None:
    body = "Subject: x\r\n\r\nこんにちは\r\n".encode()
    with FaultSink(without=["8BITMIME"]) as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example"], body)
        attempt(appliance, ident)
        assert appliance.states(ident) == ["failed", "failed"]
        assert appliance.replies(ident)[0].startswith("554 5.6.3 ")
        assert not any(line.startswith(b"MAIL") for line in sink.lines)
        plain = appliance.put(["b@x.example"], params=["BODY=8BITMIME"])
        attempt(appliance, plain)
        assert appliance.states(plain)[0] == "delivered", "declared, but there is none"


def test_utf8_addresses_are_not_forced_on_a_hop(make: Make) -> None:
    with FaultSink(without=["SMTPUTF8"]) as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example", "宛先@x.example"], params=["SMTPUTF8"])
        attempt(appliance, ident)
        assert appliance.states(ident) == ["failed", "delivered", "failed"]
        assert appliance.replies(ident)[1].startswith("554 5.6.7 ")
        assert b"SMTPUTF8" not in sink.lines[1]
    with FaultSink() as sink:
        appliance.settings = make(sink).settings
        ident = appliance.put(["宛先@x.example"], sender="差出人@example.com", params=["SMTPUTF8"])
        attempt(appliance, ident)
        assert sink.messages[0].recipients == ["宛先@x.example"]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_body_that_cannot_be_read_is_not_delivered_in_part(
    make: Make, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultSink() as sink:
        appliance = make(sink)
        ident = appliance.put(["b@x.example"])
        if damage == "missing":
            appliance.archive.delete(appliance.message(ident).sha256)
        else:

            def damaged(sha256: str, chunk: int = 1) -> Iterator[bytes]:
                yield BODY
                raise BlobDamaged(sha256)

            monkeypatch.setattr(appliance.archive, "stream", damaged)
        attempt(appliance, ident)
        assert appliance.states(ident)[0] == "queued"
        assert appliance.replies(ident) == ["451 4.3.0 our copy of the message cannot be read"]
        sink.wait_for(lambda s: all(c.end for c in s.connections))
        assert not sink.messages


# -- by domain -------------------------------------------------------------------------------------


def test_by_mx_each_domain_is_its_own_destination(make: Make) -> None:
    zone = {
        ("good.example", "MX"): ["10 mx.good.example."],
        ("mx.good.example", "A"): ["127.0.0.1"],
        ("nomail.example", "MX"): ["0 ."],
        ("private.example", "A"): ["10.0.0.1"],
        ("unsure.example", "MX"): SERVFAIL,
        ("loop.example", "MX"): ["10 relay.example.com."],
    }
    with FaultSink() as sink, FakeDNS(zone) as dns:
        routes = MailResolver(
            "relay.example.com",
            port=sink.port,
            own=(),
            resolver=dns.resolver(),
            lifetime=20.0,
            allow_private=False,
        )
        routes._allow_private = False
        appliance = make(route="mx", allow_private=True)
        names = ["nomail", "gone", "unsure", "loop"]
        ident = appliance.put([f"b@{name}.example" for name in names])
        private = appliance.put(["b@private.example"])
        attempt(appliance, ident, private, routes=routes)
        assert appliance.states(ident) == ["queued", "failed", "failed", "queued", "failed"]
        codes = [reply.split(" ")[1] for reply in appliance.replies(ident)]
        assert codes == ["5.1.10", "5.1.2", "4.4.3", "5.4.6"]
        assert appliance.replies(private)[0].startswith("550 5.4.4")
        open_routes = MailResolver(
            "relay.example.com", port=sink.port, own=(), resolver=dns.resolver(), allow_private=True
        )
        good = appliance.put(["b@GOOD.example", "c@good.example"])
        attempt(appliance, good, routes=open_routes)
        assert appliance.states(good)[0] == "delivered"
        assert [m.recipients for m in sink.messages] == [["b@GOOD.example", "c@good.example"]]
