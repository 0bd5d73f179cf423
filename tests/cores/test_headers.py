"""Header blocks and parameters: as the RFCs have them, and as they come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmstore import headers
from crmstore.headers import MAX_BLOCK, MAX_HEADERS, parameters, split, unfold
from tests.cores.test_charsets import VENDOR


def fields(data: bytes, **how: bool) -> dict[str, list[str]]:
    found = split(data, **how)
    return {name.decode(): [unfold(v) for v in values] for name, values in found.fields.items()}


def test_fields_in_order_names_folded_to_lower_case() -> None:
    data = b"Subject: one\r\nTo : a@b\r\nSUBJECT: two\r\n\r\nbody: no field\r\n"
    assert fields(data) == {"subject": ["one", "two"], "to": ["a@b"]}
    assert data[split(data).body :] == b"body: no field\r\n"


def test_folded_lines_are_one() -> None:
    assert fields(b"Subject: one\r\n two\r\n\tthree\r\n\r\n") == {"subject": ["one two three"]}


@pytest.mark.parametrize("blank", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_line_ends_of_any_kind(blank: bytes) -> None:
    data = b"A: 1\nB: 2" + blank + b"body"
    assert fields(data) == {"a": ["1"], "b": ["2"]}
    assert data[split(data).body :] == b"body"


def test_no_header_at_all() -> None:
    assert split(b"\r\nbody").body == 2
    assert split(b"").fields == {}
    found = split(b"just text\r\n")
    assert found.fields == {} and found.body == 0 and "header_unended" in found.flags


def test_a_line_that_is_no_field_ends_a_part_but_not_a_message() -> None:
    data = b"From: a@b\r\nthis is no field\r\nTo: c@d\r\n\r\nbody"
    assert list(fields(data)) == ["from"]
    assert list(fields(data, lenient=True)) == ["from", "to"]
    assert "header_garbage" in split(data, lenient=True).flags


def test_an_mbox_separator_is_stepped_over() -> None:
    assert fields(b"From bob Thu Jan  1\nSubject: x\n\n") == {"subject": ["x"]}


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
def test_raw_japanese(codec: str) -> None:
    assert fields("Subject: お見積りの件\r\n\r\n".encode(codec)) == {"subject": ["お見積りの件"]}


def test_limits() -> None:
    many = split(b"A: 1\r\n" * 300_000 + b"\r\nbody")
    assert len(many.fields[b"a"]) == MAX_HEADERS and "header_limit" in many.flags
    data = b"A: " + b"x\r\n " * 700_000 + b"\r\nB: 2\r\n\r\nbody"
    large = split(data)
    assert "header_limit" in large.flags
    assert len(large.fields[b"a"][0]) <= MAX_BLOCK
    assert data[large.body :] == b"body"


PARAMETERS = {
    b'text/plain; charset="utf-8"': ("text/plain", {"charset": "utf-8"}),
    b"TEXT/Plain;CHARSET=us-ascii ; format=flowed": (
        "text/plain",
        {"charset": "us-ascii", "format": "flowed"},
    ),
    b"application/pdf; name=my report.pdf": ("application/pdf", {"name": "my report.pdf"}),
    b'a/b; name="with \\"quotes\\"; and semicolon.pdf"': (
        "a/b",
        {"name": 'with "quotes"; and semicolon.pdf'},
    ),
    b"attachment; filename*=UTF-8''%E8%A6%8B%E7%A9%8D.pdf": (
        "attachment",
        {"filename": "見積.pdf"},
    ),
    b"attachment; filename*0*=UTF-8'ja'%E8%A6; filename*1*=%8B; filename*2=.pdf": (
        "attachment",
        {"filename": "見.pdf"},
    ),
    b"attachment; filename*1=b; filename*0=a": ("attachment", {"filename": "ab"}),
    b"attachment; filename=fallback.pdf; filename*=utf-8''%E8%A6%8B.pdf": (
        "attachment",
        {"filename": "見.pdf"},
    ),
    b'attachment; filename="=?UTF-8?B?6KaL56mN?=.pdf"': ("attachment", {"filename": "見積.pdf"}),
    b'a/b; name="unclosed': ("a/b", {"name": "unclosed"}),
    b'a/b; name="ends in backslash\\': ("a/b", {"name": "ends in backslash"}),
    b"a/b; x; y=; =z; k=v": ("a/b", {"y": "", "k": "v"}),
    b"a/b; n=1; n=2": ("a/b", {"n": "1"}),
    b"": ("", {}),
    b";;;": ("", {}),
}


@pytest.mark.parametrize(("raw", "meant"), PARAMETERS.items(), ids=[repr(p) for p in PARAMETERS])
def test_parameters(raw: bytes, meant: tuple[str, dict[str, str]]) -> None:
    assert parameters(raw) == meant


def test_a_raw_cp932_name_whose_bytes_hold_backslashes() -> None:
    assert parameters('a/b; name="表ソ能.pdf"'.encode("cp932"))[1] == {"name": "表ソ能.pdf"}
    assert parameters(b'a/b; name="' + VENDOR.encode("cp932") + b'"')[1] == {"name": VENDOR}


def test_an_encoded_line_end_in_a_name_is_none() -> None:
    _, found = parameters(b"a; filename*=utf-8''x%0d%0aX-Evil:%201%00.pdf")
    assert found == {"filename": "x  X-Evil: 1 .pdf"}


@settings(deadline=None)  # the first guess at a charset imports the detector
@given(st.binary(max_size=400))
def test_nothing_raises(data: bytes) -> None:
    found = split(data, lenient=True)
    assert 0 <= found.body <= len(data)
    parameters(data)


@given(st.text(alphabet="ab=;\"\\*0' %", max_size=200))
def test_nothing_raises_on_nothing_but_syntax(text: str) -> None:
    parameters(b"a/b;" + text.encode())


@pytest.mark.parametrize("piece", [b";", b" ", b'"', b"\\", b"a", b"a=", b'a="', b"a*0*=;", b"a a"])
def test_parameters_are_linear(piece: bytes) -> None:
    parameters(b"a/b;" + piece * 30_000)


class _NoneAtOnce:
    """Finds a line that is no field, whatever there is: so each is read by itself."""

    @staticmethod
    def findall(*_: object) -> list[tuple[bytes, bytes]]:
        return [(b"", b"")]


@given(
    st.lists(
        st.sampled_from([b"From: a", b"X-Y :b", b" folded", b"\tc", b"no field", b"", b"From x",
                         b":", b"\xe3\x81=?", b"Subject:", b"A:b\rC:d"])
    ),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)  # fmt: skip
def test_fields_at_once_or_each_by_itself(lines: list[bytes], end: bytes, lenient: bool) -> None:
    data = end.join(lines)
    at_once = split(data, lenient=lenient)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headers, "_FIELDS", _NoneAtOnce)
        assert split(data, lenient=lenient) == at_once
