"""A connection to the next hop: the order of replies, its ends, back-pressure."""

import asyncio
import time
from typing import Any

import pytest

from proxy.smtp.hoperrors import HopLost
from proxy.smtp.replies import Reply
from tests.faultsink import CLOSE, HANG, RESET, At, FaultSink, Say
from tests.paths.hops import CODES, ask, content, next_hop, run_on, transaction, until

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.mark.parametrize(
    "data",
    [b"354 go\r\n250 early\r\n", b"354 go\r\n250 ea", b"354 go\r\nhello\r\n", b"354 go\r\n\0"],
)
def test_a_reply_out_of_turn_ends_the_connection(loop: str, data: bytes) -> None:
    """The 250 must not be taken for the answer to a message that was not sent yet."""

    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        lost: list[Exception | None] = []
        got: list[Reply] = []

        def on_reply(reply: Reply) -> None:
            got.append(reply)
            if len(got) == 3:
                conn.expect(1, got.append)
                conn.write(b"Subject: x\r\n\r\n.\r\n")
                hop.give_back(conn)  # even a careless caller does not get it into the pool

        conn.commands(b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", 3, on_reply)
        conn.on_lost = lost.append
        await until(lambda: conn.over)
        assert [r.code for r in got] == [250, 250, 354]
        assert hop.idle == hop.open == 0
        assert conn.over

    with FaultSink(data=Say(data)) as sink:
        run_on(loop, main())


def test_words_said_unasked_are_kept(loop: str) -> None:
    async def main() -> HopLost:
        conn = await next_hop(sink).connect()
        await ask(conn, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", 3)
        lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        conn.on_lost = lost.set_result
        conn.write(b"x" * 2000)
        return await lost  # type: ignore[no-any-return]

    with FaultSink(content=At(1000, Say("552 5.3.4 too big", then=CLOSE))) as sink:
        error = run_on(loop, main())
    assert error.words == Reply(552, (b"5.3.4 too big",))
    assert error.reply.temporary


def test_replies_in_pieces(loop: str) -> None:
    async def main() -> None:
        conn = await next_hop(sink).connect()
        assert (await ask(conn, b"MAIL FROM:<a@b>\r\n"))[0].lines == (
            b"2.1.0 fine",
            b"2.1.0 sender",
        )

    with FaultSink(mail=Say("250-2.1.0 fine\n250 2.1.0 sender", gap=0.003)) as sink:
        run_on(loop, main())


@pytest.mark.parametrize(
    "words", [b"250 " + b"x" * 5000 + b"\r\n", b"250-x\r\n" * 101, b"y" * 70000]
)
def test_endless_replies_and_garbage_end_the_connection(loop: str, words: bytes) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        with pytest.raises(HopLost) as caught:
            await ask(conn, b"NOOP\r\n")
        assert caught.value.reply.temporary
        await until(lambda: hop.open == 0)

    with FaultSink(noop=Say(words)) as sink:
        run_on(loop, main())


@pytest.mark.parametrize("fault", [CLOSE, RESET])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_connection_lost_at_any_stage_is_told_once(loop: str, stage: str, fault: Any) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        with pytest.raises(HopLost, match="connection lost"):
            await transaction(conn)
        told: list[Exception | None] = []
        conn.on_lost = told.append
        await until(lambda: hop.open == 0)
        assert told == []

    with FaultSink(**{stage: fault}) as sink:
        run_on(loop, main())


def test_silence_ends_by_time_out(loop: str) -> None:
    async def main() -> float:
        conn = await next_hop(sink, reply_timeout=0.2).connect()
        start = time.monotonic()
        with pytest.raises(HopLost, match="no answer in time"):
            await ask(conn, b"MAIL FROM:<a@b>\r\n")
        return time.monotonic() - start

    with FaultSink(mail=HANG) as sink:
        assert 0.19 < run_on(loop, main()) < 20


def test_the_final_dot_has_twice_the_time(loop: str) -> None:
    async def main() -> None:
        conn = await next_hop(sink, reply_timeout=0.6).connect()
        assert [r.code for r in await transaction(conn)] == CODES

    with FaultSink(dot=Say("250 2.0.0 Ok", after=0.9)) as sink:
        run_on(loop, main())


def test_a_command_on_a_dead_connection_tells_so_and_no_more(loop: str) -> None:
    async def main() -> None:
        conn = await next_hop(sink).connect()
        await asyncio.to_thread(sink.stop)
        await asyncio.sleep(0.05)  # it died while nobody listened
        with pytest.raises(HopLost):
            await ask(conn, b"MAIL FROM:<a@b>\r\n")
        told: list[Exception | None] = []
        conn.on_lost = told.append
        conn.command(b"NOOP\r\n", lambda reply: pytest.fail("no reply can come"))
        conn.write(b"x")
        await asyncio.sleep(0.05)
        assert told == []

    with FaultSink() as sink:
        run_on(loop, main())


def test_our_own_abort_is_not_told(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink)
        conn = await hop.connect()
        conn.on_lost = lambda error: pytest.fail("it was us")
        conn.command(b"MAIL FROM:<a@b>\r\n", lambda reply: pytest.fail("too late"))
        conn.abort()
        conn.abort()
        conn.close()
        await until(lambda: hop.open == 0)

    with FaultSink(mail=HANG) as sink:
        run_on(loop, main())


def test_a_hop_that_never_answers_quit_does_not_keep_us(loop: str) -> None:
    async def main() -> None:
        hop = next_hop(sink, reply_timeout=0.2)
        (await hop.connect()).close()
        await until(lambda: hop.open == 0)

    with FaultSink(quit=HANG) as sink:
        run_on(loop, main())


def test_back_pressure_both_ways(loop: str) -> None:
    """A hop that does not read: we are told to pause, our memory stays flat, then to go on."""

    async def main() -> None:
        conn = await next_hop(sink).connect()
        await ask(conn, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", 3)
        paused, go_on = asyncio.Event(), asyncio.Event()
        conn.on_pause, conn.on_writable = paused.set, go_on.set
        block, sent = b"x" * 998 + b"\r\n", 0
        while conn.writable and sent < 64 * 2**20:
            conn.write([block, block])
            sent += 2000
            await asyncio.sleep(0)
        assert paused.is_set() and sent < 64 * 2**20
        sink.read_rate = None
        await go_on.wait()
        assert conn.writable
        assert [r.code for r in await content(conn, b".\r\n")] == [250]
        assert sink.messages[0].size == sent + 3

    with FaultSink(read_rate=200_000, keep=False) as sink:
        run_on(loop, main())


def test_a_hop_that_stops_reading_runs_into_the_time_out(loop: str) -> None:
    async def main() -> None:
        conn = await next_hop(sink, reply_timeout=0.3).connect()
        await ask(conn, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", 3)
        lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        conn.on_lost = lost.set_result

        def fill() -> None:  # the kernel takes a few MB before it is really full
            while conn.writable and not conn.over:
                conn.write(b"x" * 998 + b"\r\n")

        conn.on_writable = fill
        fill()
        assert "no answer in time" in str(await lost)

    with FaultSink(read_rate=1, keep=False) as sink:
        run_on(loop, main())
