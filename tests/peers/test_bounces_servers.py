"""Reports of a real Postfix and a real Exim land on the mail they are about, in the right class."""

import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faultsink import FaultSink
from tests.paths.test_bounces import World
from tests.peers.exim import Exim
from tests.peers.postfix import Postfix
from tests.ports import free_port
from tests.sink.ledger import Message

pytestmark = [pytest.mark.peers, pytest.mark.slow]

REFUSALS = {
    "nobody@": "550 5.1.1 <nobody@x.example>: Recipient address rejected: User unknown",
    "full@": "552 5.2.2 <full@x.example> Mailbox full, quota exceeded",
    "large@": "552 5.3.4 Message size exceeds fixed limit",
    "blocked@": "554 5.7.1 Service unavailable; client blocked using zen.example",
    "gray@": "451 4.7.1 Greylisted, try again later",
}
WANTED = {
    "nobody@x.example": ("hard", "invalid_address"),
    "full@x.example": ("soft", "mailbox_full"),
    "large@x.example": ("soft", "message_too_large"),
    "blocked@x.example": ("hard", "policy_block"),
    "someone@down.example": ("soft", "server_unavailable"),
}


class Chain:
    """The server as the next hop; what it cannot deliver it reports to our sender, that way too."""

    def __init__(self, folder: Path, sink: FaultSink, server: Postfix | Exim) -> None:
        self.world = World(folder)
        self.sink, self.server = sink, server
        self.seen = 0

    def send(self, *to: str, dsn: bool = True) -> str:
        """A mail of Alice's, journalled and handed to it as the relay does."""
        body = (
            b"From: alice@ours.example\r\nTo: " + b", ".join(t.encode() for t in to) + b"\r\n"
            b"Message-ID: <%d@ours.example>\r\nSubject: hi\r\n\r\nhi\r\n" % time.time_ns()
        )
        ident = self.world.out.mail(body, to=to)
        self.world.office.take()
        with smtplib.SMTP("127.0.0.1", self.server.port, "relay.ours.example") as client:
            client.ehlo()
            client.mail("alice@ours.example", [f"ENVID={ident}"] if dsn else [])
            for one in to:
                code, words = client.rcpt(one, [f"ORCPT=rfc822;{one}"] if dsn else [])
                assert code == 250, words
            code, words = client.data(body)
            assert code == 250, words
        return ident

    def reports(self, count: int) -> list[str]:
        """Wait for so many reports, take them in; what became of each."""
        self.sink.wait_for(lambda _: len(self._all()) >= self.seen + count, 60)
        found = self._all()[self.seen : self.seen + count]
        self.seen += count
        return [result for message in found for result in self.world.comes(message.body)]

    def _all(self) -> list[Message]:
        return [message for message in self.sink.messages if not message.sender]


@pytest.fixture(params=["postfix", "exim"])
def chain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Chain]:
    settings = {
        "transport_maps": f"inline:{{down.example=smtp:[127.0.0.1]:{free_port()}}}",
        "maximal_queue_lifetime": "6s",
        "bounce_queue_lifetime": "6s",
        "delay_warning_time": "1s",
    }
    with FaultSink(rcpt=REFUSALS) as sink:
        server: Postfix | Exim = (
            Postfix(relay_to=sink.port, settings=settings)
            if request.param == "postfix"
            else Exim(relay_to=sink.port)
        )
        with server:
            made = Chain(tmp_path, sink, server)
            yield made
            assert made.world.office.audit().ok
            made.world.office.close()


@pytest.mark.parametrize("dsn", [True, False], ids=["envid", "message_id"])
def test_refused_recipients(chain: Chain, dsn: bool) -> None:
    for address in ("nobody@x.example", "full@x.example", "large@x.example", "blocked@x.example"):
        ident = chain.send(address, dsn=dsn)
        assert chain.reports(1) == ["matched"]
        # Exim 4.96 leaves Original-Envelope-Id out of reports of failures
        rungs = {"envid", "message_id"} if dsn else {"message_id"}
        (found,) = chain.world.evidence(ident)
        assert found[:3] == (address, *WANTED[address]) and found[3] in rungs
    refused = {a: c for a, (k, c) in WANTED.items() if k == "hard"}
    assert chain.world.refused() == refused


def test_several_recipients_each_its_own(chain: Chain) -> None:
    ident = chain.send("nobody@x.example", "fine@x.example", "full@x.example")
    assert chain.reports(1) == ["matched"]
    assert sorted(row[:3] for row in chain.world.evidence(ident)) == [
        ("full@x.example", "soft", "mailbox_full"),
        ("nobody@x.example", "hard", "invalid_address"),
    ]
    assert chain.world.status() == ["hard_bounce"]


def test_late_then_given_up(chain: Chain) -> None:
    ident = chain.send("someone@down.example")
    assert chain.reports(2) == ["matched", "matched"]
    found = chain.world.evidence(ident)
    assert [row[1] for row in found] == ["delayed", "soft"]
    assert found[1][:3] == ("someone@down.example", *WANTED["someone@down.example"])
    assert chain.world.status() == ["soft_bounce"] and chain.world.refused() == {}
