"""A record that goes: its links and evidence with it, no mail; what led to it leads nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from crmstore import capturerules, recordremove, records, relink, schema, users
from crmstore.explain import explain
from crmstore.personal import Wanted
from crmstore.recordremove import Needed, remove
from tests.paths.office import Office

TO = b"From: alice@ours.example\r\nTo: %s\r\nSubject: s\r\n\r\n%d"
OF_RECORDS = (schema.records, schema.record_addresses, schema.deal_contacts, schema.links)


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


def send(office: Office, count: int, *to: str) -> None:
    before = len(office.rows(limit=1000))
    door = office.door(f"mx-{before}")
    for n in range(before, before + count):
        door.mail(TO % (", ".join(to).encode(), n), to=list(to))
    office.take()


def rows_left(office: Office) -> list[int]:
    """How much there is of records at all."""
    with office.store.reading() as connection:
        counts = [
            select(func.count()).select_from(table) for table in (*OF_RECORDS, schema.relinks)
        ]
        return [connection.execute(count).scalar_one() for count in counts]


def test_links_and_evidence_go_and_mail_stays(office: Office) -> None:
    bob = office.contact("bob@x.example", "b2@x.example")
    ann = office.contact("ann@x.example", name="Ann")
    records.change(office.store, bob.id, remove_emails=["b2@x.example"])
    send(office, 2, "bob@x.example", "ann@x.example")
    send(office, 1, "bob@x.example")
    gone = remove(office.store, bob.id)
    assert (gone.unlinked, gone.record.emails, gone.record.addresses) == (3, 3, ("bob@x.example",))
    with pytest.raises(records.NoSuchRecord):
        records.show(office.store, bob.id)
    assert len(office.rows()) == 3
    assert len(office.rows(record=bob.id)) == 0
    assert len(office.rows(record=ann.id)) == 2
    assert len(office.rows(address="bob@x.example")) == 3
    why = {p["address"]: p["why"] for p in explain(office.store, 1)["participants"]}
    assert why["bob@x.example"] == "no_record"
    assert {link["record"] for link in explain(office.store, 1)["links"]} == {ann.id}
    assert rows_left(office) == [1, 1, 0, 2, 0]
    assert office.audit().ok
    with pytest.raises(records.NoSuchRecord):
        remove(office.store, bob.id)
    # later mail is on nobody's record; who is added later has all of it, under another number
    send(office, 1, "bob@x.example")
    back = office.contact("bob@x.example", name="Bob again")
    assert back.id > ann.id
    assert back.linked == 4
    assert len(office.rows(record=back.id)) == 4


def test_a_main_contact_is_needed(office: Office) -> None:
    bob, ann = office.contact("bob@x.example"), office.contact("ann@x.example", name="Ann")
    send(office, 1, "bob@x.example")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    quote = records.add(office.store, "general", "Q1", type="quote", main_contact=bob.id)
    before = rows_left(office)
    with pytest.raises(
        Needed, match=f"record {bob.id} is the main contact of {deal.id}, {quote.id}"
    ):
        remove(office.store, bob.id)
    assert rows_left(office) == before
    assert remove(office.store, quote.id).unlinked == 1
    records.change(office.store, deal.id, main_contact=ann.id)
    assert remove(office.store, bob.id).unlinked == 1
    # the deal keeps what it got through him, as when a contact is changed, and gets no more
    send(office, 1, "bob@x.example")
    send(office, 1, "ann@x.example")
    evidence = {r["evidence"] for row in office.rows(record=deal.id) for r in row["records"]}
    assert {one.partition(": ")[0] for one in evidence if one.startswith("main contact")} == {
        f"main contact {bob.id}",
        f"main contact {ann.id}",
    }
    assert len(office.rows(record=deal.id)) == 2
    assert remove(office.store, deal.id).unlinked == 2
    assert records.show(office.store, ann.id).deals == ()
    assert len(office.rows(record=ann.id)) == 1


def test_a_deal_hides_what_a_contact_brought_that_is_gone(office: Office) -> None:
    relink.agree(office.store, ["ours.example"], "hide")
    bob, ann = office.contact("bob@x.example"), office.contact("ann@x.example", name="Ann")
    send(office, 1, "bob@x.example")
    deal = records.add(office.store, "deal", "Big", main_contact=bob.id)
    records.change(office.store, deal.id, main_contact=ann.id)
    assert len(office.rows(record=deal.id)) == 1
    remove(office.store, bob.id)
    assert len(office.rows(record=deal.id)) == 0
    assert explain(office.store, 1)["links"][0]["hidden"] == ["former"]


def test_it_goes_in_steps_and_what_was_interrupted_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingest goes between the steps, and links nothing to what is half gone."""
    monkeypatch.setattr(relink, "STEP", 2)
    bob = office.contact("bob@x.example")
    send(office, 5, "bob@x.example")

    def cut(connection: Connection, record: records.Record) -> None:
        let_go(connection, record)
        cutting.setattr(office.store, "writing", lambda: 1 / 0)  # from the next one on

    let_go = recordremove._let_go
    with pytest.MonkeyPatch.context() as cutting:
        cutting.setattr(recordremove, "_let_go", cut)
        with pytest.raises(ZeroDivisionError):
            remove(office.store, bob.id)
    send(office, 1, "bob@x.example")
    half = records.show(office.store, bob.id)
    assert (half.addresses, half.emails) == ((), 5)
    assert remove(office.store, bob.id).unlinked == 5
    assert rows_left(office) == [0, 0, 0, 0, 0]
    assert len(office.rows()) == 6


def test_rules_onto_it_go_with_it(office: Office) -> None:
    users.add(office.store, "alice@ours.example")
    bob, ann = office.contact("bob@x.example"), office.contact("ann@x.example", name="Ann")
    rules = [Wanted("to", "*@x.example", ann.id), Wanted("to", "*@x.example", bob.id)]
    rules.append(Wanted("to", "carol@x.example"))
    capturerules.add(office.store, "alice@ours.example", [(one, "") for one in rules])
    send(office, 1, "bob@x.example")
    assert len(office.rows(record=ann.id)) == 1
    gone = remove(office.store, ann.id)
    assert (gone.unlinked, gone.rules) == (1, 1)
    send(office, 1, "bob@x.example")  # by an ingest that knew the rule
    assert [rule.record for rule in capturerules.listing(office.store)] == [bob.id, None]
    assert {link["record"] for link in explain(office.store, 2)["links"]} == {bob.id}
    assert remove(office.store, bob.id).rules == 1
    assert rows_left(office) == [0, 0, 0, 0, 0]


def test_late_linking_that_waits_for_it_is_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(office, 5, "bob@x.example")
    monkeypatch.setattr(relink, "STEP", 2)
    run = relink.run
    monkeypatch.setattr(relink, "run", lambda store: 0)
    bob = office.contact("bob@x.example")
    assert (bob.linked, rows_left(office)[-1]) == (2, 1)
    monkeypatch.setattr(relink, "run", run)
    assert remove(office.store, bob.id).unlinked == 2
    assert rows_left(office) == [0, 0, 0, 0, 0]
