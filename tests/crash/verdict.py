"""What must hold after any crash, checked from outside: client, next hop, store, blobs, audit."""

import hashlib
from collections import Counter

from config.load import load
from crmstore.archive import open_archive
from tests.crash.appliance import Appliance, wait_until
from tests.crash.load import Mail
from tests.faultsink import FaultSink


def without_trace(body: bytes) -> bytes:
    """The message as the client sent it: without the one Received field that we put on top."""
    assert body.startswith(b"Received: from "), body[:200]
    end = body.index(b"\r\n") + 2
    while body[end : end + 1] in (b" ", b"\t"):
        end = body.index(b"\r\n", end) + 2
    assert not body[end:].startswith(b"Received:"), body[:500]
    return body[end:]


def at_next_hop(*sinks: FaultSink) -> Counter[str]:
    """SHA-256 of every message that a next hop took, and how often."""
    took: Counter[str] = Counter()
    for sink in sinks:
        # MAIL and RCPT go in one write: a refused MAIL leaves RCPT without one (RFC 2920 3.1).
        wrong = [words for words in sink.complaints if "RCPT before MAIL" not in words]
        assert not wrong, wrong[:5]
        for message in sink.messages:
            if message.replies and message.replies[-1].startswith(b"250"):
                took[hashlib.sha256(without_trace(message.body)).hexdigest()] += 1
    return took


def assert_nothing_lost(
    box: Appliance, mails: list[Mail], sinks: list[FaultSink], seconds: float = 90
) -> Counter[str]:
    """Every acknowledged mail is at a next hop at least once and in the store exactly once, what
    the next hop took is in the store, and every body is readable. (`box.audit()` comes on top.)"""
    acknowledged = {mail.sha256 for mail in mails if mail.acknowledged}
    sent = {mail.sha256: mail.dots for mail in mails}
    box.wait_drained(acknowledged, seconds)
    delivered = at_next_hop(*sinks)
    stored = Counter(sha for (sha,) in box.query("SELECT sha256 FROM messages"))

    assert not acknowledged - delivered.keys(), "acknowledged, but the next hop never took it"
    assert not delivered.keys() - sent.keys(), "the next hop took what nobody sent"
    assert not acknowledged - stored.keys(), "acknowledged, but not in the store"
    assert not delivered.keys() - stored.keys(), "passed on, but not in the store"
    assert set(stored.values()) <= {1}, "a message twice in the store"
    twice = "SELECT message_id FROM messages GROUP BY message_id HAVING count(*) > 1"
    assert not box.query(twice), "two messages in the store with one Message-ID"

    # An attempt whose dot was sent is one capture at most; nobody invents sightings.
    captures = (
        "SELECT sha256, count(*) FROM captures WHERE disposition = 'captured' GROUP BY sha256"
    )
    for sha, count in box.query(captures):
        dots = sent.get(sha, 0)
        assert count <= dots, f"{count} captures of a mail that was sent {dots} times"
    seen = "SELECT count(*) FROM messages WHERE id NOT IN (SELECT message_id FROM sightings)"
    assert box.query(seen) == [(0,)], "a message without a sighting"

    archive = open_archive(load(box.config))
    for sha in stored:
        assert hashlib.sha256(archive.read(sha)).hexdigest() == sha
    return delivered


def assert_tidy(box: Appliance, seconds: float = 30) -> None:
    """Once all is ingested a door's folder holds its newest segment and no body of its own."""
    journal = box.data / "journal"

    def left() -> list[str]:
        extra = [str(path) for path in journal.glob("*/big-*")]
        for folder in journal.iterdir():
            extra += [str(path) for path in sorted(folder.glob("*.seg"))[:-1]]
        return extra

    wait_until(lambda: not left(), seconds, lambda: left()[:10])
