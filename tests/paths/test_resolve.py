"""Where mail goes: MX order, address families, what the DNS proves, and where we never connect."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.targets import HopTarget
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.nexthop import NextHop
from proxy.smtp.resolve import (
    MX,
    HopAddress,
    MailResolver,
    before_ourselves,
    is_own_address,
    is_public,
    order_mx,
)
from tests.faultsink import FaultSink
from tests.paths.fakedns import SERVFAIL, SILENCE, FakeDNS
from tests.paths.hops import run_on

Zone = Mapping[tuple[str, str], Sequence[str] | str]


def hosts(zone: Zone, domain: str = "d.example", loop: str = "uvloop", **more: Any) -> Any:
    """The names and addresses found; or the HopUnavailable."""

    async def main() -> Any:
        defaults: Any = {"lifetime": 20.0, "is_own": lambda ip: False}
        routes = MailResolver("relay.example.com", resolver=dns.resolver(), **(defaults | more))
        found = await routes.hosts(domain)
        return [(address.name, address.ip) for address in found]

    with FakeDNS(zone) as dns:
        try:
            return run_on(loop, main())
        except HopUnavailable as error:
            return error


def verdict(error: Any) -> tuple[bool, int, str | None]:
    assert isinstance(error, HopUnavailable), error
    assert error.stage == "resolve" and error.reply.permanent is error.permanent
    return error.permanent, error.reply.code, error.reply.enhanced


# -- order ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 65535), st.text("abc", max_size=3))), st.integers())
def test_order_is_by_preference_and_loses_nothing(
    records: list[tuple[int, str]], seed: int
) -> None:
    ordered = order_mx([MX(*record) for record in records], random.Random(seed))
    assert [mx.preference for mx in ordered] == sorted(preference for preference, _ in records)
    assert sorted(ordered) == sorted(records)


def test_within_a_preference_each_host_is_first_as_often() -> None:
    rng = random.Random(7)
    records = [MX(10, "a"), MX(10, "b"), MX(20, "c"), MX(10, "d")]
    first = [order_mx(records, rng)[0].host for _ in range(300)]
    assert all(80 < first.count(host) < 120 for host in "abd") and "c" not in first


def test_only_hosts_better_than_ourselves_are_left() -> None:
    ordered = [MX(5, "a"), MX(10, "Relay.example.com"), MX(10, "b"), MX(20, "c")]
    assert before_ourselves(ordered, {"relay.example.com"}) == [MX(5, "a")]
    assert before_ourselves(ordered, {"else"}) == ordered


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_hosts_by_preference_with_both_families(loop: str) -> None:
    zone = {
        ("d.example", "MX"): ["20 b.d.example.", "10 a.d.example.", "30 gone.d.example."],
        ("a.d.example", "A"): ["1.1.1.1", "1.1.1.2"],
        ("a.d.example", "AAAA"): ["2606:4700::1"],
        ("b.d.example", "A"): ["1.1.1.3"],
    }
    found = hosts(zone, loop=loop)
    assert sorted(found[:3]) == [
        ("a.d.example", "1.1.1.1"),
        ("a.d.example", "1.1.1.2"),
        ("a.d.example", "2606:4700::1"),
    ]
    assert found[0][1] == "2606:4700::1" and found[3:] == [("b.d.example", "1.1.1.3")]


def test_no_mx_means_the_domain_itself() -> None:
    assert hosts({("d.example", "A"): ["1.1.1.1"]}) == [("d.example", "1.1.1.1")]


def test_a_japanese_domain() -> None:
    zone = {("xn--wgv71a119e.example", "A"): ["1.1.1.1"]}
    assert hosts(zone, "日本語.example") == [("xn--wgv71a119e.example", "1.1.1.1")]


def test_a_host_that_the_dns_is_silent_about_leaves_the_others() -> None:
    zone: Zone = {
        ("d.example", "MX"): ["10 a.d.example.", "20 b.d.example."],
        ("a.d.example", "A"): SERVFAIL,
        ("a.d.example", "AAAA"): SERVFAIL,
        ("b.d.example", "A"): ["1.1.1.3"],
    }
    assert hosts(zone) == [("b.d.example", "1.1.1.3")]


def test_the_number_of_hosts_is_bounded() -> None:
    names = [f"mx{n}.d.example" for n in range(50)]
    zone: dict[tuple[str, str], Sequence[str]] = {(name, "A"): ["1.1.1.1"] for name in names}
    zone["d.example", "MX"] = [f"{n} {name}." for n, name in enumerate(names)]
    assert [name for name, _ in hosts(zone)] == names[:10]


# -- what the DNS proves -------------------------------------------------------------------------

PERMANENT: list[tuple[Zone, str, tuple[int, str]]] = [
    ({}, "d.example", (550, "5.1.2")),
    ({("d.example", "MX"): ["0 ."]}, "d.example", (556, "5.1.10")),
    ({("d.example", "TXT"): ["x"]}, "d.example", (550, "5.4.4")),
    ({("d.example", "MX"): ["10 gone.example."]}, "d.example", (550, "5.4.4")),
    ({("d.example", "MX"): ["10 relay.example.com."]}, "d.example", (550, "5.4.6")),
    ({}, "a..b", (550, "5.1.2")),
    ({}, "x" * 64 + ".example", (550, "5.1.2")),
    ({}, "[192.0.2", (550, "5.1.2")),
    ({}, "[mx.example]", (550, "5.1.2")),
]


@pytest.mark.parametrize(("zone", "domain", "reply"), PERMANENT)
def test_proven(zone: Zone, domain: str, reply: tuple[int, str]) -> None:
    assert verdict(hosts(zone, domain)) == (True, *reply)


@pytest.mark.parametrize("trouble", [SERVFAIL, SILENCE])
@pytest.mark.parametrize("kinds", [["MX"], ["A", "AAAA"]])
def test_not_proven(kinds: list[str], trouble: str) -> None:
    zone: Zone = {("d.example", kind): trouble for kind in kinds}
    assert verdict(hosts(zone, lifetime=0.5)) == (False, 451, "4.4.3")


def test_one_family_without_an_answer_does_not_hide_the_other() -> None:
    zone: Zone = {("d.example", "A"): ["1.1.1.1"], ("d.example", "AAAA"): SERVFAIL}
    assert hosts(zone) == [("d.example", "1.1.1.1")]


# -- where we never connect ----------------------------------------------------------------------

PRIVATE = """
    127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1
    192.0.0.1 192.0.0.200 192.0.2.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
    ::1 :: fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 3fff::1 100::1 2001:0:7f00:1::
    ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::127.0.0.1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a00:1::1
