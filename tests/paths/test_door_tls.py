"""A door process and TLS on the client's side, with and without a balancer in front.

Rows of threats.md: 4, 5, 6, 22, 23, STARTTLS inject (server), PROXY/XCLIENT spoof.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.certs import certificate_for
from tests.faultsink import FaultSink
from tests.paths.doors import Client, DoorProcess, until


@pytest.fixture(scope="module")
def sink() -> Iterator[FaultSink]:
    with FaultSink(auth=["PLAIN"]) as sink:
        yield sink


@pytest.fixture(scope="module")
def starttls(tmp_path_factory: pytest.TempPathFactory, sink: FaultSink) -> Iterator[DoorProcess]:
    listener = 'auth = "next_hop"\nmax_connections_per_client = 2000'
    with DoorProcess(
        tmp_path_factory.mktemp("starttls"), sink, tls="starttls", listener=listener
    ) as door:
        yield door


def test_starttls(starttls: DoorProcess, sink: FaultSink) -> None:
    """Rows 4 to 6: state is forgotten, AUTH only inside, STARTTLS only outside."""
    before = len(sink.messages)
    with starttls.greeted() as client:
        offered = client.ask("EHLO me.example")
        assert "STARTTLS" in offered and "AUTH" not in offered
        assert client.ask("AUTH PLAIN AGEAYg==").startswith("538 5.7.11")
        assert client.ask("MAIL FROM:<clear@x.example>").startswith("250")
        assert client.starttls() in ("TLSv1.2", "TLSv1.3")
        assert client.ask("RCPT TO:<b@y.example>").startswith("503")
        assert client.ask("MAIL FROM:<a@x.example>").startswith("503"), "EHLO again"
        offered = client.ask("EHLO me.example")
        assert "AUTH PLAIN" in offered and "STARTTLS" not in offered
        assert client.ask("STARTTLS").startswith("503")
        body = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 50_000
        assert client.message("a@x.example", ["b@y.example"], body).startswith("250")
        assert client.ask("QUIT").startswith("221")
        assert client.rest() == b""
    (message,) = sink.wait_for_messages(before + 1)[before:]
    assert b" with ESMTPS id " in message.body and message.body.endswith(body)
    assert starttls.messages()[-1]["client"]["tls"] in ("TLSv1.2", "TLSv1.3")


def test_what_stands_behind_starttls_is_thrown_away(starttls: DoorProcess) -> None:
    """Row: STARTTLS inject (server). In one segment: nothing unsolicited in TLS, RCPT → 503."""
    with starttls.greeted() as client:
        client.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<inj@x.example>\r\n")
        assert client.reply().startswith("220")
        client.handshake()
        assert client.quiet()
        assert client.ask("RCPT TO:<b@y.example>").startswith("503")
        assert client.ask("MAIL FROM:<a@x.example>").startswith("503")


def test_what_comes_in_clear_after_starttls_ends_it(starttls: DoorProcess) -> None:
    """The same in a second segment: no handshake, no session."""
    with starttls.greeted() as client:
        assert client.ask("STARTTLS").startswith("220")
        client.send(b"EHLO evil\r\nMAIL FROM:<inj@x.example>\r\n")
        said = client.rest()
        assert not said or said[:1] == b"\x15", "a TLS alert and nothing else"
    until(lambda: starttls.connections() == 0, "the connection is closed")


def test_a_client_that_leaves_in_the_handshake(starttls: DoorProcess) -> None:
    with starttls.greeted() as client:
        assert client.ask("STARTTLS").startswith("220")
        client.send(b"\x16\x03\x01\x02\x00\x01")
        client.reset()
    with starttls.greeted() as client:
        assert client.ask("STARTTLS").startswith("220")
    until(lambda: starttls.connections() == 0, "the connections are closed")
    until(lambda: starttls.figure("connections") == 0, "and counted no more")
    with starttls.greeted() as client:
        assert client.ask("NOOP").startswith("250")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_tls_is_refused(starttls: DoorProcess) -> None:
    with starttls.greeted() as client:
        assert client.ask("STARTTLS").startswith("220")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(client.sock)


@pytest.mark.slow
def test_idle_tls_sessions_are_small(starttls: DoorProcess) -> None:
    """Row 23: less than 100 kB each; asyncio's own buffers make it 295 kB."""
    warm = [starttls.greeted() for _ in range(20)]
    for client in warm:
        client.starttls()
    memory = starttls.rss()
    crowd = [starttls.greeted() for _ in range(200)]
    for client in crowd:
        client.starttls()
        client.ask("EHLO me.example")
    each = (starttls.rss() - memory) / len(crowd)
    for client in warm + crowd:
        client.close()
    assert each < 100_000


