"""Files into a store: batches, running twice, conflicts asked about, mail linked late, export."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from crmstore import recordbulk, records, schema, users
from crmstore.imports import apply
from crmstore.imports.apply import Importer, Told, Totals
from crmstore.imports.csvfile import CsvFile
from crmstore.imports.encoding import text_lines
from crmstore.imports.exporting import Lost, export_csv, export_vcards
from crmstore.imports.plan import Conflict
from crmstore.imports.scratch import Scratch
from crmstore.imports.vcard import VcardFile
from crmstore.store import Store, StoreUnavailable, next_ids
from tests.conftest import blank, migrate


def mail_with(store: Store, *addresses: str) -> int:
    """A stored message that these took part in, as far as linking looks at one."""
    with store.writing() as connection:
        id_ = next_ids(connection, "messages", 1)[0]
        message = blank(schema.messages, id=id_, sha256=f"{id_:064x}", when_us=1_000 + id_)
        connection.execute(insert(schema.messages).values(message))
        for number, address in enumerate(addresses):
            there = {
                "message_id": id_,
                "id": number,
                "role": "to",
                "address": address,
                "when_us": 1_000 + id_,
            }
            row = blank(schema.participants, **there, evidence="to header")
            connection.execute(insert(schema.participants).values(row))
        return id_


def links(store: Store) -> set[tuple[int, int, str]]:
    with store.reading() as connection:
        column = schema.links.c
        rows = connection.execute(select(column.message_id, column.record_id, column.evidence))
        return {(row.message_id, row.record_id, row.evidence) for row in rows}


def run(
    store: Store,
    *texts: str,
    tell: Callable[[Told], None] = lambda told: None,
    **how: Any,
) -> Totals:
    with Scratch() as scratch:
        importer = Importer(store, scratch, tell, domains=["ours.example"], **how)
        for number, text in enumerate(texts):
            importer.take(number, CsvFile(text.splitlines(keepends=True)))
        return importer.finish()


def figures(totals: Totals) -> tuple[int, int, int, int, int, int]:
    """new, changed, same, duplicates, refused, conflicts"""
    return (
        totals.new,
        totals.changed,
        totals.same,
        totals.duplicates,
        totals.refused,
        totals.conflicts,
    )


def everybody(store: Store) -> list[tuple[str, str, str, tuple[str, ...], int | None]]:
    found = records.listing(store, limit=1_000)
    return [(r.kind, r.name, r.state, r.addresses, r.main_contact) for r in found]


PEOPLE = """kind,name,state,e-mail,e-mail 2,main contact
deal,Renewal,open,,,taro@x.example
contact,Taro,open,taro@x.example,t2@x.example,
lead,Hanako,,hanako@y.example,,
contact,Nobody,closed,,,
"""


def test_running_twice_changes_nothing_more(store: Store) -> None:
    assert figures(run(store, PEOPLE)) == (4, 0, 0, 0, 0, 0)
    before = everybody(store)
    assert before == [
        ("contact", "Taro", "open", ("taro@x.example", "t2@x.example"), None),
        ("lead", "Hanako", "open", ("hanako@y.example",), None),
        ("contact", "Nobody", "closed", (), None),
        ("deal", "Renewal", "open", (), 1),  # stood before its contact in the file
    ]
    for choice in ("ask", "file", "store"):
        assert figures(run(store, PEOPLE, choice=choice)) == (0, 0, 4, 0, 0, 0)
    assert everybody(store) == before


def test_a_dry_run_says_the_same_and_writes_nothing(store: Store) -> None:
    assert figures(run(store, PEOPLE, dry_run=True)) == (4, 0, 0, 0, 0, 0)
    assert everybody(store) == []


TWO_OF_A_NAME = """name,e-mail
Same,s1@x.example
Same,s2@x.example
same,
Other,s1@x.example; s2@x.example
"""


def test_the_second_of_two_rows_is_a_duplicate_in_every_call(store: Store) -> None:
    """Also where by now the store has several that it may be."""
    for _ in range(2):
        assert figures(run(store, TWO_OF_A_NAME, dry_run=True))[3:] == (2, 0, 0)
        assert figures(run(store, TWO_OF_A_NAME))[3:] == (2, 0, 0)
    deals = "kind,name,main contact\ndeal,Late,s1@x.example\ndeal,late,\n"
    assert figures(run(store, deals)) == (1, 0, 0, 1, 0, 0)  # the first is not written yet


ANOTHER = """kind,name,e-mail,main contact
deal,Renewal,deal@x.example,new@x.example
contact,New,new@x.example,
deal,Other,,new@x.example
deal,None,,none@x.example
"""


def test_a_dry_run_knows_the_contacts_that_are_to_come(store: Store) -> None:
    run(store, ANOTHER.replace("new@", "old@"))
    for choice, expected in (("ask", (2, 0, 0, 0, 1, 1)), ("file", (2, 1, 0, 0, 1, 0))):
        looked = run(store, ANOTHER, choice=choice, dry_run=True)
        assert figures(looked) == expected
    written = run(store, ANOTHER, choice="file")
    assert figures(written) == expected


@pytest.mark.slow
def test_batches_of_any_size_come_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PEOPLE + (
        "contact,Taro,,TARO@x.example,,\n"  # again
        "contact,T,,t2@x.example,third@x.example,\n"  # by its second address
        "contact,nobody,,,,\n"
        "deal,RENEWAL,,,,taro@x.example\n"
        "deal,Renewal,,,,hanako@y.example\n"
        "deal,Lost,,,,nobody@x.example\n"
    )
    for size in (1, 2, 3, 100):
        monkeypatch.setattr(apply, "BATCH", size)
        store = Store(tmp_path / f"{size}.db")
        migrate(store)
        told: list[Told] = []
        assert figures(run(store, text, tell=told.append)) == (5, 0, 0, 4, 1, 0)
        assert sorted((t.place.line, t.remark.code) for t in told) == [
            (6, "duplicate"),
            (7, "duplicate"),
            (8, "duplicate"),
            (9, "duplicate"),
            (11, "contact_unknown"),
        ]
        assert len(everybody(store)) == 5


def test_the_same_key_in_a_second_file_is_told_with_the_first(store: Store) -> None:
    told: list[Told] = []
    assert figures(run(store, PEOPLE, PEOPLE, tell=told.append)) == (4, 0, 0, 4, 0, 0)
    assert {(t.place.file, t.grade) for t in told} == {(1, "duplicate")}
    assert {(t.place.line, t.remark.values["line"]) for t in told} == {(i, i) for i in range(2, 6)}


def test_conflicts_by_choice(store: Store) -> None:
    run(store, PEOPLE)
    text = (
        "kind,name,state,e-mail\ncontact,Taro Y.,closed,taro@x.example\nlead,New,,new@x.example\n"
    )
    told: list[Told] = []
    assert figures(run(store, text, choice="ask", tell=told.append)) == (1, 0, 0, 0, 0, 1)
    assert [(t.grade, t.remark.values["field"]) for t in told] == [
        ("conflict", "name"),
        ("conflict", "state"),
    ]
    assert everybody(store)[0][1:3] == ("Taro", "open")
    totals = run(store, text, choice="store")
    assert (figures(totals), totals.kept) == ((0, 0, 2, 0, 0, 0), 2)
    assert figures(run(store, text, choice="file")) == (0, 1, 1, 0, 0, 0)
    assert everybody(store)[0][1:3] == ("Taro Y.", "closed")


def test_nobody_is_asked_inside_a_transaction_and_answers_are_checked_again(store: Store) -> None:
    run(store, PEOPLE)
    asked: list[Conflict] = []

    def ask(conflict: Conflict) -> bool:
        asked.append(conflict)
        if len(asked) == 1:
            # somebody else changes the same record meanwhile; this would wait for ever
            records.change(store, 1, name="Taro Z.")
        return True

    text = "kind,name,e-mail\ncontact,Taro Y.,taro@x.example\n"
    assert figures(run(store, text, choice="ask", ask=ask)) == (0, 1, 0, 0, 0, 0)
    assert [conflict.store for conflict in asked] == ["Taro", "Taro Z."]
    assert everybody(store)[0][1] == "Taro Y."


def test_addresses_of_ours_are_refused(store: Store) -> None:
    users.add(store, "me@home.example")
    text = (
        "kind,name,email,main contact\n"
        "contact,A,a@ours.example,\n"
        "contact,B,me@home.example,\n"
        "deal,D,d@x.example; a@ours.example,c@x.example\n"  # waits for C, and is told of once
        "contact,C,c@x.example; a@ours.example,\n"
    )
    told: list[Told] = []
    totals = run(store, text, tell=told.append)
    assert figures(totals) == (2, 0, 0, 0, 2, 0)
    assert totals.notes == {"address_ours": 2}
    assert [(t.place.line, t.grade, t.remark.code) for t in told] == [
        (2, "refused", "address_ours"),
        (3, "refused", "address_ours"),
        (5, "note", "address_ours"),
        (4, "note", "address_ours"),
    ]
    # a user made since then is seen by the next batch
    users.add(store, "c@x.example")
    assert run(store, "name,email\nE,c@x.example\n").refused == 1


@pytest.mark.parametrize("bulk", [True, False])
def test_mail_that_came_before_is_linked_as_by_record_add(store: Store, bulk: bool) -> None:
    first = mail_with(store, "taro@x.example", "secret@x.example")
    second = mail_with(store, "t2@x.example", "hanako@y.example")
    never = {"secret@x.example": "secret@*"}.get
    if bulk:
        text = "kind,name,email,main contact\ncontact,Taro,taro@x.example; secret@x.example,\n"
        run(store, text, never=never)
        run(store, "kind,name,email\ncontact,Taro,taro@x.example; t2@x.example\n", never=never)
        run(store, "kind,name,main contact\ndeal,Renewal,taro@x.example\n", never=never)
    else:
        emails = ["taro@x.example", "secret@x.example"]
        records.add(store, "contact", "Taro", emails=emails, never=never)
        records.change(store, 1, add_emails=["t2@x.example"], never=never)
        records.add(store, "deal", "Renewal", main_contact=1, never=never)
    assert links(store) == {
        (first, 1, "to header"),
        (second, 1, "to header"),
        (first, 2, "main contact 1: to header"),
        (second, 2, "main contact 1: to header"),
    }


def test_what_a_contact_gains_links_its_open_deals(store: Store) -> None:
    run(store, PEOPLE)
    mail = mail_with(store, "t3@x.example")
    totals = run(store, "kind,name,email\ncontact,Taro,taro@x.example; t3@x.example\n")
    assert (totals.changed, totals.linked) == (1, 2)
    assert {(m, r) for m, r, _ in links(store)} == {(mail, 1), (mail, 4)}


def test_a_deal_that_opens_again_or_gets_another_contact_is_linked(store: Store) -> None:
    run(store, PEOPLE)
    deal = 4
    records.change(store, deal, state="closed", add_emails=["deal@x.example"])
    mail_with(store, "taro@x.example")
    mail_with(store, "hanako@y.example")
    row = "kind,name,state,email,main contact\ndeal,Renewal,{},deal@x.example,{}\n"
    totals = run(store, row.format("open", "taro@x.example"), choice="file")
    assert (totals.changed, totals.linked) == (1, 1)
    totals = run(store, row.format("open", "hanako@y.example"), choice="file")
    assert (totals.changed, totals.linked) == (1, 1)
    assert records.show(store, deal).main_contact == 2
    # and back: the row of deal_contacts is there already
    run(store, row.format("open", "taro@x.example"), choice="file")
    assert records.show(store, deal).main_contact == 1


def test_names_are_found_among_records_of_any_age(store: Store) -> None:
    for n in range(3):
        records.add(store, "contact", f"Person {n}")
    told: list[Told] = []
    text = "name\nＰＥＲＳＯＮ 1\nPerson 9\nperson 9\n"
    assert figures(run(store, text, tell=told.append)) == (1, 0, 1, 1, 0, 0)
    records.change(store, 4, name="Another")
    assert figures(run(store, "name\nPerson 9\n")) == (1, 0, 0, 0, 0, 0)


def test_memory_is_that_of_a_batch(store: Store) -> None:
    """The rows are taken as they come: never more than a batch ahead of the store."""
    ahead: list[int] = []

    def lines() -> Iterator[str]:
        yield "name,email\n"
        for n in range(3 * apply.BATCH):
            if n % apply.BATCH == 0:
                with store.reading() as connection:
                    held = recordbulk.names(connection, "contact", 0)
                    ahead.append(n - sum(1 for _ in held))
            yield f"Person {n},p{n}@x.example\n"

    with Scratch() as scratch:
        importer = Importer(store, scratch, lambda told: None)
        importer.take(0, CsvFile(lines()))
        assert importer.finish().new == 3 * apply.BATCH
    assert ahead == [0, 0, 0]


# The way out and back

WAYS: tuple[Literal["csv", "4.0", "3.0"], ...] = ("csv", "4.0", "3.0")
# Few of each, so that many share a name, an address, a contact: a store may have such records.
NAMES = st.sampled_from(["Taro", "taro", "=@山田", "a;b,c", "Acme"])
EMAILS = st.lists(
    st.sampled_from([f"=a.{n}.@x.example" for n in range(7)]), max_size=7, unique=True
)
PERSON = st.tuples(st.sampled_from(["lead", "contact"]), NAMES, EMAILS, NAMES | st.just(""))
ABOUT = st.tuples(
    st.sampled_from([("deal", ""), ("general", "quote"), ("general", "invoice")]),
    NAMES,
    EMAILS,
    NAMES | st.just(""),
    st.integers(0, 5),
)
STATES = st.sampled_from(["open", "closed"])


def whole(store: Store) -> list[tuple[Any, ...]]:
    """All that a file has of the records, in its order, without the numbers of those whom nothing
    points at."""
    found = records.listing(store, limit=1_000)
    people = [r for r in found if r.kind in ("contact", "lead")]
    others = [r for r in found if r not in people]
    numbers = {r.id: number for number, r in enumerate(people)} | {None: None}

    def row(r: records.Record) -> tuple[Any, ...]:
        words = (r.kind, r.type, r.name, r.company, r.state, r.addresses)
        return (*words, numbers[r.main_contact])

    return [*map(row, people), *map(row, others)]


def read_again(store: Store, data: bytes, way: str, **how: Any) -> tuple[Totals, list[Told]]:
    rows = CsvFile(text_lines([data], "utf-8-sig")) if way == "csv" else VcardFile([data])
    told: list[Told] = []
    with Scratch() as scratch:
        importer = Importer(store, scratch, told.append, **how)
        importer.take(0, rows)
        return importer.finish(), [one for one in told if one.grade != "note"]


def written(store: Store, way: Literal["csv", "4.0", "3.0"], lost: list[Lost]) -> bytes:
    if way == "csv":
        return b"".join(export_csv(store, None, lost.append))
    return b"".join(export_vcards(store, None, lost.append, version=way))


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(PERSON, STATES), max_size=6),
    st.lists(st.tuples(ABOUT, STATES), max_size=5),
    st.sampled_from(WAYS),
    st.sampled_from([1, 2, 100]),
)
def test_export_and_import_give_the_same_store(
    tmp_path_factory: pytest.TempPathFactory,
    people: Sequence,
    others: Sequence,
    way: Literal["csv", "4.0", "3.0"],
    batch: int,
) -> None:
    folder = tmp_path_factory.mktemp("way")
    one, other = Store(folder / "one.db"), Store(folder / "other.db")
    migrate(one)
    migrate(other)
    for (kind, name, emails, company), state in people:
        records.add(one, kind, name, emails=emails, company=company, state=state)
    for ((kind, type_), name, emails, company, which), state in others:
        contact = 1 + which % len(people) if people and (kind == "deal" or which) else None
        if kind == "deal" and contact is None:
            continue
        words = {"type": type_, "company": company, "state": state}
        records.add(one, kind, name, emails=emails, main_contact=contact, **words)
    lost: list[Lost] = []
    data = written(one, way, lost)
    assert lost == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "BATCH", batch)
        before = whole(one)
        count = len(before)
        dry, told = read_again(other, data, way, dry_run=True)
        assert (figures(dry), told) == ((count, 0, 0, 0, 0, 0), [])
        first, told = read_again(other, data, way)
        assert (figures(first), told) == ((count, 0, 0, 0, 0, 0), [])
        assert whole(other) == before
        for store in (other, one):  # where all of it is already
            again, told = read_again(store, data, way)
            assert (figures(again), told) == ((0, 0, count, 0, 0, 0), [])
            assert whole(store) == before


@pytest.mark.parametrize("way", WAYS)
def test_two_records_with_one_key_come_back_as_two(
    store: Store, tmp_path: Path, way: Literal["csv", "4.0", "3.0"]
) -> None:
    for _ in range(2):
        records.add(store, "contact", "Taro", emails=["info@x.example"])
        records.add(store, "contact", "Bare")
    for contact in (3, 2, 4):
        records.add(store, "deal", "Renewal", main_contact=contact)
    records.add(store, "general", "12", type="quote", main_contact=3, company="Acme")
    records.add(store, "general", "12", type="invoice", main_contact=3, emails=["info@x.example"])
    lost: list[Lost] = []
    data = written(store, way, lost)
    assert lost == []
    other = Store(tmp_path / "other.db")
    migrate(other)
    totals, told = read_again(other, data, way)
    assert (figures(totals), told) == ((9, 0, 0, 0, 0, 0), [])
    assert whole(other) == whole(store)
    other.close()


def test_a_row_that_the_store_won_is_not_somebody_else(store: Store, tmp_path: Path) -> None:
    """Two of one address come into a store that has the second of them."""
    for name in ("Taro", "Jiro"):
        records.add(store, "contact", name, emails=["info@x.example"])
    records.add(store, "deal", "Renewal", main_contact=1)
    data = written(store, "csv", [])
    other = Store(tmp_path / "other.db")
    migrate(other)
    records.add(other, "contact", "Jiro", emails=["info@x.example"])
    totals, _ = read_again(other, data, "csv", choice="store")
    assert (figures(totals), totals.kept) == ((1, 0, 2, 0, 0, 0), 1)
    assert [(name, contact) for _, name, _, _, contact in everybody(other)] == [
        ("Jiro", None),
        ("Renewal", 1),
    ]
    other.close()


def test_a_mark_means_nothing_where_the_key_says_otherwise(store: Store) -> None:
    """A mark finds no record that the rule of the documents would not, whoever wrote it."""
    records.add(store, "contact", "Taro", emails=["taro@x.example"])
    mark = next(one.mark for one, _ in recordbulk.stream(store, None))
    text = f"kind,name,e-mail,Mailweir ID\ncontact,Jiro,jiro@x.example,{mark}\n"
    assert figures(run(store, text)) == (1, 0, 0, 0, 0, 0)
    # and a row copied in a spreadsheet is not two records of one key
    text += f"contact,Jiro,jiro@x.example,{mark}\n"
    assert figures(run(store, text)) == (0, 0, 1, 1, 0, 0)
    # nor is one without a mark, or with that of another program
    text += "contact,Jiro,jiro@x.example,\ncontact,Jiro,jiro@x.example,zcrm_17\n"
    assert figures(run(store, text)) == (0, 0, 1, 3, 0, 0)


def test_another_contact_written_into_our_file_is_the_one(store: Store) -> None:
    """The marks are old by then: what a person has written counts."""
    records.add(store, "contact", "Taro", emails=["taro@x.example"])
    records.add(store, "contact", "Hanako", emails=["hanako@x.example"])
    records.add(store, "deal", "Renewal", main_contact=1)
    data = written(store, "csv", [])
    edited = data.replace(b"deal,Renewal,open,taro@", b"deal,Renewal,open,hanako@")
    assert edited != data
    # a deal is known by its name and its contact: this is another customer's
    totals, told = read_again(store, edited, "csv")
    assert (figures(totals), told) == ((1, 0, 2, 0, 0, 0), [])
    assert [(name, contact) for *_, name, _, _, contact in everybody(store) if contact] == [
        ("Renewal", 1),
        ("Renewal", 2),
    ]


def test_general_records_are_told_apart_by_type_and_name(store: Store) -> None:
    text = (
        "kind,type,name,e-mail,main contact,company\n"
        "general,quote,12,info@x.example,taro@x.example,Acme\n"
        "general,invoice,12,info@x.example,taro@x.example,Acme\n"
        "general,invoice,13,info@x.example,,\n"
        "general,invoice,13,info@x.example,,\n"
        "contact,,Taro,taro@x.example,,\n"
    )
    assert figures(run(store, text)) == (4, 0, 0, 1, 0, 0)
    assert {(r.type, r.name, r.company, r.main_contact) for r in records.listing(store)} == {
        ("", "Taro", "", None),
        ("quote", "12", "Acme", 1),
        ("invoice", "12", "Acme", 1),
        ("invoice", "13", "", None),
    }


def test_cp932_replaces_what_it_does_not_have_and_says_so(store: Store) -> None:
    records.add(store, "contact", "髙橋〜①")  # all of it has a place in cp932
    records.add(store, "contact", "𠮷野 한")
    lost: list[Lost] = []
    data = b"".join(export_csv(store, None, lost.append, encoding="cp932", lang="ja"))
    assert lost == [Lost(2, "𠮷野 한", "characters")]
    text = data.decode("cp932")
    assert "髙橋～①" in text
    assert "?野 ?" in text


def test_a_contact_without_address_cannot_be_exported_and_is_told(store: Store) -> None:
    records.add(store, "contact", "Bare")
    records.add(store, "deal", "Renewal", main_contact=1)
    lost: list[Lost] = []
    list(export_vcards(store, "deal", lost.append))
    assert lost == [Lost(2, "Renewal", "contact")]


def test_export_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordbulk, "PAGE", 2)
    for n in range(5):
        records.add(store, "lead" if n % 2 else "contact", f"n{n}", emails=[f"a{n}@x.example"])
    records.add(store, "deal", "d", main_contact=1)
    found = [one.name for one, _ in recordbulk.stream(store, None)]
    assert found == ["n0", "n1", "n2", "n3", "n4", "d"]
    assert [one.name for one, _ in recordbulk.stream(store, "lead")] == ["n1", "n3"]
    (contact,) = (contact for _, contact in recordbulk.stream(store, "deal"))
    assert contact is not None
    assert contact.addresses == ("a0@x.example",)


def test_a_full_disk_under_the_import_is_told_as_the_stores(store: Store) -> None:
    with Scratch() as scratch:
        scratch._db.execute("PRAGMA max_page_count = 5")
        importer = Importer(store, scratch, lambda told: None)
        text = "name,email\n" + "".join(f"n{n},a{n}@x.example\n" for n in range(2_000))
        with pytest.raises(StoreUnavailable, match="temporary file"):
            importer.take(0, CsvFile(text.splitlines(keepends=True)))
    assert everybody(store) == []
