"""Full-text search at size: `python bench/search.py [--rows N] [--engine E] [--json] [--keep D]`.

A store of N messages (bench/storefill.py; with `--keep` the one that bench/store.py measures too)
is asked questions of each kind (texts and words: bench/words.py), in turns, at random: first with
nothing of the store in memory ("cold", as after the machine was started; what is read stays there),
then the same ones once more. PostgreSQL is a server of our own on the same machine and disk.
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
from bench.storefill import END_US, Place, fill, place, settle
from bench.words import Words
from crmstore.search import Wanted, search
from crmstore.store import Store, counter

YEAR_US = 365 * 86_400 * 1_000_000
HEAD = [
    "question", "asked", "rows, mean", "cold p50, ms", "p99", "worst", "cut by time",
    "warm p50, ms", "p99", "worst", "cut by time",
]  # fmt: skip

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
    """What one kind of question took: milliseconds each; how many were cut by time."""

    question: str
    rows: float
    cold: list[float]
    cold_cut: int
    warm: list[float]
    warm_cut: int

    def row(self) -> list[str]:
        figures = [self.question, f"{len(self.cold):,}", f"{self.rows:.1f}"]
        for took, cut in ((self.cold, self.cold_cut), (self.warm, self.warm_cut)):
            told = (quantile(took, 0.5), quantile(took, 0.99), max(took))
            figures += [*(f"{ms:.1f}" for ms in told), str(cut)]
        return figures


def asked(store: Store, rows: int, rounds: int) -> dict[str, list[tuple[float, int, bool]]]:
    """Milliseconds, rows found, and whether it is the whole answer, of each question of a kind."""
    kinds = questions(Words())
    chance = random.Random(11)
    took: dict[str, list[tuple[float, int, bool]]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            question, wanted = kind(chance, rows)
            begun = time.perf_counter()
            page = search(store, question, wanted)
            took[name].append(((time.perf_counter() - begun) * 1e3, len(page.rows), page.whole))
    return took


def measure(where: Place, rows: int, rounds: int) -> list[Result]:
    with where.cold() as store:
        cold, warm = asked(store, rows, rounds), asked(store, rows, rounds)
    every = "**all**"
    for took in (cold, warm):
        took[every] = [one for some in took.values() for one in some]
    return [
        Result(
            name,
            sum(found for _, found, _ in warm[name]) / len(warm[name]),
            [ms for ms, _, _ in cold[name]],
            sum(not whole for _, _, whole in cold[name]),
            [ms for ms, _, _ in warm[name]],
            sum(not whole for _, _, whole in warm[name]),
        )
        for name in cold
    ]


def octets(store: Store) -> dict[str, float]:
    """Bytes a message of index and texts."""
    tables = {
        "index": ("search_pending", "search_segments", "search_blocks"),
        "texts": ("search_texts",),
    }
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
    folder.mkdir(parents=True, exist_ok=True)
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
                sizes = octets(store)
                store.close()
                results = measure(where, args.rows, args.rounds)
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
