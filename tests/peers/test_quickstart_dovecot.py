"""The IMAP lines of quickstart, in a real Dovecot behind a door as quickstart writes it."""

import imaplib
import re
import socket
from pathlib import Path

import pytest

from config.load import parse
from proxy import recipes
from proxy.check import check
from proxy.quickstart import quickstart
from tests.certs import certificate_for
from tests.paths.doors import until
from tests.paths.imapdoors import ImapDoor
from tests.peers.dovecot import Dovecot

pytestmark = pytest.mark.peers

USER = "alice@y.example"


class QuickstartDovecot(Dovecot):
    """With Dovecot's own defaults for passwords in clear, its brakes, and our lines."""

    lines = recipes.dovecot_imap()

    def write_files(self) -> None:
        super().write_files()
        file = self.folder / "dovecot.conf"
        text = file.read_text().replace("disable_plaintext_auth = no\n", "")
        port = f"port = {recipes.MAILBOXES}\n"
        assert port in recipes.dovecot_imap()
        file.write_text(text + self.lines.replace(port, f"port = {self.imap_port}\n"))


def test_logins_through_the_door_come_from_where_the_client_is(tmp_path: Path) -> None:
    text = quickstart("y.example", tmp_path / "quickstart").config.read_text()
    listener = 'upstream_client = "id"'
    assert listener in text
    # A certificate, so that Dovecot offers TLS on the way and the door takes it.
    with QuickstartDovecot(users={USER: "secret"}, certificate=certificate_for()) as dovecot:
        settings = parse(
            text.replace(f"127.0.0.1:{recipes.MAILBOXES}", f"127.0.0.1:{dovecot.imap_port}"),
            base=tmp_path,
        )
        found = [one for one in check(settings) if one.name.startswith("imap.")]
        assert [(one.level, one.name) for one in found] == [("ok", "imap.greeted")]
        upstream = f"imap://127.0.0.1:{dovecot.imap_port}"
        with ImapDoor(tmp_path / "door", upstream, listener=listener) as door:
            client = From("127.0.0.2", door.port)
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                client.login(USER, "wrong")
            client.login(USER, "secret")
            client.select("INBOX")
            until(lambda: "Login: user=" in dovecot.log(), "it is in Dovecot's log")
            client.logout()
        logins = re.findall(r"Login: user=<([^>]*)>.*?rip=([^,]*)", dovecot.log())
    assert logins and set(logins) == {(USER, "127.0.0.2")}


def test_without_trust_dovecot_takes_the_door_for_the_client(tmp_path: Path) -> None:
    """So the line with login_trusted_networks is needed."""

    class Untrusting(QuickstartDovecot):
        lines = recipes.dovecot_imap().replace("login_trusted_networks = 127.0.0.1\n", "")

    with Untrusting(users={USER: "secret"}) as dovecot:
        upstream = f"imap://127.0.0.1:{dovecot.imap_port}"
        with ImapDoor(tmp_path, upstream, listener='upstream_client = "id"') as door:
            client = From("127.0.0.2", door.port)
            client.login(USER, "secret")
            until(lambda: "Login: user=" in dovecot.log(), "it is in Dovecot's log")
            client.logout()
        assert "rip=127.0.0.2" not in dovecot.log()


class From(imaplib.IMAP4):
    """A client at another address of this machine."""

    def __init__(self, source: str, port: int) -> None:
        self._source = source
        super().__init__("127.0.0.1", port, timeout=60)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection(
            (self.host, self.port), timeout, source_address=(self._source, 0)
        )