@pytest.mark.slow
def test_implicit_tls(tmp_path_factory: pytest.TempPathFactory, sink: FaultSink) -> None:
    with DoorProcess(tmp_path_factory.mktemp("implicit"), sink, tls="implicit") as door:
        client = door.client()
        client.handshake()
        assert client.reply().startswith("220 mx.example.com")
        offered = client.ask("EHLO me.example")
        assert "STARTTLS" not in offered
        assert client.ask("STARTTLS").startswith("503")
        assert client.message("a@x.example", ["b@y.example"], b"x\r\n").startswith("250")
        client.send(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "221"]
        client.close()
        with door.client() as plain:
            plain.send(b"EHLO me.example\r\n")
            assert plain.rest()[:1] in (b"", b"\x15")
        with door.client() as silent:
            assert silent.quiet(), "nothing in clear, not even a greeting"
            assert door.stop() == 0
            assert silent.rest() == b""


# ---------------------------------------------------------------------- PROXY


V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(ip: str, family: str = "TCP4") -> bytes:
    here = "::1" if family == "TCP6" else "127.0.0.1"
    return f"PROXY {family} {ip} {here} 4711 25\r\n".encode()


def v2(ip: str, command: int = 1) -> bytes:
    packed = ip_address(ip).packed
    family = 0x11 if len(packed) == 4 else 0x21
    body = packed + packed + struct.pack("!HH", 4711, 25) + b"\x04\0\x01x"  # and a TLV
    return V2 + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, sink: FaultSink) -> Iterator[DoorProcess]:
    listener = """
proxy_protocol = true
proxy_from = ["127.0.0.1/32"]
trusted = ["127.0.0.0/8", "192.0.2.99/32"]
max_connections_per_client = 3
"""
    folder = tmp_path_factory.mktemp("proxied")
    with DoorProcess(folder, sink, tls="starttls", listener=listener) as door:
        yield door


def ip_of_a_message(door: DoorProcess, header: bytes, recipient: str = "b@y.example") -> str:
    """The client's address in the journal, of a message sent behind this header."""
    with door.client() as client:
        client.send(header + b"EHLO me.example\r\n")
        assert client.reply().startswith("220"), header
        client.reply()
        said = client.message("a@x.example", [recipient], b"x\r\n")
        assert said.startswith("250"), said
    return str(door.messages()[-1]["client"]["ip"])


@pytest.mark.parametrize(
    ("header", "ip"),
    [
        (v1("192.0.2.7"), "192.0.2.7"),
        (v1("2001:db8::7", "TCP6"), "2001:db8::7"),
        (v2("192.0.2.8"), "192.0.2.8"),
        (v2("2001:db8::8"), "2001:db8::8"),
        (v2("192.0.2.9", command=0), "127.0.0.1"),  # LOCAL: a health check of the balancer
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    ],
)
def test_the_header_says_who_connects(proxied: DoorProcess, header: bytes, ip: str) -> None:
    """Row 22."""
    assert ip_of_a_message(proxied, header) == ip


def test_the_header_in_pieces(proxied: DoorProcess) -> None:
    for header in (v1("192.0.2.7"), v2("192.0.2.8")):
        with proxied.client() as client:
            for octet in range(len(header)):
                client.send(header[octet : octet + 1])
            assert client.reply().startswith("220")


def test_trust_is_by_the_address_in_the_header(proxied: DoorProcess) -> None:
    """The balancer is in a trusted network, its clients are not; nor who it does not name."""
    assert ip_of_a_message(proxied, v1("192.0.2.99"), "c@far.example") == "192.0.2.99"
    for header in (v1("192.0.2.7"), v2("192.0.2.9", command=0), b"PROXY UNKNOWN\r\n"):
        with proxied.client() as client:
            client.send(header)
            client.reply()
            client.ask("EHLO me.example")
            client.ask("MAIL FROM:<a@x.example>")
            assert client.ask("RCPT TO:<c@far.example>").startswith("550 5.7.1"), header


@pytest.mark.parametrize(
    "garbage",
    [
        b"EHLO me.example\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 99999\r\n",
        b"PROXY TCP4 nonsense 127.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\n",
        b"PROXY TCP6 192.0.2.7 127.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25 and more\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        b"proxy tcp4 192.0.2.7 127.0.0.1 4711 25\r\n",
        V2 + b"\x21\x11\0\x04abcd",
        V2 + b"\x31\x11\0\x0cabcdabcdefgh",
        V2[:11] + b"x" + b"\x21\x11\0\x0cabcdabcdefgh",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\0" * 200,
    ],
)
def test_what_is_no_header_ends_without_a_word(proxied: DoorProcess, garbage: bytes) -> None:
    with proxied.client() as client:
        client.send(garbage + b"EHLO me.example\r\n")
        assert client.rest() == b""


