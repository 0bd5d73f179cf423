"""The real servers start, do what their docstrings say, and go away without a trace."""

import base64
import imaplib
import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import psycopg
import pytest
import sqlalchemy
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError

from tests.certs import certificate_for
from tests.faultsink import FaultSink
from tests.peers.cyrus import Cyrus
from tests.peers.dovecot import ALICE, Dovecot
from tests.peers.postfix import Postfix, split_trace
from tests.peers.postgres import Postgres
from tests.peers.s3 import S3Server
from tests.peers.servers import need, wait_until
from tests.peers.swaks import swaks

pytestmark = pytest.mark.peers

ROOT = Path(__file__).parents[2]
MESSAGE = b"Subject: =?utf-8?B?5pel5pys?=\r\nX-Odd:  two  spaces \r\n\r\n.dot\r\n\r\nhi  \r\n.\r\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with FaultSink() as relay, Dovecot(relay_to=relay.port) as dovecot:
        yield dovecot


def test_postfix_delivers_to_the_octet_below_its_trace() -> None:
    with Postfix() as hop:
        sent = swaks(hop.port, to="bob@example.net,carol@example.org", data=MESSAGE)
        assert sent.ok, sent.transcript
        mails = hop.wait_for_mails(2)
        assert {mail.recipient for mail in mails} == {"bob@example.net", "carol@example.org"}
        assert mails[0].sender == "alice@example.com"
        trace, below = split_trace(mails[0].content)
        assert (below, len(trace)) == (MESSAGE, 4)


def test_postfix_knows_its_mailboxes_and_can_be_away() -> None:
    with Postfix(mailboxes=["bob@example.net"]) as hop:
        assert swaks(hop.port, to="bob@example.net").ok
        refused = swaks(hop.port, to="nobody@example.net")
        assert refused.code == 24 and "550 5.1.1" in refused.transcript
        hop.stop()
        assert swaks(hop.port).code == 2
        hop.start()
        assert swaks(hop.port, to="bob@example.net").ok
        hop.wait_for_mails(2)


def test_postfix_relays_and_retries() -> None:
    with FaultSink(mail=["451 4.3.0 not yet", "250 2.1.0 ok"]) as sink:
        with Postfix(relay_to=sink.port) as relay:
            assert swaks(relay.port, data=MESSAGE).ok
            try:
                (message,) = sink.wait_for_messages(1, timeout=60)
            except AssertionError:
                print(relay.log())
                raise
            trace, below = split_trace(message.body)
            assert (below, len(trace)) == (MESSAGE, 1)


def test_postfix_discards() -> None:
    with Postfix(deliver="discard") as hop:
        assert swaks(hop.port).ok
        assert hop.mails() == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_postfix_checks_passwords(mechanism: str) -> None:
    with Postfix(users={"alice": "secret"}, auth_needed=True) as hop:
        assert swaks(hop.port).code == 24
        login = ("--auth", mechanism, "--auth-user", "alice", "--auth-password")
        assert swaks(hop.port, *login, "wrong").code == 28
        sent = swaks(hop.port, *login, "secret")
        assert sent.ok, sent.transcript + hop.log()


def test_postfix_speaks_tls() -> None:
    certificate = certificate_for()
    with Postfix(certificate=certificate) as hop:
        with smtplib.SMTP("localhost", hop.port, timeout=60) as client:
            client.starttls(context=certificate.client_context())
            assert client.noop()[0] == 250
        context = certificate.client_context()
        with smtplib.SMTP_SSL("localhost", hop.smtps_port, timeout=60, context=context) as client:
            assert client.noop()[0] == 250


def credentials(mechanism: str, secret: str) -> str:
    said = {
        "PLAIN": f"\0{ALICE}\0{secret}",
        "XOAUTH2": f"user={ALICE}\1auth=Bearer {secret}\1\1",
        "OAUTHBEARER": f"n,a={ALICE},\1auth=Bearer {secret}\1\1",
    }
    return base64.b64encode(said[mechanism].encode()).decode()


@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_dovecot_takes_submissions(mechanism: str) -> None:
    secret = "secret" if mechanism == "PLAIN" else "token-of-alice"
    with FaultSink() as relay, Dovecot(relay_to=relay.port) as dovecot:
        with smtplib.SMTP("127.0.0.1", dovecot.submission_port, timeout=60) as client:
            client.ehlo()
            answer = client.docmd("AUTH", f"{mechanism} {credentials(mechanism, secret)}")
            assert answer == (235, b"2.7.0 Logged in."), dovecot.log()
            client.sendmail(ALICE, ["bob@example.net"], MESSAGE)
        assert split_trace(relay.messages[0].body)[1] == MESSAGE


