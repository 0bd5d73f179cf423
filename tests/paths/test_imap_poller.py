"""The door's poller: who is called and when, and who is not any more (proxy/imap/poller.py)."""

import asyncio
import functools
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvloop

from proxy.imap.poller import Poller


class Room:
    """A poller, connections, and what was called."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.poller = Poller(self.loop)
        self.calls: list[str] = []
        self.faults: list[str] = []
        self._sockets: list[socket.socket] = []
        self.loop.set_exception_handler(
            lambda loop, told: self.faults.append(repr(told["exception"]))
        )

    def pair(self, number: int | None = None) -> tuple[socket.socket, socket.socket]:
        """Ours, which does not block, and the other end; ours as this descriptor."""
        ours, theirs = socket.socketpair()
        if number is not None and ours.fileno() != number:
            if theirs.fileno() == number:
                ours, theirs = theirs, ours
            else:  # something else had been closed meanwhile
                other, ours = ours, socket.socket(fileno=os.dup2(ours.fileno(), number))
                other.close()
        ours.setblocking(False)
        self._sockets += [ours, theirs]
        return ours, theirs

    def note(self, word: str) -> Callable[[], None]:
        return lambda: self.calls.append(word)

    async def turns(self) -> list[str]:
        """What was called since, now that everybody had time."""
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        calls, self.calls = self.calls, []
        return calls

    def close(self) -> None:
        self.poller.close()
        for one in self._sockets:
            one.close()


@asynccontextmanager
async def opened() -> AsyncIterator[Room]:
    room = Room()
    try:
        yield room
    finally:
        room.close()


def in_a_room(test: Callable[[Room], Awaitable[None]]) -> Callable[[Any], None]:
    async def go() -> None:
        async with opened() as room:
            await test(room)
            assert room.faults == []

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def played(run: Callable[[Any], None]) -> None:
        run(go())

    del played.__wrapped__  # pytest would ask for a fixture called room
    return cast(Callable[[Any], None], played)


@in_a_room
async def test_told_as_long_as_something_is_there(room: Room) -> None:
    ours, theirs = room.pair()
    room.poller.read(ours.fileno(), room.note("read"))
    assert await room.turns() == []
    theirs.send(b"ab")
    assert set(await room.turns()) == {"read"}
    ours.recv(1)
    assert set(await room.turns()) == {"read"}  # level-triggered: one octet is left
    ours.recv(1)
    await room.turns()
    assert await room.turns() == []


@in_a_room
async def test_no_more_and_again(room: Room) -> None:
    ours, theirs = room.pair()
    fd = ours.fileno()
    theirs.send(b"x")
    room.poller.read(fd, room.note("first"))
    room.poller.read(fd, room.note("second"))  # instead of the first
    assert set(await room.turns()) == {"second"}
    room.poller.read(fd, None)
    await room.turns()
    assert await room.turns() == []
    room.poller.read(fd, None)  # harmless twice
    room.poller.read(fd, room.note("third"))
    assert set(await room.turns()) == {"third"}


@in_a_room
async def test_who_does_not_read_is_not_woken_again_and_again(room: Room) -> None:
    ours, theirs = room.pair()
    fd = ours.fileno()
    room.poller.read(fd, room.note("read"))
    room.poller.read(fd, None)
    theirs.send(b"x")
    assert await room.turns() == []
    assert room.poller._epoll.poll(0) == []  # the kernel was told, once there was something
    theirs.close()
    assert room.poller._epoll.poll(0) == []
    room.poller.read(fd, room.note("again"))
    assert set(await room.turns()) == {"again"}


@in_a_room
async def test_who_has_settled_is_called_no_other_way(room: Room) -> None:
    ours, theirs = room.pair()
    fd, poller = ours.fileno(), room.poller
    poller.settle(fd)  # nobody reads it: without effect
    poller.read(fd, room.note("read"))
    poller.settle(fd)
    poller.settle(fd)  # harmless twice
    assert await room.turns() == []
    theirs.send(b"x")
    assert set(await room.turns()) == {"read"}
    assert poller._epoll.poll(0) == []
    poller.read(fd, room.note("other"))
    assert set(await room.turns()) == {"other"}
    poller.write(fd, room.note("write"))
    assert set(await room.turns()) == {"other", "write"}
    poller.write(fd, None)
    poller.read(fd, None)
    await room.turns()
    assert await room.turns() == []
    poller.read(fd, room.note("again"))
    assert set(await room.turns()) == {"again"}
    poller.settle(fd)
    theirs.close()
    ours.recv(1)
    assert set(await room.turns()) == {"again"}  # the end


@in_a_room
async def test_a_settled_number_is_forgotten(room: Room) -> None:
    ours, theirs = room.pair()
    fd = ours.fileno()
    room.poller.read(fd, room.note("old"))
    room.poller.settle(fd)
    theirs.send(b"x")
    room.poller.forget(fd)
    ours.close()
    again, peer = room.pair()
    assert again.fileno() == fd
    room.poller.read(fd, room.note("new"))
    assert await room.turns() == []
    peer.send(b"x")
    assert set(await room.turns()) == {"new"}


@in_a_room
async def test_reading_and_writing_are_apart(room: Room) -> None:
    ours, theirs = room.pair()
    fd, poller = ours.fileno(), room.poller
    poller.read(fd, room.note("read"))
    poller.write(fd, room.note("write"))
    assert set(await room.turns()) == {"write"}
    theirs.send(b"x")
    assert set(await room.turns()) == {"read", "write"}
    poller.write(fd, None)
    await room.turns()
    assert set(await room.turns()) == {"read"}
    poller.write(fd, room.note("write"))
    poller.read(fd, None)
    await room.turns()
    assert set(await room.turns()) == {"write"}
    poller.write(fd, None)
    await room.turns()
    assert await room.turns() == []


@in_a_room
async def test_who_writes_only_hears_of_the_end(room: Room) -> None:
    ours, theirs = room.pair()
    while True:
        try:
            ours.send(bytes(65536))
        except BlockingIOError:
            break
    room.poller.write(ours.fileno(), room.note("write"))
    assert await room.turns() == []
    theirs.close()
    assert set(await room.turns()) == {"write"}


@in_a_room
async def test_a_fault_stops_no_other(room: Room) -> None:
    pairs = [room.pair() for _ in range(3)]

    def wrong() -> None:
        room.poller.read(pairs[1][0].fileno(), None)
        raise ZeroDivisionError

    calls = [room.note("one"), wrong, room.note("three")]
    for (ours, theirs), call in zip(pairs, calls, strict=True):
        room.poller.read(ours.fileno(), call)
        theirs.send(b"x")
    assert set(await room.turns()) == {"one", "three"}
    assert room.faults == ["ZeroDivisionError()"]
    room.faults.clear()


@in_a_room
async def test_a_closed_number_is_forgotten(room: Room) -> None:
    ours, theirs = room.pair()
    theirs.send(b"x")
    fd = ours.fileno()
    room.poller.read(fd, room.note("old"))
    room.poller.forget(fd)
    ours.close()
    assert await room.turns() == []
    again, peer = room.pair(fd)
    assert again.fileno() == fd
    room.poller.read(fd, room.note("new"))
    assert await room.turns() == []
    peer.send(b"x")
    assert set(await room.turns()) == {"new"}


@in_a_room
async def test_a_number_given_out_again_in_the_same_turn(room: Room) -> None:
    """What this turn still has to tell of it is of the socket that was closed."""
    first, second = room.pair(), room.pair()
    numbers = [first[0].fileno(), second[0].fileno()]
    fresh: list[socket.socket] = []

    def closes(this: socket.socket, other: socket.socket) -> None:
        room.calls.append("old")
        if fresh:
            return
        # Both are readable, so the other one's event is in the same turn's list.
        room.poller.read(this.fileno(), None)
        number = other.fileno()
        room.poller.forget(number)
        other.close()
        fresh.extend(room.pair(number))
        assert fresh[0].fileno() == number
        room.poller.read(number, room.note("new"))

    for this, other in ((first, second), (second, first)):
        room.poller.read(this[0].fileno(), functools.partial(closes, this[0], other[0]))
    for _, theirs in (first, second):
        theirs.send(b"x")
    assert await room.turns() == ["old"]
    assert fresh[0].fileno() in numbers
    fresh[1].send(b"y")
    assert set(await room.turns()) == {"new"}


@in_a_room
async def test_more_than_fit_into_one_turn(room: Room) -> None:
    pairs = [room.pair() for _ in range(300)]
    seen: set[int] = set()

    def takes(ours: socket.socket) -> None:
        os.read(ours.fileno(), 1)
        seen.add(ours.fileno())

    for ours, theirs in pairs:
        room.poller.read(ours.fileno(), functools.partial(takes, ours))
        theirs.send(b"x")
    await room.turns()
    assert seen == {ours.fileno() for ours, _ in pairs}
