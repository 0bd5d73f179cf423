"""Every metric, with its help text and its closed set of label values.

Promises: labels come from closed sets (threats.md, "metric cardinality"): what is not in a set is
counted as "other", never named; no address, domain or id. Base units, `_total`, no `_created`.
The doors, the worker and the supervisor are processes: each writes its numbers into a file of
`PROMETHEUS_MULTIPROC_DIR` (set by the supervisor before this module is imported), named after its
role and slot and not after its pid, so that a role that is started again goes on counting where
it stopped and the folder never grows. proxy/httpd.py adds them up.

A write to such a file takes a lock and a memory map: `SmtpCounters` gathers a door's events in
plain dicts and writes once a second.
"""

import asyncio
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, values

if TYPE_CHECKING:
    from crmstore.mailboxes import Coverage

ENV_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
ENV_NAME = "MAILWEIR_PROCESS"

FILE_BYTES = 65536  # three times what all series of this module take
FILES = ("counter", "histogram", "gauge_mostrecent", "gauge_sum")


def _have_room(folder: str, name: str) -> bool:
    """Make the files with real blocks behind every page, or say that the disk has none.

    prometheus_client makes them sparse. A process that first touches such a page on a full disk is
    killed by SIGBUS (mmap(2)): numbers must not end a door.
    """
    try:
        for kind in FILES:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            fd = os.open(os.path.join(folder, f"{kind}_{name}.db"), flags, 0o600)
            try:
                os.posix_fallocate(fd, 0, max(FILE_BYTES, os.fstat(fd).st_size))
            finally:
                os.close(fd)
    except OSError:
        return False
    return True


if ENV_FOLDER in os.environ:
    # Must stand before the first metric: the default names files by pid.
    _name = os.environ.get(ENV_NAME) or f"pid{os.getpid()}"
    if _have_room(os.environ[ENV_FOLDER], _name):
        values.ValueClass = values.MultiProcessValue(lambda: _name)  # type: ignore[no-untyped-call]
    else:
        values.ValueClass = values.MutexValue  # counted in this process only, until its next start
disable_created_metrics()  # type: ignore[no-untyped-call]

DOORS = frozenset({"inbound", "submission", "lmtp", "imap"})
CAPTURE_RESULTS = frozenset({"captured", "excluded", "failed", "refused"})
CONNECTION_RESULTS = frozenset({"accepted", "refused", "tls_failed", "proxy_failed", "lost"})
VERBS = frozenset(
    {"connect", "helo", "ehlo", "lhlo", "mail", "rcpt", "data", "bdat", "eod", "auth", "starttls"}
    | {"rset", "noop", "quit", "vrfy", "help"}
)
BLIND_REASONS = frozenset(
    "overlong grammar partial binary catenate no_mailbox too_many too_big desync journal_full"
    " journal_broken disk_behind".split()
)
DELIVERY_RESULTS = frozenset({"delivered", "deferred", "failed", "expired"})
BOUNCE_CLASSES = frozenset({"hard", "soft"})
BOUNCE_CATEGORIES = frozenset(
    {"invalid_address", "inactive_mailbox", "unsubscribed", "policy_block", "content_block"}
    | {"mailbox_full", "message_too_large", "server_unavailable", "throttled", "deferred"}
    | {"undetermined"}
)
BOUNCE_SOURCES = frozenset({"live", "dsn", "report"})
REPORT_RESULTS = frozenset({"matched", "repeated", "forged", "own"})
RETURN_PATH_RESULTS = frozenset({"valid", "expired", "forged"})
SENT_REPORTS = frozenset({"failed", "delayed", "relayed"})
QUEUE_STATES = ("queued", "sending", "delivered", "failed", "expired")
FLUSH_SECONDS = 1.0

