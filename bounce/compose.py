"""Our own reports to senders of queued mail: whom to tell what, and the message (core).

RFC 3464 in a multipart/report (RFC 6522), RFC 6533's types where the sender's address is not ASCII.
Plain text, English and Japanese in one part, that language first which the message was written in.
`wanted` decides by NOTIFY (RFC 3461 section 4.1), `compose` writes.

Promises
- Nothing that strangers wrote becomes a header or a line of the report: words of servers are made
  printable, one line, and cut.
- 7-bit unless the returned message is asked for in full and is not (then `eightbit`).
- Who has no return path is never told anything: `wanted` is for mail that has one (RFC 5321
  section 4.5.5); the report itself has none, so it is never answered by one.
Limits: RET=FULL returns at most MAX_FULL octets, else the header, at most MAX_HEADER.
"""

import base64
import quopri
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal

from bounce.sayings import saying
from crmstore.words import decode_words

__all__ = [
    "MAX_FULL",
    "MAX_HEADER",
    "Composed",
    "Original",
    "Told",
    "compose",
    "header_of",
    "is_ours",
    "wanted",
]

MAX_FULL: Final = 256 << 10
MAX_HEADER: Final = 32 << 10
MAX_WORDS: Final = 800
_ENHANCED: Final = re.compile(r"\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b")
_IDENT: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_KANA: Final = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_FIELD: Final = r"(?im)^%s:[ \t]*((?:.*(?:\r?\n[ \t].*)*))"

Action = Literal["failed", "delayed", "relayed"]


@dataclass(frozen=True, slots=True)
class Told:
    """One recipient, and what is said of it. `reply`: the remote's words to the letter, with the
    code in front; "" if nobody said anything. `at`: when; seconds since 1970, as everywhere."""

    address: str
    action: Action
    reply: str
    category: str
    remote: str
    params: Sequence[str]
    at: float
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Original:
    """The message that the report is about. `content`: all of it, or only its header."""

    capture_id: str
    sender: str
    params: Sequence[str]
    created: float
    expires: float
    content: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Composed:
    """The report, to be sent from the null return path to the original's sender."""

    content: bytes
    params: tuple[str, ...]


def wanted(
    state: str, params: Sequence[str], told: str, *, passed_on: bool, late: bool
) -> Action | Literal["", "none"]:
    """What the sender is to be told of a recipient now: "none" = nothing, ever; "" = nothing yet.

    `state`: of the queue's recipient. `told`: what was said already. `passed_on`: the server that
    took it answers for the report. `late`: the message waits for longer than senders expect.
    """
    if told not in ("", "delayed"):
        return ""
    notify = _notify(params)
    if state in ("failed", "expired"):
        return "failed" if notify is None or "FAILURE" in notify else "none"
    if state == "delivered":
        return "relayed" if notify and "SUCCESS" in notify and not passed_on else "none"
    asked = notify is None or "DELAY" in notify
    return "delayed" if late and told == "" and asked else ""


def header_of(content: bytes) -> bytes:
    """The header of a message, cut at a line's end if it is longer than MAX_HEADER."""
    ends = [at for at in (content.find(b"\r\n\r\n"), content.find(b"\n\n")) if at >= 0]
    header = content[: min(ends)] if ends else content
    if len(header) > MAX_HEADER:
        header = header[: header.rfind(b"\n", 0, MAX_HEADER) + 1]
    return header.rstrip(b"\r\n") + b"\r\n"


def is_ours(message_id: str, hostname: str) -> bool:
    """Is that the Message-ID of a report that `compose` wrote here? The host proves nothing: a
    mail server behind us on the same machine has the same name, and writes reports of its own."""
    ident, _, rest = "".join(message_id.split()).strip("<>").partition(".")
    return _IDENT.fullmatch(ident) is not None and rest.lower() == f"report@{hostname.lower()}"


