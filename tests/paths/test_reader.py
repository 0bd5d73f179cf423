"""The process that reads mail: one message may kill it, no other message suffers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import from_json

from crmstore.facts import Facts
from proxy import reader as reader_module
from proxy import reader_child
from proxy.reader import GROUP, GROUP_OCTETS, Job, Reader, ReaderFailed, Unread, groups
from proxy.readerframe import LENGTHS, frame, told
from tests.cores.test_facts import HURTS
from tests.cores.test_mimetree import BOMBS
from tests.corpus import mails

GOOD = b"Subject: good\r\n\r\nbody\r\n"
SLOW = BOMBS["a million lines that look like delimiters"][0]  # at least a tenth of a second


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


class Spool:
    """Bodies in one file, as in a segment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def put(self, body: bytes) -> Job:
        offset = self.path.stat().st_size
        with self.path.open("ab") as file:
            file.write(body)
        return Job(str(self.path), offset, len(body))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "00000001.seg")


def subjects(found: list[Facts | Unread]) -> list[str]:
    return [f.subject if isinstance(f, Facts) else f"unread: {f.why}" for f in found]


def test_answers_stand_in_the_order_of_the_jobs(reader: Reader, spool: Spool) -> None:
    jobs = [spool.put(b"Subject: %d\r\n\r\n" % n) for n in range(300)]
    assert subjects(reader.read(jobs)) == [str(n) for n in range(300)]
    assert reader.read([]) == []


