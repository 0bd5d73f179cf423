"""The companion at real servers: it gets every octet, and the mailbox is as it was before."""

import imaplib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.secret import Secret
from proxy.imap.login import Credentials
from proxy.imap.mailclient import MailboxError, Server, connect
from proxy.smtp.hoptls import client_context
from tests.certs import certificate_for
from tests.paths.test_companion import Desk, companion, for_a_while, in_loop, password
from tests.peers.cyrus import Cyrus
from tests.peers.dovecot import ALICE, Dovecot

pytestmark = pytest.mark.peers

FIRST = b"From: bob@x.example\r\nTo: alice@example.com\r\nSubject: first\r\n\r\nHello\r\n"
LARGE = FIRST.replace(b"first", b"large") + b"0123456789abcdef\r\n" * 100_000


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(certificate=certificate_for()) as server:
        yield server


@pytest.fixture(scope="module")
def cyrus() -> Iterator[Cyrus]:
    with Cyrus(certificate=certificate_for()) as server:
        yield server


def client(server: Dovecot | Cyrus) -> imaplib.IMAP4:
    found = imaplib.IMAP4("127.0.0.1", server.imap_port)
    found.login(ALICE, "secret")
    return found


def state(session: imaplib.IMAP4, mailbox: str) -> list[object]:
    """All that a client can see of a mailbox, without changing it."""
    _, status = session.status(mailbox, "(MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY)")
    session.select(mailbox, readonly=True)
    _, flags = session.fetch("1:*", "(UID FLAGS INTERNALDATE)")
    session.unselect()
    return [status, flags]


def plan_for(desk: Desk, server: Dovecot | Cyrus) -> Server:
    context = client_context("verify", certificate_for().ca)
    return Server("localhost", server.imap_port, False, "verify", context)


def test_every_octet_and_nothing_changed(dovecot: Dovecot, tmp_path: Path) -> None:
    nothing_changes(dovecot, "&kAFP4W4IMH8-", "送信済み", tmp_path)


def test_nor_at_cyrus_which_knows_itself_what_is_sent(cyrus: Cyrus, tmp_path: Path) -> None:
    nothing_changes(cyrus, "Sent", "Sent", tmp_path)


@in_loop
async def nothing_changes(
    server: Dovecot | Cyrus, sent: str, sent_name: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    desk.entry = desk.entry._replace(since_us=time.time_ns() // 1000) if desk.entry else None
    session = client(server)
    session.create(sent)
    session.create("Spam")
    session.create("Drafts")
    for mailbox in ("INBOX", sent, "Spam", "Drafts"):
        session.append(mailbox, "", imaplib.Time2Internaldate(time.time()), FIRST)
        session.append(mailbox, "", imaplib.Time2Internaldate(time.time()), LARGE)
    session.append("INBOX", "(\\Seen \\Flagged)", imaplib.Time2Internaldate(1_600_000_000), FIRST)
    before = [state(session, mailbox) for mailbox in ("INBOX", sent)]
    plan = replace(desk.plan_at(plan_for(desk, server)), patience=30.0)
    one = companion(plan)
    await for_a_while(one, lambda: one.figures.looks >= 1)
    after = [state(session, mailbox) for mailbox in ("INBOX", sent)]
    session.logout()
    assert after == before
    assert b"RECENT 3" in before[0][0][0]  # type: ignore[index]
    assert sorted(desk.taken) == [
        ("INBOX", 1, FIRST), ("INBOX", 2, LARGE), (sent_name, 1, FIRST), (sent_name, 2, LARGE)
    ]  # fmt: skip
    assert {meta.special for meta in desk.metas} == {"inbox", "sent"}
    assert [str(look.present) for look in desk.looks] == ["1:2", "1:2"]


@in_loop
async def test_every_login_that_dovecot_knows(dovecot: Dovecot, tmp_path: Path) -> None:
    server = plan_for(Desk(tmp_path), dovecot)
    for mechanism, secret in (
        ("LOGIN", "secret"),
        ("PLAIN", "secret"),
        ("XOAUTH2", "token-of-alice"),
        ("OAUTHBEARER", "token-of-alice"),
    ):
        one = await connect(server, 30)
        await one.login(Credentials(mechanism, ALICE, Secret(secret)))
        assert await one.folders()
        await one.logout()
        one = await connect(server, 30)
        with pytest.raises(MailboxError) as found:
            await one.login(password("wrong", mechanism))
        assert found.value.stage == "authenticate"
        assert "wrong" not in str(found.value)
        one.close()
