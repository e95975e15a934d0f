"""What fires is read from the samples of ALERTS."""

from __future__ import annotations

from scripts.lab.alerting.firing import active_periods


def test_runs_of_evaluations_are_told_apart() -> None:
    assert list(active_periods([])) == []
    assert list(active_periods([60.0, 120.0, 300.0])) == [(60.0, 180.0), (300.0, 360.0)]
