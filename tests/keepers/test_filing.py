"""Rules of users that put mail onto records: what is attached, for whom, and when it goes again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from crmstore import capturerules, message, records, relink, users
from crmstore.explain import explain
from crmstore.personal import Wanted, wanted
from crmstore.search import Wanted as Sought
from crmstore.search import search
from tests.paths.office import Office, opened

ALICE, CAROL = "alice@ours.example", "carol@ours.example"
BOB, ANN, EVE = "bob@acme.example", "ann@eu.acme.example", "eve@else.example"
ACME, OTHER = 1, 2


def people(made: Office) -> None:
    for login in (ALICE, CAROL):
        made.user(login)
    relink.agree(made.store, ["ours.example"], "keep")
    for name in ("Acme", "Other"):
        records.add(made.store, "general", name)


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    with opened(tmp_path, store_url, people) as made:
        yield made


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Office]:
    """On SQLite, for what no engine can change."""
    with opened(tmp_path, "sqlite", people) as made:
        yield made


def letter(subject: str, frm: str, to: str, more: str = "") -> bytes:
    return f"From: {frm}\r\nTo: {to}\r\n{more}Subject: {subject}\r\n\r\n{subject}\r\n".encode()


def mail(office: Office, word: str) -> None:
    """Each of these once; `word` tells them from others."""
    mx, sub, imap = (office.door(f"mx-{word}", "inbound"), office.door(f"sub-{word}"),
                     office.imap(f"imap-{word}"))  # fmt: skip

    def came(subject: str, frm: str, *to: str, more: str = "") -> None:
        mx.mail(letter(f"{subject} {word}", frm, ", ".join(to), more), sender=frm, to=to)

    def went(subject: str, to: str, *bcc: str) -> None:
        body = letter(f"{subject} {word}", ALICE, to)
        sub.mail(body, auth=ALICE, sender=ALICE, to=[to, *bcc])

    came("in", BOB, ALICE)
    came("both", BOB, ALICE, CAROL)
    came("theirs", BOB, CAROL)
    came("below", ANN, ALICE)
    came("copied", EVE, ALICE, more=f"Cc: {CAROL}\r\n")
    came("answer", EVE, ALICE, more=f"Reply-To: {BOB}\r\n")
    went("out", BOB)
    went("secret", EVE, BOB)
    imap.seen(letter(f"filed {word}", EVE, ALICE), mailbox="Clients/Acme", special="", uid=1)
    office.take()


def rule(office: Office, *asked: Wanted, who: str = ALICE, run: bool = True) -> list[int]:
    done = capturerules.add(office.store, who, [(one, "") for one in asked])
    if run:
        relink.run(office.store)
    return [id_ for id_, _ in done]


def again(office: Office, user: int = 1) -> None:
    """All of a user's mail is looked at once more."""
    with office.store.writing() as connection:
        relink.file(connection, user, [Wanted("folder", "any", ACME)])
    relink.run(office.store)


def attached(office: Office) -> list[tuple[str, int, str, str]]:
    """Subject, record, whose, by which rule."""
    return sorted(
        (subject, record, owner, evidence)
        for subject, record, owner, evidence in office.query(
            "SELECT m.subject, l.record_id, l.address, l.evidence FROM links l"
            " JOIN messages m ON m.id = l.message_id WHERE l.role = 'rule'"
        )
    )


def subjects(office: Office) -> list[str]:
    return [subject for subject, *_ in attached(office)]


