"""Mailweir beside Postfix on this machine: `python bench/smtp_relay.py [--quick] [--json]`.

Everything runs on loopback and on one file system (--dir), each system alone in its turn, rounds
interleaved, so that a slow minute of the machine meets all of them. bench/README.md says what
each figure means and holds the table of a run. Needs root (Postfix), Postfix, and the environment
that Mailweir itself runs in.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import clients
from bench.measure import Rounds, file_system, machine, markdown, memory_kib, quantile, reset_peak
from bench.peers import Mailweir, Postfix, Sink, source

POSTFIX, TUNED, MX, SUBMISSION = (
    "Postfix, as delivered",
    "Postfix, tuned",
    "Mailweir, inbound",
    "Mailweir, submission",
)
MIB = 1 << 20


@dataclass(frozen=True)
class Goal:
    """One line of the result: what was reached, what was wanted."""

    figure: str
    reached: str
    wanted: str
    met: bool


@dataclass(frozen=True)
class Sizes:
    """How much work a run does."""

    rounds: int
    small: int
    lasting: int
    large: int
    latency: int
    connections: int
    idle: int


FULL = Sizes(
    rounds=3, small=5000, lasting=20_000, large=150, latency=600, connections=3000, idle=1000
)
QUICK = Sizes(rounds=1, small=1000, lasting=4000, large=40, latency=150, connections=3000, idle=300)


def relay_listeners(sink: Sink) -> dict[str, dict[str, object]]:
    hop = f"smtp://127.0.0.1:{sink.port}"
    common: dict[str, object] = {"next_hop": hop, "tls": "none", "trusted": ["127.0.0.0/8"]}
    return {"mx": {"role": "inbound"} | common, "submission": {"role": "submission"} | common}


class Bench:
    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder, sizes
        self.sink = Sink()
        self.figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.goals: list[Goal] = []
        self.notes: dict[str, str] = {}

    # Throughput and CPU

    def relay(
        self, name: str, port: int, messages: int, size: int, sessions: int, unit: str
    ) -> float:
        """One timed run: from the start of the client until the sink has the last message."""
        before, start = self.sink.messages, time.perf_counter()
        source(port, messages, size, sessions)
        accepted = time.perf_counter() - start
        self.sink.wait(before + messages)
        took = time.perf_counter() - start
        amount = messages if unit == "messages/s" else messages * size / 1e6
        self.figures[f"accepted, {unit}"][name].append(amount / accepted)
        self.figures[f"accepted and relayed, {unit}"][name].append(amount / took)
        return took

    def settle(self) -> None:
        os.sync()
        time.sleep(0.5)

    def round(self, messages: int, size: int, sessions: int, unit: str) -> None:
        """Postfix as delivered, Postfix tuned, Mailweir: once each."""
        warm = max(20, messages // 20)
        for name, tuned in ((POSTFIX, False), (TUNED, True)):
            with Postfix(self.folder / f"postfix{tuned:d}", self.sink.port, tuned=tuned) as relay:
                self.warm_up(relay.port, warm, size)
                before = relay.cpu()
                self.relay(name, relay.port, messages, size, sessions, unit)
                time.sleep(0.5)
                cost = (relay.cpu() - before) * 1000 / messages
                self.figures[f"CPU ms/message, {size} octets"][name].append(cost)
        with Mailweir(self.folder / "mailweir", relay_listeners(self.sink)) as own:
            for name, listener in ((MX, "mx"), (SUBMISSION, "submission")):
                known = own.captures()
                self.warm_up(own.ports[listener], warm, size)
                own.wait_ingested(known + warm)
                all_before, doors_before = own.cpu(), own.doors_cpu(listener)
                took = self.relay(name, own.ports[listener], messages, size, sessions, unit)
                lag = self.ingested(own, known + warm + messages)
                amount = messages if unit == "messages/s" else messages * size / 1e6
                figure = f"accepted, relayed and ingested, {unit}"
                self.figures[figure][name].append(amount / (took + lag))
                doors = (own.doors_cpu(listener) - doors_before) * 1000 / messages
                everything = (own.cpu() - all_before) * 1000 / messages
                self.figures[f"CPU ms/message, {size} octets"][name].append(everything)
                self.figures[f"CPU ms/message of the doors, {size} octets"][name].append(doors)
                self.figures[f"seconds until ingested, {size} octets"][name].append(lag)

    @staticmethod
    def ingested(own: Mailweir, total: int) -> float:
        """Seconds until the store has everything."""
        begun = time.perf_counter()
        own.wait_ingested(total)
        return time.perf_counter() - begun

    def lasting(self) -> None:
        """One long burst: ingest cannot wait for its end, and shares the machine with the doors."""
        messages = self.sizes.lasting
        unit = f"messages/s, {messages:,} at a time"
        with Postfix(self.folder / "postfix1", self.sink.port, tuned=True) as relay:
            self.warm_up(relay.port, 250, 4096)
            took = self.relay_one(relay.port, messages)
            self.figures[f"accepted and relayed, {unit}"][TUNED].append(messages / took)
        with Mailweir(self.folder / "mailweir", relay_listeners(self.sink)) as own:
            known = own.captures()
            self.warm_up(own.ports["mx"], 250, 4096)
            own.wait_ingested(known + 250)
            took = self.relay_one(own.ports["mx"], messages)
            early = own.captures() - known - 250
            lag = self.ingested(own, known + 250 + messages)
        self.figures[f"accepted and relayed, {unit}"][MX].append(messages / took)
        self.figures[f"accepted, relayed and ingested, {unit}"][MX].append(messages / (took + lag))
        self.figures[f"ingested while it lasted, of {messages:,}"][MX].append(early)
        self.figures[f"seconds until ingested, {messages:,} messages"][MX].append(lag)
        self.ratio(f"accepted and relayed, {unit}", MX, 3.0, ">=")
        goal = f"seconds until all of {messages:,} are linked"
        self.goals.append(Goal(goal, f"{lag:.1f}", "<= 10", lag <= 10))

    def relay_one(self, port: int, messages: int) -> float:
        before, start = self.sink.messages, time.perf_counter()
        source(port, messages, 4096, 20)
        self.sink.wait(before + messages)
        return time.perf_counter() - start

    def warm_up(self, port: int, messages: int, size: int) -> None:
        before = self.sink.messages
        source(port, messages, size, 20)
        self.sink.wait(before + messages)
        self.settle()

    def throughput(self) -> None:
        for _ in range(self.sizes.rounds):
            self.round(self.sizes.small, 4096, 20, "messages/s")
        for _ in range(self.sizes.rounds):
            self.round(self.sizes.large, 10**6, 10, "MB/s")
        for name in (MX, SUBMISSION):
            self.ratio("accepted and relayed, messages/s", name, 3.0, ">=")
            self.ratio("CPU ms/message of the doors, 4096 octets", name, 1 / 3, "<=")
            self.ratio("CPU ms/message, 4096 octets", name, 2 / 3, "<=")
            self.ratio("accepted and relayed, MB/s", name, 1.0, ">=")

    def ratio(self, figure: str, name: str, goal: float, sense: str) -> None:
        """A goal that is a multiple of the tuned Postfix's figure."""
        base = figure.replace(" of the doors", "")
        mine, theirs = self.figures[figure][name], self.figures[base][TUNED]
        ratio = Rounds(tuple(mine)).per(Rounds(tuple(theirs)))
        met = ratio.median >= goal if sense == ">=" else ratio.median <= goal
        text = f"{ratio.show(2)} × Postfix, tuned"
        self.goals.append(Goal(f"{name}: {figure}", text, f"{sense} {goal:.2f} ×", met))

    # Latency

    def latency(self) -> None:
        """One message at a time: what each relay adds to talking to the sink directly."""
        block = 50
        took: dict[tuple[str, str], list[float]] = defaultdict(list)
        with (
            Postfix(self.folder / "postfix0", self.sink.port, tuned=False) as postfix,
            Mailweir(self.folder / "mailweir", relay_listeners(self.sink)) as own,
        ):
            ports = {
                "the sink itself": self.sink.port,
                POSTFIX: postfix.port,
                MX: own.ports["mx"],
                SUBMISSION: own.ports["submission"],
            }
            ways = {
                "one session": clients.timed_open_session,
                "a session each": clients.timed_new_sessions,
            }
            for port in ports.values():
                clients.timed_open_session(port, 20)
            for _ in range(self.sizes.latency // block):
                for way, run in ways.items():
                    for name, port in ports.items():
                        took[way, name] += run(port, block)
                        time.sleep(0.3)  # what Postfix and the ingest still do is not the next's
        for way in ways:
            direct = took[way, "the sink itself"]
            for name in ports:
                for share, goal in ((0.5, 2.0), (0.99, 10.0)):
                    figure = f"latency p{share * 100:.0f}, {way}, ms"
                    value = quantile(took[way, name], share) * 1000
                    self.figures[figure][name].append(value)
                    if name in (MX, SUBMISSION):
                        added = value - quantile(direct, share) * 1000
                        title = f"{name}: added {figure}"
                        self.goals.append(
                            Goal(title, f"{added:.2f}", f"<= {goal:.0f}", added <= goal)
                        )

    # Memory and connections

    def memory(self) -> None:
        cert, key = certificate(self.folder)
        common: dict[str, object] = {
            "role": "inbound",
            "next_hop": f"smtp://127.0.0.1:{self.sink.port}",
            "tls": "none",
            "doors": 1,
            "max_connections_per_client": 10_000,
        }
        implicit = common | {"tls": "implicit", "cert": str(cert), "key": str(key)}
        listeners = {"big": common, "plain": common, "burst": common, "secure": implicit}
        with Mailweir(self.folder / "mailweir-memory", listeners) as own:
            for title, size, line in (
                ("one 50 MB message", 50_000_000, b"y" * 76 + b"\r\n"),
                ("8 MB of bare CRLF", 8_000_000, b"\r\n"),
            ):
                growth = self.growth(own, "big", size, line)
                figure = f"growth of a door's memory, {title}, MB"
                self.figures[figure][MX].append(growth)
                self.goals.append(Goal(figure, f"{growth:.1f}", "< 16", growth < 16))
            for kind in ("plain", "secure"):
                self.idle(own, kind)
            took, greeted = clients.connect_at_once(own.ports["burst"], self.sizes.connections)
            for link in greeted:
                link.close()
        figure = f"{self.sizes.connections} connects at once, s until the last 220"
        self.figures[figure][MX].append(took)
        whole = len(greeted) == self.sizes.connections
        reached = f"{took:.2f} s, {len(greeted)} greeted"
        self.goals.append(Goal(figure, reached, "all, <= 2 s", whole and took <= 2))

    def growth(self, own: Mailweir, listener: str, size: int, line: bytes) -> float:
        """By how many MB the door's resident set grows at most while it relays one message."""
        (door,) = own.doors(listener)
        client = clients.Client(own.ports[listener])
        client.transaction([clients.mail(4096)])
        before = reset_peak(door)
        client.transaction(clients.large(size, line))
        growth = memory_kib(door, "VmHWM") - before
        client.close()
        return growth * 1024 / 1e6

    def idle(self, own: Mailweir, listener: str) -> None:
        (door,) = own.doors(listener)
        tls = listener == "secure"
        for link in clients.idle_connections(own.ports[listener], 10, tls=tls):
            link.close()
        time.sleep(0.5)
        before = memory_kib(door, "VmRSS")
        links = clients.idle_connections(own.ports[listener], self.sizes.idle, tls=tls)
        time.sleep(0.5)
        each = (memory_kib(door, "VmRSS") - before) * 1024 / 1000 / len(links)
        for link in links:
            link.close()
        figure = f"memory of an idle {'TLS' if tls else 'plain'} connection, kB"
        self.figures[figure][MX].append(each)
        # threats.md section 1 row 23: 12.6 and 67 kB are what asyncio with 32 KiB buffers reaches.
        goal = 100 if tls else 20
        self.goals.append(Goal(figure, f"{each:.1f}", f"<= {goal}", each <= goal))

    # Result

    def report(self) -> str:
        names = [POSTFIX, TUNED, MX, SUBMISSION]
        rows = []
        for figure, by_name in self.figures.items():
            cells = [show(by_name.get(name)) for name in names]
            if "the sink itself" in by_name:
                figure += f" (the sink itself: {show(by_name['the sink itself'])})"
            rows.append([figure, *cells])
        table = markdown(["figure, median (lowest–highest round)", *names], rows)
        goals = markdown(
            ["goal", "reached", "wanted", ""],
            [[g.figure, g.reached, g.wanted, "met" if g.met else "**missed**"] for g in self.goals],
        )
        notes = "\n".join(f"- {key}: {value}" for key, value in self.notes.items())
        return f"{notes}\n\n{table}\n\n{goals}"

    def document(self) -> dict[str, object]:
        return {
            "notes": self.notes,
            "figures": {key: dict(value) for key, value in self.figures.items()},
            "goals": [asdict(goal) for goal in self.goals],
        }


def show(values: list[float] | None) -> str:
    if not values:
        return ""
    digits = 0 if min(values) >= 100 else 1 if min(values) >= 10 else 2
    return Rounds(tuple(values)).show(digits) if len(values) > 1 else f"{values[0]:,.{digits}f}"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key, made with the openssl program."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=mailweir.example.com", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return cert, key


def main() -> int:
    parser = argparse.ArgumentParser(description="Mailweir beside Postfix on this machine")
    parser.add_argument("--quick", action="store_true", help="one short round: a smoke test")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--dir", default="/var/tmp", help="where queue and journal lie, on disk")
    parser.add_argument(
        "--only",
        choices=["throughput", "lasting", "latency", "memory"],
        action="append",
        help="a part of it",
    )
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("Postfix needs root")
    if file_system(Path(arguments.dir)) in ("tmpfs", "ramfs"):
        parser.error(f"--dir {arguments.dir} is memory: an fsync there costs nothing")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))

    folder = Path(tempfile.mkdtemp(prefix="mailweir-bench-", dir=arguments.dir))
    folder.chmod(0o755)  # Postfix's own user has to reach its queue
    try:
        bench = Bench(folder, QUICK if arguments.quick else FULL)
        bench.notes["machine"] = machine(folder)
        bench.notes["command"] = "python " + " ".join(["bench/smtp_relay.py", *sys.argv[1:]])
        parts: dict[str, Callable[[], None]] = {
            "throughput": bench.throughput,
            "lasting": bench.lasting,
            "latency": bench.latency,
            "memory": bench.memory,
        }
        with bench.sink:
            for name, part in parts.items():
                if not arguments.only or name in arguments.only:
                    part()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(bench.document(), indent=1) if arguments.json else bench.report())
    return 0 if all(goal.met for goal in bench.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
