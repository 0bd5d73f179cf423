"""A door process and those who mean no good: guessers, floods, drips, forged logs, secrets.

Rows of threats.md: 7, 9 (logs), 11, 17, 18, 21, 24, 25, AUTH abuse, slowloris, floods, log
injection, secrets, metric cardinality.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faultsink import HANG, FaultSink
from tests.paths.doors import Client, DoorProcess, until

# A dozen processes, and waits that are the matter of the test.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CANARY = "c4n4ry-p4ssw0rd"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# ---------------------------------------------------------------------- AUTH


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DoorProcess, FaultSink]]:
    lines = 'auth = "next_hop"\nauth_plain_without_tls = true'
    with FaultSink(auth=["PLAIN", "LOGIN", "XOAUTH2"], auth_needed=True) as sink:
        folder = tmp_path_factory.mktemp("submission")
        with DoorProcess(folder, sink, role="submission", listener=lines) as door:
            yield door, sink


def test_auth_is_relayed_and_no_secret_stays(submission: tuple[DoorProcess, FaultSink]) -> None:
    """Rows 21 and secrets: a canary password is in no file of the data folder, log or metrics."""
    door, sink = submission
    exchanges = [
        [f"AUTH PLAIN {b64(chr(0) + 'alice@y.example' + chr(0) + CANARY)}"],
        ["AUTH LOGIN", b64("alice@y.example"), b64(CANARY)],
        [f"AUTH LOGIN {b64('alice@y.example')}", b64(CANARY)],
        [f"AUTH XOAUTH2 {b64(f'user=alice@y.example{chr(1)}auth=Bearer {CANARY}{chr(1) * 2}')}"],
    ]
    for exchange in exchanges:
        with door.greeted() as client:
            said = [client.ask(line) for line in exchange]
            assert said[-1].startswith("235"), said
            body = b"Subject: hello\r\n\r\nhello\r\n"
            assert client.message("alice@y.example", ["b@far.example"], body).startswith("250")
    # And what goes wrong: an undecodable response, a command that is none, a cancelled exchange.
    with door.greeted() as client:
        client.ask("AUTH LOGIN")
        client.ask(CANARY + "!")
        client.ask(f"AUTHX PLAIN {CANARY}")
        client.ask(f"AUTH PLAIN {CANARY} {CANARY}")
    assert [message.connection.authenticated for message in sink.messages] == [True] * 4
    assert {record["client"]["auth"] for record in door.messages()} == {"alice@y.example"}
    until(lambda: len(door.logged("auth")) >= 4, "the log tells of them")
    time.sleep(1.2)  # metrics are written once a second
    secrets = [CANARY, b64(CANARY), b64(chr(0) + "alice@y.example" + chr(0) + CANARY)]
    for path, octets in door.octets_everywhere():
        for secret in secrets:
            assert secret.encode() not in octets, path


def test_unauthenticated_mail_is_refused(submission: tuple[DoorProcess, FaultSink]) -> None:
    """Row 8."""
    door, _ = submission
    with door.greeted() as client:
        assert client.ask("MAIL FROM:<a@y.example>") == "530 5.7.0 Authentication required"


def test_auth_hardening(submission: tuple[DoorProcess, FaultSink]) -> None:
    """Row 7: not twice, 12 KiB of response, names in any case."""
    door, _ = submission
    long = b64(f"user=alice{chr(1)}auth=Bearer {'x' * 9100}{chr(1) * 2}")
    with door.greeted() as client:
        assert client.ask(f"auth xoauth2 {long}").startswith("235")
        assert client.ask("AUTH PLAIN AGEAYg==").startswith("503")
    with door.greeted() as client:
        assert client.ask("AUTH XOAUTH2") == "334 "
        assert client.ask(long).startswith("235")


def test_guessing_costs_time_and_connections(tmp_path: Path) -> None:
    """Row: AUTH abuse. 12 wrong logins; then the address is refused on every connection."""
    lines = 'auth = "next_hop"\nauth_plain_without_tls = true'
    with FaultSink(auth={"PLAIN": ("535 5.7.8 no",)}) as sink:
        with DoorProcess(
            tmp_path, sink, role="submission", listener=lines, limits="auth_failures = 2"
        ) as door:
            guessers = [door.greeted() for _ in range(10)]
            begun = time.monotonic()
            for _ in range(2):
                for guesser in guessers:
                    guesser.send(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\nNOOP\r\n")
                assert all(guesser.reply().startswith("535") for guesser in guessers)
                after = {guesser.reply()[:9] for guesser in guessers}
            assert after == {"421 4.7.0"}
            assert time.monotonic() - begun > 0.9, "a guess costs time"
            assert [guesser.rest() for guesser in guessers] == [b""] * 10
            with door.greeted() as client:
                said = client.ask("AUTH PLAIN AGFsaWNlAHdyb25n")
                assert said == "454 4.7.0 Too many failed logins, try again later"
            assert len([line for line in sink.lines if line.startswith(b"AUTH")]) == 20


def test_all_doors_count_guesses_together(tmp_path: Path) -> None:
    """The processes of a port share what they know of an address."""
    lines = 'auth = "next_hop"\nauth_plain_without_tls = true'
    with FaultSink(auth={"PLAIN": ("535 5.7.8 no",)}) as sink:
        with DoorProcess(
            tmp_path, sink, role="submission", listener=lines, limits="auth_failures = 10"
        ) as door:
            guessers = [door.greeted() for _ in range(20)]
            for guesser in guessers:
                guesser.send(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n")
            assert all(guesser.reply().startswith("535") for guesser in guessers)
        # Another process of the same appliance, as another door is.
        (door.data / "run" / "mx-0.json").unlink()
        with door, door.greeted() as client:
            said = client.ask("AUTH PLAIN AGFsaWNlAHdyb25n")
            assert said == "454 4.7.0 Too many failed logins, try again later"


# ---------------------------------------------------------------------- floods


def sent_again(client: Client) -> int:
    """Segments that its kernel had to repeat (tcp(7), TCP_INFO; tcpi_total_retrans)."""
    info = client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[100:104], sys.byteorder)


def test_three_hundred_connections(tmp_path: Path) -> None:
    """Rows 17, 24, floods: 421 above the limits; others are still served."""
    with FaultSink() as sink, DoorProcess(
        tmp_path,
        sink,
        listener="max_connections_per_client = 40",
        limits="connections = 100",
    ) as door:  # fmt: skip
        clients = [door.client(source=f"127.0.1.{n % 4}") for n in range(300)]
        assert sum(map(sent_again, clients)) == 0, "there was room for every SYN"
        first = [client.reply() for client in clients]
        greeted = [n for n, said in enumerate(first) if said.startswith("220")]
        turned = {said for said in first if not said.startswith("220")}
        assert len(greeted) == 100
        assert turned == {"421 4.3.2 mx.example.com Too many connections"}
        for client in clients:
            client.close()
        until(lambda: door.connections() == 0, "all have left")
        # One client alone may not take all of it.
        crowd = [door.client(source="127.0.2.1") for _ in range(60)]
        said = [client.reply()[:9] for client in crowd]
        assert said.count("421 4.7.0") == 20
        with door.greeted(source="127.0.2.2") as other:
            assert other.message("a@x.example", ["b@y.example"], b"x\r\n").startswith("250")
        for client in crowd:
            client.close()
        reasons = {"connection limit", "client limit"}
        until(
            lambda: {line["reason"] for line in door.logged("connection.refused")} == reasons,
            "both are logged",
        )


def test_under_stress_the_door_is_short_with_everybody(tmp_path: Path) -> None:
    """300 → 10 s, 20 errors → 1 (here 300 → 1 s)."""
    with (
        FaultSink() as sink,
        DoorProcess(tmp_path, sink, limits='connections = 10\nstress_timeout = "1s"') as door,
    ):
        crowd = [door.greeted() for _ in range(8)]
        crowd.append(door.client())
        crowd[-1].send(b"XYZZY\r\n")  # not later: it would be idle as well
        assert [crowd[-1].reply()[:3] for _ in range(2)] == ["220", "500"]
        assert crowd.pop().reply().startswith("421 4.7.0")
        more = door.greeted()
        assert crowd[0].reply().startswith("421 4.4.2"), "idle for a second"
        for client in [more, *crowd]:
            client.close()


def test_descriptors_run_out_and_the_door_lives(tmp_path: Path) -> None:
    """Row 25: others wait, nobody gets a 5xx, and later all is well."""
    with (
        FaultSink() as sink,
        DoorProcess(
            tmp_path,
            sink,
            listener="max_connections_per_client = 1000",
            before=("prlimit", "--nofile=64"),
        ) as door,
    ):
        crowd = [door.client() for _ in range(120)]
        served = 0
        waiting = {client.sock: client for client in crowd}
        while spoken := select.select(list(waiting), [], [], 3 if served < 10 else 1)[0]:
            for sock in spoken:
                try:
                    said = waiting.pop(sock).reply()
                except (EOFError, ConnectionResetError):
                    continue
                assert said[0] in "24", said
                served += 1
        assert 10 < served < 64
        with pytest.raises((AssertionError, TimeoutError, EOFError, ConnectionResetError)):
            door.greeted(timeout=0.5)
        said = crowd[0].ask("EHLO me.example")
        said = crowd[0].message("a@x.example", ["b@y.example"], b"x\r\n")
        assert said[0] in "24", said
        for client in crowd:
            client.close()
        until(lambda: door.connections() == 0, "all have left")
        with door.greeted() as late:
            assert late.message("a@x.example", ["b@y.example"], b"x\r\n").startswith("250")


# ---------------------------------------------------------------------- drips


def test_slow_clients_are_sent_away(tmp_path: Path) -> None:
    """Row: slowloris, rows 11: silence in a command, in the content; one octet now and then."""
    limits = 'command_timeout = "1s"\ndata_timeout = "2s"\nsession = "1m"'
    with FaultSink() as sink, DoorProcess(tmp_path, sink, limits=limits) as door:
        silent, dripping, content = door.greeted(), door.greeted(), door.greeted()
        content.send(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n")
        assert [content.reply()[:3] for _ in range(2)] == ["250", "250"]
        begun = time.monotonic()
        assert content.ask("DATA").startswith("354")
        dripping.send(b"NO")
        assert silent.reply() == "421 4.4.2 mx.example.com Timeout, closing connection"
        assert dripping.reply().startswith("421 4.4.2")
        assert content.reply().startswith("421 4.4.2")
        # Each by its own limit: the session's would be a minute.
        assert 1.5 < time.monotonic() - begun < 40
        assert (silent.rest(), dripping.rest(), content.rest()) == (b"", b"", b"")
        assert sink.messages == []


def test_a_client_that_says_more_than_its_turn_is_not_read(tmp_path: Path) -> None:
    """While the next hop thinks, what a client goes on saying stays in its own machine."""
    with FaultSink(rcpt=HANG) as sink, DoorProcess(tmp_path, sink) as door:
        client = door.greeted()
        client.sock.settimeout(0.5)
        memory = door.rss()
        sent = 0
        with pytest.raises(TimeoutError):
            client.send(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n")
            while sent < 100_000_000:
                sent += client.sock.send(b"NOOP\r\n" * 10_000)
        assert sent < 50_000_000 and door.rss() - memory < 8_000_000
        with door.greeted() as other:
            assert other.ask("NOOP").startswith("250")
        client.reset()


def test_a_client_that_does_not_read_holds_nothing(tmp_path: Path) -> None:
    """Its replies are not kept without end, and it is cut off."""
    limits = 'command_timeout = "2s"'
    soon = ("proxy.smtp.listener.LINGER=1.0",)
    with FaultSink() as sink, DoorProcess(tmp_path, sink, limits=limits, hasty=soon) as door:
        client = door.greeted()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.settimeout(1)
        memory = door.rss()
        sent = 0
        try:
            while sent < 100_000_000:
                sent += client.sock.send(b"HELP\r\n" * 10_000)
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 50_000_000, "the door stops reading"
        assert door.rss() - memory < 16_000_000
        until(lambda: door.connections() == 0, "it is cut off")
        client.close()


# ---------------------------------------------------------------------- logs and metrics


def test_nobody_writes_our_log(tmp_path: Path) -> None:
    """Row: log injection. One line for an event, whatever stands in it."""
    with (
        FaultSink(rcpt="550 5.1.1 \x1b[31mred\u2028line") as sink,
        DoorProcess(tmp_path, sink) as door,
    ):
        with door.client() as client:
            client.reply()
            for raw in (
                b'EHLO a\r{"event": "accepted"}\r\n',
                b"EHLO a\x1b[2J\r\n",
                "EHLO a\u2028b\r\n".encode(),
                b"EHLO <script>\r\n",
                b'MAIL FROM:<"a\\"b"@x.example>\r\n',
                b"RCPT TO:<b@y.example>\r\n",
                b"RSET\r\n",
                "MAIL FROM:<\u202eevil@x.example> SMTPUTF8\r\n".encode(),
            ):
                client.send(raw)
                client.reply()
        with door.client() as client:
            client.reply()
            client.send(b"Subject: \x1b]0;x\x07\r\n")
            client.reply()
        sink.answer(rcpt="250 ok", dot="550 5.7.1 \x1b[31mred")
        with door.greeted() as client:
            client.message('"a\\"b"@x.example', ["b@y.example"], b"x\r\n")
        until(lambda: len(door.logged("refused")) == 2, "the refusals are logged")
        text = door.log.read_bytes()
        assert all(32 <= octet < 127 or octet == 10 for octet in text)
        assert door.logged("accepted") == []
        assert [line["reply"] for line in door.logged("refused")] == [
            "550 5.1.1 ?[31mred\u2028line",
            "550 5.7.1 ?[31mred",
        ]
        assert len(door.logged("protocol.violation")) == 1


def test_metrics_have_closed_sets(tmp_path: Path) -> None:
    """Row: metric cardinality. Many EHLO names, domains and verbs make no new series."""
    with FaultSink() as sink, DoorProcess(tmp_path, sink, limits="errors = 10000") as door:
        folder = door.data / "run" / "metrics"

        def series(last: bytes) -> int:
            """How many there are, once that of the last command is."""

            def octets() -> bytes:
                return b"".join(path.read_bytes() for path in folder.iterdir())

            until(lambda: b'"verb": "%s"' % last in octets(), "written, as they are once a second")
            return len(re.findall(rb'"mailweir_smtp_\w+_total"', octets()))

        with door.greeted() as client:
            for command in ("XYZZY", "MAIL FROM:<a@x.example>", "RCPT TO:<b@z.example>", "RSET"):
                client.ask(command)
            before = series(b"rset")
            for number in range(300):
                client.ask(f"EHLO host{number}.example")
                client.ask(f"X{number}")
                client.ask(f"MAIL FROM:<a@domain{number}.example>")
                client.ask(f"RCPT TO:<b@domain{number}.example>")
                client.ask("RSET")
            client.ask("NOOP")
            assert series(b"noop") == before + 1
