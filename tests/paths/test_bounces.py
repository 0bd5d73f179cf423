"""What became of mail: live replies and reports that come in, from the journal to the timeline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bounce.compose import Original, Told, compose
from bounce.keyfile import keep
from bounce.verp import mark_of
from crmstore import outcomes, suppressions
from proxy import cli
from tests.paths.office import Office

SENT = (
    b"From: alice@ours.example\r\nTo: bob@x.example\r\nMessage-ID: <one@ours.example>\r\n"
    b"Subject: hi\r\n\r\nhi\r\n"
)


def sent(number: int = 1, to: str = "bob@x.example") -> bytes:
    return SENT.replace(b"<one@", b"<%d@" % number).replace(b"bob@x.example", to.encode())


def report(
    to: str = "bob@x.example",
    *,
    status: str = "5.1.1",
    words: str = "550 5.1.1 User unknown",
    action: str = "failed",
    about: str = "<1@ours.example>",
    envid: str = "",
    mta: str = "mx.x.example",
    orcpt: str = "",
) -> bytes:
    lines = [
        "From: MAILER-DAEMON@x.example",
        "To: alice@ours.example",
        "Subject: Undelivered Mail Returned to Sender",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "It did not go.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        *([f"Original-Envelope-Id: {envid}"] if envid else []),
        f"Reporting-MTA: dns; {mta}",
        "",
        *([f"Original-Recipient: rfc822;{orcpt}"] if orcpt else []),
        f"Final-Recipient: rfc822;{to}",
        f"Action: {action}",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {words}",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        f"Message-ID: {about}",
        "From: alice@ours.example",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


class World:
    """An office with a submission and an inbound door."""

    def __init__(self, folder: Path, **bounce: Any) -> None:
        mx = {
            "name": "mx", "listen": "127.0.0.1:2525", "role": "inbound",
            "next_hop": "smtp://127.0.0.1:2526",
        }  # fmt: skip
        self.office = Office(folder, smtp=[mx], bounce=bounce)
        self.out = self.office.door("sub-0", "submission")
        self.inbound = self.office.door("mx-0", "inbound")

    def send(self, number: int = 1, to: str = "bob@x.example", **more: Any) -> str:
        ident = self.out.mail(sent(number, to), to=[to], **more)
        self.office.take()
        return ident

    def comes(self, body: bytes, sender: str = "", **more: Any) -> list[str]:
        """A report comes in; what became of it."""
        self.inbound.mail(body, sender=sender, to=("alice@ours.example",), **more)
        return [result for step in self.office.take() for _, result in step.bounces.reports]

    def status(self) -> list[str]:
        return [row["status"] for row in self.office.rows(source="submission")]

    def refused(self) -> dict[str, str]:
        return {entry.address: entry.category for entry in suppressions.entries(self.office.store)}

    def evidence(self, ident: str) -> list[tuple[str, str, str, str]]:
        with self.office.store.reading() as connection:
            found = outcomes.of_captures(connection, [ident]).get(ident, {})
        return [
            (row.address, row.state, row.category, row.evidence)
            for rows in found.values()
            for row in rows
        ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    assert made.office.audit().ok
    made.office.close()


def test_a_report_by_message_id_lands_on_its_mail(world: World) -> None:
    world.office.contact("mailer-daemon@x.example", name="nobody")
    ident = world.send()
    assert world.status() == ["delivered"]
    assert world.comes(report()) == ["matched"]
    assert world.status() == ["hard_bounce"]
    assert world.evidence(ident) == [("bob@x.example", "hard", "invalid_address", "message_id")]
    assert world.refused() == {"bob@x.example": "invalid_address"}
    # the report reaches the inbox and the store, and no record
    (row,) = world.office.rows(source="inbound")
    assert row["records"] == [] and row["status"] == "received"


def test_a_soft_bounce_is_no_reason_to_refuse(world: World) -> None:
    world.send()
    assert world.comes(report(status="5.2.2", words="552 5.2.2 Mailbox full")) == ["matched"]
    assert world.status() == ["soft_bounce"] and world.refused() == {}


def test_forged_reports_change_nothing_and_are_counted(world: World) -> None:
    world.send()
    assert world.comes(report(about="<never@ours.example>", mta="mx.evil.example")) == ["forged"]
    assert world.comes(report("victim@x.example", mta="mx.evil.example")) == ["forged"]
    assert world.comes(report("victim@x.example")) == ["forged"]
    unknown = report(envid="0" * 26, about="", mta="mx.evil.example")
    assert world.comes(unknown) == ["forged"]
    assert world.refused() == {}


def test_the_same_report_twice_counts_once(world: World) -> None:
    ident = world.send()
    assert world.comes(report()) == ["matched"]
    assert world.comes(report() + b"\r\n") == ["repeated"]
    assert len(world.evidence(ident)) == 1


def test_a_report_that_is_read_before_its_mail_is_tried_again(world: World) -> None:
    world.inbound.mail(report(), sender="", to=("alice@ours.example",))
    (step,) = world.office.take()
    assert [result for _, result in step.bounces.reports] == ["forged"]
    world.send()
    assert world.status() == ["hard_bounce"]
    assert world.refused() == {"bob@x.example": "invalid_address"}


def test_the_window_shows_and_never_suppresses(world: World) -> None:
    ident = world.send()
    assert world.comes(report(about="<lost@ours.example>")) == ["matched"]
    assert world.evidence(ident) == [("bob@x.example", "hard", "invalid_address", "window")]
    assert world.status() == ["hard_bounce"] and world.refused() == {}


def test_delayed_and_delivered_reports(world: World) -> None:
    ident = world.send()
    late = report(action="delayed", status="4.4.1", words="451 4.4.1 wait")
    assert world.comes(late) == ["matched"]
    assert world.status() == ["delivered"]
    assert [state for _, state, _, _ in world.evidence(ident)] == ["delayed"]
    assert world.comes(report(status="4.4.7", words="delivery time expired")) == ["matched"]
    assert world.status() == ["soft_bounce"]
    assert world.comes(report(action="delivered", status="2.0.0", words="250 ok")) == ["matched"]
    assert world.status() == ["delivered"]


def test_the_envelope_id_knows_a_forwarded_recipient_and_spares_the_address(world: World) -> None:
    ident = world.send()
    elsewhere = report("carol@elsewhere.example", envid=ident, about="", mta="mx.elsewhere.example")
    assert world.comes(elsewhere) == ["matched"]
    assert world.evidence(ident) == [("bob@x.example", "hard", "invalid_address", "envid")]
    assert world.status() == ["hard_bounce"] and world.refused() == {}


def test_orcpt_names_whom_we_wrote_to(world: World) -> None:
    world.send()
    told = report("carol@elsewhere.example", orcpt="bob@x.example", mta="mx.elsewhere.example")
    assert world.comes(told) == ["matched"]
    assert world.refused() == {"bob@x.example": "invalid_address"}


def test_a_report_of_our_own_says_nothing_new(world: World) -> None:
    ident = world.send()
    dead = Told("bob@x.example", "failed", "550 5.1.1 no", "invalid_address", "", (), 0.0)
    about = Original(ident, "alice@ours.example", (), 0.0, 0.0, sent(1, "bob@x.example"), True)
    own = compose(about, [dead], ident=ident, hostname="mail.ours.example", now=0.0)
    assert world.comes(own.content) == ["own"]
    assert world.evidence(ident) == [] and world.status() == ["delivered"]


def test_the_mail_server_behind_has_our_name_and_its_reports_count(world: World) -> None:
    """On one machine both are called mail.DOMAIN, as quickstart has it."""
    world.send()
    assert world.comes(report(mta="mail.ours.example")) == ["matched"]
    assert world.status() == ["hard_bounce"]
    assert world.refused() == {"bob@x.example": "invalid_address"}


def test_five_soft_bounces_in_a_row_over_a_week_are_enough(tmp_path: Path) -> None:
    world = World(tmp_path, soft_count=3, soft_for="0s")
    for number in range(1, 4):
        assert world.refused() == {}
        world.send(number)
        full = {"status": "4.2.2", "words": "452 4.2.2 over quota"}
        assert world.comes(report(about=f"<{number}@ours.example>", **full)) == ["matched"]
    assert world.refused() == {"bob@x.example": "mailbox_full"}
    world.office.close()


def test_a_delivered_report_lifts_and_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, soft_count=2, soft_for="0s")
    full = {"status": "4.2.2", "words": "452 4.2.2 over quota"}
    for number in (1, 2, 3, 4):
        world.send(number)
    assert world.comes(report(about="<1@ours.example>", **full)) == ["matched"]
    good = report(about="<2@ours.example>", action="delivered", status="2.0.0", words="250")
    assert world.comes(good) == ["matched"]
    assert world.comes(report(about="<3@ours.example>", **full)) == ["matched"]
    assert world.refused() == {}
    assert world.comes(report(about="<4@ours.example>", **full)) == ["matched"]
    assert world.refused() == {"bob@x.example": "mailbox_full"}
    world.office.close()


def test_whom_the_next_hop_refused_while_others_were_taken(world: World) -> None:
    world.office.contact("dead@x.example")
    turned = [{"address": "dead@x.example", "reply": "550 5.1.1 User unknown"}]
    ident = world.send(turned_away=turned)
    assert world.status() == ["hard_bounce"]
    assert world.evidence(ident) == [("dead@x.example", "hard", "invalid_address", "rcpt")]
    assert world.refused() == {"dead@x.example": "invalid_address"}
    # a later 250 of the same hop takes it back
    world.send(2, to="dead@x.example")
    assert world.refused() == {}


def test_the_word_force_is_no_part_of_the_address(world: World) -> None:
    record = world.office.contact("bob@x.example")
    body = sent().replace(b"To: bob@", b"To: force+bob@")
    world.out.mail(body, to=("bob@x.example",), notes={"bob@x.example": {"forced": True}})
    world.office.take()
    (row,) = world.office.rows(record=record.id)
    assert row["to"] == ["bob@x.example"]


def test_what_our_own_server_thinks_of_a_message_is_not_the_recipients_fault(world: World) -> None:
    ident = world.out.message(sent(7), to=("bob@x.example",))
    reply = "554 5.7.1 Message contains a virus"
    world.out._write(
        "verdict",
        {
            "id": ident, "time": "2026-11-22T00:00:00.000000Z", "outcome": "refused",
            "reply": reply,
            "recipients": [{"address": "bob@x.example", "outcome": "refused", "reply": reply}],
        },
    )  # fmt: skip
    (step,) = world.office.take()
    assert [(b.klass, b.category) for b in step.bounces.bounces] == [("hard", "content_block")]
    assert world.refused() == {}


def test_a_signed_return_path_ties_a_report_that_says_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, return_path_domain="b.example")
    keep(world.office.settings.return_path_keys, 1_790_000_000.0)
    ident = world.send()
    notes = {"alice@ours.example": {"return_path": mark_of(ident)}}
    bare = report(about="", mta="mx.elsewhere.example")
    # by Message-ID alone: shown, but for mail that went out signed it proves too little
    assert world.comes(report(mta="mx.evil.example")) == ["matched"]
    assert world.status() == ["hard_bounce"] and world.refused() == {}
    assert world.comes(bare, notes=notes) in (["matched"], ["repeated"])
    world.office.close()
    other = World(tmp_path / "2", return_path_domain="b.example")
    keep(other.office.settings.return_path_keys, 1_790_000_000.0)
    ident = other.send()
    notes = {"alice@ours.example": {"return_path": mark_of(ident)}}
    assert other.comes(bare, notes=notes) == ["matched"]
    assert other.evidence(ident) == [("bob@x.example", "hard", "invalid_address", "verp")]
    assert other.refused() == {"bob@x.example": "invalid_address"}
    other.office.close()


def test_a_crash_before_the_commit_repeats_and_counts_once(world: World) -> None:
    ident = world.send()
    world.inbound.mail(report(), sender="", to=("alice@ours.example",))
    real = world.office.ingest._bounces

    def dies(connection: object, decided: object) -> None:
        real(connection, decided)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    dies.last = real.last  # type: ignore[attr-defined]
    world.office.ingest._bounces = dies  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        world.office.ingest.step()
    assert world.evidence(ident) == [] and world.refused() == {}
    world.office.again()
    world.office.take()
    assert len(world.evidence(ident)) == 1


def test_ten_thousand_variations_of_a_report_stay_bounded(world: World) -> None:
    ident = world.send()
    for number in range(2 * outcomes.MAX_EVIDENCE):
        words = f"550 5.1.1 User unknown ({number})"
        world.inbound.mail(report(words=words), sender="", to=("alice@ours.example",))
    world.office.take()
    assert len(world.evidence(ident)) == outcomes.MAX_EVIDENCE


def test_mail_among_ourselves_is_excluded_and_its_reports_still_count(tmp_path: Path) -> None:
    """Our own server's daemon reports to our user: nobody from outside takes part."""
    world = World(tmp_path)
    world.send()
    ours = report(mta="mail2.ours.example").replace(b"DAEMON@x.example", b"DAEMON@ours.example")
    assert world.comes(ours) == ["matched"]
    assert world.status() == ["hard_bounce"]
    assert json.dumps(world.office.audit().excluded) == '{"internal": 1}'
    world.office.close()


