"""How servers write reports that are not (only) RFC 3464: a table, a row each. A core.

A row names the server, the words by which its notices are known (any of them, lower case, in the
notice or in the named header field), where the recipients stand in it, and what to think when its
words say nothing. A server that is not here is read loosely (recipients.py); the table is for
those whose notice would be misread that way, and so that a report can say who wrote it.
Rows are about kinds of servers. `why` gives the reason where a row looks narrower than that.
Each has a sample of ours and what must be read from it in tests/bounces/samples.
"""

import re
from typing import NamedTuple

from bounce.recipients import ADDRESS
from bounce.view import View

__all__ = ["SHAPES", "Shape", "opening", "recognise", "shows"]


class Shape(NamedTuple):
    """One way of writing a report."""

    name: str
    notice: tuple[str, ...]  # any of these stands in the notice, in lower case
    header: tuple[tuple[bytes, str], ...] = ()  # or such a field holds such words, lower case
    recipients: tuple[re.Pattern[str], ...] = ()  # the first group that matches is the address
    every: bool = False  # all patterns together, not the first that finds somebody
    before: bool = False  # the reason stands before the address
    hint: bool = False  # its words stand in other mail, too
    telling: bool = False  # its notice says more than the delivery status beside it
    otherwise: str = ""  # the category if words and codes say nothing
    why: str = ""


def _lines(*patterns: str) -> tuple[re.Pattern[str], ...]:
    """Patterns at the beginning of lines; ADDRESS stands for an address."""
    return tuple(
        re.compile("^" + pattern.replace("ADDRESS", f"({ADDRESS})"), re.MULTILINE | re.IGNORECASE)
        for pattern in patterns
    )


_BRACKETS = r"[ \t]{0,8}<ADDRESS>[ \t]{0,4}:"
_INDENTED = r"[ \t]{1,8}<?ADDRESS>?:?[ \t]{0,20}$"

