"""A next hop of the session's tests: one connection, no socket.

It reads octets as a strict server does and keeps what it got. It answers by a script in the words
of tests/sink/script.py (`rcpt={"nobody@": "550 5.1.1 no"}`, `dot=[CLOSE, OK]`), or, with
`scripted=False`, only when the test says so.

It complains (AssertionError) where a real hop would be misled: a command that it does not know,
content before its 354, a bare CR or LF, a command in one write with others although it does not
know PIPELINING.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.smtp.capabilities import Capabilities
from proxy.smtp.replies import Reply
from tests.sink.script import CLOSE, OK, Action, Answer, At, Say, compile_answer

KEYWORDS = {
    "PIPELINING": "",
    "SIZE": "52428800",
    "8BITMIME": "",
    "SMTPUTF8": "",
    "DSN": "",
    "ENHANCEDSTATUSCODES": "",
    "CHUNKING": "",
}
HEALTHY = {
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 stored",
    "RSET": "250 2.0.0 forgotten",
    "AUTH": "235 2.7.0 welcome",
}


def parsed(text: str) -> Reply:
    """`250-a\\n250 b` or `250 a`, as a hop says it, to a Reply."""
    lines = text.split("\n")
    return Reply(int(text[:3]), tuple(line[4:].encode() for line in lines))


class Lost(Exception):
    """The connection has broken; `words` is what was said unasked before."""

    def __init__(self, words: Reply | None = None) -> None:
        super().__init__("lost")
        self.words = words


@dataclass
class Delivered:
    """A message that came to its end here."""

    mail: str
    recipients: list[str]
    octets: bytes

    @property
    def trace_id(self) -> str:
        return self.octets.partition(b" id ")[2].split(b"\r\n")[0].split(b";")[0].decode()

    @property
    def body(self) -> bytes:
        """Without the trace line that was put on top."""
        lines = self.octets.split(b"\r\n")
        assert lines[0].startswith(b"Received: from "), self.octets[:200]
        folded = 1
        while lines[folded].startswith(b"\t"):
            folded += 1
        return b"\r\n".join(lines[folded:])


class Hop:
    """What all connections of one test have in common: abilities, script, ledger."""

    def __init__(
        self,
        *,
        without: tuple[str, ...] = (),
        auth: str = "",
        lmtp: bool = False,
        scripted: bool = True,
        size: int | None = None,
        **answers: Answer,
    ) -> None:
        keywords = {key: value for key, value in KEYWORDS.items() if key not in without}
        if size is not None:
            keywords["SIZE"] = str(size)
        if auth:
            keywords["AUTH"] = auth
        self.capabilities = Capabilities(keywords)
        self.lmtp = lmtp
        self.scripted = scripted
        self._script: dict[str, Callable[[bytes], Action]] = {}
        self.answer(**answers)
        #: Every command of every connection, in order.
        self.commands: list[str] = []
        self.messages: list[Delivered] = []

    def answer(self, **answers: Answer) -> None:
        """Change the script; needed for `auth`, which names the mechanisms above."""
        for stage, answer in answers.items():
            self._script[stage.upper()] = compile_answer(answer)

    def pick(self, stage: str, line: str) -> Action:
        return self._script[stage](line.encode()) if stage in self._script else OK


@dataclass
class HopLine:
    """One connection."""

    hop: Hop
    domain: str | None = None
    #: It died while it lay in the pool, and nobody knows yet.
    stale: bool = False
    #: Answers and the end of the connection, for the world to deliver.
    events: deque[Reply | Lost] = field(default_factory=deque)
    waiting: deque[str] = field(default_factory=deque)
    dead: bool = False
    mail: str | None = None
    recipients: list[str] = field(default_factory=list)
    in_content: bool = False
    content: bytes = b""
    in_auth: bool = False
    carried_auth: bool = False
    partial: bytes = b""

    # ------------------------------------------------------------------ what comes in

    def feed(self, data: bytes) -> None:
        """Octets from the door."""
        if self.dead:
            return
        if self.stale:
            self._break()
            return
        if self.in_content:
            self._content(data)
            return
        assert data.endswith(b"\r\n"), f"half a command: {data!r}"
        lines = data.split(b"\r\n")[:-1]
        if not self.hop.capabilities.has("PIPELINING"):
            assert len(lines) == 1 and not self.waiting, f"pipelined: {data!r}"
        for raw in lines:
            assert b"\r" not in raw and b"\n" not in raw, f"bare CR or LF: {raw!r}"
            assert not self.in_content, f"a command behind DATA: {raw!r}"
            if not self._command(raw.decode()):
                return

    def _command(self, line: str) -> bool:
        """False once the connection is dead."""
        self.hop.commands.append(line)
        verb = "AUTH" if self.in_auth else line.split(" ")[0].upper()
        self.carried_auth = self.carried_auth or verb == "AUTH"
        assert verb in HEALTHY, f"no command for a hop: {line!r}"
        if "DATA" in self.waiting:
            raise AssertionError(f"behind an unanswered DATA: {line!r}")
        self.waiting.append(line if verb != "AUTH" else "AUTH " + line)
        if self.hop.scripted:
            self._act(verb, line)
        return not self.dead

    def _content(self, data: bytes) -> None:
        self.content += data
        stray = self.content.replace(b"\r\n", b"")
        assert b"\r" not in stray.removesuffix(b"\r"), "a bare CR on the onward wire"
        assert b"\n" not in stray, "a bare LF on the onward wire"
        due = self.hop.pick("CONTENT", "") if self.hop.scripted else OK
        if isinstance(due, At):
            if len(self.content) >= due.octets:
                self._break(due.do.wire() if isinstance(due.do, Say) else b"")
                return
        elif due is CLOSE:
            self._break()
            return
        end = (b"\r\n" + self.content).find(b"\r\n.\r\n")
        if end < 0:
            return
        assert self.content[end + 3 :] == b"", "octets behind the final dot"
        octets = self.content[:end].replace(b"\r\n.", b"\r\n")
        assert self.mail is not None
        self.hop.messages.append(Delivered(self.mail, list(self.recipients), octets))
        self.in_content = False
        for line in self.recipients if self.hop.lmtp else [self.recipients[0]]:
            self.waiting.append("DOT " + line)
        if self.hop.scripted:
            for waiting in list(self.waiting):
                self._act("DOT", waiting)

    # ------------------------------------------------------------------ what goes out

    def _act(self, stage: str, line: str) -> None:
        if self.dead:
            return
        action = self.hop.pick(stage, line)
        if action is OK:
            healthy = HEALTHY[stage]
            if stage == "RCPT" and self.mail is None:
                healthy = "503 5.5.1 no sender"
            if stage == "DATA" and not self.recipients:
                healthy = "554 5.5.1 no recipients"
            action = Say(healthy)
        if action is CLOSE:
            self._break()
            return
        assert isinstance(action, Say), action
        self.say(parsed(str(action.text)))
        if action.then is CLOSE or str(action.text).startswith("421"):
            self._break()

    def say(self, reply: Reply) -> None:
        """Answer the oldest command that waits."""
        line = self.waiting.popleft()
        verb = line.split(" ")[0].upper()
        if verb == "MAIL" and reply.positive:
            assert self.mail is None, "MAIL in a transaction"
            self.mail, self.recipients = line, []
        elif verb == "RCPT" and reply.positive:
            self.recipients.append(line)
        elif verb == "DATA" and reply.code == 354:
            self.in_content, self.content = True, b""
        elif verb == "RSET" or (verb == "DOT" and not self.waiting):
            self.mail, self.recipients = None, []
        elif verb == "AUTH":
            self.in_auth = reply.code == 334
        self.events.append(reply)

    def unasked(self, reply: Reply | None) -> None:
        """Say something nobody asked for, and close."""
        self.dead = True
        self.waiting.clear()
        self.events.append(Lost(reply))

    def _break(self, words: bytes = b"") -> None:
        self.unasked(parsed(words.decode().strip()) if words else None)

    @property
    def clean(self) -> bool:
        """Nothing is open or owed here: others may use it as it is."""
        return not (self.waiting or self.in_content or self.in_auth or self.events or self.mail)
