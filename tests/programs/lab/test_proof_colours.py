"""On a healthy day, what has the colour of a warning is found."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.grafana.model import DashboardModel
from scripts.lab.proof import colours

STEPS = [{"color": "green", "value": None}, {"color": "orange", "value": 5}]
DASHBOARD = DashboardModel("u", "t", (), (), ())
STATES = {"0": {"color": "red", "text": "no"}, "1": {"color": "green", "text": "yes"}}


def panel(kind: str, **defaults: Any) -> Json:
    return {
        "id": 1,
        "type": kind,
        "title": "Panel",
        "gridPos": {},
        "options": {},
        "targets": [{"refId": "A", "legendFormat": "{{app}}"}],
        "fieldConfig": {
            "defaults": {
                "color": {"mode": "thresholds"},
                "custom": {},
                "thresholds": {"mode": "absolute", "steps": STEPS},
                **defaults,
            },
            "overrides": [],
        },
    }


def warned(of: Json, *values: float, graph: bool = False) -> list[str]:
    """Return what is said of a panel that shows values of one series."""
    times = [[60 * at, str(value)] for at, value in enumerate(values)]
    found = {"metric": {"app": "a"}, **({"values": times} if graph else {"value": times[-1]})}
    answer = {
        "expr": "x",
        "language": "promql",
        "step": 60_000,
        "instant": not graph,
        "result": [found],
        "error": None,
    }
    document = {"panels": {"1": {"A": answer}}}
    return [f.message for f in colours.check(DASHBOARD, {"panels": [of]}, document)]


@pytest.mark.parametrize("kind", ["stat", "gauge"])
def test_a_number_beyond_its_threshold_is_found(kind: str) -> None:
    assert warned(panel(kind), 4.9) == []
    assert warned(panel(kind), 5) == ["panel 'Panel': on the healthy day 'a' is orange at 5"]


@pytest.mark.parametrize("shade", ["dark-orange", "super-light-yellow", "red", "semi-dark-red"])
def test_every_shade_of_a_warning_is_one(shade: str) -> None:
    steps = {"mode": "absolute", "steps": [{"color": shade, "value": None}]}
    assert warned(panel("stat", thresholds=steps), 1)


def test_blue_means_nothing() -> None:
    steps = {"mode": "absolute", "steps": [{"color": "blue", "value": None}]}
    assert warned(panel("stat", thresholds=steps), 1) == []


def test_a_mapping_wins_over_thresholds() -> None:
    mappings = [{"type": "value", "options": STATES}]
    assert warned(panel("stat", mappings=mappings), 1) == []
    assert "'a' is red at 0" in warned(panel("stat", mappings=mappings), 0)[0]


def test_of_a_graph_half_of_its_values_count() -> None:
    drawn = panel(
        "timeseries",
        color={"mode": "palette-classic-by-name"},
        custom={"thresholdsStyle": {"mode": "dashed"}},
    )
    assert warned(drawn, 1, 9, 1, graph=True) == []
    assert warned(drawn, 9, 9, 1, graph=True)
    # Where no line is drawn, nothing is said to be too much.
    assert warned(panel("timeseries", custom={}), 9, 9, graph=True) == []


def test_of_a_timeline_the_state_that_lasts_counts() -> None:
    drawn = panel(
        "state-timeline",
        color={"mode": "fixed", "fixedColor": "text"},
        mappings=[{"type": "value", "options": STATES}],
    )
    assert warned(drawn, 1, 0, 1, graph=True) == []
    assert warned(drawn, 0, 0, 1, graph=True)


def test_only_cells_that_are_coloured_count() -> None:
    table = panel("table")
    table["transformations"] = []
    table["options"] = {"sortBy": []}
    assert warned(table, 9) == []
    coloured = {"id": "custom.cellOptions", "value": {"type": "color-background"}}
    table["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": "Value"}, "properties": [coloured]}
    ]
    assert warned(table, 9) == ["panel 'Panel': on the healthy day 'Value' is orange at 9"]
