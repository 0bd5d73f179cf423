"""user, record, emails, email, audit: on a store that ingest made from a door's journal."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from crmstore.archive import open_archive
from crmstore.store import open_store
from proxy import cli
from proxy.captureid import new_capture_id
from proxy.ingest import Ingest
from proxy.journal import JournalWriter

CONFIG = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
data_dir = "data"
timezone = "Asia/Tokyo"
[[smtp]]
name = "mx"
listen = "127.0.0.1:20025"
role = "inbound"
next_hop = "smtp://127.0.0.1:20026"
doors = 1
[journal]
min_free = 0
"""
HOSTILE = "Re: \x1b[2Jred\x07 \u202eevil"
MAILS = [
    f"From: Hanako <hanako@customer.example>\r\nTo: alice@example.com\r\nSubject: {HOSTILE}\r\n"
    "Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-ID: <1@customer.example>\r\n\r\nfirst\r\n",
    "From: x@other.example\r\nTo: bob@example.com\r\nSubject: =?utf-8?b?5pel5pys?=\r\n"
    "Date: Sun, 22 Nov 2026 01:00:00 +0000\r\nMessage-ID: <2@other.example>\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsecond\r\n--b\r\n"
    "Content-Type: text/csv; name=list.csv\r\n\r\n1,2\r\n--b--\r\n",
]


