"""Connecting to the next hop: addresses, greetings, LMTP, the service account."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from config.secret import Secret
from config.targets import HopTarget
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.nexthop import NextHop
from proxy.smtp.replies import Reply
from proxy.smtp.resolve import HopAddress
from proxy.smtp.sasl import Account
from tests.faultsink import CLOSE, HANG, RESET, FaultSink, Say
from tests.paths.hops import CODES, ask, content, next_hop, refusal, run_on, transaction, until

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def test_nobody_listens(loop: str, free_port: int) -> None:
    error = refusal(loop, FaultSink(port=free_port))
    assert (error.stage, error.reply.code, error.reply.enhanced) == ("connect", 451, "4.4.1")


def test_an_unknown_host_name(loop: str) -> None:
    error = refusal(loop, FaultSink(port=25), host="nowhere.invalid")
    assert (error.stage, error.reply.enhanced) == ("resolve", "4.4.3")


def test_a_hop_that_accepts_and_is_silent(loop: str) -> None:
    with FaultSink(connect=HANG) as sink:
        error = refusal(loop, sink, reply_timeout=0.2)
    assert error.stage == "greeting" and "no answer in time" in str(error)


@pytest.mark.parametrize("fault", [CLOSE, RESET])
@pytest.mark.parametrize("stage", ["connect", "ehlo"])
def test_lost_while_greeting(loop: str, stage: str, fault: Any) -> None:
    with FaultSink(**{stage: fault}) as sink:
        # A reset may come before the loop has seen the connection stand.
        assert refusal(loop, sink).reply.enhanced in ("4.4.2", "4.4.1")


def test_a_4xx_greeting_goes_on_in_its_own_words(loop: str) -> None:
    with FaultSink(connect="450-4.3.2 busy\n450 4.3.2 come back") as sink:
        error = refusal(loop, sink)
    assert error.reply == error.words == Reply(450, (b"4.3.2 busy", b"4.3.2 come back"))


@pytest.mark.parametrize("stage", ["connect", "ehlo"])
def test_a_5xx_refuses_us_and_not_the_mail(loop: str, stage: str) -> None:
    refusing: dict[str, Any] = {stage: "554 5.7.1 your address is on a list"}
    with FaultSink(**refusing) as sink:
        error = refusal(loop, sink)
    assert error.reply.code == 451 and "554 5.7.1 your address is on a list" in error.reply.text
    assert error.words == Reply(554, (b"5.7.1 your address is on a list",))


def test_a_greeting_that_is_none(loop: str) -> None:
    with FaultSink(connect=Say(b"SSH-2.0-OpenSSH_9.2\r\n")) as sink:
        assert "not an SMTP reply" in str(refusal(loop, sink))


def test_helo_where_ehlo_is_refused(loop: str) -> None:
    async def main() -> None:
        conn = await next_hop(sink).connect()
        assert conn.caps.keywords == {}
        assert [r.code for r in await transaction(conn)] == CODES

    with FaultSink(ehlo={"EHLO": "502 5.5.1 not here"}) as sink:
        run_on(loop, main())
        assert sink.lines[:2] == [b"EHLO relay.example.com", b"HELO relay.example.com"]


class Addresses:
    """An mx route to fixed addresses."""

    def __init__(self, *ips: str, port: int) -> None:
        self.found = [HopAddress("hop.example.net", ip, port) for ip in ips]

    async def hosts(self, domain: str) -> list[HopAddress]:
        return self.found


MX = HopTarget("mx")


def test_the_next_address_where_one_fails(loop: str) -> None:
    async def main() -> None:
        routes = Addresses("127.0.0.9", "::1", "127.0.0.1", port=sink.port)
        hop = NextHop(MX, helo="relay.example.com", resolver=routes)
        conn = await hop.connect("d.example")
        assert conn.peer == ("127.0.0.1", sink.port) and hop.open == 1
        hop.give_back(conn)
        assert hop.take("e.example") is None, "a pool for each domain"
        assert hop.take("d.example") is conn

    with FaultSink() as sink:
        run_on(loop, main())


def test_the_next_address_where_one_is_busy_and_the_best_words(loop: str) -> None:
    async def main() -> HopUnavailable:
        routes = Addresses("127.0.0.1", "127.0.0.9", port=sink.port)
        hop = NextHop(MX, helo="relay.example.com", resolver=routes)
        with pytest.raises(HopUnavailable) as caught:
            await hop.connect("d.example")
        assert hop.open == 0
        return caught.value

    with FaultSink(connect="421 4.3.2 busy") as sink:
        assert run_on(loop, main()).words == Reply(421, (b"4.3.2 busy",))


def test_an_address_that_swallows_packets_delays_and_does_not_stop(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.smtp.nexthop.NEXT_ADDRESS_AFTER", 0.2)

    async def main() -> None:
        # A full backlog drops further SYNs: a black hole on loopback.
        with socket.socket() as hole:
            hole.bind(("127.0.0.2", sink.port))
            hole.listen(0)
            fill = [socket.socket() for _ in range(3)]
            for one in fill:
                one.setblocking(False)
                one.connect_ex(("127.0.0.2", sink.port))
            routes = Addresses("127.0.0.2", "127.0.0.1", port=sink.port)
            hop = NextHop(MX, helo="relay.example.com", resolver=routes)
            conn = await hop.connect("d.example")
            assert conn.peer[0] == "127.0.0.1"
            for one in fill:
                one.close()

    with FaultSink() as sink:
        run_on(loop, main())


def test_a_connect_that_is_cancelled_leaves_nothing(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await hop.connect()
        await until(lambda: hop.open == 0)

    with FaultSink(ehlo=HANG) as sink:
        run_on(loop, main())


@pytest.mark.parametrize("unix", [False, True])
def test_lmtp_gives_a_reply_for_each_recipient(loop: str, unix: bool, tmp_path: Path) -> None:
    async def main() -> list[int]:
        conn = await next_hop(sink, "lmtp").connect()
        assert conn.lmtp
        await ask(conn, b"MAIL FROM:<a@b>\r\nRCPT TO:<x@d>\r\nRCPT TO:<y@d>\r\nDATA\r\n", 4)
        return [r.code for r in await content(conn, b"Subject: x\r\n\r\n.\r\n", 2)]

    with FaultSink(
        lmtp=True, unix=tmp_path / "lmtp" if unix else None, dot={"y@": "452 4.2.2 full"}
    ) as sink:
        assert run_on(loop, main()) == [250, 452]
        assert sink.lines[0] == b"LHLO relay.example.com"


def test_lmtp_knows_no_helo(loop: str) -> None:
    with FaultSink(lmtp=True, ehlo="500 5.5.1 no") as sink:
        error = refusal(loop, sink, kind="lmtp")
        assert sink.lines == [b"LHLO relay.example.com"] and error.stage == "LHLO"


def account() -> Account:
    return Account("crm@example.com", Secret("s3cret"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_the_service_account_logs_in_and_is_pooled(loop: str, mechanism: str) -> None:
    async def main() -> None:
        hop = next_hop(sink, account=account)
        conn = await hop.connect()
        assert [r.code for r in await transaction(conn)] == CODES
        hop.give_back(conn)
        assert hop.take() is conn, "everything that goes this way is the account's"

    with FaultSink(auth=[mechanism], auth_needed=True) as sink:
        run_on(loop, main())
        used, responses = sink.connections[0].auth or ("", [])
        assert used == mechanism and b"s3cret" in b"".join(responses)


def test_a_wrong_password_is_temporary_and_does_not_show(loop: str) -> None:
    with FaultSink(auth=["PLAIN"], auth_needed=True) as sink:
        sink.answer(auth="535 5.7.8 wrong")
        error = refusal(loop, sink, account=account)
    assert "535 5.7.8 wrong" in error.reply.text
    assert "s3cret" not in repr(error) + str(error)


def test_no_mechanism_and_no_password_file(loop: str) -> None:
    def missing() -> Account:
        raise FileNotFoundError("/etc/mailweir/password")

    with FaultSink(auth={"CRAM-MD5": ("334 ", "235 ok")}) as sink:
        assert refusal(loop, sink, account=account).stage == "auth"
        assert refusal(loop, sink, account=missing).reply.enhanced == "4.3.5"
        assert not any(line.startswith(b"AUTH") for line in sink.lines)
