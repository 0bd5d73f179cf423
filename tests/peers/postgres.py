"""A real PostgreSQL of our own, in a folder of its own, with fsync on.

    with Postgres() as server:
        url = server.database()         # "postgresql+psycopg://...": fresh and empty
        url = server.database(migrate)  # a copy of one that migrate(url) has filled, once
        server.restart_immediate()      # as a crash: no checkpoint, recovery from the log
        server.stop(); server.start()   # away and back

Does not run as root, so as root it becomes the user postgres or nobody. TCP on 127.0.0.1 and a
unix socket in `folder`; it asks for no password.
"""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from tests.peers.servers import Server, need, wait_until
from tests.ports import free_port

USER = "mailweir"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
max_connections = 60
shared_buffers = 64MB
fsync = on
synchronous_commit = on
full_page_writes = on
recovery_init_sync_method = syncfs
autovacuum_naptime = 5s
log_line_prefix = '%m [%p] %d '
"""


class Postgres(Server):
    def __init__(self, settings: str = "", *, folder: Path | None = None) -> None:
        """`settings`: more lines of postgresql.conf. `folder`: an empty one, or one that a server
        was in before; it stays, and is left with nothing to recover."""
        self.programs = _programs()
        super().__init__(folder)
        self.port = free_port()
        self.data = self.folder / "data"
        self.extra = settings
        self.user = _user()
        self._templates: dict[Callable[[str], object], str] = {}

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            f"host=127.0.0.1 port={self.port} user={USER} dbname={database}", autocommit=True
        )

    def database(self, template: Callable[[str], object] | None = None) -> str:
        """The URL of a new database."""
        source = "template0"
        if template is not None:
            if template not in self._templates:
                self._templates[template] = self._create("template0")
                template(self.url(self._templates[template]))
            source = self._templates[template]
        return self.url(self._create(source))

    def drop(self, url: str) -> None:
        """A database, whoever is still connected to it."""
        name = sql.Identifier(url.rpartition("/")[2])
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _create(self, source: str) -> str:
        name = f"t{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LOCALE 'C.UTF-8'")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(source)))
        return name

    def restart_immediate(self) -> None:
        """pg_ctl restart -m immediate: connections break, recovery follows."""
        self._end("immediate")
        self.start()

    # The process

    def ports(self) -> list[int]:
        return [self.port]

    def command(self) -> list[str]:
        program = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        return [*self._as_user(), *program]

    def write_files(self) -> None:
        shutil.chown(self.folder, self.user)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--no-sync", "--no-instructions")  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(folder=self.folder, port=self.port) + self.extra)

    def start(self) -> Self:
        super().start()
        wait_until(self._answers, lambda: f"PostgreSQL answers: {self.log()[-2000:]}")
        return self

    def _answers(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:  # it is starting up, or recovering
            return False

    def stop(self) -> None:
        """Sends its clients away, and leaves nothing to recover."""
        self._end("fast")

    def _end(self, mode: str) -> None:
        if self.process is not None and self.process.poll() is None:
            self._run("pg_ctl", "stop", "-m", mode, "-t", "120")
            self.process.wait(60)
        super().stop()

    def close(self) -> None:
        self._end("fast" if self.stays else "immediate")
        super().close()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user(), str(self.programs / program), "-D", str(self.data), *arguments]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return [need("setpriv"), f"--reuid={self.user}", f"--regid={_group(self.user)}",
                "--clear-groups"]  # fmt: skip


def _programs() -> Path:
    """Debian keeps them aside, by version; others in the PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    return kept[-1].parent if kept else Path(need("postgres")).parent


def _version(program: Path) -> int:
    return int(program.parts[-3]) if program.parts[-3].isdigit() else 0


def _user() -> str:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _group(user: str) -> str:
    return str(pwd.getpwnam(user).pw_gid)
