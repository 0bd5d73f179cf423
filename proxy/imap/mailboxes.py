"""What a mailbox is for: Sent, Drafts, Junk, Trash, by the server's word or by its name (core).

The server's word (RFC 6154 SPECIAL-USE, and Gmail's XLIST) counts more than any name. Names are
those that mail programs and servers give these folders by themselves, in our users' languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Never captured: not mail that was sent or received, or no longer wanted.
NEVER: Final = frozenset(("junk", "trash", "drafts"))

_ATTRIBUTES: Final = {
    b"\\SENT": "sent", b"\\DRAFTS": "drafts", b"\\JUNK": "junk", b"\\TRASH": "trash",
    b"\\SPAM": "junk", b"\\INBOX": "inbox",
}  # fmt: skip
_NAMES: Final = {
    "inbox": "inbox",
    **dict.fromkeys(
        ("sent", "sent items", "sent messages", "sent mail", "sent-mail", "送信済み",
         "送信済みメール", "送信済みアイテム", "送信済", "送信箱", "gesendet", "gesendete elemente",
         "gesendete objekte", "gesendete nachrichten", "envoyés", "éléments envoyés",
         "messages envoyés", "enviados", "elementos enviados", "posta inviata", "已发送",
         "已发送邮件", "寄件備份", "보낸 편지함"), "sent",
    ),
    **dict.fromkeys(
        ("drafts", "draft", "下書き", "草稿", "entwürfe", "brouillons", "borradores", "rascunhos",
         "bozze", "草稿箱", "草稿匣", "임시 보관함"), "drafts",
    ),
    **dict.fromkeys(
        ("junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "迷惑メール",
         "spamverdacht", "unerwünschte werbung", "indésirables", "courrier indésirable",
         "correo no deseado", "posta indesiderata", "垃圾邮件", "垃圾郵件", "스팸 편지함"), "junk",
    ),
    **dict.fromkeys(
        ("trash", "deleted items", "deleted messages", "bin", "ごみ箱", "ゴミ箱",
         "削除済みアイテム", "削除済み", "papierkorb", "gelöscht", "gelöschte elemente",
         "gelöschte objekte", "corbeille", "éléments supprimés", "papelera",
         "elementos eliminados", "cestino", "已删除邮件", "刪除的郵件", "휴지통"), "trash",
    ),
}  # fmt: skip


def special_by_attributes(attributes: Iterable[bytes]) -> str:
    """What LIST says of a mailbox: sent, drafts, junk, trash, inbox or ""."""
    for attribute in attributes:
        found = _ATTRIBUTES.get(attribute.upper())
        if found:
            return found
    return ""


def special_by_name(name: str) -> str:
    """What a name says: of a folder at the top, or right below INBOX, where some servers keep all.

    "[Gmail]/Sent Mail" is one as well: Gmail's own folders have one parent.
    """
    if name.upper() == "INBOX":
        return "inbox"
    for separator in ("/", "."):
        parent, found, last = name.partition(separator)
        if found and parent.casefold() in ("inbox", "[gmail]", "[google mail]"):
            return _named(last)
    return _named(name)


def _named(name: str) -> str:
    special = _NAMES.get(name.casefold(), "")
    return "" if special == "inbox" else special
