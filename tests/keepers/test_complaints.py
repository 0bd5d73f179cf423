"""The cases of complaints.py: all in one store, on both engines, so that none disturbs another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keepers.complaints import ALICE, CASES, CHIEF, DAN, Case
from tests.paths.office import Office

ROWS = {1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 17, 18, 19, 20, 22, 23}


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    for user in (ALICE, DAN, CHIEF):
        made.user(user)
    yield made
    made.close()
    made.store.close()


def test_what_others_complain_about_works_here(office: Office) -> None:
    cases = [Case(office, number) for number in range(len(CASES))]
    running = {
        n: told.happens(case) for n, (told, case) in enumerate(zip(CASES, cases, strict=True))
    }
    while running:
        running = {n: steps for n, steps in running.items() if next(steps, "end") != "end"}
        office.take()
    found = {
        (told.row, told.about): tuple(c.timeline()) for told, c in zip(CASES, cases, strict=True)
    }
    assert found == {(told.row, told.about): told.expected for told in CASES}
    report = office.audit()
    assert report.ok
    assert report.accepted == sum(len(case.captures) for case in cases)


def test_every_row_has_a_case() -> None:
    assert {told.row for told in CASES} == ROWS
