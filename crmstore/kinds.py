"""The kinds of records, and the words that people and files have for them. A core.

The kinds are a closed set. Whatever is neither a lead, a contact nor a deal is `general`, and a
free word, its type, says what it is: a quote, an order, an invoice (features.md A9). The words in
`TYPES` are known in English and Japanese, so that one may say `quote` where a kind is asked for.
"""

import re
import unicodedata
from collections.abc import Mapping

from crmstore.charsets import clean

__all__ = ["GENERAL", "KINDS", "MAX_TYPE", "TYPES", "WITH_CONTACT", "kind_of", "type_of"]

GENERAL = "general"
KINDS = ("lead", "contact", "deal", GENERAL)
# These may have a main contact, whose mail they show while they are open.
WITH_CONTACT = ("deal", GENERAL)
MAX_TYPE = 64

_WORDS: Mapping[str, str] = {
    "lead": "lead leads 見込み客 見込客 リード",
    "contact": "contact contacts 連絡先 取引先担当者 担当者 コンタクト",
    "deal": "deal deals potential potentials opportunity opportunities 商談 案件",
    GENERAL: "general other その他 一般",
    "quote": "quote quotes quotation quotations 見積 見積書 見積り",
    "order": "order orders 注文 注文書",
    "sales_order": "salesorder salesorders 受注 受注書",
    "purchase_order": "purchaseorder purchaseorders po 発注 発注書",
    "invoice": "invoice invoices 請求 請求書",
}
_MEANT = {word: name for name, words in _WORDS.items() for word in words.split()}
TYPES = tuple(name for name in _WORDS if name not in KINDS)
_NOT_LETTERS = re.compile(r"[\W_]+")


def kind_of(word: str) -> tuple[str, str]:
    """(kind, type) that a word names: ("general", "quote") for 見積; ("", "") for none."""
    name = _named(word)
    if name in KINDS:
        return name, ""
    return (GENERAL, name) if name else ("", "")


def type_of(word: str) -> str:
    """A type as it is stored: a known one by its name, any other word as it is, on one line."""
    return _named(word) or clean(unicodedata.normalize("NFKC", word)).strip()[:MAX_TYPE].casefold()


def _named(word: str) -> str:
    folded = unicodedata.normalize("NFKC", word[:500]).casefold()
    return _MEANT.get(_NOT_LETTERS.sub("", folded), "")
