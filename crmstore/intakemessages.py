"""New messages of a batch: their rows, their threads, what is searched of them. Inside of ingest's
transaction; a keeper. What is a new message says crmstore/copies.py.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from crmstore import copies, document, schema, searchindex, threads
from crmstore.answers import base_subject
from crmstore.batch import Decided
from crmstore.bulk import insert_rows
from crmstore.charsets import clean
from crmstore.facts import Facts
from crmstore.identity import print_of
from crmstore.tokens import Tokens, tokens

__all__ = ["add", "people"]

Row = tuple[Any, ...]
_MESSAGES = (
    "id", "sha256", "bytes", "when_us", "date_us", "message_id", "subject", "from_address",
    "from_name", "date_header", "attachments", "preview", "flags", "identity", "hint",
    "print", "thread", "thread_why",
)  # fmt: skip
_ATTACHMENTS = ("message_id", "position", "name", "type", "bytes", "inline")
_WEEK_US = 7 * 86_400 * 1_000_000


def add(
    connection: Connection,
    new: Sequence[copies.Known],
    captured: Sequence[Decided],
    internal: Callable[[str], bool],
    turned: searchindex.Turned | None = None,
) -> None:
    """Insert messages that have their ids; `known.first` is the capture that told of each first.
    `turned`: see searchindex.add."""
    first = [(known, captured[known.first]) for known in new]
    placed = threads.place(connection, [_in_thread(known, item) for known, item in first], internal)
    rows: list[Row] = []
    attachments: list[Row] = []
    texts: list[searchindex.Entry] = []
    for known, item in first:
        facts = item.facts or Facts(flags=["unread"])
        rows.append(_message(known, item, facts, placed[known.id]))
        attachments += [
            (known.id, position, a.name, a.type, a.bytes, int(a.inline))
            for position, a in enumerate(facts.attachments)
        ]
        if facts.document:
            texts.append(searchindex.Entry(known.id, known.when_us, *_searched(item, facts)))
    insert_rows(connection, schema.messages, _MESSAGES, rows)
    insert_rows(connection, schema.attachments, _ATTACHMENTS, attachments)
    searchindex.add(connection, texts, turned)


def people(id_: int, when_us: int, item: Decided, *, envelope_only: bool) -> Iterable[Row]:
    """Rows of `participants`: the header's people belong to the message, the envelope's to this
    sighting of it."""
    capture = item.message.capture_id if envelope_only else None
    participants = item.judgement.participants if item.judgement is not None else ()
    return [
        (id_, role, address, name, evidence, capture, when_us)
        for role, address, name, evidence, only in participants
        if only == envelope_only
    ]


def _message(known: copies.Known, item: Decided, facts: Facts, placing: threads.Placed) -> Row:
    header = item.message.header
    flags = [*facts.flags, threads.FOREIGN] if placing.foreign else facts.flags
    _, writer, name = next((p for p in facts.people if p[0] == "from"), ("", "", ""))
    place = known.hint.place
    return (
        known.id,
        str(header["sha256"]),
        header["size"],
        known.when_us,
        _date(facts.date, known.when_us),
        known.learned.get("message_id", facts.message_id),
        facts.subject,
        writer or clean(str(header.get("sender", "")))[:320],
        name,
        known.learned.get("date_header", facts.date_header),
        len(facts.attachments),
        facts.preview,
        " ".join(flags),
        known.key,
        place,
        print_of(known.key, place),
        placing.thread,
        placing.why,
    )


def _searched(item: Decided, facts: Facts) -> tuple[bytes, Tokens]:
    """The document and its tokens; without those whom the rules keep out of a captured mail."""
    judgement = item.judgement
    if judgement is None or not judgement.left_out:
        return facts.document, facts.tokens
    stay = {p.address for p in judgement.participants}
    people = [person for person in facts.people if person[1] in stay]
    full = document.with_people(document.unpacked(facts.document), people)
    return document.packed(full), tokens(full)


def _in_thread(known: copies.Known, item: Decided) -> threads.New:
    """What a new message says about the conversation that it belongs to."""
    facts = item.facts or Facts()
    people = item.judgement.participants if item.judgement is not None else ()
    named = {p.address for p in people if p.role in ("from", "to", "cc")}
    subject, answer = base_subject(facts.subject)
    return threads.New(
        known.id,
        known.when_us,
        known.hint.id,
        facts.refs,
        frozenset(p.address for p in people if p.role == "from" or p.evidence == "envelope sender"),
        frozenset(p.address for p in people),
        (min(named), max(named)) if len(named) == 2 else None,
        subject,
        answer,
        facts.quoted,
        facts.preview,
    )


def _date(date: int | None, seen_us: int) -> int:
    """The mail's own date where it can be believed, else when we saw it: a date in the future or
    long ago is a wrong clock, or spam that wants to be on top."""
    if date is not None:
        own = date * 1_000_000
        if seen_us - _WEEK_US <= own <= seen_us:
            return own
    return seen_us
