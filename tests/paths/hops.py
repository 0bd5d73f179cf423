"""Helpers for tests of the next hop: both event loops, a way to hold a transaction by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from config.targets import HopTarget, parse_hop
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.nexthop import HopConnection, NextHop
from proxy.smtp.replies import Reply
from tests.faultsink import FaultSink

#: The codes of a good transaction: MAIL, RCPT, DATA, the dot.
CODES = [250, 250, 354, 250]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run_on(kind: str, main: Coroutine[Any, Any, Any], timeout: float = 100.0) -> Any:
    """Runs a coroutine on this kind of loop; whatever a callback raised fails the test."""
    faults: list[dict[str, Any]] = []

    async def limited() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with asyncio.timeout(timeout):
            return await main

    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        result = runner.run(limited())
    assert not faults, faults
    return result


async def until(done: Callable[[], object]) -> None:
    """Polls what happens elsewhere: in a sink's thread, in the store. `run_on` has the patience."""
    while not done():
        await asyncio.sleep(0.01)


def target(sink: FaultSink, kind: str = "smtp", host: str = "127.0.0.1") -> HopTarget:
    if sink.unix is not None:
        return parse_hop(f"lmtp://{sink.unix}")
    return parse_hop(f"{kind}://{host}:{sink.port}")


def next_hop(sink: FaultSink, kind: str = "smtp", host: str = "127.0.0.1", **more: Any) -> NextHop:
    return NextHop(target(sink, kind, host), **({"helo": "relay.example.com"} | more))


async def ask(conn: HopConnection, lines: bytes, count: int = 1) -> list[Reply]:
    """Sends lines, gives their replies; raises what on_lost was given."""
    return await _replies(conn, count, lambda got: conn.commands(lines, count, got))


async def content(conn: HopConnection, data: bytes, count: int = 1) -> list[Reply]:
    """Sends content, gives the replies after it."""

    def send(got: Callable[[Reply], None]) -> None:
        conn.expect(count, got)
        conn.write(data)

    return await _replies(conn, count, send)


async def _replies(
    conn: HopConnection, count: int, send: Callable[[Callable[[Reply], None]], None]
) -> list[Reply]:
    done: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
    replies: list[Reply] = []

    def got(reply: Reply) -> None:
        replies.append(reply)
        if len(replies) == count:
            done.set_result(replies)

    def lost(error: Exception | None) -> None:
        assert error is not None and not done.done()
        done.set_exception(error)

    conn.on_lost = lost
    send(got)
    try:
        return await done
    finally:
        conn.on_lost = None


async def transaction(
    conn: HopConnection, body: bytes = b"Subject: x\r\n\r\nhello\r\n"
) -> list[Reply]:
    """A whole one, pipelined up to DATA; the replies to all of it."""
    replies = await ask(conn, b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", 3)
    return replies + await content(conn, body + b".\r\n")


def refusal(loop: str, sink: FaultSink, **more: Any) -> HopUnavailable:
    """Connecting fails, soon; nothing is left open."""

    async def main() -> HopUnavailable:
        hop = next_hop(sink, **more)
        with pytest.raises(HopUnavailable) as caught:
            await hop.connect()
        assert hop.open == hop.idle == 0
        return caught.value

    error: HopUnavailable = run_on(loop, main())
    assert not error.permanent and error.reply.temporary, "the client must keep its mail"
    return error
