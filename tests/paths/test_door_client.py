"""The next hop learns who the client is (`next_hop_client`)."""

from pathlib import Path

from tests.faultsink import CLOSE, KEYWORDS, OK, FaultSink
from tests.paths.doors import Client, DoorProcess, until
from tests.sink.script import Answer

XCLIENT = (*KEYWORDS, "XCLIENT NAME ADDR PORT PROTO HELO")
# The client's own address comes to the door from a balancer, so that two of them differ.
PROXIED = 'proxy_protocol = true\nproxy_from = ["127.0.0.1"]\n'


def greeted(door: DoorProcess, ip: str, helo: str = "me.example") -> Client:
    client = door.client()
    client.send(f"PROXY TCP4 {ip} 127.0.0.1 1234 25\r\n".encode())
    assert client.reply().startswith("220")
    assert client.ask(f"EHLO {helo}").startswith("250")
    return client


def send(client: Client) -> str:
    return client.message("a@x.example", ["b@y.example"], b"Subject: x\r\n\r\nhello\r\n")


def test_xclient_before_each_clients_mail_on_a_pooled_connection(tmp_path: Path) -> None:
    with (
        FaultSink(keywords=XCLIENT) as sink,
        DoorProcess(tmp_path, sink, listener=PROXIED + 'next_hop_client = "xclient"') as door,
    ):
        for ip, helo in (("192.0.2.7", "seven.example"), ("2001:db8::8", "eight.example")):
            kind = "TCP6" if ":" in ip else "TCP4"
            own = "2001:db8::1" if ":" in ip else "127.0.0.1"
            with door.client() as client:
                client.send(f"PROXY {kind} {ip} {own} 1234 25\r\n".encode())
                client.reply()
                client.ask(f"EHLO {helo}")
                for _ in range(2):
                    assert send(client).startswith("250")
        assert len(sink.connections) == 1 and not sink.complaints
        told = [line for line in sink.lines if line.startswith((b"XCLIENT", b"EHLO"))]
        seven = [
            b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=1234 PROTO=ESMTP HELO=seven.example",
            b"EHLO seven.example",
        ]
        eight = [
            b"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::8 PORT=1234 PROTO=ESMTP"
            b" HELO=eight.example",
            b"EHLO eight.example",
        ]
        # The first client's EHLO asked the hop what it can do, before anybody had a name.
        assert told[0] == b"EHLO mx.example.com"
        assert told[-8:] == seven * 2 + eight * 2
        assert [m["client"]["ip"] for m in door.messages()] == ["192.0.2.7"] * 2 + [
            "2001:db8::8"
        ] * 2


def test_a_hop_that_believes_it_once_is_not_pooled(tmp_path: Path) -> None:
    """As Postfix does it."""
    ours = "250 sink\nPIPELINING\nXCLIENT ADDR HELO"
    with (
        FaultSink(
            keywords=XCLIENT,
            ehlo={"mx.example.com": ours, "me.example": "250 sink\nPIPELINING"},
        ) as sink,
        DoorProcess(tmp_path, sink, listener='next_hop_client = "xclient"') as door,
    ):
        for _ in range(2):
            with door.greeted() as client:
                assert send(client).startswith("250")
        with_mail = [c for c in sink.connections if c.messages]
        assert len(with_mail) == 2 and all("XCLIENT" in c.verbs for c in with_mail)


def test_a_hop_that_offers_no_xclient_gets_the_mail_all_the_same(tmp_path: Path) -> None:
    with (
        FaultSink() as sink,
        DoorProcess(tmp_path, sink, listener='next_hop_client = "xclient"') as door,
        door.greeted() as client,
    ):
        assert send(client).startswith("250")
        assert not [line for line in sink.lines if line.startswith(b"XCLIENT")]


def test_a_hop_that_does_not_want_this_xclient_is_a_4xx(tmp_path: Path) -> None:
    answers: list[Answer] = [
        OK, "550 5.7.0 insufficient authorization", "421 4.7.0 too many from there", OK
    ]  # fmt: skip
    with (
        FaultSink(keywords=XCLIENT, xclient=answers) as sink,
        DoorProcess(tmp_path, sink, listener='next_hop_client = "xclient"') as door,
    ):
        codes = []
        for _ in range(3):
            with door.greeted() as client:
                client.ask("MAIL FROM:<a@x.example>")
                codes.append(client.ask("RCPT TO:<b@y.example>")[:3])
        assert codes == ["451", "451", "250"], sink.lines


def test_a_pooled_connection_that_dies_at_xclient_costs_nothing(tmp_path: Path) -> None:
    with (
        FaultSink(keywords=XCLIENT) as sink,
        DoorProcess(tmp_path, sink, listener='next_hop_client = "xclient"') as door,
    ):
        with door.greeted() as client:
            assert send(client).startswith("250")
        sink.answer(xclient=[CLOSE, OK])
        with door.greeted() as client:
            assert send(client).startswith("250")
        assert len(sink.messages) == 2 and len(sink.connections) == 2


def test_proxy_is_the_first_line_and_no_connection_is_shared(tmp_path: Path) -> None:
    listener = PROXIED + 'next_hop_client = "proxy"'
    with (
        FaultSink(proxy=True) as sink,
        DoorProcess(tmp_path, sink, listener=listener) as door,
    ):
        for ip in ("192.0.2.7", "192.0.2.8"):
            with greeted(door, ip) as client:
                assert send(client).startswith("250")
                client.ask("QUIT")
        until(lambda: all(c.end for c in sink.connections), "each has ended")
        with_mail = [c.proxy for c in sink.connections if c.messages]
        port = door.port
        assert with_mail == [
            f"PROXY TCP4 {ip} 127.0.0.1 1234 {port}".encode() for ip in ("192.0.2.7", "192.0.2.8")
        ]
        assert [len(c.messages) for c in sink.connections if c.messages] == [1, 1]
