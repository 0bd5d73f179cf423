"""Text to search in: two languages by rule, words by a Zipf distribution (as in life).

Six texts in ten are Japanese, about 480 characters in the middle, each with the formulas that are
in every business mail. Texts are a pool of POOL, so that filling a million messages does not take
a day; own() are the words that make a message one that can be looked for.
"""

from __future__ import annotations

import itertools
import random

from crmstore import document
from crmstore.tokens import Tokens, tokens

POOL = 5_000
KANA = "のにはをたがでてとしれさあるいすなっおまかもこりく"
GREETING = "いつもお世話になっております。株式会社サンプルの山田です。"
CLOSING = "ご確認のほど、よろしくお願いいたします。"


class Words:
    """Two languages by rule."""

    def __init__(self) -> None:
        chance = random.Random(7)
        kanji = [chr(0x4E00 + number * 7) for number in range(2_000)]
        weights = list(itertools.accumulate(1 / (n + 5) for n in range(len(kanji))))
        self.japanese = [
            "".join(chance.choices(kanji, cum_weights=weights, k=chance.choice((1, 2, 2, 3))))
            + "".join(chance.choice(KANA) for _ in range(chance.choice((1, 2, 3))))
            for _ in range(20_000)
        ]
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        scale = list(itertools.accumulate(1 / (n + 2) for n in range(len(letters))))
        self.english = ["the", "of", "and", "to", "we", "invoice", "offer", "delivery"] + [
            "".join(chance.choices(letters, cum_weights=scale, k=chance.randrange(3, 11)))
            for _ in range(30_000)
        ]
        self._zipf = list(itertools.accumulate(1 / (n + 3) for n in range(30_008)))

    def some(self, chance: random.Random, words: list[str], count: int) -> list[str]:
        return chance.choices(words, cum_weights=self._zipf[: len(words)], k=count)

    def text(self, number: int) -> str:
        """Number N of the pool."""
        chance = random.Random(number)
        count = min(600, int(chance.lognormvariate(4.8, 0.6)))
        if chance.random() < 0.6:
            body = self.some(chance, self.japanese, count)
            rows = ["".join(body[n : n + 6]) + "。" for n in range(0, len(body), 6)]
            return "\n".join([GREETING, *rows, CLOSING])
        body = self.some(chance, self.english, count)
        return "Dear customer,\n" + " ".join(body) + ".\nKind regards, the team"

    def pool(self) -> list[tuple[str, Tokens]]:
        """Documents and their tokens."""
        full = [
            document.made(f"Subject 見積り {number}", [], [], self.text(number))
            for number in range(POOL)
        ]
        return [(one, tokens(one)) for one in full]


def own(number: int) -> str:
    """What makes a message one that can be looked for."""
    return f"ref{number} batch{number // 1_000} lot{number % 1_000} 案件{number % 100}番"
