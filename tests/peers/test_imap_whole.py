"""The whole appliance between a mail program and a real Dovecot: every message exactly once.

Sent at submission and filed in Sent, received at the MX and read, read by its headers only, never
read at all: `emails` shows each one time and `audit` finds no gap; also when the IMAP door is
killed in the middle, and when everything is started again.
"""

import imaplib
import os
import signal
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.appliance import wait_until
from tests.faultsink import FaultSink
from tests.peers.dovecot import ALICE, Dovecot
from tests.peers.mailboxes import at_the_server
from tests.peers.postfix import Postfix
from tests.peers.whole import Whole

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(300)]


#: The companion looks again after seconds, not after a quarter of a minute.
SOON = ("proxy.imap.companion.MIN_GAP=3.0", "proxy.imap.companion.ACTIVE_LOOK=1.0")


def mail(number: int, *, sent: bool = False) -> bytes:
    people = ("alice@example.com", "bob@x.example")
    author, reader = people if sent else reversed(people)
    return (
        f"From: {author}\r\nTo: {reader}\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@x.example>\r\n\r\nThis is number {number}.\r\n"
    ).encode()


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    with FaultSink() as found:
        yield found


@pytest.fixture
def dovecot(sink: FaultSink) -> Iterator[Dovecot]:
    with Dovecot(relay_to=sink.port) as found:
        yield found


@pytest.fixture
def whole(tmp_path: Path, dovecot: Dovecot, sink: FaultSink) -> Iterator[Whole]:
    made = Whole(
        tmp_path,
        imap=f"imap://127.0.0.1:{dovecot.imap_port}",
        inbound=f"smtp://127.0.0.1:{sink.port}",
        submission=f"smtp://127.0.0.1:{dovecot.submission_port}",
        hasty=SOON,
    )
    made.start()
    yield made
    made.stop()


def put(dovecot: Dovecot, mailbox: str, body: bytes, *, password: str = "secret") -> None:
    """Into the mailbox past us, as a delivery agent does."""
    client = imaplib.IMAP4("127.0.0.1", dovecot.imap_port)
    client.login(ALICE, password)
    client.append(mailbox, "", imaplib.Time2Internaldate(time.time()), body)
    client.logout()


def delivered(body: bytes) -> bytes:
    """As it lies in the mailbox of who received it."""
    return (
        b"Return-Path: <bob@x.example>\r\nDelivered-To: alice@example.com\r\n"
        b"Received: from mailweir.example.com by mail.example.com\r\n\twith LMTP id 1;"
        b" Sun, 22 Nov 2026 01:00:00 +0000\r\n" + body
    )


def coverage(whole: Whole) -> dict[str, tuple[int, int]]:
    """Known and present of each mailbox; the first login has made the user."""
    _, (user,) = whole.ask("user", "show", ALICE)
    assert user["enabled"] and user["enrolled"]
    return {box["name"]: (box["known"], box["present"]) for box in user["mailboxes"]}


def test_every_message_exactly_once(whole: Whole, dovecot: Dovecot) -> None:
    with at_the_server(dovecot, ALICE) as client:
        client.create("Sent")

    # Sent, and filed by the mail program. Received, and read whole; received, and only its header
    # read; there, and not even that. All in one session: the companion looks at its begin, and
    # then not before a while.
    with smtplib.SMTP("127.0.0.1", whole.ports["sub"]) as smtp:
        smtp.login(ALICE, "secret")
        smtp.sendmail(ALICE, ["bob@x.example"], mail(1, sent=True))
    with smtplib.SMTP("127.0.0.1", whole.ports["mx"]) as smtp:
        smtp.sendmail("bob@x.example", [ALICE], mail(2))
        smtp.sendmail("bob@x.example", [ALICE], mail(3))
    for number in (2, 3, 4):
        put(dovecot, "INBOX", delivered(mail(number)))
    put(dovecot, "Sent", mail(5, sent=True))
    with whole.session() as client:
        client.append(
            "Sent", "(\\Seen)", imaplib.Time2Internaldate(time.time()), mail(1, sent=True)
        )
        client.select("INBOX")
        client.fetch("1", "(BODY[])")
        client.fetch("2:3", "(BODY.PEEK[HEADER])")
        whole.wait_for(
            {
                "number 1": {"submission", "imap_append"},
                "number 2": {"inbound"},
                "number 3": {"inbound", "companion"},
                "number 4": {"companion"},
                "number 5": {"companion"},
            }
        )
        end = time.monotonic() + 60
        while (covered := coverage(whole)) != {"INBOX": (3, 3), "Sent": (2, 2)}:
            assert time.monotonic() < end, covered  # by the companion's second look, if not before
            time.sleep(1)
        _, flags = client.fetch("1:3", "(FLAGS)")
        assert [b"\\Seen" in line for line in flags if isinstance(line, bytes)] == [
            True, False, False
        ]  # fmt: skip
    found = whole.emails()
    assert len(found) == 5
    assert {"imap_fetch", "companion"} & set(found["number 2"])
    # Everything again: nothing new.
    whole.stop()
    whole.start()
    with whole.session() as client:
        client.select("INBOX")
        client.fetch("1:*", "(BODY.PEEK[])")
        put(dovecot, "INBOX", delivered(mail(6)))
        client.noop()
        client.fetch("4", "(BODY.PEEK[])")
    # By the session or by the companion, whichever came first.
    whole.wait_for({"number 6": set()})
    assert len(whole.emails()) == 6
    whole.audited()
    _, (status,) = whole.ask("status")
    assert {one["folder"] for one in status["coverage"]} == {"inbox", "sent"}


