"""A Cyrus IMAP of our own, the second of the real IMAP servers.

    with Cyrus(users={"alice@example.com": "secret"}) as cyrus:
        cyrus.imap_port

It cannot be installed without a system user and services, so Debian's packages are unpacked beside
(bin/test does that and names the folder in MAILWEIR_CYRUS); it runs as nobody. A user's folders
Sent, Drafts, Trash and Junk, with their special uses, and a quota of 4 MiB come with the first
login. PLAIN, LOGIN, CRAM-MD5 and SCRAM-SHA-256; no pause after a wrong password. STARTTLS with a
`certificate`.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.certs import Certificate
from tests.peers.servers import Server, need, need_root
from tests.ports import free_port

ALICE = "alice@example.com"

IMAPD = """
configdirectory: {folder}/conf
partition-default: {folder}/spool
defaultpartition: default
cyrus_user: nobody
cyrus_group: nogroup
servername: cyrus.example.net
admins: cyrus
virtdomains: userid
altnamespace: yes
unixhierarchysep: yes
allowplaintext: yes
failedloginpause: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256
autocreate_post: yes
autocreate_quota: 4096
autocreate_inbox_folders: Sent | Drafts | Trash | Junk
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
xlist-junk: Junk
expunge_mode: immediate
delete_mode: immediate
"""
MASTER = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r"
  idled cmd="{bin}/idled -C {folder}/imapd.conf"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {folder}/imapd.conf" listen="127.0.0.1:{port}" prefork=1
}}
"""


class Cyrus(Server):
    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        need_root("Cyrus")
        place = os.environ.get("MAILWEIR_CYRUS", "")
        name = "usr/lib/cyrus/bin/master"
        need(f"{place}/{name}" if place else "Cyrus, unpacked (MAILWEIR_CYRUS),")
        super().__init__()
        self.place, self.imap_port = Path(place), free_port()
        self.users = {ALICE: "secret"} if users is None else users
        self.certificate = certificate

    def ports(self) -> list[int]:
        return [self.imap_port]

    def write_files(self) -> None:
        folder = self.folder
        if not all(one.stat().st_mode & 1 for one in [self.place, *self.place.parents]):
            # as of a checkout that is root's alone
            self.place = shutil.copytree(self.place, folder / "programs", symlinks=True)
        programs = self.place / "usr/lib/cyrus/bin"
        text = IMAPD.format(folder=folder)
        if self.certificate:
            for name, path in (("cert", self.certificate.cert), ("key", self.certificate.key)):
                (folder / name).write_bytes(path.read_bytes())
                shutil.chown(folder / name, "nobody")
                text += f"tls_server_{name}: {folder}/{name}\n"
        (folder / "imapd.conf").write_text(text)
        text = MASTER.format(folder=folder, bin=programs, port=self.imap_port)
        (folder / "cyrus.conf").write_text(text)
        for user, password in self.users.items():
            name, _, realm = user.partition("@")
            subprocess.run(
                [need("saslpasswd2"), "-p", "-c", "-f", f"{folder}/sasldb2", "-u", realm, name],
                input=password.encode(),
                check=True,
            )
        for name in ("spool", "conf", "conf/proc", "conf/lock", "conf/socket"):
            (folder / name).mkdir()
            shutil.chown(folder / name, "nobody")
        shutil.chown(folder / "sasldb2", "nobody")

    def command(self) -> list[str]:
        """What was unpacked has its libraries with it."""
        libraries = ":".join(str(path) for path in self.place.glob("usr/lib/*-linux-gnu*"))
        libraries += ":" + ":".join(str(path) for path in self.place.glob("lib/*-linux-gnu*"))
        files = ["-C", f"{self.folder}/imapd.conf", "-M", f"{self.folder}/cyrus.conf"]
        master = f"{self.place}/usr/lib/cyrus/bin/master"
        return ["env", f"LD_LIBRARY_PATH={libraries}", master, *files, "-p", f"{self.folder}/pid"]
