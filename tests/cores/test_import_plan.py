"""What becomes of a row, by what the store has: the duplicate rule and the conflict rule."""

import pytest

from crmstore import records
from crmstore.addresses import MAX_OWNED
from crmstore.brief import Brief
from crmstore.imports import check
from crmstore.imports.addresscheck import check_cell
from crmstore.imports.check import Wanted, prepare
from crmstore.imports.plan import Choice, Decision, Known, decide
from crmstore.imports.rows import Place, Row
from crmstore.imports.terms import compose_name, folded_name, state_of
from crmstore.kinds import kind_of

HERE = Place(0, 2)
TARO = Brief(1, "contact", "山田 太郎", "open", ("taro@x.example",), None)
BARE = Brief(2, "contact", "Bob Smith", "open", (), None)
UNNAMED = Brief(3, "contact", "info@y.example", "open", ("info@y.example",), None)
LEAD = Brief(4, "lead", "Taro", "open", ("taro@x.example",), None)
DEAL = Brief(5, "deal", "Renewal", "open", (), 1)
TWIN = Brief(6, "contact", "Twin", "open", ("twin@x.example",), None)
TWIN2 = Brief(7, "contact", "Twin Two", "open", ("twin@x.example", "two@x.example"), None)
ALL = (TARO, BARE, UNNAMED, LEAD, DEAL, TWIN, TWIN2)


def known(*found: Brief, ours: tuple[str, ...] = ()) -> Known:
    by_address: dict[str, list[int]] = {}
    by_name: dict[tuple[str, str], list[int]] = {}
    for one in found:
        by_name.setdefault((one.kind, folded_name(one.name)), []).append(one.id)
        for address in one.addresses:
            by_address.setdefault(address, []).append(one.id)
    return Known({one.id: one for one in found}, by_address, by_name, frozenset(ours))


def person(name: str, *addresses: str, kind: str = "contact", state: str = "") -> Wanted:
    return Wanted(HERE, kind, name, addresses, state)


def deal(name: str, contact: str = "", state: str = "") -> Wanted:
    return Wanted(HERE, "deal", name, (), state, contact)


def decided(wanted: Wanted, *, choice: Choice = "ask", having: Known | None = None) -> Decision:
    return decide(wanted, having or known(*ALL), choice, {})


@pytest.mark.parametrize("choice", ["ask", "file", "store"])
def test_a_key_that_nobody_has_is_new_and_never_a_conflict(choice: Choice) -> None:
    found = decided(person("Hanako", "hanako@x.example", state="closed"), choice=choice)
    assert (found.verdict, found.name, found.state) == ("new", "Hanako", "closed")
    # the same name with another address is another person
    found = decided(person("山田 太郎", "other@x.example"), choice=choice)
    assert (found.verdict, found.record) == ("new", 0)


@pytest.mark.parametrize("choice", ["ask", "file", "store"])
@pytest.mark.parametrize(
    "wanted",
    [
        person("山田 太郎", "taro@x.example"),
        person("山田　太郎", "taro@x.example"),  # another space is not another name
        person("", "taro@x.example"),
        person("taro@x.example", "taro@x.example"),
        person("ＢＯＢ SMITH"),
        person("info@y.example", "info@y.example"),
        deal("renewal", "taro@x.example", "open"),
        deal("RENEWAL"),
    ],
)
def test_the_same(choice: Choice, wanted: Wanted) -> None:
    assert decided(wanted, choice=choice).verdict == "same"


@pytest.mark.parametrize("choice", ["ask", "file", "store"])
def test_what_was_empty_is_filled_without_asking(choice: Choice) -> None:
    found = decided(person("", "taro@x.example", "t2@x.example"), choice=choice)
    assert (found.verdict, found.record, found.addresses) == ("change", 1, ("t2@x.example",))
    found = decided(person("Information", "info@y.example"), choice=choice)
    assert (found.verdict, found.record, found.name) == ("change", 3, "Information")