async def _journal(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    writer = JournalWriter(folder, "mx-0", loop=loop, segment_bytes=2**20, min_free=0)
    for number, text in enumerate(MAILS):
        body = text.encode()
        ident = new_capture_id(1_795_305_600_000 + number, number)
        recipient = text.split("To: ")[1].split("\r\n")[0]
        now = datetime(2026, 11, 22, number, tzinfo=UTC).isoformat().replace("+00:00", "Z")
        header: dict[str, Any] = {
            "id": ident, "time": now, "door": "mx-0", "listener": "mx", "role": "inbound",
            "client": {"ip": "192.0.2.1", "port": 1, "helo": "h", "tls": None, "auth": None,
                       "trusted": False},
            "sender": f"bounces-{number}@other.example", "sender_params": [],
            "trace": "Received: x\r\n",
            "recipients": [{"address": recipient, "params": [], "plan": "pass"}],
            "size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "flags": [],
            "file": None,
        }  # fmt: skip
        done: asyncio.Future[Exception | None] = loop.create_future()
        writer.append(header, [body], done.set_result)
        assert await done is None
        verdict = {
            "id": ident, "time": now, "outcome": "accepted", "reply": "250 2.0.0 Ok",
            "recipients": [{"address": recipient, "outcome": "accepted", "reply": "250 Ok"}],
        }  # fmt: skip
        writer.append_verdict(verdict)
    await writer.close()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two mails in the store; the tests of this file only add to it."""
    folder = tmp_path_factory.mktemp("node")
    path = folder / "mailweir.toml"
    path.write_text(CONFIG)
    settings = load(path)
    store = open_store(settings)
    store.migrate()
    asyncio.run(_journal(settings.journal_dir / "mx-0"))
    ingest = Ingest(settings, store, open_archive(settings))
    while ingest.step().more:
        pass
    ingest.close()
    store.close()
    return str(path)


Call = Callable[..., tuple[int, str, str]]
Ask = Callable[..., list[Any]]


@pytest.fixture
def call(config: str, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*args: str) -> tuple[int, str, str]:
        code = cli.run(["--config", config, *args])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def ask(call: Call) -> Ask:
    """As call, for an answer in JSON that must be a yes: its documents."""

    def run(*args: str) -> list[Any]:
        code, out, err = call("--json", *args)
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return run


def test_the_timeline_and_its_pages(call: Call, ask: Ask) -> None:
    rows = ask("emails")
    assert [row["subject"] for row in rows] == ["日本", "Re:  [2Jred  evil"]
    assert set(rows[0]) >= {
        "id", "message_id", "subject", "from", "to", "cc", "date", "direction", "owner", "source",
        "status", "thread", "records", "attachments",
    }  # fmt: skip
    code, out, err = call("emails", "--limit", "1")
    assert code == 0 and "日本" in out and "2026-11-22 10:00" in out  # the node's own time
    place = err.split("--before ")[1].strip()
    assert place == rows[0]["place"], "a program that reads JSON pages by the rows"
    assert ask("emails", "--limit", "1", "--before", place)[0]["id"] == rows[1]["id"]
    assert [row["id"] for row in ask("emails", "--address", "X@other.example")] == [rows[0]["id"]]
    assert ask("emails", "--source", "submission") == []


def test_search_finds_and_shows_the_place(call: Call, ask: Ask) -> None:
    (row,) = ask("search", "SECOND")
    assert row["subject"] == "日本" and row["highlights"] == [[0, 6]]
    assert [r["subject"] for r in ask("search", "hanako@customer.example", "--limit", "1")] != []
    code, out, _ = call("search", "first")
    assert code == 0 and "«first»" in out and out.replace("\n", "").isprintable()
    code, out, err = call("--lang", "ja", "search", "mail OR example", "--from", "2026-11-22")
    assert code == 0 and "見つかりませんでした" in out
    _, _, err = call("search", "example", "--limit", "1")
    place = err.split("--before ")[1].strip()
    assert len(ask("search", "example", "--before", place)) == 1
    assert ask("search", "example", "--to", "2026-11-21") == []
    for wrong in (["..."], ["x", "--from", "monday"], ["x" * 100_000], ["x", "--before", "x"]):
        code, _, err = call("search", *wrong)
        assert code == 2 and "allowed" in err and err.count("\n") == 1


def test_an_address_may_be_pasted_with_its_name(ask: Ask) -> None:
    (row,) = ask("emails", "--address", "hanako@customer.example")
    for pasted in ("Hanako <hanako@customer.example>", "<HANAKO@customer.example> "):
        assert ask("emails", "--address", pasted) == [row]
        assert [found["id"] for found in ask("search", "example", "--address", pasted)] == [
            row["id"]
        ]


def test_one_message_with_everything_known_of_it(call: Call, ask: Ask) -> None:
    first = ask("emails")[1]["id"]
    (found,) = ask("email", "show", str(first))
    assert found["sightings"][0]["envelope"]["recipients"][0]["outcome"] == "accepted"
    code, out, _ = call("email", "show", str(first))
    assert code == 0 and "192.0.2.1" in out and out.replace("\n", "").isprintable()
    (raw,) = ask("email", "raw", str(first))
    assert raw["bytes"] == len(MAILS[0].encode())


def test_as_somebody_shows_what_they_may_see(call: Call, ask: Ask) -> None:
    bobs, alices = (str(row["id"]) for row in ask("emails"))
    assert [str(r["id"]) for r in ask("emails", "--as", "alice@example.com")] == [alices]
    assert [str(r["id"]) for r in ask("search", "example", "--as", "bob@example.com")] == [bobs]
    for command in ("show", "raw"):
        assert call("email", command, alices, "--as", "alice@example.com")[0] == 0
        code, out, err = call("email", command, alices, "--as", "bob@example.com")
        assert (code, out) == (1, "") and err == f"mailweir: no email {alices}\n"
    code, out, err = call("email", "file", bobs, "1", "--as", "alice@example.com")
    assert (code, out) == (1, "")
    code, out, err = call("email", "explain", alices, "--as", "bob@example.com", "--json")
    why = {"login": "bob@example.com", "sees": False, "why": "private"}
    assert (code, json.loads(out), err) == (1, {"id": int(alices), "viewer": why}, "")
    code, out, err = call("email", "explain", alices, "--as", "bob@example.com")
    assert (code, err) == (1, "") and "does not see it" in out and "customer" not in out
    (sees,) = ask("email", "explain", bobs, "--as", "bob@example.com")
    assert (sees["viewer"]["sees"], sees["viewer"]["why"]) == (True, "own")
    code, out, _ = call("--lang", "ja", "email", "explain", bobs, "--as", "bob@example.com")
    assert code == 0 and "閲覧できます" in out
    code, _, err = call("emails", "--as", "nobody@example.com")
    assert code == 0 and "nobody@example.com" in err
    for asked in (["emails"], ["search", "example"]):
        _, _, err = call(*asked, "--user", "nobody@example.com")
        assert err.startswith("mailweir: note: --user nobody@example.com: no user of ours")
        assert call(*asked, "--user", "alice@example.com")[2] == ""


def test_a_user_whom_the_configuration_never_captures_is_shown_so(config: str, call: Call) -> None:
    assert call("user", "add", "hr@example.com")[1].count("captured") == 1
    other = Path(config).with_name("never.toml")
    other.write_text(CONFIG + '[capture]\nnever = ["hr@example.com"]\n')
    said = call("--config", str(other), "user", "show", "hr@example.com")[1]
    assert "not captured (capture.never)" in said


def test_raw_is_the_message_to_the_byte(
    config: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.run(["emails", "--json", "--config", config]) == 0
    ids = [json.loads(line)["id"] for line in capsysbinary.readouterr().out.splitlines()]
    assert cli.run(["email", "raw", str(ids[1]), "--config", config]) == 0
    assert capsysbinary.readouterr().out == MAILS[0].encode()


def test_a_file_comes_out_by_its_number(
    config: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.run(["search", "list.csv", "--json", "--config", config]) == 0
    id_ = str(json.loads(capsysbinary.readouterr().out)["id"])
    assert cli.run(["email", "file", id_, "1", "--config", config]) == 0
    assert capsysbinary.readouterr().out == b"1,2"
    assert cli.run(["email", "file", id_, "2", "--config", config]) == 1
    assert b"has no file 2" in capsysbinary.readouterr().err


@pytest.mark.slow
def test_a_record_gets_the_mail_that_came_before(call: Call, ask: Ask) -> None:
    code, out, _ = call(
        "record", "add", "contact", "田中花子", "--address", "hanako@customer.example"
    )
    assert code == 0 and "1 earlier mails linked" in out
    (contact,) = ask("record", "list", "--kind", "contact")
    (deal,) = ask("record", "add", "deal", "Acme", "--contact", str(contact["id"]))
    assert deal["main_contact"] == contact["id"] and deal["linked"] == 1
    for record in (contact, deal):
        (row,) = ask("emails", "--record", str(record["id"]))
        assert row["from"] == "hanako@customer.example"
    (why,) = ask("email", "explain", str(row["id"]))
    assert {link["record"] for link in why["links"]} == {contact["id"], deal["id"]}
    assert all(link["evidence"] for link in why["links"])
    code, out, _ = call("email", "explain", str(row["id"]))
    assert "main contact" in out and "田中花子" in out
    assert call("record", "show", str(contact["id"]))[1].count("田中花子") == 1


def test_users_and_what_is_theirs(call: Call, ask: Ask) -> None:
    (user,) = ask("user", "add", "bob@example.com", "--name", "Bob \x1b[31mBaba")
    assert user["enabled"] and user["addresses"] == ["bob@example.com"]
    assert [row["subject"] for row in ask("emails", "--user", "bob@example.com")] == ["日本"]
    ask("user", "set", "bob@example.com", "--add-address", "b.baba@example.com")
    (user,) = ask("user", "show", "b.baba@example.com")
    assert user["login"] == "bob@example.com" and len(user["addresses"]) == 2
    assert not ask("user", "disable", "bob@example.com")[0]["enabled"]
    assert ask("user", "enable", "bob@example.com")[0]["enabled"]
    code, out, _ = call("user", "list")
    assert code == 0 and "bob@example.com" in out and "\x1b" not in out


def test_the_audit_says_yes_and_notices_what_is_missing(call: Call, ask: Ask, config: str) -> None:
    (report,) = ask("audit")
    assert report["ok"] and report["accepted"] == report["captured"] == 2 and report["gaps"] == []
    (part,) = ask("audit", "--from", "2026-11-22T01:00+00:00", "--to", "2026-11-23")
    assert part["accepted"] == 1
    assert "nothing is missing" in call("audit", "--deep")[1]
    digest = hashlib.sha256(MAILS[1].encode()).hexdigest()
    (blob,) = (load(Path(config)).blob_dir).rglob(f"{digest}*")
    away = blob.with_suffix(".away")
    blob.rename(away)
    try:
        code, out, _ = call("audit")
        assert code == 1 and "GAP" in out and "1 gaps" in out
        code, _, err = call("email", "raw", str(ask("emails")[0]["id"]))
        assert code == 1 and err.count("\n") == 1
    finally:
        away.rename(blob)


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ("user show nobody@example.com", 1, "no user"),
        ("user add alice@example.com --address nonsense", 2, "--address: 'nonsense' is no address"),
        ("user set bob@example.com", 2, "--add-address"),
        ("record add person x", 2, "KIND person: allowed is one of: lead, contact, deal, general"),
        ("record add quote x --type y", 2, "--type: allowed with KIND general only"),
        ("record add lead x --type y", 2, "a lead has no type"),
        ("record set 1", 2, "--add-address"),
        ("record set 1 --name x --address-from 2026-01-01", 2, "--address-from: allowed with"),
        ("record set 1 --add-address a@x.example --address-from soon", 2, "--address-from soon"),
        ("record add deal x", 2, "--contact: needed with a deal"),
        ("record add contact x --contact 1", 2, "--contact: allowed with deal and general only"),
        ("record add deal x --contact 999", 1, "no record 999"),
        ("record add lead x --address boss@example.com", 2, "is ours"),
        ("record show 999", 1, "no record 999"),
        ("emails --record 999", 1, "no record 999"),
        ("emails --before x", 2, "--before"),
        ("emails --limit 0", 2, "--limit"),
        ("emails --source pigeon", 2, "'submission', 'inbound'"),
        ("email show 999", 1, "no email 999"),
        ("audit --from yesterday", 2, "--from yesterday: allowed is a time like"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call: Call, line: str, code: int, expected: str) -> None:
    found, out, err = call(*line.split())
    assert (found, out) == (code, "")
    assert expected in err and err.count("\n") == 1


def test_a_record_is_removed(call: Call, ask: Ask) -> None:
    (bob,) = ask("record", "add", "contact", "Gone", "--address", "x@other.example")
    (lost,) = ask("record", "add", "deal", "Lost", "--contact", str(bob["id"]))
    contact, deal = str(bob["id"]), str(lost["id"])
    code, out, err = call("record", "remove", contact)
    assert (code, out) == (1, "")
    assert f"record {contact} is the main contact of {deal}: give them another" in err
    assert f"{deal} の主な連絡先です" in call("--lang", "ja", "record", "remove", contact)[2]
    (gone,) = ask("record", "remove", deal)
    assert (gone["id"], gone["name"], gone["unlinked"]) == (int(deal), "Lost", 1)
    code, out, _ = call("record", "remove", contact)
    assert (code, out) == (
        0,
        f"removed: contact {contact} (Gone); its 1 mails stay, linked to it no more\n",
    )
    assert call("record", "remove", contact)[0] == 1
    assert "x@other.example" in call("emails")[1]


JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龥]")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("suppression add bob@example.com", "この一覧では拒否できません"),
        ("suppression add bob", "のようなアドレスを指定してください"),
        ("record add contact Bob --address boss@example.com", "自社のアドレス"),
        ("record add contact Bob --address bob", "@ がありません"),
        ("record show 999", "レコード 999 はありません"),
        ("email show 999", "メール 999 はありません"),
        ("user show nobody", "登録されていません"),
        ("emails --limit 0", "1 以上を指定してください"),
        ("emails --before odd", "前のページが続きとして示した値"),
        ("bounce parse /nowhere/mail", "注意: /nowhere/mail: ファイルまたはフォルダがありません"),
        ("rules add --user alice@example.com --from *@*", "すべてのメールが除かれます"),
    ],
)
def test_refusals_speak_japanese(call: Call, args: str, expected: str) -> None:
    code, out, err = call("--lang", "ja", *args.split())
    assert code in (1, 2) and expected in err and err.count("\n") == 1
    assert not JAPANESE.search(out)  # what programs read
    assert call(*args.split())[2].isascii()


ANSWERS = [
    ("emails", "件名 送受信 受信"),
    ("emails --limit 1", "件名"),
    ("email show 1", "差出人 宛先 取得 接続元"),
    ("email show 2", "添付"),
    ("email explain 1", "取得の経緯 参加者 最初に取得 ヘッダーとエンベロープ"),
    ("search first", "件名"),
    ("record list", "種別 会社"),
    ("record add lead 山田 --address yamada@customer.example", "追加しました: 見込み客"),
    ("record set ID --company 山田商店", "変更しました 山田商店"),
    ("record show ID", "進行中 アドレス"),
    ("user add carol@example.com --name Carol", "追加しました 取り込む"),
    ("user set carol@example.com --add-address c@example.com", "変更しました"),
    ("user disable carol@example.com", "無効"),
    ("user enable carol@example.com", "有効"),
    ("user list", "ログイン名 取り込む"),
    ("user show carol@example.com", "登録"),
    ("suppression list", "空です"),
    ("suppression add gone@customer.example --reason 退職", "拒否します"),
    ("suppression list --limit 1", "分類 退職"),
    ("suppression remove gone@customer.example", "許可"),
    ("audit", "受付 検証 漏れはありません"),
    ("replay", "足りませんでした"),
    ("status", "役割 ジャーナル 問題 起動してください"),
    ("migrate", "スキーマ"),
]


def test_every_answer_exists_in_japanese(call: Call, ask: Ask) -> None:
    """And in English there is no Japanese but what somebody put in."""
    (record,) = ask("record", "add", "contact", "Somebody", "--address", "some@x.example")
    for line, words in ANSWERS:
        line = line.replace("ID", str(record["id"]))
        code, out, err = call("--lang", "ja", *line.split())
        assert code == (1 if line == "status" else 0), (line, err)
        for word in words.split():
            assert word in out, line
        if line.split()[1:2] not in (["add"], ["remove"]):  # which is done now
            _, english, _ = call("--lang", "en", *line.split())
            english = re.sub("日本|田中花子|山田(商店)?|退職", "", english)
            assert not JAPANESE.search(english), line


def test_a_note_about_a_likely_slip_goes_to_standard_error(call: Call) -> None:
    code, out, err = call("record", "add", "lead", "Y", "--address", "y@gmial.com", "--json")
    assert code == 0 and "did you mean y@gmail.com?" in err
    assert json.loads(out)["addresses"] == ["y@gmial.com"]