def compose(
    original: Original, told: Sequence[Told], *, ident: str, hostname: str, now: float
) -> Composed:
    """The report about these recipients. `ident`: its own capture id, never seen before."""
    utf8 = not original.sender.isascii()
    header = header_of(original.content)
    full = _param(original.params, "RET").upper() == "FULL" and original.whole
    full = full and len(original.content) <= MAX_FULL
    japanese = _japanese(header)
    parts = [
        _human(original, told, header, japanese, hostname),
        _status(original, told, hostname, utf8),
    ]
    parts.append(_returned(original.content if full else header, full, utf8))
    boundary = f"=_report_{ident}"
    delayed = all(one.action == "delayed" for one in told)
    head = [
        f"Date: {format_datetime(datetime.fromtimestamp(now, UTC))}",
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{original.sender}>",
        f"Subject: {_encoded(_subject(told, delayed, _decoded(header, 'subject'), japanese))}",
        f"Message-ID: <{ident}.report@{hostname}>",
        *_thread(header),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    edge = f"--{boundary}\r\n".encode()
    body = b"".join(edge + part for part in parts) + f"--{boundary}--\r\n".encode()
    content = "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + body
    params = [] if content.isascii() else ["BODY=8BITMIME"]
    return Composed(content, tuple([*params, "SMTPUTF8"] if utf8 else params))


# The three parts


def _human(
    original: Original, told: Sequence[Told], header: bytes, japanese: bool, hostname: str
) -> bytes:
    texts = [_told_in("en", original, told, header), _told_in("ja", original, told, header)]
    text = "\n\n--\n\n".join(reversed(texts) if japanese else texts)
    text += f"\n\n{hostname} (Mailweir), {original.capture_id}\n"
    encoded = base64.encodebytes(text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded + b"\r\n"
    )  # fmt: skip


_FIRST: Final = {
    "en": {
        "failed": "Your message could not be delivered to:",
        "delayed": "Your message could not be delivered yet. It will be tried again until {until};"
        " you need not do anything. It waits for:",
        "relayed": "Your message was handed on to a server that sends no reports of its own, for:",
    },
    "ja": {
        "failed": "次の宛先にメールを届けられませんでした。",
        "delayed": "次の宛先にまだメールを届けられていません。{until} まで再送を続けます。"
        "操作は不要です。",
        "relayed": "次の宛先へのメールを、配送通知を返さないサーバーに引き渡しました。",
    },
}
_ABOUT: Final = {
    "en": "Subject: {subject}\nSent: {date}",
    "ja": "件名: {subject}\n送信日時: {date}",
}


def _told_in(
    lang: Literal["en", "ja"], original: Original, told: Sequence[Told], header: bytes
) -> str:
    until = datetime.fromtimestamp(original.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sent = datetime.fromtimestamp(original.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = _ABOUT[lang].format(subject=_decoded(header, "subject") or "-", date=sent)
    blocks = [about]
    for action in ("failed", "delayed", "relayed"):
        lines: list[str] = []
        for one in told:
            if one.action == action:
                lines.append(f"  <{one.address}>")
                if action != "relayed":
                    lines.append(f"    {saying(one.category, lang)}")
                if one.reply:
                    lines.append(f"    {one.remote or 'SMTP'}: {_line(one.reply)}")
        if lines:
            blocks.append("\n".join([_FIRST[lang][action].format(until=until), "", *lines]))
    return "\n\n".join(blocks)


def _status(original: Original, told: Sequence[Told], hostname: str, utf8: bool) -> bytes:
    """RFC 3464 section 2; RFC 6533 section 3 for addresses beyond ASCII."""
    envid = _param(original.params, "ENVID")
    groups = [
        [f"Original-Envelope-Id: {_unxtext(envid)}"] if envid else [],
    ]
    groups[0] += [f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {_date(original.created)}"]
    for one in told:
        group = []
        orcpt = _param(one.params, "ORCPT")
        if orcpt:
            kind, _, address = orcpt.partition(";")
            group.append(f"Original-Recipient: {_ascii(kind)};{_address(_unxtext(address), utf8)}")
        kind = "rfc822" if one.address.isascii() else "utf-8"
        group.append(f"Final-Recipient: {kind};{_address(one.address, utf8)}")
        group.append(f"Action: {one.action}")
        group.append(f"Status: {_status_code(one)}")
        if one.remote:
            group.append(f"Remote-MTA: dns; {_ascii(one.remote)[:255]}")
        if one.reply:
            group.append(f"Diagnostic-Code: smtp; {_ascii(_line(one.reply))}")
            group.append(f"Last-Attempt-Date: {_date(one.at)}")
        if one.action == "delayed":
            group.append(f"Will-Retry-Until: {_date(original.expires)}")
        groups.append(group)
    text = "\r\n".join("".join(f"{line}\r\n" for line in group) for group in groups)
    if utf8:
        head = "message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit"
    else:
        head = "message/delivery-status"
    return f"Content-Type: {head}\r\n\r\n{text}\r\n".encode()


def _returned(content: bytes, full: bool, utf8: bool) -> bytes:
    plain = content.isascii()
    header_plain = header_of(content).isascii() if full else plain
    if full:
        kind = "message/rfc822" if header_plain else "message/global"
        encoding = "" if plain else "Content-Transfer-Encoding: 8bit\r\n"
    elif plain:
        kind, encoding = "text/rfc822-headers", ""
    elif utf8:
        kind, encoding = "message/global-headers", "Content-Transfer-Encoding: 8bit\r\n"
    else:
        kind = "text/rfc822-headers; charset=utf-8"
        encoding = "Content-Transfer-Encoding: quoted-printable\r\n"
        content = quopri.encodestring(content.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    ends = b"" if content.endswith(b"\r\n") else b"\r\n"
    return f"Content-Type: {kind}\r\n{encoding}\r\n".encode() + content + ends


# Small things


def _notify(params: Sequence[str]) -> set[str] | None:
    """NOTIFY, or None where the client said nothing."""
    value = _param(params, "NOTIFY")
    return set(value.upper().split(",")) if value else None


def _param(params: Sequence[str], name: str) -> str:
    for param in params:
        keyword, _, value = param.partition("=")
        if keyword.upper() == name:
            return value
    return ""


def _status_code(one: Told) -> str:
    if one.action == "relayed":
        return "2.0.0"
    found = _ENHANCED.match(one.reply)
    code = found[1] if found else ""
    if one.expired:
        return code if code.startswith("4.") else "4.4.7"
    first = "4" if one.action == "delayed" else "5"
    return code if code.startswith(first) else f"{first}.0.0"


def _subject(told: Sequence[Told], delayed: bool, about: str, japanese: bool) -> str:
    if delayed:
        words = ("Not delivered yet", "配送遅延")
    elif all(one.action == "relayed" for one in told):
        words = ("Relayed", "中継済み")
    else:
        words = ("Not delivered", "配送できませんでした")
    first, second = reversed(words) if japanese else words
    return f"{first} / {second}: {about}"[:300]


def _thread(header: bytes) -> list[str]:
    """The report stands under the message in mail programs."""
    found = _raw(header, "message-id").strip()
    good = re.fullmatch(r"<[!-;=?-~]{3,240}>", found)
    return [f"In-Reply-To: {found}", f"References: {found}"] if good else []


def _raw(header: bytes, name: str) -> str:
    found = re.search(_FIELD % re.escape(name), header.decode("utf-8", "replace"))
    return " ".join(found[1].split()) if found else ""


def _decoded(header: bytes, name: str) -> str:
    return _line(decode_words(_raw(header, name)[:4_000]))[:200]


def _japanese(header: bytes) -> bool:
    """Was it written in Japanese, by its subject and its sender's name?"""
    return bool(_KANA.search(_decoded(header, "subject") + _decoded(header, "from")))


def _encoded(text: str) -> str:
    """A header's text: encoded words of at most 75 characters (RFC 2047 section 2)."""
    if text.isascii():
        return text
    words: list[str] = []
    piece = ""
    for character in text:
        if len((piece + character).encode()) > 42:
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    coded = [base64.b64encode(word.encode()).decode("ascii") for word in words]
    return "\r\n ".join(f"=?utf-8?B?{word}?=" for word in coded)


def _line(text: str) -> str:
    """Printable, one line, cut."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:MAX_WORDS]


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _address(address: str, utf8: bool) -> str:
    """As it is, or in the 7-bit form of RFC 6533 section 3 (utf-8-addr-xtext)."""
    if utf8:
        return _line(address)
    return "".join(c if "!" <= c <= "~" else f"\\x{{{ord(c):X}}}" for c in _line(address))


def _unxtext(text: str) -> str:
    """RFC 3461 section 4: "+2B" is "+"; what is no character of a line stays encoded."""

    def plain(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if "!" <= character <= "~" else found[0]

    return _ascii(re.sub(r"\+([0-9A-F]{2})", plain, text))


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
