"""Random clients, hops and disks: the promises hold, and nobody waits for ever.

The promises are asserted by the world itself (tests/cores/world.py); here is what the random client
can see: one answer for each command, in every state.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cores.hopline import Hop
from tests.cores.world import AWAY, World
from tests.sink.script import CLOSE, OK, At

COMMANDS = [
    b"EHLO me", b"HELO me", b"MAIL FROM:<a@x.example>", b"MAIL FROM:<> SIZE=10", b"MAIL FROM:<a",
    b"RCPT TO:<b@y.example>", b"RCPT TO:<c@y.example>", b"RCPT TO:<d@z.example>", b"RCPT TO:<>",
    b"RCPT TO:<e@else.example>", b"DATA", b"DATA", b"RSET", b"NOOP", b"VRFY x", b"XYZZY",
    b"BDAT 7\r\nhello\r\n", b"BDAT 0", b"BDAT 9 LAST\r\ngood\r\nbye", b"BDAT 3 LAST\r\n\rx\n",
    b"AUTH PLAIN AGEAYg==",
]  # fmt: skip
BODIES = [
    b"Subject: x\r\n\r\nhello\r\n.\r\n",
    b".\r\n",
    b"..\r\n" * 300 + b".\r\n",
    b"a\nb\r\n.\r\n",
    b"a\rb\r\n.\r\n",
    b"x\n.\r\nMAIL FROM:<evil@x.example>\r\n.\r\n",
    b"Received: x\r\n" * 60 + b".\r\n",
    b"x" * 5000 + b"\r\n.\r\n",
]
ANSWERS: dict[str, list[Any]] = {
    "mail": [OK, OK, OK, "451 4.3.0 later", "550 5.7.1 no", "421 4.3.2 bye", CLOSE],
    "rcpt": [OK, OK, OK, "450 4.2.1 later", "550 5.1.1 no", "421 4.3.2 bye", CLOSE, "354 ?"],
    "data": [OK, OK, OK, "451 4.3.0 later", "554 5.5.1 no", "421 4.3.2 bye", CLOSE, "250 ?"],
    "content": [OK, OK, OK, At(1, CLOSE), At(400, CLOSE)],
    "dot": [OK, OK, OK, "451 4.3.0 later", "554 5.7.1 no", "421 4.3.2 bye", CLOSE, "354 ?"],
    "rset": [OK, OK, OK, CLOSE],
    "auth": [OK, "535 5.7.8 no", "454 4.7.0 later", "421 4.3.2 bye", CLOSE],
}
DOORS: list[dict[str, Any]] = [
    {},
    {"spool_above": 300},
    {"role": "submission", "trusted": True},
    {"role": "submission", "trusted": True, "spool_above": 300},
    {"role": "submission", "auth": True, "auth_without_tls": True},
    {"auth": True, "auth_without_tls": True},
    {"role": "submission", "trusted": True, "hop_kind": "mx"},
    {"hop_kind": "mx"},
    {"max_size": 1000, "refuse_bare_lf": True, "max_recipients": 2},
    {"pool": 2, "stale": 1},
    {"pool": 3, "role": "submission", "trusted": True, "stale": 2},
]


def world_of(dice: random.Random) -> World:
    """A world with a temper."""
    without = ("PIPELINING",) if dice.random() < 0.3 else ()
    hop = Hop(without=without, auth="PLAIN", lmtp=dice.random() < 0.2)
    for stage, answers in ANSWERS.items():
        if dice.random() < 0.4:
            hop.answer(**{stage: [dice.choice(answers) for _ in range(dice.randrange(1, 5))]})
    options = dict(dice.choice(DOORS))
    if hop.lmtp and options.get("hop_kind"):
        del options["hop_kind"]
    return World(
        hop=hop,
        away=AWAY if dice.random() < 0.1 else None,
        away_for_good=dice.random() < 0.3,
        hop_known=dice.random() < 0.8,
        journal=dice.choice(["durable"] * 8 + ["full", "broken"]),
        errors=1000,
        auth_failures=1000,
        auto=False,
        **options,
    )


def quiet(world: World, dice: random.Random) -> None:
    """Everything that is under way arrives, in a random order of the lanes."""
    while lanes := [lane for lane, events in world.lanes.items() if events]:
        world.deliver(dice.choice(lanes))


@pytest.mark.slow
@given(st.integers(min_value=0, max_value=2**48))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_client_that_waits_gets_an_answer_to_each_command(seed: int) -> None:
    waiting_client(random.Random(seed))


def waiting_client(dice: random.Random) -> None:
    world = world_of(dice)
    # Mostly in an order that makes sense, so that transactions come about.
    plan = [b"EHLO me"]
    for _ in range(dice.randrange(1, 5)):
        if dice.random() < 0.7:
            plan += [COMMANDS[2]] + [dice.choice(COMMANDS[5:8])] * dice.randrange(1, 3)
            plan += [dice.choice([b"DATA", b"DATA", *COMMANDS[16:19]])]
        else:
            plan += [dice.choice(COMMANDS) for _ in range(dice.randrange(1, 6))]
    for command in plan:
        answers(world, dice, command + (b"" if b"\r\n" in command else b"\r\n"))
        if world.unread.startswith(b"354"):
            answers(world, dice, dice.choice(BODIES))
        if world.closed:
            break
        if world.line is not None and dice.random() < 0.05:
            world.line.unasked(None)
            world._hop_events()
            quiet(world, dice)
    world.leave()
    quiet(world, dice)
    world.settled()


def answers(world: World, dice: random.Random, octets: bytes) -> None:
    """Say this; exactly one answer comes, or the door closes."""
    world.unread = b""
    for piece in pieces(dice, octets):
        world.send(piece)
        if dice.random() < 0.5:
            quiet(world, dice)
    quiet(world, dice)
    lines = world.unread.split(b"\r\n")
    ends = [line for line in lines if line[3:4] == b" "]
    assert world.closed or len(ends) == 1, (octets, world.unread)


def pieces(dice: random.Random, octets: bytes) -> list[bytes]:
    if dice.random() < 0.6 or len(octets) < 2:
        return [octets]
    cut = dice.randrange(1, len(octets))
    return [octets[:cut], octets[cut:]]


@pytest.mark.slow
@given(st.integers(min_value=0, max_value=2**48))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_client_that_does_not_wait_breaks_no_promise(seed: int) -> None:
    rash_client(random.Random(seed))


def rash_client(dice: random.Random) -> None:
    world = world_of(dice)
    text = b"EHLO me\r\n"
    for _ in range(dice.randrange(1, 25)):
        command = dice.choice(COMMANDS)
        text += command + (b"" if b"\r\n" in command else b"\r\n")
        if command == b"DATA":
            text += dice.choice(BODIES)
    while text and not world.closed:
        size = dice.choice([1, 5, 30, 200, 10_000])
        world.send(text[:size])
        text = text[size:]
        for _ in range(dice.randrange(0, 6)):
            world.deliver(dice.choice(list(world.lanes)))
        chance = dice.random()
        if chance < 0.01:
            world.tell(world.core.eof)
            break
        if chance < 0.02:
            world.tell(world.core.stop)
        elif chance < 0.03:
            world.clock += 400
            world.tell(world.core.tick, world.clock, 1.0, False)
        elif chance < 0.04:
            world.tell(world.core.cut)
            break
        elif chance < 0.05 and world.line is not None:
            world.line.unasked(None)
            world._hop_events()
    if dice.random() < 0.5:
        quiet(world, dice)
    if not world.gone:
        world.leave()
    quiet(world, dice)
    world.settled()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_more_of_both() -> None:
    for seed in range(3_000):
        try:
            waiting_client(random.Random(seed))
            rash_client(random.Random(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
