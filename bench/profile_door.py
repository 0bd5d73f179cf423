"""Where a door's CPU goes: `python bench/profile_door.py [--messages N] [--size OCTETS]`.

One door, smtp-sink behind it, smtp-source in front: user and system time per message, and, where
the program py-spy is found (it is none of our requirements: `pip install py-spy`), the functions
that held the interpreter, alone and with all they call. py-spy's reading slows the door a little:
the CPU figures are of the runs without it.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import TICK, stat_fields
from bench.peers import Mailweir, Sink, source

TOP = 40


def times(pid: int) -> tuple[float, float]:
    """User and system seconds of a process so far."""
    fields = stat_fields(pid)
    assert fields is not None
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def profile(recording: Path) -> str:
    """py-spy's raw format: a line for each stack, its frames divided by `;`, then its count."""
    alone, below, total = Counter[str](), Counter[str](), 0
    for line in recording.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)", ")", frame) for frame in stack.split(";")]
        total += int(count)
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    lines = []
    for title, counts in (("by itself", alone), ("with what it calls", below)):
        lines.append(f"\n% of {total} samples, {title}")
        lines += [f"{100 * count / total:5.1f} {name}" for name, count in counts.most_common(TOP)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Where a door's CPU goes")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--dir", default="/var/tmp", help="where the journal lies, on disk")
    parser.add_argument("--py-spy", default=shutil.which("py-spy"), help="where the program is")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))

    folder = Path(tempfile.mkdtemp(prefix="mailweir-profile-", dir=arguments.dir))
    try:
        with Sink() as sink:
            hop = f"smtp://127.0.0.1:{sink.port}"
            listener: dict[str, object] = {"role": "inbound", "next_hop": hop, "doors": 1}
            with Mailweir(folder, {"mx": listener}) as own:
                (door,) = own.doors("mx")
                run = (own.ports["mx"], arguments.messages, arguments.size, arguments.sessions)
                source(run[0], 200, *run[2:])
                for _ in range(3):
                    before, start = times(door), time.perf_counter()
                    source(*run)
                    took = time.perf_counter() - start
                    user, system = (
                        (now - then) * 1000 / arguments.messages
                        for now, then in zip(times(door), before, strict=True)
                    )
                    rate = arguments.messages / took
                    print(
                        f"{rate:,.0f} messages/s, {user:.3f} ms user, {system:.3f} ms system each"
                    )
                if arguments.py_spy:
                    recording = folder / "recording"
                    command = [arguments.py_spy, "record", "--gil", "-r", "500", "-f", "raw"]
                    command += ["-d", "5", "-o", str(recording), "-p", str(door)]
                    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                    while spy.poll() is None:
                        source(*run)
                    print(profile(recording))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