def test_what_is_attached_of_mail_that_is_there_and_of_new_mail(office: Office) -> None:
    """Each rule onto a record of its own."""
    mail(office, "old")
    expected = []
    for number, (field, pattern, onto) in enumerate(
        [
            ("from", BOB, ["both", "in"]),
            ("from", "*@acme.example", ["both", "in"]),
            ("from", "*@*.acme.example", ["below"]),
            ("from", "b*@*acme.example", ["both", "in"]),
            ("to", "*@acme.example", ["out", "secret"]),
            ("to", BOB, ["out", "secret"]),
            ("folder", "Clients/Acme", ["filed"]),
            ("folder", "Acme", []),
            # nobody of ours keys a record
            ("from", ALICE, []),
            ("to", CAROL, []),
            ("to", "*@ours.example", []),
        ],
        1,
    ):
        record = records.add(office.store, "general", f"record {number}").id
        rule(office, wanted(field, pattern, record))
        where = {"from": "from", "to": "to", "folder": "in folder"}[field]
        evidence = f"rule {number}: {where} {pattern}"
        expected += [
            (f"{one} {word}", record, ALICE, evidence) for one in onto for word in ("old", "new")
        ]
    mail(office, "new")
    assert attached(office) == sorted(expected)
    again(office)  # what the rules say of what is there is what ingest said of it
    assert attached(office) == sorted(expected)


def test_several_rules(office: Office) -> None:
    mail(office, "old")
    rule(office, Wanted("from", "*@acme.example", ACME), Wanted("from", BOB, ACME),
         Wanted("from", BOB, OTHER))  # fmt: skip
    rule(office, Wanted("from", BOB, ACME), who=CAROL)
    mail(office, "new")
    first, third, fourth = ("rule 1: from *@acme.example", f"rule 3: from {BOB}",
                            f"rule 4: from {BOB}")  # fmt: skip
    assert attached(office) == sorted(
        line
        for word in ("old", "new")
        for line in [
            *((f"{one} {word}", ACME, ALICE, first) for one in ("in", "both")),
            *((f"{one} {word}", OTHER, ALICE, third) for one in ("in", "both")),
            *((f"{one} {word}", ACME, CAROL, fourth) for one in ("theirs", "both")),
        ]
    )


def test_what_leaves_mail_out_is_stronger(plain: Office) -> None:
    rule(plain, Wanted("from", "*@acme.example", ACME), Wanted("from", BOB))
    mail(plain, "one")
    assert attached(plain) == []
    capturerules.remove(plain.store, [2])
    users.set_enabled(plain.store, ALICE, False)
    mail(plain, "two")
    assert attached(plain) == []
    users.set_enabled(plain.store, ALICE, True)
    mail(plain, "three")
    assert subjects(plain) == ["both three", "in three"]


@pytest.mark.parametrize(
    ("capture", "onto"),
    [({"mode": "observe"}, []), ({"never": ["bob@*"]}, []), ({"never": ["eve@*"]}, ["both", "in"])],
)
def test_what_is_not_captured_is_not_attached(
    plain: Office, capture: dict[str, Any], onto: list[str]
) -> None:
    plain.settings = Settings.model_validate({**plain.tables, "capture": capture})
    rule(plain, Wanted("from", "*@acme.example", ACME))
    mail(plain, "new")
    assert subjects(plain) == [f"{one} new" for one in onto]


def test_it_is_shown_to_its_user_alone(office: Office) -> None:
    rule(office, Wanted("from", "*@acme.example", ACME), Wanted("to", BOB, ACME))
    mail(office, "new")
    store = office.store
    mine = ["both new", "in new", "out new", "secret new"]
    for viewer, seen in ((None, mine), (ALICE, mine), (CAROL, []), (BOB, [])):
        on_page = office.rows(record=ACME, viewer=viewer)
        assert sorted(row["subject"] for row in on_page) == seen, viewer
        found = search(store, "new", Sought(record=ACME), viewer=viewer).rows
        assert sorted(row["subject"] for row in found) == seen, viewer
        named = [row["subject"] for row in office.rows(viewer=viewer) if row["records"]]
        assert sorted(named) == seen, viewer
    (shared,) = (row["id"] for row in office.rows(viewer=CAROL) if row["subject"] == "both new")
    assert message.email(store, shared, viewer=CAROL)["links"] == []
    assert explain(store, shared, viewer=CAROL)["links"] == []
    assert "rule" not in str(message.email(store, shared, viewer=CAROL))
    rule(office, Wanted("from", BOB, OTHER), who=CAROL)
    assert [link["record"] for link in message.email(store, shared, viewer=CAROL)["links"]] == [2]
    assert [link["record"] for link in message.email(store, shared)["links"]] == [ACME, OTHER]
    users.set_enabled(store, ALICE, False)
    assert office.rows(record=ACME, viewer=ALICE) == []


