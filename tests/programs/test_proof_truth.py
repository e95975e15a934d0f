"""Panels are compared with what is true of the simulated day."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.core.findings import Finding
from scripts.lab.proof import truth
from scripts.lab.proof.truth import Check
from scripts.servers.monitoring import Servers
from tests.programs.days import SmallDay, board, lines, panel
from tests.programs.small_day_servers import CPU, opened

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


def check(**changes: Any) -> tuple[Check, ...]:
    known = Check("board", "CPU", "A", truth._named("cpu/{namespace}/{pod}"), 0.01, "why", 120)
    return (dataclasses.replace(known, **changes),)


def test_true_values_pass_and_wrong_ones_are_found(running: Servers, day: SmallDay) -> None:
    right = opened(running, day, board(panel("CPU", CPU)))
    assert truth.compare(right, day, day.truth, check()) == []
    twice = opened(running, day, board(panel("CPU", f"2 * {CPU}")))
    findings: list[Finding] = truth.compare(twice, day, day.truth, check())
    assert ["0.5 is shown, 0.25 is true" in f.message for f in findings] == [True, False]
    late = opened(running, day, board(panel("CPU", f"sum({CPU})")))
    assert "no series is one that the simulation knows" in str(
        truth.compare(late, day, day.truth, check())[0]
    )
    assert "no query B" in truth.compare(right, day, day.truth, check(ref="B"))[0].message


def test_lines_are_counted_without_loki(running: Servers, day: SmallDay) -> None:
    counted = lines("Lines", 'sum(count_over_time({namespace="default"}[$__range]))')
    counted["targets"][0]["queryType"] = "instant"
    found = opened(running, day, board(counted))
    lines_check = check(panel="Lines", expected=truth._lines, tolerance=0.0, over=0.0)
    assert truth.compare(found, day, day.truth, lines_check) == []