def test_a_conflict_is_decided_by_choice() -> None:
    wanted = person("Taro Y.", "taro@x.example", "t2@x.example", state="closed")
    asked = decided(wanted)
    assert asked.verdict == "conflict"
    assert [(c.record, c.field, c.file, c.store) for c in asked.conflicts] == [
        (1, "name", "Taro Y.", "山田 太郎"),
        (1, "state", "closed", "open"),
    ]
    file = decided(wanted, choice="file")
    assert (file.verdict, file.name, file.state) == ("change", "Taro Y.", "closed")
    store = decided(wanted, choice="store")
    assert (store.verdict, store.name, store.state, store.kept) == ("change", "", "", 2)
    assert store.addresses == ("t2@x.example",)  # an address more is no conflict
    name, state = asked.conflicts
    mixed = decide(wanted, known(*ALL), "ask", {name: False, state: True})
    assert (mixed.verdict, mixed.name, mixed.state, mixed.kept) == ("change", "", "closed", 1)


def test_an_answer_holds_only_for_what_was_asked() -> None:
    wanted = person("Taro Y.", "taro@x.example")
    (conflict,) = decided(wanted).conflicts
    renamed = known(TARO._replace(name="Yamada Taro"))
    assert decide(wanted, renamed, "ask", {conflict: True}).verdict == "conflict"


def test_the_key_counts_within_the_kind() -> None:
    assert decided(person("Taro", "taro@x.example", kind="lead")).record == 4
    assert decided(person("Somebody", "info@y.example", kind="lead")).verdict == "new"


def test_several_with_the_address_are_told_apart_by_the_name_or_refused() -> None:
    assert decided(person("twin two", "twin@x.example")).record == 7
    assert decided(person("twin", "twin@x.example")).record == 6
    for wanted in (
        person("Somebody", "twin@x.example"),
        person("", "twin@x.example"),
        person("Taro", "taro@x.example", "info@y.example"),
    ):
        found = decided(wanted)
        assert (found.verdict, found.remarks[0].code) == ("refused", "several_records")


def test_several_with_the_name_and_no_address() -> None:
    other = BARE._replace(id=8, addresses=("bob@x.example",))
    assert decided(person("Bob Smith"), having=known(BARE, other)).record == 2
    assert decided(person("Bob Smith"), having=known(other)).record == 8
    two = known(BARE, BARE._replace(id=9))
    assert decided(person("Bob Smith"), having=two).verdict == "refused"


def test_deals_are_known_by_name_and_contact() -> None:
    assert decided(deal("Renewal", "info@y.example")).verdict == "new"
    found = decided(deal("Renewal", "taro@x.example", "closed"), choice="file")
    assert (found.record, found.state) == (5, "closed")
    assert decided(deal("Another")).remarks[0].code == "deal_without_contact"
    assert decided(deal("Another", "nobody@x.example")).verdict == "wait"
    # the contact rather than the lead of the same address
    assert decided(deal("Another", "taro@x.example")).contact == 1
    assert decided(deal("Another", "twin@x.example")).verdict == "refused"
    orphan = known(TARO, DEAL._replace(contact=None))
    assert decided(deal("Renewal", "taro@x.example"), having=orphan).contact == 1


def test_another_contact_of_a_deal_with_its_own_address_is_a_conflict() -> None:
    own = DEAL._replace(addresses=("deal@y.example",))
    wanted = Wanted(HERE, "deal", "Renewal", ("deal@y.example",), "", "info@y.example")
    having = known(TARO, UNNAMED, own)
    (conflict,) = decided(wanted, having=having).conflicts
    assert (conflict.file, conflict.store) == ("info@y.example", "taro@x.example")
    assert decided(wanted, having=having, choice="file").contact == 3


def test_our_own_addresses_key_nothing() -> None:
    having = known(*ALL, ours=("me@ours.example",))
    found = decided(person("Me", "me@ours.example"), having=having)
    assert (found.verdict, [r.code for r in found.remarks]) == ("refused", ["address_ours"])
    found = decided(person("Me", "me@ours.example", "me@home.example"), having=having)
    assert (found.verdict, found.addresses) == ("new", ("me@home.example",))
    assert [(r.code, r.refused) for r in found.remarks] == [("address_ours", False)]
    assert decided(deal("Us", "me@ours.example"), having=having).verdict == "refused"


# Rows by themselves


def prepared(row: Row, kind: str = "contact") -> tuple[Wanted | None, list[str]]:
    wanted, remarks = prepare(row, 0, (kind, ""), check_cell)
    return wanted, [remark.code for remark in remarks]