SHAPES: tuple[Shape, ...] = (
    Shape(
        "qmail",
        (
            "this is the qmail-send program",
            "i'm afraid i wasn't able to deliver your message",
            "i wasn't able to deliver your message to the following",
            "indimail-mta",
            "this is a permanent error; i've given up",
        ),
        recipients=_lines(_BRACKETS),
    ),
    Shape(
        "zoho",
        ("error_code :", "responsecode "),
        ((b"x-mailer", "zoho mail"),),
        _lines(r"[ \t]{0,8}<?ADDRESS>? error", r"\[Status: Error, Address: <ADDRESS>"),
    ),
    Shape(
        "exim",
        (
            "this message was created automatically by mail delivery software",
            "a message that you sent could not be delivered to",
            "a message that you sent has not yet been delivered",
            "a message that you have sent could not be delivered",
            "the following address(es) failed",
            "the following address failed",
            "one or more recipient addresses that were",
        ),
        recipients=_lines(
            _INDENTED,
            r"[ \t]{1,8}[^\n<]{1,100}<ADDRESS>:",
            r"[ \t]{0,8}[<\"]?ADDRESS[>\"]?:",
            r"[ \t]{1,8}(?:save to|pipe to|[^\s@]{1,200})[ \t]{0,4}\n"
            r"[ \t]+\(?(?:ultimately )?generated (?:by|from) ADDRESS",
            r"[ \t]{0,8}<?ADDRESS>? (?:error|rejected|failed|\()",
        ),
    ),
    Shape(
        "dovecot",
        ("was automatically rejected:",),
        recipients=_lines(r"Your message to <?ADDRESS>?"),
        telling=True,
    ),
    Shape(
        "postfix",
        (
            "this is the mail system at host",
            "this is the postfix program at host",
            "the mail system\n\n<",
            "for further assistance, please send mail to <postmaster>",
            "this is the mail delivery agent",
        ),
        recipients=_lines(_BRACKETS, r"[ \t]{0,8}<ADDRESS>[ \t]{0,4}\("),
    ),
    Shape(
        "sendmail",
        (
            "----- transcript of session follows -----",
            "----- the following addresses had",
            "the following addresses had permanent fatal errors",
            "the following addresses had transient non-fatal errors",
            "----- the following addresses have",
            "----- unsent message follows",
            "addresses had delivery errors",
            "addresses had delivery problems",
            "addresses had fatal errors",
        ),
        recipients=_lines(
            r">>> RCPT[ \t]TO:[ \t]{0,4}<?ADDRESS>?",
            r"(?:\d{3}[ -](?:[245]\.\d\.\d{1,3} )?)<ADDRESS>\.\.\.",
            r"(?:\d{3}[ -](?:[245]\.\d\.\d{1,3} )?)ADDRESS\.\.\.",
            r"[ \t]{0,8}(?:>>>[ \t]{0,4})?<ADDRESS>",
            r"[ \t]{0,8}(?:>>>[ \t]{0,4})?ADDRESS[ \t]{0,8}(?:$|\[|\(|<|\.\.\.)",
            r"\[Status: Error, Address: <ADDRESS>",
        ),
        every=True,
    ),
    Shape(
        "exchange",
        (
            "did not reach the following recipient(s)",
            "did not reach the following recipients",
            "msexch:",
            "diagnostic information for administrators",
            "generating server:",
            "your message did not reach some or all of the intended recipients",
            "the following recipient(s) could not be reached",
            "informations de diagnostic pour les administrateurs",
            "diagnoseinformationen für administratoren",
            "informazioni di diagnostica per gli amministratori",
            "información de diagnóstico para administradores",
            "管理者向けの診断情報",
        ),
        ((b"x-mailer", "internet mail service"), (b"x-ms-exchange-message-is-ndr", "")),
        _lines(
            r"[ \t]{0,12}'?ADDRESS'? (?:on|am|le|el|il) ",
            r"[ \t]{0,8}<?ADDRESS>?[ \t]{0,8}\n[ \t]{0,8}"
            r"(?:remote server returned|#?<?[^\n]{0,80}#?[245]\d\d[ -]|#<)",
            r"[ \t]{0,8}<?ADDRESS>?[ \t]{0,8}$",
        ),
    ),
    Shape(
        "notes",
        (
            "not listed in domino directory",
            "not listed in public name & address book",
            "------- failure reasons",
            "was not delivered to:",
            "router: unable to",
        ),
        ((b"x-mailer", "lotus"), (b"x-mimetrack", "")),
        _lines(r"[ \t]{0,8}ADDRESS[ \t]{0,8}$", r"[^\n@]{0,120}\(ADDRESS\)"),
    ),
    Shape(
        "gmail",
        (
            "delivery to the following recipient failed permanently",
            "delivery to the following recipients failed permanently",
            "delivery to the following recipient has been delayed",
            "technical details of permanent failure",
            "technical details of temporary failure",
            "your message wasn't delivered to",
            "google tried to deliver your message",
        ),
        ((b"from", "mail delivery subsystem <mailer-daemon@google"),),
        _lines(
            r"[ \t]{2,12}\*?[ \t]{0,4}ADDRESS[ \t]{0,8}$",
            r"Your message wasn't delivered to ADDRESS",
        ),
    ),
    Shape(
        "google_groups",
        ("google groups", "google グループ", "googlegroups"),
        hint=True,
        otherwise="policy_block",
        why="the notice names no address but in X-Failed-Recipients, in every language",
    ),
    Shape(
        "yahoo",
        (
            "sorry, we were unable to deliver your message to the following address",
            "unable to deliver message to the following address(es)",
        ),
        ((b"x-yahoofilteredbulk", ""),),
        _lines(_BRACKETS, r"[ \t]{0,8}<ADDRESS>"),
    ),
    Shape(
        "opensmtpd",
        ("this is the mailer-daemon, please do not reply to this e",),
        recipients=_lines(r"[ \t]{0,8}<?ADDRESS>?:"),
    ),
    Shape(
        "dragonfly",
        ("this is the dragonfly mail agent",),
        recipients=_lines(r"There was an error delivering your mail to <?ADDRESS>?"),
    ),
    Shape(
        "courier",
        (
            "this is a delivery status notification from",
            "your message can't be delivered to the following",
        ),
        recipients=_lines(_BRACKETS, r"[ \t]{0,8}<ADDRESS>"),
    ),
    Shape(
        "groupwise",
        ("the message that you sent was undeliverable to the following",),
        ((b"x-mailer", "groupwise"),),
        _lines(r"[ \t]{1,12}[^\s@()]{0,60}?ADDRESS[ \t]{0,8}\("),
    ),
    Shape(
        "james",
        ("error message below:", "this message bounced because"),
        recipients=_lines(r"[ \t]{0,8}RCPT TO: ?<?ADDRESS>?", r"[ \t]{0,8}<?ADDRESS>?[ \t]{0,8}$"),
    ),
    Shape(
        "imail",
        (
            "unknown user:",
            "user mailbox exceeds allowed size:",
            "undeliverable to ",
            "body of message generated response",
        ),
        ((b"x-mailer", "<smtp32"),),
        _lines(
            r"(?:unknown user|invalid final delivery userid|user mailbox exceeds allowed size"
            r"|unknown host|delivery failed \d+ attempts|error reading|undeliverable to"
            r"|unlimited size|bad address)[^\n@<]{0,60}?:? ?<?ADDRESS>?",
        ),
        before=True,
    ),
    Shape(
        "messaging_server",
        (
            "this report relates to a message you sent with the following header fields",
            "your message cannot be delivered to the following recipients",
        ),
        recipients=_lines(
            r"[ \t]{0,8}Recipient address: ADDRESS", r"[ \t]{0,8}Original address: ADDRESS"
        ),
    ),
    Shape(
        "mailmarshal",
        ("could not be delivered because of", "the following recipients were affected"),
        recipients=_lines(r"[ \t]{1,8}ADDRESS[ \t]{0,8}$"),
        before=True,
    ),
    Shape(
        "surfcontrol",
        ("a transcript of the attempts to send the message", "the number of attempts made:"),
        recipients=_lines(r"[ \t]{0,8}Addressed To:[ \t]{0,8}<?ADDRESS>?"),
    ),
    Shape(
        "interscan",
        ("message from interscan", "interscan messaging security", "interscan notification"),
        ((b"from", "interscan"),),
        _lines(
            r"[^\n@]{0,80}?unable to deliver message to <?ADDRESS>?",
            r"[^\n@]{0,60}?sent <<< RCPT TO:<?ADDRESS>?",
        ),
        otherwise="invalid_address",
        why="its notice says only that the address should be checked",
    ),
    Shape(
        "mfilter",
        ("-------server message", "-------original message"),
        ((b"x-mailer", "m-filter"),),
        _lines(r"[ \t]{0,8}<?ADDRESS>?[ \t]{0,8}$", r"[^\n@]{0,60}<ADDRESS>"),
    ),
    Shape(
        "mailfoundry",
        (
            "this has been a permanent failure.  no further delivery attempts will be made",
            "delivery failed for the following reason:",
        ),
        recipients=_lines(r"Unable to deliver message to: ?<?ADDRESS>?"),
    ),
    Shape(
        "netscape",
        (
            "this message was undeliverable due to the following reason",
            "the following recipients did not receive your message",
            "the following recipients did not receive this message",
        ),
        recipients=_lines(r"[ \t]{0,12}<ADDRESS>", r"[ \t]{1,12}ADDRESS[ \t]{0,8}$"),
    ),
    Shape(
        "mobile_carrier",
        (
            "could not be delivered to mobile",
            "no valid recipients for this mm",
            "each of the following recipients was rejected by a remote",
            "as their mailbox is full",
            "次のあて先へのメッセージはエラーのため送信できませんでした",
            "送信先メールアドレスが見つからないか",
        ),
        recipients=_lines(
            r"[ \t]{0,12}Recipient: ?<ADDRESS>",
            r"[ \t]{0,12}<ADDRESS>",
            r"[ \t]{0,12}Could not be delivered to: ?<ADDRESS>",
            r"[ \t]{0,12}>>> RCPT TO:<ADDRESS>",
            r"To: ?<?ADDRESS>?",
        ),
    ),
    Shape(
        "list_loop",
        ("duplicated message-id in", "loop alert", "mail loop detected"),
        hint=True,
        recipients=_lines(r"[^\n<]{0,80}<ADDRESS>"),
        otherwise="server_unavailable",
        why="mailing lists that refuse a message they have seen (fml and its like)",
    ),
    Shape(
        "list_member",
        (
            "you are not a member of",
            "you are not member",
            "posting is not allowed",
            "only members are allowed to post",
            "not allowed to post",
            "you are not authorized to send mail to the",
            "restricted to list subscribers",
            "restricted to subscribers",
        ),
        hint=True,
        recipients=_lines(
            r"[^\n<]{0,120}(?:list|ml)\b[^\n<]{0,60}<ADDRESS>",
            r"[^\n@]{0,120}your message to ADDRESS",
        ),
        otherwise="policy_block",
        why="mailing lists that refuse who is no member",
    ),
)


def recognise(view: View, text: str) -> Shape | None:
    """Whose notice this is; None if no row knows it. The notice goes before the header."""
    lower = _lower(text)
    for shape in SHAPES:
        for sign in shape.notice:
            if sign in lower:
                return shape
    for shape in SHAPES:
        for name, words in shape.header:
            if name in view.fields and words in view.header(name).lower():
                return shape
    return None


def shows(shape: Shape, text: str, lists: bool) -> bool:
    """Whether the words of a notice alone show its shape: a mailer's name in the header of a mail
    does not make it a report, nor do words of a list (`hint`) that no list has sent."""
    if shape.hint and not lists:
        return False
    lower = _lower(text)
    return any(sign in lower for sign in shape.notice)


def opening(shape: Shape, text: str) -> str:
    """What stands in a notice above the line that shows its shape."""
    lower = _lower(text)
    at = min((lower.find(sign) for sign in shape.notice if sign in lower), default=len(lower))
    return text[: text.rfind("\n", 0, at) + 1]


def _lower(text: str) -> str:
    return text.lower().replace("\u2019", "'")
