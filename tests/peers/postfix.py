"""A Postfix of our own: next hop, relay in front of us, or both.

    Postfix()                              takes all mail, delivers into one maildir: mails()
    Postfix(mailboxes=["bob@example.net"]) others get 550 5.1.1
    Postfix(deliver="discard")             takes all mail and forgets it
    Postfix(relay_to=door.port)            sends all mail on to a port
    Postfix(users={"alice": "secret"})     AUTH PLAIN LOGIN CRAM-MD5 (sasldb); `auth_needed=True`
    Postfix(auth=dovecot)                  AUTH by a Dovecot (PLAIN LOGIN XOAUTH2 OAUTHBEARER ...)
    Postfix(certificate=certificate_for()) STARTTLS on `port`, implicit TLS on `smtps_port`
    Postfix(settings={"smtpd_recipient_limit": "5"})    anything of main.cf

It changes nothing in a message but the headers on top (`split_trace`). Retries come after a second.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.certs import Certificate
from tests.peers.servers import Server, need, need_root, wait_until
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.peers.dovecot import Dovecot

TRACE = (b"return-path:", b"x-original-to:", b"delivered-to:", b"received:")
# But for the queue manager, which wakes up each second: a message that it finds locked, because the
# agent that could not deliver it is not done yet, it looks at no sooner.
SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Mail:
    """One file of the maildir, with the line ends of the wire."""

    content: bytes

    @property
    def sender(self) -> str:
        return self._header(b"Return-Path").strip("<>")

    @property
    def recipient(self) -> str:
        return self._header(b"X-Original-To")

    def _header(self, name: bytes) -> str:
        found = re.search(rb"(?im)^" + name + rb": (.*)\r$", self.content)
        return found.group(1).decode() if found else ""


def split_trace(content: bytes) -> tuple[list[bytes], bytes]:
    """The trace headers on top, newest first, and all below them to the octet."""
    trace: list[bytes] = []
    while content.lower().startswith(TRACE):
        header = re.match(rb"[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", content)
        assert header is not None
        trace.append(header.group())
        content = content[header.end() :]
    return trace, content


class Postfix(Server):
    def __init__(
        self,
        *,
        deliver: str = "maildir",  # maildir | discard
        relay_to: int | None = None,
        mailboxes: Sequence[str] | None = None,
        users: Mapping[str, str] | None = None,
        auth: "Dovecot | None" = None,
        auth_needed: bool = False,
        certificate: Certificate | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        need("postfix")
        need_root("Postfix")
        super().__init__()
        self.port, self.smtps_port = free_port(), free_port()
        self.deliver, self.relay_to, self.mailboxes = deliver, relay_to, mailboxes
        self.users, self.auth, self.auth_needed = users, auth, auth_needed
        self.certificate, self.extra = certificate, settings or {}

    def mails(self) -> list[Mail]:
        """What was delivered so far, oldest first."""
        paths = sorted(self.folder.glob("mail/*/new/*"), key=lambda path: path.stat().st_mtime_ns)
        return [Mail(path.read_bytes().replace(b"\n", b"\r\n")) for path in paths]

    def wait_for_mails(self, count: int = 1, timeout: float = 60.0) -> list[Mail]:
        wait_until(
            lambda: len(self.mails()) >= count, lambda: f"{count} mails: {self.log()}", timeout
        )
        return self.mails()

    # The process

    def ports(self) -> list[int]:
        return [self.port] + ([self.smtps_port] if self.certificate else [])

    def command(self) -> list[str]:
        folder = subprocess.check_output([need("postconf"), "-dh", "daemon_directory"], text=True)
        master = f"{folder.strip()}/master"
        return ["env", f"MAIL_CONFIG={self.folder}/conf", master, "-s", "-c", f"{self.folder}/conf"]

    def write_files(self) -> None:
        folder = self.folder
        for name, owner in (("conf", "root"), ("queue", "root"), ("data", "postfix")):
            (folder / name).mkdir()
            shutil.chown(folder / name, owner)
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", "nobody")
        settings = self.settings() | dict(self.extra)
        (folder / "conf/main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        services = f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
        if self.certificate:
            services += f"127.0.0.1:{self.smtps_port} inet n - n - - smtpd"
            services += " -o smtpd_tls_wrappermode=yes\n"
        (folder / "conf/master.cf").write_text(services + SERVICES.lstrip())
        if self.users:
            self._write_users(self.users)
        # A configuration changed within the last two seconds is read again and again until it is
        # older: so make it older.
        os.utime(folder / "conf/main.cf", (0, 0))
        check = [need("postfix"), "-c", f"{folder}/conf", "check"]
        subprocess.run(check, check=True, capture_output=True)

    def settings(self) -> dict[str, str]:
        folder = str(self.folder)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "maillog_file": f"{folder}/log",
            "maillog_file_prefixes": folder,
            "myhostname": "postfix.example.net",
            "mydestination": "",
            "mynetworks": "" if self.auth_needed else "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject",
            "smtpd_peername_lookup": "no",
            "smtp_host_lookup": "native",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "alias_database": "",
            "local_header_rewrite_clients": "",  # messages stay as they are
            "queue_run_delay": "1s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            # A process that could not start or ended badly (on a busy machine) is not left alone
            # for a minute.
            "transport_retry_time": "1s",
            "service_throttle_time": "1s",
        }
        if self.relay_to is not None:
            settings["relayhost"] = f"[127.0.0.1]:{self.relay_to}"
        elif self.deliver == "discard":
            settings["default_transport"] = "discard:"
        else:
            known = [f"{address} all/\n" for address in self.mailboxes or ()]
            (self.folder / "conf/mailboxes").write_text("".join(known))
            known_map = f"texthash:{self.folder}/conf/mailboxes"
            settings |= {
                "virtual_mailbox_domains": "static:all",
                "virtual_mailbox_maps": "static:all/" if self.mailboxes is None else known_map,
                "virtual_mailbox_base": f"{folder}/mail",
                "virtual_mailbox_limit": "0",
                "virtual_uid_maps": "static:65534",
                "virtual_gid_maps": "static:65534",
                "virtual_minimum_uid": "1",
            }
            if self.auth_needed:
                # With every domain ours, "relay" would be nothing to need AUTH for.
                settings["smtpd_recipient_restrictions"] = "permit_sasl_authenticated, reject"
        if self.users or self.auth:
            settings |= {"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_security_options": ""}
        if self.auth:
            settings |= {
                "smtpd_sasl_type": "dovecot",
                "smtpd_sasl_path": f"inet:127.0.0.1:{self.auth.auth_port}",
            }
        if self.certificate:
            settings |= {
                "smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": str(self.certificate.cert),
                "smtpd_tls_key_file": str(self.certificate.key),
            }
        return settings

    def _write_users(self, users: Mapping[str, str]) -> None:
        database = self.folder / "data/sasldb2"
        (self.folder / "conf/sasl").mkdir()  # where Debian's Postfix looks
        (self.folder / "conf/sasl/smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {database}\nmech_list: PLAIN LOGIN CRAM-MD5\n"
        )
        for user, password in users.items():
            name, _, realm = user.partition("@")
            realm = realm or "postfix.example.net"
            subprocess.run(
                [need("saslpasswd2"), "-p", "-c", "-f", str(database), "-u", realm, name],
                input=password.encode(),
                check=True,
            )
        shutil.chown(database, "postfix")
        os.chmod(database, 0o600)
