"""Who is refused, how it is told, and the list as the doors read it."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce.suppression import Packed, Suppressed, clears, counts, forced, pack, refusal

DEAD = Suppressed("invalid_address", "5.1.1", "550 5.1.1 User unknown", 1_777_800_000.0)


def test_the_refusal_tells_reason_date_and_way_out() -> None:
    code, enhanced, (reason, how) = refusal("bob@x.example", DEAD)
    assert (code, enhanced) == (550, "5.1.1")
    assert reason == (
        "<bob@x.example> is refused since 2026-05-03 (invalid address): 550 5.1.1 User unknown"
    )
    assert "<force+bob@x.example>" in how and "mailweir suppression remove bob@x.example" in how


@pytest.mark.parametrize(
    ("category", "status", "code"),
    [
        ("inactive_mailbox", "", "5.2.1"),
        ("unsubscribed", "", "5.7.1"),
        ("mailbox_full", "4.2.2", "5.2.2"),
    ],
)
def test_the_categorys_code(category: str, status: str, code: str) -> None:
    assert refusal("a@x.example", Suppressed(category, status, "", 0.0))[1] == code


@given(st.text(), st.text())
def test_strange_words_stay_one_line_of_ascii(words: str, category: str) -> None:
    for line in refusal("a@x.example", Suppressed(category, "", words, 0.0))[2][:1]:
        assert len(line) < 300 + len(category)
        assert line.isprintable() or not category.isprintable()


def test_force() -> None:
    assert forced("force+bob") == "bob" and forced("FORCE+bob") == "bob"
    assert forced("bob") is None and forced("force+") is None and forced("force") is None


def test_what_counts() -> None:
    live = partial(counts, source="live", evidence="live")
    assert live("invalid_address", stage="rcpt", final_hop=False)
    # our own relay refuses our sender, or our file: nothing about the recipient
    assert not live("policy_block", stage="data", final_hop=False)
    assert live("policy_block", stage="rcpt", final_hop=True)
    assert not live("invalid_address", stage="mail", final_hop=True)
    assert counts("invalid_address", "dsn", "", final_hop=False, evidence="message_id")
    assert not counts("invalid_address", "dsn", "", final_hop=False, evidence="window")


def test_what_clears() -> None:
    assert clears("live", "live", final_hop=False)
    assert not clears("live", "dsn", final_hop=False)  # a relay takes mail for dead addresses too
    assert clears("live", "dsn", final_hop=True) and clears("dsn", "dsn", final_hop=False)


@given(st.dictionaries(st.emails(), st.text(max_size=50), max_size=60), st.emails())
def test_the_packed_list_finds_what_is_in_it(listed: dict[str, str], other: str) -> None:
    entries = {a: Suppressed("invalid_address", "5.1.1", w, 1.5) for a, w in listed.items()}
    packed = Packed(memoryview(pack(entries.items())))
    assert len(packed) == len(entries)
    for address, why in entries.items():
        assert packed.find(address) == why
    assert packed.find(other) == entries.get(other)


@pytest.mark.parametrize("cut", [0, 10, 24, -1])
def test_a_list_that_is_not_whole_is_none(cut: int) -> None:
    data = pack([("a@x.example", DEAD)])[:cut]
    with pytest.raises(ValueError, match="no suppression list"):
        Packed(memoryview(data))
