"""Ingest and timeline on SQLite and PostgreSQL: `python bench/store.py [--rows N ...] [--quick]`.

For each engine and each size: a store with that many records and messages (bench/storefill.py);
then the worker is started as `mailweir run` starts it, with its reading child, bound to one core,
and finds a journal with thousands of messages at once (bench/mailgen.py: median 20 KB, a tenth with
attachments, four in ten Japanese). Counted is from there until the last one is linked in the store.
PostgreSQL is a server of our own on the same machine and disk; its CPU is told apart.
Then pages of 50 of timelines, of records at random and of those with the most mail.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from bench.mailgen import Writer
from bench.measure import cpu_seconds, machine, markdown, memory_kib, quantile, tree
from bench.storefill import fill
from config.load import load
from config.settings import Settings
from crmstore import timeline
from crmstore.store import Store, counter, open_store
from proxy.journallock import FolderLock
from tests.paths.office import Door
from tests.peers.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
SEGMENT = 64 << 20
PAGES = 400
HEAD = [
    "store", "messages and records before", "ingested", "messages/s, one core", "CPU, ms a message",
    "of the server", "timeline p50, ms", "p99, ms", "database, bytes a message",
    "blobs, bytes a message", "worker and reader, peak MB",
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
    p50_ms: float
    p99_ms: float
    database_bytes: float  # a message
    blob_bytes: float
    body_bytes: float
    peak_mb: float

    def row(self) -> list[str]:
        server = f"{self.server_ms:.2f}" if self.engine != "sqlite" else ""
        return [
            self.engine, f"{self.rows:,}", f"{self.messages:,} in {self.seconds:.1f} s",
            f"{self.messages / self.seconds:,.0f}", f"{self.cpu_ms:.3f}", server,
            f"{self.p50_ms:.2f}", f"{self.p99_ms:.2f}", f"{self.database_bytes:,.0f}",
            f"{self.blob_bytes:,.0f} of {self.body_bytes:,.0f}", f"{self.peak_mb:.0f}",
        ]  # fmt: skip


def configured(folder: Path, url: str) -> Path:
    config = folder / "mailweir.toml"
    config.write_text(
        '[node]\nhostname = "mail.ours.example"\ndomains = ["ours.example"]\n'
        f'data_dir = "{folder / "data"}"\n[store]\nurl = "{url}"\n'
    )
    return config


def write_journal(settings: Settings, messages: int, people: int) -> tuple[Path, int]:
    """A door's folder, not yet where the worker looks; and the octets of its bodies."""
    writer = Writer(people)
    door = Door(settings.data_dir / "aside", "mx-0", role="inbound")
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


def pages(store: Store, rows: int) -> list[float]:
    """Milliseconds for a page each: half of anybody, half of those with the most mail."""
    chance = random.Random(7)
    took = []
    for number in range(PAGES):
        record = 1 + chance.randrange(rows if number % 2 else max(1, rows // 100))
        begun = time.perf_counter()
        timeline.page(store, record=record)
        took.append((time.perf_counter() - begun) * 1000)
    return took


def octets_of(store: Store, settings: Settings) -> int:
    if store.engine.dialect.name == "sqlite":
        store.checkpoint()
        return settings.database.stat().st_size
    with store.reading() as connection:
        return int(
            connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        )


def settle(store: Store) -> None:
    """A history is not of this minute: the server has looked at its tables since."""
    if store.engine.dialect.name == "postgresql":
        driver = store.engine.raw_connection()
        driver.driver_connection.execute("VACUUM ANALYZE")  # type: ignore[union-attr]
        driver.driver_connection.execute("CHECKPOINT")  # type: ignore[union-attr]
        driver.close()


def measure(folder: Path, server: Postgres | None, rows: int, messages: int) -> Result:
    folder.mkdir()
    url = server.database() if server is not None else "sqlite"
    config = configured(folder, url)
    settings = load(config)
    for place in (settings.data_dir, settings.journal_dir, settings.blob_dir, settings.run_dir):
        place.mkdir(parents=True)
    (settings.run_dir / "metrics").mkdir()
    store = open_store(settings)
    store.migrate()
    fill(store, rows, rows)
    settle(store)
    aside, octets = write_journal(settings, messages, rows)
    size, before = octets_of(store, settings), known(store)
    os.sync()
    served = server.process.pid if server is not None and server.process is not None else 0
    with worker(config, settings) as pid, FolderLock(aside):
        cpu, theirs = cpu_seconds(pid), cpu_seconds(served) if served else 0.0
        aside.rename(settings.journal_dir / aside.name)
        begun = time.perf_counter()
        while known(store) < before + messages:
            time.sleep(0.05)
        seconds = time.perf_counter() - begun
        cpu, theirs = cpu_seconds(pid) - cpu, cpu_seconds(served) - theirs if served else 0.0
        peak = sum(memory_kib(one, "VmHWM") for one in tree(pid)) / 1024
    blobs = sum(path.stat().st_size for path in settings.blob_dir.rglob("*.zst"))
    took = pages(store, rows)
    result = Result(
        "sqlite" if server is None else "postgresql", rows, messages, seconds,
        cpu * 1000 / messages, theirs * 1000 / messages, quantile(took, 0.5), quantile(took, 0.99),
        (octets_of(store, settings) - size) / messages, blobs / messages, octets / messages, peak,
    )  # fmt: skip
    store.close()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--messages", type=int, default=20_000, help="of the burst")
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument(
        "--quick", action="store_true", help="a look: --rows 1000 20000, 2,000 messages"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", type=Path, default=None, help="the file system to measure on")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.messages = [1_000, 20_000], 2_000
    folder = Path(tempfile.mkdtemp(prefix="mw-bench-", dir=options.dir))
    tempfile.tempdir = str(folder)  # the server makes its folder in the same place
    folder.chmod(0o755)
    about = machine(folder)
    results = []
    try:
        for engine in options.engines:
            with nullcontext() if engine == "sqlite" else Postgres() as server:
                for rows in options.rows:
                    # What was deleted just now makes new files dear on ext4: all of it stays.
                    place = folder / f"{engine}-{rows}"
                    results.append(measure(place, server, rows, options.messages))
                    print(" ".join(results[-1].row()), file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps({"machine": about, "results": [asdict(result) for result in results]}))
        return 0
    print(f"{about}\n")
    print(markdown(HEAD, [result.row() for result in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
