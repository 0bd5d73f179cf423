"""Mail programs and a mailbox of 20,000: `python bench/imap_programs.py [--messages N] [NAME]`.

mbsync, offlineimap, neomutt and Thunderbird (what of them is installed) each sync twice: directly
with a Dovecot, and through `mailweir run` in front of it. Three syncs: the whole mailbox; what was
changed here (2,000 new messages, 1,000 flags, 1,000 deletions); what another client changed there.
What is at the client and at the server must be the same on both ways after each of them, and in the
end every message must stand in the store once and `mailweir audit` find no gap; else it fails. The
seconds are the program's own.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import machine
from tests.faultsink import FaultSink
from tests.peers.dovecot import Dovecot
from tests.peers.mailboxes import Plan, Seen, fill, play
from tests.peers.programs import Account, Mbsync, Neomutt, Offlineimap, Program
from tests.peers.thunderbird import Thunderbird
from tests.peers.whole import Whole

PROGRAMS: dict[str, type[Program]] = {
    made.name: made for made in (Mbsync, Offlineimap, Neomutt, Thunderbird)
}
PATIENCE = 1800.0


def until_stored(database: Path, count: int) -> float:
    """Seconds until so many messages are in the store; what is missing in the end, is missed."""
    begin = time.monotonic()
    while time.monotonic() < begin + 120:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            (found,) = store.execute("SELECT count(*) FROM messages").fetchone()
        if found >= count:
            break
        time.sleep(0.2)
    return time.monotonic() - begin


def seen_twice(database: Path) -> list[tuple[str, str]]:
    """Subject and ways of each message that has several captures: harmless, and not wanted."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        return store.execute(
            "SELECT m.subject, group_concat(s.source || ' ' || s.mailbox || ' ' || s.uid)"
            " FROM sightings s JOIN messages m ON m.id = s.message_id"
            " GROUP BY m.id HAVING count(DISTINCT s.capture_id) > 1"
        ).fetchall()


def one(made: type[Program], plan: Plan, place: Path) -> list[str]:
    """A program on both ways: a row of the table."""
    direct_user, user = f"d-{made.name}@example.com", f"t-{made.name}@example.com"
    with (
        FaultSink() as sink,
        Dovecot(
            users={direct_user: "secret", user: "secret"}, relay_to=1, storage="sdbox"
        ) as dovecot,
    ):
        for name in (direct_user, user):
            fill(dovecot, name, plan)
        whole = Whole(
            place,
            imap=f"imap://127.0.0.1:{dovecot.imap_port}",
            inbound=f"smtp://127.0.0.1:{sink.port}",
            submission=f"smtp://127.0.0.1:{dovecot.submission_port}",
        )

        def way(name: str, port: int) -> Seen:
            with made(Account(place / name, port, name, patience=PATIENCE)) as program:
                return play(program, dovecot, name, plan)

        direct = way(direct_user, dovecot.imap_port)
        whole.start()
        try:
            through = way(user, whole.ports["imap"])
            assert through.client == direct.client, f"{made.name}: not the same at the client"
            assert through.server == direct.server, f"{made.name}: not the same at the server"
            behind = until_stored(place / "data" / "mailweir.db", len(plan.subjects))
            stored = whole.emails(user)
            assert set(stored) == plan.subjects, set(stored) ^ plan.subjects
            account = whole.audited()
            twice = seen_twice(place / "data" / "mailweir.db")
        finally:
            whole.stop()
    print(made.name, [sum(held.values()) for held in through.client], account, file=sys.stderr)
    print(f"{len(twice)} captured twice", twice[:20], file=sys.stderr)
    return [
        made.name,
        *(f"{a:.1f} / {b:.1f}" for a, b in zip(direct.seconds, through.seconds, strict=True)),
        f"{behind:.1f}",
        f"{len(stored):,} of {len(plan.subjects):,}",
        f"{len(twice)}",
        f"{len(account['gaps'])}",
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--messages", type=int, default=20_000, metavar="N")
    arguments.add_argument("name", nargs="*", choices=[*PROGRAMS, []], help="default: all")
    given = arguments.parse_args()
    plan = Plan(given.messages)
    print(machine(Path("/var/tmp")) + "\n")
    print(
        "| program | first sync, s, direct / through | changed here, direct / through"
        " | changed there, direct / through | s until all is in the store | stored, each once"
        " | captured twice | gaps |\n|---|---|---|---|---|---|---|---|"
    )
    for name, made in PROGRAMS.items():
        if given.name and name not in given.name:
            continue
        if not shutil.which(name):
            print(f"| {name} | not installed |")
            continue
        place = Path(tempfile.mkdtemp(prefix="mailweir-bench-", dir="/var/tmp"))
        try:
            print("| " + " | ".join(one(made, plan, place)) + " |", flush=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
