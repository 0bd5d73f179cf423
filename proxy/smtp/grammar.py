"""The grammar of SMTP commands, read strictly and kept to the letter (core).

`parse_mail` and `parse_rcpt` read the argument of MAIL and RCPT: the path and the parameters.
What is understood is handed on octet for octet; what is not is refused here, because the server
behind us may read it in another way, and then mail goes to another mailbox than we recorded
(design page threats.md, rows 15 and 16).

Looser than RFC 5321 section 4.1.2 in three places, each for everyday mail: dots anywhere in a
local part (`a..b.@docomo.ne.jp`, old Japanese carrier addresses), an underscore in a domain, and
local parts over 64 octets (signed return paths). A space after the colon is let through too.
Stricter in one: source routes (appendix C) are refused.

Limits: a path of 512 octets, a domain of 255, 8 parameters of 1,000 octets in all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from proxy.smtp.replies import Reply

# Beyond ASCII (RFC 6531): everything but C1 controls and what some reader takes for a space or for
# the end of a line. No address has them, and we must not see one word where another sees two.
_UTF8: Final = (
    r"\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e"
    r"\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATEXT: Final = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.\-{_UTF8}]+"
_QUOTED: Final = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
_LABEL: Final = rf"[A-Za-z0-9_{_UTF8}](?:[A-Za-z0-9_\-{_UTF8}]{{0,61}}[A-Za-z0-9_{_UTF8}])?"
_DOMAIN: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL: Final = r"\[(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[Ii][Pp][Vv]6:[0-9A-Fa-f:.]{2,45})\]"
_MAILBOX: Final = re.compile(
    rf"(?P<local>{_ATEXT}|{_QUOTED})@(?P<domain>{_DOMAIN}|{_LITERAL})\Z", re.ASCII
)
_ARGUMENT: Final = re.compile(
    r"(?P<word>[A-Za-z]+):[ ]?<(?P<path>(?:[^<>\"\x00-\x20\x7f]|\"(?:[^\"\\]|\\.)*\")*)>"
    r"(?P<params>(?: +[^ ]+)*) *\Z",
    re.DOTALL,
)
_PARAM: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9\-]*(?:=[\x21-\x3c\x3e-\x7e{_UTF8}]+)?\Z")
_XTEXT: Final = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*\Z")
_NOTIFY: Final = re.compile(r"(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*)\Z")
_ROUTED: Final = re.compile("[%!@]")


class Refused(Exception):
    """A command that is refused; `reply` is what the client is told."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply.of(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address to the letter. `text` is "" for the null path; `domain` is lower case."""

    text: str
    local: str
    domain: str


NULL_PATH: Final = Mailbox("", "", "")


@dataclass(frozen=True, slots=True)
class PathArgument:
    """What stands after MAIL or RCPT: the mailbox and the parameters, to the letter."""

    mailbox: Mailbox
    params: tuple[str, ...]

    def param(self, keyword: str) -> str | None:
        """The value of a parameter ("" when it has none), or None when it is absent."""
        for param in self.params:
            name, _, value = param.partition("=")
            if name.upper() == keyword:
                return value
        return None


