"""A year that Thanos answers otherwise is a finding."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from scripts.bench.metrics import year_table
from scripts.lab.scale.metrics.months import Answer, Asked, Question, Year

Points = Mapping[tuple[str, float], float]
POINTS: Points = {("job=a", 0.0): 10.0, ("job=a", 60.0): 20.0}


def year(through: Points, alone: Points = POINTS) -> Year:
    asked = Asked(Question("requests", "up"), Answer(alone, 1000, 2.0), Answer(through, 10, 1.0))
    return Year(1, 2880, {0: 2**20, 3600: 2**19}, 5.0, (asked,), {"store": 2**20})


def test_the_same_and_what_is_nearly_so() -> None:
    assert year(POINTS).findings() == []
    assert year({("job=a", 0.0): 10.3, ("job=a", 60.0): 20.0}).findings() == []


@pytest.mark.parametrize(
    ("through", "text"),
    [
        ({("job=a", 0.0): 10.0}, "1 of 2 points are missing, the others 0.0% apart"),
        ({("job=a", 0.0): 10.0, ("job=a", 60.0): 26.0}, "the others 20.0% apart"),
    ],
)
def test_points_that_are_missing_or_others(through: Points, text: str) -> None:
    (finding,) = year(through).findings()
    assert text in finding.message


def test_nothing_at_all_proves_nothing() -> None:
    assert len(year({}, {}).findings()) == 1


def test_the_table_compares() -> None:
    head, names, line = year_table(year(POINTS)).strip().splitlines()
    assert "1 MiB of 0 s, 0 MiB of 3600 s" in head
    assert names.startswith("graph of a year")
    assert line.split()[1:6] == ["2", "0.00%", "1,000", "10", "0.010"]
    assert line.split()[6:] == ["2.00", "1.00", "0.50"]
