"""What panels must show: their values against the ground truth, which the simulation knows.

A query can return data and still be wrong: a pod counted twice, a rate of a gauge, bytes for bits.
Each family of panels has a line in EXPECTED.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import tools
from scripts.core.findings import Finding
from scripts.grafana.evaluation import OpenedDashboard, QueryResult, samples
from scripts.grafana.timing import TimeRange
from scripts.rules.facts import Facts
from scripts.simulation import Day
from scripts.simulation.state import application_namespace

Array = NDArray[np.float64]
Labels = Mapping[str, str]

MODULE = "scripts/lab/proof/ground_truth.py"
STEP = 30.0
MINUTE = 60.0


@dataclass(frozen=True)
class GroundTruth:
    """What is true of a day, for one dashboard's time range.

    Attributes:
        known: `Day.truth`, read once.
    """

    day: Day
    time_range: TimeRange
    known: Mapping[str, Array]

    def get(self, name: str) -> Array | None:
        """Return one number for each step, None for what the simulation does not know."""
        return self.known.get(name)

    def sum(self, prefix: str) -> Array:
        """Add up all that begins with a prefix; what does not exist adds nothing."""
        found = [np.nan_to_num(v) for key, v in self.known.items() if key.startswith(prefix)]
        return np.asarray(np.sum(found, axis=0))

    def constant(self, value: float) -> Array:
        """Return the same number at each step."""
        return np.full(round(86400 / STEP), value)


# Finds what a series must show, by its labels; None where the simulation does not know it.
Shown = Callable[[GroundTruth, Labels], Array | None]


@dataclass(frozen=True)
class Expected:
    """A panel's query and what it must show.

    Attributes:
        panel: The panel's title.
        ref: Letter of its query.
        expected: Truth for a series.
        relative_tolerance: Mean deviation that is allowed, as a share of the mean.
        reason: Why it cannot be exact.
        mean_over: Seconds over which the query takes the mean.
        absolute_tolerance: Deviation that is allowed besides, in the panel's unit.
    """

    panel: str
    ref: str
    expected: Shown
    relative_tolerance: float
    reason: str
    mean_over: float = 0.0
    absolute_tolerance: float = 1e-9


def _named(template: str) -> Shown:
    """Return what finds truth by a name with labels of the series in it."""

    def expected(truth: GroundTruth, labels: Labels) -> Array | None:
        try:
            return truth.get(_filled(template, labels))
        except KeyError:
            return None

    return expected


def _sum(template: str) -> Shown:
    """Return what adds up all that begins with a name with labels of the series in it."""
    return lambda truth, labels: truth.sum(_filled(template, labels))


def _filled(template: str, labels: Labels) -> str:
    return template.format_map({**labels, "application": _namespace()})


def _error_ratio(truth: GroundTruth, labels: Labels) -> Array | None:
    requests = truth.get(f"requests/{labels.get('app')}")
    errors = truth.get(f"errors/{labels.get('app')}")
    if requests is None or errors is None:
        return None
    width = 5 * MINUTE
    with np.errstate(divide="ignore", invalid="ignore"):
        return trailing_mean(errors, width) / trailing_mean(requests, width)


def _consumed(truth: GroundTruth, labels: Labels) -> Array | None:
    return truth.sum("consumed/") if labels["process_status"] == "success" else None


def _unavailable(truth: GroundTruth, labels: Labels) -> Array | None:
    """Return the share of requests and probes of six hours that failed (base/config/slos)."""
    probe = truth.get("probe/backend")
    if probe is None or labels["sloth_slo"] != "api-availability":
        return None
    width = 6 * 60 * MINUTE
    failed = trailing_mean(truth.sum("api_errors") + (1 - probe) / STEP, width)
    return failed / trailing_mean(truth.sum("api_requests") + 1 / STEP, width)


def _of_tier(resource: str) -> Shown:
    def expected(truth: GroundTruth, _: Labels) -> Array | None:
        capacity, tier = truth.get(f"capacity/{resource}"), truth.get(f"budget/tier.{resource}")
        return None if capacity is None or tier is None else capacity / tier

    return expected


def _alerts(*severities: str) -> Shown:
    def expected(truth: GroundTruth, _: Labels) -> Array:
        at = truth.time_range.end
        firing = [
            alert
            for alert in truth.day.summary["alerts"]
            if alert["start"] <= at <= alert["end"]
            and alert["labels"].get("severity") in severities
        ]
        return truth.constant(len(firing))

    return expected


def _restarts(truth: GroundTruth, labels: Labels) -> Array:
    """Return how often containers restarted from the start of the time range on."""
    so_far = truth.sum(_filled("restarts/{application}/", labels))
    begin = int((truth.time_range.start / 1000 - truth.day.start) // STEP)
    return np.asarray(so_far - so_far[begin])


def _lines(truth: GroundTruth, _: Labels) -> Array:
    return truth.constant(_count_lines(truth.day.logs, truth.time_range))


_SCRAPED = "scraped every 30 s, and a pod that came or went is seen a scrape later"
_RATE = "a rate is extrapolated from scrapes to the ends of its range"

_CONSTANT = "it does not change within a day"
_BRIEF = "a container that lives for one scrape has no rate"
_FEW = "a counter's first count has no rate, and few errors make an uneven share"

_VOLUME = _named("volume/{namespace}/{persistentvolumeclaim}")

# What is compared, by the dashboard's uid.
EXPECTED: Mapping[str, tuple[Expected, ...]] = {
    "cluster-capacity": (
        Expected("CPU of the cluster", "D", _sum("node_cpu/"), 0.05, _RATE, 300),
        Expected("Memory of the cluster", "D", _sum("node_memory/"), 0.02, _SCRAPED),
        Expected("CPU by namespace", "A", _sum("cpu/{namespace}/"), 0.1, _RATE, 300, 0.01),
        Expected("Memory by namespace", "A", _sum("memory/{namespace}/"), 0.02, _SCRAPED),
        Expected("Volume use", "A", _VOLUME, 0.01, _SCRAPED),
        Expected("Free tier", "A", _of_tier("cpu"), 0.0, _CONSTANT),
        Expected("Free tier", "B", _of_tier("memory"), 0.0, _CONSTANT),
    ),
    "stack-health": (
        Expected("Series in memory", "B", _named("budget/series.limit"), 0.0, _CONSTANT),
    ),
    "todo-events": (
        Expected("Published by topic", "A", _named("published/{topic}"), 0.2, _RATE, 120),
        Expected("Processed by outcome", "A", _consumed, 0.2, _RATE, 120),
        Expected(
            "Consumer lag in the broker", "A", _sum("backlog/{redpanda_group}/"), 0.05, _SCRAPED
        ),
    ),
    "todo-logs": (Expected("Lines", "A", _lines, 0.001, "a line at the very end of the range"),),
    "todo-overview": (
        Expected("CPU by pod", "A", _named("cpu/{namespace}/{pod}"), 0.05, _BRIEF, 300, 0.01),
        Expected("Memory by pod", "A", _named("memory/{namespace}/{pod}"), 0.02, _SCRAPED),
        Expected("Memory", "A", _sum("memory/{application}/"), 0.02, _SCRAPED),
        Expected("Request rate by app", "A", _named("requests/{app}"), 0.1, _RATE, 5 * MINUTE),
        Expected("Server errors", "A", _error_ratio, 0.3, _FEW, absolute_tolerance=0.001),
        Expected("Probes", "A", _named("probe/{job}"), 0.0, "0 or 1"),
        Expected("Pods", "A", _named("pods_ready/{application}"), 0.0, "a count"),
        Expected("Restarts", "A", _restarts, 0.0, "a count"),
        Expected("Alerts firing", "A", _alerts("critical"), 0.0, "a count"),
        Expected("Alerts firing", "B", _alerts("warning", "info"), 0.0, "a count"),
    ),
    "todo-slo": (
        # A tenth of what the objective allows.
        Expected("All objectives", "F", _unavailable, 0.1, _FEW, absolute_tolerance=0.0005),
    ),
}


def compare(
    opened: OpenedDashboard,
    day: Day,
    known: Mapping[str, Array],
    expected: Mapping[str, tuple[Expected, ...]] = EXPECTED,
) -> list[Finding]:
    """Return a finding for each series that deviates from the truth by more than it may.

    Args:
        opened: A dashboard with its answers.
        day: The day that they are of.
        known: `day.truth`, which takes a while to read.
        expected: What must hold, by the dashboard's uid.
    """
    truth = GroundTruth(day, opened.time_range, known)
    findings = []
    for check in expected.get(opened.dashboard.uid, ()):
        results = [
            r for r in opened.results if r.title == check.panel and r.target.ref == check.ref
        ]
        if not results:
            text = f"there is no query {check.ref} in a panel {check.panel!r}"
            findings.append(
                Finding(MODULE, None, f"{opened.dashboard.uid}: {text}", "correct EXPECTED")
            )
        for result in results:
            findings += _deviations(check, result, truth, opened)
    return findings


def trailing_mean(values: Array, seconds: float) -> Array:
    """Return, for each step, the mean of the last so many seconds; NaN where one of them is."""
    width = max(1, round(seconds / STEP))
    known = np.isfinite(values)
    sums = np.cumsum(np.where(known, values, 0.0))
    counts = np.cumsum(known.astype(np.float64))
    sums[width:] -= sums[:-width].copy()
    counts[width:] -= counts[:-width].copy()
    return np.where(counts == width, sums / width, np.nan)


def _deviations(
    check: Expected, result: QueryResult, truth: GroundTruth, opened: OpenedDashboard
) -> Iterator[Finding]:
    path, line = opened.dashboard.source(check.panel)
    place = f"panel {check.panel!r}, query {check.ref}: {truth.day.name}"
    compared = 0
    for series in result.data:
        expected = check.expected(truth, series["metric"])
        if expected is None:
            continue
        shown, true = _pairs(series, expected, check.mean_over, truth.day.start)
        if not len(shown):
            continue
        compared += 1
        deviation, size = float(np.mean(np.abs(shown - true))), float(np.mean(np.abs(true)))
        if deviation > check.relative_tolerance * size + check.absolute_tolerance:
            name = ", ".join(f"{k}={v}" for k, v in series["metric"].items() if k != "__name__")
            means = f"{np.mean(shown):.4g} is shown, {np.mean(true):.4g} is true"
            text = f"{place}: {means} on average, {deviation:.2g} apart, of {{{name}}}"
            allowed = f"{check.relative_tolerance:.1%} are allowed ({check.reason})"
            yield Finding(path, line, text, f"correct the query, or the simulation; {allowed}")
    if not compared and result.finite:
        text = f"{place}: no series is one that the simulation knows"
        yield Finding(path, line, text, f"correct the labels in EXPECTED of {MODULE}")


def _pairs(
    series: Mapping[str, Any], expected: Array, mean_over: float, start: float
) -> tuple[Array, Array]:
    """Return what is shown and what is true at each point where both are known."""
    smooth = trailing_mean(expected, mean_over) if mean_over else expected
    drawn = np.array(list(samples(series)), dtype=np.float64).reshape(-1, 2)
    index = ((drawn[:, 0] - start) // STEP).astype(int)
    known = (index >= 0) & (index < len(smooth))
    shown, true = drawn[known, 1], smooth[index[known]]
    both = np.isfinite(shown) & np.isfinite(true)
    return shown[both], true[both]


@functools.cache
def _namespace() -> str:
    """Return the namespace that the application is simulated in."""
    return application_namespace(Facts.of(tools.ROOT).application)


@functools.cache
def _count_lines(logs: Path, time_range: TimeRange) -> int:
    """Count the application's lines in a time range, without Loki."""
    first, last = time_range.start * 10**6, time_range.end * 10**6
    count = 0
    with logs.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            labels = entry["labels"]
            if labels.get("namespace") == _namespace() and labels.get("container"):
                count += first < int(entry["timestamp"]) <= last
    return count
