"""What a message says about the one that it answers: references, base subject, quoted text. A core.

Promises: never raises, linear, bounded: at most `MAX_REFERENCES` Message-IDs, each as a hash of
fixed length (identity.id_hash), and `MAX_QUOTED` characters of quoted text.
Who may join a thread is decided in crmstore/threads.py: what stands in these headers was written
by whoever sent the message.
Cites: RFC 5322 section 3.6.4; RFC 5256 section 2.1 (base subject); beyond.md 4 and 5.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from crmstore.headers import unfold
from crmstore.identity import id_hash

__all__ = ["MAX_REFERENCES", "base_subject", "is_forward", "quoted", "references", "squash"]

MAX_REFERENCES = 6
MAX_QUOTED = 2_000
MAX_PREFIXES = 50

_ID = re.compile(r"<([^<>]{1,32768})>")
# What mail programs put in front: English, German, Scandinavian, French, Spanish, Portuguese,
# Italian, Dutch, Finnish, Polish, Turkish, Czech; Japanese, Chinese, Korean.
_PREFIX = re.compile(
    r"(?:(?:re|fwd?|aw|wg|sv|vs|vl|antw|doorst|rv|enc|res|tr|rif|odp|ynt|ilt|hs"
    r"|返信|転送|回复|回覆|答复|答覆|转发|轉寄|回信|답장|전달)"
    r"(?:\s?[\[(]\d{1,3}[\])]|\d{1,3}|\^\d{1,3})?\s?:\s*)"
)
_BLOB = re.compile(r"\[[^\[\]]{1,60}\]\s*(?=\S)")
_ANSWERS = re.compile(r"(?!fwd?|wg|vl|doorst|rv|enc|tr|ilt|転送|转发|轉寄|전달)")

# Where the text of the answered mail begins. Behind the line feed that both patterns begin with:
# that is searched for at the speed of C. A line that says who wrote costs the most, by far, so it
# is looked for only where a line ends in a colon and one of its words stands somewhere; nine words
# cost seven times as much as both colons.
_WROTE = (
    "wrote", "writes", "schrieb", "écrit", "escribió", "ha scritto", "skrev", "書きました", "写道"
)  # fmt: skip
_SIGN = (
    r"\n[ \t]{0,20}+(?:>|-{3,20}+ ?[^\n]{3,60}-{3}|_{20}|"
    r"(?:From|Von|De|Da|Van|Från|Fra|差出人|发件人|寄件者|보낸 사람)[ \t]{0,5}[:：]"
)
_QUOTE = re.compile(_SIGN + ")")
_QUOTE_OR_WROTE = re.compile(
    _SIGN + rf"|[^\n]{{5,200}}(?:{'|'.join(_WROTE)})[^\n]{{0,40}}[:：][ \t]*$)", re.MULTILINE
)
_COLON, _WIDE_COLON = (
    re.compile(r":[ \t]*+$", re.MULTILINE),
    re.compile(r"：[ \t]*+$", re.MULTILINE),
)
_NOISE = re.compile(r"[\s>|\u200b\ufeff\u00ad]+")


def references(fields: Mapping[bytes, Sequence[bytes]]) -> list[int]:
    """Hashes of the messages that this one names: In-Reply-To, then References from the nearest,
    and its first, which began the thread; each once."""
    near = _ids(fields.get(b"in-reply-to", ()))[:1]
    chain = _ids(fields.get(b"references", ()))
    found = dict.fromkeys([*near, *reversed(chain[-MAX_REFERENCES:])])
    named = list(found)[: MAX_REFERENCES - 1]
    if chain and chain[0] not in named:
        named.append(chain[0])
    return named


def _ids(values: Sequence[bytes]) -> list[int]:
    if not values:
        return []
    text = unfold(values[0])
    found = [match[1] for match in _ID.finditer(text)]
    if not found:  # without brackets, or words only
        found = [word for word in text.split()[:50] if "@" in word][:1]
    ids = [id_hash(one) for one in (*found[:1], *found[1:][-20:])]
    return [one for one in ids if one]


def base_subject(subject: str) -> tuple[str, bool]:
    """The subject without what answering and forwarding put around it, to be compared; and
    whether it says that it is an answer."""
    text = " ".join(_folded(subject).split())
    answer = False
    for _ in range(MAX_PREFIXES):
        prefix = _PREFIX.match(text)
        if prefix is not None:
            answer = answer or bool(_ANSWERS.match(text))
            text = text[prefix.end() :]
            continue
        blob = _BLOB.match(text)
        if blob is None:
            break
        text = text[blob.end() :]
    return text.removesuffix("(fwd)").strip(), answer


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def is_forward(subject: str) -> bool:
    """Does the subject say that this mail passes another one on?"""
    text = _folded(subject[:200]).lstrip()
    prefix = _PREFIX.match(text)
    if prefix is None:
        return text.rstrip().endswith("(fwd)")
    return not _ANSWERS.match(text)


def quoted(text: str) -> str:
    """What stands behind the first sign of a quotation, squashed; "" if there is none."""
    told = _COLON.search(text) or _WIDE_COLON.search(text)
    pattern = _QUOTE_OR_WROTE if told and any(word in text for word in _WROTE) else _QUOTE
    found = pattern.search("\n" + text)  # so it begins in the text where the line feed does here
    if found is None:
        return ""
    return squash(text[found.start() : found.start() + 3 * MAX_QUOTED])[:MAX_QUOTED]


def squash(text: str) -> str:
    """Text without what wrapping and quoting change."""
    return _NOISE.sub("", text)
