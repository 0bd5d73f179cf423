"""The pool of connections to the next hop: what comes back, what does not, and its limits."""

import asyncio

import pytest

from config.targets import HopTarget
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.nexthop import NextHop
from tests.faultsink import FaultSink
from tests.paths.hops import CODES, ask, next_hop, run_on, transaction, until

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def test_a_transaction_and_again_on_the_same_connection(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        assert hop.take() is None
        conn = await hop.connect()
        assert (conn.reused, conn.tls, conn.lmtp, conn.peer) == (
            False,
            None,
            False,
            ("127.0.0.1", sink.port),
        )
        assert hop.capabilities is conn.caps and conn.caps.has("PIPELINING")
        for _ in range(3):
            assert [r.code for r in await transaction(conn)] == CODES
            hop.give_back(conn)
            assert hop.idle == 1
            again = hop.take()
            assert again is conn and again.reused and hop.idle == 0
        conn.close()
        await until(lambda: hop.open == 0)

    with FaultSink() as sink:
        run_on(loop, main())
        assert len(sink.connections) == 1 and sink.connections[0].end == "quit"
        assert sink.lines[0] == b"EHLO relay.example.com"
        assert [m.body for m in sink.messages] == [b"Subject: x\r\n\r\nhello\r\n"] * 3
        assert not sink.complaints


def test_a_pooled_connection_that_died_is_not_given_out(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        hop.give_back(await hop.connect())
        assert hop.idle == 1
        await asyncio.to_thread(sink.stop)
        await until(lambda: hop.idle == hop.open == 0)
        assert hop.take() is None

    with FaultSink() as sink:
        run_on(loop, main())


def test_a_hop_that_speaks_while_idle_is_dropped(loop: str) -> None:
    """421 after some idle time is how Postfix and Exchange say good-bye."""

    async def main() -> None:
        server = await asyncio.start_server(chatty, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        hop = NextHop(HopTarget("smtp", "127.0.0.1", port), helo="relay.example.com")
        hop.give_back(await hop.connect())
        assert hop.idle == 1
        await until(lambda: hop.idle == hop.open == 0)
        server.close()

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readline()
        writer.write(b"250 hi\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"421 4.4.2 idle for too long\r\n")
        await reader.read()
        writer.close()

    run_on(loop, main())


def test_the_pool_has_limits(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink, pool_size=2, max_uses=2, idle_timeout=0.2, max_open=3)
        conns = [await hop.connect(fresh=True) for _ in range(3)]
        with pytest.raises(HopUnavailable, match="too many connections"):
            await hop.connect(fresh=True)
        for conn in conns:
            hop.give_back(conn)
        assert hop.idle == 2  # the third says QUIT
        again = await hop.connect()
        assert again.reused
        hop.give_back(again)
        assert hop.idle == 1  # its second use was its last
        await until(lambda: hop.idle == hop.open == 0)  # rested long enough

    with FaultSink() as sink:
        run_on(loop, main())
        sink.wait_for(lambda s: [c.end for c in s.connections] == ["quit"] * 3)


def test_relayed_auth_never_comes_back_into_the_pool(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        assert (await ask(conn, b"auth PLAIN AGEAYg==\r\n"))[0].code == 235
        hop.give_back(conn)
        assert hop.idle == 0

    with FaultSink(auth=["PLAIN"]) as sink:
        run_on(loop, main())


def test_a_dirty_connection_is_reset_before_it_rests(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        await ask(conn, b"MAIL FROM:<a@b.example>\r\n")
        hop.give_back(conn, dirty=True)
        assert hop.take() is None
        await until(lambda: hop.idle == 1)
        assert hop.take() is conn
        assert [r.code for r in await transaction(conn)] == CODES

    with FaultSink() as sink:
        run_on(loop, main())
        assert b"RSET" in sink.lines and not sink.complaints


def test_a_refused_reset_and_a_farewell_keep_a_connection_out(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        hop.give_back(conn, dirty=True)
        await until(lambda: hop.open == 0)
        assert hop.idle == 0
        conn = await hop.connect()
        assert (await ask(conn, b"NOOP\r\n"))[0].code == 421
        hop.give_back(conn)
        assert hop.idle == 0

    with FaultSink(rset="500 what?", noop="421 4.3.2 going down") as sink:
        run_on(loop, main())


def test_close_empties_the_pool_for_good(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        first, second = await hop.connect(), await hop.connect(fresh=True)
        hop.give_back(first)
        hop.close()
        hop.give_back(second)
        assert hop.idle == 0
        await until(lambda: hop.open == 0)

    with FaultSink() as sink:
        run_on(loop, main())
