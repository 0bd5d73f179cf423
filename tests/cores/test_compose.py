"""Our own reports: who is told what, and what they look like to a reader of RFC 3464."""

import email
import email.policy
from email.message import EmailMessage
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce import detect
from bounce.compose import MAX_FULL, Composed, Original, Told, compose, wanted

NOW = 1_790_000_000.0
HEADER = b"From: Alice <alice@ours.example>\r\nSubject: Offer\r\nMessage-ID: <1@ours.example>\r\n"
MESSAGE = HEADER + b"\r\nDear Bob\r\n"


def told(address: str = "bob@x.example", **more: Any) -> Told:
    given = {
        "action": "failed", "reply": "550 5.1.1 <bob@x.example> User unknown",
        "category": "invalid_address", "remote": "mx.x.example", "params": (), "at": NOW,
    }  # fmt: skip
    return Told(address, **{**given, **more})


def original(content: bytes = MESSAGE, **more: Any) -> Original:
    given: dict[str, Any] = {
        "capture_id": "01ABC", "sender": "alice@ours.example", "params": (),
        "created": NOW - 60, "expires": NOW + 86_400,
    }  # fmt: skip
    return Original(content=content, whole=True, **{**given, **more})


def made(*each: Told, of: Original | None = None) -> Composed:
    return compose(
        of or original(), each or (told(),), ident="01REPORT", hostname="mail.ours.example", now=NOW
    )


def parsed(report: Composed) -> EmailMessage:
    policy = email.policy.default.clone(utf8=True)
    return email.message_from_bytes(report.content, policy=policy)


@pytest.mark.parametrize(
    ("state", "params", "said", "passed_on", "late", "word"),
    [
        ("failed", (), "", False, False, "failed"),
        ("expired", (), "delayed", False, True, "failed"),
        ("failed", ("NOTIFY=NEVER",), "", False, False, "none"),
        ("failed", ("NOTIFY=DELAY",), "", False, False, "none"),
        ("failed", ("notify=success,failure",), "", False, False, "failed"),
        ("failed", (), "failed", False, False, ""),
        ("delivered", (), "", False, False, "none"),
        ("delivered", ("NOTIFY=SUCCESS",), "", False, False, "relayed"),
        ("delivered", ("NOTIFY=SUCCESS",), "", True, False, "none"),
        ("queued", (), "", False, True, "delayed"),
        ("queued", (), "", False, False, ""),
        ("queued", (), "delayed", False, True, ""),
        ("queued", ("NOTIFY=FAILURE",), "", False, True, ""),
        ("queued", ("NOTIFY=NEVER",), "", False, True, ""),
    ],
)
def test_notify_decides(
    state: str, params: tuple[str, ...], said: str, passed_on: bool, late: bool, word: str
) -> None:
    assert wanted(state, params, said, passed_on=passed_on, late=late) == word


def test_our_own_reader_understands_it() -> None:
    report = detect.read(made().content, sender="")
    assert report.kind == "bounce" and report.original_message_id == "<1@ours.example>"
    (recipient,) = report.recipients
    assert (recipient.address, recipient.klass, recipient.category, recipient.status) == (
        "bob@x.example", "hard", "invalid_address", "5.1.1",
    )  # fmt: skip


def test_the_shape_of_rfc_3464() -> None:
    message = parsed(made())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied" and "alice@ours.example" in message["To"]
    assert message["In-Reply-To"] == "<1@ours.example>"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert made().content.isascii() and made().params == ()
    assert all(len(line) < 999 for line in made().content.split(b"\r\n"))


def test_english_and_japanese_and_no_html() -> None:
    part = next(parsed(made()).iter_parts())
    text = cast(EmailMessage, part).get_content()
    assert "could not be delivered" in text and "届けられませんでした" in text
    assert text.index("could not") < text.index("届け") and "<html" not in text.lower()
    japanese = original(b"Subject: =?utf-8?B?44GK6KaL56mN44KK?=\r\n\r\nx\r\n")
    text = cast(EmailMessage, next(parsed(made(of=japanese)).iter_parts())).get_content()
    assert text.index("届け") < text.index("could not") and "お見積り" in text


def test_envid_orcpt_and_several_recipients() -> None:
    report = made(
        told(params=("ORCPT=rfc822;Bob+2Bx@x.example",)),
        told("late@x.example", action="delayed", reply="451 4.4.1 away", category="deferred"),
        of=original(params=("ENVID=QQ+2B314", "RET=HDRS")),
    )
    text = report.content.decode()
    assert "Original-Envelope-Id: QQ+314\r\n" in text
    assert "Original-Recipient: rfc822;Bob+x@x.example\r\n" in text
    assert "Action: delayed\r\nStatus: 4.4.1\r\n" in text and "Will-Retry-Until: " in text


def test_expired_is_a_failure_of_the_soft_kind() -> None:
    report = made(told(reply="", category="server_unavailable", expired=True))
    (recipient,) = detect.read(report.content, sender="").recipients
    assert (recipient.klass, recipient.category) == ("soft", "server_unavailable")


def test_full_or_headers() -> None:
    full = made(of=original(params=("RET=FULL",)))
    assert b"Dear Bob" in full.content and b"message/rfc822" in full.content
    assert b"Dear Bob" not in made().content
    large = original(MESSAGE + b"x" * MAX_FULL, params=("RET=FULL",))
    assert b"text/rfc822-headers" in made(of=large).content
    eight = made(of=original(HEADER + "\r\nGrüße\r\n".encode(), params=("RET=FULL",)))
    assert eight.params == ("BODY=8BITMIME",)


def test_addresses_beyond_ascii() -> None:
    ascii_sender = made(told("花子@例え.example"))
    assert ascii_sender.content.isascii()
    assert b"Final-Recipient: utf-8;\\x{82B1}\\x{5B50}@" in ascii_sender.content
    utf8 = made(told("花子@例え.example"), of=original(sender="アリス@ours.example"))
    assert utf8.params == ("BODY=8BITMIME", "SMTPUTF8")
    assert "Final-Recipient: utf-8;花子@例え.example" in utf8.content.decode()
    assert b"message/global-delivery-status" in utf8.content


@given(st.text(max_size=2000), st.binary(max_size=2000), st.text(max_size=60), st.booleans())
def test_nothing_that_strangers_write_becomes_a_line_of_ours(
    words: str, content: bytes, remote: str, full: bool
) -> None:
    params = ("RET=FULL", "ENVID=a+0Ab") if full else ()
    report = made(told(reply=words, remote=remote), of=original(content, params=params))
    message = parsed(report)
    assert len(list(message.iter_parts())) == 3
    status = report.content.split(b"message/delivery-status\r\n\r\n")[1].split(b"\r\n--=_report")[0]
    fields = [line.partition(b":")[0] for line in status.split(b"\r\n") if line]
    assert fields.count(b"Action") == 1 and fields.count(b"Final-Recipient") == 1
    assert set(fields) <= {
        b"Original-Envelope-Id", b"Reporting-MTA", b"Arrival-Date", b"Final-Recipient", b"Action",
        b"Status", b"Remote-MTA", b"Diagnostic-Code", b"Last-Attempt-Date",
    }  # fmt: skip
