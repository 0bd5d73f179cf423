"""Who did not get the message, and why, in the words of a notice. A core.

Ways to read a notice, from the surest to the loosest; the first that finds somebody counts:

1. patterns of the shape, if a server's shape was recognised (shapes.py);
2. an address that opens a line and is followed by ":" or by "...": `<a@b>: 550 ...`;
3. an address that stands alone in its line;
4. an address behind a label ("Recipient:", "To:"), or anywhere in a sentence.

Addresses that cannot be meant are left out: the author and the reader of the report itself,
postmasters one may write to, message ids, senders in an SMTP dialogue.
Promises: linear, at most report.MAX_RECIPIENTS, never raises.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from bounce.report import MAX_RECIPIENTS
from crmstore.addresses import key

__all__ = ["ADDRESS", "Found", "by_patterns", "loosely"]

# Characters of an address as it stands in a sentence, of any script; not its punctuation. Inside a
# local part "=" (SRS, VERP) and "'" (o'neil) are its own.
_CHAR = r"[^\s<>()\[\]\"',;:|=：，、。；（）「」『』【】《》“”]"
_LOCAL = _CHAR.replace("'", "").replace("=", "")
ADDRESS = f"(?!['=]){_LOCAL}{{1,128}}@{_CHAR}{{1,255}}"
# "to=a@b", as logs and some notices write it.
_NAMED = re.compile(r"(?:orig_)?(?:rcpt|to|recipient|addr|address|user|mailbox|e?mail)='?", re.I)
_LINE_START = re.compile(
    rf"^[ \t>*•-]{{0,12}}(?:<({ADDRESS})>|\"({ADDRESS})\"|({ADDRESS}))"
    r"(?:[ \t]*(?::|\.\.\.|\(|\[)|[ \t]+-)",
    re.MULTILINE,
)
_ALONE = re.compile(
    rf"^[ \t>*•·o-]{{0,40}}(?:[^\s@<>]{{1,40}} ){{0,3}}?[<\"'(]?(?:mailto:)?({ADDRESS})"
    r"(?:[>\"')]|<mailto:[^\s>]{1,300}>){0,2}[ \t.,;]{0,20}$",
    re.MULTILINE | re.IGNORECASE,
)
_LABELLED = re.compile(
    r"^[ \t>*-]{0,12}(?:final[- ])?(?:original[- ])?(?:recipients?|to|address(?:ed to)?|rcpt to"
    r"|failed recipient|recipient address|e?mail address|user|intended recipient|destination"
    r"|受信者|宛先|送信先|empf[äa]nger|destinataire|destinatario|получатель|收件人)"
    rf"[ \t]*[:：][ \t]*(?:rfc822;)?[ \t]*(?:[^\n<@]{{0,60}}<)?[\"']?({ADDRESS})",
    re.MULTILINE | re.IGNORECASE,
)
_ANYWHERE = re.compile(rf"(?<!{_CHAR}){ADDRESS}")
# Before an address: it is not the recipient.
_NOT_MEANT = re.compile(
    r"(?<![^\W\d_])(?:mail from|from|sender|reply[- ]to|contact|write to"
    r"|send (?:an? )?(?:e-?mail|mail) to"
    r"|message-?id|assistance|help|support|questions?|mailto|sent by|envelope-from|forward it to"
    r"|absender|expéditeur|remitente|差出人|発信者|de|von|by)[ \t:<=\"'(]{0,8}$",
    re.IGNORECASE,
)
# "write to a@b or c@d": what holds of the first holds of the second.
_OR = re.compile(r"[\s,;>)\"']{0,5}(?:or|and|oder|und|ou|et|o|y)[\s<(\"']{1,5}", re.IGNORECASE)
_GENERATED = re.compile(
    rf"\((?:ultimately )?(?:generated|expanded) from:?[ \t]{{0,8}}<?({ADDRESS})>?", re.IGNORECASE
)
# "----- Transcript of session follows -----": what follows is not about one recipient.
_SECTION = re.compile(r"^[ \t]{0,8}-{3,10} ?[A-Za-z]", re.MULTILINE)
# To whom one may write about a report; recipients only if a notice names nobody else.
_POSTMASTER = re.compile(r"(?:post(?:master|man)|mailer-daemon)@")
_OFFICE = re.compile(
    r"(?:post(?:master|man)|mailer-daemon|abuse|hostmaster|support|help(?:-?desk)?)@"
)


class Found(NamedTuple):
    """A recipient in a notice and the words that are about it."""

    address: str
    original: str  # what was written to, where the server says that it was forwarded
    words: str


def by_patterns(
    text: str,
    patterns: Iterable[re.Pattern[str]],
    spared: frozenset[str],
    every: bool = False,
    last: re.Pattern[str] = _POSTMASTER,
) -> list[Found]:
    """Whom the first pattern that finds somebody finds, or `every` pattern together; the first
    group that matched is the address. Who is of `last` counts only if there is nobody else."""
    if every:
        together = [
            (found.start(), _first(found))
            for pattern in patterns
            for found in _some(pattern.finditer(text))
        ]
        return _people(text, sorted(together), spared, last)
    for pattern in patterns:
        places = [(found.start(), _first(found)) for found in _some(pattern.finditer(text))]
        people = _people(text, places, spared, last)
        if people:
            return people
    return []


def loosely(text: str, spared: frozenset[str]) -> list[Found]:
    """Whom a notice of no known shape is about."""
    people = by_patterns(text, (_LINE_START,), spared)
    people = people or by_patterns(text, (_ALONE, _LABELLED), spared, last=_OFFICE)
    if people:
        return people
    places: list[tuple[int, str]] = []
    unmeant = -1  # where the last address ended that cannot be meant
    for found in _some(_ANYWHERE.finditer(text)):
        start = found.start()
        if (
            _NOT_MEANT.search(text, max(0, start - 40), start)
            or _OFFICE.match(found[0].lower())
            or (unmeant >= 0 and _OR.fullmatch(text, unmeant, start))
        ):
            unmeant = found.end()
        else:
            places.append((start, found[0]))
    return _people(text, places, spared, _OFFICE)


def _some(found: Iterable[re.Match[str]]) -> Iterable[re.Match[str]]:
    for count, one in enumerate(found):
        if count >= MAX_RECIPIENTS:
            return
        yield one


def _first(found: re.Match[str]) -> str:
    return next((group for group in found.groups() if group), "")


def _people(
    text: str, places: list[tuple[int, str]], spared: frozenset[str], last: re.Pattern[str]
) -> list[Found]:
    """Each address with the text from it to the next other one."""
    kept: list[tuple[int, str]] = []
    for start, written in places:
        written = written.partition("...")[0]
        named = _NAMED.match(written)
        address = key((written[named.end() :] if named else written).strip(".,;:'\""))
        if not address or address in spared or (kept and kept[-1][1] == address):
            continue
        kept.append((start, address))
    if not all(last.match(address) for _, address in kept):
        kept = [(start, address) for start, address in kept if not last.match(address)]
    words: dict[str, str] = {}
    originals: dict[str, str] = {}
    for number, (start, address) in enumerate(kept):
        end = kept[number + 1][0] if number + 1 < len(kept) else len(text)
        part = _SECTION.split(text[start : min(end, start + 2_000)], maxsplit=1)[0]
        words[address] = (words[address] + " " + part if address in words else part)[:4_000]
        generated = _GENERATED.search(part)
        if generated:
            originals[address] = key(generated[1])
    return [Found(address, originals.get(address, ""), said) for address, said in words.items()]
