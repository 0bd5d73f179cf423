"""Rows of CSV files: headers of the programs that people export from, and what goes wrong."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.imports import csvfile
from crmstore.imports.csvfile import CsvFile
from crmstore.imports.guard import guarded, unguarded
from crmstore.imports.rows import Remark, Row, Unreadable


def read(text: str, delimiter: str | None = None) -> CsvFile:
    return CsvFile(text.splitlines(keepends=True), delimiter)


def rows(text: str) -> list[Row]:
    return [row for row in read(text) if isinstance(row, Row)]


def refusals(text: str) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in read(text) if isinstance(item, Remark)]


@pytest.mark.parametrize(
    ("header", "line", "name", "addresses"),
    [
        # Outlook
        (
            "First Name,Middle Name,Last Name,Company,E-mail Address,E-mail 2 Address",
            "Taro,,Yamada,Acme,taro@x.example,t2@x.example",
            "Taro Yamada",
            ("taro@x.example", "t2@x.example"),
        ),
        (
            "姓,ミドル ネーム,名,会社名,電子メール 2 アドレス,電子メール アドレス",
            "山田,,太郎,髙島屋,t2@x.example,taro@x.example",
            "山田 太郎",
            ("taro@x.example", "t2@x.example"),
        ),
        # Google, both forms
        (
            "Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Value",
            "Taro Y,Taro,Yamada,* Work,taro@x.example,t2@x.example",
            "Taro Y",
            ("taro@x.example", "t2@x.example"),
        ),
        (
            "First Name,Last Name,Organization Name,E-mail 1 - Label,E-mail 1 - Value",
            "太郎,山田,,,taro@x.example",
            "山田 太郎",
            ("taro@x.example",),
        ),
        # Thunderbird
        (
            "名,姓,表示名,ニックネーム,メールアドレス,追加メールアドレス",
            "太郎,山田,山田さん,,taro@x.example,t2@x.example",
            "山田さん",
            ("taro@x.example", "t2@x.example"),
        ),
        # Zoho CRM
        (
            "見込み客名,会社,メール,セカンダリメール,ステータス",
            "山田 太郎,,taro@x.example,,",
            "山田 太郎",
            ("taro@x.example",),
        ),
        # by hand
        ("氏名;メール１", "山田;taro@x.example", "山田", ("taro@x.example",)),
        ("Ｅメール\t名前", "taro@x.example\t山田", "山田", ("taro@x.example",)),
        ("連絡先名|mail", "山田|taro@x.example", "山田", ("taro@x.example",)),
        (
            "サブメール,メール,お名前",
            "b@x.example,a@x.example,山",
            "山",
            ("a@x.example", "b@x.example"),
        ),
    ],
)
def test_headers_of_programs(header: str, line: str, name: str, addresses: tuple[str, ...]) -> None:
    (row,) = rows(f"{header}\n{line}\n")
    assert (row.line, row.name, row.addresses) == (2, name, addresses)


def test_deals_have_a_contact_and_a_state() -> None:
    file = read("商談名,ステージ,連絡先名,連絡先メール,種別\n更新,成約,山田,a@x.example,商談\n")
    assert list(file) == [Row(2, "更新", (), "商談", "成約", "", "a@x.example", hint="deal")]
    assert file.unknown == ("連絡先名",)  # the name of the contact is not the deal's


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("Deal Name,Stage,Contact Email,Account Name", "deal"),  # Zoho CRM's deals
        ("Potential Name,Stage", "deal"),
        ("案件名,担当者メール", "deal"),
        ("見込み客名,会社,メール", "lead"),
        ("Lead Name,Email", "lead"),
        ("氏名,商談名,メール", ""),  # people, and what they are asked about
        ("商談名,姓,名,メール", ""),
        ("Contact Name,Email", ""),
    ],
)
def test_the_header_of_the_names_tells_the_kind(header: str, hint: str) -> None:
    assert read(header + "\n").columns.hint == hint


def test_columns_that_nothing_is_taken_from_are_told() -> None:
    file = read("name,Phone,email,電話,name\nx,1,a@x.example,2,y\n")
    assert file.unknown == ("Phone", "電話", "name")


def test_excel_says_its_delimiter_in_a_line_of_its_own() -> None:
    file = read('sep=;\nname;email\n"a; b";a@x.example\n')
    assert file.delimiter == ";"
    assert [(row.line, row.name) for row in file if isinstance(row, Row)] == [(3, "a; b")]


def test_a_comma_in_a_name_is_no_delimiter() -> None:
    assert read("name;email\n").delimiter == ";"
    assert read("name, first;email\n", ";").columns.emails == (1,)


@pytest.mark.parametrize("text", ["", "\n\n", "x,y,z\n1,2,3\n", "電話\n", "a@x.example,Bob\n"])
def test_a_file_without_a_header_that_we_know_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_more_columns_than_any_list_has() -> None:
    with pytest.raises(Unreadable) as refused:
        read("name," + ",".join("x" * 600) + "\n")
    assert refused.value.code == "too_many_columns"


def test_cells_with_line_breaks_quotes_and_formulas() -> None:
    text = 'name,email\n"Yamada\nTaro ""T""",a@x.example\n\'=1+1,b@x.example\n\'n,c@x.example\n'
    found = rows(text)
    assert [(row.line, row.name) for row in found] == [
        (2, 'Yamada Taro "T"'),
        (4, "=1+1"),
        (5, "'n"),
    ]