def test_a_row_is_cleaned_and_what_is_odd_is_told() -> None:
    wanted, codes = prepared(
        Row(2, "Taro", ("Taro@X.example", "nonsense", "taro@x.example"), "見込み客", "謎", "Acme")
    )
    assert wanted == Wanted(HERE, "lead", "Taro", ("taro@x.example",), company="Acme")
    assert codes == ["state_unknown", "address_refused"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (Row(2), "no_name"),
        (Row(2, "　"), "no_name"),
        (Row(2, "x", ("nonsense",)), "no_good_address"),
        (Row(2, "x", (), "宇宙人"), "kind_unknown"),
        (Row(2, "x", (), "deal", "", "", "nonsense"), "no_contact_address"),
        (
            Row(2, "x", tuple(f"a{i}@x.example" for i in range(MAX_OWNED + 1))),
            "too_many_addresses",
        ),
    ],
)
def test_rows_that_are_refused(row: Row, code: str) -> None:
    wanted, codes = prepared(row)
    assert wanted is None
    assert codes[-1] == code


def test_a_company_is_the_name_where_there_is_no_other() -> None:
    wanted, codes = prepared(Row(2, "", ("info@x.example",), company="髙島屋"))
    assert wanted is not None
    assert (wanted.name, codes) == ("髙島屋", [])


def test_the_contact_column_of_people_is_their_address() -> None:
    row = Row(2, "Taro", contact="taro@x.example")
    wanted, _ = prepared(row)
    assert wanted is not None
    assert (wanted.addresses, wanted.contact) == (("taro@x.example",), "")
    wanted, _ = prepared(row, "deal")
    assert wanted is not None
    assert (wanted.addresses, wanted.contact) == ((), "taro@x.example")


def test_a_row_that_says_no_kind_is_of_the_kind_of_its_list() -> None:
    row = Row(2, "Renewal", contact="taro@x.example", hint="deal")
    for said, meant in (("", "deal"), ("contact", "contact")):  # a person's word is stronger
        wanted, _ = prepared(row, said)
        assert wanted is not None
        assert wanted.kind == meant
    wanted, _ = prepared(Row(2, "x"), "")
    assert wanted is not None
    assert wanted.kind == "contact"


def test_limits_are_those_of_records() -> None:
    assert check.MAX_NAME == records.MAX_NAME
    wanted, codes = prepared(Row(2, "x" * 600))
    assert wanted is not None
    assert (len(wanted.name), codes) == (check.MAX_NAME, ["name_cut"])


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Contacts", ("contact", "")),
        ("ﾘｰﾄﾞ", ("lead", "")),
        ("商談", ("deal", "")),
        ("LEAD", ("lead", "")),
        ("請求書", ("general", "invoice")),
        ("Purchase Orders", ("general", "purchase_order")),
        ("general", ("general", "")),
        ("宇宙人", ("", "")),
    ],
)
def test_words_for_kinds(word: str, kind: tuple[str, str]) -> None:
    assert kind_of(word) == kind


def test_a_general_record_is_known_by_type_and_name() -> None:
    quote = Brief(1, "general", "Q-12", "open", ("taro@x.example",), None, "quote")
    invoice = Brief(2, "general", "Q-12", "open", ("taro@x.example",), None, "invoice")
    wanted = Wanted(HERE, "general", "q-12", ("taro@x.example",), type="quote")
    assert decided(wanted, having=known(quote, invoice)).record == 1
    other = wanted._replace(name="Q-13")
    assert decided(other, having=known(quote, invoice)).verdict == "new"


@pytest.mark.parametrize(("choice", "company"), [("file", "Acme"), ("store", ""), ("ask", "")])
def test_a_company_is_a_field_like_others(choice: Choice, company: str) -> None:
    wanted = Wanted(HERE, "contact", "", ("taro@x.example",), company="Acme")
    assert decided(wanted, choice=choice, having=known(TARO)).company == "Acme"
    having = known(TARO._replace(company="Umbrella"))
    found = decided(wanted, choice=choice, having=having)
    assert (found.company, len(found.conflicts)) == (company, int(choice == "ask"))


@pytest.mark.parametrize(
    ("word", "state"),
    [("Closed Won", "closed"), ("失注", "closed"), ("open", "open"), ("提案", "open"), ("CA", "")],
)
def test_words_for_states(word: str, state: str) -> None:
    assert state_of(word) == state


def test_names_stand_in_the_order_of_their_script() -> None:
    assert compose_name("山田", "太郎") == "山田 太郎"
    assert compose_name("Yamada", "Taro", "J.") == "Taro J. Yamada"
    assert compose_name("", "Taro") == "Taro"
