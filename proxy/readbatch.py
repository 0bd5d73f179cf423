"""A batch on its way from the journals to the store: its frames, and what was read of their bodies.

The child that reads is never without work: bodies are handed to it AHEAD pieces at a time, and
those of a batch while the batch before is being written. Our part (digest, packing, whose mail it
is) is done while it reads.
Promises: a message that cannot be read is flagged, one that has no body or another one than was
acknowledged has failed; neither hinders the others. In memory are the packed bodies of the batch.
Limits: a batch ends behind the piece with which its participants become more than BATCH_PEOPLE.
Cites: architecture.md "Ingest"; threats.md "MIME bomb".
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bounce.process import Figures, is_report
from crmstore.archive import Archive
from crmstore.batch import Decided, Pending, Place, Taken
from crmstore.facts import Facts
from crmstore.searchindex import Turned, turn
from crmstore.whose import People, Rules, judge
from proxy.afterwards import is_queued, job
from proxy.journalfmt import Damage
from proxy.reader import Reader, ReaderFailed, Reading, Unread
from proxy.tail import Item, Tail

__all__ = ["ReadBatch", "Step", "Work", "meet"]

READ_AT_ONCE = 64
AHEAD = 2  # pieces that the child has been given, at most, while its answers are taken
BATCH_PEOPLE = 20_000


@dataclass(slots=True)
class Step:
    """What one step of ingest did; for log and metrics."""

    taken: Taken = field(default_factory=Taken)
    messages: int = 0  # decided
    frames: int = 0
    at_us: list[int] = field(default_factory=list)  # when the captured ones were accepted
    unread: list[tuple[str, str]] = field(default_factory=list)  # capture id, why
    failed: list[tuple[str, str]] = field(default_factory=list)
    damage: list[tuple[str, int, Damage]] = field(default_factory=list)
    doors: set[str] = field(default_factory=set)
    bounces: Figures = field(default_factory=Figures)
    enrolled: list[str] = field(default_factory=list)  # users that first logins made
    # doors whose headers could not be kept in the archive
    trouble: list[tuple[str, Exception]] = field(default_factory=list)
    ahead: Exception | None = None  # why the batch behind, begun meanwhile, could not be read
    upto_us: int = 0  # when the last frame of the batch was written
    more: bool = False  # the batch was full: there may be more
    removed: int = 0


@dataclass(slots=True)
class Work:
    """A decided message on its way through the step."""

    item: Decided
    tail: Tail
    keep: bool  # its body is to be stored
    packed: bytes | None = None  # None: in a big file

    def fail(self, why: str) -> None:
        """It cannot be captured: there is no body that is the one we acknowledged."""
        self.keep = False
        self.item.body_lost = True
        self.item.failed, self.item.judgement = why, None


def meet(
    items: Sequence[tuple[Tail, Item]],
    waiting: Mapping[str, Pending],
    before: "Sequence[ReadBatch]" = (),
) -> list[Work]:
    """Verdicts and their messages, in the order of the verdicts. `waiting`: messages of batches
    that are in the store; `before`: the batches in front that are not there yet."""
    fresh: dict[str, Pending] = {}
    met: set[str] = set()
    for batch in before:
        fresh.update(batch.waiting)
        met |= batch.decided
    works: list[Work] = []
    for tail, item in items:
        if item.message is not None:
            fresh[item.capture_id] = item.message
        elif item.kind == "verdict":
            message = fresh.get(item.capture_id) or waiting.get(item.capture_id)
            if message is None or item.capture_id in met or message.door != tail.door:
                continue  # the ledger keeps it; audit tells
            met.add(item.capture_id)
            verdict = item.frame.header
            decided = Decided(message, verdict, item.frame.seq)
            works.append(Work(decided, tail, verdict.get("outcome") != "refused"))
    return works


class ReadBatch:
    """Frames and their works; `step` tells what became of them."""

    def __init__(
        self,
        items: Sequence[tuple[Tail, Item]],
        works: Sequence[Work],
        step: Step,
        people: People,
        *,
        rules: Rules,
        reader: Reader,
        archive: Archive,
    ) -> None:
        self.items = items
        self.works = works
        self.step = step
        self.people = people
        self.whole = True  # False: it ended before the last item
        self.stored = False  # its blobs are in the archive, durably
        self.turned: Turned | None = None  # what turn() has made
        self._rules = rules
        self._reader = reader
        self._archive = archive
        self._given = self._read = self._seen = 0
        self._under_way: deque[tuple[list[Work], list[Work], Reading]] = deque()

    @property
    def decided(self) -> set[str]:
        """The capture ids of its works."""
        return {work.item.message.capture_id for work in self.works}

    @property
    def waiting(self) -> dict[str, Pending]:
        """Its messages that have no verdict in it."""
        decided = self.decided
        return {
            item.capture_id: item.message
            for _, item in self.items
            if item.message is not None and item.capture_id not in decided
        }

    @property
    def ends(self) -> dict[str, Place]:
        """Behind the last frame of each door."""
        return {door: item.place for door, item in {t.door: i for t, i in self.items}.items()}

    def begin(self, ahead: int = AHEAD) -> None:
        """Give the child as much as it may have, in pieces."""
        while len(self._under_way) < ahead and self._given < len(self.works):
            some = list(self.works[self._given : self._given + READ_AT_ONCE])
            self._given += len(some)
            kept = [work for work in some if work.keep]
            jobs = [job(*w.tail.where(w.item.message), w.item.message.header) for w in kept]
            self._under_way.append((some, kept, self._reader.start(jobs)))

    def finish(self) -> None:
        """Read and judge all of it, or as much as goes into one transaction. Once it is done,
        calling again does nothing."""
        while self.read_on():
            pass

    def read_on(self) -> bool:
        """Read and judge a piece more; False if there is none."""
        self.begin()
        if not self._under_way:
            return False
        some, kept, reading = self._under_way[0]
        for work in kept:  # our part, while the child does its own
            self._load(work)
        found = reading.finish()
        self._under_way.popleft()
        self._read += len(some)
        self.begin()
        for work, facts in zip(kept, found, strict=True):
            if work.keep:
                self._judge(work, facts)
                judgement = work.item.judgement
                self._seen += len(judgement.participants) if judgement else 0
        if self._seen > BATCH_PEOPLE and self._read < len(self.works):
            self._cut()
        return True

    def turn(self) -> None:
        """Do a part of the commit's work beforehand: the search index of what seems to be new."""
        taken = [w.item for w in self.works if w.item.judgement and not w.item.judgement.excluded]
        taken.sort(key=lambda item: item.message.at_us)
        self.turned = turn([i.facts.tokens for i in taken if i.facts and i.facts.document])

    def drop(self) -> None:
        """It will not be written: take what the child still answers out of the way."""
        with suppress(ReaderFailed):
            while self._under_way:
                self._under_way.popleft()[2].finish()
        self._under_way.clear()
        self._given = len(self.works)

    def _cut(self) -> None:
        """Too many participants: it ends behind the last work that was read."""
        self.drop()
        self.works = self.works[: self._read]
        self._given = self._read
        last = self.works[-1].item
        cut = next(
            i
            for i, (tail, item) in enumerate(self.items)
            if tail.door == last.message.door and item.frame.seq == last.verdict_seq
        )
        self.items = self.items[: cut + 1]
        self.whole = False
        self.step.more = True

    def _load(self, work: Work) -> None:
        """Check a body against its digest and pack it for the archive."""
        header = work.item.message.header
        if header.get("file"):
            return  # put_file() checks it
        try:
            data = work.tail.body(work.item.message)
        except FileNotFoundError:
            work.fail("body is missing")
            return
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            work.fail("body is damaged")
            return
        work.packed = self._archive.pack(data)

    def _judge(self, work: Work, found: Facts | Unread) -> None:
        item, message = work.item, work.item.message
        if isinstance(found, Unread):
            self.step.unread.append((message.capture_id, found.why))
            item.facts = Facts(flags=["unread"])
            facts = None
        else:
            item.facts = facts = found
        flags = message.header.get("flags")
        if isinstance(flags, list):
            item.facts.flags += [str(flag)[:32] for flag in flags[:20]]
        try:
            item.judgement = judge(message.header, item.verdict, facts, self.people, self._rules)
            if is_report(item.facts.report):  # it hangs on the mail that it is about
                item.judgement = item.judgement._replace(outsiders=())
            if item.judgement.excluded and not is_queued(item.verdict):
                work.keep = False
        except Exception as error:  # a fault of ours in one message must not stop the others
            item.failed, item.judgement = f"fault: {type(error).__name__}", None
