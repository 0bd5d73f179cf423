"""Capture ids are ULIDs: they sort by time, never repeat, and are safe in a file name."""

from __future__ import annotations

import pytest

from proxy.captureid import ALPHABET, CaptureIds, is_capture_id, new_capture_id


def value(text: str) -> int:
    total = 0
    for letter in text:
        total = total * 32 + ALPHABET.index(letter)
    return total


@pytest.mark.parametrize(
    ("now", "noise"), [(0, 0), ((1 << 48) - 1, (1 << 80) - 1), (1795305601123, 1 << 79 | 12345)]
)
def test_holds_time_and_randomness(now: int, noise: int) -> None:
    text = new_capture_id(now, noise)
    assert len(text) == 26 and is_capture_id(text)
    assert value(text) == now << 80 | noise


def test_the_example_of_the_ulid_specification() -> None:
    # 01ARYZ6S41 is its encoding of the time 1469918176385
    assert new_capture_id(1469918176385, 0) == "01ARYZ6S41" + "0" * 16


@pytest.mark.parametrize(("now", "noise"), [(-1, 0), (1 << 48, 0), (0, -1), (0, 1 << 80)])
def test_refuses_what_does_not_fit(now: int, noise: int) -> None:
    with pytest.raises(ValueError, match="ULID"):
        new_capture_id(now, noise)


def test_grows_also_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    ids = CaptureIds()
    times = [5, 5, 5, 4, 3, 6]
    noise = [(1 << 80) - 1, 0, 7, 9, 9, 0]
    got = [ids.next(t, n) for t, n in zip(times, noise, strict=True)]
    assert got == sorted(set(got))


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "8" * 26, "0" * 25, "0" * 27, "U" * 26])
def test_shape(text: str) -> None:
    assert not is_capture_id(text)
