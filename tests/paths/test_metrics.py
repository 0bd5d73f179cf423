"""The metrics: closed label sets, files that survive a restart, the format promtool wants."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.servers import need

ROOT = Path(__file__).resolve().parents[2]

COUNT = """
from proxy import metrics
door = metrics.SmtpCounters("mx")
door.connection("accepted")
door.reply("mail", 250)
door.flush()
metrics.captured("inbound", "captured", 2)
metrics.capture_missing(0)
metrics.unread(0)
metrics.unread(2)
metrics.capture_to_link(-1)
metrics.ingest_lag(1.5)
metrics.mail(10, None)
metrics.mail(12, 2**30)
metrics.delivery_attempt("deferred")
metrics.queue({"queued": (3, 60.0)})
"""
READ = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode(), end="")
"""


def python(code: str, folder: Path, name: str = "mx-0") -> str:
    """Run in a process of its own: the library chooses its way of counting at import."""
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "MAILWEIR_PROCESS": name,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True
    ).stdout


def test_a_role_that_starts_again_goes_on_counting_in_the_same_files(tmp_path: Path) -> None:
    python(COUNT, tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    python(COUNT, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    python(COUNT, tmp_path, "mx-1")
    text = python(READ, tmp_path)
    assert 'mailweir_captures_total{door="inbound",result="captured"} 6.0' in text
    assert 'mailweir_smtp_connections_total{listener="mx",result="accepted"} 3.0' in text
    assert 'mailweir_queue_messages{state="queued"} 3.0' in text
    assert "mailweir_ingest_lag_seconds 1.5" in text
    assert "mailweir_mail_bytes 12.0" in text
    assert "mailweir_unread_total 6.0" in text
    assert "mailweir_mail_quota_bytes 1.073741824e+09" in text
    assert "_created" not in text


def test_hostile_labels_do_not_become_series(tmp_path: Path) -> None:
    text = python(
        """
from proxy import metrics
door = metrics.SmtpCounters("mx")
for n in range(10_000):
    door.reply(f"evil{n}", n)
    door.connection(f"evil{n}")
    metrics.captured(f"a{n}@example.com", f"r{n}")
    metrics.delivery_attempt(f"d{n}")
door.flush()
"""
        + READ,
        tmp_path,
    )
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(series) < 60
    assert "evil" not in text and "@" not in text
    assert 'mailweir_smtp_connections_total{listener="mx",result="other"} 10000.0' in text


@pytest.mark.peers
def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    promtool = need("promtool")
    python(COUNT, tmp_path)
    text = python(READ, tmp_path)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
