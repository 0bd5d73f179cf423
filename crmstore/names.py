"""Names of attachments made safe to show, to log and to save under. A core.

The name in a mail is a stranger's: paths, drives, controls, direction overrides ("exe.fdp"
shown as "pdf.exe"), device names (threats.md "path traversal"). It is only ever a label: content
is stored by its digest. Promises: never raises; at most `MAX_NAME` characters; never empty.
"""

import re

from crmstore.charsets import clean

__all__ = ["safe_name"]

MAX_NAME = 150
_EXTENSION = re.compile(r"\.[^. ]{1,10}\Z")
_SAFE = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_TYPES = {
    "message/rfc822": ".eml",
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/vcard": ".vcf",
    "application/zip": ".zip",
}


def safe_name(name: str, kind: str, position: int) -> str:
    """A label for the attachment `name`; without a usable one a name by its place and type."""
    # Percent forms of separators are taken for what they stand for.
    text = re.sub("%2f|%5c", "/", name, flags=re.IGNORECASE)
    text = clean(text).replace("\\", "/").rpartition("/")[2]
    text = " ".join(text.translate(_SAFE).split()).strip(". ")
    if not text:
        return f"attachment-{position}{_TYPES.get(kind, '')}"
    if len(text) > MAX_NAME:
        extension = _EXTENSION.search(text)
        ending = extension[0] if extension else ""
        text = text[: MAX_NAME - len(ending)].rstrip() + ending
    return text