def test_a_password_that_changes_needs_nobody_here(whole: Whole, dovecot: Dovecot) -> None:
    put(dovecot, "INBOX", delivered(mail(20)))
    with whole.session() as client:
        client.select("INBOX")
        whole.wait_for({"number 20": {"companion"}})
    (dovecot.folder / "users").write_text(f"{ALICE}:{{PLAIN}}another secret\n")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"), whole.session():
        raise AssertionError("the old password is good no longer")
    put(dovecot, "INBOX", delivered(mail(21)), password="another secret")
    with whole.session(password="another secret") as client:
        client.select("INBOX")
        client.fetch("2", "(BODY.PEEK[])")
        whole.wait_for({"number 21": set()})
    with smtplib.SMTP("127.0.0.1", whole.ports["sub"]) as smtp:
        smtp.login(ALICE, "another secret")
        smtp.sendmail(ALICE, ["bob@x.example"], mail(22, sent=True))
    whole.wait_for({"number 22": {"submission"}})
    assert [path for path in whole.files() if b"another secret" in path.read_bytes()] == []


@pytest.fixture
def office(tmp_path: Path, sink: FaultSink) -> Iterator[tuple[Whole, Postfix]]:
    """Between us and Dovecot's mailboxes a Postfix, which delivers, and relays what is not ours."""
    with Dovecot(relay_to=1, plugins=True) as dovecot:
        delivers = {
            "virtual_mailbox_domains": "example.com",
            "virtual_mailbox_maps": f"inline:{{ {{ {ALICE} = {ALICE}/ }} }}",
            "virtual_mailbox_base": f"{dovecot.folder}/mail",
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
            "virtual_minimum_uid": "1",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
        }
        with Postfix(
            auth=dovecot, auth_needed=True, relay_to=sink.port, settings=delivers
        ) as postfix:
            hop = f"smtp://127.0.0.1:{postfix.port}"
            made = Whole(
                tmp_path,
                imap=f"imap://127.0.0.1:{dovecot.imap_port}",
                inbound=hop,
                submission=hop,
                hasty=SOON,
            )
            made.start()
            yield made, postfix
            made.stop()


def test_a_day_at_an_office_with_postfix_and_dovecot(
    office: tuple[Whole, Postfix], sink: FaultSink
) -> None:
    """Every message once, however often it was seen."""
    whole, postfix = office
    to_herself = mail(13, sent=True).replace(b"To: bob@x.example", b"To: alice@example.com")
    with smtplib.SMTP("127.0.0.1", whole.ports["sub"]) as smtp:
        smtp.login(ALICE, "secret")
        smtp.sendmail(ALICE, ["bob@x.example"], mail(10, sent=True))
        smtp.sendmail(ALICE, ["bob@x.example"], mail(11, sent=True))
        smtp.sendmail(ALICE, [ALICE], to_herself)
    assert len(sink.wait_for_messages(2)) == 2
    with smtplib.SMTP("127.0.0.1", whole.ports["mx"]) as smtp:
        smtp.sendmail("bob@x.example", [ALICE], mail(12))
    with whole.session() as client:
        now = imaplib.Time2Internaldate(time.time())
        client.append("Sent", "(\\Seen)", now, mail(10, sent=True))
        client.append("Drafts", "(\\Draft)", now, mail(14, sent=True))
        wait_until(lambda: client.select("INBOX")[1] == [b"2"], 60, postfix.log)
        client.fetch("1:2", "(ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        stored = whole.wait_for(
            {
                "number 10": {"submission", "imap_append"},
                "number 11": {"submission"},
                "number 12": {"inbound", "companion"},
            }
        )
    assert len(stored) == 3, "drafts, and what we write to ourselves, are nobody's business"
    _, rows = whole.ask("emails")
    ids = {row["subject"]: str(row["id"]) for row in rows}
    _, (sent,) = whole.ask("email", "show", ids["number 10"])
    assert sorted(one["source"] for one in sent["sightings"]) == ["imap_append", "submission"]
    assert sent["direction"] == "sent"
    assert set(whole.audited()["excluded"]) == {"internal"}


def test_a_door_that_is_killed_leaves_no_gap(whole: Whole, dovecot: Dovecot) -> None:
    with whole.session() as client:
        client.select("INBOX")
    wanted = {f"number {number}" for number in range(40)}
    for number in range(40):
        put(dovecot, "INBOX", delivered(mail(number)))
    for _ in range(2):
        client = imaplib.IMAP4("127.0.0.1", whole.ports["imap"])
        client.login(ALICE, "secret")
        client.select("INBOX")
        killed = whole.door()
        client.send(b"x UID FETCH 1:* (BODY.PEEK[])\r\n")
        time.sleep(0.02)
        os.kill(killed, signal.SIGKILL)
        client.shutdown()
        wait_until(lambda old=killed: whole.door() not in (0, old), 60, "the door came back")  # type: ignore[misc]
    with whole.session():
        stored = whole.wait_for({subject: set() for subject in wanted})
    assert set(stored) == wanted
    whole.audited()
