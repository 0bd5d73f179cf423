"""What we write, other programs read, and we read back to the same."""

import csv
import io
from typing import Literal

import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st

from crmstore import addresses
from crmstore.brief import Brief
from crmstore.charsets import clean
from crmstore.imports.csvfile import CsvFile
from crmstore.imports.csvout import csv_header, csv_line, csv_row
from crmstore.imports.encoding import text_lines
from crmstore.imports.rows import Row
from crmstore.imports.vcard import VcardFile
from crmstore.imports.vcardout import FOLD_AT, vcard

# As the store has them: cleaned, stripped, not empty.
NAMES = st.text(max_size=90).map(lambda text: clean(text).strip()).filter(bool)
TRICKY = st.sampled_from(
    ["=1+1", "'=x", "''@y", "-", "＝", 'a"b', "a;b,c\\n", "\\", "山" * 80, "a\tb"]
)
ADDRESSES = st.from_regex(r"\A[a-z0-9.=+'-]{1,12}@[a-z]{1,9}\.example\Z").filter(
    lambda address: addresses.key(address) == address
)
WORDS = NAMES | TRICKY.map(lambda text: clean(text).strip())
RECORDS = st.builds(
    Brief,
    st.just(1),
    st.sampled_from(["lead", "contact", "deal", "general"]),
    WORDS,
    st.sampled_from(["open", "closed"]),
    st.lists(ADDRESSES, max_size=7, unique=True).map(tuple),
    st.none(),
    st.sampled_from(["", "quote", "service contract"]),
    st.just("") | WORDS,
)
CONTACTS = st.none() | st.builds(
    Brief,
    st.integers(1, 10**9),
    st.just("contact"),
    st.just("Taro"),
    st.just("open"),
    st.lists(ADDRESSES, max_size=2, unique=True).map(tuple),
    st.none(),
    created_us=st.integers(0, 2**60),
)


def named(contact: Brief | None) -> tuple[str, str]:
    """How a file says who a main contact is."""
    if contact is None:
        return "", ""
    return (contact.addresses[0] if contact.addresses else ""), contact.mark


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(st.tuples(RECORDS, CONTACTS), max_size=5),
    st.sampled_from(["en", "ja"]),
    st.integers(1, 5),
)
def test_csv_comes_back_the_same(
    found: list[tuple[Brief, Brief | None]], lang: Literal["en", "ja"], columns: int
) -> None:
    text = csv_header(columns, lang)
    text += "".join(csv_row(one, contact, columns) for one, contact in found)
    file = CsvFile(text_lines([b"\xef\xbb\xbf" + text.encode()], "utf-8-sig"))
    assert file.unknown == ()
    rows = [row for row in file if isinstance(row, Row)]
    assert len(rows) == len(found)
    for row, (one, contact) in zip(rows, found, strict=True):
        assert (row.kind, row.name, row.state) == one[1:4]
        assert (row.contact, row.contact_mark, row.mark) == (*named(contact), one.mark)
        assert (row.type, row.company) == (one.type, one.company)
        assert "; ".join(row.addresses) == "; ".join(one.addresses)
        assert row.remarks == ()


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(RECORDS, CONTACTS), max_size=3), st.sampled_from(["4.0", "3.0"]))
def test_vcards_come_back_the_same(
    found: list[tuple[Brief, Brief | None]], version: Literal["4.0", "3.0"]
) -> None:
    data = "".join(vcard(one, contact, version) for one, contact in found).encode()
    assert all(len(line) <= FOLD_AT for line in data.split(b"\r\n"))
    for line in data.split(b"\r\n"):
        line.decode()  # no character is cut in two
    rows = [row for row in VcardFile([data]) if isinstance(row, Row)]
    assert len(rows) == len(found)
    for row, (one, contact) in zip(rows, found, strict=True):
        assert (row.kind, row.name) == (one.kind, one.name)
        assert (row.contact, row.contact_mark, row.mark) == (*named(contact), one.mark)
        assert (row.type, row.company) == (one.type, one.company)
        assert (row.state or "open") == one.state
        assert row.addresses == one.addresses


@pytest.mark.slow
@settings(deadline=None)
@given(RECORDS)
def test_another_reader_reads_our_vcard_as_we_meant_it(record: Brief) -> None:
    (card,) = vobject.readComponents(vcard(record, None, "3.0"))
    assert card.version.value == "3.0"
    assert card.fn.value == record.name
    assert card.n.value.family == record.name
    assert [one.value for one in card.contents.get("email", [])] == list(record.addresses)
    assert card.contents["x-mailweir-kind"][0].value == record.kind
    assert card.uid.value == record.mark


@given(st.lists(st.text(max_size=20), min_size=2, max_size=6))
def test_another_reader_reads_our_csv(cells: list[str]) -> None:
    cells = [cell.replace("\0", "") for cell in cells]
    (read,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in cells]


def test_no_cell_is_a_formula() -> None:
    one = Brief(1, "contact", '=HYPERLINK("http://x")', "open", ("+a@x.example",), None, "", "@c")
    line = csv_row(one, Brief(2, "contact", "x", "open", ("@a",), None), 1)
    start = 'contact,"\'=HYPERLINK(""http://x"")",open,\'@a,\'@c,,\'+a@x.example'
    assert line == f"{start},mw1-0,mw2-0\r\n"


def test_more_addresses_than_columns_stand_in_the_last() -> None:
    mine = tuple(f"a{i}@x.example" for i in range(4))
    line = csv_row(Brief(1, "contact", "x", "open", mine, None), None, 2)
    assert line.endswith(',a0@x.example,"a1@x.example; a2@x.example; a3@x.example",mw1-0,\r\n')