def test_dovecot_refuses_a_token_nobody_knows(dovecot: Dovecot) -> None:
    with smtplib.SMTP("127.0.0.1", dovecot.submission_port, timeout=60) as client:
        client.ehlo()
        code, challenge = client.docmd("AUTH", f"XOAUTH2 {credentials('XOAUTH2', 'stolen')}")
        assert (code, b'"status":"401"' in base64.b64decode(challenge)) == (334, True)
        assert client.docmd("")[0] == 535
    assert dovecot.tokens.asked[-1] == "stolen"


def test_dovecot_keeps_mailboxes(dovecot: Dovecot) -> None:
    with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
        client.login(ALICE, "secret")
        assert client.append("INBOX", "", "", MESSAGE)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"1"])


def test_postfix_asks_dovecot_about_tokens(dovecot: Dovecot) -> None:
    with Postfix(auth=dovecot, auth_needed=True) as hop:
        with smtplib.SMTP("127.0.0.1", hop.port, timeout=60) as client:
            client.ehlo()
            code, _ = client.docmd("AUTH", f"XOAUTH2 {credentials('XOAUTH2', 'token-of-alice')}")
            assert code == 235, hop.log() + dovecot.log()
            client.sendmail(ALICE, ["bob@example.net"], MESSAGE)
        hop.wait_for_mails(1)


def test_postgres_keeps_what_it_committed_through_a_crash(postgres: Postgres) -> None:
    url = postgres.database(a_table)
    other = postgres.database(a_table)
    assert url != other
    name = url.rpartition("/")[2]
    with postgres.connect(name) as session:
        session.execute("INSERT INTO kept VALUES (1)")
        postgres.restart_immediate()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with postgres.connect(name) as session:
        assert session.execute("SELECT number FROM kept").fetchall() == [(1,)]
        assert session.execute("SHOW fsync").fetchall() == [("on",)]
    with postgres.connect(other.rpartition("/")[2]) as session:
        assert session.execute("SELECT number FROM kept").fetchall() == []
    for used in (url, other):
        postgres.drop(used)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        postgres.connect(name)


def a_table(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as session:
        session.execute("CREATE TABLE kept (number int)")


def test_postgres_speaks_sqlalchemy(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    engine.dispose()
    assert encoding == "UTF8"


def test_the_bucket_keeps_what_it_took_through_a_kill(s3_server: S3Server) -> None:
    client = s3_server.client("kept")
    names = [f"{number}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: obstore.put(client, name, b"body", mode="create"), names))
    s3_server.kill()
    with pytest.raises(BaseError):
        obstore.get(client, "0")
    s3_server.start()
    assert {bytes(obstore.get(client, name).bytes()) for name in names} == {b"body"}
    with pytest.raises(AlreadyExistsError):
        obstore.put(client, "0", b"other", mode="create")


def test_the_bucket_knows_its_key_from_others(s3_server: S3Server) -> None:
    with pytest.raises(PermissionDeniedError, match="SignatureDoesNotMatch"):
        obstore.put(s3_server.client(secret="wrong"), "x", b"x")
    with pytest.raises(PermissionDeniedError, match="InvalidAccessKeyId"):
        obstore.put(s3_server.client(key="WRONG"), "x", b"x")


def test_nothing_stays_behind() -> None:
    with (
        Postfix() as hop, Dovecot() as dovecot, Cyrus() as cyrus, Postgres() as database,
        S3Server() as bucket,
    ):  # fmt: skip
        folders = [str(one.folder) for one in (hop, dovecot, cyrus, database, bucket)]
        assert [folder for folder in folders if processes_of(folder)] == folders
    assert [folder for folder in folders if processes_of(folder) or os.path.exists(folder)] == []


def test_nothing_stays_behind_when_the_tests_are_killed() -> None:
    program = """
from tests.peers.postfix import Postfix
import os, signal
with Postfix() as hop:
    print(hop.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    folder = ran.stdout.strip()
    assert folder, ran.stderr
    wait_until(lambda: not processes_of(folder) and not os.path.exists(folder), "all is gone")


def processes_of(folder: str) -> list[str]:
    """The command lines and working folders that name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            places = (line, os.readlink(process / "cwd"))
        except OSError:
            continue  # it has just ended
        found += [place for place in places if folder in place]
    return found


def test_a_missing_program_skips_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        need("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI may not skip"):
        need("no-such-program")
