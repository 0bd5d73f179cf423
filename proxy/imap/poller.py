"""Which sockets can be read or written: one epoll for all legs of a door (edge).

    poller = Poller(loop)
    poller.read(fd, callback)          # call it whenever there is something; None: no more
    poller.write(fd, callback)         # likewise, whenever there is room
    poller.settle(fd)                  # it will be read often: let the loop watch it itself
    poller.forget(fd)                  # before the descriptor is closed

The loop watches this epoll as a single descriptor. `loop.add_reader` makes a handle for each socket
and asks the kernel several times until it is watched; here a socket costs one call and an entry of
a dict, and closing it drops it (decision 0116). Who stops reading mostly begins again before
anything comes, so the kernel is told of it only when something does (decision 0114). What is read
for long is worth the loop's handle: an epoll inside another costs 2 µs an event (decision 0115).

Promises: level-triggered; a callback that fails is told to the loop's exception handler and stops
no other. Limits: AT_ONCE events a turn, then the loop goes on with what else there is.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 256

_IN: Final = select.EPOLLIN | select.EPOLLRDHUP
_OUT: Final = select.EPOLLOUT
# Whoever only reads or only writes hears of the end and of errors too.
_HUNG: Final = select.EPOLLRDHUP
_READS: Final = _IN | select.EPOLLHUP | select.EPOLLERR
_WRITES: Final = _OUT | select.EPOLLHUP | select.EPOLLERR

Callback = Callable[[], None]


class Poller:
    """Lives in its loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._reads: dict[int, Callback] = {}
        self._writes: dict[int, Callback] = {}
        self._told: dict[int, int] = {}  # what the kernel waits for, perhaps more than we do
        self._settled: set[int] = set()  # those that the loop watches, for reading
        # A number that was closed and given to a new socket within one turn: what this turn still
        # has to tell of it is of the old one.
        self._young: set[int] = set()
        self._turning = False
        self.hung = False
        """Who is called now to read: the peer will send nothing more than what is there. False may
        mean that nobody knows."""
        loop.add_reader(self._epoll.fileno(), self._turn)

    def read(self, fd: int, callback: Callback | None) -> None:
        """`callback`: from now on whenever there is something to read, or the end."""
        if callback is None:
            self._reads.pop(fd, None)
            if fd in self._settled:
                self._leave_loop(fd)
        elif fd in self._settled:
            self._reads[fd] = callback
            self._loop.add_reader(fd, callback)
        else:
            self._reads[fd] = callback
            told = self._told.get(fd, 0)
            if not told & _IN:
                self._tell(fd, told, told | _IN)

    def write(self, fd: int, callback: Callback | None) -> None:
        """`callback`: from now on whenever there is room to write, or an error."""
        told = self._told.get(fd, 0)
        if callback is not None:
            self._writes[fd] = callback
            if not told & _OUT:
                self._tell(fd, told, told | _OUT)
        elif self._writes.pop(fd, None) is not None:  # room there is always: at once
            self._tell(fd, told, told & ~_OUT)

    def settle(self, fd: int) -> None:
        """It is read, and will be for long. Until nobody reads it for once."""
        callback = self._reads.get(fd)
        if callback is None or fd in self._settled:
            return
        told = self._told.get(fd, 0)
        self._tell(fd, told, told & ~_IN)
        self._settled.add(fd)
        self._loop.add_reader(fd, callback)

    def _leave_loop(self, fd: int) -> None:
        self._settled.discard(fd)
        self._loop.remove_reader(fd)

    def forget(self, fd: int) -> None:
        """The descriptor is closed now: the kernel forgets it by itself."""
        self._reads.pop(fd, None)
        self._writes.pop(fd, None)
        self._told.pop(fd, None)
        if fd in self._settled:
            self._leave_loop(fd)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _tell(self, fd: int, before: int, now: int) -> None:
        """The kernel waits for something else from now on."""
        if not now:
            del self._told[fd]
            self._epoll.unregister(fd)
            return
        self._told[fd] = now
        if before:
            self._epoll.modify(fd, now)
        else:
            self._epoll.register(fd, now)
            if self._turning:
                self._young.add(fd)

    def _turn(self) -> None:
        young, reads, writes = self._young, self._reads, self._writes
        self._turning = True
        for fd, events in self._epoll.poll(0, AT_ONCE):
            if young and fd in young:
                continue
            try:
                if events & _READS:
                    self.hung = events & _HUNG != 0
                    if (callback := reads.get(fd)) is not None:
                        callback()
                    elif (told := self._told.get(fd, 0)) & _IN:
                        self._tell(fd, told, told & ~_IN)
                if events & _WRITES and (callback := writes.get(fd)) is not None:
                    callback()
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "a socket's callback failed", "exception": error}
                )
        self._turning = self.hung = False
        young.clear()