def test_the_commands_tell_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path / "data")
    world.send()
    world.comes(report())
    world.office.close()
    config = tmp_path / "mailweir.toml"
    config.write_text(
        '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\ndata_dir = "data"\n'
    )

    def call(*args: str) -> tuple[int, str]:
        code = cli.run(["--config", str(config), *args])
        return code, capsys.readouterr().out

    _, out = call("email", "show", "1")
    assert "bob@x.example: hard_bounce" in out and "The address does not exist" in out
    assert "550 5.1.1 User unknown" in out and "report: email 2" in out
    assert "存在しません" in call("--lang", "ja", "email", "explain", "1")[1]
    (row,) = json.loads(call("--json", "email", "show", "1")[1])["delivery"]
    assert (row["status"], row["category"], row["source"], row["evidence"]) == (
        "hard_bounce", "invalid_address", "dsn", "message_id",
    )  # fmt: skip
    assert row["reports"] == [2] and row["suppressed"]
    listed = json.loads(call("--json", "suppression", "list")[1])
    assert (listed["address"], listed["category"]) == ("bob@x.example", "invalid_address")
    assert call("suppression", "remove", "bob@x.example")[0] == 0
    assert call("suppression", "remove", "bob@x.example")[0] == 1
    assert call("suppression", "add", "no address")[0] == 2
    assert call("suppression", "add", "Alice@Ours.example")[0] == 2, "it would refuse nothing"
    assert call("suppression", "add", "Eve@X.example", "--unsubscribed")[0] == 0
    assert "unsubscribed" in call("suppression", "list", "--address", "eve@x.example")[1]
    assert call("suppression", "list", "--address", "bob@x.example")[0] == 1
