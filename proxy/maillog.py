"""The mail log: one function per event, one line per message event, its id first.

Lines are JSON, or words a person reads when standard error is a terminal; proxy/logform.py tells
how a line looks. No function takes a body, a header or a secret. Nothing here blocks or raises:
proxy/logsink.py writes in a thread of its own.
"""

import os
import sys
from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from types import ModuleType
from typing import Any

from proxy.logform import CUT, arrange, as_json, as_words, fault, stamp
from proxy.logsink import LineSink

ENV_FORM = "MAILWEIR_LOG"  # "json": JSON lines at a terminal too (`run --json`)

# The last line of level error of this process; its heartbeat shows it to `mailweir status`.
last_error: dict[str, Any] | None = None


def _arrange(_: object, level: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    global last_error
    line = arrange(level, event)
    if level == "error":
        last_error = line
    return line


def _formed(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    return _form(line)


class _Output:
    """The logger that structlog wraps: every level is one line to the sink."""

    def __init__(self, sink: LineSink) -> None:
        self.sink = sink
        self.info = self.warning = self.error = sink.put


def _library() -> ModuleType:
    """structlog without rich, which it loads where that is installed, for a console that nobody
    asks for: 3 MiB and 40 ms of every process. A name that is None in sys.modules is not there
    (Python's reference, "The module cache"); who wants rich later gets it."""
    masked = "rich" not in sys.modules
    if masked:
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        if masked:
            del sys.modules["rich"]
    return structlog


def _logger(sink: LineSink) -> Any:
    structlog = _library()
    return structlog.wrap_logger(
        _Output(sink),
        processors=[_arrange, _formed],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    ).bind()


def _at_terminal() -> bool:
    return os.environ.get(ENV_FORM) != "json" and bool(sys.stderr and sys.stderr.isatty())


def _emit(event: dict[str, Any]) -> None:
    """A line of level info, as the logger would write it."""
    _sink.put(_form(arrange("info", event)))


_sink = LineSink()
_log = _logger(_sink)
_form: Callable[[MutableMapping[str, Any]], str] = as_words if _at_terminal() else as_json


def configure(*, readable: bool | None = None, fd: int = 2) -> None:
    """Another form or place than the default; for the daemons' start and for tests.

    What was told so far is written first: whoever owned the old place may close it then.
    """
    global _sink, _log, _form
    _sink.flush()
    readable = _at_terminal() if readable is None else readable
    _sink = LineSink(fd)
    _log, _form = _logger(_sink), as_words if readable else as_json


def flush(timeout: float = 1.0) -> bool:
    """Wait until the lines so far are written, at most `timeout` seconds."""
    return _sink.flush(timeout)


# Doors: connections


def listening(listener: str, address: str, pid: int) -> None:
    """A door process accepts connections."""
    _log.info("listening", listener=listener, address=address, pid=pid)


def connection_refused(listener: str, ip: str, reason: str) -> None:
    """A client was turned away before it said a word (limits, stress, a bad PROXY header)."""
    _log.warning("connection.refused", listener=listener, client=ip, reason=reason)


def protocol_violation(listener: str, ip: str, what: str) -> None:
    """A client did what no mail program does (HTTP, early talk, a bare CR); the session ends."""
    _log.warning("protocol.violation", listener=listener, client=ip, what=what)


def session_fault(listener: str, ip: str, error: BaseException | str) -> None:
    """Our own fault in a session: the client got a 4xx without these words."""
    _log.error("session.fault", listener=listener, client=ip, **fault(error))


def auth(listener: str, ip: str, mech: str, ok: bool, words: str) -> None:
    """An AUTH exchange ended; `words` is the next hop's final reply, never what was exchanged."""
    told = {"listener": listener, "client": ip, "mechanism": mech, "ok": ok, "reply": words}
    if not ok:
        _log.warning("auth", **told)
    elif _form is as_json and len(words) <= CUT:
        _sink.put(f'{{"time": "{stamp()}", {_auth(listener, ip, mech, words)}')
    else:
        _emit({"event": "auth", **told})


@lru_cache(maxsize=256)  # a client that comes back hears the same words
def _auth(listener: str, ip: str, mech: str, words: str) -> str:
    """A login's line behind its time."""
    quoted = encode_basestring_ascii
    return (
        f'"event": "auth", "listener": {quoted(listener)},'
        f' "client": {quoted(ip)}, "mechanism": {quoted(mech)}, "ok": true,'
        f' "reply": {quoted(words)}}}'.replace("\x7f", "\\u007f")
    )


# Doors: messages


def accepted(
    id: str,
    listener: str,
    ip: str,
    sender: str,
    rcpts: int,
    size: int,
    outcome: str,
    reply: str,
    ms: float,
) -> None:
    """The client saw 250: `outcome` says who is responsible now (accepted, queued)."""
    # The line of every message goes straight to the processors: structlog's own way to them costs
    # as much again as the line.
    _emit(
        {
            "event": outcome,
            "id": id,
            "listener": listener,
            "client": ip,
            "sender": sender,
            "recipients": rcpts,
            "bytes": size,
            "reply": reply,
            "ms": round(ms, 1),
        }
    )


def refused(
    id: str | None,
    listener: str,
    ip: str,
    sender: str,
    stage: str,
    reply: str,
    recipient: str = "",
) -> None:
    """A message, or one `recipient` of it, was refused at `stage` (rcpt, data, eod, journal)."""
    _log.info(
        "refused",
        id=id,
        listener=listener,
        client=ip,
        sender=sender,
        recipient=recipient,
        stage=stage,
        reply=reply,
    )


def hop_unavailable(listener: str, target: str, stage: str, words: str) -> None:
    """The next hop could not be used (connect, tls, greeting, ehlo, mail)."""
    _log.warning("hop.unavailable", listener=listener, target=target, stage=stage, reply=words)


def journal_trouble(door: str, what: str, error: BaseException | str | None = None) -> None:
    """The journal could not take a message (full, broken): the client got a 4xx."""
    _log.error("journal.trouble", door=door, what=what, **fault(error))


def journal_recovered(door: str, cut: int, unknown: int, orphans: int) -> None:
    """A start after a crash: bytes cut from a torn tail, messages without verdict, stray files."""
    _log.warning("journal.recovered", door=door, cut=cut, unknown=unknown, orphans=orphans)


# Doors: the companion


def companion_trouble(login: str, stage: str, words: str) -> None:
    """A companion could not go on; `words` are the mail server's. It comes again by itself, except
    after a login that was refused."""
    _log.warning("companion.trouble", login=login, stage=stage, reply=words)


def companion_skipped(login: str, size: int, most: int) -> None:
    """A message is too large for the companion."""
    _log.info("companion.skipped", login=login, bytes=size, most=most)


def companion_fault(login: str, error: BaseException) -> None:
    """Our own fault in a companion; the sessions go on, this user has none for now."""
    _log.error("companion.fault", login=login, **fault(error))


# Worker: ingest


def ingested(door: str, messages: int, links: int, ms: float) -> None:
    """A batch is in archive and store."""
    _log.info("ingested", door=door, messages=messages, links=links, ms=round(ms, 1))


def enrolled(login: str) -> None:
    """The first login of an address of ours made a user."""
    _log.info("enrolled", login=login)


def unread(id: str, why: str) -> None:
    """A message could not be read within its limits: stored raw, flagged."""
    _log.warning("unread", id=id, why=why)


def capture_missing(door: str, what: str) -> None:
    """The ledger has a gap: a message was accepted and there is no capture of it."""
    _log.error("capture.missing", door=door, what=what)


def store_trouble(what: str, error: BaseException | str | None, retry_in: float) -> None:
    """Store or archive could not be written: mail goes on, ingest tries again."""
    _log.error("store.trouble", what=what, retry_in=round(retry_in, 1), **fault(error))


def mail_quota(level: str, used: int, quota: int | None) -> None:
    """The mail that there is has come to 80 or 95 % of the quota, is beyond it, or below again."""
    tell = (
        _log.error if level == "over" else _log.warning if level in ("warn", "high") else _log.info
    )
    tell("mail.quota", level=level or "none", bytes=used, quota=quota)


def worker_fault(what: str, error: BaseException | str) -> None:
    """Our own fault in the worker; the step is tried again."""
    _log.error("worker.fault", what=what, **fault(error))


# Return paths


def keys_unreadable(path: str, error: OSError | ValueError) -> None:
    """Nothing is signed with new keys, and reports that come back may be refused."""
    words = str(error) if isinstance(error, ValueError) else f"{path}: {error.strerror}"
    _log.error("return_path.keys", path=path, error=words)


# Worker: what became of mail


def bounced(
    id: str, address: str, klass: str, category: str, source: str, evidence: str, reply: str
) -> None:
    """A recipient of this sent mail was not reached, and who said so."""
    _log.info(
        "bounced", id=id, recipient=address, bounce=klass, category=category, source=source,
        evidence=evidence, reply=reply,
    )  # fmt: skip


def report_forged(id: str) -> None:
    """A delivery report about mail that we never sent, or not to that recipient."""
    _log.warning("report.forged", id=id)


def suppressed(address: str) -> None:
    """Mail to this address is refused from now on."""
    _log.info("suppressed", recipient=address)


# Worker: queue


def sender_told(id: str, sender: str, recipient: str, action: str) -> None:
    """A report about this recipient is on its way to the sender."""
    _log.info("reported", id=id, sender=sender, recipient=recipient, action=action)


def delivered(id: str, recipient: str, target: str, reply: str, attempts: int) -> None:
    """A queued recipient was taken by the next hop."""
    _log.info(
        "delivered", id=id, recipient=recipient, target=target, reply=reply, attempts=attempts
    )


def deferred(id: str, recipient: str, target: str, reply: str, retry_in: float) -> None:
    """A queued recipient waits for another attempt."""
    _log.info(
        "deferred",
        id=id,
        recipient=recipient,
        target=target,
        reply=reply,
        retry_in=round(retry_in, 1),
    )


def undeliverable(id: str, recipient: str, outcome: str, reply: str) -> None:
    """A queued recipient has ended without delivery (`outcome`: failed or expired); it is kept."""
    _log.error(outcome, id=id, recipient=recipient, reply=reply)


# Supervisor


def started(version: str, hostname: str, roles: Iterable[str]) -> None:
    """The appliance starts its roles."""
    _log.info("started", version=version, hostname=hostname, roles=" ".join(roles))


def ready(processes: int) -> None:
    """Every role is up: mail can come."""
    _log.info("ready", processes=processes)


def child_started(role: str, pid: int) -> None:
    """A role's process runs."""
    _log.info("role.started", role=role, pid=pid)


def child_exited(role: str, pid: int, status: str, retry_in: float | None) -> None:
    """A role's process ended; with `retry_in` it is started again, else we are stopping."""
    say = _log.info if retry_in is None else _log.error
    say("role.exited", role=role, pid=pid, status=status, retry_in=retry_in)


def http_fault(path: str, error: BaseException) -> None:
    """A probe or scrape could not be answered."""
    _log.error("http.fault", path=path, **fault(error))


def role_hung(role: str, seconds: float) -> None:
    """A role's process lives but has not beaten for so long: it is killed and started again."""
    _log.error("role.hung", role=role, seconds=seconds)


def role_failed(role: str, error: Exception) -> None:
    """A role's process ends by a fault of its own (a lock that is held, a port, a broken disk).

    Its text is told: nothing that a client sent reaches this place.
    """
    _log.error("role.failed", role=role, **{**fault(error), "error": f"{error!r}"})


def stopping(reason: str) -> None:
    """The appliance stops: doors finish the transactions they have."""
    _log.info("stopping", reason=reason)


def stopped(seconds: float) -> None:
    """Everything has ended."""
    _log.info("stopped", seconds=round(seconds, 2))
