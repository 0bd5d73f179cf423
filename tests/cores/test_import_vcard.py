"""vCards as phones and address books write them, versions 2.1 to 4.0; and anything at all."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmstore.imports import vcardlines
from crmstore.imports.rows import Remark, Row
from crmstore.imports.vcard import VcardFile
from crmstore.imports.vcardlines import split_text


def read(*lines: str | bytes, encoding: str = "") -> list[Row | Remark]:
    data = b"\r\n".join(x.encode() if isinstance(x, str) else x for x in lines)
    return list(VcardFile([data], encoding))


def card(*lines: str | bytes, version: str = "3.0") -> Row:
    (row,) = read("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD")
    assert isinstance(row, Row), row
    return row


def quoted(text: str) -> str:
    return "".join(f"={octet:02X}" for octet in text.encode("cp932"))


def test_a_japanese_phone_writes_shift_jis_in_quoted_printable() -> None:
    # 表 has a backslash as its second octet in Shift_JIS
    family, given_name = quoted("表"), quoted("太郎")
    row = card(
        f"N;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:{family};=",
        f"{given_name};;;",
        "SOUND;X-IRMC-N;CHARSET=SHIFT_JIS:ｵﾓﾃ;ﾀﾛｳ;;;".encode("cp932"),
        "TEL;CELL:0900000000",
        "EMAIL;CELL:taro..x.@docomo.ne.jp",
        version="2.1",
    )
    assert (row.name, row.addresses) == ("表 太郎", ("taro..x.@docomo.ne.jp",))


def test_raw_shift_jis_with_and_without_its_name() -> None:
    assert card("N;CHARSET=SHIFT_JIS:表山;太郎".encode("cp932"), version="2.1").name == "表山 太郎"
    assert card("FN:表山 太郎".encode("cp932"), version="2.1").name == "表山 太郎"


def test_base64_values() -> None:
    value = base64.b64encode("山田 太郎".encode()).decode()
    assert card(f"FN;ENCODING=b:{value}").name == "山田 太郎"
    assert card(f"FN;BASE64;CHARSET=UTF-8:{value}", version="2.1").name == "山田 太郎"


def test_groups_parameters_in_quotes_and_preferred_addresses() -> None:
    row = card(
        'item1.EMAIL;TYPE="internet,home";X-NOTE="a:b;c":second@x.example',
        "item2.EMAIL;type=INTERNET;type=pref:first@x.example",
        "EMAIL;X400:/c=jp/admd=x",
        "EMAIL:mailto:third@x.example",
        "FN:x",
    )
    assert row.addresses == ("first@x.example", "second@x.example", "mailto:third@x.example")
    row = card("EMAIL;PREF=2:b@x.example", "EMAIL;PREF=1:a@x.example", "FN:x", version="4.0")
    assert row.addresses == ("a@x.example", "b@x.example")


def test_lines_folded_inside_a_character() -> None:
    value = "FN:" + "山田太郎" * 10
    data = value.encode()
    assert card(data[:20] + b"\r\n " + data[20:41] + b"\n\t" + data[41:]).name == value[3:]


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (("FN:山田\\, 太郎", "N:x;y"), "山田, 太郎"),
        (("N:山田;太郎;;;",), "山田 太郎"),
        (("N:Yamada;Taro;J.;Dr.;Jr.",), "Taro J. Yamada"),
        (("N:a\\;b;c",), "c a;b"),
        (("FN:", "ORG:株式会社山田;営業部"), ""),  # the company is told apart
        (("X-PHONETIC-LAST-NAME:ヤマダ", "X-PHONETIC-FIRST-NAME:タロウ"), "ヤマダ タロウ"),
    ],
)
def test_names(lines: tuple[str, ...], name: str) -> None:
    assert card(*lines).name == name


def test_a_company_is_read_whole() -> None:
    assert card("ORG:株式会社山田;営業部").company == "株式会社山田 営業部"


def test_parameters_folded_before_their_value() -> None:
    assert card("EMAIL;TYPE=WORK;X-A=1;", " X-B=2:a@x.example", "FN:x").addresses == (
        "a@x.example",
    )


def test_photos_are_passed_over_and_what_has_no_place_is_counted() -> None:
    file = VcardFile(
        [
            b"BEGIN:VCARD\r\nVERSION:2.1\r\nPHOTO;ENCODING=BASE64;JPEG:\r\n",
            *[b" " + b"A" * 70 + b"\r\n"] * 50_000,
            b"\r\nTEL:1\r\nTEL:2\r\nFN:x\r\nEND:VCARD\r\n",
        ]
    )
    assert [row.name for row in file if isinstance(row, Row)] == ["x"]
    assert file.unknown == {"TEL": 2, "PHOTO": 1}


def test_damage_is_told_with_its_line_and_the_other_cards_are_read() -> None:
    items = read(
        "hello",
        "world",
        "BEGIN:VCARD",
        "FN:never ended",
        "BEGIN:VCARD",
        "FN:good",
        "what is this",
        "END:VCARD",
        "BEGIN:VCARD",
        "KIND:group",
        "FN:friends",
        "END:VCARD",
        "begin:vcard",
        "FN:" + "x" * 40_000,
        "end:vcard",
        "BEGIN:VCARD",
    )
    assert [(item.line, getattr(item, "code", "row")) for item in items] == [
        (1, "not_in_card"),
        (3, "card_not_ended"),
        (5, "row"),
        (9, "card_group"),
        (14, "property_too_long"),
        (16, "card_not_ended"),
    ]
    good = items[2]
    assert isinstance(good, Row)
    assert [(r.line, r.code, r.refused) for r in good.remarks] == [(7, "not_a_property", False)]


def test_the_card_of_an_assistant_inside_a_card() -> None:
    row = card("FN:boss", "AGENT:", "BEGIN:VCARD", "FN:assistant", "END:VCARD", "EMAIL:b@x.example")
    assert (row.name, row.addresses) == ("boss", ("b@x.example",))


def test_a_property_without_end_is_read_in_bounded_memory() -> None:
    pieces = [b"BEGIN:VCARD\nNOTE:", *[b"x" * 65_536] * 300, b"\nFN:y\nEND:VCARD\n"]
    held = max(len(p.value) for p in vcardlines.properties(pieces))
    assert held <= vcardlines.MAX_LINE
    (row,) = VcardFile(pieces)
    assert isinstance(row, Row)
    assert row.name == "y"


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a;b;c", ["a", "b", "c"]),
        ("a;;", ["a", "", ""]),
        ("", [""]),
        ("a\\;b;\\\\;", ["a;b", "\\", ""]),
    ],
)
def test_structured_values(value: str, parts: list[str]) -> None:
    assert split_text(value) == parts


MARKUP = b'BEGIN:VCARD|END:VCARD|\r\n|\n|\r| |=|:|;|"|\\|FN|N|EMAIL|ENCODING=QUOTED-PRINTABLE'
MARKUP += b"|ENCODING=b|CHARSET=idna|AGENT:|KIND:group|PHOTO:|\x1b$B|\x95\x5c|\xe5\xb1\xb1|\xff|\0"
PIECES = st.sampled_from(MARKUP.split(b"|"))


@settings(deadline=None)  # a detector is imported on the way
@given(st.lists(PIECES | st.binary(max_size=5), max_size=40), st.integers(1, 9))
def test_whatever_comes_nothing_raises(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    cut = [data[i : i + size] for i in range(0, len(data), size)]
    items = list(VcardFile(cut))
    assert items == list(VcardFile([data]))  # however it is cut
    for item in items:
        assert 1 <= item.line <= len(data) + 1
        if isinstance(item, Row):
            assert "\n" not in item.name