def test_explain_says_which_rule(plain: Office) -> None:
    bob = plain.contact(BOB)
    rule(plain, Wanted("from", "*@acme.example", ACME))
    mail(plain, "new")
    (row,) = (row for row in plain.rows() if row["subject"] == "in new")
    told = explain(plain.store, row["id"], domains=["ours.example"])
    links = [(x["record"], x["role"], x["address"], x["evidence"]) for x in told["links"]]
    assert links == [
        (ACME, "rule", ALICE, "rule 1: from *@acme.example"),
        (bob.id, "from", BOB, "from header and envelope"),
    ]
    # a rule makes nobody a key
    keys = {p["address"]: (p["keys"], p["why"]) for p in told["participants"]}
    assert keys == {BOB: ([bob.id], None), ALICE: ([], "ours")}
    assert [(r["id"], r["role"], r["evidence"]) for r in row["records"]] == [
        (ACME, "rule", f"rule 1: from *@acme.example: {ALICE}"),
        (bob.id, "from", f"from header and envelope: {BOB}"),
    ]


def test_an_address_is_the_better_reason(plain: Office) -> None:
    rule(plain, Wanted("from", BOB, ACME))
    records.change(plain.store, ACME, add_emails=[BOB])
    mail(plain, "new")
    (row,) = (row for row in plain.rows() if row["subject"] == "in new")
    assert [(r["id"], r["role"]) for r in row["records"]] == [(ACME, "from")]
    records.change(plain.store, ACME, remove_emails=[BOB], until=1.0)  # was never the record's
    assert [link["role"] for link in message.email(plain.store, row["id"])["links"]] == ["rule"]


# What goes again


def test_a_removed_rule_takes_back_what_it_alone_has_put_there(office: Office) -> None:
    mail(office, "old")
    rule(office, Wanted("from", "*@acme.example", ACME), Wanted("from", "*@*acme.example", ACME),
         Wanted("to", BOB, OTHER))  # fmt: skip
    rule(office, Wanted("from", BOB, ACME), who=CAROL)
    kept = [line for line in attached(office) if line[2] == CAROL or line[1] == OTHER]
    assert capturerules.remove(office.store, [1]) == [1]
    relink.run(office.store)
    second = "rule 2: from *@*acme.example"
    left = [(f"{one} old", ACME, ALICE, second) for one in ("below", "both", "in")]
    assert attached(office) == sorted(left + kept)
    capturerules.remove(office.store, [2, 3])
    relink.run(office.store)
    assert attached(office) == [line for line in kept if line[2] == CAROL]
    rule(office, Wanted("from", "*@acme.example", ACME))  # and it comes again
    assert [line[0] for line in attached(office) if line[2] == ALICE] == ["both old", "in old"]


def test_rules_dropped_with_their_user(plain: Office) -> None:
    rule(plain, Wanted("from", BOB, ACME), Wanted("from", EVE))
    rule(plain, Wanted("from", BOB, ACME), who=CAROL)
    mail(plain, "new")
    users.set_enabled(plain.store, ALICE, False)
    assert ("in new", ACME, ALICE, f"rule 1: from {BOB}") in attached(plain)
    users.set_enabled(plain.store, ALICE, False, drop_rules=True)
    assert {owner for _, _, owner, _ in attached(plain)} == {CAROL}


def test_in_steps_and_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("a", "b", "c"):
        mail(office, word)
    monkeypatch.setattr(relink, "STEP", 4)
    rule(office, Wanted("from", "*@acme.example", ACME), run=False)
    assert attached(office) == []  # it is noted only
    counts = []
    while relink.step(office.store)[1]:
        counts.append(len(attached(office)))
        office.close()  # a worker that ends between two steps
    assert counts == sorted(counts) and len(counts) > 3 and counts[-1] == 6
    before = attached(office)
    again(office)
    assert attached(office) == before
    capturerules.remove(office.store, [1])
    steps = 0
    while relink.step(office.store)[1]:
        steps += 1
    assert steps > 1 and attached(office) == []


