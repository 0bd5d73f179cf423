"""Signs in the header that a message may be a report: the cheap first look. A core.

Most mail is ordinary, so this asks only for a few fields. It decides nothing: what has no sign is
mail; what has one is read.
"""

import re
from dataclasses import dataclass

from bounce.phrases import Phrases, prepare
from bounce.view import View
from bounce.words import subjects

__all__ = ["Signs", "look"]

_DAEMON = re.compile(
    r"mailer.?daemon|post ?master|mail ?deliver|maildaemon|mdaemon|mail.?admin|mail system"
    r"|system administrator|mail router|mail server|mailserver|\bdaemon|mmsc|returnmail"
    r"|undeliver|non-?deliver|delivery (?:sub|sys|stat)|interscan|mail.?gateway"
    r"|\bndr\b|mail.?marshal|mail-?error|mailadm|smtpd?@|internet mail|uucp@"
    r"|mail (?:error|control|transport|manager)|mail\.delivery|microsoft exchange",
    re.IGNORECASE,
)
# Programs that write about much else, too: parcels, orders, lists.
_PROGRAM = re.compile(r"no-?reply|donotreply|bounce|exchange|smtp|notification", re.IGNORECASE)
_LIST = re.compile(
    r"[-_.](?:admin|request|owner|bounces?)@|\bowner-|listserv|majordomo|mailman|ezmlm",
    re.IGNORECASE,
)
_HANDED_ON = re.compile(
    r"\s*(?:re|fwd?|aw|wg|tr|rv|vs|sv|vb|i|r|enc|fs|antw|ynt|odp|pd|回复|回覆|转发|轉寄|転送|返信)"
    r"(?:\[\d+\])?\s*[:：]",
    re.IGNORECASE,
)
_SUBJECTS = Phrases(subjects.TABLE)


@dataclass(slots=True)
class Signs:
    """What a header says about being a report."""

    null_sender: bool = False  # the envelope or Return-Path is <>
    daemon: bool = False  # From is a program that delivers mail
    program: bool = False  # From or Auto-Submitted is of some program
    lists: bool = False  # From is that of a mailing list
    subject: bool = False  # the subject is one of a failure
    delay_subject: bool = False
    success_subject: bool = False
    failed_recipients: str = ""  # X-Failed-Recipients
    report: str = ""  # report-type of a multipart/report, "?" where none is told
    auto: str = ""  # Auto-Submitted
    complaint: bool = False  # "complaint about message from ..."
    handed_on: bool = False  # a person's subject: "Fwd:", "Re:"

    @property
    def any(self) -> bool:
        return bool(
            self.null_sender
            or self.daemon
            or self.program
            or self.lists
            or self.subject
            or self.delay_subject
            or self.success_subject
            or self.failed_recipients
            or self.report
            or (self.auto and self.auto != "no")
        )

    @property
    def by_person(self) -> bool:
        """A person handed it on, or answers it: what is quoted in it is not theirs."""
        return self.handed_on and not (self.null_sender or self.failed_recipients)


def look(view: View, sender: str | None) -> Signs:
    """The signs in the header of a message."""
    signs = Signs()
    fields = view.fields
    if sender is not None:
        signs.null_sender = sender.strip(" <>") == ""
    else:
        paths = fields.get(b"return-path", ())
        signs.null_sender = any(
            path.strip() in (b"<>", b"") or b"MAILER-DAEMON" in path.upper() for path in paths
        )
    author = view.header(b"from")
    signs.daemon = not author.strip(" <>") or _DAEMON.search(author[:400]) is not None
    signs.program = _PROGRAM.search(author[:400]) is not None
    signs.lists = _LIST.search(author[:400]) is not None
    subject = view.header(b"subject")
    if subject:
        rules = _SUBJECTS.rules(prepare(subject[:300]))
        signs.subject = "failure" in rules
        signs.delay_subject = "delay" in rules
        signs.success_subject = "success" in rules
        signs.complaint = "omplaint" in subject
        signs.handed_on = _HANDED_ON.match(subject) is not None
    if b"x-failed-recipients" in fields:
        signs.failed_recipients = view.header(b"x-failed-recipients")
    if b"auto-submitted" in fields:
        signs.auto = view.header(b"auto-submitted").lower()
    kind = fields.get(b"content-type")
    if kind and b"report" in kind[0].lower():
        signs.report = _report_type(kind[0])
    return signs


_REPORT_TYPE = re.compile(rb"report-type\s{0,20}=\s{0,20}\"?([A-Za-z-]{1,40})", re.IGNORECASE)


def _report_type(value: bytes) -> str:
    if not value.strip().lower().startswith(b"multipart/report"):
        return ""
    found = _REPORT_TYPE.search(value[:4_096])
    return found[1].decode("ascii").lower() if found else "?"
