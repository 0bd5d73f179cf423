"""A Dovecot of our own: IMAP, a submission service, and AUTH for a Postfix.

    with FaultSink() as relay, Dovecot(relay_to=relay.port) as dovecot:
        dovecot.imap_port, dovecot.submission_port, dovecot.auth_port

Users are `users` (address -> password) for PLAIN, LOGIN, CRAM-MD5 and SCRAM-SHA-256, and `tokens`
(access token -> address) for XOAUTH2 and OAUTHBEARER, which Dovecot really asks a TokenServer
about. Submitted mail goes on to `relay_to`. Dovecot's brakes after a failed AUTH are off. With
`plugins` it has ACL, METADATA, COMPRESS, folders with special uses, and a QUOTA of 4 MiB.
`storage` is its format: in a Maildir of 20,000 messages an APPEND takes it 0.2 s, in "sdbox" 2 ms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.certs import Certificate
from tests.peers.servers import Server, need, need_root
from tests.peers.tokens import TokenServer
from tests.ports import free_port

ALICE = "alice@example.com"

PLUGINS = """
mail_plugins = acl quota zlib
mail_attribute_dict = file:%h/attributes
protocol imap {
  mail_plugins = $mail_plugins imap_acl imap_quota imap_zlib
  imap_metadata = yes
}
plugin {
  acl = vfile
  quota = count:User quota
  quota_rule = *:storage=4M
  quota_vsizes = yes
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    auto = create
    special_use = \\Sent
  }
  mailbox Drafts {
    auto = create
    special_use = \\Drafts
  }
  mailbox Junk {
    auto = create
    special_use = \\Junk
  }
  mailbox Trash {
    auto = create
    special_use = \\Trash
  }
}
"""


class Dovecot(Server):
    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        relay_to: int | None = None,
        certificate: Certificate | None = None,
        mechanisms: str = "plain login cram-md5 scram-sha-256 xoauth2 oauthbearer",
        plugins: bool = False,
        storage: str = "maildir",
    ) -> None:
        need("dovecot")
        need_root("Dovecot")
        if not Path("/usr/lib/dovecot/submission").exists():
            need("dovecot-submissiond")
        super().__init__()
        self.imap_port, self.submission_port, self.auth_port = free_port(), free_port(), free_port()
        self.users = {ALICE: "secret"} if users is None else users
        self.tokens = TokenServer(dict({"token-of-alice": ALICE} if tokens is None else tokens))
        self.relay_to, self.certificate, self.mechanisms = relay_to, certificate, mechanisms
        self.plugins, self.storage = plugins, storage

    def __enter__(self) -> Self:
        self.tokens.__enter__()
        try:
            return super().__enter__()
        except BaseException:
            self.tokens.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.tokens.__exit__(*exc)

    def ports(self) -> list[int]:
        return [self.imap_port, self.submission_port, self.auth_port]

    def command(self) -> list[str]:
        return [need("dovecot"), "-F", "-c", f"{self.folder}/dovecot.conf"]

    def write_files(self) -> None:
        folder = self.folder
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        users = "".join(f"{user}:{{PLAIN}}{secret}\n" for user, secret in self.users.items())
        (folder / "users").write_text(users)
        (folder / "oauth2.conf.ext").write_text(
            f"tokeninfo_url = http://127.0.0.1:{self.tokens.port}/tokeninfo?access_token=\n"
            "username_attribute = user\nactive_attribute = active\nactive_value = true\n"
        )
        tls = "ssl = no\n"
        if self.certificate:
            cert, key = self.certificate.cert, self.certificate.key
            tls = f"ssl = yes\nssl_cert = <{cert}\nssl_key = <{key}\n"
        (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
auth_verbose = yes
instance_name = mailweir-test
protocols = imap submission
listen = 127.0.0.1
disable_plaintext_auth = no
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{tls}
auth_mechanisms = {self.mechanisms}
mail_location = {self.storage}:{folder}/mail/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256
  args = {folder}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf.ext
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {self.submission_port}
  }}
}}
service auth {{
  inet_listener {{
    port = {self.auth_port}
  }}
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {self.relay_to or 1}
{PLUGINS if self.plugins else ""}
""")