def test_many_addresses_are_one_walk(plain: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    mail(plain, "old")
    monkeypatch.setattr(relink, "ALONE", 2)
    jobs = "SELECT address FROM relinks ORDER BY id"
    rule(plain, Wanted("from", BOB, ACME), Wanted("to", BOB, ACME), run=False)
    assert plain.query(jobs) == [(BOB,)]
    relink.run(plain.store)
    assert subjects(plain) == ["both old", "in old", "out old", "secret old"]
    rule(plain, *(Wanted("from", one, OTHER) for one in (BOB, ANN, EVE)), run=False)
    assert plain.query(jobs) == [("",)]
    relink.run(plain.store)
    assert len([line for line in attached(plain) if line[1] == OTHER]) == 6


# Whose mail it is, and who is ours, may change


def changes(office: Office) -> Iterator[tuple[Callable[[], object], list[str]]]:
    """What is done, and what of Alice's is on the record then."""
    store = office.store
    yield (lambda: users.add(store, BOB)), ["below old"]  # an address of ours keys nothing
    yield (lambda: users.change(store, BOB, remove_emails=[BOB])), ["below old", "both old",
                                                                   "in old"]  # fmt: skip
    yield (
        lambda: relink.agree(store, ["ours.example", "eu.acme.example"], "keep"),
        ["both old", "in old"],
    )
    yield (
        lambda: relink.agree(store, ["ours.example"], "hide"),
        ["below old", "both old", "in old"],
    )
    second = "a2@ours.example"
    yield (
        lambda: users.change(store, ALICE, add_emails=[second]),
        ["below old", "both old", "in old", "waiting old"],
    )
    yield (
        lambda: users.change(store, ALICE, remove_emails=[second]),
        ["below old", "both old", "in old"],
    )
    yield (
        lambda: users.change(store, ALICE, add_emails=[second]),
        ["below old", "both old", "in old", "waiting old"],
    )


def test_who_is_ours_and_whose_it_is(office: Office) -> None:
    mail(office, "old")
    waiting = letter("waiting old", BOB, "a2@ours.example")
    office.door("mx-w", "inbound").mail(waiting, sender=BOB, to=["a2@ours.example"])
    office.take()
    rule(office, Wanted("from", "*@*acme.example", ACME))
    for number, (change, left) in enumerate(changes(office)):
        change()
        relink.run(office.store)
        assert subjects(office) == left, number


def test_a_copy_that_comes_later(plain: Office) -> None:
    """Seen at the door first, then where a filter of the server has put it."""
    rule(plain, Wanted("folder", "Clients/Acme", ACME))
    body = letter("both ways", EVE, ALICE)
    plain.door("mx-0", "inbound").mail(body, sender=EVE, to=[ALICE])
    plain.take()
    assert attached(plain) == []
    plain.imap().seen(body, mailbox="Clients/Acme", special="", uid=1)
    plain.take()
    assert subjects(plain) == ["both ways"] and len(plain.rows()) == 1


def test_the_log_counts_them(office: Office) -> None:
    """What ingest says of a batch: the links by addresses and those by rules, each once."""
    office.contact(EVE, name="Eve")
    rule(office, Wanted("from", "*@else.example", ACME), Wanted("from", EVE, ACME))
    body = letter("twice", EVE, f"{ALICE}, {CAROL}")
    door = office.door("mx-0", "inbound")
    for to in (ALICE, CAROL):  # two copies in one batch
        door.mail(body, sender=EVE, to=[to])
    assert sum(step.taken.links for step in office.take()) == 2
    door.mail(body, sender=EVE, to=[ALICE])  # nothing new
    assert [step.taken.links for step in office.take()] == [0]
    assert attached(office) == [("twice", ACME, ALICE, "rule 1: from *@else.example")]
