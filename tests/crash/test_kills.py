"""kill -9 under load: of a door, of the worker, of everything; at every step and at random.

The steps are those of proxy/JOURNAL.md. Six clients send without pause, drop replies at random
(load.py), and send again what was not acknowledged. At the end everybody is started once more
and verdict.py says whether a promise was broken. More than 200 kills with CI=true or
MAILWEIR_FULL=1, a few dozen otherwise. Where kills fall is random; the seed is printed.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.appliance import Appliance, Role, wait_until
from tests.crash.load import Load
from tests.crash.verdict import assert_nothing_lost, assert_tidy
from tests.faultsink import OK, FaultSink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FULL = os.environ.get("CI") == "true" or os.environ.get("MAILWEIR_FULL") == "1"
# A door starts faster than the worker, and there are three of them.
KILLS_A_DOOR_STEP, KILLS_A_WORKER_STEP = (10, 5) if FULL else (1, 1)
KILLS_AT_RANDOM = {"mx-0": 22, "mx-1": 22, "sub-0": 22, "worker-0": 8} if FULL else {"mx-0": 2}
KILLS_OF_EVERYTHING = 8 if FULL else 2
KILLS_BELOW_A_SUPERVISOR = 4 if FULL else 2

# Step -> how many times it is passed before the kill, at most: rare steps are killed early.
DOOR_STEPS = {
    "1.big.written": 4,
    "2.big.synced": 4,
    "3.frame.written": 10,
    "4.frame.synced": 10,
    "5.dot.sent": 8,
    "6.hop.replied": 8,
    "7.verdict.written": 10,
    "8.reply.sent": 10,
}
WORKER_STEPS = {
    "9.ingest.read": 4,
    "10.blobs.written": 4,
    "11.blobs.synced": 4,
    "12.store.committed": 4,
    "13.segment.deleted": 1,
    "14.queue.claimed": 4,
    "15.queue.delivered": 4,
    "16.queue.recorded": 4,
}


class Tormentor(threading.Thread):
    """Starts one process again and again; each life ends by the next entry of its plan: a step
    of the program, or (None) a SIGKILL at any time."""

    def __init__(self, box: Appliance, role: str, slot: int, plan: list[str | None], seed: int):
        super().__init__(name=f"{role}-{slot}", daemon=True)
        self.box, self.role, self.slot, self.plan = box, role, slot, plan
        self.chance = random.Random(f"{seed}.{self.name}")
        self.kills: Counter[str] = Counter()
        self.trouble: str | None = None

    def run(self) -> None:
        steps = DOOR_STEPS | WORKER_STEPS
        plan, tries = list(self.plan), Counter[str | None]()
        while plan and self.trouble is None:
            step = plan.pop(0)
            failpoint = f"{step}:{self.chance.randint(1, steps[step])}" if step else ""
            role = self.box.start(self.role, self.slot, failpoint)
            if step is None:
                self._kill_at_random(role)
                self.kills["random"] += 1
            elif (code := role.wait_dead(15)) is None:
                role.kill()  # the load did not come by: once more, later
                tries[step] += 1
                if tries[step] > 5:
                    self.trouble = f"{self.name} never reached {step}"
                plan.append(step)
            elif code == -9:
                self.kills[step] += 1
            else:
                self.trouble = f"{self.name} ended with {code} instead of at {step}"
            if not gone(role):
                self.trouble = f"{self.name} left children behind"
        self.box.start(self.role, self.slot)  # one that may live

    def _kill_at_random(self, role: Role) -> None:
        if self.chance.random() < 0.8:
            role.wait_ready()
        time.sleep(self.chance.uniform(0, 0.5))
        role.process.kill()
        role.wait_dead(60)


def gone(role: Role, seconds: float = 60) -> bool:
    """Have the children of a dead process ended too?"""
    end = time.monotonic() + seconds
    while role.left():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def seed() -> int:
    number = random.SystemRandom().randrange(10**6)
    print(f"seed {number}")
    return number


@pytest.fixture
def hops(seed: int) -> Iterator[list[FaultSink]]:
    """A healthy next hop, and one that is too busy for half of the mail (for the queue)."""
    chance = random.Random(seed)
    busy = FaultSink(mail=lambda line: "451 4.3.2 busy" if chance.random() < 0.5 else OK)
    with FaultSink() as healthy, busy:
        yield [healthy, busy]


@pytest.fixture
def box(tmp_path: Path, hops: list[FaultSink]) -> Iterator[Appliance]:
    box = Appliance(
        tmp_path, mx_hop=hops[0].port, sub_hop=hops[1].port, route=hops[0].port, doors=2
    )
    yield box
    box.stop()
    print(box.log_tail())


def plans(seed: int) -> dict[str, list[str | None]]:
    """Who is to die where: the doors' steps are dealt out among the doors."""
    chance = random.Random(seed)
    doors: list[str | None] = [step for step in DOOR_STEPS for _ in range(KILLS_A_DOOR_STEP)]
    worker: list[str | None] = [step for step in WORKER_STEPS for _ in range(KILLS_A_WORKER_STEP)]
    chance.shuffle(doors)
    dealt = {"mx-0": doors[0::3], "mx-1": doors[1::3], "sub-0": doors[2::3], "worker-0": worker}
    for name, plan in dealt.items():
        plan += [None] * KILLS_AT_RANDOM.get(name, 0)
        chance.shuffle(plan)
    return dealt


