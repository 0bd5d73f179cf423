"""Threads: which message continues which conversation, and who may join one.

A message joins the threads of the messages that it names in In-Reply-To and References, if its
sender (From or envelope) took part in the named message, or is one of ours. A stranger who copied
References begins a thread of his own and is flagged: everybody may write these headers. Where two
messages have the Message-ID that is named, the one with more people in common is meant.
Because each step from a message to the one that it names is judged by these two alone, the order
in which they come changes nothing: a parent that comes late gathers what was waiting for it.

Some clients drop the references (Outlook, when the subject is edited), and some servers give mail
another Message-ID on its way, so that the answer names one that nobody here has seen. Such an
answer joins if it is between the same two people within `REPAIR_DAYS` and quotes the other's words
(where it names nothing), or has the same subject behind "Re:" within `SUBJECT_DAYS`.

A thread is named by the lowest id of the messages that began it.
Promises: cost does not grow with the store: everything is looked up by exact hashes, a few queries
a batch, each with a limit. Limits: of two threads that turn out to be one, the smaller is renamed
if it has at most `MAX_MERGE` messages; larger ones stay apart. A repaired answer must come after
what it answers. Addresses can be forged; this is no stronger than the From of a mail.
A keeper of `thread_keys` and of messages.thread; every function works inside the caller's
transaction. Cites: RFC 5322 section 3.6.4; beyond.md 4, 5.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, func, or_, select, update

from crmstore import schema
from crmstore.answers import base_subject, squash
from crmstore.bulk import among, insert_rows, numbers
from crmstore.linker import several

__all__ = ["FOREIGN", "New", "Placed", "place"]

FOREIGN = "foreign_references"  # the flag of a stranger
MAX_MERGE = 2_000
MAX_FOUND = 20_000
MAX_CANDIDATES = 2_000
REPAIR_DAYS = 21
SUBJECT_DAYS = 7
MIN_QUOTE = 20  # characters of the other's first words
MAX_QUOTE = 60
_DAY_US = 86_400 * 1_000_000
_WEEK_US = 7 * _DAY_US

messages = schema.messages.c
participants = schema.participants.c
keys = schema.thread_keys.c


@dataclass(slots=True)
class New:
    """A message that is about to be inserted, as far as threads go."""

    id: int
    when_us: int
    own: int  # id_hash of its Message-ID, 0 if it has none
    refs: Sequence[int]
    senders: frozenset[str]
    people: frozenset[str]  # everybody, senders too
    pair: tuple[str, str] | None  # if its header names just two people
    subject: str  # base subject
    answer: bool  # the subject says so
    quoted: str
    preview: str


@dataclass(slots=True)
class Placed:
    """Where a message belongs, and why. `thread` is its own id if it begins one."""

    thread: int
    why: str = ""
    foreign: bool = False


@dataclass(slots=True)
class _Other:
    """A message that may be meant, or that waited for one."""

    id: int
    thread: int
    people: set[str] = field(default_factory=set)
    senders: set[str] = field(default_factory=set)


def place(
    connection: Connection, new: Sequence[New], internal: Callable[[str], bool]
) -> dict[int, Placed]:
    """Where each new message belongs. Threads that they connect are made one, messages that
    waited for them join; what later messages need to find them is written."""
    return _Batch(connection, new, internal).run()


def _own(hashed: int) -> int:
    """The key under which the message with this Message-ID is found."""
    return hashed & ~1


def _want(hashed: int) -> int:
    """The key under which those wait that name it."""
    return hashed | 1


def _pair_key(pair: tuple[str, str], week: int) -> int:
    """The key of what two people wrote in one week; weeks lie together in the index."""
    digest = hashlib.sha256("\0".join(pair).encode("utf-8", "replace")).digest()
    return week << 50 | int.from_bytes(digest[:8]) >> 14


class _Batch:
    """One batch inside its transaction."""

    def __init__(
        self, connection: Connection, new: Sequence[New], internal: Callable[[str], bool]
    ) -> None:
        self.connection = connection
        self.new = sorted(new, key=lambda one: (one.when_us, one.id))
        self.internal = internal
        self.placed = {one.id: Placed(one.id) for one in new}
        self.up: dict[int, int] = {}  # thread -> the one it is part of, as far as this batch goes
        self.waiting: list[tuple[int, int]] = []  # keys to be written
        self.late: dict[int, tuple[str, bool]] = {}  # older message -> why, foreign

    def run(self) -> dict[int, Placed]:
        self._by_reference()
        self._repair()
        self._merge()
        for one in self.new:
            placed = self.placed[one.id]
            placed.thread = self._top(one.id)
            if one.own:
                self.waiting.append((_own(one.own), one.id))
            if one.pair is not None:
                self.waiting.append((_pair_key(one.pair, one.when_us // _WEEK_US), one.id))
        rows = sorted(set(self.waiting))
        # Keys of messages that are new: none is there already
        insert_rows(self.connection, schema.thread_keys, ("hash", "message_id"), rows)
        self._tell_late()
        return self.placed

    # Union of threads

    def _top(self, thread: int) -> int:
        while (above := self.up.get(thread, thread)) != thread:
            thread = above
        return thread

    def _join(self, one: int, other: int) -> None:
        low, high = sorted((self._top(one), self._top(other)))
        if low != high:
            self.up[high] = low

    # References

    def _by_reference(self) -> None:
        here: dict[int, list[_Other]] = defaultdict(list)
        for one in self.new:
            if one.own:
                other = _Other(one.id, one.id, set(one.people), set(one.senders))
                here[_own(one.own)].append(other)
        wanted = {_own(ref) for one in self.new for ref in one.refs}
        awaited = {_want(one.own) for one in self.new if one.own}
        stored = self._stored(wanted | awaited)
        for one in self.new:
            for ref in one.refs:
                known = [*stored.get(_own(ref), ()), *here.get(_own(ref), ())]
                known = [other for other in known if other.id != one.id]
                if not known:
                    self.waiting.append((_want(ref), one.id))
                    continue
                self._refer(one, known)
            for child in stored.get(_want(one.own), ()) if one.own else ():
                self._gather(one, child)

    def _stored(self, hashes: Iterable[int]) -> dict[int, list[_Other]]:
        """Key -> messages in the store that have it or wait for it, with their people."""
        found: dict[int, list[_Other]] = {}
        everybody: dict[int, _Other] = {}
        having: list[tuple[int, int]] = []
        for chunk in several(sorted(hashes)):
            having += self.connection.execute(
                select(keys.hash, keys.message_id)
                .where(among(self.connection, keys.hash, chunk))
                .limit(MAX_FOUND)
            ).all()
        # Apart, not as a join: see linker.find.
        for chunk in several(sorted({id_ for _, id_ in having})):
            rows = self.connection.execute(
                select(messages.id, messages.thread).where(
                    among(self.connection, messages.id, chunk)
                )
            )
            everybody.update((id_, _Other(id_, thread)) for id_, thread in rows)
        for hashed, id_ in having:
            if id_ in everybody:
                found.setdefault(hashed, []).append(everybody[id_])
        for chunk in several(everybody):
            people = select(
                participants.message_id,
                participants.address,
                participants.role,
                participants.evidence,
            ).where(among(self.connection, participants.message_id, chunk))
            for id_, address, role, evidence in self.connection.execute(people):
                everybody[id_].people.add(address)
                if role == "from" or evidence == "envelope sender":
                    everybody[id_].senders.add(address)
        for some in found.values():
            some.sort(key=lambda other: other.id)
        return found

    def _trusted(self, senders: Iterable[str], parent: Iterable[str]) -> str:
        """The sender by whom an answer may join; "" if by none."""
        there = set(parent)
        for sender in sorted(senders):
            if sender in there or self.internal(sender):
                return sender
        return ""

    def _refer(self, one: New, known: Sequence[_Other]) -> None:
        """One message that is named: the most likely of those with its Message-ID."""
        placed = self.placed[one.id]
        meant = max(known, key=lambda other: (len(one.people & other.people), -other.id))
        sender = self._trusted(one.senders, meant.people)
        if sender:
            self._join(one.id, meant.thread)
            if not placed.why or placed.foreign:
                placed.why = f"names message {meant.id}; {_whose(sender, meant.people)}"
                placed.foreign = False
        elif not placed.why:
            placed.why = f"names message {meant.id}, but its sender has no part in that one"
            placed.foreign = True

    def _gather(self, one: New, child: _Other) -> None:
        """A message that came before the one that it names."""
        sender = self._trusted(child.senders, one.people)
        if sender:
            self._join(child.thread, one.id)
            why = f"names message {one.id}, which came later; {_whose(sender, one.people)}"
            self.late[child.id] = (why, False)
        elif child.id not in self.late:
            why = f"names message {one.id}, but its sender has no part in that one"
            self.late[child.id] = (why, True)

    # Answers without references, or with none that leads anywhere

    def _repair(self) -> None:
        lost = [
            one
            for one in self.new
            if one.pair and (one.answer or one.quoted) and not self.placed[one.id].why
        ]
        if not lost:
            return
        stored = self._written_before(lost)
        for one in lost:
            assert one.pair is not None
            here = [
                _Before(each.id, each.id, each.when_us, each.subject, each.preview)
                for each in self.new
                if each.pair == one.pair and each.id != one.id
            ]
            before = [each for each in [*stored.get(one.pair, ()), *here] if _is_before(each, one)]
            before.sort(key=lambda each: (each.when_us, each.id), reverse=True)
            why, meant = _answered(one, before)
            if meant is not None:
                self._join(one.id, meant.thread)
                self.placed[one.id].why = why

    def _written_before(self, lost: Sequence[New]) -> Mapping[tuple[str, str], list["_Before"]]:
        """What the same two people wrote in the weeks before: one query."""
        by_key: dict[int, tuple[str, str]] = {}
        for one in lost:
            assert one.pair is not None
            for week in range((one.when_us - REPAIR_DAYS * _DAY_US) // _WEEK_US,
                              one.when_us // _WEEK_US + 1):  # fmt: skip
                by_key[_pair_key(one.pair, week)] = one.pair
        found: dict[tuple[str, str], list[_Before]] = defaultdict(list)
        for chunk in several(sorted(by_key)):
            rows = self.connection.execute(
                select(
                    keys.hash, messages.id, messages.thread, messages.when_us, messages.subject,
                    messages.preview,
                )
                .join(schema.messages, messages.id == keys.message_id)
                .where(among(self.connection, keys.hash, chunk))
                .order_by(keys.hash.desc(), keys.message_id.desc())
                .limit(MAX_CANDIDATES)
            )  # fmt: skip
            for hashed, id_, thread, when_us, subject, preview in rows:
                base, _ = base_subject(subject)
                found[by_key[hashed]].append(_Before(id_, thread, when_us, base, preview))
        return found

    # Threads that turned out to be one

    def _merge(self) -> None:
        new = {one.id for one in self.new}
        groups: dict[int, list[int]] = defaultdict(list)
        for thread in list(self.up):
            groups[self._top(thread)].append(thread)
        merging = [
            (top, old)
            for top, parts in groups.items()
            if len(old := sorted(thread for thread in {top, *parts} if thread not in new)) > 1
        ]
        sizes = self._sizes([thread for _, old in merging for thread in old])
        renamed: list[dict[str, int]] = []
        for top, (kept, *others) in merging:
            for other in others:
                if sizes[other] > MAX_MERGE:
                    if sizes[kept] > MAX_MERGE:
                        continue  # two long threads stay apart
                    kept, other = other, kept
                renamed.append({"t": other, "into": kept})
                sizes[kept] += sizes[other]
            self.up[top] = kept
            self.up.pop(kept, None)
        if renamed:
            told = update(schema.messages).where(messages.thread == bindparam("t"))
            self.connection.execute(told.values(thread=bindparam("into")), renamed)

    def _sizes(self, threads: Sequence[int]) -> dict[int, int]:
        """How many messages each has; of more than MAX_MERGE no more are counted."""
        found: dict[int, int] = {}
        for chunk in several(threads):
            thread = numbers(self.connection, chunk)
            some = select(messages.id).where(messages.thread == thread).limit(MAX_MERGE + 1)
            count = select(func.count()).select_from(some.correlate(thread.table).subquery())
            rows = self.connection.execute(select(thread, count.scalar_subquery()))
            found.update((thread, size) for thread, size in rows)
        return found

    def _tell_late(self) -> None:
        """Why messages that came before joined, or did not."""
        joined = [{"m": id_, "w": why} for id_, (why, foreign) in self.late.items() if not foreign]
        strangers = [{"m": id_, "w": why} for id_, (why, foreign) in self.late.items() if foreign]
        mine = messages.id == bindparam("m")
        if joined:
            flags = func.trim(func.replace(messages.flags, FOREIGN, ""))
            told = update(schema.messages).where(
                mine, or_(messages.thread_why == "", messages.flags.contains(FOREIGN))
            )
            self.connection.execute(told.values(thread_why=bindparam("w"), flags=flags), joined)
        if strangers:
            flags = func.trim(messages.flags + f" {FOREIGN}")
            told = update(schema.messages).where(mine, messages.thread_why == "")
            self.connection.execute(told.values(thread_why=bindparam("w"), flags=flags), strangers)


@dataclass(frozen=True, slots=True)
class _Before:
    """What may be answered."""

    id: int
    thread: int
    when_us: int
    subject: str
    preview: str


def _is_before(each: _Before, one: New) -> bool:
    return 0 <= one.when_us - each.when_us <= REPAIR_DAYS * _DAY_US


def _answered(one: New, before: Sequence[_Before]) -> tuple[str, _Before | None]:
    """The message that such an answer answers, newest first, and why."""
    names = "names no message that was seen" if one.refs else "names no message"
    for each in before if one.quoted else ():
        words = squash(each.preview)[:MAX_QUOTE]
        if len(words) >= MIN_QUOTE and words in one.quoted:
            return f"{names}; quotes message {each.id} of the same two people", each
    for each in before if one.answer and len(one.subject) > 2 else ():
        recent = one.when_us - each.when_us <= SUBJECT_DAYS * _DAY_US
        if recent and each.subject == one.subject:
            return f"{names}; answers the subject of message {each.id}", each
    return "", None


def _whose(sender: str, people: Iterable[str]) -> str:
    return f"{sender} has part in it" if sender in people else f"{sender} is one of ours"
