"""A store, an archive and a queue runner in a folder of a test, and messages put into its queue."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from config.settings import Settings
from crmstore import schema
from crmstore.archive import FileArchive
from crmstore.queue import Queue
from crmstore.queued import QueuedMessage
from crmstore.store import Store, micros, open_store
from proxy.smtp.deliver import QueueRunner
from tests.conftest import migrate
from tests.paths.hops import until

BODY = b"Subject: hello\r\n\r\n.a dot first\r\n..\r\n.\r\nend\r\n"
TRACE = "Received: from laptop by relay.example.com\r\n\twith ESMTPSA id 1; now\r\n"
DAY = 86400.0


class Appliance:
    """What the queue runner needs; `put` makes a message due at once."""

    def __init__(self, folder: Path, **outbound: Any) -> None:
        self.settings = Settings.model_validate(
            {
                "node": {
                    "hostname": "relay.example.com",
                    "data_dir": str(folder),
                    "domains": ["example.com"],
                },
                "outbound": outbound,
            }
        )
        self.store: Store = open_store(self.settings)
        migrate(self.store)
        self.archive = FileArchive(folder / "blobs")
        self.queue = Queue(self.store)
        self.now = time.time()
        self._count = 0

    def put(
        self, recipients: Sequence[str | tuple[str, list[str]]], body: bytes = BODY, **more: Any
    ) -> int:
        """A message in the queue; its id."""
        return self.put_many([recipients], body, **more)[0]

    def put_many(
        self,
        each: Sequence[Sequence[str | tuple[str, list[str]]]],
        body: bytes = BODY,
        *,
        sender: str = "alice@example.com",
        params: Sequence[str] = (),
        lives: float = 5 * DAY,
    ) -> list[int]:
        """A message for each list of recipients (addresses, or addresses with parameters)."""
        digest = hashlib.sha256(body).hexdigest()
        self.archive.put(digest, body)
        now = micros(self.now)
        idents = []
        with self.store.writing() as connection:
            for recipients in each:
                self._count += 1
                ident = connection.execute(
                    insert(schema.queue_messages)
                    .values(
                        capture_id=f"{self._count:026}",
                        listener="submission",
                        sender=sender,
                        sender_params=json.dumps(list(params)),
                        trace=TRACE,
                        sha256=digest,
                        bytes=len(body),
                        flags="[]",
                        only_copy=0,
                        state="queued",
                        attempts=0,
                        created_us=now,
                        expires_us=micros(self.now + lives),
                        next_us=now,
                    )
                    .returning(schema.queue_messages.c.id)
                ).scalar_one()
                for recipient in recipients:
                    address, its = (recipient, []) if isinstance(recipient, str) else recipient
                    connection.execute(
                        insert(schema.queue_recipients).values(
                            queue_id=ident,
                            address=address,
                            params=json.dumps(its),
                            state="queued",
                            attempts=0,
                            reply="",
                            changed_us=now,
                        )
                    )
                idents.append(int(ident))
        return idents

    def runner(self, **more: Any) -> QueueRunner:
        """A runner whose clock is ours."""
        defaults: dict[str, Any] = {"clock": lambda: self.now, "rng": random.Random(1)}
        return QueueRunner(self.settings, self.queue, self.archive, **(defaults | more))

    def message(self, ident: int) -> QueuedMessage:
        found = self.queue.show(ident)
        assert found is not None
        return found

    def states(self, ident: int) -> list[str]:
        """Of the message, then of its recipients."""
        message = self.message(ident)
        return [message.state, *(r.state for r in message.recipients)]

    def replies(self, ident: int) -> list[str]:
        return [r.reply for r in self.message(ident).recipients]

    async def run_until(self, done: Callable[[], object], **more: Any) -> None:
        """A runner runs until `done()`, and is stopped."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.runner(**more).run(stop))
        try:
            await until(lambda: task.done() or done())
        finally:
            stop.set()
            await task

    async def attempt(self, *idents: int, **more: Any) -> None:
        """A runner runs until each of these messages was tried once more."""
        before = {ident: self.message(ident).attempts for ident in idents}
        await self.run_until(
            lambda: all(self.message(i).attempts > before[i] for i in idents), **more
        )
