"""What a message says about the one that it answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.answers import MAX_REFERENCES, base_subject, quoted, references
from crmstore.identity import id_hash

SUBJECTS: dict[str, tuple[str, bool]] = {
    "offer": ("offer", False),
    "Re: offer": ("offer", True),
    "RE: Fwd: AW: Offer": ("offer", True),
    "Re[2]: offer": ("offer", True),
    "Re^3: offer": ("offer", True),
    "RE : offer": ("offer", True),
    "SV: SV: Offer ": ("offer", True),
    "Fwd: offer": ("offer", False),
    "WG: offer (fwd)": ("offer", False),
    "返信: 見積り": ("見積り", True),
    "転送： 見積り": ("見積り", False),
    "回复：Re: 报价": ("报价", True),
    "Ｒｅ：見積り": ("見積り", True),
    "[list] Re: [list] offer": ("offer", True),
    "Re:": ("", True),
    "[all]": ("[all]", False),
    "Regarding: offer": ("regarding: offer", False),
    "": ("", False),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_base_subject(subject: str) -> None:
    assert base_subject(subject) == SUBJECTS[subject]


@given(st.text(max_size=200))
def test_a_base_subject_has_no_more_to_strip(subject: str) -> None:
    base, _ = base_subject(subject)
    assert base_subject(base)[0] == base


def test_many_prefixes_are_bounded() -> None:
    assert base_subject("Re: " * 500 + "x")[1]


def hashes(*ids: str) -> list[int]:
    return [id_hash(one) for one in ids]


def test_references_nearest_first_each_once() -> None:
    fields = {b"in-reply-to": [b" <c@x>"], b"references": [b" <a@x> <b@x>\r\n\t<c@x>"]}
    assert references(fields) == hashes("c@x", "b@x", "a@x")


def test_the_first_reference_stays_of_many() -> None:
    chain = b" ".join(b"<%d@x>" % n for n in range(500))
    found = references({b"references": [chain]})
    assert len(found) == MAX_REFERENCES
    assert found[0] == id_hash("499@x") and found[-1] == id_hash("0@x")


@pytest.mark.parametrize(
    ("field", "ids"),
    [
        (b"<a@x>", ["a@x"]),
        (b"a@x", ["a@x"]),
        (b"Your mail of Monday <a@x>", ["a@x"]),
        (b"Your mail of Monday", []),
        (b"<no at sign>", ["noatsign"]),
        (b"<>", []),
        (b"<" * 40_000, []),
    ],
)
def test_in_reply_to_as_it_is_written(field: bytes, ids: list[str]) -> None:
    assert references({b"in-reply-to": [field]}) == hashes(*ids)


QUOTATIONS = {
    "Yes.\n\n> Shall we?\n": "Shallwe?",
    "On Mon, Alice <a@x> wrote:\n>> one\n> two\nthree": "OnMon,Alice<ax>wrote:onetwothree",
    "Ja.\n-----Ursprüngliche Nachricht-----\nx": "-----UrsprünglicheNachricht-----x",
    "了解です。\n差出人: 山田\nx": "差出人:山田x",
    "Nothing is quoted - here.": "",
}


@pytest.mark.parametrize("text", QUOTATIONS)
def test_quoted(text: str) -> None:
    assert quoted(text).replace("@", "") == QUOTATIONS[text].replace(">", "")


@pytest.mark.parametrize(
    "text", ["-" * 65_536, " " * 65_536, "x" * 65_536, "\n>" * 30_000, "_" * 9]
)
def test_looking_for_a_quotation_is_quick(text: str) -> None:
    assert len(quoted(text)) <= 2_000
