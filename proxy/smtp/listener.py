"""One client connection of a door: does what the session decides (edge).

`Door` is aiosmtpd's `SMTP` protocol with its command loop replaced. What stays of aiosmtpd: its
`Session` and construction, the shape of its STARTTLS upgrade, and its PROXY protocol reader
(decision 0001 says what was measured). What is replaced: the reading of commands and content,
which goes to the sans-IO session (proxy/smtp/session.py) straight from `data_received`.

Promises
- A fault of ours is 451 4.3.0 and a closed connection; its text stays in the log.
- The commit of a message whose end was read is not cancelled by a client that hangs up.
- Nothing is read from a client while the disk or the next hop is behind, while it does not read
  our replies, or while more than BACKLOG octets wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from aiosmtpd.smtp import SMTP

from proxy import maillog
from proxy.failpoint import failpoint
from proxy.journal import BigBody, JournalBroken, JournalFull
from proxy.journalrecover import timestamp, undecided_verdict
from proxy.smtp import actions
from proxy.smtp.doorstate import DoorState
from proxy.smtp.hopconn import HopConnection
from proxy.smtp.hoperrors import HopLost, HopUnavailable
from proxy.smtp.hoptls import SmallBufferTLS, switch
from proxy.smtp.introduce import Stranger
from proxy.smtp.limits import client_key
from proxy.smtp.proxyheader import Early, read_proxy_header
from proxy.smtp.relay import NO_SPACE
from proxy.smtp.replies import Reply
from proxy.smtp.session import Session
from proxy.smtp.transaction import Client

BACKLOG: Final = 65_536
#: Seconds that a closing connection may take to read our last words.
LINGER: Final = 15.0
TLS_HANDSHAKE: Final = 30

FAULT: Final = Reply.of(451, "4.3.0", "Temporary local problem, try again later")

_HOP, _DISK, _BACKLOG, _CLIENT = 1, 2, 4, 8


class Door(SMTP):
    """See the page. Made by `door_factory`, one for each connection."""

    core: Session
    transport: asyncio.Transport | None

    def __init__(self, state: DoorState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            None, hostname=state.policy.hostname, tls_context=state.tls_context, loop=loop
        )
        self.state = state

    def prepare(self) -> Door:
        """A door for one connection. aiosmtpd's constructor looks through all its methods, which
        takes longer than a whole session: so it runs once, and this copies what it found."""
        door = Door.__new__(Door)
        door.__dict__.update(self.__dict__)
        door._hop = None
        door._big = None
        door._undecided = None
        door._paused = 0
        door._closing = 0.0
        door._began = 0.0
        door._settled = False
        door._key = None
        door._tls_leg = None
        door._greeted = False
        door._early = None
        door._performing = False
        door._committing = False
        return door

    _hop: HopConnection | None
    _big: BigBody | None
    _undecided: dict[str, Any] | None
    _paused: int
    _closing: float
    _began: float
    _settled: bool
    _key: str | None
    _tls_leg: SmallBufferTLS | None
    _greeted: bool
    _early: Early | None
    _performing: bool
    _committing: bool

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected; called once more when TLS stands."""
        # uvloop's transports are such by interface, not by inheritance.
        self.transport = cast(asyncio.Transport, transport)
        if self._tls_leg is not None:
            self._tls_stands()
            return
        state = self.state
        self.session = self._create_session()
        peer = transport.get_extra_info("peername") or ("", 0)
        self.session.peer = peer  # type: ignore[assignment]  # a pair, whatever its hint says
        state.doors.add(self)
        client = Client(ip=peer[0], port=peer[1])
        self.core = Session(state.policy, state, client, state.now())
        if state.stopping:
            self._turn_away("4.3.2", "Service shutting down", "shutting down")
        elif len(state.doors) > state.connections:
            self._turn_away("4.3.2", "Too many connections", "connection limit")
        elif state.proxy_from:
            if not state.may_proxy(client.ip):
                state.counters.connection("proxy_failed")
                maillog.connection_refused(state.policy.listener, client.ip, "no PROXY peer")
                self._close_now()
                return
            self._early = Early()
            state.keep(self._read_proxy_header(self._early))
        else:
            self._admit()

    def data_received(self, data: bytes) -> None:
        """Octets from the client."""
        if self._early is not None:
            self._early.feed(data)
            return
        try:
            self.core.receive(data, self.state.now())
        except Exception as error:
            self._fault(error)
            return
        self._perform()

    def eof_received(self) -> bool:
        """The client has closed its side; the socket stays while a message is being committed."""
        if self._early is not None:
            self._early.feed_eof()
            return False
        self._guarded(self.core.eof)
        return self.core.committing and self._tls_leg is None

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone. A commit goes on: the journal and the next hop call back."""
        self.transport = None
        self._leave()
        if self._early is not None:
            self._early.feed_eof()
        self._guarded(self.core.lost)

    def pause_writing(self) -> None:
        """The client does not read our replies."""
        self._pause(_CLIENT)

    def resume_writing(self) -> None:
        """It does again."""
        self._unpause(_CLIENT)

    # ------------------------------------------------------------------ admission

    def _admit(self, known: bool = True) -> None:
        """Count the client, then greet it, after TLS where that comes first.

        `known`: its address is its own, and not that of the balancer in front of it.
        """
        state, client = self.state, self.core.client
        key = client_key(client.ip)
        client.trusted = known and state.trusts(client.ip)
        if not state.counts.enter(key):
            self._turn_away("4.7.0", "Too many connections from your address", "client limit")
            return
        self._key = key
        state.counters.connection("accepted")
        if state.policy.tls == "implicit":
            self._start_tls()
        else:
            self._greeted = True
            self.core.begin()
            self._perform()

    def _turn_away(self, enhanced: str, text: str, reason: str) -> None:
        state = self.state
        state.counters.connection("refused")
        maillog.connection_refused(state.policy.listener, self.core.client.ip, reason)
        if state.policy.tls != "implicit":
            self._write(Reply.of(421, enhanced, f"{state.policy.hostname} {text}").wire())
        self._close_now()

    async def _read_proxy_header(self, early: Early) -> None:
        peer = await read_proxy_header(early)
        self._early = None
        if self.transport is None:
            return
        if peer is None:
            self.state.counters.connection("proxy_failed")
            maillog.connection_refused(
                self.state.policy.listener, self.core.client.ip, "bad PROXY header"
            )
            self._close_now()
            return
        if peer.ip:
            self.core.client.ip, self.core.client.port = peer.ip, peer.port
        self._guarded(self._admit, peer.ip != "")
        rest = early.rest()
        if self._key is not None and rest:
            if self._tls_leg is not None:
                self._tls_leg.feed(rest)
            else:
                self.data_received(rest)

    # ------------------------------------------------------------------ TLS

    def _start_tls(self) -> None:
        """As aiosmtpd's smtp_STARTTLS does it, with a buffer of 32 KiB."""
        assert self.transport is not None and self.state.tls_context is not None
        shaken = self.loop.create_future()
        shaken.add_done_callback(self._tls_shaken)
        leg = SmallBufferTLS(
            self.loop,
            cast(asyncio.Protocol, self),
            self.state.tls_context,
            shaken,
            server_side=True,
            ssl_handshake_timeout=TLS_HANDSHAKE,
        )
        self._tls_leg = leg
        switch(self.transport, leg)

    def _tls_shaken(self, shaken: asyncio.Future[None]) -> None:
        failed = shaken.cancelled() or shaken.exception() is not None
        # If we closed it ourselves meanwhile there is no exception, and no TLS either.
        if failed or self.core.client.tls is None:
            # asyncio does not tell a protocol whose handshake failed that its connection is gone.
            self.state.counters.connection("tls_failed")
            self.connection_lost(None)

    def _tls_stands(self) -> None:
        assert self.transport is not None
        self.core.tls_started(self.transport.get_extra_info("ssl_object").version())
        if not self._greeted:
            self._greeted = True
            self.core.begin()
        self._perform()

    # ------------------------------------------------------------------ the session's wishes

    def _guarded(self, call: Callable[..., None], *values: object) -> None:
        """Tell the session something, then do what it wants."""
        try:
            call(*values)
        except Exception as error:
            self._fault(error)
            return
        self._perform()

    def _perform(self) -> None:
        """Do everything that the session wants; what it wants next may follow at once."""
        if self._performing:
            return
        self._performing = True
        try:
            drain = self.core.drain
            while wanted := drain():
                for action in wanted:
                    _DEEDS[type(action)](self, action)
        except Exception as error:
            self._fault(error)
        finally:
            self._performing = False
        if self.core.backlog > BACKLOG:
            self._pause(_BACKLOG)
        elif self._paused & _BACKLOG:
            self._unpause(_BACKLOG)

    def _fault(self, error: BaseException) -> None:
        """Our own fault: 451, close, and what is durable but undecided gets its verdict."""
        maillog.session_fault(self.state.policy.listener, self.core.client.ip, error)
        self._leave_undecided()
        if self._hop is not None:
            self._hop.abort()
            self._hop = None
        if self._big is not None:
            self._big.discard()
            self._big = None
        self.core.abandon()
        if not self._closing:
            self._write(FAULT.wire())
        self._close_now()

    def _leave_undecided(self) -> None:
        """What was durable gets the verdict that a restart would give it."""
        undecided, self._undecided = self._undecided, None
        if undecided is not None:
            self.state.journal.append_verdict(undecided_verdict(undecided, timestamp()))
        self._committed()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _to_client(self, action: actions.ToClient) -> None:
        if self.transport is not None:
            self.transport.write(action.data)
        if self._settled:
            self._settled = False
            failpoint("8.reply.sent")

    def _start_tls_now(self, action: actions.StartTls) -> None:
        self._start_tls()

    def _close(self, action: actions.Close) -> None:
        self._close_now()

    def _close_now(self) -> None:
        self._closing = self._closing or self.state.now()
        if self.transport is not None:
            self.transport.close()

    def _delay(self, action: actions.Delay) -> None:
        self.loop.call_later(action.seconds, self._guarded, self.core.resume)

    def _log(self, action: actions.Log) -> None:
        values = dict(action.values)
        if action.event == "accepted":
            values["ms"] = (self.state.now() - self._began) * 1000
        elif action.event == "auth" and not str(values["words"]).startswith("4"):
            # A 4xx is the server's trouble: nobody has guessed.
            self.state.login(self.core.client.ip, bool(values["ok"]))
        getattr(maillog, action.event)(**values)

    # ------------------------------------------------------------------ next hop

    def _open_hop(self, action: actions.OpenHop) -> None:
        hop = self.state.next_hop
        conn = hop.take(action.domain) if hop.tell == "none" and not action.fresh else None
        if conn is not None:
            self._take_hop(conn)
            self.core.hop_opened(conn.caps, True)
        else:
            self.state.keep(self._connect(action.domain, action.fresh))

    async def _connect(self, domain: str | None, fresh: bool) -> None:
        state = self.state
        try:
            conn = await state.next_hop.connect(domain, fresh=fresh, client=self._stranger())
        except HopUnavailable as away:
            words = (away.words or away.reply).text
            target = str(state.next_hop.target)
            maillog.hop_unavailable(state.policy.listener, target, away.stage, words)
            self._guarded(self.core.hop_failed, away.reply, away.permanent)
        except Exception as error:
            self._fault(error)
        else:
            self._take_hop(conn)
            self._guarded(self.core.hop_opened, conn.caps, conn.reused)

    def _stranger(self) -> Stranger | None:
        """Who our client is, for a hop that is told."""
        if self.state.next_hop.tell == "none" or self.transport is None:
            return None
        client, own = self.core.client, self.transport.get_extra_info("sockname")
        return Stranger(client.ip, client.port, own[0], own[1], client.helo, client.esmtp)

    def _take_hop(self, conn: HopConnection) -> None:
        self._hop = conn
        conn.on_lost = self._hop_lost
        conn.on_pause = self._hop_slow
        conn.on_writable = self._hop_ready

    def _hop_slow(self) -> None:
        self._pause(_HOP)

    def _hop_ready(self) -> None:
        self._unpause(_HOP)

    def _ask_hop(self, action: actions.AskHop) -> None:
        if self._hop is not None:
            self._hop.commands(action.data, action.replies, self._hop_reply)

    def _hop_content(self, action: actions.HopContent) -> None:
        if self._hop is None:
            return
        if action.replies:
            self._hop.expect(action.replies, self._hop_reply)
        self._hop.write(action.pieces)
        if action.replies:
            failpoint("5.dot.sent")

    def _hop_reply(self, reply: Reply) -> None:
        if self._undecided is not None:
            failpoint("6.hop.replied")
        try:
            self.core.hop_reply(reply)
        except Exception as error:
            self._fault(error)
            return
        self._perform()

    def _hop_lost(self, error: Exception | None) -> None:
        self._hop = None
        self._unpause(_HOP)
        lost = error if isinstance(error, HopLost) else HopLost("connection lost")
        self._guarded(self.core.hop_lost, lost.reply, lost.words)

    def _release_hop(self, action: actions.ReleaseHop) -> None:
        conn, self._hop = self._hop, None
        if conn is not None:
            self.state.next_hop.give_back(conn, dirty=action.dirty)
        self._unpause(_HOP)

    def _drop_hop(self, action: actions.DropHop) -> None:
        conn, self._hop = self._hop, None
        if conn is not None:
            if action.abort:
                conn.abort()
            else:
                conn.close()
        self._unpause(_HOP)

    # ------------------------------------------------------------------ journal

    def _spool(self, action: actions.Spool) -> None:
        big = self._big
        if big is None:
            big = self._big = self.state.journal.spool(action.capture_id)
            big.on_resume = partial(self._unpause, _DISK)
        if big.write(action.piece):
            self._pause(_DISK)

    def _drop_spool(self, action: actions.DropSpool) -> None:
        big, self._big = self._big, None
        if big is not None:
            big.discard()
        self._unpause(_DISK)

    def _journal(self, action: actions.Journal) -> None:
        self._began = self.state.now()
        self.state.committing += 1
        self._committing = True
        header = action.header
        if action.body is not None:
            self.state.journal.append(header, action.body, partial(self._durable, header, None))
            return
        big = self._big
        assert big is not None
        header["file"] = big.name
        big.finish(partial(self._spooled, header))

    def _spooled(self, header: dict[str, Any], error: Exception | None) -> None:
        self._unpause(_DISK)
        if error is not None:
            self._durable(header, self._big, error)
        else:
            # From here on a frame may name the file: no fault of ours may remove it.
            big, self._big = self._big, None
            self.state.journal.append(header, (), partial(self._durable, header, big))

    def _durable(
        self, header: dict[str, Any], big: BigBody | None, error: Exception | None
    ) -> None:
        failure = None
        if error is not None:
            maillog.journal_trouble(self.state.policy.door, f"message not taken: {error}", error)
            failure = FAULT
            if isinstance(error, JournalFull):
                # No frame names the file; after any other error one may, and recovery decides.
                failure, self._big = NO_SPACE, big
            self._committed()
        else:
            self._undecided = header
        if self.core.transaction is None:
            self._leave_undecided()  # a fault came between
        else:
            self._guarded(self.core.durable, failure)
        if isinstance(error, JournalBroken):
            self.state.journal_broken()

    def _committed(self) -> None:
        if self._committing:
            self._committing = False
            self.state.committing -= 1

    def _verdict(self, action: actions.Verdict) -> None:
        self._committed()
        self._undecided = None
        self._settled = True
        self.state.journal.append_verdict(action.header)

    # ------------------------------------------------------------------ time and flow

    def tick(self, now: float, seconds: float) -> None:
        """Once a second."""
        if self._closing:
            if now - self._closing > LINGER and self.transport is not None:
                self.transport.abort()
        elif self._greeted:
            self._guarded(self.core.tick, now, seconds, bool(self._paused & (_HOP | _DISK)))

    def stop(self) -> None:
        """The door process ends; running transactions may finish."""
        if self._greeted:
            self._guarded(self.core.stop)
        else:
            self._close_now()

    def kill(self) -> None:
        """The time to finish is over."""
        if self._greeted:
            self._guarded(self.core.cut)
        if self.transport is not None:
            self.transport.abort()

    def _pause(self, reason: int) -> None:
        if not self._paused and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._paused |= reason

    def _unpause(self, reason: int) -> None:
        if self._paused & reason:
            self._paused &= ~reason
            if not self._paused and self.transport is not None and not self._closing:
                self.transport.resume_reading()

    def _leave(self) -> None:
        self.state.doors.discard(self)
        if self._key is not None:
            self.state.counts.leave(self._key)
            self._key = None


_DEEDS: Final[dict[type, Callable[[Door, Any], None]]] = {
    actions.ToClient: Door._to_client,
    actions.StartTls: Door._start_tls_now,
    actions.Close: Door._close,
    actions.Delay: Door._delay,
    actions.OpenHop: Door._open_hop,
    actions.AskHop: Door._ask_hop,
    actions.HopContent: Door._hop_content,
    actions.ReleaseHop: Door._release_hop,
    actions.DropHop: Door._drop_hop,
    actions.Spool: Door._spool,
    actions.DropSpool: Door._drop_spool,
    actions.Journal: Door._journal,
    actions.Verdict: Door._verdict,
    actions.Log: Door._log,
}


def door_factory(
    state: DoorState, loop: asyncio.AbstractEventLoop
) -> Callable[[], asyncio.Protocol]:
    """What the server calls for each connection."""
    return Door(state, loop).prepare
