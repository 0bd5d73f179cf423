"""However the client's octets are cut, it hears the same and the hop gets the same."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tests.cores.hopline import Hop
from tests.cores.world import AWAY, World

BODY = b"Subject: x\r\n\r\nhello\r\n..\r\n.stuffed\r\n\r\n.\r\n"
ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n"
LONG = b"NOOP " + b"x" * 2600 + b"\r\n"
BIG = b"0123456789abcde\r\n" * 200 + b".\r\n"
#: name: (what the client says, the world, more than the defaults)
SCRIPTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "message": (b"EHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BODY + b"QUIT\r\n", {}),
    "two messages": (b"EHLO me\r\n" + (ENVELOPE + b"DATA\r\n" + BODY) * 2 + b"QUIT\r\n", {}),
    "spooled": (b"EHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BIG + b"NOOP\r\n", {"spool_above": 500}),
    "mixed recipients": (
        b"EHLO me\r\n" + ENVELOPE + b"RCPT TO:<no@y.example>\r\nRCPT TO:<d@else.example>\r\n"
        b"RCPT TO:<>\r\nRCPT TO:<e@y.example>\r\nDATA\r\n" + BODY + b"NOOP\r\n",
        {"hop": {"rcpt": {"no@": "550 5.1.1 no"}}},
    ),
    "one by one": (
        b"EHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BODY + b"QUIT\r\n",
        {"hop": {"without": ("PIPELINING",)}},
    ),
    "bdat": (
        b"EHLO me\r\n" + ENVELOPE + b"BDAT 6\r\nhello!BDAT 0\r\nBDAT 13\r\n\r\n.\r\nMAIL FRO"
        b"BDAT 4 LAST\r\nM:\r\nNOOP\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n",
        {},
    ),
    "bdat refused": (
        b"EHLO me\r\n" + ENVELOPE + b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        {"hop": {"data": "451 4.3.0 later"}},
    ),
    "queued": (
        b"EHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BODY + b"QUIT\r\n",
        {"away": AWAY, "role": "submission", "trusted": True},
    ),
    "refused content": (
        b"EHLO me\r\n" + ENVELOPE + b"DATA\r\nhel\rlo\r\n.\r\n" + ENVELOPE + b"RSET\r\nQUIT\r\n",
        {},
    ),
    "bare lf": (b"EHLO me\r\n" + ENVELOPE + b"DATA\r\na\nb\n\n.c\r\n.\r\nQUIT\r\n", {}),
    "smuggling": (
        b"EHLO me\r\n" + ENVELOPE + b"DATA\r\na\n.\r\nMAIL FROM:<evil@x>\r\n\r\n.\r\nQUIT\r\n",
        {},
    ),
    "too big": (
        b"EHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BIG + b"QUIT\r\n",
        {"max_size": 1000, "spool_above": 300},
    ),
    "nonsense": (
        b"EHLO me\r\nX\r\n\r\nNOOP\nMAIL\r\n" + LONG + b"VRFY \xff\r\nRCPT TO:<b@y.example>\r\n"
        b"HELO\r\nMAIL FROM:<a@x.example> X=1\r\nQUIT\r\nNOOP\r\n",
        {},
    ),
    "too many errors": (b"EHLO me\r\n" + b"X\r\n" * 30 + b"NOOP\r\n", {"errors": 5}),
    "http": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO me\r\n" + ENVELOPE, {}),
    "auth": (
        b"EHLO me\r\nAUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n" + ENVELOPE + b"DATA\r\n" + BODY
        + b"AUTH PLAIN x\r\nEHLO again\r\nQUIT\r\n",
        {
            "hop": {"auth": "LOGIN"},
            "answers": {"auth": ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"]},
            "auth": True,
            "auth_without_tls": True,
            "role": "submission",
        },
    ),
    "lmtp": (
        b"LHLO me\r\n" + ENVELOPE + b"DATA\r\n" + BODY + b"QUIT\r\n",
        {"hop": {"lmtp": True, "dot": {"c@": "452 4.2.2 full"}}, "role": "lmtp"},
    ),
}  # fmt: skip


def heard(script: bytes, options: dict[str, Any], cuts: list[int]) -> tuple[object, ...]:
    """What the client hears, what the hop gets, what the disk gets."""
    options = dict(options)
    hop = Hop(**options.pop("hop", {}))
    hop.answer(**options.pop("answers", {}))
    world = World(hop=hop, **options)
    edges = [0, *sorted(set(cuts)), len(script)]
    for start, end in itertools.pairwise(edges):
        world.send(script[start:end])
    world.leave()
    world.settled()
    messages = [(m.mail, m.recipients, m.octets) for m in hop.messages]
    return world.out, hop.commands, messages, world.records, world.bodies, world.verdicts


@pytest.mark.parametrize("name", SCRIPTS)
def test_octet_by_octet_and_at_random_cuts(name: str) -> None:
    script, options = SCRIPTS[name]
    whole = heard(script, options, [])
    assert len(whole[0]) > 50  # type: ignore[arg-type]
    assert heard(script, options, list(range(1, len(script)))) == whole
    cutter = random.Random(name)
    for _ in range(40):
        cuts = [cutter.randrange(1, len(script)) for _ in range(cutter.randrange(1, 12))]
        assert heard(script, options, cuts) == whole, cuts


@pytest.mark.parametrize("name", ["message", "bdat", "smuggling", "refused content"])
def test_at_every_single_cut(name: str) -> None:
    script, options = SCRIPTS[name]
    whole = heard(script, options, [])
    for cut in range(1, len(script)):
        assert heard(script, options, [cut]) == whole, cut
