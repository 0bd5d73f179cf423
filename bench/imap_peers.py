"""The IMAP proxies that bench/imap.py measures, each before the same server, on ports of its own.

Each runs as Debian delivers it, but for what a proxy on a spare port needs: `haproxy` passes TCP,
`nginx` its mail module (with a small auth_http server of ours, whose CPU is not counted), `dovecot`
its own proxy, `mailweir` the door with capture switched on; `Least` is what capturing costs without
all the rest. Two workers or threads each. Behind them stands a Dovecot, or for idle connections a
server that says nothing.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import cmdline, cpu_seconds, tree
from bench.peers import ROOT, Process, wait_for_banner
from tests.ports import free_port

PASSWORD = "secret"


def need(program: str) -> str:
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        raise SystemExit(f"{program} is not installed (apt-get install haproxy nginx-core"
                         " libnginx-mod-mail dovecot-imapd)")  # fmt: skip
    return path


class Proxy(Process):
    """Something on `port` (and `tls_port`) before the server on `upstream`."""

    name = ""

    def __init__(self, folder: Path, upstream: int, certificate: Path | None) -> None:
        """`certificate`: a folder with cert.pem, key.pem and both.pem; Mailweir can do without."""
        self.folder, self.upstream, self.certificate = folder, upstream, certificate
        self.port, self.tls_port = free_port(), free_port()
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self.begin()
        wait_for_banner(self.port, self.process, greets=False)

    def begin(self) -> None:
        raise NotImplementedError

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def processes(self) -> list[int]:
        """Those that are on the way of the mail."""
        return tree(self.process.pid)

    def memory(self) -> int:
        """KiB that would be free without it: its own, and its share of what is shared."""
        total = 0
        for pid in self.processes():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next(int(x.split()[1]) for x in text.splitlines() if x.startswith("Pss:"))
        return total

    def run(self, *command: str | Path) -> None:
        with (self.folder / "log").open("ab") as log:
            self.launch(command, stdout=log, stderr=log, cwd=ROOT)


class Haproxy(Proxy):
    name = "haproxy, TCP (the limit)"

    def begin(self) -> None:
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""
global
  maxconn 8000
  nbthread 2
defaults
  mode tcp
  timeout connect 5s
  timeout client 40m
  timeout server 40m
listen imap
  bind 127.0.0.1:{self.port}
  bind 127.0.0.1:{self.tls_port} ssl crt {self.certificate}/both.pem
  server one 127.0.0.1:{self.upstream}
""")
        self.run(need("haproxy"), "-db", "-f", config)


