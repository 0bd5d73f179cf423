r"""The world around one session: does what it wants, and watches that it keeps its promises.

    world = World(hop=Hop(rcpt={"nobody@": "550 5.1.1 no"}))     the hop answers by script
    world.talk('''
        C> MAIL FROM:<a@x.example>         the client sends this line
        C< 250 2.1.0 *                     and reads this one; `*` is anything
        C<... 250 DSN                      lines until this one
        C=> DATA\r\n                      these octets, in one write, which
        + QUIT\r\n                        may go on in a line that begins with +
        C<-                                nothing more has come (as before every C>)
        C<end                              the door has closed, nothing is unread
        C gone / C eof                     the client's connection is lost; it has closed its side
        now +301                           so many seconds pass
        stop                               the door process ends
    ''')

With `Hop(scripted=False)` the other side is in the dialogue too, and nothing comes by itself:

        H connects / H away 451 4.4.1 down / H away! 550 5.1.2 no such domain
        H< RCPT TO:<b@y.example>           the hop gets this command
        H<- / H<content                    nothing; content up to its end (and the dot)
        H> 250 2.1.5 ok                    it answers the oldest command that waits
        H lost / H lost 421 4.3.2 bye      the connection breaks, with these words before
        J< pass queue                      a message goes to the journal, with these plans
        J> durable / J> full / J> broken
        V< accepted                        a verdict was written

`settled` at the end of a test says that nothing is left over. Checked in every run, by the deeds
themselves: see the methods `_…` below.
"""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from proxy import maillog
from proxy.smtp import actions
from proxy.smtp.blindcopy import without_bcc
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.phase import Phase
from proxy.smtp.policy import DoorPolicy
from proxy.smtp.relay import NO_SPACE
from proxy.smtp.replies import Reply, ReplyParser
from proxy.smtp.session import Session
from proxy.smtp.transaction import Client
from tests.cores.hopline import Hop, HopLine, Lost, parsed
from tests.dialogues.runner import octets

FAULT = Reply.of(451, "4.3.0", "Temporary local problem, try again later")
GONE = Reply.of(451, "4.4.2", "next hop: connection lost")
AWAY = Reply.of(451, "4.4.1", "the next hop cannot be reached")
LANES = ("open", "hop", "journal", "delay")


