"""Full-text search at size: `python bench/search.py [--rows N] [--engine E] [--json] [--keep D]`.

A store of N messages (bench/storefill.py; with `--keep` the one that bench/store.py measures too)
is asked questions of each kind (texts and words: bench/words.py), in turns, at random; the first of
each is not counted. PostgreSQL is a server of our own on the same machine and disk.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from bench.mailgen import outsider, pick
from bench.measure import machine, markdown, quantile
from bench.storefill import END_US, fill, place, settle
from bench.words import Words
from crmstore.search import Wanted, search
from crmstore.store import Store, counter

YEAR_US = 365 * 86_400 * 1_000_000
HEAD = ["question", "asked", "rows, mean", "p50, ms", "p99, ms", "cut by time"]

Ask = Callable[[random.Random, int], tuple[str, Wanted]]


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
            common(c), Wanted(record=1 + pick(c, n)),
        ),
        "with a person": lambda c, n: (
            middle(c), Wanted(address=outsider(pick(c, n))),
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


def octets(store: Store) -> dict[str, float]:
    """Bytes a message of index and texts."""
    tables = {"index": ("search_pending", "search_segments", "search_blocks")}
    tables["texts"] = ("search_texts",)
    size = {
        "sqlite": "SELECT sum(pgsize) FROM dbstat WHERE name = '{}'",
        "postgresql": "SELECT pg_total_relation_size('{}')",
    }[store.engine.dialect.name]
    with store.reading() as connection:
        rows = counter(connection, "messages")
        return {
            name: sum(
                float(connection.execute(text(size.format(one))).scalar_one() or 0) for one in some
            )
            / rows
            for name, some in tables.items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100, help="questions of each kind")
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", type=Path, help="where the stores are made (a temporary folder)")
    parser.add_argument("--keep", type=Path, help="where they are made, if need be, and stay")
    args = parser.parse_args()
    engines = ["sqlite", "postgresql"] if args.engine == "both" else [args.engine]
    documents = []
    folder = args.keep or Path(tempfile.mkdtemp(dir=args.dir))
    folder.chmod(0o755)
    about = machine(folder)
    for engine in engines:
        home = folder / f"{engine}-{args.rows}"
        try:
            with place(engine, home) as where:
                store = where.store()
                store.migrate()
                fill(store, args.rows, args.rows)
                settle(store)
                results = ask(store, args.rows, args.rounds)
                sizes = octets(store)
                store.close()
        finally:
            if not args.keep:
                shutil.rmtree(home, ignore_errors=True)
        per = " ".join(f"{name} {value:,.0f}" for name, value in sizes.items())
        line = f"{engine}, {args.rows:,} messages, bytes a message: {per}"
        if args.json:
            documents.append(
                {"engine": engine, "rows": args.rows, "bytes": sizes,
                 "questions": [asdict(result) for result in results]}
            )  # fmt: skip
        else:
            print(f"\n{line}\n\n{markdown(HEAD, [result.row() for result in results])}", flush=True)
    print(json.dumps(documents) if args.json else f"\n{about}")


if __name__ == "__main__":
    main()
