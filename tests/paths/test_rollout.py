"""A staged roll-out: some people's mail only, or nobody's and only looked what would be."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.load import ConfigError, parse
from crmstore import schema, users
from crmstore.queued import Result
from proxy.imap import notes
from proxy.imap.notes import Login
from proxy.imap.upkeep import ImapUpkeep
from tests.paths.office import BODY, Office

LISTED = {"users": "listed", "listed": ["*@ours.example"]}
CANARY = b"From: alice@ours.example\r\nTo: Bob <bob@x.example>\r\nSubject: canary\r\n\r\ncanary\r\n"


@contextmanager
def office(folder: Path, url: str = "sqlite", **capture: Any) -> Iterator[Office]:
    made = Office(folder, url, capture=capture)
    yield made
    made.close()
    made.store.close()


def kept(office: Office) -> str:
    """Everything in the store, and the names and contents of the archive's messages."""
    with office.store.reading() as connection:
        rows = [
            repr(tuple(row))
            for table in schema.metadata.sorted_tables
            for row in connection.execute(table.select())
        ]
    blobs = [path.name for path in office.settings.blob_dir.rglob("*.zst")]
    return "\n".join(rows + blobs)


def balances(office: Office) -> dict[str, int]:
    report = office.audit()
    assert report.ok
    assert report.accepted == report.captured + sum(report.excluded.values()) + report.failed
    return {"captured": report.captured, **report.excluded}


def test_only_mail_of_listed_people_is_kept(tmp_path: Path, store_url: str) -> None:
    with office(tmp_path, store_url, users="listed") as made:
        made.user("alice@ours.example")
        mx, sub = made.door("mx-0", "inbound"), made.door()
        head = b"From: bob@x.example\r\nSubject: s\r\n\r\nx"
        mx.mail(head, sender="bob@x.example", to=["alice@ours.example", "new@ours.example"])
        mx.mail(head, sender="bob@x.example", to=["new@ours.example"])
        sub.mail(BODY, auth="alice@ours.example")
        sub.mail(
            CANARY.replace(b"alice", b"new"), auth="new@ours.example", sender="new@ours.example"
        )
        made.imap().seen(CANARY, user="new@ours.example")
        made.take()
        assert balances(made) == {"captured": 2, "not enrolled": 3}
        assert made.audit().partial == {"not enrolled": 1}
        assert {row["owner"] for row in made.rows()} == {"alice@ours.example"}
        assert "canary" not in kept(made)
        assert [user.login for user in users.listing(made.store)] == ["alice@ours.example"]
        # From now on, and without a restart: whoever is added.
        made.user("new@ours.example")
        sub.mail(BODY, auth="new@ours.example", sender="new@ours.example")
        made.take()
        assert balances(made)["captured"] == 3


def test_the_list_enrolls_a_domain_by_its_first_logins(tmp_path: Path) -> None:
    with office(tmp_path, users="listed", listed=["a*@ours.example"]) as made:
        made.door().mail(auth="alice@ours.example")
        made.door("sub-1").mail(auth="carol@ours.example", sender="carol@ours.example")
        made.door("mx-0", "inbound").mail(
            b"From: bob@x.example\r\n\r\nx", sender="bob@x.example", to=["anna@ours.example"]
        )
        made.take()
        folder = made.settings.data_dir / notes.FOLDER
        for login in ("anton@ours.example", "carl@ours.example"):
            notes.leave(folder, Login(login, 1_000_000))
        assert ImapUpkeep(made.settings, made.store).step() == ["anton@ours.example"]
        # anna has not logged in yet, and her mail is kept for her
        assert balances(made) == {"captured": 2, "not enrolled": 1}
        assert {row["owner"] for row in made.rows()} == {"alice@ours.example", "anna@ours.example"}
        assert [u.login for u in users.listing(made.store)] == [
            "alice@ours.example",
            "anton@ours.example",
        ]


def test_observing_counts_everything_and_keeps_nothing(tmp_path: Path, store_url: str) -> None:
    with office(tmp_path, store_url, mode="observe", never=["*@lawyer.example"]) as made:
        made.contact("bob@x.example")
        sub, imap = made.door(), made.imap()
        sub.mail(CANARY)
        sub.mail(CANARY.replace(b"bob@x", b"hr@ours"), to=["hr@ours.example"])
        sub.mail(CANARY.replace(b"bob@x", b"a@lawyer"), to=["a@lawyer.example"])
        sub.mail(b"canary\r\n" * 200_000, big=True)
        imap.seen(CANARY.replace(b"alice@ours", b"bob@x"), user="alice@ours.example")
        made.door("mx-0", "inbound").mail(CANARY, sender="bob@x.example", to=["a@ours.example"])
        made.take()
        counted = balances(made)
        assert counted == {
            "captured": 0,
            "internal": 1,
            "never *@lawyer.example": 1,
            "observe": 4,
        }
        found = kept(made)
        assert "canary" not in found and ".zst" not in found
        assert made.rows() == [] and users.listing(made.store) == []


def test_mail_that_waits_is_delivered_while_observing_and_then_gone(tmp_path: Path) -> None:
    with office(tmp_path, mode="observe") as made:
        made.door().mail(CANARY, "queued", plan="queue")
        made.take()
        (claimed,) = made.queue.claim(10, 4e9, 60, "test")
        assert made.archive.exists(claimed.sha256)
        done = Result(claimed.recipients[0].id, "delivered", "250 2.0.0 Ok")
        assert made.queue.settle(claimed, [done], 5e9) is not None
        assert made.queue.spent_blobs() == [claimed.sha256]
        assert balances(made) == {"captured": 0, "observe": 1}


def test_after_observing_mail_is_kept_and_what_was_observed_stays_out(tmp_path: Path) -> None:
    with office(tmp_path, mode="observe") as made:
        made.imap().seen(CANARY, user="alice@ours.example", uid=5)
        made.take()
    with office(tmp_path) as made:
        made.door().mail(BODY, auth="alice@ours.example")
        made.take()
        assert balances(made) == {"captured": 1, "observe": 1}
        assert len(made.rows()) == 1
        assert [user.login for user in users.listing(made.store)] == ["alice@ours.example"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('listed = ["*@ours.example"]', "capture.users"),
        ('users = "some"', "capture.users"),
        ('users = "listed"\nlisted = ["*@*"]', "capture.listed"),
        ('mode = "dry-run"', "capture.mode"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, key: str) -> None:
    node = '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\n[capture]\n'
    with pytest.raises(ConfigError) as caught:
        parse(node + text, base=tmp_path)
    assert key in str(caught.value)
    json.dumps(caught.value.lines())
