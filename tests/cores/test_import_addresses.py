"""Addresses in the cells of lists: taken, taken with a note, refused with the reason."""

import pytest
from flanker.addresslib import corrector
from hypothesis import given, settings
from hypothesis import strategies as st

from crmstore import addresses, typed
from crmstore.imports.addresscheck import check_cell
from crmstore.imports.rows import Checked


@pytest.mark.parametrize(
    ("cell", "keys"),
    [
        ("Bob@Example.COM", ["bob@example.com"]),
        ("o'neil+crm@sub.example.co.jp", ["o'neil+crm@sub.example.co.jp"]),
        ("a@x.example; b@x.example", ["a@x.example", "b@x.example"]),
        ("a@x.example, ", ["a@x.example"]),
        ("a@x.example ::: b@x.example", ["a@x.example", "b@x.example"]),
        ("a@x.example、b@x.example", ["a@x.example", "b@x.example"]),
        ("a@x.example b@x.example", ["a@x.example", "b@x.example"]),
        ("山田 <t@x.example>, Bob <b@x.example>", ["t@x.example", "b@x.example"]),
        ("mailto:c@x.example", ["c@x.example"]),
        ("ｔａｒｏ＠ｘ．ｅｘａｍｐｌｅ", ["taro@x.example"]),
        ("x@例え.jp", ["x@xn--r8jz45g.jp"]),
        ("x@xn--r8jz45g.jp", ["x@xn--r8jz45g.jp"]),
        ("é@x.example", ["é@x.example"]),
    ],
)
def test_taken(cell: str, keys: list[str]) -> None:
    assert [(one.key, one.reason, one.note) for one in check_cell(cell)] == [
        (key, "", "") for key in keys
    ]


@pytest.mark.parametrize("cell", ["a..b.@docomo.ne.jp", ".a@ezweb.ne.jp", "a..b.@ｄocomo.ne.jp"])
def test_what_japanese_carriers_gave_out_is_taken_with_a_note(cell: str) -> None:
    (one,) = check_cell(cell)
    assert one.key.endswith(".ne.jp")
    assert one.note == "tolerated"


@pytest.mark.parametrize(
    ("cell", "reason", "meant"),
    [
        ("bob", "no_at", ""),
        ("@x.example", "half", ""),
        ("bob@", "half", ""),
        ("bob smith@x.example", "space", "bobsmith@x.example"),
        ("bob@@x.example", "two_ats", "bob@x.example"),
        ("bob@gmail,com", "domain", "bob@gmail.com"),
        ("bob@gmail..com", "domain", "bob@gmail.com"),
        ("bob@localhost", "domain", ""),
        ("bob@-x.example", "domain", ""),
        ("bob@192.0.2.1", "domain", ""),
        ("b,ob@x.example", "local", ""),
        ("x" * 300 + "@x.example.example.example", "long", ""),
    ],
)
def test_refused(cell: str, reason: str, meant: str) -> None:
    (one,) = check_cell(cell)
    assert (one.key, one.reason, one.meant) == ("", reason, meant)


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("yahooo.co.jp", "yahoo.co.jp"),
        ("docmo.ne.jp", "docomo.ne.jp"),
        # flanker alone would guess for each of these
        ("acme.com", ""),
        ("sony.com", ""),
        ("softbank.ne.jp", ""),
        ("outlook.jp", ""),
        ("gmail.com", ""),
        ("example.co.jp", ""),
    ],
)
def test_a_domain_one_slip_away_from_a_well_known_one(domain: str, meant: str) -> None:
    (one,) = check_cell(f"bob@{domain}")
    assert one.key == f"bob@{domain}"
    assert one.meant == (f"bob@{meant}" if meant else "")


def test_there_is_an_end_to_a_cell() -> None:
    found = list(check_cell("; ".join(f"a{i}@x.example" for i in range(300))))
    assert len(found) == 201
    assert found[-1].reason == "too_many"


def test_what_we_use_of_flanker_is_there() -> None:
    """MOST_COMMON_DOMAINS is no documented name: if it goes, this fails and not an import."""
    assert {"gmail.com", "docomo.ne.jp", "yahoo.co.jp"} <= set(corrector.MOST_COMMON_DOMAINS)


LOCAL = st.from_regex(r"\A[a-z0-9.+_'-]{1,20}\Z")
DOMAIN = st.from_regex(r"\A([a-z0-9-]{1,12}\.){1,3}[a-z]{2,6}\Z")


@pytest.mark.slow
@settings(deadline=None)
@given(LOCAL, DOMAIN)
def test_the_short_cut_takes_nothing_that_the_judge_refuses(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        judged = typed.check(address).address
    except typed.AddressRefused:
        judged = ""
    (one,) = check_cell(address)
    assert one.key == judged
    assert one.key in ("", addresses.key(address))


@settings(deadline=None)
@given(st.text("ab@.,;:<> \"'()\\山＠、-", max_size=40))
def test_any_cell_gives_keys_or_reasons(cell: str) -> None:
    for one in check_cell(cell):
        assert isinstance(one, Checked)
        assert bool(one.key) != bool(one.reason)
        assert one.key == addresses.key(one.key)
