"""Healthy means green: what panels show in the colour of a warning although nothing is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import median

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.grafana import frames
from scripts.grafana.model import DashboardModel
from scripts.model.dashboards import panels

# Grafana's names, with or without a shade before them.
WARNING = re.compile(r"(?:[a-z-]+-)?(?:orange|red|yellow)")


def check(dashboard: DashboardModel, board: Json, document: Json) -> list[Finding]:
    """Return a finding for each panel that warns of something on a day without faults.

    Of a number, a gauge, and a cell that is coloured, its value counts. Of a graph with
    thresholds, what half of the values reach: a moment beyond a line is what the line is for. Of a
    timeline, the state that lasts longest.

    Args:
        dashboard: Which one.
        board: Its JSON.
        document: What was answered on the day (`evaluation.document`).
    """
    findings = []
    for panel in panels(board):
        shown = frames.panel(panel, document["panels"].get(str(panel["id"]), {}))
        warned = dict.fromkeys(
            text
            for name, value, config in _values(shown)
            if (colour := colour_of(value, config)) and WARNING.fullmatch(colour)
            for text in (f"{name or panel['title']!r} is {colour} at {value:.4g}",)
        )
        if warned:
            path, line = dashboard.source(panel["title"])
            said = ", ".join(warned)
            fix = "set its thresholds where people should act, or give it none"
            text = f"panel {panel['title']!r}: on the healthy day {said}"
            findings.append(Finding(path, line, text, fix))
    return findings


def colour_of(value: float, config: Json) -> str:
    """Return Grafana's name of a value's colour, a mapping's before the thresholds'."""
    for mapping in config.get("mappings") or ():
        entry = mapping["options"].get(f"{value:g}")
        if entry and entry.get("color"):
            return str(entry["color"])
    if config["color"]["mode"] != "thresholds" and not config.get("mappings"):
        return ""
    return _threshold(value, config)


def _threshold(value: float, config: Json) -> str:
    steps = config["thresholds"]["steps"]
    reached = [s for s in steps if s["value"] is None or value >= s["value"]]
    return str(reached[-1]["color"])


def _values(shown: Json) -> Iterator[tuple[str, float, Json]]:
    """Yield what a panel shows in a colour of its own: a name, a value, and its settings."""
    data, kind = shown["data"], shown["type"]
    if not data:
        return
    if kind in ("stat", "gauge"):
        for one in data["values"]:
            if _finite(one["value"]):
                yield one["name"], one["value"], one["config"]
    elif kind == "table":
        for column, number in ((c, n) for n, c in enumerate(data["columns"]) if _coloured(c)):
            for row in data["rows"]:
                if _finite(row[number]):
                    yield column["name"], row[number], column["config"]
    elif kind in ("timeseries", "state-timeline"):
        for series in data["series"]:
            yield from _of_series(series, kind)


def _of_series(series: Json, kind: str) -> Iterator[tuple[str, float, Json]]:
    config = series["config"]
    values = [value for value in series["values"] if _finite(value)]
    if not values:
        return
    if kind == "state-timeline":
        yield series["name"], Counter(values).most_common(1)[0][0], config
    elif (config["custom"].get("thresholdsStyle") or {}).get("mode", "off") != "off":
        by_threshold = config | {"color": {"mode": "thresholds"}}
        yield series["name"], median(values), by_threshold


def _coloured(column: Json) -> bool:
    cell: Mapping[str, str] = column["config"]["custom"].get("cellOptions") or {}
    return str(cell.get("type", "")).startswith("color-")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
