"""`mailweir status`: roles, journals, lag, queue, last errors; and whether something is wrong.

Looks at what every part leaves on the disk (heartbeats, journals) and at the store; asks no
process, so it also answers when everything is down. "wrong" are things that need a person now.
Bounded: at most `LAG_FRAMES` journal records are counted for each door.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import Settings
from crmstore import mailboxes
from crmstore import usage as mail_usage
from crmstore.batch import Place
from crmstore.intake import Intake
from crmstore.queue import Queue
from crmstore.store import Store, StoreError, open_store
from proxy.ground import runs
from proxy.health import free_bytes, journal_bytes
from proxy.heartbeat import Beat, read_beats
from proxy.journalfmt import Frame
from proxy.journalread import Position, follow
from proxy.main import WORKER
from proxy.texts import Language, t

LAG_FRAMES = 20_000
MIB = 2**20
WAITING = ("queued", "sending")
# Ingest takes a batch every fraction of a second; a minute behind means that it does not.
LAG_WRONG = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """A text of proxy/wording/service.py, by the end of its name, and what is put into it."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoleState:
    """One process that should run."""

    role: str
    up: bool
    pid: int | None = None
    uptime_seconds: float | None = None
    beat_age_seconds: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    last_error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DoorJournal:
    """One door's journal. `pending`: records that are not in the store yet and `pending_bytes`
    what they take in segments, None if unknown; `at_least`: there are more than were counted."""

    door: str
    bytes: int
    pending: int | None
    pending_bytes: int | None
    at_least: bool
    oldest_pending_seconds: float | None


@dataclass(frozen=True, slots=True)
class QueueState:
    state: str
    messages: int
    oldest_age_seconds: float


@dataclass(frozen=True, slots=True)
class CoverageState:
    """INBOX or Sent of all users that a companion has looked into: of the messages that are
    `present` since their users were enrolled, how many are `known` (`skipped` of these: too
    large to be captured)."""

    folder: str
    mailboxes: int
    known: int
    present: int
    skipped: int


@dataclass(frozen=True, slots=True)
class MailState:
    """How much mail there is (crmstore/usage.py), and the quota: None if there is none. `level` is
    ok, warn (80 %), high (95 %) or over; "" without a quota."""

    mail_bytes: int
    quota_bytes: int | None
    level: str


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer. `said` is what is wrong, `noted` what is meant so and must not be
    forgotten; texts of the catalogue."""

    ok: bool
    said: tuple[Said, ...]
    roles: tuple[RoleState, ...]
    journals: tuple[DoorJournal, ...]
    journal_free_bytes: int
    lag_seconds: float | None
    lag_records: int | None
    lag_bytes: int | None
    queue: tuple[QueueState, ...]
    coverage: tuple[CoverageState, ...] = ()
    mail: MailState | None = None
    noted: tuple[Said, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is wrong, in English."""
        return self.wrong_in("en")

    def wrong_in(self, lang: Language) -> tuple[str, ...]:
        return tuple(t(f"state.wrong.{one.name}", lang, **one.values) for one in self.said)

    def notes_in(self, lang: Language) -> tuple[str, ...]:
        return tuple(t(f"state.note.{one.name}", lang, **one.values) for one in self.noted)

    def document(self) -> dict[str, Any]:
        """As JSON has it; what is wrong in English, for programs."""
        whole = asdict(self)
        del whole["said"], whole["noted"]
        return {"ok": self.ok, "wrong": self.wrong, "notes": self.notes_in("en"), **whole}


def status(settings: Settings, now: datetime | None = None) -> Status:
    """Look at everything; never raises for what it finds."""
    now = now or datetime.now(UTC)
    wrong: list[Said] = []
    roles = tuple(_roles(settings, now, wrong))
    places, queue, coverage, mail = _store(settings, wrong)
    journals = tuple(_journals(settings, places, now, wrong))
    free = free_bytes(settings.journal_dir)
    if 0 <= free < settings.journal.min_free:
        wrong.append(Said("room", {"free": free / MIB, "least": settings.journal.min_free / MIB}))
    ages = [door.oldest_pending_seconds for door in journals]
    lag = None if None in ages else max((age for age in ages if age is not None), default=0.0)
    records = [door.pending for door in journals if door.pending is not None]
    octets = [door.pending_bytes for door in journals if door.pending_bytes is not None]
    return Status(
        ok=not wrong,
        said=tuple(wrong),
        roles=roles,
        journals=journals,
        journal_free_bytes=free,
        lag_seconds=lag,
        lag_records=None if lag is None else sum(records),
        lag_bytes=None if lag is None else sum(octets),
        queue=queue,
        coverage=coverage,
        mail=mail,
        noted=tuple(_noted(settings)),
    )


