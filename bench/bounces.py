"""How well bounces are read: the table of the design page "Bounce taxonomy", with our row.

    python bench/bounces.py [--corpus FOLDER] [--json] [--misses]

The corpus is `shared/corpus/bounce` beside the checkout (truth.csv, replies.csv, mail/): half of
the collection that the other rows were measured on. Without it there is nothing to measure, and
this says so. Counted as there: a bounce is found if the message is called one; a recipient is
right if the address is that of the truth (or its alternative); the class is right if it is that
of the truth for that recipient (of a report about one address, whatever address was read);
a false alarm is anything else called a bounce. The rate is the processor time of read() alone.
Machines differ: a plain reader of RFC 3464 on the standard library, the page's first row, is timed
in the same run, and the ratio of the two is what can be compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import cast

if __name__ == "__main__":  # run as a file: the project's root is the parent folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bounce.detect import read
from bounce.reply import classify, read_reply
from bounce.report import Recipient, Report
from crmstore.addresses import key

# The other rows of the page, on the whole collection.
OTHERS = """\
| plain RFC 3464 reader (stdlib) | 52.8 % | 52.4 % | 43.6 % | 87 | 4 | 2,900 |
| flufl.bounce 6.0 | 86.6 % | 86.6 % | 63.8 % | 223 | 6 | 1,400 |
| BounceParser 1.543 (Perl) | 99.0 % | 88.6 % | 70.0 % | 65 | 335 | 280 |
| Sisimai 5.1 (Perl) + this mapping of its reasons | 97.6 % | 97.9 % | 95.3 % | 2 | 10 | 860 |
| **to beat** | **≥ 99 %** | **≥ 99 %** | **≥ 97.5 %** | **0** | **≤ 2** | **≥ 3,000** |
"""

Row = dict[str, str]


@dataclass
class Score:
    """What was counted."""

    bounces: int = 0
    found: int = 0
    recipients: int = 0
    recipients_right: int = 0
    class_right: int = 0
    soft: int = 0
    soft_as_hard: int = 0
    others: int = 0
    false_alarms: int = 0
    replies: int = 0
    replies_right: int = 0
    rate: float = 0.0  # messages a second of processor time
    plain_rate: float = 0.0  # the same, of the plain reader
    worst: float = 0.0  # seconds
    misses: list[str] = field(default_factory=list)


def beside() -> Path:
    """Where the corpus lies, if it lies beside the checkout."""
    return Path(__file__).resolve().parents[2] / "shared" / "corpus" / "bounce"


def truth(folder: Path) -> dict[str, list[Row]]:
    """The rows of truth.csv by message."""
    found: dict[str, list[Row]] = {}
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["path"], []).append(row)
    return found


def score(folder: Path, *, rounds: int = 1) -> Score:
    """Read and count everything; the rate is the best of `rounds`."""
    total = Score()
    mails = {name: (folder / "mail" / name).read_bytes() for name in truth(folder)}
    for name, rows in truth(folder).items():
        count(total, name, rows, read(mails[name]))
    for row in _replies(folder):
        total.replies += 1
        code, enhanced = read_reply(row["reply"])
        said = classify(code, enhanced or row["status"], row["reply"], "")
        if said.klass == _class(row):
            total.replies_right += 1
        else:
            total.misses.append(f"reply: {row['reply'][:80]}: {said.rule}, {said.category}")
    for _ in range(rounds):
        _clock(total, list(mails.values()))
    return total


def count(total: Score, name: str, rows: list[Row], report: Report) -> None:
    """Add what one message's report got right."""
    bounced = [row for row in rows if row["cls"] == "bounce"]
    if not bounced:
        total.others += 1
        if report.kind == "bounce":
            total.false_alarms += 1
            total.misses.append(f"{name}: false alarm ({report.shape})")
        return
    total.bounces += 1
    total.recipients += len(bounced)
    total.soft += sum(_class(row) == "soft" for row in bounced)
    if report.kind != "bounce":
        total.misses.append(f"{name}: not found, called {report.kind}")
        return
    total.found += 1
    failed = {one.address: one for one in report.recipients if one.action == "failed"}
    for row in bounced:
        right = _whose(row, failed)
        if right is None:
            total.misses.append(f"{name}: recipient {row['recipient']}, read {list(failed)}")
        else:
            total.recipients_right += 1
        one = right or (next(iter(failed.values()), None) if len(bounced) == 1 else None)
        if one is not None and one.klass == _class(row):
            total.class_right += 1
        elif one is not None:
            total.soft_as_hard += one.klass == "hard"
            total.misses.append(
                f"{name}: {one.address} called {one.klass} ({one.category}, {one.rule}),"
                f" is {_class(row)} ({row['reason']})"
            )


