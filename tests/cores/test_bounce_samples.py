"""A sample of each shape of report, written by us, and what must be read from it.

tests/bounces/golden.csv has a row for each recipient; a message that is no report has one row
without an address.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounce.detect import read
from bounce.report import CATEGORIES, class_of
from bounce.shapes import SHAPES

FOLDER = Path(__file__).resolve().parents[1] / "bounces"


def golden() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    with (FOLDER / "golden.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["sample"], []).append(row)
    return found


GOLDEN = golden()


def sample(name: str) -> bytes:
    return (FOLDER / "samples" / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_sample_says(name: str) -> None:
    rows = GOLDEN[name]
    report = read(sample(name))
    assert report.kind == rows[0]["kind"]
    assert [
        (one.address, one.klass or "", one.category, one.action, one.status)
        for one in report.recipients
    ] == [
        (row["address"], row["class"], row["category"], row["action"], row["status"])
        for row in rows
        if row["address"]
    ]
    assert report.original_message_id == rows[0]["message_id"]


@pytest.mark.parametrize("name", GOLDEN)
def test_only_a_bounce_has_classes(name: str) -> None:
    report = read(sample(name))
    for one in report.recipients:
        assert one.category in CATEGORIES
        if one.action == "failed":
            assert report.kind == "bounce"
            assert one.klass == class_of(one.category) is not None
        else:
            assert one.klass is None


def test_the_golden_file_names_the_samples_there_are() -> None:
    assert sorted(GOLDEN) == sorted(path.stem for path in (FOLDER / "samples").iterdir())


def shapes_seen() -> Iterator[str]:
    return (read(sample(name)).shape for name in GOLDEN)


def test_every_shape_of_the_table_has_a_sample() -> None:
    assert sorted({shape.name for shape in SHAPES} - set(shapes_seen()) - BESIDE_A_STATUS) == []


# Their notices come with an RFC 3464 part, which is what is read.
BESIDE_A_STATUS = {"postfix", "dovecot"}


def test_a_forwarded_address_keeps_both_ends() -> None:
    (one,) = read(sample("exim-forwarded")).recipients
    assert (one.address, one.original) == ("moved@example.org", "client@example.net")


def test_what_a_status_tells_besides() -> None:
    report = read(sample("postfix"))
    (one,) = report.recipients
    assert report.envelope_id == "QQ-77"
    assert report.reporting_mta == "mx.example.net"
    assert report.arrival.startswith("Tue,  3 Mar 2026") or report.arrival.startswith("Tue, 3 Mar")
    assert one.remote_mta == "mx1.example.net"
    assert one.original == "client@example.net"
    assert one.diagnostic.startswith("550 5.1.1 <client@example.net>: Recipient address rejected")
    assert report.returned["subject"] == "Our offer of March"
    assert read(sample("arf-abuse")).feedback_type == "abuse"


def test_the_envelope_sender_is_a_sign() -> None:
    # without Return-Path the header of this one is that of a person
    raw = sample("carrier-full").replace(b"Return-Path: <>\n", b"").replace(b"no-reply@", b"info@")
    assert read(raw, sender="<>").kind == "bounce"
    assert read(raw, sender="info@carrier.example").kind == "mail"
