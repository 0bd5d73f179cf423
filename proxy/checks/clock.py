"""Checks of the clock. Captures, retries and certificates live by it; threads on a timeline too.

Offline, and honest about it: whether the hour is right cannot be seen here, only whether the
kernel is being steered by a time service, and whether the clock has been in the future before.
"""

import ctypes
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Settings
from proxy.checks import Note, fail, ok, warn

# adjtimex(2): modes = 0 only reads; TIME_ERROR is returned while nothing steers the clock.
_TIME_ERROR = 5
_TIMEX_SIZE = 512  # struct timex has about 208 octets; more does no harm

_AHEAD = 120.0


def clock_notes(settings: Settings, now: datetime) -> Iterator[Note]:
    installed = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < installed:
        yield fail("clock.before", now=_text(now), installed=_text(installed))
        return
    newest = _newest(settings)
    if newest and newest > now.timestamp() + _AHEAD:
        yield fail("clock.back", now=_text(now), newest=_text(datetime.fromtimestamp(newest, UTC)))
        return
    steered = synchronised()
    if steered is None:
        yield ok("clock.unknown", now=_text(now))
    elif steered:
        yield ok("clock.steered", now=_text(now))
    else:
        yield warn("clock.unsteered", now=_text(now))


def synchronised() -> bool | None:
    """Does a time service steer the kernel's clock? None if the kernel will not say."""
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(
            ctypes.create_string_buffer(_TIMEX_SIZE)
        )
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def _newest(settings: Settings) -> float:
    """The latest moment at which something was written here."""
    latest = 0.0
    for folder in (settings.run_dir, *_folders(settings.journal_dir)):
        try:
            for entry in os.scandir(folder):
                latest = max(latest, entry.stat(follow_symlinks=False).st_mtime)
        except OSError:
            continue
    return latest


def _folders(journal: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(journal) if entry.is_dir()]
    except OSError:
        return []


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