@pytest.mark.slow
def test_no_header_at_all_ends_in_seconds(proxied: DoorProcess) -> None:
    with proxied.client() as silent, proxied.client() as half:
        half.send(v2("192.0.2.7")[:20])
        assert silent.rest() == b"" and half.rest() == b""


def test_a_peer_that_is_not_listed_is_dropped(proxied: DoorProcess, sink: FaultSink) -> None:
    """Row: PROXY/XCLIENT spoof."""
    before = len(proxied.logged("connection.refused"))
    with proxied.client(source="127.0.0.2") as client:
        try:
            client.send(v1("192.0.2.99") + b"EHLO me.example\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert client.rest() == b""
    until(lambda: len(proxied.logged("connection.refused")) > before, "it is logged")
    assert proxied.logged("connection.refused")[-1]["reason"] == "no PROXY peer"


def test_a_header_where_none_is_expected_is_no_command(starttls: DoorProcess) -> None:
    with starttls.client() as client:
        client.send(v1("192.0.2.7"))
        assert client.reply().startswith("220")
        assert client.reply().startswith("500")
        for command in ("XCLIENT ADDR=192.0.2.7", "XFORWARD ADDR=192.0.2.7"):
            assert client.ask(command).startswith("500")


def test_limits_count_the_address_in_the_header(proxied: DoorProcess) -> None:
    crowd = []
    for _ in range(4):
        client = proxied.client()
        client.send(v1("192.0.2.50"))
        crowd.append((client, client.reply()[:9]))
    assert [said[:3] for _, said in crowd] == ["220", "220", "220", "421"]
    with proxied.client() as other:
        other.send(v1("192.0.2.51"))
        assert other.reply().startswith("220")
    for client, _ in crowd:
        client.close()


def test_a_header_and_then_starttls(proxied: DoorProcess) -> None:
    with proxied.client() as client:
        client.send(v1("192.0.2.7") + b"EHLO me.example\r\n")
        client.reply()
        client.reply()
        client.starttls()
        client.ask("EHLO me.example")
        assert client.message("a@x.example", ["b@y.example"], b"x\r\n").startswith("250")
    assert proxied.messages()[-1]["client"]["ip"] == "192.0.2.7"


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, False])
def test_a_header_and_implicit_tls(
    tmp_path_factory: pytest.TempPathFactory, sink: FaultSink, together: bool
) -> None:
    """The first octets of the handshake may stand in the header's segment."""
    listener = 'proxy_protocol = true\nproxy_from = ["127.0.0.1/32"]'
    folder = tmp_path_factory.mktemp("both")
    with DoorProcess(folder, sink, tls="implicit", listener=listener) as door:
        client = door.client()
        if together:
            tunnel(client, v2("192.0.2.7"))
        else:
            client.send(v2("192.0.2.7"))
            client.handshake()
            assert client.reply().startswith("220")
            client.ask("EHLO me.example")
            assert client.message("a@x.example", ["b@y.example"], b"x\r\n").startswith("250")
            client.close()
        assert door.messages()[-1]["client"]["ip"] == "192.0.2.7"
        assert door.messages()[-1]["client"]["tls"] is not None


def tunnel(client: Client, header: bytes) -> None:
    """A whole message in TLS, whose first flight leaves in one write with the header."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = certificate_for().client_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    lead = header
    script = (
        b"EHLO me.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"
        b"x\r\n.\r\nQUIT\r\n"
    )
    said = b""
    written = False
    while b"221 2.0.0 Bye" not in said:
        try:
            if not written:
                tls.do_handshake()
                tls.write(script)
                written = True
            said += tls.read(65_536)
        except ssl.SSLWantReadError:
            if octets := lead + outgoing.read():
                client.send(octets)
                lead = b""
            incoming.write(client.sock.recv(65_536) or b"")
    assert b"250 2.0.0 stored" in said


@pytest.mark.slow
def test_a_proxied_door_can_stop(tmp_path_factory: pytest.TempPathFactory, sink: FaultSink) -> None:
    """While a header is awaited: nothing is said to what may be TLS, and nobody is waited for."""
    listener = 'proxy_protocol = true\nproxy_from = ["127.0.0.1/32"]'
    folder = tmp_path_factory.mktemp("stop")
    with DoorProcess(folder, sink, listener=listener) as door, door.client() as client:
        assert client.quiet()
        assert door.stop(9) == 0, "sooner than the time that running transactions have"
        assert client.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", door.port), 1)
