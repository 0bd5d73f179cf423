"""Ingest and timeline on SQLite and PostgreSQL: `python bench/store.py [--rows N ...] [--quick]`.

For each engine and each size: a store with that many records and messages (bench/storefill.py; with
`--keep DIR` large ones stay there, and what is measured goes on top of them);
then the worker is started as `mailweir run` starts it, with its reading child, bound to one core,
and finds a journal with thousands of messages at once (bench/mailgen.py: median 20 KB, a tenth with
attachments, four in ten Japanese). Counted is from there until the last one is linked in the store.
Before that it takes in `--warm` messages that are not counted: caches are as in a program that has
run for a while, and PostgreSQL is past most of the whole pages that follow a checkpoint.
PostgreSQL is a server of our own on the same machine and disk; its CPU is told apart.
Then pages of timelines, cold and warm (bench/timelines.py), in a second table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from bench import timelines
from bench.mailgen import Writer
from bench.measure import cpu_seconds, machine, markdown, memory_kib, tree
from bench.storefill import Place, fill, place, settle
from bench.timelines import Times
from config.load import load
from config.settings import Settings
from crmstore.store import Store, counter, micros
from proxy.journallock import FolderLock
from tests.paths.office import Door

ROOT = Path(__file__).resolve().parent.parent
SEGMENT = 64 << 20
HEAD = [
    "store", "messages and records before", "ingested", "messages/s, one core", "CPU, ms a message",
    "of the server", "database, bytes a message", "blobs, bytes a message",
    "worker and reader, peak MB",
]  # fmt: skip


@dataclass
class Result:
    """What one engine did at one size."""

    engine: str
    rows: int
    messages: int
    seconds: float  # from the first frame in sight to the last message linked
    cpu_ms: float  # worker and reader, a message
    server_ms: float
    database_bytes: float  # a message
    blob_bytes: float
    body_bytes: float
    peak_mb: float
    timelines: list[Times]

    def row(self) -> list[str]:
        server = f"{self.server_ms:.2f}" if self.engine != "sqlite" else ""
        return [
            self.engine, f"{self.rows:,}", f"{self.messages:,} in {self.seconds:.1f} s",
            f"{self.messages / self.seconds:,.0f}", f"{self.cpu_ms:.3f}", server,
            f"{self.database_bytes:,.0f}",
            f"{self.blob_bytes:,.0f} of {self.body_bytes:,.0f}", f"{self.peak_mb:.0f}",
        ]  # fmt: skip


def configured(folder: Path, url: str) -> Path:
    config = folder / "mailweir.toml"
    config.write_text(
        '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\n'
        f'data_dir = "{folder / "data"}"\n[store]\nurl = "{url}"\n'
    )
    return config


def write_journal(settings: Settings, messages: int, people: int, seed: int) -> tuple[Path, int]:
    """A door's folder, not yet where the worker looks; and the octets of its bodies."""
    writer = Writer(people, seed)
    door = Door(settings.data_dir / "aside", f"mx-{seed}", role="inbound")
    octets = in_segment = 0
    for number in range(messages):
        mail = writer.mail(number)
        capture = door.message(mail.body, sender=mail.sender, to=mail.recipients)
        door.verdict(capture, to=mail.recipients)
        octets += len(mail.body)
        in_segment += len(mail.body)
        if in_segment > SEGMENT:
            door.rotate()
            in_segment = 0
    return door.folder, octets


