"""What a process costs, read from /proc, and the arithmetic of repeated rounds.

CPU is that of every living process of a tree, by its own CPU clock (clock_getcpuclockid(3), in
nanoseconds), plus cutime + cstime of each: what their reaped children used (proc(5)), in clock
ticks (10 ms). A daemon that comes and goes, as Postfix's do, is counted whole.

Memory is VmHWM, the peak of the resident set, after `clear_refs` = 5 has set it back to the
present size (Linux >= 4.0).
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the command's name (field 3 onward), None if gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def tree(root: int) -> list[int]:
    """`root` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root: int, wanted: Callable[[int], bool] = lambda pid: True) -> float:
    """CPU used so far by the tree under `root`; with `wanted`, by those of its processes only
    (and what they reaped themselves)."""
    seconds = 0.0
    for pid in tree(root):
        if wanted(pid) and (fields := stat_fields(pid)):
            reaped = sum(int(field) for field in fields[13:15]) / TICK
            try:
                seconds += time.clock_gettime((~pid << 3) | 2) + reaped
            except OSError:  # gone between the two: its parent will tell
                pass
    return seconds


def cmdline(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode(errors="replace").split("\0")[:-1]


def memory_kib(pid: int, field: str) -> int:
    """A line of /proc/PID/status in KiB: VmRSS, VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def reset_peak(pid: int) -> int:
    """Sets VmHWM back to the present VmRSS and returns it (KiB)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory_kib(pid, "VmHWM")


def disk_octets(root: int) -> int:
    """What the living processes of a tree had read from disks so far (proc(5), io: read_bytes)."""
    octets = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/io").read_text()
        except OSError:  # gone between the two
            continue
        octets += int(text.partition("read_bytes:")[2].split()[0])
    return octets


def forget(folder: Path) -> None:
    """Nothing of the files in this folder is in the kernel's memory any more
    (posix_fadvise(2), POSIX_FADV_DONTNEED): needs no rights, and leaves others' files alone."""
    os.sync()  # pages that are not written yet stay
    for path in _files(folder):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_ms(folder: Path, block: int = 8192, reads: int = 200) -> float:
    """Milliseconds of the disk for one block at random of these files (median), with nothing of
    them in memory."""
    forget(folder)
    chance = random.Random(9)
    sizes = [(path, path.stat().st_size // block) for path in _files(folder)]
    paths, blocks = zip(*((path, size) for path, size in sizes if size), strict=True)
    took = []
    for path in chance.choices(paths, blocks, k=reads):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)  # a block, and nothing ahead of it
        at = chance.randrange(path.stat().st_size // block) * block
        begun = time.perf_counter()
        os.pread(file, block, at)
        took.append((time.perf_counter() - begun) * 1000)
        os.close(file)
    return statistics.median(took)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@dataclass(frozen=True)
class Rounds:
    """The same figure, once a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def per(self, other: Rounds) -> Rounds:
        """Round by round, this over the other: a slow minute of the machine hits both."""
        pairs = zip(self.values, other.values, strict=True)
        return Rounds(tuple(mine / theirs for mine, theirs in pairs))

    def show(self, digits: int) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on, from /proc/self/mountinfo."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[2] == wanted:
            return right.split()[0]
    return "unknown"


def machine(path: Path) -> str:
    """This machine in general words."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = " ".join(line.partition(":")[2].split())
            break
    return (
        f"{os.cpu_count()} cores ({model}), {file_system(path)}, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"load average at the start {os.getloadavg()[0]:.2f}"
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
