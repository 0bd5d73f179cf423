"""TLS with the next hop: each policy against each kind of server and of attack."""

from typing import Any

import pytest

from config.secret import Secret
from config.targets import HopTarget
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.nexthop import NextHop
from proxy.smtp.resolve import HopAddress
from proxy.smtp.sasl import Account
from tests.certs import certificate_for
from tests.faultsink import CLOSE, HANG, RESET, FaultSink, Say
from tests.paths.hops import CODES, next_hop, refusal, run_on, transaction, until

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def account() -> Account:
    return Account("crm@example.com", Secret("s3cret"))


MX = HopTarget("mx")

CA = certificate_for().ca
OTHER = certificate_for("other.example.net")


def over_tls(loop: str, sink: FaultSink, **more: Any) -> str | None:
    """Two transactions and a content larger than the TLS buffers; the TLS version."""

    async def main() -> str | None:
        hop = next_hop(sink, **more)
        conn = await hop.connect()
        body = b"Subject: big\r\n\r\n" + (b"y" * 998 + b"\r\n") * 300
        assert [r.code for r in await transaction(conn, body)] == CODES
        hop.give_back(conn)
        assert hop.take() is conn
        assert [r.code for r in await transaction(conn)] == CODES
        conn.close()
        await until(lambda: hop.open == 0)
        return conn.tls

    version: str | None = run_on(loop, main())
    assert [m.body[:12] for m in sink.messages] == [b"Subject: big", b"Subject: x\r\n"]
    assert not sink.complaints
    return version


@pytest.mark.parametrize("tls", ["may", "require", "verify"])
def test_starttls(loop: str, tls: str) -> None:
    with FaultSink(tls="starttls") as sink:
        assert over_tls(loop, sink, tls=tls, ca=CA) == "TLSv1.3"
        assert sink.connections[0].verbs[:3] == ["EHLO", "STARTTLS", "EHLO"]
        assert len(sink.connections) == 1


@pytest.mark.parametrize("tls", ["may", "require", "verify"])
def test_implicit_tls(loop: str, tls: str) -> None:
    with FaultSink(tls="implicit") as sink:
        assert over_tls(loop, sink, kind="smtps", tls=tls, ca=CA) == "TLSv1.3"
        assert sink.connections[0].verbs[0] == "EHLO"


@pytest.mark.parametrize("tls", ["require", "verify"])
def test_no_starttls_where_tls_is_required(loop: str, tls: str) -> None:
    with FaultSink() as sink:
        error = refusal(loop, sink, tls=tls)
        assert (error.stage, error.reply.enhanced) == ("tls", "4.7.4")
        assert not {"MAIL", "AUTH"} & set(sink.connections[0].verbs)


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "500 what?"])
def test_a_refused_starttls(loop: str, answer: str) -> None:
    with FaultSink(tls="starttls", starttls=answer) as sink:
        assert over_tls(loop, sink, tls="may") is None
        error = refusal(loop, sink, tls="require")
        assert error.words is not None and error.words.text == answer


@pytest.mark.parametrize("kind", ["smtp", "smtps"])
@pytest.mark.parametrize(
    ("certificate", "host"),
    [(OTHER, "127.0.0.1"), (certificate_for("hop.example.net", "other"), "localhost")],
)
def test_verify_refuses_a_wrong_name(loop: str, kind: str, certificate: Any, host: str) -> None:
    with FaultSink(
        tls="implicit" if kind == "smtps" else "starttls", certificate=certificate
    ) as sink:
        error = refusal(loop, sink, kind=kind, host=host, tls="verify", ca=certificate.ca)
        assert (error.stage, error.reply.enhanced) == ("tls", "4.7.5")
        assert "certificate" in error.detail
        sink.wait_for(lambda s: all(c.end for c in s.connections))
        assert not any(set(c.verbs) - {"EHLO", "STARTTLS"} for c in sink.connections)
        assert over_tls(loop, sink, kind=kind, host=host, tls="require")