def test_it_reads_on_while_nobody_takes_the_answers(
    reader: Reader, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than the pipe holds, but no more than we hold."""
    words = b" ".join(b"word%d" % n for n in range(20_000))
    jobs = [spool.put(b"Subject: %d\r\n\r\n" % n + words) for n in range(24)]
    reader.read(jobs[:1])
    reading = reader.start(jobs)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        draining = pool.submit(reader.drain, stop)
        until = time.monotonic() + 30
        while len(reader._received) <= 2 * reader_module.PIPE and time.monotonic() < until:
            time.sleep(0.01)
        stop.set()
        draining.result()
    assert len(reader._received) > 2 * reader_module.PIPE
    monkeypatch.setattr(reader_module, "HELD", 0)
    held = len(reader._received)
    reader.drain(threading.Event())  # at once
    assert len(reader._received) == held
    assert subjects(reading.finish()) == [str(n) for n in range(24)]


def test_bodies_that_are_not_there(reader: Reader, spool: Spool, tmp_path: Path) -> None:
    good = spool.put(GOOD)
    gone = Job(str(tmp_path / "gone"), 0, 5)
    short = Job(good.path, good.offset, 10_000)
    assert subjects(reader.read([good, gone, short, good])) == [
        "good",
        "unread: body: No such file or directory",
        "unread: body is cut short",
        "good",
    ]


def test_a_message_over_its_time_is_unread_and_the_rest_is_read(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_STEP", 0.01)
    reader = Reader(cpu_seconds=0.03)
    found = reader.read([spool.put(GOOD), spool.put(SLOW), spool.put(GOOD)])
    reader.close()
    assert subjects(found) == ["good", "unread: time", "good"]


def test_a_message_over_its_memory_or_with_a_fault_of_ours_is_unread(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, job = reader_child.Files(), spool.put(GOOD)
    for error, why in ((MemoryError(), "memory"), (KeyError("x"), "fault: KeyError")):

        def fails(data: bytes, error: Exception = error) -> Generator[None, None, Facts]:
            yield
            if data != GOOD:
                raise error
            return Facts(subject="good")

        monkeypatch.setattr("proxy.reader_child.facts.reading", fails)
        answered = b"".join(reader_child.answers(files, [job, spool.put(b"hurts"), job]))
        said = [json.loads(answer) for answer in unframed(answered)]
        assert said[1] == {"error": why}
        assert said[0] == said[2] == Facts(subject="good").pack()
    files.close()


def test_a_group_that_takes_long_is_answered_one_by_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on; what is done by then is not read again, and the order stays."""
    now, ended = 0.0, list[bytes]()

    def reading(data: bytes) -> Generator[None, None, Facts]:
        nonlocal now
        for _ in range(1 if data == b"short" else 8):
            now += 1
            yield
        ended.append(data)
        return Facts(subject=data.decode())

    monkeypatch.setattr("proxy.reader_child.facts.reading", reading)
    monkeypatch.setattr(reader_child, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(reader_child, "SIDE_BY_SIDE", 20)  # in the midst of a round
    files = reader_child.Files()
    jobs = [spool.put(body) for body in (b"one", b"short", b"two", b"three", b"four")]
    seen = []
    for piece in reader_child.answers(files, jobs):
        said = [json.loads(frame) for frame in unframed(piece)]
        seen.append((said, len(ended)))
    files.close()
    assert ended == [b"short", b"one", b"two", b"three", b"four"]
    expected = [([b"one"], 2), ([b"short", b"two"], 3), ([b"three"], 4), ([b"four"], 5), ([], 5)]
    assert seen == [
        ([Facts(subject=body.decode()).pack() for body in bodies], count)
        for bodies, count in expected
    ]
    monkeypatch.setattr(reader_child, "SIDE_BY_SIDE", 1_000)
    assert [len(list(unframed(piece))) for piece in reader_child.answers(files, jobs)] == [5]
    files.close()


def test_what_takes_long_only_together_is_read_once(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second of processor time and more, with a limit below."""
    monkeypatch.setattr(reader_module, "_STEP", 0.01)
    part = b"--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n"
    head = b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    jobs = [spool.put(b"Subject: %d\r\n" % n + head + part * 1_000) for n in range(GROUP)]
    assert len(list(groups(jobs))) == 1
    reader = Reader(cpu_seconds=0.4)
    reader.read([spool.put(GOOD)])
    child = reader._child
    assert subjects(reader.read(jobs)) == [str(n) for n in range(GROUP)]
    assert reader._child is child
    reader.close()


def unframed(answers: bytes) -> Iterator[bytes]:
    """What each frame tells, but for document and tokens."""
    while answers:
        said, *others = LENGTHS.unpack_from(answers)
        yield answers[LENGTHS.size : LENGTHS.size + said]
        answers = answers[LENGTHS.size + said + sum(others) :]


@given(st.text(st.characters()), st.integers())
@example("\ud800\0\u2028", 1 << 70)
def test_what_is_told_is_what_is_read(text: str, number: int) -> None:
    value = [text, number, None, [True, {text: 1.5}]]
    whole = text.encode("utf-8", "replace").decode()  # no lone surrogates
    assert from_json(told(value)) == [whole, number, None, [True, {whole: 1.5}]]


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 400,
        frame(b"[1]"),
        frame(b"{"),
        frame(b"[" * 100_000),
        frame(b'{"error": "\\ud800"}'),
        frame(b'{"error": "\xed\xa0\x80"}'),
        LENGTHS.pack(2, 0, 0, 3) + b"[]odd",
    ],
)
def test_a_reader_that_answers_nonsense(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    reader = Reader()
    assert subjects(reader.read([spool.put(GOOD)])) == ["good"]
    reader._received += sent
    found = reader.read([spool.put(GOOD)]) + reader.read([spool.put(GOOD)])
    assert subjects(found) == ["unread: reader sent nonsense", "good"]
    reader._received += sent  # about one of several: each is asked for alone
    found = reader.read([spool.put(GOOD), spool.put(GOOD)])
    reader.close()
    assert subjects(found) == ["good", "good"] and reader.kills == 1


def test_a_reader_that_hangs_without_computing(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(wall_seconds=1.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it waits for a writer that never comes
    found = reader.read([spool.put(GOOD), Job(str(pipe), 0, 1), spool.put(GOOD)])
    reader.close()
    assert subjects(found) == ["good", "unread: time", "good"]
    assert reader.kills == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU])
def test_a_reader_that_dies_is_replaced(
    reader: Reader, spool: Spool, number: signal.Signals
) -> None:
    """Who died over several messages may have died of something else."""
    jobs = [spool.put(GOOD)] * 40
    for asked, unread in ((jobs[:1], 1), (jobs, 0)):
        reader.read(jobs)
        assert reader._child is not None
        os.kill(reader._child.pid, number)
        reader._child.wait()
        found = subjects(reader.read(asked))
        assert len(found) == len(asked) and found.count("good") == len(asked) - unread


def test_who_takes_all_the_memory_costs_no_other_its_facts(reader: Reader, spool: Spool) -> None:
    jobs = [spool.put(GOOD)] * 3
    reader.read(jobs[:1])
    reader._received += frame(told({"error": "memory"}))  # to the first of a group
    assert subjects(reader.read(jobs)) == ["good"] * 3
    assert reader.kills == 0
    reader._received += frame(told({"error": "memory"}))  # to one that is alone
    assert subjects(reader.read(jobs[:1])) == ["unread: memory"]


def test_who_kills_among_many_is_found(spool: Spool, tmp_path: Path) -> None:
    """Two of them, in a group with others; all that are behind the first are asked for again."""
    reader = Reader(wall_seconds=0.5)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    jobs = [spool.put(b"Subject: %d\r\n\r\n" % n) for n in range(40)]
    jobs[3] = jobs[20] = Job(str(pipe), 0, 1)
    found = subjects(reader.read(jobs))
    reader.close()
    assert found == ["unread: time" if n in (3, 20) else str(n) for n in range(40)]
    assert reader.kills == 2


def test_groups_are_bounded_and_keep_the_order() -> None:
    large, small = GROUP_OCTETS + 1, 1_000
    jobs = [Job("x", n, large if n in (5, 6) else small) for n in range(2 * GROUP + 8)]
    made = list(groups(jobs))
    assert [job for group in made for job in group] == jobs
    assert [len(group) for group in made] == [5, 1, 1, GROUP, GROUP, 1]
    assert list(groups([])) == []


def test_ctrl_c_and_a_service_stop_are_for_the_worker_to_decide(
    reader: Reader, spool: Spool
) -> None:
    reader.read([spool.put(GOOD)])
    assert reader._child is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(reader._child.pid, number)
    assert subjects(reader.read([spool.put(GOOD)])) == ["good"]


def test_the_child_is_confined(reader: Reader, spool: Spool) -> None:
    reader.read([spool.put(GOOD)])
    assert reader._child is not None
    limits = Path(f"/proc/{reader._child.pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max file size"] == rows["Max core file size"] == "0"
    assert rows["Max address space"].isdigit() and rows["Max cpu time"].isdigit()


def test_the_child_dies_with_its_parent(tmp_path: Path, spool: Spool) -> None:
    job = spool.put(GOOD)
    program = (
        "import os, sys, signal\n"
        "from proxy.reader import Job, Reader\n"
        "reader = Reader()\n"
        f"reader.read([Job({job.path!r}, 0, {job.length})])\n"
        "print(reader._child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    pid = int(done.stdout)
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("the child outlives its parent")


def test_no_child_at_all_is_a_failure_to_be_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(ReaderFailed):
        Reader().read([spool.put(GOOD)])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ReaderFailed):
        Reader().read([spool.put(GOOD)])


def test_it_is_exchanged_from_time_to_time(
    reader: Reader, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "RECYCLE", 3)
    job = spool.put(GOOD)
    pids = set()
    for _ in range(4):
        assert subjects(reader.read([job, job])) == ["good", "good"]
        assert reader._child is not None
        pids.add(reader._child.pid)
    assert len(pids) == 2


@pytest.mark.slow
def test_bombs_through_the_child(reader: Reader, spool: Spool) -> None:
    jobs = [spool.put(data) for data in HURTS.values()]
    found = reader.read([*jobs, spool.put(GOOD)])
    unread = [name for name, f in zip(HURTS, found, strict=False) if isinstance(f, Unread)]
    assert unread == [] and subjects(found)[-1] == "good"


@pytest.mark.slow
def test_the_collection_through_the_child(reader: Reader, spool: Spool) -> None:
    """No message of it kills the child, none takes a second."""
    collection = mails()
    found = reader.read([spool.put(data) for _, data in collection])
    unread = [
        (name, f) for (name, _), f in zip(collection, found, strict=True) if isinstance(f, Unread)
    ]
    assert unread == [] and reader.kills == 0
    assert all(isinstance(f, Facts) and f.document for f in found)