_captures = Counter(
    "mailweir_captures_total",
    "Messages that went through a door, by the door's role and what became of the capture.",
    ["door", "result"],
)
_capture_missing = Counter(
    "mailweir_capture_missing_total",
    "Gaps found in the ledger: mail that was accepted and has no capture. Must stay 0.",
)
_unread = Counter(
    "mailweir_unread_total",
    "Messages that could not be read within the limits of the reader: stored raw and flagged.",
)
_capture_to_link = Histogram(
    "mailweir_capture_to_link_seconds",
    "From the capture at the door to the committed, linked message in the store.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
_ingest_lag = Gauge(
    "mailweir_ingest_lag_seconds",
    "Age of the oldest journal record that is not in the store yet; 0 when there is none.",
    multiprocess_mode="mostrecent",
)
_connections = Counter(
    "mailweir_smtp_connections_total",
    "SMTP connections, by listener and how they began.",
    ["listener", "result"],
)
_replies = Counter(
    "mailweir_smtp_replies_total",
    "Replies sent to clients, by listener, verb and class of the code.",
    ["listener", "verb", "code_class"],
)
_imap_connections = Counter(
    "mailweir_imap_connections_total",
    "IMAP connections, by listener and how they began.",
    ["listener", "result"],
)
_imap_sessions = Gauge(
    "mailweir_imap_sessions",
    "IMAP sessions that are logged in now, by listener.",
    ["listener"],
    multiprocess_mode="sum",
)
_imap_blind = Counter(
    "mailweir_imap_blind_total",
    "Messages and responses that passed without being captured, by reason.",
    ["reason"],
)
_deliveries = Counter(
    "mailweir_delivery_attempts_total",
    "Attempts to deliver queued mail, a recipient each, by result.",
    ["result"],
)
_queue_messages = Gauge(
    "mailweir_queue_messages",
    "Messages in our queue, by state.",
    ["state"],
    multiprocess_mode="mostrecent",
)
_queue_oldest = Gauge(
    "mailweir_queue_oldest_age_seconds",
    "Age of the oldest message of a state in our queue; 0 when there is none.",
    ["state"],
    multiprocess_mode="mostrecent",
)
_bounces = Counter(
    "mailweir_bounces_total",
    "Recipients that mail of ours did not reach, by class, category and who said so: the next hop"
    " (live), a report that came in (dsn), or our own queue that gave up (report).",
    ["class", "category", "source"],
)
_bounce_reports = Counter(
    "mailweir_bounce_reports_total",
    "Delivery reports that came in: matched to a message that we sent, repeated, our own, or forged"
    " (about mail that was never sent, or not to that recipient): those change nothing.",
    ["result"],
)
_return_paths = Counter(
    "mailweir_return_paths_total",
    "Recipients at the domain of our signed return paths, by what they were.",
    ["result"],
)
_sent_reports = Counter(
    "mailweir_sent_reports_total",
    "Delivery reports that we sent to senders of queued mail, by what they tell.",
    ["action"],
)
_suppressed = Counter(
    "mailweir_suppressed_recipients_total",
    "Recipients that a submission listener refused because they are on the suppression list.",
)
_mail_bytes = Gauge(
    "mailweir_mail_bytes",
    "Octets of mail that is captured, as it was sent; each message once.",
    multiprocess_mode="mostrecent",
)
_mail_quota = Gauge(
    "mailweir_mail_quota_bytes",
    "The quota that it is measured by (store.mail_quota); +Inf if there is none.",
    multiprocess_mode="mostrecent",
)
_coverage = Gauge(
    "mailweir_imap_coverage_messages",
    "Messages in the mailboxes that companions look into, by kind of folder: known is in the store"
    " (or excluded by a rule), present is in the mailbox since its user was enrolled.",
    ["folder", "state"],
    multiprocess_mode="mostrecent",
)


class SmtpCounters:
    """What one door process counts: cheap dicts, flushed once a second and at the end.

    At most (verbs + 1) x 4 series a listener, whatever clients and next hops send.
    """

    def __init__(self, listener: str) -> None:
        self._listener = listener  # a name of the configuration, so a closed set too
        self._connections: dict[str, int] = {}
        self._replies: dict[tuple[str, int], int] = {}
        self._children: dict[object, Counter] = {}
        self._timer: asyncio.TimerHandle | None = None

    def connection(self, result: str) -> None:
        """A connection began: accepted, refused, ..."""
        counts = self._connections
        counts[result] = counts.get(result, 0) + 1

    def reply(self, verb: str, code: int) -> None:
        """A reply was sent to `verb`; "connect" is the greeting, "eod" the dot. Any case."""
        key = (verb, code)
        counts = self._replies
        counts[key] = counts.get(key, 0) + 1
        if len(counts) > 200:  # hostile verbs must not gather here either
            self.flush()

    def recipient(self, what: str) -> None:
        """What the gate found of a recipient: "suppressed", or the result of a return path."""
        if what == "suppressed":
            _suppressed.inc()
        else:
            _return_paths.labels(what if what in RETURN_PATH_RESULTS else "other").inc()

    def flush(self) -> None:
        """Hand the gathered numbers to prometheus."""
        connections, self._connections = self._connections, {}
        for result, count in connections.items():
            label = result if result in CONNECTION_RESULTS else "other"
            self._child(_connections, (self._listener, label)).inc(count)
        replies, self._replies = self._replies, {}
        for (verb, code), count in replies.items():
            hundreds, verb = code // 100, verb.lower()
            label = verb if verb in VERBS else "other"
            code_class = f"{hundreds}xx" if 2 <= hundreds <= 5 else "other"
            self._child(_replies, (self._listener, label, code_class)).inc(count)

    def _child(self, family: Counter, labels: tuple[str, ...]) -> Counter:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = family.labels(*labels)
        return child

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush every second from now on."""
        self._timer = loop.call_later(FLUSH_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.flush()
        self.start(loop)

    def stop(self) -> None:
        """The last flush."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()


class ImapCounters:
    """What one IMAP door process counts, flushed as `SmtpCounters` is."""

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._sessions = 0
        self._connections: dict[str, int] = {}
        self._blind: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def connection(self, result: str) -> None:
        """A connection began: accepted, refused, ..."""
        self._connections[result] = self._connections.get(result, 0) + 1

    def logged_in(self, change: int) -> None:
        """A session has got its user (1), or such a one is over (-1)."""
        self._sessions += change

    def blind(self, reason: str) -> None:
        """Something passed and was not captured."""
        label = reason if reason in BLIND_REASONS else "other"
        self._blind[label] = self._blind.get(label, 0) + 1

    def flush(self) -> None:
        """Hand the gathered numbers to prometheus."""
        connections, self._connections = self._connections, {}
        for result, count in connections.items():
            label = result if result in CONNECTION_RESULTS else "other"
            _imap_connections.labels(self._listener, label).inc(count)
        blind, self._blind = self._blind, {}
        for reason, count in blind.items():
            _imap_blind.labels(reason).inc(count)
        _imap_sessions.labels(self._listener).set(self._sessions)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush now and every second."""
        self.flush()
        self._timer = loop.call_later(FLUSH_SECONDS, self.start, loop)

    def stop(self) -> None:
        """The last flush."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()


_capture_children: dict[tuple[str, str], Counter] = {}


def captured(door: str, result: str, count: int = 1) -> None:
    """Messages entered the ledger: `door` is the listener's role, `result` the disposition."""
    key = (
        door if door in DOORS else "other",
        result if result in CAPTURE_RESULTS else "other",
    )
    child = _capture_children.get(key)
    if child is None:
        child = _capture_children[key] = _captures.labels(*key)
    child.inc(count)


def capture_missing(count: int = 1) -> None:
    """The ledger has gaps."""
    _capture_missing.inc(count)


def unread(count: int = 1) -> None:
    """Messages are stored raw, since the reader could not read them."""
    _unread.inc(count)


def capture_to_link(seconds: float) -> None:
    """A message is linked `seconds` after its capture (negative when a clock was set back: 0)."""
    _capture_to_link.observe(max(0.0, seconds))


def ingest_lag(seconds: float) -> None:
    """The oldest record that still waits for ingest is this old; 0 = caught up."""
    _ingest_lag.set(seconds)


def delivery_attempt(result: str, count: int = 1) -> None:
    """A queued recipient was tried: delivered, deferred, failed or expired."""
    _deliveries.labels(result if result in DELIVERY_RESULTS else "other").inc(count)


def queue(figures: Mapping[str, tuple[int, float]]) -> None:
    """The queue as it is now: state -> (messages, age of the oldest in seconds)."""
    for state in QUEUE_STATES:
        count, oldest = figures.get(state, (0, 0.0))
        _queue_messages.labels(state).set(count)
        _queue_oldest.labels(state).set(oldest)


def bounce(klass: str, category: str, source: str) -> None:
    """A recipient was not reached."""
    _bounces.labels(
        klass if klass in BOUNCE_CLASSES else "other",
        category if category in BOUNCE_CATEGORIES else "other",
        source if source in BOUNCE_SOURCES else "other",
    ).inc()


def bounce_report(result: str) -> None:
    """A delivery report came in."""
    _bounce_reports.labels(result if result in REPORT_RESULTS else "other").inc()


def sent_report(action: str) -> None:
    """A sender is told what became of a recipient."""
    _sent_reports.labels(action if action in SENT_REPORTS else "other").inc()


def mail(used: int, quota: int | None) -> None:
    """How much mail there is, and how much there should be at most."""
    _mail_bytes.set(used)
    _mail_quota.set(math.inf if quota is None else quota)


def coverage(figures: Mapping[str, "Coverage"]) -> None:
    """What is known of INBOX and Sent, over all users, and how much there is."""
    for folder in ("inbox", "sent"):
        found = figures.get(folder)
        if found is not None:
            _coverage.labels(folder, "known").set(found.known)
            _coverage.labels(folder, "present").set(found.present)
            _coverage.labels(folder, "skipped").set(found.skipped)