def test_verify_refuses_an_unknown_authority(loop: str) -> None:
    with FaultSink(tls="starttls") as sink:
        assert "certificate" in refusal(loop, sink, tls="verify", ca=OTHER.ca).detail


@pytest.mark.parametrize("fault", [Say(b"220 go\r\n", then=CLOSE), Say(b"220 go\r\n", then=RESET)])
def test_a_failed_handshake_falls_back_for_may_only(loop: str, fault: Any) -> None:
    with FaultSink(tls="starttls", starttls=fault) as sink:
        assert over_tls(loop, sink, tls="may") is None
        assert [c.verbs.count("STARTTLS") for c in sink.connections] == [1, 0]
        assert refusal(loop, sink, tls="require").stage == "tls"
        assert len(sink.connections) == 3, "no second try in clear"


@pytest.mark.parametrize("kind", ["smtps"])
def test_a_clear_text_server_behind_smtps(loop: str, kind: str) -> None:
    with FaultSink() as sink:
        assert refusal(loop, sink, kind=kind, tls="may").stage == "tls"


def test_a_handshake_that_hangs(loop: str) -> None:
    with FaultSink(tls="starttls", starttls=Say(b"220 go\r\n", then=HANG)) as sink:
        assert refusal(loop, sink, tls="require", connect_timeout=1).stage == "tls"


@pytest.mark.parametrize(
    "injected",
    [
        b"250-mx\r\n250 X-INJECTED\r\n",
        b"250 ok\r\n" * 5,
        b"220 twice\r\n",
        b"250 half",
        b"\0garbage",
    ],
)
def test_bytes_behind_the_220_are_dropped(loop: str, injected: bytes) -> None:
    """Response injection: what a man in the middle adds in clear must not count inside TLS."""

    async def main() -> None:
        conn = await next_hop(sink, tls="require").connect()
        assert conn.tls and not conn.caps.has("X-INJECTED") and conn.caps.has("DSN")
        assert [r.code for r in await transaction(conn)] == CODES

    with FaultSink(tls="starttls", inject_after_starttls=injected) as sink:
        run_on(loop, main())


def test_only_the_second_ehlo_counts(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink, tls="require")
        conn = await hop.connect()
        assert conn.caps.keywords == {"SIZE": "7"} and hop.capabilities is conn.caps

    with FaultSink(
        tls="starttls", ehlo=["250-mx\n250-STARTTLS\n250 AUTH PLAIN", "250-mx\n250 SIZE 7"]
    ) as sink:
        run_on(loop, main())


@pytest.mark.parametrize("name", ["x" * 64 + ".example", ".example", "a..b", "a\\032b.example"])
def test_an_odd_host_name_in_the_dns_is_no_fault_of_ours(loop: str, name: str) -> None:
    class Route:
        async def hosts(self, domain: str) -> list[HopAddress]:
            return [HopAddress(name, "127.0.0.1", sink.port)]

    async def main() -> None:
        hop = NextHop(MX, helo="relay.example.com", resolver=Route(), tls="verify", ca=CA)
        with pytest.raises(HopUnavailable) as caught:
            await hop.connect("d.example")
        assert caught.value.stage == "tls" and hop.open == 0
        may = NextHop(MX, helo="relay.example.com", resolver=Route())
        (await may.connect("d.example")).abort()

    with FaultSink(tls="starttls") as sink:
        run_on(loop, main())


def test_no_password_without_tls_but_on_this_machine(loop: str) -> None:
    class Elsewhere(HopAddress):
        local = False

    class Route:
        async def hosts(self, domain: str) -> list[HopAddress]:
            return [Elsewhere("hop.example.net", "127.0.0.1", sink.port)]

    async def main() -> None:
        hop = NextHop(MX, helo="relay.example.com", resolver=Route(), account=account)
        with pytest.raises(HopUnavailable, match="a password needs it"):
            await hop.connect("d.example")

    with FaultSink(auth=["PLAIN"]) as sink:
        run_on(loop, main())
        assert sink.connections[0].auth is None
