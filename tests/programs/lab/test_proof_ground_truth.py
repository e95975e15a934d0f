"""Panels are compared with what is true of the simulated day."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts import simulation
from scripts.core.findings import Finding
from scripts.lab.proof import ground_truth
from scripts.lab.proof.ground_truth import Expected
from scripts.servers.monitoring import Servers
from tests.programs.small_day_servers import CPU, opened
from tests.programs.tsdb_fixtures import board, lines, panel

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


def check(**changes: Any) -> dict[str, tuple[Expected, ...]]:
    truth = ground_truth._named("cpu/{namespace}/{pod}")
    known = Expected("CPU", "A", truth, 0.01, "why", 120)
    return {"board": (dataclasses.replace(known, **changes),)}


def test_true_values_pass_and_wrong_ones_are_found(running: Servers, day: simulation.Day) -> None:
    right = opened(running, day, board(panel("CPU", CPU)))
    assert ground_truth.compare(right, day, day.truth, check()) == []
    twice = opened(running, day, board(panel("CPU", f"2 * {CPU}")))
    findings: list[Finding] = ground_truth.compare(twice, day, day.truth, check())
    assert ["0.5 is shown, 0.25 is true" in f.message for f in findings] == [True, False]
    late = opened(running, day, board(panel("CPU", f"sum({CPU})")))
    assert "no series is one that the simulation knows" in str(
        ground_truth.compare(late, day, day.truth, check())[0]
    )
    assert "no query B" in ground_truth.compare(right, day, day.truth, check(ref="B"))[0].message


def test_lines_are_counted_without_loki(running: Servers, day: simulation.Day) -> None:
    counted = lines("Lines", 'sum(count_over_time({namespace="default"}[$__range]))')
    counted["targets"][0]["queryType"] = "instant"
    found = opened(running, day, board(counted))
    lines_check = check(
        panel="Lines", expected=ground_truth._lines, relative_tolerance=0.0, mean_over=0.0
    )
    assert ground_truth.compare(found, day, day.truth, lines_check) == []