def test_kills_of_doors_and_worker(box: Appliance, hops: list[FaultSink], seed: int) -> None:
    load = Load(list(box.ports.values()), seed=seed)
    tormentors = []
    for name, plan in plans(seed).items():
        role, slot = name.rsplit("-", 1)
        tormentors.append(Tormentor(box, role, int(slot), plan, seed))
    load.start()
    for tormentor in tormentors:
        tormentor.start()
    for tormentor in tormentors:
        tormentor.join()
    assert [t.trouble for t in tormentors if t.trouble] == []
    load.finish(180)

    kills = sum((tormentor.kills for tormentor in tormentors), Counter())
    assert set(kills) >= DOOR_STEPS.keys() | WORKER_STEPS.keys()
    assert kills.total() == sum(map(len, plans(seed).values()))
    delivered = assert_nothing_lost(box, load.mails, hops)
    box.audit()
    print(
        f"{kills.total()} kills, {len(load.acknowledged)} mails, {load.dropped} replies dropped, "
        f"{delivered.total() - len(delivered)} delivered again"
    )
    # A new segment, so that the last ones may go.
    for old in [role for role in box.roles if role.alive and role.role != "worker"]:
        assert old.stop() == 0
        box.start(old.role, old.slot)
    assert_tidy(box)


def test_kills_of_everything(box: Appliance, hops: list[FaultSink], seed: int) -> None:
    chance = random.Random(seed)
    load = Load(list(box.ports.values()), seed=seed)
    load.start()
    for _ in range(KILLS_OF_EVERYTHING):
        everything = box.start("all")
        assert everything.wait_ready()
        time.sleep(chance.uniform(0, 1.5))
        assert everything.kill() == -9
    everything = box.start("all")
    load.finish(180)
    assert_nothing_lost(box, load.mails, hops)
    box.audit()
    assert everything.stop() == 0


def test_the_supervisor_puts_back_what_died(
    box: Appliance, hops: list[FaultSink], seed: int
) -> None:
    chance = random.Random(seed)
    everything = box.start("all")
    assert everything.wait_ready()
    load = Load(list(box.ports.values()), seed=seed, threads=2)
    load.start()
    for _ in range(KILLS_BELOW_A_SUPERVISOR):
        kill_a_child(everything, chance)
    load.finish(180)
    assert_nothing_lost(box, load.mails, hops)
    box.audit()
    assert everything.stop() == 0
    assert not everything.left()


def kill_a_child(everything: Role, chance: random.Random) -> None:
    """SIGKILL to one of its children, and wait until there are as many again."""
    before = children_of(everything.process.pid)
    victim = chance.choice(before)
    os.kill(victim, 9)

    def back() -> bool:
        now = children_of(everything.process.pid)
        return victim not in now and len(now) >= len(before)

    wait_until(back, 60, "a killed child is not put back")


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