def test_a_wrong_number_of_cells() -> None:
    text = (
        "name,email,phone,notes\n"
        "a,a@x.example,1,2,\n"  # only empty ones more
        "b,b@x.example,1,2,Tokyo\n"
        "c,c@x.example\n"  # Excel leaves empty ones at the end out
        "the rest of a note\n"
        "\n"
        ",,,\n"
        "d,d@x.example,,\n"
    )
    items = list(read(text))
    assert [(item.line, getattr(item, "code", "row")) for item in items] == [
        (2, "row"),
        (3, "too_many_cells"),
        (4, "row"),
        (5, "too_few_cells"),
        (8, "row"),
    ]
    short = items[2]
    assert isinstance(short, Row)
    assert [remark.code for remark in short.remarks] == ["short_row"]


def test_one_broken_quote_costs_its_own_row_only() -> None:
    text = 'name,email\n"a,a@x.example\nb,b@x.example\n"c" x,c@x.example\nd,d@x.example\n'
    assert refusals(text) == [(2, "quotes"), (4, "quotes")]
    assert [(row.line, row.name) for row in rows(text)] == [(3, "b"), (5, "d")]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file() -> None:
    good = [f"n{i},a{i}@x.example\n" for i in range(3 * csvfile.MAX_LINES)]
    text = 'name,email\n"open,x@x.example\n' + "".join(good)
    assert refusals(text) == [(2, "row_too_long")]
    assert [row.line for row in rows(text)] == list(range(3, 3 + len(good)))


def test_limits_of_rows_and_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusals("name,email\n" + "x" * 40_000 + ",a@x.example\n") == [(2, "cell_too_long")]
    assert refusals("name,email\n" + "x" * 200_000 + ",a@x.example\n") == [(2, "row_too_long")]
    monkeypatch.setattr(csvfile, "MAX_ROWS", 2)
    text = "name\na\nb\nc\nd\n"
    assert [row.name for row in rows(text)] == ["a", "b"]
    assert refusals(text) == [(4, "too_many_rows")]
    assert refusals("name\na\nb\n") == []


def test_bytes_that_do_not_belong_refuse_their_row() -> None:
    lines = ["name,email\n", "caf\udcff,a@x.example\n", "b,b@x.example\n"]
    items = list(CsvFile(lines))
    assert [getattr(item, "code", "row") for item in items] == ["bad_bytes", "row"]
    with pytest.raises(Unreadable):
        CsvFile(["name,ema\udcffil\n"])


@given(st.text())
def test_guarding_is_undone_exactly_and_leaves_no_formula(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert guarded(cell)[:1] not in tuple("=+-@\t\r＝＋－＠")


@given(st.lists(st.text("abc,;\"\n\r'= 山\t@", max_size=30), max_size=8), st.sampled_from(",;\t|"))
def test_nothing_raises_and_every_row_has_a_line_of_the_file(
    lines: list[str], delimiter: str
) -> None:
    text: Iterable[str] = [f"name{delimiter}email\n", *(f"{line}\n" for line in lines)]
    text = "".join(text).replace("\r", "\n").splitlines(keepends=True)
    before = 1
    for item in CsvFile(text):
        assert before < item.line <= len(text)
        before = item.line
