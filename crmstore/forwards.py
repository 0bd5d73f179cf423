"""Who wrote a mail that was forwarded as text, in the forms that mail programs give it. A core.

Gmail, Outlook, Thunderbird and Apple Mail write some lines of the forwarded header over its text,
in the language of the program, perhaps quoted: a line with the writer, and next to it lines for
date, subject and addressees. That is all it takes; the lines above ("Forwarded message") differ too
much.
Promises: never raises; linear; looks at the first `MAX_LINES` lines only, and finds one writer.
Limits: everybody can write such lines. whose.py says when they count.
Cites: beyond.md 23; docs/decisions/0082.
"""

import re

from crmstore import addresses

__all__ = ["writer"]

MAX_LINES = 400
MAX_LINE = 500
NEAR = 6  # lines on either side of the writer's that may hold the others

_LINE = re.compile(r"[\s>|]{0,20}\*?([^\W\d_](?:[^\W\d_]| ){0,20})\*?[ \t]{0,3}[:：]\*?[ \t]*(.*)")
_FROM = frozenset(
    "from von de da van från fra lähettäjä od kimden 差出人 送信者 发件人 寄件者 보낸사람".split()
)
_OTHERS = frozenset(
    "date sent subject to cc datum gesendet betreff an objet envoyé à asunto enviado para fecha"
    " oggetto inviato data verzonden onderwerp aan assunto ämne till emne til aihe temat"
    " do konu kime tarih 日付 日時 送信日時 件名 宛先 发送时间 日期 收件人 主题 寄件日期 收件者"
    " 主旨 받는사람 제목 날짜".split()
)


def writer(text: str) -> tuple[str, str] | None:
    """(name, address) of the first such writer in a mail's text; None if there is none."""
    found = [_field(line) for line in text.split("\n", MAX_LINES)[:MAX_LINES]]
    for number, (label, value) in enumerate(found):
        if label not in _FROM or "@" not in value:
            continue
        near = {other for other, _ in found[max(0, number - NEAR) : number + NEAR + 1]}
        if len(near & _OTHERS) < 2:
            continue
        people = addresses.read(_plain(value), 1)
        if people:
            return people[0]
    return None


def _field(line: str) -> tuple[str, str]:
    """The folded label of a line like "From: x", and what stands behind it; ("", "") for others."""
    match = _LINE.match(line[:MAX_LINE])
    return ("".join(match[1].casefold().split()), match[2]) if match else ("", "")


def _plain(value: str) -> str:
    """Without the marks that programs put around an address in text."""
    return re.sub(r"\[mailto:([^\]]*)\]|<mailto:([^>]*)>", r"<\1\2>", value).replace("*", " ")
