"""Rules of a user, from the command to the timeline: in force with the next batch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmstore import capturerules, users
from crmstore.imports import gmailfilters
from crmstore.imports.filters import decide
from crmstore.personal import Wanted
from proxy import cli
from tests.cores.test_filters import feed
from tests.paths.office import Office

ALICE, CAROL = "alice@ours.example", "carol@ours.example"
HEAD = b"From: %s\r\nTo: alice@ours.example, carol@ours.example\r\nSubject: s\r\n\r\n%d"


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    for login in (ALICE, CAROL):
        made.user(login)
    yield made
    made.close()
    made.store.close()


def mail(office: Office, sender: str, number: int, *to: str) -> None:
    body = HEAD % (sender.encode(), number)
    office.door(f"mx-{number}", "inbound").mail(body, sender=sender, to=list(to or (ALICE, CAROL)))
    office.take()


def owners(office: Office) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for message_id, owner in office.query("SELECT message_id, owner FROM sightings"):
        found.setdefault(message_id, []).append(owner)
    return [sorted(found[key]) for key in sorted(found)]


def test_it_is_in_force_with_the_next_message_and_until_it_is_removed(office: Office) -> None:
    mail(office, "ann@news.example", 1)
    capturerules.add(office.store, ALICE, [(Wanted("from", "*@news.example"), "")])
    mail(office, "ann@news.example", 2)  # Carol has it; Alice has not
    mail(office, "ann@news.example", 3, ALICE)  # nobody has it
    mail(office, "bob@x.example", 4)
    capturerules.remove(office.store, [1])
    mail(office, "ann@news.example", 5)
    assert owners(office) == [[ALICE, CAROL], [CAROL], [ALICE, CAROL], [ALICE, CAROL]]
    report = office.audit()
    assert (report.excluded, report.partial, report.ok) == ({"rule 1": 1}, {"rule": 1}, True)


def test_to_and_folder(office: Office) -> None:
    asked = [Wanted("to", "*@lawyer.example"), Wanted("folder", "Private")]
    capturerules.add(office.store, ALICE, [(one, "") for one in asked])
    sent = b"From: alice@ours.example\r\nTo: a@lawyer.example\r\nCc: bob@x.example\r\n\r\nx"
    office.door().mail(sent, to=["a@lawyer.example", "bob@x.example"])
    seen = b"From: bob@x.example\r\nTo: alice@ours.example\r\n\r\n"
    imap = office.imap()
    imap.seen(seen + b"1", mailbox="INBOX.Private", special="", uid=1)
    imap.seen(seen + b"2", mailbox="INBOX", uid=2)
    imap.seen(seen + b"3", user=CAROL, mailbox="Private", special="", uid=3)
    office.take()
    assert owners(office) == [[ALICE], [CAROL]]
    assert office.audit().excluded == {"rule 1": 1, "rule 2": 1}


class TestCommands:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Iterator[Path]:
        office = Office(tmp_path / "data")
        office.user(ALICE)
        office.store.close()
        path = tmp_path / "mailweir.toml"
        path.write_text(
            '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\n'
            'data_dir = "data"\n'
        )
        yield path

    @pytest.fixture
    def call(self, config: Path, capsys: pytest.CaptureFixture[str]) -> Any:
        def call(*args: str) -> tuple[int, str, str]:
            code = cli.run(["--config", str(config), *args])
            said = capsys.readouterr()
            return code, said.out, said.err

        return call

    def test_add_list_remove(self, call: Any) -> None:
        code, out, _ = call(
            "rules", "add", "--user", ALICE, "--from", "*@News.example", "--folder", "私用"
        )
        assert code == 0 and "rule 1" in out and "rule 2" in out
        rows = [json.loads(line) for line in call("rules", "list", "--json")[1].splitlines()]
        assert [(r["id"], r["field"], r["pattern"], r["user"], r["origin"]) for r in rows] == [
            (1, "from", "*@news.example", ALICE, "hand"),
            (2, "folder", "私用", ALICE, "hand"),
        ]
        assert "差出人" in call("rules", "list", "--lang", "ja")[1]
        code, out, err = call("rules", "remove", "1", "5")
        assert code == 1 and "rule 1" in out and "no rule 5" in err
        assert call("rules", "list", "--user", ALICE, "--json")[1].count("\n") == 1

    def test_import_says_what_it_takes_and_what_not(self, call: Any, tmp_path: Path) -> None:
        file = tmp_path / "mailFilters.xml"
        file.write_bytes(
            feed(
                {"from": "news.example", "shouldTrash": "true"},
                {"to": "club@x.example", "label": "Private"},
                {"subject": "offer", "shouldTrash": "true"},
                {"from": "boss@x.example", "label": "Work"},
            )
        )
        taking = ("rules", "import", str(file), "--user", ALICE, "--folder", "Private")
        code, out, _ = call(*taking, "--dry-run")
        assert code == 0 and "4 filters: 2 would be taken, 2 not; 4 new rules; nothing" in out
        assert call("rules", "list", "--json")[1] == ""
        code, out, _ = call(*taking, "--json")
        document = json.loads(out)
        assert (code, document["format"], document["filters"]) == (0, "gmail", 4)
        assert [(r["id"], r["field"], r["pattern"], r["new"]) for r in document["rules"]] == [
            (1, "folder", "Private", True),
            (2, "from", "*@news.example", True),
            (3, "from", "*@*.news.example", True),
            (4, "to", "club@x.example", True),
        ]
        why = [(one["filter"], one["why"]) for one in document["refused"]]
        assert why == [(3, "condition"), (4, "folder")]
        code, out, _ = call(*taking, "--lang", "ja")
        assert code == 0 and "新しいルール 0" in out and "対象外  フィルタ 3: subject: offer" in out
        listed = call("rules", "list")[1]
        assert "Gmail: from: news.example" in listed

    def test_import_of_a_sieve_script(self, call: Any, tmp_path: Path) -> None:
        file = tmp_path / "a.sieve"
        file.write_text(
            'if address "from" "a@x.example" { discard; stop; }\n'
            'if header :contains "subject" "x" { discard; }\n'
        )
        code, out, _ = call("rules", "import", str(file), "--user", ALICE)
        assert code == 0 and "rule 1" in out and "NOT TAKEN  line 2: header :contains" in out
        file.write_text("keep;")
        assert call("rules", "import", str(file), "--user", ALICE)[0] == 1

    def test_onto_records(self, call: Any, config: Path) -> None:
        """Added by hand, seen in the list and by explain, and taken back."""
        office = Office(config.parent / "data", migrated=True)
        body = b"From: bob@acme.example\r\nTo: alice@ours.example\r\nSubject: s\r\n\r\nx"
        office.door("mx-0", "inbound").mail(body, sender="bob@acme.example", to=[ALICE])
        office.take()
        office.close()
        office.store.close()
        call("record", "add", "lead", "Acme")
        adding = ("rules", "add", "--user", ALICE, "--from", "*@acme.example", "--record", "1")
        code, out, _ = call(*adding)
        assert code == 0 and out == (
            "rule 1: mail from *@acme.example goes onto record 1\n"
            "earlier mail: 1 put onto records\n"
        )
        assert "says so already: from *@acme.example, onto record 1" in call(*adding)[1]
        assert "onto lead 1 Acme" in call("rules", "list")[1]
        assert "見込み客 1 Acme に載せる" in call("rules", "list", "--lang", "ja")[1]
        (row,) = [json.loads(line) for line in call("rules", "list", "--json")[1].splitlines()]
        assert (row["record"], row["kind"], row["name"]) == (1, "lead", "Acme")
        explained = call("email", "explain", "1")[1]
        assert f"lead 1 Acme: rule of {ALICE}, rule 1: from *@acme.example\n" in explained
        assert "ルール 1: 差出人 *@acme.example" in call("email", "explain", "1", "--lang", "ja")[1]
        assert call("emails", "--record", "1", "--as", ALICE, "--json")[1] != ""
        assert call("emails", "--record", "1", "--as", CAROL, "--json")[1] == ""
        code, out, _ = call("rules", "remove", "1")
        assert code == 0 and "taken back" in out
        assert call("emails", "--record", "1", "--json")[1] == ""
        answer = json.loads(call(*adding, "--json")[1])
        assert (answer["id"], answer["record"], answer["new"]) == (2, 1, True)

    def test_import_onto_records(self, call: Any, config: Path, tmp_path: Path) -> None:
        for name in ("Acme", "ＢＥＴＡ Ltd", "Twice", "twice", "Inbox"):
            call("record", "add", "lead", name)
        file = tmp_path / "mailFilters.xml"
        file.write_bytes(
            feed(
                {"from": "@acme.example", "label": "Clients/Acme"},
                {"from": "b@beta.example", "label": "Clients/Beta Ltd"},
                {"from": "c@twice.example", "label": "Twice"},
                {"from": "d@club.example", "label": "Club"},
                {"from": "carol@ours.example", "label": "Clients/Acme"},
                {"from": "news.example", "shouldTrash": "true", "label": "Clients/Acme"},
                {"from": "e@x.example", "label": "INBOX"},  # whoever is called like that
            )
        )
        taking = ("rules", "import", str(file), "--user", ALICE)
        assert [one["why"] for one in json.loads(call(*taking, "--json", "--dry-run")[1])["refused"]
                ] == ["folder"] * 6  # fmt: skip
        named = (*taking, "--folder", "Clients/Acme=1", "--records")
        code, out, _ = call(*named, "--dry-run")
        assert code == 0 and "would put onto record 1: mail from *@acme.example" in out
        assert "several records have this name; --folder NAME=ID says which: Twice: 3, 4" in out
        assert "no record has this name: Club" in out and "nothing was changed" in out
        assert call("rules", "list", "--json")[1] == ""
        document = json.loads(call(*named, "--json")[1])
        assert [(r["field"], r["pattern"], r["record"]) for r in document["rules"]] == [
            ("folder", "Clients/Acme", 1),
            ("folder", "Clients/Beta Ltd", 2),
            ("from", "*@acme.example", 1),
            ("from", "b@beta.example", 2),
            ("from", "*@news.example", None),
            ("from", "*@*.news.example", None),
        ]
        assert [(one["filter"], one["why"]) for one in document["refused"]] == [
            (3, "several"), (4, "nobody"), (5, "ours"), (7, "folder"),
        ]  # fmt: skip
        code, out, _ = call(*named, "--lang", "ja")
        assert code == 0 and "新しいルール 0" in out and "レコード 1" in out

    @pytest.mark.parametrize(
        ("octets", "said"),
        [
            (b"<!DOCTYPE feed [<!ENTITY a 'ha'>]><feed>&a;</feed>", "entities are not read"),
            (b"<feed", "mailFilters.xml"),
            (b"\xff\xfekeep;", "UTF-8"),
            (b"if {", "line 1"),
            (b"#" * ((1 << 20) + 1), "allowed are 1048576 bytes"),
            (None, "No such file"),
        ],
    )
    def test_a_file_that_cannot_be_read(
        self, call: Any, tmp_path: Path, octets: bytes | None, said: str
    ) -> None:
        file = tmp_path / "file"
        if octets is not None:
            file.write_bytes(octets)
        code, _, err = call("rules", "import", str(file), "--user", ALICE)
        assert code == 2 and said in err and err.count("\n") == 1
        assert call("rules", "list", "--json")[1] == ""

    @pytest.mark.parametrize(
        ("args", "said", "code"),
        [
            (("--from", "x.example"), "--from x.example: allowed is", 2),
            ((), "--from, --to and --folder", 2),
            (("--from", "*@*"), "leave out all mail", 2),
            (("--from", "carol@ours.example", "--record", "1"), "keys no record", 2),
            (("--to", "*@ours.example", "--record", "1"), "keys no record", 2),
            (("--from", "a@x.example", "--record", "9"), "no record 9", 1),
            (("--from", "a@x.example", "--record", "0"), "--record", 2),
        ],
    )
    def test_what_is_no_rule(self, call: Any, args: tuple[str, ...], said: str, code: int) -> None:
        found, _, err = call("rules", "add", "--user", ALICE, *args)
        assert found == code and said in err and err.count("\n") == 1

    @pytest.mark.parametrize("folder", ["Work=", "Work=1x", "Work=0", "=1", "a=b", "Work= 1"])
    def test_a_slip_leaves_nothing_out(self, call: Any, tmp_path: Path, folder: str) -> None:
        file = tmp_path / "a.sieve"
        file.write_text('if address "from" "a@x.example" { discard; }')
        code, _, err = call("rules", "import", str(file), "--user", ALICE, "--folder", folder)
        assert code == 2 and f"--folder {folder}: allowed is NAME" in err and err.count("\n") == 1
        both = ("--folder", "Work", "--folder", "Work=1")
        code, _, err = call("rules", "import", str(file), "--user", ALICE, *both)
        assert code == 2 and "--folder Work: allowed is to leave it out, or" in err
        assert call("rules", "list", "--json")[1] == ""

    def test_nobody_of_ours(self, call: Any) -> None:
        code, _, err = call("rules", "add", "--user", "who@ours.example", "--to", "a@x.example")
        assert code == 1 and "no user" in err

    def test_who_is_disabled_keeps_or_drops_them(self, call: Any, config: Path) -> None:
        call("rules", "add", "--user", ALICE, "--from", "a@x.example")
        assert "kept" in call("user", "disable", ALICE)[1]
        assert call("rules", "list", "--json")[1] != ""
        assert "kept" in call("user", "disable", ALICE, "--keep-rules")[1]
        answer = json.loads(call("user", "disable", ALICE, "--drop-rules", "--json")[1])
        assert (answer["enabled"], answer["rules"], answer["rules_dropped"]) == (False, 0, 1)
        assert call("rules", "list", "--json")[1] == ""
        assert call("user", "enable", ALICE)[0] == 0


def test_imported_rules_are_in_force(office: Office) -> None:
    """From a filter to the timeline, in a worker that was running before."""
    mail(office, "bob@x.example", 1)
    filters = gmailfilters.read(feed({"from": "x.example", "shouldTrash": "true"}))
    (decision,) = decide(filters, (), {ALICE})
    asked = [(rule, decision.words) for rule in decision.rules]
    capturerules.add(office.store, ALICE, asked, origin="gmail")
    mail(office, "bob@sub.x.example", 2)
    mail(office, "bob@x.example", 3)
    assert owners(office) == [[ALICE, CAROL], [CAROL], [CAROL]]


def test_disabled_with_rules_mail_flows_and_nothing_is_captured(office: Office) -> None:
    capturerules.add(office.store, ALICE, [(Wanted("from", "ann@x.example"), "")])
    users.set_enabled(office.store, ALICE, False, drop_rules=True)
    mail(office, "ann@x.example", 1, ALICE)
    users.set_enabled(office.store, ALICE, True)
    mail(office, "ann@x.example", 2, ALICE)  # the rule is gone
    assert office.audit().excluded == {"user disabled": 1} and len(owners(office)) == 1
