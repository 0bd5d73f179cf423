"""Charsets as mail really has them: Japanese vendor characters, wrong labels, no labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmstore import charsets
from crmstore.charsets import clean, decode, decode_header, decode_raw, storable

VENDOR = "①㈱髙橋です。"
KANA = "ｶﾅ"


def jis(text: str) -> bytes:
    """ISO-2022-JP with vendor rows, as mail programs make it: by way of Shift_JIS."""
    out = bytearray(b"\x1b$B")
    raw = text.encode("cp932")
    for lead, trail in zip(raw[::2], raw[1::2], strict=True):
        if lead >= 0xFA:  # IBM's rows have another place in JIS: NEC's selection of them
            lead, trail = {(0xFB, 0xFC): (0xEE, 0xE0)}[lead, trail]
        row = (lead - (0xC1 if lead >= 0xE0 else 0x81)) * 2 + 0x21
        if trail >= 0x9F:
            row, cell = row + 1, trail - 0x7E
        else:
            cell = trail - (0x20 if trail > 0x7F else 0x1F)
        out += bytes((row, cell))
    return bytes(out + b"\x1b(B")


@pytest.mark.parametrize("label", ["iso-2022-jp", "ISO-2022-JP-MS", "cp50221", "", "us-ascii"])
def test_vendor_characters_in_iso_2022_jp(label: str) -> None:
    assert decode(jis(VENDOR), label) == VENDOR


def test_half_width_kana_in_iso_2022_jp() -> None:
    assert decode(b"\x1b(I6E\x1b(B!", "iso-2022-jp") == KANA + "!"
    assert decode(b"\x0e6E\x0f!", "iso-2022-jp") == KANA + "!"


@pytest.mark.parametrize("label", ["utf-8", "shift_jis", "iso-8859-1", "euc-jp"])
def test_iso_2022_jp_under_another_label(label: str) -> None:
    assert decode(jis(VENDOR), label) == VENDOR


def test_a_carriers_emoji_that_no_table_has_costs_that_character_only() -> None:
    assert decode(b'\x1b$B$"uA$$\x1b(B', "iso-2022-jp") == "あ〓い"


def test_a_line_ends_the_japanese_mode_that_nobody_ended() -> None:
    assert decode(b'\x1b$B$"\r\nplain', "iso-2022-jp") == "あ\r\nplain"


def test_jis_x_0212_and_0213() -> None:
    assert decode(b"\x1b$(D0)\x1b(B", "iso-2022-jp-1") == b"\x8f\xb0\xa9".decode("euc_jp")
    assert decode(b'\x1b$(Q$"\x1b(B', "iso-2022-jp-2004") == "あ"


@pytest.mark.parametrize("label", ["shift_jis", "Shift-JIS", "x-sjis", "windows-31j", "cp932"])
def test_shift_jis_means_cp932(label: str) -> None:
    assert decode(VENDOR.encode("cp932"), label) == VENDOR


def test_euc_jp_with_vendor_rows() -> None:
    assert decode(b"\xad\xa1\xc6\xfc\xcb\xdc", "euc-jp") == "①日本"
    assert decode("日本語".encode("euc_jp"), "EUC-JP") == "日本語"
    assert decode(b"\x8e\xb6\x8e\xc5\xad\xa1", "euc-jp") == "ｶﾅ①"


@pytest.mark.parametrize("label", ["iso-8859-1", "shift_jis", "euc-jp", "us-ascii", "gb2312", "x"])
def test_utf_8_under_another_label(label: str) -> None:
    assert decode("見積りの件".encode(), label) == "見積りの件"


@pytest.mark.parametrize(
    ("label", "text", "codec"),
    [
        ("iso-8859-1", "smart “quotes” €", "cp1252"),
        ("gb2312", "朱镕基", "gbk"),
        ("ks_c_5601-1987", "똠방각하", "cp949"),
        ("windows-874", "สวัสดี", "cp874"),
        ("koi8-r", "привет", "koi8-r"),
        ("utf-7", "日本", "utf-7"),
        ("utf-16", "日本", "utf-16"),
        ("big5", "繁體", "big5"),
    ],
)
def test_other_charsets(label: str, text: str, codec: str) -> None:
    assert decode(text.encode(codec), label) == text


@pytest.mark.parametrize(
    "label",
    [
        *"idna punycode unicode_escape base64 zlib rot13 undefined unknown-8bit".split(),
        *("x-user-defined", "", "\0", "utf-8\r\n", "../../etc/passwd", "x" * 10_000),
    ],
)
def test_what_is_no_charset_is_not_asked(label: str) -> None:
    assert decode("日本 \\x41".encode(), label) == "日本 \\x41"


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
def test_raw_headers_without_a_label(codec: str) -> None:
    text = "Re: 先日のお見積りについて"
    assert decode_raw(text.encode(codec)) == text


def test_raw_euc_jp_with_vendor_rows() -> None:
    assert decode_raw("見積書".encode("euc_jp") + b"\xad\xa1") == "見積書①"


@pytest.mark.parametrize("text", ["Straße 5", "Équipe", "Übersicht Öl", "España ¡Hola!"])
def test_single_half_width_kana_are_latin_letters(text: str) -> None:
    assert decode_raw(text.encode("latin-1")) == text
    assert decode_raw("ﾃｽﾄ No.5".encode("cp932")) == "ﾃｽﾄ No.5"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Réunion",
            "Très urgent",
            "Détails du séjour",
            "école",
            "Größe",
            "Grüße",
            "Noël",
            "naïve",
        ),
        *("Jürgen Schäfer", "Bestätigung der Lieferung", "Informações", "Señor Núñez"),
        *("It\u2019s done", "Don\u2019t forget", "you\u2019ll see", "J\u2019ai reçu la réponse"),
        *("Kærlig hilsen", "Son équipe", "5\u20ac de réduction", "No\xa0de référence"),
    ],
)
def test_latin_letters_that_would_be_rare_kanji(text: str) -> None:
    assert decode_raw(text.encode("cp1252")) == text


def test_no_kanji_beside_latin_letters_is_taken_for_one_of_them() -> None:
    """One alone, and next to others, each of those that cp932 has."""
    for row in range(0x4E00, 0x9FA1):
        for text in ("A%s", "%sx", "a%s b", "Dr.%s ABC", "%sさんのPC"):
            said = text % chr(row)
            try:
                raw = said.encode("cp932")
            except UnicodeError:
                break
            assert decode_raw(raw) == said


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("koi8-r", "Счёт на оплату"),
        ("windows-1251", "Счёт на оплату"),
        ("gb2312", "关于报价"),
        ("big5", "關於會議"),
        ("euc-kr", "한국어 견적"),
        ("iso-8859-1", "Größe"),
        ("shift_jis", "㈱ﾃｽﾄ①"),
        ("euc-jp", "お見積り"),
    ],
)
def test_a_raw_header_is_in_the_charset_of_its_body(charset: str, text: str) -> None:
    codec = "cp932" if charset == "shift_jis" else charset
    assert decode_header(text.encode(codec), charset) == text
    assert decode_header(text.encode(), charset) == text  # but UTF-8 is UTF-8


@pytest.mark.parametrize("charset", ["", "utf-8", "iso-2022-jp", "us-ascii", "big5", "nonsense"])
def test_a_raw_header_in_another_charset_than_its_body(charset: str) -> None:
    text = "お見積りの件、よろしくお願いします"
    assert decode_header(text.encode("cp932"), charset) == text
    assert decode_header(jis(VENDOR), charset) == VENDOR


def test_a_character_cut_in_two_costs_that_character_only() -> None:
    assert decode("見積り".encode()[:-1], "utf-8") == "見積\ufffd"


def test_raw_text_that_a_limit_cuts_in_the_middle_of_a_character() -> None:
    for cut in (1, 2):
        assert decode_raw(("主" * 100).encode()[:-cut]) == "主" * 99 + "\ufffd"
    assert decode_raw("ﾃｽﾄ".encode("cp932")) == "ﾃｽﾄ"
    assert decode_raw(b"caf\xe9") == "café"


PIECES = st.sampled_from(
    rb"\x1b \x1b$ \x1b$B \x1b( \x1b(B \x1b(I \x1b$(D \x1b&@ \x0e \x0f $ -! \r\n \xff \xe3\x81\x82"
    rb" \x82\xa0 \xa4\xa2 \x8f\xa2 \x00".decode("unicode_escape")
    .encode("latin-1")
    .split(b" ")
)
LABELS = st.sampled_from("utf-8 cp932 iso-2022-jp euc-jp us-ascii utf-7 utf-16 hz gb2312 x".split())


@settings(deadline=None)  # the first guess imports the detector
@given(st.binary(max_size=300) | st.lists(PIECES, max_size=20).map(b"".join), LABELS | st.text())
def test_nothing_raises(data: bytes, label: str) -> None:
    assert isinstance(decode(data, label, guess=True), str)
    assert isinstance(decode_raw(data, guess=True), str)
    assert isinstance(decode_header(data, label), str)


@pytest.mark.parametrize("label", ["", "iso-2022-jp", "utf-8"])
def test_an_escape_that_is_none_between_raw_octets(label: str) -> None:
    assert "é" in decode("é\x1b$ é\x1b(é".encode(), label)


@given(st.text(max_size=200))
def test_clean_is_one_storable_line(text: str) -> None:
    cleaned = clean(text + "\r\nX-Evil: 1\0\x1b[2J\u2028\u202e\ud800")
    cleaned.encode("utf-8")
    assert len(cleaned.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in cleaned)


def test_storable_keeps_what_a_database_takes() -> None:
    assert storable("a\r\n\tb") == "a\r\n\tb"
    assert storable("a\0b\udcff") == "a\ufffdb\ufffd"


JIS = st.sampled_from(
    rb"""\x1b$B|\x1b(B|\x1b$@|\x1b(J|\x1b(I|\x1b$(D|\x1b|\r\n|\n|\r|\0|\x0e|\x0f|\x7f|\x80
    |abc| |!A|-!|8+|$"|"$!]|\\~|!!""".decode("unicode_escape")
    .encode("latin-1")
    .split(b"|")
)


@given(st.lists(JIS, max_size=14).map(b"".join))
def test_pythons_codec_is_asked_only_where_it_agrees(data: bytes) -> None:
    """It is ten times as fast, and takes some escapes and line ends for something else."""
    assert charsets._iso2022jp(data) == charsets._iso2022jp_by_runs(data)
