"""What is told of a message's recipients: not of those who are kept out, and of each their own."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event

from crmstore import message, outcomes
from crmstore.outcomes import Outcome
from proxy import cli
from tests.paths.office import Office

BOTH = (
    b"From: alice@ours.example\r\nTo: Bob Secret <bob@x.example>, carol@y.example\r\n"
    b"Subject: hello\r\n\r\nHello\r\n"
)
ONLY_CAROL = BOTH.replace(b"Bob Secret <bob@x.example>, ", b"")
_doors = count()
TO = ("bob@x.example", "carol@y.example")


def config(office: Office) -> str:
    """A configuration file of the same store."""
    path = office.folder / "mailweir.toml"
    path.write_text(
        '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\n'
        f'data_dir = "{office.folder}"\n[store]\nurl = "{office.tables["store"]["url"]}"\n'
        '[capture]\nnever = ["bob@x.example"]\n'
    )
    return str(path)


def post(office: Office, body: bytes, to: Sequence[str] = TO, **outcome: str) -> str:
    """Alice sends it; `outcome` of recipients that were not simply accepted."""
    door = office.door(f"sub-{next(_doors)}")
    capture = door.message(body, to=to)
    words = {"accepted": "250 2.0.0 Ok", "refused": "550 5.1.1 <{}> no", "queued": ""}
    each = [
        {"address": one, "outcome": said, "reply": words[said].format(one)}
        for one in to
        for said in [outcome.get(one, "accepted")]
    ]
    reply = "250 2.0.0 Ok, not for " + ", ".join(o for o, s in outcome.items() if s == "refused")
    verdict = {"id": capture, "time": "2026-11-22T00:00:00Z", "outcome": "accepted"}
    door._write("verdict", {**verdict, "reply": reply, "recipients": each})
    office.take()
    return capture


def bounced(office: Office, capture: str, address: str) -> None:
    """Evidence that this recipient does not exist."""
    one = Outcome(
        capture, address, "hard", "invalid_address", "5.1.1", f"550 no {address}", "live", "live",
        None, 1,
    )  # fmt: skip
    with office.store.writing() as connection:
        outcomes.record(connection, [one])


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    """Mail to Bob, of whom nothing is to be captured, is stored for the other recipient."""
    made = Office(tmp_path, store_url, capture={"never": ["bob@x.example"]})
    yield made
    made.close()
    made.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("body", [BOTH, ONLY_CAROL], ids=["in To", "in Bcc"])
@pytest.mark.parametrize("refused", [False, True])
def test_whom_the_rules_keep_out_is_in_no_answer(
    office: Office, capsys: pytest.CaptureFixture[str], body: bytes, refused: bool
) -> None:
    office.contact("bob@x.example", name="Record of B")
    office.contact("carol@y.example", name="Carol")
    capture = post(office, body, **{"bob@x.example": "refused" if refused else "accepted"})
    bounced(office, capture, "bob@x.example")
    path = config(office)

    def call(*args: str) -> str:
        assert cli.run(["--config", path, *args]) == 0
        return capsys.readouterr().out

    calls = [
        ["emails"],
        ["emails", "--record", "2"],
        ["emails", "--address", "carol@y.example"],
        ["email", "show", "1"],
        ["email", "explain", "1"],
        ["search", "hello"],
        ["search", "carol@y.example"],
        ["audit"],
        ["status"],
    ]
    for args in calls:
        for more in ([], ["--json"], ["--lang", "ja"]):
            if args == ["status"]:
                cli.run(["--config", path, *args, *more])  # nothing runs here: exit 1
                out = capsys.readouterr().out
            else:
                out = call(*args, *more)
                assert out, (args, more)
            assert "bob" not in out.lower(), (args, more)
    for args in (
        ["search", "bob@x.example"],
        ["search", "Bob Secret"],
        ["emails", "--address", "bob@x.example"],
        ["emails", "--record", "1"],
    ):
        assert call("--json", *args) == ""
    recipients = json.loads(call("--json", "email", "show", "1"))["sightings"][0]["envelope"]
    assert [r["address"] for r in recipients["recipients"]] == ["carol@y.example"]


def test_of_mail_that_came_in_each_copy_tells_its_own_recipient(
    tmp_path: Path, store_url: str
) -> None:
    office = Office(tmp_path, store_url)
    office.user("alice@ours.example")
    office.user("dan@ours.example")
    lists = b"From: list@x.example\r\nTo: all@x.example\r\n\r\nhi\r\n"
    office.door("mx-0", "inbound").mail(
        lists, sender="list@x.example", to=["alice@ours.example", "dan@ours.example"]
    )
    office.take()
    for viewer in (None, "alice@ours.example", "dan@ours.example"):
        for seen in message.email(office.store, 1, viewer=viewer)["sightings"]:
            if viewer in (None, seen["owner"]):
                told = [r["address"] for r in seen["envelope"]["recipients"]]
                assert told == [seen["owner"]]
            else:
                assert "envelope" not in seen
    office.close()
    office.store.close()


# The status of a row


@pytest.fixture
def open_office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    for name in TO:
        made.contact(name, name=name)
    yield made
    made.close()
    made.store.close()


def status(office: Office, **filters: object) -> list[str]:
    return [row["status"] for row in office.rows(**filters)]


def test_a_page_tells_what_became_of_those_it_is_about(open_office: Office) -> None:
    office = open_office
    both = office.contact(*TO, name="both")
    capture = post(office, BOTH)
    assert status(office) == status(office, record=1) == ["delivered"]
    bounced(office, capture, "bob@x.example")
    assert status(office) == ["hard_bounce"]
    assert status(office, record=1) == status(office, address="Bob@x.example") == ["hard_bounce"]
    assert status(office, record=2) == status(office, address="carol@y.example") == ["delivered"]
    assert status(office, record=both.id) == ["hard_bounce"]
    # the sender is on it too, and is no recipient
    assert status(office, address="alice@ours.example") == ["hard_bounce"]


def test_the_next_hop_refused_one_and_queued_one(open_office: Office) -> None:
    office = open_office
    post(office, BOTH, **{"bob@x.example": "refused", "carol@y.example": "queued"})
    assert status(office, record=1) == ["hard_bounce"]
    assert status(office, record=2) == ["queued"]


def test_sent_to_each_alone_the_one_that_bounced_is_his(open_office: Office) -> None:
    office = open_office
    first, last = (post(office, BOTH, to=[name]) for name in TO)
    bounced(office, first, "bob@x.example")
    assert len(office.rows()) == 1
    assert status(office, record=1) == ["hard_bounce"]
    assert status(office, record=2) == ["delivered"]
    post(office, BOTH, to=[TO[0]])  # and again, with success
    assert status(office, record=1) == ["delivered"]
    del last


def test_a_page_costs_the_same_however_much_bounced(open_office: Office) -> None:
    office = open_office
    counts = []
    for number in range(3):
        capture = post(office, BOTH.replace(b"hello", b"%d" % number))
        bounced(office, capture, "bob@x.example")
        counts.append(statements(office, record=2))
    assert counts[0] == counts[1] == counts[2]


def statements(office: Office, **filters: int) -> int:
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    engine = office.store.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        office.rows(**filters)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(seen)
