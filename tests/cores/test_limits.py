"""How much one client may have at once, and who is believed no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.limits import (
    FORGIVE_AFTER,
    REMEMBERED,
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
    failures.succeeded("a")
    assert not failures.blocked("a", 0.0)


def test_memory_is_bounded() -> None:
    failures = LoginFailures()
    for number in range(REMEMBERED + 100):
        failures.failed(str(number), 0.0)
    assert len(failures._failures) == REMEMBERED
    assert "0" not in failures._failures and str(REMEMBERED + 99) in failures._failures