class Nginx(Proxy):
    name = "nginx mail"

    def begin(self) -> None:
        upstream = self.upstream

        class Auth(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                for key, value in (
                    ("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"),
                    ("Auth-Port", str(upstream)), ("Content-Length", "0"),
                ):  # fmt: skip
                    self.send_header(key, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.auth = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Auth)
        threading.Thread(target=self.auth.serve_forever, daemon=True).start()
        config = self.folder / "nginx.conf"
        config.write_text(f"""
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
worker_processes 2;
error_log {self.folder}/error.log;
pid {self.folder}/pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
mail {{
  auth_http 127.0.0.1:{self.auth.server_port}/auth;
  imap_capabilities IMAP4rev1 LITERAL+ IDLE;
  proxy_pass_error_message on;
  timeout 40m;
  proxy_timeout 40m;
  server {{ listen 127.0.0.1:{self.port}; protocol imap; }}
  server {{
    listen 127.0.0.1:{self.tls_port} ssl; protocol imap;
    ssl_certificate {self.certificate}/cert.pem; ssl_certificate_key {self.certificate}/key.pem;
  }}
}}
""")
        self.run(need("nginx"), "-p", self.folder, "-e", self.folder / "error.log", "-c", config)

    def stop(self) -> None:
        self.auth.shutdown()
        super().stop()


class DovecotProxy(Proxy):
    name = "Dovecot proxy"

    def begin(self) -> None:
        config = self.folder / "dovecot.conf"
        config.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/run
log_path = {self.folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{self.certificate}/cert.pem
ssl_key = <{self.certificate}/key.pem
default_client_limit = 20000
default_process_limit = 1000
passdb {{
  driver = static
  args = proxy=y host=127.0.0.1 port={self.upstream} nopassword=y
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 2
  client_limit = 20000
  process_limit = 2
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
""")
        self.run(need("dovecot"), "-F", "-c", config)


class Mailweir(Proxy):
    name = "Mailweir"

    def begin(self) -> None:
        ways = [("imap", self.port, "")]
        if (where := self.certificate) is not None:
            tls = f'tls = "implicit"\ncert = "{where}/cert.pem"\nkey = "{where}/key.pem"'
            ways.append(("imaps", self.tls_port, tls))
        tables = "".join(
            f'[[imap]]\nname = "{name}"\nlisten = "127.0.0.1:{port}"\ndoors = 2\n'
            f'upstream = "imap://127.0.0.1:{self.upstream}"\nmax_connections_per_client = 20000\n'
            f"max_connections_per_user = 20000\n{tls}\n"
            for name, port, tls in ways
        )
        config = self.folder / "mailweir.toml"
        config.write_text(
            f'[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\n'
            f'data_dir = "{self.folder}/data"\n{tables}[journal]\nmin_free = 0\n'
            f'[http]\nlisten = "127.0.0.1:{free_port()}"\n'
        )
        program = (sys.executable, "-m", "proxy")
        migrate = [*program, "migrate", "--config", str(config)]
        subprocess.run(migrate, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        self.run(*program, "run", "--config", config)
        if self.certificate is not None:
            wait_for_banner(self.tls_port, self.process, greets=False)

    def processes(self) -> list[int]:
        """The doors."""
        return [pid for pid in tree(self.process.pid) if "--listener" in cmdline(pid)]

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid, lambda pid: "--listener" in cmdline(pid))

    def learn(self, fetch: Callable[[], None], mailboxes: int, messages: int) -> None:
        """Until the worker has told the doors of every message (proxy/imap/known.py). A disk that
        still writes for whoever was before may have made the door give some up: `fetch` again."""
        for _ in range(5):
            end = time.monotonic() + 20
            while time.monotonic() < end:
                files = [
                    json.loads(path.read_bytes())["uids"]
                    for path in (self.folder / "data/imap-known").glob("*.json")
                ]
                if files.count(f"1:{messages}") >= mailboxes:
                    return
                time.sleep(0.2)
            fetch()
        raise RuntimeError(f"the worker has not caught up: {files}")


class Least(Proxy):
    """What a door does with a body, and nothing else, in C (bench/capture_least.c)."""

    name = "least, in C"
    program = Path(__file__).with_name("capture_least.c")
    binary: Path

    @classmethod
    def made(cls, folder: Path) -> bool:
        """Compile it; False where there is no compiler, or not what it needs."""
        compiler = shutil.which("cc")
        if compiler is None:
            return False
        cls.binary = folder / "capture_least"
        words = [compiler, "-O2", "-o", str(cls.binary), str(cls.program), "-lcrypto", "-lz"]
        return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0

    def begin(self) -> None:
        captured = self.folder / "captured"
        captured.mkdir()
        self.run(self.binary, str(self.port), str(self.upstream), captured)


PROXIES: tuple[type[Proxy], ...] = (Haproxy, Nginx, DovecotProxy, Mailweir)


class DovecotServer(Process):
    """The mail server behind all of them: `users` with a mailbox each. It syncs nothing, so that
    an APPEND is as fast as the proxy lets it be."""

    def __init__(self, folder: Path, users: list[str]) -> None:
        self.port = free_port()
        self.mail = folder / "mail"
        self.mail.mkdir(parents=True)
        for path in (folder, self.mail):
            path.chmod(0o777)
        (folder / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in users))
        (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
ssl = no
default_client_limit = 20000
mail_max_userip_connections = 0
mail_fsync = never
mail_location = maildir:{self.mail}/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.mail}/%u
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap {{
  service_count = 0
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
        self.launch(
            [need("dovecot"), "-F", "-c", str(folder / "dovecot.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_banner(self.port, self.process, greets=False)


class QuietLine(asyncio.Protocol):
    """A server that lets everybody in and then says nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.continued = False
        transport.write(b"* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+] ready\r\n")

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            if not self.continued:
                self.tag = line.split(b" ", 1)[0]
            self.continued = line.endswith(b"}")
            waits = self.continued or line.upper().endswith(b" IDLE")
            self.transport.write(b"+ go on\r\n" if waits else self.tag + b" OK done\r\n")


class Quiet:
    """Such a server in a thread of its own."""

    def __enter__(self) -> Quiet:
        self.loop = asyncio.new_event_loop()
        listening = threading.Event()

        def run() -> None:
            making = self.loop.create_server(QuietLine, "127.0.0.1", 0, backlog=1000)
            server = self.loop.run_until_complete(making)
            self.port = server.sockets[0].getsockname()[1]
            listening.set()
            self.loop.run_forever()
            server.close()
            self.loop.close()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
