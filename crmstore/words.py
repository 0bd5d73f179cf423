"""Encoded words (RFC 2047) in headers, as they should be and as they are. A core.

Promises: never raises, linear time; the result is clean (no controls: an encoded CR LF must not
become a header line). What cannot be decoded stays as it was written.
Reads the broken forms too: neighbours that cut a character in two, several words without a space
between, spaces inside a word, missing padding, a language tag (RFC 2231 section 5), words inside
quotes, a word that is never closed.
"""

import binascii
import re

from crmstore.charsets import clean, decode

__all__ = ["decode_words"]

_HEAD = re.compile(r"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")


def decode_words(text: str) -> str:
    """The text with its encoded words decoded, whitespace runs as one space, cleaned."""
    if "=?" not in text:
        return clean(_one_space(text))
    out: list[str] = []
    charset, pending = "", b""
    position = 0
    while True:
        head = _HEAD.search(text, position)
        end = text.find("?=", head.end()) if head else -1
        if head is None or end < 0:
            break
        between = text[position : head.start()]
        data = _bytes(text[head.end() : end], head[2])
        name = head[1].lower()
        if pending and not between.strip() and name == charset:
            pending += data  # RFC 2047 section 6.2: the space between words is not text
        else:
            if pending:
                out.append(decode(pending, charset))
                if not between.strip():
                    between = ""
            out.append(_one_space(between))
            charset, pending = name, data
        position = end + 2
    if pending:
        out.append(decode(pending, charset))
    out.append(_one_space(text[position:]))
    return clean("".join(out))


def _one_space(text: str) -> str:
    """Runs of white space as one space; text without any comes back untouched."""
    if "  " not in text and "\t" not in text and "\n" not in text and "\r" not in text:
        return text
    middle = " ".join(text.split())
    return (" " if text[0].isspace() else "") + middle + (" " if text[-1].isspace() else "")


def _bytes(encoded: str, how: str) -> bytes:
    if how in "qQ":
        raw = encoded.replace("_", " ").encode("utf-8", "surrogatepass")
        return binascii.a2b_qp(raw)
    plain = _NOT_BASE64.sub("", encoded)
    # one character left over carries no whole byte
    plain = plain[: len(plain) // 4 * 4 + (0 if len(plain) % 4 == 1 else len(plain) % 4)]
    return binascii.a2b_base64(plain + "=" * (-len(plain) % 4))
