"""What a bucket can do, found by doing it: for `mailweir check`.

Asks for an object of a name that nobody has, writes it, reads it, tries to write it anew without
overwriting, and removes it. Promises: BucketError, with the server's words, if it cannot be
written or read; all else is a finding. Bounded by the patience of the Objects it is given.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from crmstore.objects import BucketError, Objects

__all__ = ["CreateOnly", "Probe", "probe"]

CreateOnly = Literal["honoured", "ignored", "refused"]
FIRST, SECOND = b"mailweir check may remove this\n", b"overwritten by mailweir check\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found."""

    ms: float  # for one write
    create_only: CreateOnly
    ahead: float  # seconds that the server's clock is before ours; exact to about one
    missing: str  # "", or what the server says of an object that is not there, instead of that
    kept: str  # "", or why the object could not be removed again


def probe(objects: Objects) -> Probe:
    key = f"check/{secrets.token_hex(8)}.txt"
    missing = _of_none(objects, key)
    begun, at = time.monotonic(), time.time()
    create_only: CreateOnly = "honoured"
    try:
        objects.create(key, FIRST)
    except BucketError as error:
        if not error.unconditional:
            raise
        create_only = "refused"
        begun, at = time.monotonic(), time.time()
        objects.replace(key, FIRST)
    took = time.monotonic() - begun
    try:
        if create_only == "honoured" and objects.create(key, SECOND):
            create_only = "ignored"
        _read_back(objects, key, SECOND if create_only == "ignored" else FIRST)
        ahead = _ahead(objects.written(key), at, at + took)
    finally:
        kept = _remove(objects, key)
    return Probe(took * 1000, create_only, ahead, missing, kept)


def _of_none(objects: Objects, key: str) -> str:
    """AWS answers 403 instead of 404 to those who may not list the bucket."""
    try:
        objects.read(key, 0, 1)
    except BucketError as error:
        if error.denied:
            return str(error)
        raise
    return ""


def _read_back(objects: Objects, key: str, wanted: bytes) -> None:
    found = objects.read(key, 0, 2 * len(wanted))
    if found is None or found[0] != wanted:
        raise BucketError("what was written is not what is read", "inconsistent")


def _ahead(written: datetime, earliest: float, latest: float) -> float:
    """S3 tells whole seconds, cut off."""
    stamp = written.timestamp()
    if stamp > latest:
        return stamp - latest
    return min(0.0, stamp + 1 - earliest)


def _remove(objects: Objects, key: str) -> str:
    try:
        objects.delete([key])
    except BucketError as error:
        return str(error)
    return ""
