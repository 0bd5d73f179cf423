"""An SMTP or LMTP server for tests that keeps every byte and misbehaves exactly as told.

    with FaultSink(rcpt={"nobody@": "550 5.1.1 no such user"}, dot=["451 4.3.0 later", OK]) as sink:
        ...talk to 127.0.0.1:sink.port...
        assert sink.messages[0].body == b"Subject: x\\r\\n\\r\\nhello\\r\\n"

A *stage* is where the client waits for us: connect, ehlo (also lhlo and helo), starttls, auth,
mail, rcpt, data, content (while the message is coming), bdat, dot (after the message, by DATA or
BDAT LAST; under LMTP once for each recipient), rset, noop, vrfy, xclient, quit. Its *answer* is
one of
    "550 5.1.1 no such user"      these words ("451 one\\ntwo" has two lines); 421 also closes
    CLOSE, RESET, HANG            a FIN, a RST, silence
    Say(text, after=2, gap=.1, then=CLOSE)   after 2 s, an octet each 0.1 s, and then
    At(1000, RESET)               content only: when so many octets of the message have come
    OK                            what a healthy server says
    [a, b, c]                     for the first, second, third time (the last one stays)
    {"bob@": a}                   by a part of the command line (under LMTP's dot: of the RCPT)
    lambda line: a                whatever the test thinks of
`drop_at="dot"`, `reset_at="content:1000"`, `hang_at="mail"` are short for CLOSE, RESET, HANG there.

The sink runs in a thread with an event loop of its own; the ledger only grows and may be read at
any time. Content is stored whole unless keep=False. It is strict about the order of commands
(503, 554), so that a client's mistake shows in `sink.complaints`.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.certs import Certificate, certificate_for
from tests.ports import free_port
from tests.sink.dialogue import Dialogue, End, hang_up, tls_version
from tests.sink.ledger import Connection, Message
from tests.sink.script import (
    CLOSE,
    HANG,
    OK,
    RESET,
    STAGES,
    Action,
    Answer,
    At,
    Exchange,
    Say,
    any_credentials,
    compile_answer,
)

__all__ = ["CLOSE", "HANG", "OK", "RESET", "At", "Connection", "FaultSink", "Message", "Say"]

KEYWORDS = (
    "PIPELINING",
    "SIZE 52428800",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
)


class FaultSink:
    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,  # one that nobody else gets
        unix: Path | None = None,
        lmtp: bool = False,
        tls: str = "none",  # none | starttls | implicit
        certificate: Certificate | None = None,
        keywords: Sequence[str] = KEYWORDS,
        without: Sequence[str] = (),
        auth: Sequence[str] | Mapping[str, Exchange] = (),
        auth_needed: bool = False,
        proxy: bool = False,  # wait for a PROXY line before all else
        inject_after_starttls: bytes = b"",
        read_rate: float | None = None,  # octets a second of content
        keep: bool = True,
        drop_at: str | None = None,
        reset_at: str | None = None,
        hang_at: str | None = None,
        **stages: Answer,
    ) -> None:
        self.host, self.unix, self.lmtp = host, unix, lmtp
        # Not the kernel's: what it gave us it gives to others while this server is away.
        self.port = (0 if unix else free_port()) if port is None else port
        self.certificate = certificate or certificate_for()
        self.connections: list[Connection] = []
        self.arrived: list[Message] = []
        self.complaints: list[str] = []
        self.keep, self.read_rate, self.auth_needed = keep, read_rate, auth_needed
        self.proxy = proxy
        self.tls, self.inject_after_starttls = tls, inject_after_starttls
        self.keywords = [word for word in keywords if word.split()[0] not in without]
        self.auth: dict[str, Exchange] = (
            dict(auth)
            if isinstance(auth, Mapping)
            else {name: any_credentials(name) for name in auth}
        )
        self._script: dict[str, Callable[[bytes], Action]] = {}
        self._changed = threading.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.answer(**stages)
        for where, fault in ((drop_at, CLOSE), (reset_at, RESET), (hang_at, HANG)):
            if where is not None:
                stage, _, octets = where.partition(":")
                self.answer(**{stage: At(int(octets), fault) if octets else fault})

    # What a test does

    def answer(self, **stages: Answer) -> None:
        """Change the script, also while running; what is not named stays as it is."""
        unknown = stages.keys() - STAGES
        if unknown:
            raise ValueError(f"no such stage: {', '.join(sorted(unknown))}")
        for stage, answer in stages.items():
            self._script[stage] = compile_answer(answer)

    @property
    def messages(self) -> list[Message]:
        return list(self.arrived)  # in the order of their ends, whatever the connections

    @property
    def lines(self) -> list[bytes]:
        return [line for connection in self.connections for line in connection.lines]

    def wait_for(self, condition: Callable[[Self], object], timeout: float = 30.0) -> None:
        """Until the condition holds; AssertionError with the ledger's state when it never does."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise AssertionError(f"not within {timeout} s; the sink saw {self.connections!r}")

    def wait_for_messages(self, count: int = 1, timeout: float = 30.0) -> list[Message]:
        self.wait_for(lambda sink: len(sink.messages) >= count, timeout)
        return self.messages

    def start(self) -> Self:
        """Listen. After a stop the port is the same one and the ledger goes on."""
        started: list[BaseException | None] = []
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready, started)), name="faultsink", daemon=True
        )
        self._thread.start()
        ready.wait()
        if started and started[0] is not None:
            raise started[0]
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # The server

    async def _serve(self, ready: threading.Event, started: list[BaseException | None]) -> None:
        self._stopping = asyncio.Event()
        context = self.certificate.server_context() if self.tls == "implicit" else None
        try:
            if self.unix is not None:
                self.unix.unlink(missing_ok=True)
                server = await asyncio.start_unix_server(self._accept, str(self.unix))
            else:
                server = await asyncio.start_server(
                    self._accept, self.host, self.port, backlog=1024, ssl=context
                )
        except OSError as error:
            started.append(error)
            ready.set()
            return
        self._loop = asyncio.get_running_loop()
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # turns of the loop in which transports really end
            await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection = Connection(len(self.connections), writer.get_extra_info("peername"))
        connection.tls = tls_version(writer)
        self.connections.append(connection)
        dialogue = Dialogue(self, connection, reader, writer)
        try:
            await dialogue.run()
        except End as end:
            connection.end = end.args[0]
        except asyncio.CancelledError:
            connection.end = "stopped"
        except ConnectionResetError:
            connection.end = "reset"
        except Exception as error:  # a client's nonsense must not pass as silence
            connection.end = f"error: {error!r}"
            self.complaints.append(connection.end)
        finally:
            self.note()
            await hang_up(reader, writer, politely=connection.end in ("quit", "close"))

    def note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def pick(self, stage: str, line: bytes) -> Action:
        return self._script[stage](line) if stage in self._script else OK
