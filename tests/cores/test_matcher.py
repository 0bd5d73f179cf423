"""The ladder: which sent message a report is about, and how sure that is."""

from dataclasses import dataclass

from bounce import detect
from bounce.matcher import decide, host_of, hosts_fit, names, pack, unpack
from bounce.report import Recipient, Report


@dataclass(frozen=True)
class Sent:
    capture_id: str
    recipients: frozenset[str]


def one(*recipients: str, ident: str = "A") -> Sent:
    return Sent(ident, frozenset(recipients))


def dead(address: str, **more: str) -> Recipient:
    return Recipient(address, "hard", "invalid_address", "failed", "5.1.1", "550 5.1.1 no", **more)


def report(*recipients: Recipient) -> Report:
    return Report("bounce", recipients)


BOB, CAROL = "bob@x.example", "carol@x.example"


def test_the_strongest_rung_decides() -> None:
    found = {"message_id": [one(BOB, ident="M")], "envid": [one(BOB, ident="E")]}
    (match,), rest = decide(report(dead(BOB)), found)
    assert (match.capture_id, match.evidence, match.certain) == ("E", "envid", True) and not rest


def test_recipients_are_matched_one_by_one() -> None:
    matches, rest = decide(report(dead(BOB), dead("eve@x.example")), {"verp": [one(BOB, CAROL)]})
    assert [m.address for m in matches] == [BOB] and [r.address for r in rest] == ["eve@x.example"]


def test_nobody_we_wrote_to_is_nobody() -> None:
    matches, rest = decide(report(dead("victim@x.example")), {"message_id": [one(BOB)]})
    assert matches == [] and len(rest) == 1


def test_a_forwarded_recipient_needs_the_envelope_and_is_never_certain() -> None:
    gone = dead("bob@elsewhere.example")
    (match,), _ = decide(report(gone), {"envid": [one(BOB)]})
    assert (match.address, match.certain) == (BOB, False)
    assert decide(report(gone), {"message_id": [one(BOB)]})[0] == []
    assert decide(report(gone), {"envid": [one(BOB, CAROL)]})[0] == []
    orcpt = dead("bob@elsewhere.example", original="rfc822;Bob@X.example")
    (match,), _ = decide(report(orcpt), {"envid": [one(BOB, CAROL)]})
    assert (match.address, match.certain) == (BOB, True) and names(orcpt)[0] == BOB


def test_what_went_out_signed_and_comes_another_way_is_doubtful() -> None:
    (match,), _ = decide(report(dead(BOB)), {"message_id": [one(BOB)]}, unsigned=["A"])
    assert match.certain is False


def test_hosts() -> None:
    assert host_of("dns; MX.x.example.") == "mx.x.example"
    assert host_of("mx.x.example (192.0.2.1)") == "mx.x.example" and host_of("") == ""
    said = Report("bounce", reporting_mta="dns; mx.x.example")
    assert hosts_fit(said, dead(BOB), BOB, ["ours.example"])
    assert not hosts_fit(said, dead(BOB), "bob@other.example", ["ours.example"])
    assert not hosts_fit(Report("bounce"), dead(BOB), BOB, [])
    assert not hosts_fit(Report("bounce", reporting_mta="evilx.example"), dead(BOB), BOB, [])


def test_packed_and_unpacked_is_the_same() -> None:
    said = Report(
        "bounce", (dead(BOB, original="rfc822;b@x.example"),), "<1@x>", envelope_id="E",
        reporting_mta="mx", feedback_type="abuse",
    )  # fmt: skip
    assert unpack(pack(said)) == said


def test_a_group_may_begin_with_its_action() -> None:
    """As Exim writes them; what the action says of the first recipient must not be lost."""
    text = (
        "From: Mailer-Daemon@exim.example\r\nSubject: Warning: message delayed\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nIt waits.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; exim.example\r\n\r\n"
        "Action: delayed\r\nFinal-Recipient: rfc822;bob@x.example\r\nStatus: 4.0.0\r\n\r\n"
        "Action: failed\r\nFinal-Recipient: rfc822;carol@x.example\r\nStatus: 5.1.1\r\n\r\n"
        "--b--\r\n"
    )
    found = detect.read(text.encode(), sender="")
    assert [(r.address, r.action) for r in found.recipients] == [
        (BOB, "delayed"),
        (CAROL, "failed"),
    ]
