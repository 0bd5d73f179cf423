"""Sets of UIDs as ranges (crmstore/uidset.py)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore import uidset
from crmstore.uidset import UidSet, common, listed, parse_ranges, without

RANGES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))
)


@given(RANGES)
def test_it_is_a_set_of_numbers_whatever_the_order(ranges: list[tuple[int, int]]) -> None:
    found, truth = UidSet(), set()
    for low, high in ranges:
        assert found.add(low, high)
        truth |= set(range(low, high + 1))
    assert {uid for uid in range(1, 80) if uid in found} == truth
    assert len(found) == len(truth)
    parts = list(found.ranges())
    assert all(one[1] + 1 < other[0] for one, other in pairwise(parts))
    assert list(UidSet.parse(str(found)).ranges()) == parts


@pytest.mark.slow
@given(RANGES, RANGES)
def test_what_two_sets_share_and_do_not_share(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    left, right = (UidSet.parse(",".join(f"{a}:{b}" for a, b in parts)) for parts in (one, other))
    some, others = (
        {uid for low, high in parts for uid in range(low, high + 1)} for parts in (one, other)
    )
    assert common(left, right) == common(right, left) == len(some & others)
    assert set(listed(str(without(left, right)), 100)) == some - others


def test_a_mailbox_read_from_its_beginning_is_one_range() -> None:
    found = UidSet()
    for uid in range(1, 200_001):
        found.add(uid)
    assert str(found) == "1:200000"


def test_too_many_ranges_are_refused_and_the_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uidset, "MOST_RANGES", 3)
    found = UidSet.parse("1,3,5")
    assert not found.add(7)
    assert found.add(4)  # joins two, so there is room again
    assert found.add(7)
    assert str(found) == "1,3:5,7"


@pytest.mark.parametrize("text", ["0", "4294967296", "1:", ":1", "1,,2", "1:*", "x", "1 ,2", "٣"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        UidSet.parse(text)


def test_order_stays_where_it_matters() -> None:
    assert parse_ranges("7,1:3") == [(7, 7), (1, 3)]
    assert listed("7,3:1", 10) == [7, 1, 2, 3]
    with pytest.raises(ValueError):
        listed("1:4294967295", 1000)