class World:
    """See the page. `auto`: what is asked is answered before the next input."""

    def __init__(
        self,
        *,
        hop: Hop | None = None,
        hop_known: bool = True,
        away: Reply | None = None,
        away_for_good: bool = False,
        pool: int = 0,
        stale: int = 0,
        journal: str = "durable",
        ip: str = "192.0.2.7",
        trusted: bool = False,
        secrets: tuple[str, ...] = (),
        begin: bool = True,
        auto: bool | None = None,
        **policy: Any,
    ) -> None:
        self.hop = hop or Hop()
        self.auto = self.hop.scripted if auto is None else auto
        self.away, self.away_for_good = away, away_for_good
        self.journal_fate = journal
        self.secrets = secrets
        defaults: dict[str, Any] = {
            "listener": "mx",
            "door": "mx-0",
            "role": "inbound",
            "hostname": "mx.example.com",
            "hop_kind": "lmtp" if self.hop.lmtp else "smtp",
        }
        if policy.get("role", "inbound") == "inbound":
            defaults["recipient_domains"] = frozenset({"y.example", "z.example"})
        self.policy = DoorPolicy(**{**defaults, **policy})
        self.clock = 1000.0
        # Surroundings
        self.capabilities: Capabilities | None = self.hop.capabilities if hop_known else None
        self.journal_full = self.stress = False
        self.blocked: set[str] = set()
        self.counted: list[tuple[str, int]] = []
        self._ids = 0
        self._promised: list[str] = []
        # The next hop
        self.line: HopLine | None = None
        self.opened: list[actions.OpenHop] = []
        self.pool = [HopLine(self.hop, stale=n < stale) for n in range(pool)]
        self.dropped: list[HopLine] = []
        # The disk
        self.records: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.durable: set[str] = set()
        self.verdicts: dict[str, dict[str, Any]] = {}
        self.spool: bytearray | None = None
        self._journalling: str | None = None
        # The client
        self.out = b""
        self.unread = b""
        self.writes: list[bytes] = []
        self.closed = self.gone = self.tls = False
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self._replies = ReplyParser()
        self._hop_read = 0
        self._journal_read = self._verdicts_read = 0
        self.lanes: dict[str, deque[Callable[[], None]]] = {lane: deque() for lane in LANES}
        self._busy = self._running = False
        self.core = Session(
            self.policy, self, Client(ip=ip, port=4025, trusted=trusted), self.clock
        )
        if begin:
            self.tell(self.core.begin)

    # ------------------------------------------------------------------ Surroundings

    def login_blocked(self, ip: str) -> bool:
        return ip in self.blocked

    def new_id(self) -> str:
        self._ids += 1
        return f"01KTEST{self._ids:019d}"

    def times(self) -> tuple[str, str]:
        return "2026-11-22T00:40:01.000000Z", "Sun, 22 Nov 2026 00:40:01 +0000"

    def count(self, verb: str, code: int) -> None:
        self.counted.append((verb, code))
        if verb == "EOD" and code < 300:
            # Promise 1: no 250 before it is durable and somebody answers for its delivery.
            transaction = self.core.transaction
            assert transaction is not None
            self._promised.append(transaction.capture_id)

    def _taken(self, ident: str) -> None:
        assert ident in self.durable, "250 before the message was durable"
        assert ident in self.verdicts, "250 before the verdict was written"
        plans = {r["plan"] for r in self.records[ident]["recipients"]}
        if plans != {"queue"}:
            assert any(m.trace_id == ident for m in self.hop.messages), "250, and no hop has it"
            assert self.verdicts[ident]["outcome"] == "accepted"

    # ------------------------------------------------------------------ inputs

    def tell(self, call: Callable[..., None], *values: object) -> None:
        """One input to the session, then everything that follows from it."""
        call(*values)
        self.perform()
        if self.auto:
            self.run()

    def send(self, data: bytes) -> None:
        """The client's octets, as one segment."""
        if not self.closed:
            self.tell(self.core.receive, data, self.clock)

    def leave(self) -> None:
        self.gone = True
        self.tell(self.core.lost)

    def wait(self, seconds: float) -> None:
        """Time passes in ticks of a second; delays end."""
        for _ in range(int(seconds)):
            self.clock += 1
            self.tell(self.core.tick, self.clock, 1.0, False)
        self.deliver("delay")

    def run(self) -> None:
        """Deliver all that is under way, but let delays stand."""
        if not self._running:
            self._running = True
            while any(self.deliver(lane) for lane in LANES[:3]):
                pass
            self._running = False

    def deliver(self, lane: str) -> bool:
        """The next event of this kind; false if there is none."""
        if not self.lanes[lane]:
            return False
        self.lanes[lane].popleft()()
        return True

    # ------------------------------------------------------------------ deeds

    def perform(self) -> None:
        if self._busy:
            return
        self._busy = True
        wanted = self.core.drain()
        while wanted:
            assert sum(type(action) is actions.ToClient for action in wanted) <= 1
            for action in wanted:
                getattr(self, "_" + type(action).__name__)(action)
            wanted = self.core.drain()
        self._busy = False

    def _ToClient(self, action: actions.ToClient) -> None:
        assert not self.gone, "words for a client that is gone"
        assert not self.closed, f"words after the end: {action.data!r}"
        for ident in self._promised:
            self._taken(ident)
        self._promised.clear()
        self.out += action.data
        self.unread += action.data
        self.writes.append(action.data)
        for reply in self._replies.feed(action.data):
            queued = re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w+)", reply.text)
            if queued:
                record = self.records[queued[1]]
                assert queued[1] in self.durable
                assert {r["plan"] for r in record["recipients"]} == {"queue"}
        assert self._replies.idle, "half a reply in a write"

    def _StartTls(self, action: actions.StartTls) -> None:
        assert not self.closed
        self.tls = True
        self.lanes["open"].append(lambda: self.tell(self.core.tls_started, "TLSv1.3"))

    def _Close(self, action: actions.Close) -> None:
        assert not self.closed, "closed twice"
        self.closed = True

    def _Delay(self, action: actions.Delay) -> None:
        assert action.seconds > 0
        self.lanes["delay"].append(lambda: self.tell(self.core.resume))

    def _OpenHop(self, action: actions.OpenHop) -> None:
        assert self.line is None and not self.lanes["open"], "a second connection"
        assert (action.domain is not None) == (self.policy.hop_kind == "mx")
        self.opened.append(action)
        if self.pool and not action.fresh:
            self.connect(self.pool.pop(), reused=True)
        elif self.hop.scripted:
            self.lanes["open"].append(self.answer_open)

    def answer_open(self) -> None:
        if self.away is None:
            self.connect(HopLine(self.hop, self.opened[-1].domain), reused=False)
        else:
            self.tell(self.core.hop_failed, self.away, self.away_for_good)

    def connect(self, line: HopLine, reused: bool) -> None:
        self.line = line
        self.capabilities = self.hop.capabilities
        self.tell(self.core.hop_opened, line.hop.capabilities, reused)

    def _AskHop(self, action: actions.AskHop) -> None:
        assert self.line is not None, "a command without a connection"
        assert action.data.count(b"\r\n") == action.replies
        assert not self.line.in_content, f"a command in content: {action.data!r}"
        self._feed(self.line, action.data)

    def _HopContent(self, action: actions.HopContent) -> None:
        line = self.line
        assert line is not None
        assert line.in_content or line.dead or line.events, "content that was not asked for"
        before = len(self.hop.messages)
        ends = len(line.recipients) if self.hop.lmtp else 1
        self._feed(line, b"".join(action.pieces))
        if len(self.hop.messages) > before:
            # Promise 2: the dot only after the disk has it, and the same octets.
            message = self.hop.messages[-1]
            assert message.trace_id in self.durable, "the dot before the message was durable"
            kept = self.bodies[message.trace_id]
            if self.policy.role == "submission":
                kept = without_bcc(kept, whole=True)
            assert message.body == kept, "not what was journalled"
            assert action.replies == ends
        elif not line.dead:
            assert action.replies == 0, "an end that is none"

    def _feed(self, line: HopLine, data: bytes) -> None:
        line.feed(data)
        self._hop_events()

    def _hop_events(self) -> None:
        line = self.line
        while line is not None and line.events:
            event = line.events.popleft()
            self.lanes["hop"].append(partial(self._hop_event, line, event))

    def _hop_event(self, line: HopLine, event: Reply | Lost) -> None:
        if self.line is not line:
            return
        if isinstance(event, Lost):
            self.line = None
            self.tell(self.core.hop_lost, GONE, event.words)
        else:
            self.tell(self.core.hop_reply, event)

    def _ReleaseHop(self, action: actions.ReleaseHop) -> None:
        line, self.line = self.line, None
        assert line is not None
        assert not self.lanes["hop"] or line.dead, "answers are still to come"
        assert not line.carried_auth, "a connection that knows a login"
        if line.dead:
            return
        if action.dirty:
            assert not line.in_content
            line.mail, line.recipients = None, []
        assert line.clean, "others would get this client's transaction"
        self.pool.append(line)

    def _DropHop(self, action: actions.DropHop) -> None:
        line, self.line = self.line, None
        assert line is not None
        assert action.abort or not line.in_content, "QUIT as content"
        line.partial = line.content if line.in_content else b""
        self.lanes["hop"].clear()
        self.dropped.append(line)

    def _Spool(self, action: actions.Spool) -> None:
        assert action.capture_id == f"01KTEST{self._ids:019d}"
        self.spool = (self.spool or bytearray()) + action.piece

    def _DropSpool(self, action: actions.DropSpool) -> None:
        assert self.spool is not None
        self.spool = None

    def _Journal(self, action: actions.Journal) -> None:
        header = action.header
        ident = str(header["id"])
        assert ident not in self.records, "journalled twice"
        assert self._journalling is None
        body = b"".join(action.body) if action.body is not None else bytes(self.spool or b"")
        assert (action.body is None) == (self.spool is not None)
        assert len(body) == header["size"]
        self.records[ident], self.bodies[ident] = dict(header), body
        self._no_secret(header)
        self._journalling = ident
        if self.hop.scripted:
            self.lanes["journal"].append(lambda: self.journalled(self.journal_fate))

    def journalled(self, fate: str) -> None:
        """The disk has answered."""
        ident, self._journalling = self._journalling, None
        assert ident is not None
        if fate == "durable":
            self.durable.add(ident)
            self.spool = None
        self.tell(self.core.durable, {"durable": None, "full": NO_SPACE, "broken": FAULT}[fate])

    def _Verdict(self, action: actions.Verdict) -> None:
        ident = str(action.header["id"])
        assert ident in self.durable, "a verdict on what is not in the journal"
        assert ident not in self.verdicts, "two verdicts"
        rows = action.header["recipients"]
        assert isinstance(rows, list)
        told = [row["address"] for row in rows]
        assert told == [row["address"] for row in self.records[ident]["recipients"]]
        if action.header["outcome"] == "accepted":
            assert any(row["outcome"] == "accepted" for row in rows)
        self._no_secret(action.header)
        self.verdicts[ident] = dict(action.header)

    def _Log(self, action: actions.Log) -> None:
        values = dict(action.values)
        self._no_secret(values)
        function = getattr(maillog, action.event)
        if action.event == "accepted":
            inspect.signature(function).bind(**values, ms=1.0)
        else:
            inspect.signature(function).bind(**values)
        self.logs.append((action.event, values))

    def _no_secret(self, values: object) -> None:
        for secret in self.secrets:
            assert secret not in repr(values), "a secret leaves the session"

    # ------------------------------------------------------------------ the end

    def settled(self) -> None:
        """Nothing is left over: every message has its verdict, every connection its place."""
        self.run()
        assert self.durable == set(self.verdicts), "a message without a verdict"
        assert self.core.transaction is None or not (self.closed or self.gone)
        if self.closed or self.gone:
            assert self.core.phase is Phase.CLOSED
            assert self.line is None, "a connection to the hop that nobody gives back"
            assert self.spool is None, "a file that nobody removes"
        assert not any(line.in_content for line in self.pool)

    # ------------------------------------------------------------------ dialogues

    def talk(self, script: str) -> World:
        """Play a dialogue; what is wrong is told with its step."""
        script = re.sub(r"\n *\+ ", "", script.strip("\n"))
        for number, raw in enumerate(script.split("\n"), 1):
            step = raw.strip()
            if not step or step.startswith("#"):
                continue
            try:
                self._step(step)
            except AssertionError as error:
                raise AssertionError(f"step {number}: {step}\n  {error}") from error
        return self

    def _step(self, step: str) -> None:
        word, _, text = step.partition(" ")
        if word in ("C>", "C=>"):
            self._nothing_unread()
            self.send(text.encode() + b"\r\n" if word == "C>" else octets(text))
        elif word == "C<-":
            self._nothing_unread()
        elif word == "C<end":
            self._nothing_unread()
            assert self.closed, "the door has not closed"
        elif word == "C<":
            line = self._client_line()
            assert matches(text, line.rstrip(" ")), f"got: {line}"
        elif word == "C<...":
            while not matches(text, line := self._client_line()):
                assert line, "it never came"
        elif step == "C gone":
            self.leave()
        elif step == "C eof":
            self.tell(self.core.eof)
        elif word == "now":
            self.wait(float(text))
        elif step == "stop":
            self.tell(self.core.stop)
        else:
            self._other_side(step, word, text)

    def _other_side(self, step: str, word: str, text: str) -> None:
        line = self.line
        if step == "H connects":
            assert self.line is None and self.opened, "no connection was asked for"
            self.connect(HopLine(self.hop, self.opened[-1].domain), reused=False)
        elif step.startswith("H away"):
            self.tell(self.core.hop_failed, parsed(text.partition(" ")[2]), "!" in text[:5])
        elif word == "H<":
            assert self._hop_read < len(self.hop.commands), "nothing came"
            got = self.hop.commands[self._hop_read]
            self._hop_read += 1
            assert matches(text, got), f"got: {got}"
        elif word == "H<-":
            assert self.hop.commands[self._hop_read :] == []
        elif word == "H<content":
            assert line is not None and line.waiting and line.waiting[0].startswith("DOT")
        elif word == "H>":
            assert line is not None
            line.say(parsed(text))
            self._hop_events()
            self.deliver("hop")
        elif step.startswith("H lost"):
            assert line is not None
            line.unasked(parsed(text.partition(" ")[2]) if text != "lost" else None)
            self._hop_events()
            self.deliver("hop")
        elif word == "J<":
            record = list(self.records.values())[self._journal_read]
            self._journal_read += 1
            plans = " ".join(r["plan"] for r in record["recipients"])
            assert plans == text, f"got: {plans}"
        elif word == "J>":
            self.journalled(text)
        elif word == "V<":
            verdict = list(self.verdicts.values())[self._verdicts_read]
            self._verdicts_read += 1
            assert verdict["outcome"] == text, f"got: {verdict['outcome']}"
        else:
            raise ValueError(f"no such step: {step}")

    def _nothing_unread(self) -> None:
        assert self.unread == b"", f"unread: {self.unread!r}"

    def _client_line(self) -> str:
        line, found, self.unread = self.unread.partition(b"\r\n")
        assert found, f"silence, after {line!r}"
        return line.decode()

    def dialogue(self) -> list[str]:
        """The replies so far, a line each."""
        return self.out.decode().split("\r\n")[:-1]


def matches(pattern: str, line: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), line) is not None


HELLO = """
    C< 220 mx.example.com * Mailweir
    C> EHLO laptop
    C<... 250 CHUNKING
"""
MESSAGE = r"Subject: x\r\n\r\nhello\r\n.\r\n"


def by_hand(**more: Any) -> World:
    """A greeted session in a world where nothing comes by itself."""
    hop = Hop(scripted=False, auth=more.pop("auth_offered", ""))
    return World(hop=hop, **more).talk(HELLO)


def by_script(hop: Hop | None = None, **more: Any) -> World:
    """A greeted session whose next hop and disk answer by script."""
    return World(hop=hop, **more).talk(HELLO)
