"""A next hop that is away, slow, or says no, at every stage: what the client is told, by the role
of the listener (architecture.md, "Who is responsible"), and that nothing is lost.

inbound: the next hop's words are ours; if it has none, ours are 4xx.
submission: the same, but a hop that is away or says 4xx at connect or MAIL means our queue.
"""

import time
from collections.abc import Iterator

import pytest

from tests.crash.appliance import Appliance
from tests.crash.load import Mail, Session
from tests.crash.verdict import assert_nothing_lost
from tests.faultsink import CLOSE, OK, RESET, At, FaultSink, Say
from tests.sink.script import Action

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Scene:
    """The appliance with its worker, the next hop of both doors, and the queue's route."""

    def __init__(self, box: Appliance, hop: FaultSink, route: FaultSink) -> None:
        self.box, self.hop, self.route = box, hop, route
        self.mails: list[Mail] = []

    def send(self, listener: str) -> bytes:
        """One mail: the first reply that is no yes, or the final 250."""
        name = f"{listener}{len(self.mails)}"
        head = f"From: <a@example.net>\r\nTo: <b@example.com>\r\nMessage-ID: <{name}@x>\r\n\r\n"
        mail = Mail(self.box.ports[listener], ("b@example.com",), head.encode() + b"z\r\n" * 3000)
        self.mails.append(mail)
        session = Session(mail.port)
        try:
            for line, code in (
                ("EHLO client.example.net", b"250"),
                ("MAIL FROM:<a@example.net>", b"250"),
                ("RCPT TO:<b@example.com>", b"250"),
                ("DATA", b"354"),
            ):
                if not (reply := session.ask(line)).startswith(code):
                    return reply
            session.content(mail.body)
            mail.dots += 1
            reply = session.reply()
            mail.acknowledged = reply.startswith(b"250")
            return reply
        finally:
            session.link.close()

    def heal(self) -> None:
        healthy = dict.fromkeys(("connect", "ehlo", "mail", "rcpt", "data", "content", "dot"), OK)
        self.hop.answer(**healthy)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with FaultSink() as hop, FaultSink() as route:
        folder = tmp_path_factory.mktemp("next-hop")
        box = Appliance(folder, mx_hop=hop.port, sub_hop=hop.port, route=route.port)
        try:
            roles = [box.start(role) for role in ("mx", "sub", "worker")]
            assert all(role.wait_ready() for role in roles)
            yield Scene(box, hop, route)
            box.audit()
        finally:
            box.stop()
            print(box.log_tail())


@pytest.fixture
def scene(standing: Scene) -> Iterator[Scene]:
    standing.hop.stop()  # no connection of an earlier test waits in the pool
    standing.hop.start()
    yield standing
    standing.heal()
    assert_nothing_lost(standing.box, standing.mails, [standing.hop, standing.route])


OWN_4XX = b"4"
QUEUED = b"250 "


@pytest.mark.parametrize(
    ("script", "inbound", "submission"),
    [
        ({"connect": "421 4.3.2 too busy"}, OWN_4XX, QUEUED),
        ({"connect": CLOSE}, OWN_4XX, QUEUED),
        ({"connect": RESET}, OWN_4XX, QUEUED),
        ({"ehlo": "451 4.3.0 not now"}, OWN_4XX, QUEUED),
        ({"mail": "451 4.3.0 not now"}, b"451 4.3.0 not now", QUEUED),
        ({"mail": "550 5.7.1 not you"}, b"550 5.7.1 not you", b"550 5.7.1 not you"),
        ({"mail": RESET}, OWN_4XX, QUEUED),
        ({"rcpt": "450 4.2.0 greylisted"}, b"450 4.2.0 greylisted", b"450 4.2.0 greylisted"),
        ({"rcpt": "550 5.1.1 unknown"}, b"550 5.1.1 unknown", b"550 5.1.1 unknown"),
        ({"data": "451 4.3.1 no room"}, b"451 4.3.1 no room", b"451 4.3.1 no room"),
        ({"data": "554 5.5.1 no data"}, b"554 5.5.1 no data", b"554 5.5.1 no data"),
        ({"dot": "451 4.7.1 try later"}, b"451 4.7.1 try later", b"451 4.7.1 try later"),
        ({"dot": "554 5.6.0 bad content"}, b"554 5.6.0 bad content", b"554 5.6.0 bad content"),
        ({"content": At(2000, RESET)}, OWN_4XX, OWN_4XX),
        ({"content": At(2000, CLOSE)}, OWN_4XX, OWN_4XX),
        ({"dot": RESET}, OWN_4XX, OWN_4XX),
        ({"dot": CLOSE}, OWN_4XX, OWN_4XX),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_the_next_hop_says_no(
    scene: Scene, script: dict[str, str | Action], inbound: bytes, submission: bytes
) -> None:
    scene.hop.answer(**script)
    assert scene.send("mx").startswith(inbound)
    assert scene.send("sub").startswith(submission)


def test_the_next_hop_is_down(scene: Scene) -> None:
    scene.hop.stop()
    try:
        assert scene.send("mx").startswith(OWN_4XX)
        assert scene.send("sub").startswith(QUEUED)
    finally:
        scene.hop.start()
    assert scene.send("mx").startswith(b"250")


def test_the_next_hop_is_slow(scene: Scene) -> None:
    """Its final reply is ours: the client waits as long as it takes."""
    scene.hop.answer(dot=Say("250 2.0.0 at last", after=2.5))
    start = time.monotonic()
    assert scene.send("mx").startswith(b"250 2.0.0 at last")
    assert time.monotonic() - start > 2.4


def test_a_dead_idle_connection_is_not_the_clients_trouble(scene: Scene) -> None:
    """Pooled connections die with the hop's restart; the next mail does not notice."""
    assert scene.send("mx").startswith(b"250")
    scene.hop.stop()
    scene.hop.start()
    assert scene.send("mx").startswith(b"250")
    assert scene.send("sub").startswith(b"250")
