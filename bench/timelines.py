"""Pages of timelines, cold and warm: `python bench/timelines.py --keep DIR [--rows N ...]`.

On stores that bench/storefill.py or bench/store.py left there (the latter measures the same after
its ingest); nothing is added to them. Two walks, 50 messages a page: the first page of a thousand
records at random (most have one message, or none), and of the hundred records with the most mail up
to eight pages each, newest first (bench/mailgen.py, pick: of a million messages these have 10,000
to 150 each). No page comes twice in a walk.

"Cold" is as after the machine was started: nothing of the store's files is in the kernel's memory,
the server is new, and so is the connection. Each walk begins so, and what it reads stays in memory.
"Warm" is the same walk once more. "Started anew" (PostgreSQL) begins as cold, but the server has
read again what was in its own memory before (pg_prewarm; a few seconds). "KB read" is what the cold
walk had from the disk for a page, and "ms a block" what the disk takes for 8 KB at random of the
same files: both together are what a page must cost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import disk_ms, disk_octets, machine, markdown, quantile
from bench.storefill import Place, place
from crmstore import timeline
from crmstore.store import Store

ANY = 1_000
MOST = 100
DEEP = 8  # pages
HEAD = [
    "store", "messages", "timelines of", "pages", "cold p50, ms", "p99", "worst", "KB read",
    "ms a block", "started anew p50, ms", "p99", "worst", "warm p50, ms", "p99", "worst",
]  # fmt: skip


@dataclass(frozen=True)
class Times:
    """A walk, twice: milliseconds of each page, in the order in which they were asked for."""

    who: str
    cold: list[float]
    warm: list[float]
    anew: list[float]  # none on SQLite
    cold_kb: float  # from the disk, a page
    block_ms: float

    def row(self) -> list[str]:
        return [self.who, f"{len(self.cold):,}", *_figures(self.cold), f"{self.cold_kb:,.0f}",
                f"{self.block_ms:.2f}", *_figures(self.anew), *_figures(self.warm)]  # fmt: skip


def _figures(took: list[float]) -> list[str]:
    if not took:
        return ["", "", ""]
    return [f"{value:.1f}" for value in (quantile(took, 0.5), quantile(took, 0.99), max(took))]


def measure(where: Place, rows: int) -> list[Times]:
    """Both walks, each cold and then warm."""
    found = []
    server = where.server
    block_ms = disk_ms(where.files)
    for who, walk in (("any record", _anybody), (f"the {MOST} with the most mail", _most)):
        with where.cold() as store:
            pid = server.process.pid if server is not None and server.process else os.getpid()
            before = disk_octets(pid)
            cold = walk(store, rows)
            octets = disk_octets(pid) - before
            warm = walk(store, rows)
        anew: list[float] = []
        if server is not None:
            with where.cold(warmed=True) as store:
                anew = walk(store, rows)
        found.append(Times(who, cold, warm, anew, octets / 1000 / len(cold), block_ms))
    return found


def _anybody(store: Store, rows: int) -> list[float]:
    records = random.Random(7).sample(range(1, rows + 1), min(ANY, rows))
    return [_page(store, record, None)[0] for record in records]


def _most(store: Store, rows: int) -> list[float]:
    took = []
    for record in random.Random(8).sample(range(1, min(MOST, rows) + 1), min(MOST, rows)):
        behind: str | None = None
        for _ in range(DEEP):
            ms, behind = _page(store, record, behind)
            took.append(ms)
            if behind is None:
                break
    return took


def _page(store: Store, record: int, before: str | None) -> tuple[float, str | None]:
    begun = time.perf_counter()
    page = timeline.page(store, record=record, before=before)
    return (time.perf_counter() - begun) * 1000, page.next


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", type=Path, required=True, help="where the stores are")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    about = machine(options.keep)
    rows, documents = [], []
    for engine in options.engines:
        for size in options.rows:
            with place(engine, options.keep / f"{engine}-{size}") as where:
                for times in measure(where, size):
                    rows.append([engine, f"{size:,}", *times.row()])
                    documents.append({"engine": engine, "rows": size, **asdict(times)})
    if options.json:
        print(json.dumps({"machine": about, "results": documents}))
        return 0
    print(f"{about}\n\n{markdown(HEAD, rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
