"""What is done with a batch behind ingest's own rows: reports of mail that was sent are read
(bounce/process.py). And what ingest asks about mail that was sent: small answers.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bounce.process import Processor
from bounce.verp import ReturnPaths
from config.settings import Settings
from proxy.reader import Job
from proxy.smtp.wayback import WayBack
from proxy.tail import Tail

__all__ = ["is_queued", "job", "processor", "sent_last"]


def processor(settings: Settings) -> Processor:
    """The one of a worker."""
    way_back = WayBack.of_queue(settings)

    def paths() -> ReturnPaths | None:
        way_back.refresh()
        return way_back.gate.paths if way_back.gate is not None else None

    final = [one.name for one in settings.smtp if one.next_hop.kind in ("mx", "lmtp")]
    return Processor(
        hostname=settings.node.hostname,
        domains=settings.node.domains,
        patience=(settings.bounce.soft_count, settings.bounce.soft_for),
        final_hops=final,
        paths=paths,
    )


def sent_last(settings: Settings) -> Callable[[Tail], bool]:
    """A key to sort doors by: what our users send is read last. So the mail that a report in a
    batch is about, which was sent before it, is in the batch too."""
    names = {listener.name for listener in settings.smtp if listener.role == "submission"}
    return lambda tail: tail.door.rpartition("-")[0] in names


def job(path: str, offset: int, length: int, header: Mapping[str, Any]) -> Job:
    """What is to be read of a body. For reports nobody looks in mail of our own users; and what a
    mailbox shows has no envelope to say whom it is from."""
    role = header.get("role")
    sender = None if role == "imap" else str(header.get("sender", ""))
    return Job(path, offset, length, role != "submission", sender)


def is_queued(verdict: Mapping[str, Any]) -> bool:
    """Is it ours to deliver, to one recipient at least?"""
    return any(
        isinstance(r, dict) and r.get("outcome") == "queued" for r in verdict.get("recipients", ())
    )