""".split()
PUBLIC = ["1.1.1.1", "203.0.112.1", "2606:4700::1", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses(ip: str) -> None:
    assert not is_public(ip)
    kind = "AAAA" if ":" in ip else "A"
    zone: Zone = {("d.example", "MX"): ["10 mx.d.example."], ("mx.d.example", kind): [ip]}
    assert verdict(hosts(zone)) == (True, 550, "5.4.4")
    assert [found for _, found in hosts(zone, allow_private=True)]


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses(ip: str) -> None:
    assert is_public(ip)


def test_private_addresses_are_left_out_among_others() -> None:
    zone: Zone = {("d.example", "A"): ["127.0.0.1", "1.1.1.1", "10.0.0.1"]}
    assert hosts(zone) == [("d.example", "1.1.1.1")]


@pytest.mark.parametrize("domain", ["[127.0.0.1]", "[IPv6:::1]", "[ipv6:::ffff:10.0.0.1]"])
def test_address_literals_are_checked_too(domain: str) -> None:
    assert verdict(hosts({}, domain)) == (True, 550, "5.4.4")
    assert hosts({}, "[1.1.1.1]") == [("1.1.1.1", "1.1.1.1")]


def test_our_own_addresses_are_skipped_and_alone_they_are_a_loop() -> None:
    zone: Zone = {("d.example", "A"): ["1.1.1.1", "1.1.1.2"]}
    assert hosts(zone, is_own="1.1.1.1".__eq__) == [("d.example", "1.1.1.2")]
    assert verdict(hosts(zone, is_own=lambda ip: True)) == (True, 550, "5.4.6")


def test_only_the_address_that_our_doors_listen_on_is_ours() -> None:
    zone: Zone = {("d.example", "A"): ["127.0.0.1", "127.0.0.2"]}
    more: dict[str, Any] = {"allow_private": True, "is_own": lambda ip: True}
    assert hosts(zone, own={("127.0.0.1", 25)}, **more) == [("d.example", "127.0.0.2")]
    assert len(hosts(zone, own={("127.0.0.1", 587)}, **more)) == 2
    for everywhere in ("0.0.0.0", "::"):
        assert verdict(hosts(zone, own={(everywhere, 25)}, **more))[2] == "5.4.6"


def test_this_machine_knows_its_addresses() -> None:
    assert is_own_address("127.0.0.1") and is_own_address("127.3.4.5")
    assert not is_own_address("1.1.1.1") and not is_own_address("2606:4700::1")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_address_that_was_checked_is_the_one_that_is_used(loop: str) -> None:
    """A second look at the DNS could be answered otherwise (rebinding): there is none."""

    async def main() -> tuple[str, int]:
        routes = MailResolver(
            "relay.example.com", port=sink.port, allow_private=True, own=(), resolver=dns.resolver()
        )
        hop = NextHop(HopTarget("mx"), helo="relay.example.com", resolver=routes)
        conn = await hop.connect("d.example")
        conn.close()
        return conn.peer

    zone: Zone = {("d.example", "MX"): ["10 mx.example."], ("mx.example", "A"): ["127.0.0.1"]}
    with FaultSink() as sink, FakeDNS(zone) as dns:
        assert run_on(loop, main()) == ("127.0.0.1", sink.port)
        assert sorted(dns.asked) == [
            ("d.example", "MX"),
            ("mx.example", "A"),
            ("mx.example", "AAAA"),
        ]


def test_what_is_local() -> None:
    assert HopAddress("localhost", "/run/lmtp", 0).local
    assert HopAddress("h", "127.0.0.1", 25).local and HopAddress("h", "::1", 25).local
    assert not HopAddress("h", "1.1.1.1", 25).local
