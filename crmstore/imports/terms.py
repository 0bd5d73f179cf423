"""Words of files for states, and names put together from their parts. A core."""

import re
import unicodedata

__all__ = ["CLOSED", "OPEN", "compose_name", "folded_name", "state_of"]

OPEN = "open"
CLOSED = "closed"

_CLOSED = frozenset(
    "closed won lost closedwon closedlost closedlosttocompetition done completed canceled"
    " cancelled 完了 終了 成約 成立 不成立 受注 失注 受注済み 完了受注 完了失注 不成立競合 クローズ"
    " 終了済み 中止".split()
)
_OPEN = frozenset(
    "open qualification qualified needsanalysis valueproposition identifydecisionmakers"
    " proposalpricequote proposal negotiationreview negotiation inprogress active new"
    " 進行中 商談中 未完了 見込み 要件確認 提案 提案中 交渉 交渉中 見積 見積もり 見積提示 新規"
    " オープン 未対応 対応中".split()
)
_NOT_LETTERS = re.compile(r"[\W_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\uac00-\ud7af]")


def state_of(word: str) -> str:
    """open, closed, or "" for a stage that we do not know."""
    folded = _NOT_LETTERS.sub("", unicodedata.normalize("NFKC", word).casefold())
    if folded in _CLOSED:
        return CLOSED
    return OPEN if folded in _OPEN else ""


def compose_name(family: str, given: str, middle: str = "") -> str:
    """The whole name in the order of its script: 山田 太郎, Taro Yamada."""
    parts = [family, middle, given] if _CJK.search(family + given) else [given, middle, family]
    return " ".join(part for part in parts if part)


def folded_name(name: str) -> str:
    """The form in which names are compared: NFKC, without case and without spaces."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
