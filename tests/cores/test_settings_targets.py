"""The notations of the configuration file: what each takes, what it means, what it refuses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.targets import (
    HopTarget,
    ListenAddress,
    parse_domain,
    parse_duration,
    parse_hop,
    parse_hostname,
    parse_listen,
    parse_network,
    parse_pattern,
    parse_size,
)

PARSERS = [
    parse_duration, parse_size, parse_listen, parse_hop, parse_network, parse_hostname,
    parse_domain, parse_pattern,
]  # fmt: skip
anything = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text()),
    st.from_regex(r"[a-z]{0,5}:?/{0,3}\[?[0-9a-f.:%@*-]*\]?:?[0-9]{0,6}/?[0-9]{0,3}"),
)  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@given(value=anything)
def test_only_ever_refuses_by_value_error_with_a_word_on_what_is_allowed(
    parser: object, value: object
) -> None:
    assert callable(parser)
    try:
        parser(value)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("1.5h", 5400),
        ("15 m", 900),
        ("5d", 432000),
        ("2w", 1209600),
        ("250ms", 0.25),
        (0, 0),
        (2.5, 2.5),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1h30m", "5D", "1e3s", "５s", "5s\n", True, -1, float("nan")]
)
def test_durations_that_are_none(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        parse_duration(text)


@given(number=st.integers(0, 10**9), unit=st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_sizes(number: int, unit: str) -> None:
    factor = 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].index(unit)
    assert parse_size(f"{number} {unit}") == parse_size(f"{number}{unit}") == number * factor
    assert parse_size(number) == number


@given(address=st.ip_addresses(), port=st.integers(1, 65535))
def test_listen_addresses_survive_their_own_text(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    wanted = ListenAddress(str(address), port)
    assert parse_listen(str(wanted)) == wanted


@given(
    address=st.ip_addresses(),
    port=st.integers(1, 65535),
    kind=st.sampled_from(["smtp", "smtps", "lmtp"]),
)
def test_next_hops_survive_their_own_text(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, kind: str
) -> None:
    hop = parse_hop(f"{kind}://{ListenAddress(str(address), port)}")
    assert (hop.kind, hop.host, hop.port) == (kind, str(address), port)
    assert parse_hop(str(hop)) == hop


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("mx", HopTarget("mx")),
        ("smtp://mail.example.com", HopTarget("smtp", "mail.example.com", 25)),
        ("smtp://Mail.Example.COM:2525/", HopTarget("smtp", "mail.example.com", 2525)),
        ("smtps://mail.example.com", HopTarget("smtps", "mail.example.com", 465)),
        ("lmtp://localhost", HopTarget("lmtp", "localhost", 24)),
        ("lmtp://[::1]:24", HopTarget("lmtp", "::1", 24)),
        ("lmtp:///run/dovecot/lmtp", HopTarget("lmtp", unix_path="/run/dovecot/lmtp")),
    ],
)
def test_next_hops(text: str, hop: HopTarget) -> None:
    assert parse_hop(text) == hop


@pytest.mark.parametrize(
    "text",
    [
        "", "MX", "smtp://", "smtp://:25", "mail.example.com:25", "smtp://a b", "smtp://h:0",
        "smtp://h:x", "smtp://h/path", "smtp://h?x", "smtp://u@h", "lmtp:///",
        "lmtp://" + "/x" * 60, "smtp:///run/x", "smtp://[::1", "smtp://1.2.3", "smtp://h\r\nRCPT", "http://h",
    ],
)  # fmt: skip
def test_next_hops_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_hop(text)


def test_domains_meet_in_one_spelling() -> None:
    assert parse_domain("Example.COM") == "example.com"
    assert parse_domain("例え.jp") == parse_domain("xn--r8jz45g.jp") == "xn--r8jz45g.jp"


@pytest.mark.parametrize(
    "text",
    ["", "com", ".com", "a..b", "a.b.", "-a.b", "a_.b", "10.0.0.1", "a.b\n", "x" * 64 + ".jp"],
)
def test_domains_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_domain(text)


def test_networks() -> None:
    assert str(parse_network("192.0.2.1")) == "192.0.2.1/32"
    assert str(parse_network("2001:db8::/32")) == "2001:db8::/32"
    with pytest.raises(ValueError, match=r"192\.0\.2\.0/24"):
        parse_network("192.0.2.7/24")


@pytest.mark.parametrize(
    ("pattern", "address", "matches"),
    [
        ("hr@example.com", "HR@Example.com", True),
        ("hr@example.com", "hr@example.com.evil.net", False),
        ("*@lawyer.example", "a.b+c@lawyer.example", True),
        ("*@lawyer.example", "a@sub.lawyer.example", False),
        ("*@*.lawyer.example", "a@sub.lawyer.example", True),
        ("*@lawyer.example", "a@lawyer.example@evil.net", False),
        ("*-private@example.com", "bob-private@example.com", True),
        ("*-private@example.com", "bob@example.com", False),
        ("a*b*c@example.com", "a-b-c@example.com", True),
        ("ab*bc@example.com", "abc@example.com", False),
        ("h?@example.com", "hr@example.com", False),
        ("[hr]@example.com", "h@example.com", False),
        ("*@lawyer.example", "lawyer.example", False),
        ("*@lawyer.example", "", False),
    ],
)
def test_patterns(pattern: str, address: str, matches: bool) -> None:
    assert parse_pattern(pattern).matches(address) is matches


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=10))
def test_a_pattern_is_a_glob(pattern: str, local: str) -> None:
    """Against the obvious, slow definition: a regular expression."""
    import re

    wanted = re.fullmatch(pattern.replace("*", "[ab]*"), local) is not None
    assert parse_pattern(f"{pattern}@example.com").matches(f"{local}@example.com") is wanted


def test_a_hostile_address_costs_nothing_against_many_stars() -> None:
    pattern = parse_pattern("*a" * 50 + "b@example.com")
    assert not pattern.matches("a" * 100_000 + "@example.com")
