"""The lines that quickstart prints, in a real Postfix and Dovecot: they do what the words say."""

import base64
import re
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.load import parse
from config.settings import Settings
from proxy import recipes
from proxy.check import Finding, check
from proxy.quickstart import quickstart
from tests.peers.dovecot import ALICE, Dovecot
from tests.peers.postfix import Postfix
from tests.ports import free_port

pytestmark = pytest.mark.peers

OUTSIDE = "someone@elsewhere.example"


class SecureDovecot(Dovecot):
    """With Dovecot's own default for passwords on unencrypted connections."""

    def write_files(self) -> None:
        super().write_files()
        file = self.folder / "dovecot.conf"
        text = file.read_text()
        assert "disable_plaintext_auth = no\n" in text
        file.write_text(text.replace("disable_plaintext_auth = no\n", ""))


class QuickstartPostfix(Postfix):
    """Our lines to the letter, but for what belongs to this machine: ports, chroot, the socket."""

    def __init__(self, dovecot: Dovecot, lines: str) -> None:
        super().__init__(mailboxes=["bob@example.com", "postmaster@example.com"])
        self.moved = {port: free_port() for port in (10025, 10587, 10026)}
        self.extra = {
            "virtual_mailbox_domains": "example.com",
            # Postfix's own: where it is smaller than message_size_limit, nothing is delivered.
            "virtual_mailbox_limit": "51200000",
            **dict(re.findall(r"postconf -e '(\w+) = (.*)'", recipes.postfix_main())),
        }
        self.lines = (
            self.local(lines)
            .replace("inet n - y", "inet n - n")
            .replace("private/auth", f"inet:127.0.0.1:{dovecot.auth_port}")
        )

    def local(self, text: str) -> str:
        for port, other in self.moved.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
        return text

    def write_files(self) -> None:
        super().write_files()
        with (self.folder / "conf/master.cf").open("a") as file:
            file.write(self.lines)

    def ports(self) -> list[int]:
        return [self.port, *self.moved.values()]

    def talk(self, port: int) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.moved[port], timeout=60)
        client.ehlo("client.example")
        return client


@dataclass
class Site:
    postfix: QuickstartPostfix
    settings: Settings

    def check(self) -> list[Finding]:
        return [one for one in check(self.settings) if one.name.startswith("hop.")]


def site(folder: Path, dovecot: Dovecot, lines: str) -> Site:
    postfix = QuickstartPostfix(dovecot, lines)
    text = quickstart("example.com", folder).config.read_text()
    return Site(postfix, parse(postfix.local(text), base=folder))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with SecureDovecot() as dovecot:
        made = site(tmp_path_factory.mktemp("quickstart"), dovecot, recipes.postfix_master())
        with made.postfix:
            yield made


def refused(client: smtplib.SMTP, recipient: str) -> str:
    client.mail("")
    code, words = client.rcpt(recipient)
    client.rset()
    return "" if code == 250 else f"{code} {words.decode()}"


def test_check_is_content(running: Site) -> None:
    found = running.check()
    assert [(one.level, one.name) for one in found if one.level != "ok"] == []
    assert {one.name for one in found} >= {"hop.takes", "hop.auth_offered"}
    assert len([one for one in found if one.name == "hop.greeted"]) == 4


def test_the_inbound_port_takes_our_domain_and_no_other(running: Site) -> None:
    with running.postfix.talk(10025) as client:
        assert not client.has_extn("auth")
        assert refused(client, "bob@example.com") == ""
        assert refused(client, OUTSIDE).startswith("554 5.7.1")


def test_the_submission_port_wants_a_login(running: Site) -> None:
    with running.postfix.talk(10587) as client:
        assert refused(client, OUTSIDE).startswith("554 5.7.1")
        assert refused(client, "bob@example.com").startswith("554 5.7.1")
        client.login(ALICE, "secret")
        assert refused(client, OUTSIDE) == ""
        assert refused(client, "bob@example.com") == ""


def test_a_wrong_password_is_refused(running: Site) -> None:
    with running.postfix.talk(10587) as client:
        code, _ = client.docmd("AUTH PLAIN", base64.b64encode(f"\0{ALICE}\0no".encode()).decode())
        assert code == 535


def test_the_queue_port_sends_anywhere(running: Site) -> None:
    with running.postfix.talk(10026) as client:
        assert refused(client, OUTSIDE) == ""
        assert refused(client, "bob@example.com") == ""


def test_more_connections_than_postfix_gives_one_client(running: Site) -> None:
    """All of ours come from 127.0.0.1, which Postfix would hold to 50 on a port without trust."""
    clients = [running.postfix.talk(10025) for _ in range(55)]
    try:
        assert refused(clients[-1], "bob@example.com") == ""
    finally:
        for client in clients:
            client.close()


def test_check_sees_an_inbound_port_that_trusts_us(tmp_path: Path) -> None:
    """The trap: the lines without the empty mynetworks, with the restrictions that many have."""
    trusting = re.sub(r"    -o mynetworks=\n", "", recipes.postfix_master(), count=1).replace(
        "restrictions=reject_unauth", "restrictions=permit_mynetworks,reject_unauth"
    )
    with Dovecot() as dovecot:
        made = site(tmp_path, dovecot, trusting)
        with made.postfix:
            assert "hop.relays" in {one.name for one in made.check()}


def test_dovecot_submission_in_place_of_postfix(running: Site) -> None:
    """Dovecot's own service, with its defaults: it takes a login on loopback and relays on."""
    with SecureDovecot(relay_to=running.postfix.moved[10026]) as dovecot:
        with smtplib.SMTP("127.0.0.1", dovecot.submission_port, timeout=60) as client:
            client.login(ALICE, "secret")
            client.sendmail(ALICE, ["bob@example.com"], "Subject: by Dovecot\r\n\r\nhello\r\n")
    mails = running.postfix.wait_for_mails()
    assert any(b"Subject: by Dovecot" in mail.content for mail in mails)
