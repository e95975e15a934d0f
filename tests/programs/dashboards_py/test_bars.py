"""One event is one bar, and its height is 1: as Grafana asks, and as Prometheus answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dashboards_py import panels
from dashboards_py.promql import Kind, Metric
from dashboards_py.query import Language, Source
from scripts import tools
from scripts.core.quantities import duration
from scripts.grafana import timing
from scripts.model.dashboards import substitute

SCRAPE = 30
COUNTER = Metric("events_total", Kind.COUNTER, frozenset({"app"}), Source("s", "none"))
# In scrapes from the beginning: alone, two at once, one scrape after another, and many.
EVENTS = {21: 1, 40: 2, 61: 1, 62: 1, 85: 30}
SCRAPES = 120


def asked() -> timing.Timing:
    """Return when Grafana evaluates the query of a panel of bars, over an hour."""
    least = round(duration(panels.BAR[Language.PROMQL]) * 1000)
    hour, points = timing.TimeRange(0, timing.HOUR), timing.max_data_points(8)
    return timing.prometheus_timing(hour, points, SCRAPE * 1000, min_interval=least)


def query() -> str:
    expr = COUNTER().increase().sum().expr
    values = {**asked().built_in, "cluster": ".*"}
    return substitute(expr, lambda name, _: values.get(name))


def bars(offset: int) -> list[tuple[int, int]]:
    """Return seconds and height of each bar, so many seconds after a scrape."""
    step = asked().step // 1000
    return [
        (at, sum(n for scrape, n in EVENTS.items() if at - step < scrape * SCRAPE <= at))
        for at in range(5 * step + offset, SCRAPES * SCRAPE, step)
    ]


def said(folder: Path, expr: str, offset: int) -> str:
    """Return what promtool says against the bars that `bars` expects; empty where they are so."""
    value, values = 7, []
    for scrape in range(SCRAPES):
        value += EVENTS.get(scrape, 0)
        values.append(str(value))
    document = {
        "evaluation_interval": "30s",
        "tests": [
            {
                "interval": f"{SCRAPE}s",
                "input_series": [{"series": 'events_total{app="a"}', "values": " ".join(values)}],
                "promql_expr_test": [
                    {
                        "expr": expr,
                        "eval_time": f"{at}s",
                        "exp_samples": [{"labels": "{}", "value": height}],
                    }
                    for at, height in bars(offset)
                ],
            }
        ],
    }
    path = folder / "bars.yaml"
    path.write_text(yaml.safe_dump(document))
    done = tools.run("promtool", "test", "rules", path)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("offset", [0, 1, 13, 29])
def test_one_event_is_one_bar_of_height_one(tmp_path: Path, offset: int) -> None:
    assert "$" not in query()
    assert said(tmp_path, query(), offset) == ""


@pytest.mark.parametrize(
    "other",
    [
        # Extrapolated to the range, and a range that leaves out what lies between two steps.
        "sum(increase(events_total[2m30s]))",
        "sum(increase(events_total[2m]))",
        # Overlapping ranges, as at steps of 30 s.
        "sum(round(rate(events_total[4m]) * 120))",
    ],
)
def test_other_ways_to_count_are_seen_to_be_wrong(tmp_path: Path, other: str) -> None:
    assert "FAILED" in said(tmp_path, other, 13)
