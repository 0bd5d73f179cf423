"""Messages made to break a reader of bounces: nothing raises, the cost stays small, and what can
be read is read.

The kinds are those that others fail on (taxonomy.md, "What breaks the others") and those that
the structure of this reader invites. LIMIT is five times what the design page allows, for busy
machines; a quadratic reader is beyond it by orders of magnitude.
"""

import base64
import time
from collections.abc import Callable

import pytest

from bounce.detect import read
from bounce.report import KINDS, MAX_RECIPIENTS, Report

LIMIT = 1.0
MIB = 1 << 20
HEAD = (
    b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: sales@example.com\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
)
REPORT = HEAD + b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
STATUS = (
    b"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; client@example.net\r\n"
    b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n"
)
STATUS_PART = b"--b\r\nContent-Type: message/delivery-status\r\n\r\n" + STATUS + b"\r\n"
RETURNED = b"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m@example.com>\r\n\r\n"
QMAIL = (
    b"Hi. This is the qmail-send program at mx.example.net.\r\n\r\n"
    b"<client@example.net>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
)


def coded(text: bytes, encoding: bytes) -> bytes:
    header = b"--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: "
    return header + encoding + b"\r\n\r\n" + text + b"\r\n--b--\r\n"


def nested(depth: int) -> bytes:
    opening = b"".join(
        b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (level, level + 1)
        for level in range(depth)
    )
    return HEAD + b"Content-Type: multipart/mixed; boundary=0\r\n\r\n" + opening + QMAIL