def _whose(row: Row, failed: dict[str, Recipient]) -> Recipient | None:
    if not row["recipient"]:  # nobody knows; any answer will do
        return next(iter(failed.values()), None)
    for address in (row["recipient"], row["recipient_alt"]):
        found = failed.get(key(address) or address)
        if address and found is not None:
            return found
    return None


def _class(row: Row) -> str:
    return "hard" if row["hard"] == "true" else "soft"


def _replies(folder: Path) -> Iterator[Row]:
    with (folder / "replies.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _plain(raw: bytes) -> list[str]:
    """What a reader of RFC 3464 does at the least: the failed recipients of the status part."""
    found = []
    for part in BytesParser().parsebytes(raw).walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            for block in cast("list[Message]", part.get_payload()):
                if str(block.get("Action", "")).strip().lower() == "failed":
                    found.append(str(block.get("Final-Recipient", "")).partition(";")[2].strip())
    return found


def _clock(total: Score, mails: list[bytes]) -> None:
    begin = time.process_time()
    for raw in mails:
        start = time.process_time()
        read(raw)
        total.worst = max(total.worst, time.process_time() - start)
    total.rate = max(total.rate, len(mails) / (time.process_time() - begin))
    begin = time.process_time()
    for raw in mails:
        _plain(raw)
    total.plain_rate = max(total.plain_rate, len(mails) / (time.process_time() - begin))


def table(found: Score) -> str:
    """The page's table with our row."""
    row = (
        f"| **Mailweir** (development half: {found.bounces} bounces, {found.others} others)"
        f" | {found.found / found.bounces:.1%} | {found.recipients_right / found.recipients:.1%}"
        f" | {found.class_right / found.recipients:.1%} | {found.soft_as_hard} (of {found.soft})"
        f" | {found.false_alarms} (of {found.others}) | {found.rate:,.0f} |\n"
    )
    head = (
        "| | bounces found | recipients right | hard/soft right | soft called hard (of 270)"
        " | false alarms (of 387) | messages/s, one core |\n|---|---|---|---|---|---|---|\n"
    )
    tail = (
        f"\nLive replies classed right: {found.replies_right} of {found.replies}."
        f" Slowest message: {found.worst * 1000:.1f} ms.\n"
        f"The plain reader in this run: {found.plain_rate:,.0f} messages/s; Mailweir's rate is"
        f" {found.rate / found.plain_rate:.2f} of it (wanted: {3000 / 2900:.2f}).\n"
    )
    return head + OTHERS + row + tail


def main() -> int:
    """Measure and print; 0 even without a corpus, which is said."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=beside(), metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="the counts, as one JSON document")
    parser.add_argument("--misses", action="store_true", help="what was read wrongly, a line each")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="for the rate")
    options = parser.parse_args()
    if not (options.corpus / "truth.csv").is_file():
        print("no corpus: nothing measured (name its folder with --corpus)", file=sys.stderr)
        return 0
    found = score(options.corpus, rounds=options.rounds)
    if options.json:
        print(json.dumps(asdict(found)))
        return 0
    print(table(found))
    if options.misses:
        print("\n".join(found.misses))
    return 0


if __name__ == "__main__":
    sys.exit(main())