def _noted(settings: Settings) -> Iterator[Said]:
    capture = settings.capture
    if capture.mode == "observe":
        yield Said("observe")
    if capture.users == "listed":
        yield Said("listed", {"patterns": ", ".join(map(str, capture.listed)) or "-"})


def _roles(settings: Settings, now: datetime, wrong: list[Said]) -> list[RoleState]:
    beats = read_beats(settings.run_dir, now.timestamp())
    names = [f"{one.name}-{slot}" for one in settings.listeners for slot in range(one.doors)]
    states = [_role(name, beats.get(name), now) for name in [*names, WORKER]]
    down = [state.role for state in states if not state.up]
    if len(down) == len(states):
        wrong.append(Said("starting" if runs(settings) else "nothing"))
    elif down:
        started = runs(settings)  # it cleared the beats of before
        for name in down:
            coming = started and name not in beats
            wrong.append(Said("coming" if coming else "down", {"role": name}))
    return states


def _role(name: str, beat: Beat | None, now: datetime) -> RoleState:
    if beat is None:
        return RoleState(name, False)
    return RoleState(
        role=name,
        up=beat.alive and Path(f"/proc/{beat.pid}").exists(),
        pid=beat.pid,
        uptime_seconds=round((now - beat.started).total_seconds(), 1),
        beat_age_seconds=round(beat.age, 1),
        figures=beat.figures,
        last_error=beat.last_error,
    )


class _OfStore(NamedTuple):
    places: dict[str, Place] | None = None
    queue: tuple[QueueState, ...] = ()
    coverage: tuple[CoverageState, ...] = ()
    mail: MailState | None = None


def _store(settings: Settings, wrong: list[Said]) -> _OfStore:
    store = open_store(settings)
    try:
        store.check_schema()
        mail = _mail(settings, store, wrong)
        return _OfStore(_places(settings, store), _queue(store), _coverage(store), mail)
    except StoreError as error:
        wrong.append(Said("store", {"reason": str(error)}))
        return _OfStore()
    finally:
        store.close()


def _places(settings: Settings, store: Store) -> dict[str, Place]:
    return Intake(store, settings.node.domains, retry_for=0).places()


def _queue(store: Store) -> tuple[QueueState, ...]:
    figures = Queue(store).figures(time.time())
    return tuple(
        QueueState(state, count, round(oldest, 1)) for state, (count, oldest) in figures.items()
    )


def _coverage(store: Store) -> tuple[CoverageState, ...]:
    found = mailboxes.coverage(store)
    return tuple(CoverageState(folder, *found[folder]) for folder in sorted(found))


def _mail(settings: Settings, store: Store, wrong: list[Said]) -> MailState:
    found = mail_usage.usage(store, settings.store.mail_quota)
    if found.level == "over":
        wrong.append(Said("mail", {"used": found.mail_bytes, "quota": found.quota}))
    return MailState(found.mail_bytes, found.quota, found.level)


def _journals(
    settings: Settings, places: dict[str, Place] | None, now: datetime, wrong: list[Said]
) -> list[DoorJournal]:
    found: list[DoorJournal] = []
    for door, size in sorted(journal_bytes(settings.journal_dir).items()):
        if places is None:
            found.append(DoorJournal(door, size, None, None, False, None))
            continue
        count, octets, oldest = _pending(settings.journal_dir / door, places.get(door), now)
        more = count >= LAG_FRAMES
        found.append(DoorJournal(door, size, count, octets, more, oldest))
        if oldest > LAG_WRONG:
            told = {"door": door, "count": count, "seconds": oldest}
            wrong.append(Said("far_behind" if more else "behind", told))
    return found


def _pending(folder: Path, place: Place | None, now: datetime) -> tuple[int, int, float]:
    """Records behind the store's position, the octets that they take, the age of the first."""
    position = Position(place.segment, place.offset, place.seq, place.hash) if place else None
    count, octets, oldest = 0, 0, 0.0
    try:
        for _, item in follow(folder, position):
            if not isinstance(item, Frame) or item.kind not in ("message", "verdict"):
                continue
            count += 1
            octets += item.end_offset - item.offset
            if count == 1:
                oldest = _age(item.header.get("time"), now)
            if count >= LAG_FRAMES:
                break
    except OSError:
        pass  # a segment was ingested and deleted while we read: then it does not wait
    return count, octets, round(oldest, 1)


def _age(text: object, now: datetime) -> float:
    try:
        return max(0.0, (now - datetime.fromisoformat(str(text))).total_seconds())
    except ValueError:
        return 0.0
