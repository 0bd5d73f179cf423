"""How much one client may have at once, and who is believed no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.limits import (
    FORGIVE_AFTER,
    TABLE_SIZE,
    TOLERATED,
    ConnectionCounts,
    LoginFailures,
    client_key,
)


@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(ip: str, key: str) -> None:
    assert client_key(ip) == key


def test_a_client_has_so_many_connections_and_no_more() -> None:
    counts = ConnectionCounts(2)
    assert [counts.enter("a"), counts.enter("a"), counts.enter("a")] == [True, True, False]
    assert counts.enter("b"), "others are not touched"
    counts.leave("a")
    assert [counts.enter("a"), counts.enter("a")] == [True, False]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_nothing_is_remembered_of_those_who_left(moves: list[tuple[str, bool]]) -> None:
    counts = ConnectionCounts(3)
    inside: list[str] = []
    for key, come in moves:
        if come:
            if counts.enter(key):
                inside.append(key)
            else:
                assert inside.count(key) == 3
        elif key in inside:
            inside.remove(key)
            counts.leave(key)
    for key in inside:
        counts.leave(key)
    assert counts._open == {}


def test_a_guesser_is_blocked_over_all_connections_and_forgiven_later() -> None:
    failures = LoginFailures()
    for attempt in range(TOLERATED):
        assert not failures.blocked("a", float(attempt))
        failures.failed("a", float(attempt))
    assert failures.blocked("a", 100.0)
    assert not failures.blocked("b", 100.0)
    assert not failures.blocked("a", TOLERATED + FORGIVE_AFTER)
    failures.failed("a", 2000.0)
    assert not failures.blocked("a", 2000.0), "counted anew after the pause"


def test_a_good_login_forgives() -> None:
    failures = LoginFailures()
    for _ in range(TOLERATED):
        failures.failed("a", 0.0)
    failures.succeeded("a", 0.0)
    assert not failures.blocked("a", 0.0)


def test_all_who_share_the_table_count_together() -> None:
    table = bytearray(TABLE_SIZE)
    doors = [LoginFailures(table) for _ in range(4)]
    for attempt in range(TOLERATED):
        doors[attempt % 4].failed("a", 1.0)
    assert all(door.blocked("a", 2.0) for door in doors)
    doors[0].succeeded("a", 3.0)
    assert not any(door.blocked("a", 4.0) for door in doors)


def test_a_machine_that_began_anew_blocks_nobody() -> None:
    """The table is a file, the clock begins at zero again."""
    table = bytearray(TABLE_SIZE)
    for _ in range(TOLERATED):
        LoginFailures(table).failed("a", 1_000_000.0)
    assert not LoginFailures(table).blocked("a", 5.0)


def test_memory_is_bounded_and_guessers_of_now_stay() -> None:
    table = bytearray(TABLE_SIZE)
    failures = LoginFailures(table)
    for number in range(50_000):
        failures.failed(str(number), number / 1000)
        if number % 50 == 0:
            failures.failed("a", number / 1000)
    assert len(table) == TABLE_SIZE
    assert failures.blocked("a", 50.0) and not failures.blocked("49999", 50.0)


@given(st.binary(min_size=TABLE_SIZE // 64, max_size=TABLE_SIZE // 64), st.text(max_size=40))
def test_whatever_stands_in_the_table_is_no_fault(noise: bytes, key: str) -> None:
    failures = LoginFailures(bytearray(noise * 64))
    for _ in range(TOLERATED):
        failures.failed(key, 0.0)
    assert failures.blocked(key, 0.0)
