"""`mailweir check`: everything that can be looked at before mail depends on it, a line each.

Promises: a line says what was seen, and where it is not well, what to do. Nothing that stays is
changed, no mail is sent, nothing outside our own next hops and bucket is asked unless `online`;
then the DNS is, about our own names. Bounded in time: a silent server costs some tens of seconds.
"fail": mail will not flow, or not be safe. "warn": it will, but somebody will be sorry.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.load import ConfigError, load
from config.settings import Settings
from proxy.checks import Level, Note, fail
from proxy.checks.blobs import blob_notes
from proxy.checks.clock import clock_notes
from proxy.checks.configured import certificate_notes, limit_notes, settings_notes, told_notes
from proxy.checks.disk import disk_notes, store_notes
from proxy.checks.hop import hop_notes
from proxy.checks.mailboxes import mailbox_notes
from proxy.checks.names import dns_notes
from proxy.checks.ports import port_notes
from proxy.texts import Language, known, t


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `name` is the same in all languages; `todo` is "" where nothing is to be done."""

    level: Level
    subject: str
    name: str
    text: str
    todo: str


def check(settings: Settings, online: bool = False, lang: Language = "en") -> list[Finding]:
    """All findings, in the order in which they should be read."""
    return list(findings(settings, online, lang))


def findings(settings: Settings, online: bool, lang: Language) -> Iterator[Finding]:
    """As check(), one by one: the next hops may take a while to answer."""
    for note in _notes(settings, online):
        yield _finding(note, lang)


def check_file(path: Path, online: bool = False, lang: Language = "en") -> list[Finding]:
    """As check(); a configuration that is refused is a finding for each of its problems."""
    try:
        settings = load(path)
    except ConfigError as error:
        refusals = (fail("config.refused", line=line) for line in error.lines())
        return [_finding(note, lang) for note in refusals]
    return check(settings, online, lang)


def passed(found: list[Finding]) -> bool:
    """The answer as an exit code needs it: warnings do not make a "no"."""
    return all(finding.level != "fail" for finding in found)


def _notes(settings: Settings, online: bool) -> Iterator[Note]:
    now = datetime.now(UTC)
    yield from settings_notes(settings)
    yield from told_notes(settings)
    yield from certificate_notes(settings, now)
    yield from limit_notes(settings)
    yield from port_notes(settings)
    yield from disk_notes(settings)
    yield from store_notes(settings)
    yield from blob_notes(settings)
    yield from clock_notes(settings, now)
    yield from asyncio.run(_collect(settings))
    if online:
        yield from dns_notes(settings)


async def _collect(settings: Settings) -> list[Note]:
    notes = [note async for note in hop_notes(settings)]
    return notes + [note async for note in mailbox_notes(settings)]


def _finding(note: Note, lang: Language) -> Finding:
    part = note.name.partition(".")[0]
    values = {**note.values, "about": note.about}
    todo = f"{note.name}.todo"
    return Finding(
        level=note.level,
        subject=t(f"subject.{part}", lang, **values).strip(),
        name=note.name,
        text=t(note.name, lang, **values),
        todo=t(todo, lang, **values) if known(todo) else "",
    )
