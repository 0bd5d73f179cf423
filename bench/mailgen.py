"""Mail as a company's CRM sees it, made by rule: number N is always the same message.

Sizes are log-normal with a median of about 20 KB: text, and beside it the same words in the HTML
of an office program, which is mostly markup. A tenth has an attachment, four in
ten are Japanese (ISO-2022-JP, as Outlook and phones send it, or UTF-8), as many answer an earlier
one. Words are random, so text packs about three to one; attachments hold noise and do not pack, as
pictures and archives in life. Nothing here is anybody's mail.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from email.header import Header

MEDIAN = 20_000
SPREAD = 0.6  # of the logarithm of the size
ATTACHED = 0.1
ATTACHMENT = (10_000, 60_000)  # octets before base64
JAPANESE = 0.4
DOMAIN = "ours.example"
USERS = 50
PARAGRAPHS = 400

_STYLE = "mso-style-priority:99;margin:0cm;margin-bottom:.0001pt;font-size:11.0pt;line-height:107%"
_FONT = "font-family:&quot;Calibri&quot;,sans-serif;mso-fareast-font-family:&quot;MS Gothic&quot;"


@dataclass(frozen=True)
class Mail:
    """A message and its envelope; one of the two is ours."""

    sender: str
    recipients: tuple[str, ...]
    body: bytes
    sent: bool  # by us


def outsider(number: int) -> str:
    """The address of record `number`."""
    return f"person{number}@company{number % 5_000}.example"


def user(number: int) -> str:
    return f"user{number % USERS}@{DOMAIN}"


def pick(chance: random.Random, people: int) -> int:
    """A fifth of all mail is with a hundredth of the people, a hundredth with a single one (of a
    million)."""
    return int(people * chance.random() ** 3)


class Writer:
    """Writes mail between our users and `people` outsiders."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self.people = people
        self.seed = seed
        chance = random.Random(seed)
        words = [
            "".join(chance.choices("etaoinshrdlucmfwypvbgk", k=2 + n % 9)) for n in range(3_000)
        ]
        signs = [c for c in map(chr, range(0x4E00, 0x9FA0)) if _in_jis(c)]
        kana = [chr(0x3042 + n) for n in range(80)]
        self._latin = [" ".join(chance.choices(words, k=16)) + "." for _ in range(PARAGRAPHS)]
        self._japanese = [
            "".join(chance.choices(signs[:2_000], k=15) + chance.choices(kana, k=30)) + "。"
            for _ in range(PARAGRAPHS)
        ]
        self._noise = chance.randbytes(1 << 20)

    def mail(self, number: int) -> Mail:
        chance = random.Random(self.seed * 1_000_003 + number)
        outside, ours = outsider(pick(chance, self.people)), user(chance.randrange(USERS))
        sent = chance.random() < 0.5
        writer, reader = (ours, outside) if sent else (outside, ours)
        also = [
            outsider(chance.randrange(self.people)) for _ in range(chance.choice((0, 0, 0, 1, 3)))
        ]
        japanese = chance.random() < JAPANESE
        size = int(MEDIAN * 2.718281828 ** chance.gauss(0.0, SPREAD))
        charset = chance.choice(("iso-2022-jp", "utf-8")) if japanese else "utf-8"
        words = self._japanese if japanese else self._latin
        signature = _b64(self._part(chance, 192), "")
        answer = number > 40 and chance.random() < 0.4
        subject = f"{words[number % PARAGRAPHS][:30]} {number}"
        lines = [
            f"From: {_name(words[0], charset)} <{writer}>",
            f"To: {_name(words[1], charset)} <{reader}>",
            *([f"Cc: {', '.join(also)}"] if also else []),
            f"Subject: {Header(subject, charset).encode(linesep=chr(13) + chr(10))}",
            f"Message-ID: {self._id(number)}",
            *([f"References: {self._id(number - 40)} {self._id(number - 20)}"] if answer else []),
            "Date: Sun, 22 Nov 2026 10:00:00 +0900",
            *(f"Received: from h{n}.example (h{n}.example [192.0.2.{n}]) by relay{n}.example"
              f" with ESMTPS id {number}{n}; Sun, 22 Nov 2026 10:00:0{n} +0900" for n in range(4)),
            f"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; b={signature}",
            "MIME-Version: 1.0",
        ]  # fmt: skip
        body = self._alternative(chance, words, charset, size)
        if chance.random() < ATTACHED:
            body = self._mixed(chance, body, words, number)
        text = "\r\n".join(lines) + "\r\n"
        return Mail(writer, (reader, *also), text.encode("ascii") + body, sent)

    def _id(self, number: int) -> str:
        return f"<{number}.{self.seed}@mail.example>"

    def _alternative(
        self, chance: random.Random, words: list[str], charset: str, size: int
    ) -> bytes:
        """Text and HTML of the same words, about `size` octets together."""
        inks = [f"{chance.getrandbits(24):06x}" for _ in range(4)]
        each = len(words[0].encode(charset)) * 2 + len(_paragraph("", inks[0]))
        chosen = chance.choices(words, k=max(1, size // each))
        plain = "\r\n\r\n".join(chosen)
        shown = "\r\n".join(_paragraph(p, inks[n % 4]) for n, p in enumerate(chosen))
        rich = f"<html><body lang=EN-US link=blue vlink=purple>{shown}</body></html>"
        if charset == "utf-8" and words is self._japanese:
            parts = [_part("plain", charset, "base64", _b64(plain.encode()).encode()),
                     _part("html", charset, "base64", _b64(rich.encode()).encode())]  # fmt: skip
        else:
            parts = [_part("plain", charset, "7bit", plain.encode(charset)),
                     _part("html", charset, "7bit", rich.encode(charset))]  # fmt: skip
        return _multipart("alternative", "a", parts)

    def _mixed(self, chance: random.Random, body: bytes, words: list[str], number: int) -> bytes:
        name = Header(words[number % PARAGRAPHS][:8] + ".pdf", "utf-8").encode()
        head = (
            f'Content-Type: application/pdf; name="{name}"\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        )
        noise = self._part(chance, chance.randint(*ATTACHMENT))
        return _multipart("mixed", "m", [body, head.encode() + _b64(noise).encode()])

    def _part(self, chance: random.Random, size: int) -> bytes:
        at = chance.randrange(len(self._noise) - size)
        return self._noise[at : at + size]


def _in_jis(character: str) -> bool:
    try:
        return bool(character.encode("iso2022_jp"))
    except UnicodeEncodeError:
        return False


def _name(words: str, charset: str) -> str:
    return Header(words[:6], charset).encode()


def _b64(data: bytes, end: str = "\r\n") -> str:
    return base64.encodebytes(data).decode().replace("\n", end)


def _paragraph(words: str, ink: str) -> str:
    return (
        f'<table border=0 cellspacing=0 cellpadding=0 style="border-collapse:collapse"><tr>'
        f'<td width=604 valign=top style="padding:0cm 5.4pt 0cm 5.4pt;border:none #{ink} 1.0pt">'
        f'<p class=MsoNormal style="{_STYLE};color:#{ink}"><span lang=EN-US style="{_FONT};'
        f'color:#{ink};mso-ansi-language:EN-US">{words}<o:p></o:p></span></p></td></tr></table>'
        f'\r\n<p class=MsoNormal style="{_STYLE}"><span lang=EN-US><o:p>&nbsp;</o:p></span></p>'
    )


def _part(kind: str, charset: str, encoding: str, data: bytes) -> bytes:
    head = f"Content-Type: text/{kind}; charset={charset}\r\n"
    head += f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def _multipart(kind: str, mark: str, parts: list[bytes]) -> bytes:
    edge = f"=_{mark}_boundary_of_a_mail"
    head = f'Content-Type: multipart/{kind}; boundary="{edge}"\r\n\r\n'.encode()
    inner = b"".join(b"--" + edge.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return head + inner + b"--" + edge.encode() + b"--\r\n"
