"""The median and the maximum of rounds of one kind, and the round that decides."""

from __future__ import annotations

import pytest

from scripts.live.verify import summary
from scripts.live.verify.measurement import Round
from tests.programs.live.verify_cluster import one


def test_median_and_maximum_are_of_rounds_of_one_kind() -> None:
    done = [one(44, 45, warm=False), one(9, 9.5), one(7, 7.5), one(29, 29.5)]
    assert summary.table(done).splitlines() == [
        "round    images     pod  dashboard  public",
        "1        cold    43.0 s     44.0 s  45.0 s",
        "2        warm     8.0 s      9.0 s   9.5 s",
        "3        warm     6.0 s      7.0 s   7.5 s",
        "4        warm    28.0 s     29.0 s  29.5 s",
        "median   warm     8.0 s      9.0 s   9.5 s",
        "maximum  warm    28.0 s     29.0 s  29.5 s",
        "median   cold    43.0 s     44.0 s  45.0 s",
        "maximum  cold    43.0 s     44.0 s  45.0 s",
    ]


@pytest.mark.parametrize(
    ("done", "kept"),
    [
        ([one(6), one(30.0)], True),
        ([one(6), one(30.01)], False),
        ([one(6, 99.0), one(99, warm=False)], True),
        ([one(6, warm=False)], False),
        ([], False),
    ],
    ids=["at the target", "over it", "public and cold do not count", "cold", "none"],
)
def test_the_slowest_warm_dashboard_decides(done: list[Round], kept: bool) -> None:
    assert summary.verdict(done)[0] is kept
