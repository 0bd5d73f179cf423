"""Rules of users: once each, in order, gone with their user; seen as a change of people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.targets import parse_pattern
from crmstore import capturerules, records, relink, schema, users
from crmstore.personal import MAX_PATTERN, PersonalRules, Wanted, wanted
from crmstore.recordview import NoSuchRecord
from crmstore.store import Store

NEWS = Wanted("from", "*@news.example")
BOB = Wanted("from", "bob@x.example")
PRIVATE = Wanted("folder", "Private")


@pytest.fixture
def alice(store: Store) -> str:
    return users.add(store, "alice@ours.example").login


def test_a_rule_is_there_once_and_changes_people(store: Store, alice: str) -> None:
    before = users.version(store)
    asked = [(NEWS, "first"), (BOB, ""), (NEWS, "again")]
    assert capturerules.add(store, alice, asked, origin="gmail") == [
        (1, True),
        (2, True),
        (1, True),
    ]
    assert users.version(store) == before + 1
    assert capturerules.add(store, alice, [(PRIVATE, ""), (BOB, "x")]) == [(3, True), (2, False)]
    assert capturerules.add(store, alice, [(BOB, "")]) == [(2, False)]
    assert users.version(store) == before + 2
    listed = capturerules.listing(store)
    assert [(r.id, r.user, r.field, r.pattern, r.origin, r.words) for r in listed] == [
        (1, alice, "from", "*@news.example", "gmail", "first"),
        (2, alice, "from", "bob@x.example", "gmail", ""),
        (3, alice, "folder", "Private", "hand", ""),
    ]
    assert [r.id for r in capturerules.listing(store, alice, after=1, limit=1)] == [2]


def test_the_same_rule_of_two_users_is_two(store: Store, alice: str) -> None:
    users.add(store, "carol@ours.example")
    capturerules.add(store, alice, [(NEWS, "")])
    assert capturerules.add(store, "carol@ours.example", [(NEWS, "")]) == [(2, True)]
    assert [r.id for r in capturerules.listing(store, "carol@ours.example")] == [2]
    assert capturerules.there(store, alice) == {NEWS}


def test_removed_ones_never_come_back(store: Store, alice: str) -> None:
    capturerules.add(store, alice, [(NEWS, ""), (BOB, "")])
    before = users.version(store)
    assert capturerules.remove(store, [2, 9, 2]) == [2]
    assert users.version(store) == before + 1
    assert capturerules.remove(store, [9]) == [] and users.version(store) == before + 1
    assert capturerules.add(store, alice, [(BOB, "")]) == [(3, True)]


def test_too_many_and_nobody(store: Store, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturerules, "MOST", 2)
    capturerules.add(store, alice, [(NEWS, ""), (BOB, "")])
    with pytest.raises(capturerules.TooMany):
        capturerules.add(store, alice, [(PRIVATE, ""), (BOB, "")])
    assert capturerules.there(store, alice) == {NEWS, BOB}
    with pytest.raises(users.NoSuchUser):
        capturerules.add(store, "nobody@ours.example", [(BOB, "")])


def test_who_is_disabled_keeps_them_or_not(store: Store, alice: str) -> None:
    users.add(store, "carol@ours.example")
    for login in (alice, "carol@ours.example"):
        capturerules.add(store, login, [(NEWS, "")])
    users.set_enabled(store, alice, False)
    assert capturerules.there(store, alice) == {NEWS}
    users.set_enabled(store, alice, False, drop_rules=True)
    assert capturerules.there(store, alice) == set()
    assert capturerules.there(store, "carol@ours.example") == {NEWS}


def test_a_rule_goes_with_its_user(store: Store, alice: str) -> None:
    capturerules.add(store, alice, [(NEWS, "")])
    with store.writing() as connection:
        connection.execute(schema.users.delete())
    assert capturerules.listing(store) == []


# What a rule means


@pytest.mark.parametrize(
    ("field", "pattern", "kept"),
    [
        ("from", " News@X.example ", "news@x.example"),
        ("to", "*@*.x.example", "*@*.x.example"),
        ("folder", " Privé/é ", "Privé/é"),
        ("from", "x.example", None),
        ("from", "*@*", None),
        ("from", "a b@x.example", None),
        ("to", "a@" + "x" * 400, None),
        ("folder", "", None),
        ("folder", "a\nb", None),
        ("folder", "x" * (MAX_PATTERN + 1), None),
        ("subject", "a@x.example", None),
    ],
)
def test_the_form_of_a_rule(field: str, pattern: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(ValueError):
            wanted(field, pattern)
    else:
        assert wanted(field, pattern) == Wanted(field, kept)  # type: ignore[arg-type]


def test_what_is_hit() -> None:
    rules = PersonalRules(
        [
            (1, Wanted("from", "bob@x.example")),
            (2, Wanted("from", "*@news.example")),
            (3, Wanted("from", "*@*.news.example")),
            (4, Wanted("to", "list-*@y.example")),
            (5, Wanted("folder", "Private")),
        ]
    )
    for writers, readers, mailbox, hit in [
        (["bob@x.example"], [], "", 1),
        (["ann@x.example", "ann@news.example"], [], "", 2),
        (["ann@a.b.news.example"], [], "", 3),
        (["ann@oldnews.example"], [], "", None),
        ([], ["bob@x.example"], "", None),
        ([], ["list-a@y.example"], "INBOX", 4),
        ([], [], "Private", 5),
        ([], [], "INBOX.Private", 5),
        ([], [], "INBOX/Private", 5),
        ([], [], "Private/Sub", None),
        ([], [], "private", None),
        ([], [], "", None),
    ]:
        assert rules.hit(writers, readers, mailbox) == hit, (writers, readers, mailbox)


def test_onto_which_records() -> None:
    rules = PersonalRules(
        [
            (1, Wanted("from", "bob@x.example", 10)),
            (2, Wanted("from", "*@x.example", 20)),
            (3, Wanted("from", "*@*.x.example", 10)),
            (4, Wanted("to", "*@x.example", 30)),
            (5, Wanted("folder", "Clients/Acme", 10)),
            (6, Wanted("from", "bob@x.example", 20)),
            (7, Wanted("from", "out@x.example")),
        ]
    )
    for writers, readers, mailbox, rule_ids in [
        (["bob@x.example"], [], "", [1, 2, 6]),
        (["ann@a.b.x.example"], [], "", [3]),
        (["ann@x.example", "bob@x.example"], ["c@x.example"], "", [1, 2, 4, 6]),
        ([], ["bob@x.example"], "INBOX.Clients/Acme", [4, 5]),
        (["out@x.example"], [], "", [2]),
        (["x.example", "@x.example", "bob@y.example"], [], "Clients", [2]),
        ([], [], "", []),
    ]:
        found = rules.filed(writers, readers, [mailbox])
        assert [one.rule for one in found] == rule_ids, (writers, readers, mailbox)
    assert [one.record for one in rules.filed(["bob@x.example"], [], [])] == [10, 20, 20]
    assert rules.filed([], [], ["Clients/Acme"])[0].evidence == "rule 5: in folder Clients/Acme"
    assert rules.hit(["out@x.example"], [], "") == 7
    assert rules.hit(["bob@x.example"], ["bob@x.example"], "Clients/Acme") is None
    assert rules.files and not PersonalRules([(7, Wanted("from", "out@x.example"))]).files


def test_a_rule_onto_a_record(store: Store, alice: str) -> None:
    records.add(store, "contact", "Bob")
    onto = NEWS._replace(record=1)
    assert capturerules.would(store, alice, [NEWS, onto]) == [True, True]
    asked = [(NEWS, ""), (onto, ""), (onto, "")]
    assert capturerules.add(store, alice, asked) == [(1, True), (2, True), (2, True)]
    assert capturerules.would(store, alice, [NEWS, onto, BOB]) == [False, False, True]
    listed = capturerules.listing(store)
    assert [(r.id, r.record, r.kind, r.name) for r in listed] == [
        (1, None, None, None), (2, 1, "contact", "Bob"),
    ]  # fmt: skip
    for ask in (
        lambda: capturerules.add(store, alice, [(BOB, ""), (BOB._replace(record=9), "")]),
        lambda: capturerules.would(store, alice, [BOB._replace(record=9)]),
    ):
        with pytest.raises(NoSuchRecord, match="no record 9"):
            ask()
    assert capturerules.there(store, alice) == {NEWS, onto}


def test_whom_no_rule_onto_a_record_can_be_about(store: Store, alice: str) -> None:
    users.add(store, "dan@ours.example", emails=["dan@private.example"])
    relink.agree(store, ["ours.example"], "keep")
    mine = {alice, "nobody@ours.example", "*@ours.example", "a*@ours.example"}
    mine.add("dan@private.example")
    others = {"bob@x.example", "*@private.example", "*@*.ours.example", "d*@private.example"}
    assert capturerules.keyless(store, mine | others) == mine


parts = st.text("ab*.", min_size=1, max_size=5)


@given(parts, parts, st.text("ab.", min_size=1, max_size=6), st.text("ab.", min_size=1, max_size=6))
def test_it_is_hit_as_the_pattern_says(local: str, domain: str, name: str, host: str) -> None:
    try:
        rule = wanted("from", f"{local}@{domain}")
    except ValueError:
        return
    hit = PersonalRules([(7, rule)]).hit([f"{name}@{host}"], [], "")
    assert (hit == 7) == parse_pattern(rule.pattern).matches(f"{name}@{host}")
