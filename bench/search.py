"""Full-text search at size: `python bench/search.py [--rows N] [--engine E] [--json] [--dir D]`.

A store is filled with N messages: Japanese and English by turns (six in ten Japanese), words by a
Zipf distribution, the formulas that are in every business mail, and words that only one message,
one in a thousand or one in a hundred has. The texts are a pool of 5,000, so that filling a million
does not take a day; the words that make a message rare are its own. Then questions of each kind
are asked, in turns, at random; the first of each is not counted. PostgreSQL is a server of our own
on the same machine and disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from bench.measure import machine, markdown, quantile
from bench.storefill import insert
from config.database import parse_database
from crmstore import document, schema, searchindex
from crmstore.search import Wanted, search
from crmstore.store import Store, next_ids
from crmstore.tokens import tokens
from tests.peers.postgres import Postgres

POOL = 5_000
CHUNK = 5_000
PEOPLE = 2_000
RECORDS = 20_000
END_US = 1_795_000_000_000_000
YEAR_US = 365 * 86_400 * 1_000_000
KANA = "のにはをたがでてとしれさあるいすなっおまかもこりく"
GREETING = "いつもお世話になっております。株式会社サンプルの山田です。"
CLOSING = "ご確認のほど、よろしくお願いいたします。"
HEAD = ["question", "asked", "rows, mean", "p50, ms", "p99, ms", "cut by time"]

Ask = Callable[[random.Random, int], tuple[str, Wanted]]


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


def own(number: int) -> str:
    """What makes a message one that can be looked for."""
    return f"ref{number} batch{number // 1_000} lot{number % 1_000} 案件{number % 100}番"


def fill(store: Store, rows: int) -> float:
    """Messages with people and links; returns seconds."""
    words = Words()
    pool = []
    for number in range(min(POOL, rows)):
        full = document.made(f"Subject 見積り {number}", [], [], words.text(number))
        pool.append((full, tokens(full)))
    begun = time.perf_counter()
    with store.writing() as connection:
        records = [
            {"id": n + 1, "kind": "contact", "name": f"R{n}", "state": "open", "created_us": 1}
            for n in range(RECORDS)
        ]
        insert(connection, schema.records, records)
    for start in range(0, rows, CHUNK):
        with store.writing() as connection:
            numbers = range(start, min(start + CHUNK, rows))
            _chunk(connection, numbers, rows, pool)
    if store.engine.dialect.name == "postgresql":
        with store.writing() as connection:
            connection.execute(text("ANALYZE"))
    return time.perf_counter() - begun


def _chunk(connection: Any, numbers: range, total: int, pool: list[tuple[str, str]]) -> None:
    tables: dict[str, list[dict[str, Any]]] = {"messages": [], "participants": [], "links": []}
    entries = []
    for id_, number in zip(next_ids(connection, "messages", len(numbers)), numbers, strict=True):
        chance = random.Random(number)
        when = END_US - (total - number) * (3 * YEAR_US // total)
        digest = f"{number:032x}"
        tables["messages"].append({
            "id": id_, "sha256": digest, "identity": digest, "when_us": when, "date_us": when,
            "subject": f"Subject {number}", "from_address": f"p{number % PEOPLE}@x.example",
            "preview": "words " * 20,
        })  # fmt: skip
        at = {"message_id": id_, "when_us": when}
        person = f"p{int(PEOPLE * chance.random() ** 3)}@x.example"
        tables["participants"].append({**at, "role": "from", "address": person})
        record = 1 + int(RECORDS * chance.random() ** 3)
        tables["links"].append({**at, "record_id": record, "role": "from", "address": person})
        full, tokenised = pool[number % len(pool)]
        mine = own(number)
        entries.append(
            searchindex.Entry(
                id_, when, document.packed(f"{full}\n{mine}"), f"{tokenised} {tokens(mine)}"
            )
        )
    for name, some in tables.items():
        insert(connection, schema.metadata.tables[name], some)
    searchindex.add(connection, entries)


def questions(words: Words) -> dict[str, Ask]:
    """Kinds of questions; a number of rows makes one of each."""
    plain = Wanted()

    def some(list_: list[str], first: int, last: int) -> Callable[[random.Random], str]:
        return lambda chance: list_[chance.randrange(first, last)]

    common, middle = some(words.japanese, 0, 20), some(words.japanese, 500, 5_000)
    english = some(words.english, 500, 20_000)
    return {
        "in every second mail": lambda c, n: (c.choice(("お世話", "the", "山田")), plain),
        "a formula as a phrase": lambda c, n: (
            c.choice(('"よろしくお願いいたします"', '"kind regards the team"')), plain,
        ),
        "a frequent word": lambda c, n: (common(c), plain),
        "an ordinary word": lambda c, n: (middle(c), plain),
        "an English word": lambda c, n: (english(c), plain),
        "two words": lambda c, n: (f"{common(c)} {middle(c)}", plain),
        "one mail's own word": lambda c, n: (f"ref{c.randrange(n)}", plain),
        "one of a thousand": lambda c, n: (f"lot{c.randrange(1000)} お世話", plain),
        "a word nobody wrote": lambda c, n: (f"zzz{c.randrange(10**6)} お世話", plain),
        "a phrase nobody wrote": lambda c, n: (
            c.choice(('"team regards"', "世話お世", '"よろしく株式会社"')), plain,
        ),
        "one character": lambda c, n: (c.choice("見山願社の"), plain),
        "with a minus": lambda c, n: (f"{common(c)} -{middle(c)} -offer", plain),
        "in a record": lambda c, n: (
            common(c), Wanted(record=1 + int(RECORDS * c.random() ** 3)),
        ),
        "with a person": lambda c, n: (
            middle(c), Wanted(address=f"p{int(PEOPLE * c.random() ** 3)}@x.example"),
        ),
        "two years ago": lambda c, n: (
            common(c),
            Wanted(first_us=END_US - 2 * YEAR_US, until_us=END_US - 2 * YEAR_US + YEAR_US // 12),
        ),
    }  # fmt: skip


@dataclass
class Result:
    """What one kind of question took."""

    question: str
    asked: int
    rows: float
    p50_ms: float
    p99_ms: float
    cut: int

    def row(self) -> list[str]:
        figures = [f"{self.rows:.1f}", f"{self.p50_ms:.1f}", f"{self.p99_ms:.1f}", str(self.cut)]
        return [self.question, str(self.asked), *figures]


def ask(store: Store, rows: int, rounds: int) -> list[Result]:
    kinds = questions(Words())
    took: dict[str, list[float]] = {name: [] for name in kinds}
    found: dict[str, int] = dict.fromkeys(kinds, 0)
    cut: dict[str, int] = dict.fromkeys(kinds, 0)
    chance = random.Random(11)
    for turn in range(rounds + 1):
        for name, kind in kinds.items():
            question, wanted = kind(chance, rows)
            begun = time.perf_counter()
            page = search(store, question, wanted)
            if turn:
                took[name].append((time.perf_counter() - begun) * 1e3)
                found[name] += len(page.rows)
                cut[name] += not page.whole
    results = [
        Result(
            name, rounds, found[name] / rounds, quantile(all_, 0.5), quantile(all_, 0.99), cut[name]
        )
        for name, all_ in took.items()
    ]
    every = [value for all_ in took.values() for value in all_]
    total = Result(
        "**all**", len(every), sum(found.values()) / len(every), quantile(every, 0.5),
        quantile(every, 0.99), sum(cut.values()),
    )  # fmt: skip
    return [*results, total]


def octets(store: Store, rows: int) -> dict[str, float]:
    """Bytes a message of index and texts."""
    statements = {
        "sqlite": {
            "index": "SELECT sum(length(block)) FROM search_index_data",
            "texts": "SELECT sum(length(document)) FROM search_texts",
        },
        "postgresql": {
            "index": "SELECT pg_total_relation_size('search_index')",
            "of it GIN": "SELECT pg_relation_size('ix_search_index_tokens')",
            "texts": "SELECT pg_total_relation_size('search_texts')",
        },
    }[store.engine.dialect.name]
    with store.reading() as connection:
        return {
            name: float(connection.execute(text(statement)).scalar_one()) / rows
            for name, statement in statements.items()
        }


@contextmanager
def stores(engine: str, folder: Path) -> Iterator[Store]:
    """An empty store."""
    if engine == "sqlite":
        store = Store(folder / "mailweir.db")
        store.migrate()
        yield store
        store.close()
        return
    with Postgres("shared_buffers = 512MB\nmax_wal_size = 4GB\n") as server:
        store = Store(parse_database(server.database()))
        store.migrate()
        yield store
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100, help="questions of each kind")
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", type=Path, help="where the stores are made (a temporary folder)")
    args = parser.parse_args()
    engines = ["sqlite", "postgresql"] if args.engine == "both" else [args.engine]
    documents = []
    for engine in engines:
        folder = Path(tempfile.mkdtemp(dir=args.dir))
        try:
            with stores(engine, folder) as store:
                seconds = fill(store, args.rows)
                results = ask(store, args.rows, args.rounds)
                sizes = octets(store, args.rows)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        per = " ".join(f"{name} {value:,.0f}" for name, value in sizes.items())
        line = (
            f"{engine}, {args.rows:,} messages: filled in {seconds:,.0f} s"
            f" ({seconds / args.rows * 1e3:.2f} ms each), bytes a message: {per}"
        )
        if args.json:
            documents.append(
                {"engine": engine, "rows": args.rows, "fill_seconds": seconds, "bytes": sizes,
                 "questions": [asdict(result) for result in results]}
            )  # fmt: skip
        else:
            print(f"\n{line}\n\n{markdown(HEAD, [result.row() for result in results])}", flush=True)
    print(
        json.dumps(documents)
        if args.json
        else f"\n{machine(Path(args.dir or tempfile.gettempdir()))}"
    )


if __name__ == "__main__":
    main()
