"""A real Exim that relays: to `relay_to`, and to a port where nobody listens for down.example.

Debian's Exim and Postfix exclude each other as packages, so Exim is unpacked beside (bin/test does
that and names the folder in MAILWEIR_EXIM) and runs from there. It insists on a system user of its
own: libnss_wrapper shows it one that the machine does not have.
"""

import grp
import os
import pwd
from pathlib import Path

import pytest

from tests.peers.servers import Server, need, need_root
from tests.ports import free_port

CONFIG = """
primary_hostname = exim.example.net
exim_path = {program}
exim_user = nobody
exim_group = nogroup
spool_directory = {folder}/spool
log_file_path = {folder}/exim-%slog
pid_file_path = {folder}/pid
keep_environment = LD_PRELOAD : ^NSS_WRAPPER_
add_environment =
tls_advertise_hosts =
dsn_advertise_hosts = *
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
acl_smtp_rcpt = take_all
acl_smtp_data = take_all
delay_warning = 1s:1h
delay_warning_condition = true
begin acl
take_all:
  accept
begin routers
down:
  driver = manualroute
  domains = down.example
  route_list = * 127.0.0.1
  self = send
  transport = nowhere
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = remote
begin transports
remote:
  driver = smtp
  port = {relay_to}
  allow_localhost
nowhere:
  driver = smtp
  port = {nowhere}
  allow_localhost
begin retry
* * F,5s,1s
"""


class Exim(Server):
    def __init__(self, *, relay_to: int) -> None:
        need_root("Exim")
        place = os.environ.get("MAILWEIR_EXIM", "")
        need(f"{place}/usr/sbin/exim4" if place else "exim4, unpacked (MAILWEIR_EXIM),")
        wrapper = next(iter(sorted(Path(place).rglob("libnss_wrapper.so"))), None)
        if wrapper is None:
            pytest.skip("libnss_wrapper is not in MAILWEIR_EXIM")
        super().__init__()
        self.program, self.wrapper = f"{place}/usr/sbin/exim4", wrapper
        self.port, self.relay_to = free_port(), relay_to

    def ports(self) -> list[int]:
        return [self.port]

    def write_files(self) -> None:
        folder = self.folder
        (folder / "spool").mkdir()
        os.chown(folder / "spool", pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid)
        for name, line in (
            ("passwd", "Debian-exim:x:65534:65534::/nonexistent:/bin/false\n"),
            ("group", "Debian-exim:x:65534:\n"),
        ):
            (folder / name).write_text(line + Path("/etc", name).read_text())
        text = CONFIG.format(
            program=self.program,
            folder=folder,
            port=self.port,
            relay_to=self.relay_to,
            nowhere=free_port(),
        )
        (folder / "exim.conf").write_text(text)
        folder.chmod(0o777)

    def command(self) -> list[str]:
        environ = [
            f"LD_PRELOAD={self.wrapper}",
            f"NSS_WRAPPER_PASSWD={self.folder}/passwd",
            f"NSS_WRAPPER_GROUP={self.folder}/group",
        ]
        return ["env", *environ, self.program, "-bdf", "-q1s", "-C", f"{self.folder}/exim.conf"]

    def log(self) -> str:
        logs = (path.read_text("utf-8", "replace") for path in self.folder.glob("exim-*log"))
        return super().log() + "".join(logs)
