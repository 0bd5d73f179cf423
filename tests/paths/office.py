"""A store, an archive, journals written by hand, and an ingest over them, in a test's folder."""

import atexit
import hashlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from config.settings import Settings
from crmstore import records, timeline, users
from crmstore.archive import FileArchive
from crmstore.queue import Queue
from crmstore.store import Store, open_store
from proxy.audit import AuditReport, reconcile
from proxy.captureid import CaptureIds
from proxy.ingest import Ingest, Step
from proxy.journalfmt import GENESIS, Framer
from proxy.journalrecover import open_header
from proxy.reader import Job, Reader
from tests.conftest import migrate

BODY = b"From: alice@ours.example\r\nTo: Bob <bob@x.example>\r\nSubject: hello\r\n\r\nHello Bob\r\n"
_ids = CaptureIds()


class Door:
    """A door's journal: frames are written as the door writes them, without its sockets."""

    def __init__(self, journal_dir: Path, name: str = "mx-0", *, role: str = "submission") -> None:
        self.folder = journal_dir / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.role = role
        self.journal = _ids.next(time.time_ns() // 1_000_000, secrets.randbits(80))
        self.segment = 0
        self.framer = Framer(bytes(8), 0, GENESIS, 0)
        self.rotate()

    @property
    def path(self) -> Path:
        return self.folder / f"{self.segment:08d}.seg"

    def rotate(self) -> None:
        """Begin the next segment."""
        self.segment += 1
        previous = self.framer
        self.framer = Framer(secrets.token_bytes(8), previous.seq, previous.hash, previous.seq)
        header = open_header(self.name, self.journal, self.segment, previous.hash, self.segment)
        self._write("open", header)

    def close(self) -> None:
        """End in order."""
        self._write("close", {"time": _now()})

    def _write(self, kind: Any, header: dict[str, Any], body: bytes = b"") -> None:
        frame = self.framer.frame(kind, header, [body])
        with self.path.open("ab") as file:
            file.write(frame + body)
        self.framer.durable = self.framer.seq

    def message(
        self,
        body: bytes = BODY,
        *,
        sender: str = "alice@ours.example",
        to: Sequence[str] = ("bob@x.example",),
        auth: str | None = None,
        plan: str = "pass",
        big: bool = False,
        **more: Any,
    ) -> str:
        """A message frame; returns its capture id."""
        capture_id = _ids.next(time.time_ns() // 1_000_000, secrets.randbits(80))
        if big:
            (self.folder / f"big-{capture_id}").write_bytes(body)
        header = {
            "id": capture_id,
            "time": _now(),
            "door": self.name,
            "listener": self.name.rpartition("-")[0],
            "role": self.role,
            "client": {"ip": "192.0.2.1", "port": 1, "helo": "pc", "tls": None, "auth": auth},
            "sender": sender,
            "sender_params": ["BODY=8BITMIME"],
            "recipients": [{"address": r, "params": ["NOTIFY=NEVER"], "plan": plan} for r in to],
            "trace": "Received: from pc\r\n",
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "flags": [],
            "file": f"big-{capture_id}" if big else None,
            **more,
        }
        self._write("message", header, b"" if big else body)
        return capture_id

    def verdict(
        self, capture_id: str, outcome: str = "accepted", to: Sequence[str] = ("bob@x.example",)
    ) -> None:
        """Its verdict."""
        reply = {"accepted": "250 2.0.0 Ok", "refused": "550 5.1.1 no"}.get(outcome, "")
        recipients = [{"address": r, "outcome": outcome, "reply": reply} for r in to]
        header = {"id": capture_id, "time": _now(), "outcome": outcome, "reply": reply}
        self._write("verdict", {**header, "recipients": recipients})

    def mail(self, body: bytes = BODY, outcome: str = "accepted", **how: Any) -> str:
        """A message and its verdict."""
        capture_id = self.message(body, **how)
        self.verdict(capture_id, outcome, how.get("to", ("bob@x.example",)))
        return capture_id


class ImapDoor(Door):
    """An IMAP door's journal."""

    def __init__(self, journal_dir: Path, name: str = "imap-0") -> None:
        super().__init__(journal_dir, name, role="imap")

    def seen(
        self,
        body: bytes = BODY,
        *,
        user: str = "alice@ours.example",
        source: str = "imap_fetch",
        mailbox: str = "INBOX",
        special: str = "inbox",
        uidvalidity: int | None = 7,
        uid: int | None = 1,
        keywords: Sequence[str] = (),
        outcome: str = "accepted",
        learned: dict[str, int] | None = None,
    ) -> str:
        """A message that passed, and what the server said of it."""
        place = {
            "source": source, "user": user, "mailbox": mailbox, "special": special,
            "uidvalidity": uidvalidity, "uid": uid, "internaldate": None,
            "keywords": list(keywords),
        }  # fmt: skip
        capture_id = self.message(body, sender="", to=(), auth=user, imap=place)
        header = {"id": capture_id, "time": _now(), "outcome": outcome, "reply": "OK"}
        self._write("verdict", {**header, "recipients": [], "imap": learned or {}})
        return capture_id


class Office:
    """Settings, store, archive and ingest over journals."""

    def __init__(
        self,
        folder: Path,
        url: str = "sqlite",
        *,
        reader: Reader | None = None,
        migrated: bool = False,
        **tables: Any,
    ) -> None:
        """`url` is the fixture `store_url`'s: the store is on that engine."""
        node = {
            "hostname": "mail.ours.example",
            "domains": ["ours.example"],
            "data_dir": str(folder),
        }
        store = {"url": url, **tables.get("store", {})}
        self.tables = {"node": node, **tables, "store": store}  # as a file would say it
        self.settings = Settings.model_validate(self.tables)
        self.folder = folder
        self.store: Store = open_store(self.settings)
        if not migrated:
            migrate(self.store)
        self.archive = FileArchive(self.settings.blob_dir)
        self.queue = Queue(self.store)
        self._ingest: Ingest | None = None
        self._reader = reader

    def door(self, name: str = "sub-0", role: str = "submission") -> Door:
        return Door(self.settings.journal_dir, name, role=role)

    def imap(self, name: str = "imap-0") -> ImapDoor:
        return ImapDoor(self.settings.journal_dir, name)

    @property
    def ingest(self) -> Ingest:
        if self._ingest is None:
            self._ingest = Ingest(
                self.settings, self.store, self.archive, reader=self._reader or lent_reader()
            )
        return self._ingest

    def again(self) -> Ingest:
        """A new ingest, as after a restart."""
        self.close()
        return self.ingest

    def take(self) -> list[Step]:
        """Ingest until nothing is left."""
        steps: list[Step] = []
        while True:
            step = self.ingest.step()
            if not step.frames and not step.more:
                return steps
            steps.append(step)

    def close(self) -> None:
        if self._ingest is not None:
            self._ingest.close()
            self._ingest = None

    def rows(self, **filters: Any) -> list[dict[str, Any]]:
        return timeline.page(self.store, **filters).rows

    def audit(self, **how: Any) -> AuditReport:
        return reconcile(self.store, self.archive, self.settings.journal_dir, **how)

    def user(self, login: str, *emails: str) -> users.User:
        return users.add(self.store, login, emails=list(emails))

    def contact(self, *emails: str, kind: str = "contact", name: str = "Bob") -> records.Record:
        return records.add(
            self.store, kind, name, emails=list(emails), domains=self.settings.node.domains
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody else writes, for longer than ours will wait."""
        waits, self.store.backend.busy_ms = self.store.backend.busy_ms, 10
        self.store.close()
        other = open_store(self.settings)
        try:
            with other.writing():
                yield
        finally:
            other.close()
            self.store.backend.busy_ms = waits
            self.store.close()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def write(self, sql: str) -> None:
        with self.store.writing() as connection:
            connection.exec_driver_sql(sql)


def prepared(folder: Path, url: str, fill: Callable[[Office], None]) -> Office:
    """An office that `fill` has made something of. With SQLite that is done once, and copied."""
    if url == "sqlite":
        shutil.copytree(_filled(fill).name, folder, dirs_exist_ok=True)
        return Office(folder, migrated=True)
    made = Office(folder, url)
    fill(made)
    return made


@contextmanager
def opened(folder: Path, url: str, fill: Callable[[Office], None]) -> Iterator[Office]:
    """A prepared() one, for as long as it is needed."""
    made = prepared(folder, url, fill)
    try:
        yield made
    finally:
        made.close()
        made.store.close()


@cache
def _filled(fill: Callable[[Office], None]) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="office-")
    made = Office(Path(folder.name))
    fill(made)
    made.close()
    made.store.close()
    atexit.register(folder.cleanup)
    return folder


class _Lent:
    """A Reader that ends after the tests and not with who uses it: one child serves them all, for
    starting it takes longer than most of them do."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._under_way = 0

    def start(self, jobs: Sequence[Job]) -> SimpleNamespace:
        reading = self._reader.start(jobs)
        self._under_way += 1

        def finish() -> list[Any]:
            answers = reading.finish()
            self._under_way -= 1
            return answers

        return SimpleNamespace(finish=finish)

    def drain(self, stop: threading.Event) -> None:
        self._reader.drain(stop)

    def read(self, jobs: Sequence[Job]) -> list[Any]:
        found: list[Any] = self.start(jobs).finish()
        return found

    def close(self) -> None:
        if self._under_way:  # answers nobody took would be taken for the next test's
            self._reader.close()


@cache
def _reader() -> Reader:
    made = Reader()
    atexit.register(made.close)
    return made


def lent_reader() -> Reader:
    """For tests that are not about reading itself: this process's one reader."""
    return cast(Reader, _Lent(_reader()))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
