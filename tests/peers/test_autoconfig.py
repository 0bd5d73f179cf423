"""Thunderbird's account set-up finds our servers by the pages at [http].listen.

It asks as it does in the hands of a user; only the way there is bent: plain HTTP through a proxy
that is us, because the names are nobody's.
"""

import asyncio
import shutil
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from proxy.clientpages import client_pages
from proxy.httpd import HttpServer
from tests.peers.programs import Account
from tests.peers.thunderbird import Finder
from tests.ports import free_port

pytestmark = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("thunderbird"), reason="no Thunderbird here"),
]

TLS = 'tls = "{}"\ncert = "c.pem"\nkey = "k.pem"\n'
CONFIG = (
    '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\n'
    + "".join(
        f'[[imap]]\nname = "imap{port}"\nlisten = "0.0.0.0:{port}"\n'
        f'upstream = "imap://127.0.0.1:10143"\n{TLS.format(tls)}'
        for port, tls in ((143, "starttls"), (993, "implicit"))
    )
    + "".join(
        f'[[smtp]]\nname = "smtp{port}"\nlisten = "0.0.0.0:{port}"\nrole = "submission"\n'
        f'auth = "next_hop"\nnext_hop = "smtp://127.0.0.1:10587"\n{TLS.format(tls)}'
        for port, tls in ((587, "starttls"), (465, "implicit"))
    )
)


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a server that has these pages only."""
    settings = Settings.model_validate(tomllib.loads(CONFIG), context={"base": "/etc/mailweir"})
    port, ready, loop = free_port(), threading.Event(), asyncio.new_event_loop()
    server = HttpServer({}, client_pages(settings))

    async def serve() -> None:
        await server.start("127.0.0.1", port)
        ready.set()

    def run() -> None:
        loop.create_task(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    yield port
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_it_finds_every_port_with_its_tls_and_login(tmp_path: Path, web: int) -> None:
    user = "%EMAILADDRESS%"
    host = "mail.example.com"
    with Finder(Account(tmp_path, free_port(), "alice@example.com"), web) as finder:
        autoconfig, autodiscover = finder.find("alice@example.com")
        assert autoconfig == [
            ["imap", host, 993, "SSL", True, user],
            ["imap", host, 143, "STARTTLS", True, user],
            ["smtp", host, 465, "SSL", True, user],
            ["smtp", host, 587, "STARTTLS", True, user],
        ]
        assert autodiscover == [
            ["imap", host, 993, "SSL", True, "alice@example.com"],
            ["smtp", host, 465, "SSL", True, "alice@example.com"],
        ]
        assert finder.find("alice@elsewhere.example") == (None, None)