@contextmanager
def worker(config: Path, settings: Settings) -> Iterator[int]:
    """The worker's process id, once it is ready; with all that it starts on one core."""
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "proxy", "run", "--role", "worker", "--config", str(config)]
    with (settings.data_dir / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        os.sched_setaffinity(process.pid, {core})
        beat = settings.run_dir / "worker.json"
        end = time.monotonic() + 60
        while not (beat.exists() and json.loads(beat.read_text()).get("ready")):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit((settings.data_dir / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def known(store: Store) -> int:
    with store.reading() as connection:
        return counter(connection, "messages")


def taken_in(store: Store, settings: Settings, aside: Path, messages: int) -> float:
    """Seconds from when the worker can see this journal until all of it is in the store."""
    until = known(store) + messages
    aside.rename(settings.journal_dir / aside.name)
    begun = time.perf_counter()
    while known(store) < until:
        time.sleep(0.05)
    return time.perf_counter() - begun


def octets_of(store: Store) -> int:
    if store.engine.dialect.name == "sqlite":
        store.checkpoint()
        with store.reading() as connection:
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "page_size")
            )
        return int(pages) * int(size)
    with store.reading() as connection:
        return int(
            connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        )


def measure(where: Place, rows: int, messages: int, warm: int) -> Result:
    settings = load(configured(where.folder, where.url))
    for path in (settings.journal_dir, settings.blob_dir, settings.run_dir / "metrics"):
        path.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / "worker.json").unlink(missing_ok=True)  # of a run before
    store, server = where.store(), where.server
    store.migrate()
    fill(store, rows, rows)
    settle(store)
    # Not the mail of a run before: it is in the store already.
    seed = micros() // 1_000_000
    first, _ = write_journal(settings, warm, rows, seed - 1)
    aside, octets = write_journal(settings, messages, rows, seed)
    os.sync()
    served = server.process.pid if server is not None and server.process is not None else 0
    others = os.sched_getaffinity(0) - {max(os.sched_getaffinity(0))}
    for pid in tree(served) if served and others else ():
        os.sched_setaffinity(pid, others)  # else the kernel puts it beside who wakes it
    with (
        worker(settings.data_dir.parent / "mailweir.toml", settings) as pid,
        FolderLock(first),
        FolderLock(aside),
    ):
        taken_in(store, settings, first, warm)
        size, blobs = octets_of(store), stored(settings)
        cpu, theirs = cpu_seconds(pid), cpu_seconds(served) if served else 0.0
        seconds = taken_in(store, settings, aside, messages)
        cpu, theirs = cpu_seconds(pid) - cpu, cpu_seconds(served) - theirs if served else 0.0
        peak = sum(memory_kib(one, "VmHWM") for one in tree(pid)) / 1024
    blobs = stored(settings) - blobs
    result = Result(
        "sqlite" if server is None else "postgresql", rows, messages, seconds,
        cpu * 1000 / messages, theirs * 1000 / messages, (octets_of(store) - size) / messages,
        blobs / messages, octets / messages, peak, [],
    )  # fmt: skip
    store.close()
    result.timelines += timelines.measure(where, rows)
    return result


def stored(settings: Settings) -> int:
    return sum(path.stat().st_size for path in settings.blob_dir.rglob("*.zst"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--messages", type=int, default=20_000, help="of the burst")
    parser.add_argument("--warm", type=int, default=5_000, help="messages before it")
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument(
        "--quick", action="store_true", help="a look: --rows 1000 20000, 2,000 messages"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", type=Path, default=None, help="the file system to measure on")
    parser.add_argument(
        "--keep", type=Path, help="where stores of ten times --messages and more stay"
    )
    options = parser.parse_args()
    if options.quick:
        options.rows, options.messages, options.warm = [1_000, 20_000], 2_000, 500
    folder = Path(tempfile.mkdtemp(prefix="mw-bench-", dir=options.dir or options.keep))
    folder.chmod(0o755)
    about = machine(folder)
    results = []
    try:
        for engine in options.engines:
            for rows in options.rows:
                # What was deleted just now makes new files dear on ext4: all of it stays.
                kept = options.keep is not None and rows >= 10 * options.messages
                home = (options.keep if kept else folder) / f"{engine}-{rows}"
                with place(engine, home) as where:
                    results.append(measure(where, rows, options.messages, options.warm))
                print(" ".join(results[-1].row()), file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps({"machine": about, "results": [asdict(result) for result in results]}))
        return 0
    print(f"{about}\n")
    print(markdown(HEAD, [result.row() for result in results]))
    walks = [[r.engine, f"{r.rows:,}", *one.row()] for r in results for one in r.timelines]
    print(f"\n{markdown(timelines.HEAD, walks)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
