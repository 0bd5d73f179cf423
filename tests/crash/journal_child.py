"""A writer to be killed: journals messages as a door does and tells each that became durable.

`python -m tests.crash.journal_child FOLDER SEED`; standard output gets, unbuffered, a line for
each answer: "recovered", "message ID SHA256", "verdict ID".
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from proxy.captureid import CaptureIds
from proxy.journal import JournalWriter

SESSIONS = 6


def tell(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


class Session:
    """One message after the other; every fifth verdict is waited for."""

    ids = CaptureIds()

    def __init__(self, writer: JournalWriter, rng: random.Random) -> None:
        self.writer = writer
        self.rng = rng

    def next(self) -> None:
        rng = self.rng
        body = rng.randbytes(rng.choice([0, 100, 4000, 70_000]))
        capture = self.ids.next(time.time_ns() // 1_000_000, secrets.randbits(80))
        header: dict[str, Any] = {
            "id": capture,
            "recipients": [{"address": "b@x", "params": [], "plan": rng.choice(["pass", "queue"])}],
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "file": None,
        }
        if len(body) < 70_000:
            self.writer.append(header, [body], partial(self.durable, header))
            return
        big = self.writer.spool(capture)
        for at in range(0, len(body), 30_000):
            big.write(body[at : at + 30_000])
        if rng.random() < 0.1:
            big.discard()  # the client went away
            asyncio.get_running_loop().call_later(0.001, self.next)
        else:
            header["file"] = big.name
            big.finish(partial(self.spooled, header))

    def spooled(self, header: dict[str, Any], error: Exception | None) -> None:
        if error is not None:
            raise error
        self.writer.append(header, (), partial(self.durable, header))

    def durable(self, header: dict[str, Any], error: Exception | None) -> None:
        if error is not None:
            raise error
        tell("message", header["id"], header["sha256"])
        verdict = {"id": header["id"], "outcome": "accepted", "reply": "250 Ok", "recipients": []}
        if self.rng.random() < 0.2:
            self.writer.append_verdict(verdict, partial(self.decided, header["id"]))
        else:
            self.writer.append_verdict(verdict)
            self.next()

    def decided(self, capture: str, error: Exception | None) -> None:
        if error is not None:
            raise error
        tell("verdict", capture)
        self.next()


async def main(folder: Path, seed: int) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: os._exit(3))
    writer = JournalWriter(folder, "mx-0", loop=loop, segment_bytes=1_000_000, min_free=0)
    tell("recovered")
    rng = random.Random(seed)
    for _ in range(SESSIONS):
        Session(writer, rng).next()
    await asyncio.sleep(60)
    sys.exit("nobody killed me")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
