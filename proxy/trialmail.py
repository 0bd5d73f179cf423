"""The mails of `mailweir try`, as mail programs really write them. A core: bytes out, no clock.

Japanese as Outlook and the phones of Japan send it: ISO-2022-JP with RFC 2047 headers, a file
name in RFC 2231 form. Example domains only (RFC 2606).
"""

from dataclasses import dataclass
from datetime import datetime
from email import encoders, policy
from email.header import Header
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr

ALICE = "alice@example.com"
BOB = "bob@example.com"
HANAKO = "hanako@customer.example"
JORDAN = "jordan@lead.example"
NOBODY = "nobody@lead.example"
USERS = {ALICE: "Alice Aoki", BOB: "Bob Baba"}
PASSWORD = "practice"  # of the practice server, which lives in memory on loopback


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, ready for the wire; `message_id` without its brackets."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


def _headers(mail: MIMEText | MIMEMultipart, key: str, when: datetime, **fields: str) -> str:
    message_id = f"{key}.{when:%Y%m%d%H%M%S}@{fields['From'].rpartition('@')[2].strip('<>')}"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail["Date"] = format_datetime(when)
    mail["Message-ID"] = f"<{message_id}>"
    return message_id


def _wire(mail: MIMEText | MIMEMultipart) -> bytes:
    return mail.as_bytes(policy=policy.compat32.clone(linesep="\r\n", max_line_length=None))


def _japanese(text: str) -> str:
    return Header(text, "iso-2022-jp").encode()


def quote(when: datetime) -> Sample:
    """Alice sends Hanako a quotation, her colleague Bob gets a copy."""
    mail = MIMEMultipart()
    body = "田中様\r\n\r\nお世話になっております。\r\nお見積書をお送りいたします。\r\n\r\n青木\r\n"
    mail.attach(MIMEText(body, "plain", "iso-2022-jp"))
    paper = MIMEApplication(b"%PDF-1.4 a very short quotation\n", "pdf", encoders.encode_base64)
    name = ("iso-2022-jp", "", "御見積書.pdf")
    paper.add_header("Content-Disposition", "attachment", filename=name)
    mail.attach(paper)
    message_id = _headers(
        mail,
        "quote",
        when,
        From=formataddr(("青木アリス", ALICE), "iso-2022-jp"),
        To=formataddr(("田中花子", HANAKO), "iso-2022-jp"),
        Cc=BOB,
        Subject=_japanese("お見積書の件（12月分）"),
    )
    return Sample(message_id, ALICE, (HANAKO, BOB), _wire(mail))


def answer(when: datetime, to: Sample) -> Sample:
    """Hanako answers from outside."""
    body = "青木様\r\n\r\nお見積書を拝受いたしました。\r\n社内で検討いたします。\r\n\r\n田中\r\n"
    mail = MIMEText(body, "plain", "utf-8")
    message_id = _headers(
        mail,
        "answer",
        when,
        From=formataddr(("田中花子", HANAKO)),
        To=ALICE,
        Subject=Header("Re: お見積書の件（12月分）", "utf-8").encode(),
        In_Reply_To=f"<{to.message_id}>",
        References=f"<{to.message_id}>",
    )
    return Sample(message_id, HANAKO, (ALICE,), _wire(mail))


def welcome(when: datetime) -> Sample:
    """Alice writes to a lead, and to an address that does not exist."""
    mail = MIMEText("Hello Jordan,\r\n\r\nthank you for your call.\r\n\r\nAlice\r\n")
    message_id = _headers(
        mail, "welcome", when, From=ALICE, To=f"{JORDAN}, {NOBODY}", Subject="Thank you"
    )
    return Sample(message_id, ALICE, (JORDAN, NOBODY), _wire(mail))


def reminder(when: datetime) -> Sample:
    """Alice writes while the mail server behind the relay is away."""
    mail = MIMEText("Dear Hanako,\r\n\r\na short reminder.\r\n\r\nAlice\r\n")
    message_id = _headers(mail, "reminder", when, From=ALICE, To=HANAKO, Subject="Reminder")
    return Sample(message_id, ALICE, (HANAKO,), _wire(mail))


def minutes(when: datetime) -> Sample:
    """A mail of Hanako's from before Mailweir, in one of Alice's folders."""
    body = "青木様\r\n\r\n先日の打ち合わせの議事録です。\r\n\r\n田中\r\n"
    mail = MIMEText(body, "plain", "iso-2022-jp")
    message_id = _headers(
        mail,
        "minutes",
        when,
        From=formataddr(("田中花子", HANAKO), "iso-2022-jp"),
        To=ALICE,
        Subject=_japanese("打ち合わせの議事録"),
    )
    return Sample(message_id, HANAKO, (ALICE,), _wire(mail))


def agenda(when: datetime) -> Sample:
    """A mail of Hanako's that came into Alice's INBOX past Mailweir."""
    mail = MIMEText("Dear Alice,\r\n\r\nhere is the agenda.\r\n\r\nHanako\r\n")
    message_id = _headers(mail, "agenda", when, From=HANAKO, To=ALICE, Subject="Agenda")
    return Sample(message_id, HANAKO, (ALICE,), _wire(mail))


def full(when: datetime, about: Sample) -> Sample:
    """The report of Hanako's mail server: her mailbox is full (RFC 3464)."""
    message_id = f"report.{when:%Y%m%d%H%M%S}@customer.example"
    text = f"""From: Mail Delivery System <MAILER-DAEMON@customer.example>
To: {ALICE}
Subject: Undelivered Mail Returned to Sender
Date: {format_datetime(when)}
Message-ID: <{message_id}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"

--=_report
Content-Type: text/plain

Your message could not be delivered to <{HANAKO}>.
--=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.customer.example

Final-Recipient: rfc822; {HANAKO}
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 Mailbox full
--=_report
Content-Type: text/rfc822-headers

Message-ID: <{about.message_id}>
--=_report--
"""
    return Sample(message_id, "", (ALICE,), text.replace("\n", "\r\n").encode())
