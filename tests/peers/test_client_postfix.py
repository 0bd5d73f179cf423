"""A real Postfix learns who the client is, by XCLIENT and by the PROXY protocol."""

import re
from pathlib import Path

import pytest

from tests.paths.doors import DoorProcess
from tests.peers.postfix import Postfix, split_trace

pytestmark = pytest.mark.peers

# Postfix must not need the client's address to be its neighbour's.
RELAY = {"mynetworks": "127.0.0.0/8 192.0.2.0/24"}
PROXIED = 'proxy_protocol = true\nproxy_from = ["127.0.0.1"]\n'


@pytest.mark.parametrize(
    ("way", "settings"),
    [
        ("xclient", {"smtpd_authorized_xclient_hosts": "127.0.0.1"}),
        # The probe that finds out whether Postfix is up has to be let go, and is not greeted.
        ("proxy", {"smtpd_upstream_proxy_protocol": "haproxy"}),
    ],
)
def test_postfix_writes_the_clients_address(
    tmp_path: Path, way: str, settings: dict[str, str]
) -> None:
    with (
        Postfix(settings=RELAY | settings) as hop,
        DoorProcess(
            tmp_path,
            f"smtp://127.0.0.1:{hop.port}",
            listener=PROXIED + f'next_hop_client = "{way}"',
        ) as door,
    ):
        for ip in ("192.0.2.7", "192.0.2.8"):
            with door.client() as client:
                client.send(f"PROXY TCP4 {ip} 127.0.0.1 1234 25\r\n".encode())
                client.reply()
                client.ask("EHLO me.example")
                for _ in range(2):
                    said = client.message(
                        "a@x.example", ["b@y.example"], b"Subject: x\r\n\r\nx\r\n"
                    )
                    assert said.startswith("250"), said
        mails = hop.wait_for_mails(4)
        seen = []
        for mail in mails:
            trace, _ = split_trace(mail.content)
            seen += re.findall(rb"from (\S+) \(\S+ \[([0-9.]+)\]\)", b"".join(trace))[:1]
        helo = b"me.example" if way == "xclient" else b"mx.example.com"
        assert sorted(seen) == [(helo, b"192.0.2.7")] * 2 + [(helo, b"192.0.2.8")] * 2
