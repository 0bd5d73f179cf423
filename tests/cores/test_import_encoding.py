"""The encoding of a file of records: found on the whole file, or not guessed; its lines."""

from collections.abc import Iterator

import pytest

from crmstore.imports.encoding import Guess, guess, has_bad_bytes, text_lines
from crmstore.imports.rows import Unreadable

TEXT = "氏名,会社\r\n髙橋 一郎,㈱山田①\r\nﾃｽﾄ 二郎,表示\r\n"
PLAIN = TEXT.replace("髙", "高").replace("㈱", "").replace("①", "").replace("ﾃｽﾄ", "試験")


def pieces(data: bytes, size: int = 3) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("data", "encoding", "sure"),
    [
        (b"name,email\n", "utf-8-sig", True),
        (TEXT.encode(), "utf-8-sig", True),
        (TEXT.encode("utf-8-sig"), "utf-8-sig", True),
        (TEXT.encode("utf-16"), "utf-16", True),
        (TEXT.encode("utf-16-le"), "utf-16-le", True),
        (TEXT.encode("utf-16-be"), "utf-16-be", True),
        (TEXT.encode("cp932"), "cp932", False),
        (PLAIN.encode("euc-jp"), "euc-jp", False),
        (PLAIN.encode("iso-2022-jp"), "iso-2022-jp", True),
        (b"", "utf-8-sig", True),
    ],
)
def test_it_is_found_however_the_file_is_cut(data: bytes, encoding: str, sure: bool) -> None:
    for size in (1, 2, 7, 1_000):
        assert guess(pieces(data, size)) == Guess(encoding, sure)
    if data:
        wanted = (PLAIN if encoding in ("euc-jp", "iso-2022-jp") else TEXT).replace("\r\n", "\n")
        if encoding == "utf-8-sig" and data.isascii():
            wanted = "name,email\n"
        assert "".join(text_lines(pieces(data), encoding)) == wanted


@pytest.mark.parametrize("codec", ["utf-8-sig", "cp932"])
def test_a_stray_nul_makes_no_utf_16(codec: str) -> None:
    data = "氏名,会社\n髙橋\0一郎,㈱山田①\n".encode(codec)
    found = guess([data])
    assert found is not None and found.encoding == codec
    assert guess([b"name,email\nNul\0Byte,a@x.example\n"]) == Guess("utf-8-sig", True)


def test_japanese_behind_a_megabyte_of_ascii_is_seen() -> None:
    data = b"a@x.example,plain\n" * 60_000 + TEXT.encode("cp932")
    assert guess(pieces(data, 65_536)) == Guess("cp932", False)


def test_what_fits_nothing_is_not_guessed() -> None:
    assert guess([TEXT.encode("cp932"), "é,ü".encode("latin-1")]) is None
    assert guess([b"caf\xe9,x\n"]) is None


def test_vendor_characters_of_euc_are_read() -> None:
    nec = "会社".encode("euc-jp") + b"\xad\xa1\n"  # row 13: a circled one
    assert list(text_lines([nec], "euc-jp")) == ["会社①\n"]


def test_bytes_of_another_encoding_are_marked_in_their_line() -> None:
    data = "良い,a\n".encode() + b"caf\xe9,b\n" + "良い,c\n".encode()
    assert [has_bad_bytes(line) for line in text_lines(pieces(data), "utf-8-sig")] == [
        False,
        True,
        False,
    ]
    jis = b"\x1b$B0[\x1b(B ok\n\x1b$B~~\x1b(B\n"
    assert [has_bad_bytes(line) for line in text_lines([jis], "iso-2022-jp")] == [False, True]
    geta = "〓,a\n".encode("iso2022_jp")  # somebody wrote the mark itself
    assert [*text_lines([geta], "iso-2022-jp")] == ["〓,a\n"]
    assert has_bad_bytes("".join(text_lines([b"a\0b\0c"], "utf-16-le")))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_line_end_is_one(end: str, size: int) -> None:
    data = f"a{end}b{end}{end}c".encode()
    assert list(text_lines(pieces(data, size), "utf-8-sig")) == ["a\n", "b\n", "\n", "c"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "euc-jp"])
def test_a_line_without_end_is_refused_in_bounded_memory(encoding: str) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    with pytest.raises(Unreadable) as refused:
        list(text_lines(endless(), encoding))
    assert refused.value.code == "line_too_long"
