"""The archive in a folder and in a bucket: `python bench/archive.py [--quick] [--json] [--dir D]`.

Batches as ingest makes them: each blob is packed and put, then sync(). Bodies are random octets, so
that what is counted is what is stored. Folder and bucket take turns, round by round. The bucket is
a SeaweedFS on the same machine and the same disk (tests/peers/s3.py), which takes its share of the
cores and does not fsync; the folder's sync() is a syncfs. The CPU of server and client are apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import Rounds, cpu_seconds, machine, markdown
from config.load import parse
from crmstore.archive import Archive, open_archive
from tests.peers.s3 import S3Server

NODE = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\ndata_dir = "data"\n'
KIB = 1 << 10


@dataclass(frozen=True)
class Case:
    """One size of body, and how many make a batch."""

    size: int
    batch: int
    batches: int

    @property
    def name(self) -> str:
        return f"{self.size // KIB} KiB, batches of {self.batch}"


@dataclass
class Result:
    """What one place did with one case, a value for each round."""

    case: str
    place: str
    puts: list[float]  # blobs a second, to the end of sync()
    reads: list[float]  # one after another, verified
    cpu_ms: list[float]  # for each blob put, ours
    server_ms: list[float]  # the same of the bucket's server

    def row(self, size: int) -> list[str]:
        puts, reads = Rounds(tuple(self.puts)), Rounds(tuple(self.reads))
        megabytes = Rounds(tuple(value * size / 1e6 for value in self.puts))
        cpu, server = Rounds(tuple(self.cpu_ms)), Rounds(tuple(self.server_ms))
        figures = [puts.show(0), megabytes.show(1), cpu.show(2), server.show(2), reads.show(0)]
        return [self.case, self.place, *figures]


HEAD = [
    "body", "archive", "put, blobs/s", "put, MB/s", "CPU, ms a blob", "of the server",
    "read, blobs/s",
]  # fmt: skip


def one_round(archive: Archive, server: int, case: Case, result: Result) -> None:
    took = cpu = 0.0
    served = cpu_seconds(server)
    names: list[str] = []
    for _ in range(case.batches):
        bodies = [os.urandom(case.size) for _ in range(case.batch)]
        digests = [hashlib.sha256(body).hexdigest() for body in bodies]
        begun, used = time.perf_counter(), time.process_time()
        for digest, body in zip(digests, bodies, strict=True):
            archive.put(digest, body)
        archive.sync()
        took += time.perf_counter() - begun
        cpu += time.process_time() - used
        names += digests
    count = case.batch * case.batches
    result.puts.append(count / took)
    result.cpu_ms.append(cpu * 1000 / count)
    result.server_ms.append((cpu_seconds(server) - served) * 1000 / count)
    some = names[: case.batch]
    begun = time.perf_counter()
    for name in some:
        archive.read(name)
    result.reads.append(len(some) / (time.perf_counter() - begun))
    archive.delete_many(names)


def run(folder: Path, cases: list[Case], rounds: int) -> list[tuple[Case, list[Result]]]:
    done = []
    with S3Server() as server:
        assert server.process is not None
        (folder / "data").mkdir()
        places: dict[str, Callable[[], Archive]] = {
            "folder": lambda: open_archive(parse(NODE, base=folder)),
            "bucket": lambda: open_archive(parse(NODE + server.place().toml(), base=folder)),
        }
        for case in cases:
            results = [Result(case.name, place, [], [], [], []) for place in places]
            for _ in range(rounds):
                for result in results:
                    one_round(places[result.place](), server.process.pid, case, result)
            done.append((case, results))
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", type=Path, default=None, help="the file system to measure on")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mw-bench-", dir=options.dir))
    # The server makes its folder in the same place.
    tempfile.tempdir = str(folder)
    few = options.quick
    cases = [Case(4 * KIB, 500, 2 if few else 6), Case(1024 * KIB, 32, 1 if few else 4)]
    about = machine(folder)
    try:
        done = run(folder, cases, 2 if few else 5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        results = [asdict(result) for _, results in done for result in results]
        print(json.dumps({"machine": about, "results": results}))
        return 0
    print(f"{about}\n")
    print(markdown(HEAD, [result.row(case.size) for case, results in done for result in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
