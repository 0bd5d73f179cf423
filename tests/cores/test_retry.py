"""When to try again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.replies import Reply
from proxy.smtp.retry import MAX_HOSTS, Unreachable, next_attempt

WORDS = Reply.of(451, "4.4.1", "no answer")


@given(st.integers(1, 10**6), st.floats(1, 3600), st.floats(1, 86400), st.integers())
def test_the_wait_is_never_longer_than_configured(
    attempts: int, first: float, cap: float, seed: int
) -> None:
    wait = next_attempt(attempts, 0.0, random.Random(seed), first, cap)
    assert min(first, cap) * 0.8 <= wait <= cap


def test_the_wait_doubles_up_to_the_cap() -> None:
    rng = random.Random(3)
    waits = [next_attempt(n, 1000.0, rng, 60, 3600) - 1000 for n in range(1, 10)]
    for wait, whole in zip(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600], strict=True):
        assert 0.8 * whole <= wait <= whole


def test_what_failed_together_does_not_come_back_together() -> None:
    rng = random.Random(3)
    waits = {next_attempt(3, 0.0, rng, 60, 3600) for _ in range(100)}
    assert len(waits) == 100 and max(waits) - min(waits) > 30


def test_a_destination_is_held_for_one_wait_at_a_time() -> None:
    unreachable = Unreachable(random.Random(3), 60, 300)
    assert unreachable.held("d", 0) is None
    hold = unreachable.failed("d", 0, WORDS)
    assert 48 <= hold.until <= 60 and hold.words is WORDS
    assert unreachable.held("d", hold.until - 1) == hold
    assert unreachable.failed("d", 1, WORDS) == hold, "side by side it is one failure"
    assert unreachable.held("e", 1) is None
    assert unreachable.held("d", hold.until) is None, "one may try again"
    assert 96 <= unreachable.failed("d", 100, WORDS).until - 100 <= 120
    unreachable.worked("d")
    assert unreachable.held("d", 101) is None
    assert unreachable.failed("d", 200, WORDS).until <= 260, "it begins anew"


def test_the_memory_is_bounded() -> None:
    unreachable = Unreachable(random.Random(3), 60, 300)
    for number in range(MAX_HOSTS + 10):
        unreachable.failed(f"{number}", 0, WORDS)
    assert unreachable.held("9", 1) is None and unreachable.held("10", 1) is not None
