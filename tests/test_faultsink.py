"""The FaultSink does what its docstring says, so that other tests may trust its ledger."""

import base64
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faultsink import CLOSE, HANG, OK, RESET, At, FaultSink, Say

TEXT = "Subject: x\r\n\r\nhello\r\n.dotted\r\n"


def send(sink: FaultSink, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
        return client.sendmail("a@example.com", list(recipients) or ["b@example.net"], TEXT)


class Wire:
    """A bare client: what is sent is what stands in the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def reply(self) -> bytes:
        reply = b""
        while True:
            line = self.file.readline()
            reply += line
            if not line or line[3:4] != b"-":
                return reply

    def ask(self, line: bytes) -> bytes:
        self.sock.sendall(line + b"\r\n")
        return self.reply()


@contextmanager
def connected(sink: FaultSink, greet: bytes = b"EHLO me") -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", sink.port), timeout=5) as sock:
        wire = Wire(sock)
        assert wire.reply().startswith(b"220")
        wire.ask(greet)
        try:
            yield wire
        finally:
            wire.file.close()  # or the socket stays open


def test_a_healthy_sink_keeps_lines_and_bytes() -> None:
    with FaultSink() as sink:
        assert send(sink, "b@example.net", "c@example.net") == {}
        (message,) = sink.messages
        assert message.sender == "a@example.com"
        assert message.recipients == ["b@example.net", "c@example.net"]
        assert message.wire == TEXT.replace("\r\n.", "\r\n..").encode() + b".\r\n"
        assert message.body == TEXT.encode()
        assert message.bare == []
        assert sink.connections[0].verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
        assert sink.complaints == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_only_crlf_dot_crlf_ends_a_message_however_it_is_cut(cut: int) -> None:
    content = b".\r.\r\n\n.\n\r\n..\r\n.\r\nQUIT\r\n"
    with FaultSink() as sink, connected(sink) as wire:
        wire.ask(b"MAIL FROM:<a@x>")
        wire.ask(b"RCPT TO:<b@x>")
        assert wire.ask(b"DATA").startswith(b"354")
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(content), cut):
            wire.sock.sendall(content[at : at + cut])
            time.sleep(0.002)
        assert wire.reply().startswith(b"250")
        assert wire.reply().startswith(b"221")
        (message,) = sink.messages
        assert message.wire == b".\r.\r\n\n.\n\r\n..\r\n.\r\n"
        assert message.bare == [b"\r", b"\n", b"\n"]


def test_an_empty_message() -> None:
    with FaultSink() as sink, connected(sink) as wire:
        wire.ask(b"MAIL FROM:<>")
        wire.ask(b"RCPT TO:<b@x>")
        wire.ask(b"DATA")
        assert wire.ask(b".").startswith(b"250")
        assert (sink.messages[0].body, sink.messages[0].sender) == (b"", "")


def test_answers_by_words_by_turn_by_recipient_and_by_function() -> None:
    with FaultSink(
        rcpt={"nobody@": "550 5.1.1 no such user", "later@": "450 4.2.1 full"},
        dot=["451 4.3.0 first\nnot yet", OK],
        mail=lambda line: "501 5.1.7 no" if b"bad@" in line else OK,
    ) as sink:
        with pytest.raises(smtplib.SMTPDataError) as failed:
            send(sink)
        assert (failed.value.smtp_code, failed.value.smtp_error) == (451, b"4.3.0 first\nnot yet")
        assert send(sink, "b@example.net", "nobody@example.net", "later@example.net") == {
            "nobody@example.net": (550, b"5.1.1 no such user"),
            "later@example.net": (450, b"4.2.1 full"),
        }
        sink.answer(rcpt=OK)
        assert send(sink, "nobody@example.net") == {}
        with connected(sink) as wire:
            assert wire.ask(b"MAIL FROM:<bad@x>") == b"501 5.1.7 no\r\n"
        assert [message.replies for message in sink.messages][1:] == [[b"250 2.0.0 stored\r\n"]] * 2


def test_a_stage_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such stage: dots"):
        FaultSink(dots=CLOSE)


@pytest.mark.parametrize(
    "stage", ["connect", "ehlo", "mail", "rcpt", "data", "content:10", "dot", "rset", "quit"]
)
def test_dropping_at_every_stage(stage: str) -> None:
    with FaultSink(drop_at=stage) as sink:
        try:
            with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
                client.rset()
                client.sendmail("a@example.com", ["b@example.net"], TEXT)
        except (smtplib.SMTPServerDisconnected, ConnectionResetError):
            assert stage != "quit"
        sink.wait_for(lambda sink: sink.connections[0].end == "close")
        assert len(sink.messages) == (stage in ("dot", "quit"))


def test_a_message_without_its_reply_is_in_the_ledger_and_says_so() -> None:
    with FaultSink(drop_at="dot") as sink:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(sink)
        assert sink.messages[0].replies == []


def test_a_reset_in_the_middle_of_the_content() -> None:
    with FaultSink(reset_at="content:1000") as sink, connected(sink) as wire:
        for line in (b"MAIL FROM:<a@x>", b"RCPT TO:<b@x>", b"DATA"):
            wire.ask(line)
        wire.sock.sendall(b"x" * 999)
        sink.wait_for(lambda sink: sum(map(len, sink.connections[0].segments)) >= 999)
        wire.sock.sendall(b"y")
        with pytest.raises(ConnectionResetError):
            wire.reply()
        sink.wait_for(lambda sink: sink.connections[0].end == "reset")
        assert sink.connections[0].partial == b"x" * 999 + b"y"
        assert sink.messages == []


def test_silence_slowness_and_words_before_leaving() -> None:
    with FaultSink(mail=[HANG, Say("250 ok", after=0.2), Say("421 bye", gap=0.01)]) as sink:
        with connected(sink) as wire:
            wire.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                wire.ask(b"MAIL FROM:<a@x>")
        sink.wait_for(lambda sink: sink.connections[0].end == "eof")
        with connected(sink) as wire:
            before = time.monotonic()
            assert wire.ask(b"MAIL FROM:<a@x>") == b"250 ok\r\n"
            assert time.monotonic() - before >= 0.2
        with connected(sink) as wire:
            assert wire.ask(b"MAIL FROM:<a@x>") == b"421 bye\r\n"
            assert wire.reply() == b""


def test_words_in_the_middle_of_the_content() -> None:
    with FaultSink(content=At(5, Say("552 5.3.4 too big", then=RESET))) as sink:
        with connected(sink) as wire:
            for line in (b"MAIL FROM:<a@x>", b"RCPT TO:<b@x>", b"DATA"):
                wire.ask(line)
            wire.sock.sendall(b"12345")
            assert wire.reply() == b"552 5.3.4 too big\r\n"


def test_keywords_are_offered_as_told() -> None:
    with FaultSink(keywords=["PIPELINING", "SIZE 9", "DSN"], without=["SIZE"]) as sink:
        with smtplib.SMTP("127.0.0.1", sink.port) as client:
            client.ehlo()
            assert client.esmtp_features == {"pipelining": "", "dsn": ""}


def test_starttls_with_injected_words() -> None:
    with FaultSink(tls="starttls", inject_after_starttls=b"250 injected\r\n") as sink:
        with smtplib.SMTP("localhost", sink.port, timeout=5) as client:
            client.starttls(context=sink.certificate.client_context())
            client.sendmail("a@example.com", ["b@example.net"], TEXT * 10_000)
            client.ehlo()
            assert "starttls" not in client.esmtp_features
        assert sink.messages[0].body == TEXT.encode() * 10_000
        assert sink.connections[0].tls == "TLSv1.3"
        assert sink.connections[0].replies[2] == b"220 2.0.0 ready\r\n"


def test_plain_text_behind_starttls_is_noted_and_dropped() -> None:
    with FaultSink(tls="starttls") as sink, connected(sink) as wire:
        assert wire.ask(b"STARTTLS\r\nMAIL FROM:<injected@x>").startswith(b"220")
        wire.sock.setblocking(True)
        with sink.certificate.client_context().wrap_socket(
            wire.sock, server_hostname="localhost"
        ) as tls:
            inside = Wire(tls)
            assert inside.ask(b"RCPT TO:<b@x>").startswith(b"503")
            assert sink.connections[0].after_starttls == b"MAIL FROM:<injected@x>\r\n"


def test_implicit_tls_and_an_unknown_authority() -> None:
    with FaultSink(tls="implicit") as sink:
        trusting = sink.certificate.client_context()
        with smtplib.SMTP_SSL("localhost", sink.port, timeout=5, context=trusting) as client:
            assert client.noop()[0] == 250
        with pytest.raises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL("localhost", sink.port, context=ssl.create_default_context())
        assert sink.connections[0].tls == "TLSv1.3"


def test_credentials_are_taken_and_kept() -> None:
    with FaultSink(auth=["PLAIN", "LOGIN"], auth_needed=True) as sink:
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(sink)
        for mechanism in ("PLAIN", "LOGIN"):
            with smtplib.SMTP("localhost", sink.port) as client:
                client.user, client.password = "alice", "secret"
                client.ehlo()
                client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        assert sink.connections[1].auth == ("PLAIN", [b"\0alice\0secret"])
        assert sink.connections[2].auth == ("LOGIN", [b"alice", b"secret"])


def test_a_scripted_exchange() -> None:
    trouble = base64.b64encode(b'{"status":"401"}').decode()
    script = {"XOAUTH2": [f"334 {trouble}", "535 5.7.8 no"], "PLAIN": "235 2.7.0 fine"}
    with FaultSink(auth=script) as sink:
        with connected(sink) as wire:
            assert wire.ask(b"AUTH XOAUTH2 dXNlcg==") == f"334 {trouble}\r\n".encode()
            assert wire.ask(b"") == b"535 5.7.8 no\r\n"
            assert wire.ask(b"AUTH PLAIN =") == b"235 2.7.0 fine\r\n"
            assert wire.ask(b"AUTH PLAIN =").startswith(b"503")
        assert sink.connections[0].lines[1:3] == [b"AUTH XOAUTH2 dXNlcg==", b""]


def test_chunks_make_a_message() -> None:
    with FaultSink() as sink, connected(sink) as wire:
        wire.ask(b"MAIL FROM:<a@x>")
        wire.ask(b"RCPT TO:<b@x>")
        wire.sock.sendall(b"BDAT 5\r\n.\r\n.\r")
        assert wire.reply() == b"250 2.0.0 5 octets\r\n"
        wire.sock.sendall(b"BDAT 3 LAST\r\n\nab")
        assert wire.reply().startswith(b"250")
        (message,) = sink.messages
        assert (message.chunked, message.body) == (True, b".\r\n.\r\nab")


def test_lmtp_answers_for_each_recipient(tmp_path: Path) -> None:
    where = tmp_path / "lmtp.sock"
    with FaultSink(lmtp=True, unix=where, dot={"bob@": "552 5.2.2 full"}) as sink:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(where))
            wire = Wire(sock)
            wire.reply()
            assert wire.ask(b"EHLO me").startswith(b"500")
            for line in (b"LHLO me", b"MAIL FROM:<a@x>", b"RCPT TO:<al@x>", b"RCPT TO:<bob@x>"):
                wire.ask(line)
            wire.ask(b"DATA")
            assert wire.ask(b".").startswith(b"250")
            assert wire.reply() == b"552 5.2.2 full\r\n"
        assert len(sink.messages[0].replies) == 2


def test_mistakes_of_the_client_are_noted() -> None:
    with FaultSink() as sink, connected(sink) as wire:
        assert wire.ask(b"DATA").startswith(b"503")
        assert wire.ask(b"MAIL FROM:<a@x>").startswith(b"250")
        assert wire.ask(b"DATA").startswith(b"554")
        assert wire.ask(b"JUMP").startswith(b"500")
        assert len(sink.complaints) == 3


def test_away_and_back_on_the_same_port() -> None:
    sink = FaultSink().start()
    send(sink)
    sink.stop()
    with pytest.raises(ConnectionRefusedError):
        send(sink)
    with sink:
        send(sink)
        assert len(sink.messages) == 2


def test_a_slow_reader_holds_the_client_back() -> None:
    with FaultSink(read_rate=100_000, keep=False) as sink, connected(sink) as wire:
        for line in (b"MAIL FROM:<a@x>", b"RCPT TO:<b@x>", b"DATA"):
            wire.ask(line)
        before = time.monotonic()
        assert wire.ask(b"x" * 40_000 + b"\r\n.").startswith(b"250")
        assert time.monotonic() - before > 0.3
        assert (sink.messages[0].size, sink.messages[0].wire) == (40_005, b"")


def test_waiting_in_vain_says_what_was_seen() -> None:
    with FaultSink() as sink, connected(sink):
        with pytest.raises(AssertionError, match="EHLO me"):
            sink.wait_for_messages(1, timeout=0.1)
