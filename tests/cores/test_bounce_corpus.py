"""The goals on the shared collection, where it lies beside the checkout.

Two warnings ("not yet been delivered") are bounces in the truth; by the contract
they are `delayed`, and so they count as not found here.
"""

import pytest

from bench import bounces


@pytest.fixture(scope="module")
def found() -> bounces.Score:
    folder = bounces.beside()
    if not (folder / "truth.csv").is_file():
        pytest.skip("no corpus beside the checkout")
    return bounces.score(folder)


def share(part: int, whole: int) -> float:
    return round(part / whole, 3)


def test_what_is_read_rightly(found: bounces.Score) -> None:
    told = "\n".join(found.misses)
    assert share(found.found, found.bounces) >= 0.99, told
    assert share(found.recipients_right, found.recipients) >= 0.99, told
    assert share(found.class_right, found.recipients) >= 0.975, told
    assert found.soft_as_hard == 0, told
    assert found.false_alarms <= 1, told


def test_live_replies(found: bounces.Score) -> None:
    assert share(found.replies_right, found.replies) >= 0.975, "\n".join(found.misses)


def test_no_message_takes_long(found: bounces.Score) -> None:
    assert found.worst < 0.2
