"""What fires is read from the samples of ALERTS."""

from __future__ import annotations

from scripts.core import quantities
from scripts.lab.alerting import rulers


def test_runs_of_evaluations_are_told_apart() -> None:
    assert list(rulers.spans([])) == []
    assert list(rulers.spans([60.0, 120.0, 300.0])) == [(60.0, 180.0), (300.0, 360.0)]


def test_durations_are_those_of_prometheus() -> None:
    assert [quantities.duration(text) for text in ("0s", "90s", "5m", "1h30m", "1d")] == [
        *(0, 90, 300, 5400, 86400),
    ]