# name -> message; those of READ must give the one recipient.
READ: dict[str, Callable[[], bytes]] = {
    "no end boundary": lambda: REPORT + STATUS_PART,
    "cut in the returned message": lambda: REPORT + STATUS_PART + RETURNED + b"Recei",
    "base64 delivery-status": lambda: REPORT + coded(base64.b64encode(STATUS), b"base64"),
    "base64 without padding, with garbage": lambda: (
        REPORT + coded(b"!" + base64.b64encode(STATUS).rstrip(b"="), b"BASE64")
    ),
    "quoted-printable delivery-status": lambda: (
        REPORT + coded(STATUS.replace(b"@", b"=40"), b"quoted-printable")
    ),
    "unknown transfer encoding": lambda: REPORT + coded(STATUS, b"x-none"),
    "cr only": lambda: (REPORT + STATUS_PART).replace(b"\r\n", b"\r"),
    "lf only": lambda: (REPORT + STATUS_PART).replace(b"\r\n", b"\n"),
    "blank first line": lambda: b"\r\n\r\n" + REPORT + STATUS_PART,
    "byte order mark first": lambda: b"\xef\xbb\xbf" + REPORT + STATUS_PART,
    "mbox line first": lambda: (
        b"From MAILER-DAEMON Tue Mar  3 10:00:00 2026\r\n" + REPORT + STATUS_PART
    ),
    "nuls between everything": lambda: (
        REPORT + STATUS_PART.replace(b"Status: 5.1.1", b"Status: 5.1.1\0\0") + b"\0" * 1000
    ),
    "unknown charset": lambda: (
        HEAD + b"Content-Type: text/plain; charset=x-no-such-charset\r\n\r\n" + QMAIL
    ),
    "a codec that is no charset": lambda: (
        HEAD + b"Content-Type: text/plain; charset=rot13\r\n\r\n" + QMAIL
    ),
    "undecodable octets": lambda: (
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + QMAIL + bytes(range(128, 256))
    ),
    "lost boundary parameter": lambda: (
        HEAD + b"Content-Type: multipart/report;\r\n\tbo\r\n\r\n" + STATUS_PART
    ),
    "lost content type": lambda: (
        HEAD + b"\r\nThis is a MIME-encapsulated message\r\n\r\n" + STATUS_PART + RETURNED
    ),
    "lost boundary of an inner multipart": lambda: (
        REPORT
        + b"--b\r\nContent-Type: multipart/alternative;\r\n\tbo\r\n\r\n"
        + b"--c\r\nContent-Type: text/plain\r\n\r\n<client@example.net>: user unknown\r\n--c--\r\n"
    ),
    "status relabelled as a file": lambda: (
        REPORT + b"--b\r\nContent-Type: application/octet-stream\r\n\r\n" + STATUS
    ),
    "status in the text": lambda: (
        HEAD + b"Content-Type: multipart/report; boundary=none\r\n\r\nSorry.\r\n\r\n" + STATUS
    ),
    "returned message of 20 MB": lambda: (
        REPORT + STATUS_PART + RETURNED + (b"QUJD" * 18 + b"\r\n") * (20 * MIB // 74)
    ),
    "a thousand parts behind the status": lambda: (
        REPORT + STATUS_PART + b"--b\r\n\r\nx\r\n" * 5_000
    ),
    "header of 300 kB before the sign": lambda: (
        b"X-Long: " + b"x" * 60_000 + b"\r\n" + REPORT + STATUS_PART
    ),
    "a diagnostic of a megabyte": lambda: (
        REPORT + STATUS_PART.rstrip() + b" " + b"unknown user " * 80_000
    ),
    "nested 90 deep": lambda: nested(90),
}
# These must be survived.
SURVIVED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "only nuls": lambda: b"\0" * MIB,
    "no header": lambda: b"just some words\r\n" * 1000,
    "one line of 10 MB": lambda: HEAD + b"\r\n" + b"x" * (10 * MIB),
    "one line of 10 MB of addresses": lambda: HEAD + b"\r\n" + b"a@b.example, " * 800_000,
    "boundary of 3 MB": lambda: (
        HEAD + b"Content-Type: multipart/report; boundary=" + b"b" * (3 * MIB) + b"\r\n\r\n--b\r\n"
    ),
    "nested 400 deep": lambda: nested(400),
    "a million delimiters": lambda: REPORT + b"--b\r\n" * 1_000_000,
    "lines that begin with dashes": lambda: REPORT + b"--\n" * MIB,
    "semicolons in the type": lambda: (
        HEAD + b"Content-Type: multipart/report" + b";" * MIB + b"\r\n\r\n" + QMAIL
    ),
    "quotes in the type": lambda: (
        HEAD + b'Content-Type: multipart/report; boundary="' + b'\\"' * MIB + b"\r\n\r\n" + QMAIL
    ),
    "html of angle brackets": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * MIB,
    "html of open comments": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<!--" * MIB,
    "html of open scripts": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<script>" * MIB,
    "html of attributes": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<p " + b'a="' * MIB,
    "json of brackets": lambda: HEAD + b'\r\n{"notificationType":' + b"[" * MIB,
    "ten thousand recipients": lambda: (
        REPORT
        + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        + b"".join(
            b"Final-Recipient: rfc822; c%d@example.net\r\nAction: failed\r\n\r\n" % number
            for number in range(10_000)
        )
    ),
    "spaces before everything": lambda: HEAD + b"\r\n" + (b" " * 200 + b"\r\n") * 20_000,
    "ats": lambda: HEAD + b"\r\n" + b"@" * MIB,
    "signs of addresses without one": lambda: HEAD + b"\r\n" + b"a.b-c_d" * 500_000,
    "escapes of iso-2022-jp": lambda: (
        HEAD
        + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
        + b"\x1b$B!!\x1b(B" * 300_000
    ),
    "encoded words in the subject": lambda: (
        b"Return-Path: <>\r\nSubject:" + b" =?utf-8?b?4pyJ?=" * 60_000 + b"\r\n\r\n" + QMAIL
    ),
    "from of parentheses": lambda: (
        b"Return-Path: <>\r\nFrom: " + b"(" * 60_000 + b"\r\nSubject: failure notice\r\n\r\nx"
    ),
    "words that begin phrases": lambda: (
        HEAD + b"\r\n<client@example.net>: " + b"mailbox user unknown message exceeds " * 30_000
    ),
}


def timed(raw: bytes) -> Report:
    start = time.process_time()
    report = read(raw)
    assert time.process_time() - start < LIMIT
    assert report.kind in KINDS
    return report


@pytest.mark.parametrize("name", READ)
def test_a_broken_report_is_read_all_the_same(name: str) -> None:
    report = timed(READ[name]())
    assert report.kind == "bounce"
    assert [(one.address, one.klass) for one in report.recipients] == [
        ("client@example.net", "hard")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", SURVIVED)
def test_a_hostile_message_costs_little(name: str) -> None:
    report = timed(SURVIVED[name]())
    assert len(report.recipients) <= MAX_RECIPIENTS
    assert not any(oddity.startswith("fault") for oddity in report.oddities)


def test_too_many_recipients_are_dropped_and_it_is_said() -> None:
    report = read(SURVIVED["ten thousand recipients"]())
    assert len(report.recipients) == MAX_RECIPIENTS
    assert "recipient_limit" in report.oddities


def test_what_was_mended_is_said() -> None:
    assert "cr_only" in read(READ["cr only"]()).oddities
    assert "blank_first_line" in read(READ["blank first line"]()).oddities
    assert "boundary_mended" in read(READ["lost boundary parameter"]()).oddities
    assert "read_in_part" in read(READ["returned message of 20 MB"]()).oddities
