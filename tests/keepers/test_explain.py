"""`email explain`: every decision about a message with its evidence, in two languages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import message
from crmstore.explain import HIDDEN, explain
from proxy import cli
from proxy.commands.explain import shared
from proxy.texts import known
from tests.keepers.test_recipients import BOTH, config, post
from tests.paths.office import Office

MAIL = BOTH.replace(b", carol@y.example", b", carol@y.example, dan@ours.example, eve@z.example")


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url, capture={"never": ["bob@x.example"]})
    yield made
    made.close()
    made.store.close()


def told(office: Office) -> dict[str, Any]:
    return explain(office.store, 1, domains=["ours.example"])


def people(found: dict[str, Any]) -> dict[str, tuple[list[int], str | None]]:
    return {p["address"]: (p["keys"], p["why"]) for p in found["participants"]}


def test_who_keys_what_and_who_does_not(office: Office) -> None:
    office.contact("carol@y.example", name="Carol")
    office.contact("carol@y.example", name="Carol again")
    post(office, MAIL)
    found = told(office)
    assert people(found) == {
        "alice@ours.example": ([], "ours"),
        "carol@y.example": ([1, 2], None),
        "dan@ours.example": ([], "ours"),
        "eve@z.example": ([], "no_record"),
    }
    assert [(link["record"], link["shared_by"], link["hidden"]) for link in found["links"]] == [
        (1, 2, []),
        (2, 2, []),
    ]
    (seen,) = found["sightings"]
    assert seen["left_out"] == ["never"] and seen["evidence"] == "seen first"
    assert (seen["owner"], seen["source"]) == ("alice@ours.example", "submission")
    assert [row["address"] for row in found["delivery"]] == ["carol@y.example"]
    assert office.audit().partial == {"never": 1}


def test_what_is_hidden_says_why(office: Office) -> None:
    office.contact("carol@y.example", name="Carol")
    post(office, MAIL)
    office.user("carol", "carol@y.example")  # she is one of us now
    found = told(office)
    assert [link["hidden"] for link in found["links"]] == [["ours"]]
    assert people(found)["carol@y.example"] == ([], "ours")
    assert message.email(office.store, 1)["records"] == []


def test_what_is_seen_twice_says_how_it_was_recognised(office: Office) -> None:
    office.user("alice@ours.example")
    post(office, MAIL)
    office.imap().seen(MAIL, mailbox="Sent", special="sent")
    office.take()
    first, second = told(office)["sightings"]
    assert first["mailbox"] is None and second["mailbox"]["name"] == "Sent"
    assert second["door"] == "imap-0" and "same content" in second["evidence"]


def test_in_words(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Carol", "Carol again"):
        office.contact("carol@y.example", name=name)
    post(office, MAIL)
    path = config(office)

    def call(*args: str) -> str:
        assert cli.run(["--config", path, *args]) == 0
        return capsys.readouterr().out

    out = call("email", "explain", "1")
    for words in (
        "sent, for alice@ours.example",
        "because: seen first",
        "not everybody is on this copy: capture.never",
        "eve@z.example (to header): no record has this address",
        "dan@ours.example (to header): no record: an address of ours keys none",
        "contact 2 Carol again: to carol@y.example, to header and envelope (shared by 2 records)",
        "this message begins it",
        "carol@y.example: delivered",
    ):
        assert words in out
    assert "2 件のレコードで共有" in call("--lang", "ja", "email", "explain", "1")
    assert "shared by 2 records" in call("email", "show", "1")
    assert "shared by 2 records" in " ".join(call("emails").split())
    assert "captured without some of its people: never: 1" in call("audit")
    assert json.loads(call("--json", "audit"))["partial"] == {"never": 1}


def test_every_reason_has_its_words() -> None:
    reasons = [f"hidden.{why}" for why in HIDDEN.values()]
    reasons += ["why.ours", "why.no_record", "why.hidden", "sent", "received"]
    reasons += ["left_out.never", "left_out.user disabled"]
    assert [name for name in reasons if not known(f"explain.{name}")] == []
    assert shared({"shared_by": 1}, "en") == ""