def decode_line(line: bytes) -> str:
    """A command line as text; refuses control characters and what is not UTF-8 (RFC 6531)."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(500, "5.5.2", "Bad UTF-8 in the command") from None
    if not text.isprintable() and _CONTROL.search(text):
        raise Refused(500, "5.5.2", "Control characters are not allowed in commands")
    return text


@lru_cache(maxsize=4096)
def parse_mailbox(text: str) -> Mailbox:
    """Read `local@domain`. Raises Refused (501, 550). The addresses of late are remembered."""
    if text.startswith("@"):
        raise Refused(550, "5.7.1", "Source routes are not accepted")
    if len(text.encode("utf-8", "surrogatepass")) > 512:
        raise Refused(501, "5.1.3", "Address too long")
    found = _MAILBOX.match(text)
    if found is None:
        raise Refused(501, "5.1.3", "Bad address syntax")
    domain = found["domain"]
    if len(domain.encode()) > 255:
        raise Refused(501, "5.1.3", "Domain too long")
    return Mailbox(text, found["local"], domain.lower())


def _parse(argument: str, word: str, keywords: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    found = _ARGUMENT.match(argument)
    if found is None or found["word"].upper() != word:
        raise Refused(501, "5.5.4", f"Syntax: {word}:<address> and parameters")
    if not found["params"]:
        return found["path"], ()
    # By the space alone: `split()` would also cut where the wire has no space.
    params = tuple(word for word in found["params"].split(" ") if word)
    if len(params) > 8 or len(found["params"]) > 1000:
        raise Refused(555, "5.5.4", "Too many parameters")
    seen = set()
    for param in params:
        keyword = param.partition("=")[0].upper()
        if not _PARAM.match(param):
            raise Refused(501, "5.5.4", "Bad parameter syntax")
        if keyword not in keywords:
            raise Refused(555, "5.5.4", "Unsupported parameter")
        if keyword in seen:
            raise Refused(501, "5.5.4", "A parameter came twice")
        seen.add(keyword)
    return found["path"], params


_MAIL: Final = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
_RCPT: Final = frozenset({"NOTIFY", "ORCPT"})


def parse_mail(argument: str) -> PathArgument:
    """Read the argument of MAIL (RFC 5321 section 4.1.1.2, RFC 1870, 6152, 6531, 3461, 4954)."""
    path, params = _parse(argument, "FROM", _MAIL)
    mail = PathArgument(parse_mailbox(path) if path else NULL_PATH, params)
    for param in params:
        keyword, _, value = param.partition("=")
        match keyword.upper():
            case "SIZE":
                good = value.isascii() and value.isdigit() and len(value) <= 20
            case "BODY":
                good = value.upper() in ("7BIT", "8BITMIME")
            case "SMTPUTF8":
                good = param.upper() == "SMTPUTF8"
            case "RET":
                good = value.upper() in ("FULL", "HDRS")
            case "ENVID":
                good = 0 < len(value) <= 100 and _XTEXT.match(value) is not None
            case _:
                good = value == "<>" or (value != "" and _XTEXT.match(value) is not None)
        if not good:
            raise Refused(501, "5.5.4", f"Bad value of {keyword.upper()}")
    if not path.isascii() and mail.param("SMTPUTF8") is None:
        raise Refused(553, "5.6.7", "This address needs SMTPUTF8")
    return mail


def parse_rcpt(argument: str, smtputf8: bool = False) -> PathArgument:
    """Read the argument of RCPT (RFC 5321 section 4.1.1.3, RFC 3461 section 4)."""
    path, params = _parse(argument, "TO", _RCPT)
    if path.lower() == "postmaster":
        # RFC 5321 section 4.5.1: the one address that needs no domain.
        mailbox = Mailbox(path, path, "")
    elif not path:
        raise Refused(501, "5.1.3", "A recipient is needed")
    else:
        mailbox = parse_mailbox(path)
    if not path.isascii() and not smtputf8:
        raise Refused(553, "5.6.7", "This address needs SMTPUTF8")
    for param in params:
        keyword, _, value = param.partition("=")
        if keyword.upper() == "NOTIFY":
            good = _NOTIFY.match(value.upper()) is not None
        else:
            kind, semicolon, address = value.partition(";")
            good = bool(kind) and bool(semicolon) and 0 < len(address) <= 500
        if not good:
            raise Refused(501, "5.5.4", f"Bad value of {keyword.upper()}")
    return PathArgument(mailbox, params)


def hides_a_route(mailbox: Mailbox) -> bool:
    """True for `b%y@us`, `y!b@us` and `"b@y"@us`: addresses that old servers relay onward."""
    local = mailbox.local
    return _ROUTED.search(local) is not None or (local.startswith('"') and "\\" in local)


def parse_helo(argument: str) -> str:
    """The name that a client gives itself: one word of 1 to 255 printable octets."""
    name = argument.strip()
    if not name or len(name) > 255 or " " in name or not name.isprintable():
        raise Refused(501, "5.5.4", "Syntax: EHLO hostname")
    return name
