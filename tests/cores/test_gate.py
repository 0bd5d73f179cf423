"""The gate in a door's dialogues: suppressed recipients, force+, signed return paths, ENVID."""

from bounce.suppression import Suppressed
from bounce.verp import Key, ReturnPaths
from proxy.captureid import new_capture_id
from proxy.smtp.gate import Gate
from tests.cores.hopline import Hop
from tests.cores.world import World

NOW = 1_790_000_000.0
PATHS = ReturnPaths("b.example", ["y.example"], [Key("k", b"s" * 32)])
DEAD = {
    "dead@x.example": Suppressed(
        "invalid_address", "5.1.1", "550 5.1.1 User unknown", 1_777_800_000.0
    )
}


def world(
    role: str = "submission", hop: Hop | None = None, **gate: object
) -> tuple[World, list[str]]:
    heard: list[str] = []
    given = {"suppressed": DEAD.get, "paths": None, "envid": False, **gate}
    made = Gate(role, clock=lambda: NOW, count=heard.append, **given)  # type: ignore[arg-type]
    submission = {"ip": "127.0.0.1", "trusted": True} if role == "submission" else {}
    return World(hop=hop or Hop(), role=role, gate=made, **submission), heard  # type: ignore[arg-type]


def test_a_suppressed_recipient_is_refused_and_the_others_go() -> None:
    submission, heard = world()
    submission.talk("""
        C< 220 *
        C> EHLO pc
        C<... 250 *
        C> MAIL FROM:<a@y.example>
        C< 250 2.1.0 *
        C> RCPT TO:<Dead@X.example>
        C< 550-5.1.1 <Dead@X.example> is refused since 2026-05-03 (invalid address): 550 *
        C< 550 5.1.1 To send all the same: <force+Dead@X.example>, or *
        C> RCPT TO:<alive@x.example>
        C< 250 *
        C> DATA
        C< 354 *
        C> hi
        C> .
        C< 250 *
    """)
    assert heard == ["suppressed"]
    assert [m.recipients for m in submission.hop.messages] == [["RCPT TO:<alive@x.example>"]]


def test_many_suppressed_recipients_do_not_cost_the_connection() -> None:
    submission, heard = world()
    submission.send(
        b"EHLO pc\r\nMAIL FROM:<a@y.example>\r\n" + b"RCPT TO:<dead@x.example>\r\n" * 40
    )
    assert heard == ["suppressed"] * 40 and not submission.closed


def test_force_goes_on_without_the_word() -> None:
    submission, _ = world()
    submission.send(
        b"EHLO pc\r\nMAIL FROM:<a@y.example>\r\nRCPT TO:<force+dead@x.example>\r\n"
        b"DATA\r\nhi\r\n.\r\n"
    )
    assert [m.recipients for m in submission.hop.messages] == [["RCPT TO:<dead@x.example>"]]
    (record,) = submission.records.values()
    assert [r["address"] for r in record["recipients"]] == ["dead@x.example"]
    assert record["notes"] == {"dead@x.example": {"forced": True}}


def test_inbound_mail_is_never_refused_by_the_list() -> None:
    listed = {"dead@y.example": DEAD["dead@x.example"]}
    inbound, _ = world("inbound", suppressed=listed.get)
    inbound.send(b"EHLO pc\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<dead@y.example>\r\n")
    assert b"250 2.1.5" in inbound.out


def test_our_own_server_answers_for_our_own_people() -> None:
    listed = {"new@y.example": DEAD["dead@x.example"]}
    submission, heard = world(suppressed=listed.get, ours=["y.example"])
    submission.send(b"EHLO pc\r\nMAIL FROM:<a@y.example>\r\nRCPT TO:<new@y.example>\r\n")
    assert b"250 2.1.5" in submission.out and heard == []


def test_the_return_path_goes_on_signed_and_the_journal_has_the_sender() -> None:
    hop = Hop()
    submission, _ = world(hop=hop, paths=PATHS, envid=True)
    submission.send(
        b"EHLO pc\r\nMAIL FROM:<Alice@y.example>\r\nRCPT TO:<bob+1@x.example>\r\n"
        b"DATA\r\nhi\r\n.\r\n"
    )
    ((ident, record),) = submission.records.items()
    assert record["sender"] == "Alice@y.example" and record["sender_params"] == []
    (message,) = hop.messages
    assert message.mail.startswith(f"MAIL FROM:<{PATHS.sign('Alice@y.example', ident)}>")
    assert message.mail.endswith(f" ENVID={ident}")
    said = hop.commands
    assert any("ORCPT=rfc822;bob+2B1@x.example" in line for line in said)


def test_the_clients_own_words_stay() -> None:
    hop = Hop()
    submission, _ = world(hop=hop, envid=True)
    submission.send(
        b"EHLO pc\r\nMAIL FROM:<a@y.example> RET=HDRS ENVID=mine\r\n"
        b"RCPT TO:<b@x.example> ORCPT=rfc822;c@x.example NOTIFY=NEVER\r\nDATA\r\nhi\r\n.\r\n"
    )
    said = "\n".join(hop.commands)
    assert "ENVID=mine" in said and said.count("ENVID") == 1
    assert "ORCPT=rfc822;c@x.example NOTIFY=NEVER" in said and said.count("ORCPT") == 1


def test_a_hop_without_dsn_hears_nothing_of_it() -> None:
    hop = Hop(without=("DSN",))
    submission, _ = world(hop=hop, envid=True)
    submission.send(b"EHLO pc\r\nMAIL FROM:<a@y.example>\r\nRCPT TO:<b@x.example>\r\n")
    assert hop.commands and "ENVID" not in "".join(hop.commands)


def back(local: str) -> tuple[World, list[str]]:
    inbound, heard = world("inbound", paths=PATHS)
    inbound.send(
        b"EHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<" + local.encode() + b"@b.example> NOTIFY=NEVER\r\n"
        b"DATA\r\nSubject: Undelivered\r\n\r\n.\r\n"
    )
    return inbound, heard


def test_a_report_to_a_signed_path_reaches_the_sender() -> None:
    ident = new_capture_id(int(NOW * 1000), 5)
    local = (PATHS.sign("alice@y.example", ident) or "").partition("@")[0]
    inbound, heard = back(local)
    assert heard == ["valid"]
    assert [m.recipients for m in inbound.hop.messages] == [["RCPT TO:<alice@y.example>"]]
    (record,) = inbound.records.values()
    assert record["notes"]["alice@y.example"]["return_path"] == ident[:10] + ident[-6:]


def test_forged_and_expired_paths_are_refused_and_counted() -> None:
    ident = new_capture_id(int((NOW - 40 * 86_400) * 1000), 5)
    old = (PATHS.sign("alice@y.example", ident) or "").partition("@")[0]
    for local, result in ((old, "expired"), (old[:-1] + "x", "forged"), ("alice", "forged")):
        inbound, heard = back(local)
        assert heard == [result] and b"550 5.1.1" in inbound.out
        assert inbound.hop.messages == []


def test_whom_the_hop_refused_stands_in_the_journal() -> None:
    submission, _ = world(hop=Hop(rcpt={"nobody@": "550 5.1.1 no such user"}))
    submission.send(
        b"EHLO pc\r\nMAIL FROM:<a@y.example>\r\nRCPT TO:<nobody@x.example>\r\n"
        b"RCPT TO:<b@x.example>\r\nDATA\r\nhi\r\n.\r\n"
    )
    (record,) = submission.records.values()
    assert record["turned_away"] == [
        {"address": "nobody@x.example", "reply": "550 5.1.1 no such user"}
    ]
