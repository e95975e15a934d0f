"""What panels must show: their values against what the simulation knows to be true.

A query can return data and still be wrong: a pod counted twice, a rate of a gauge, bytes for bits.
Each family of panels has a line in CHECKS.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dashboards_py import namespaces
from scripts.core.findings import Finding
from scripts.grafana.evaluation import Opened, Result, points
from scripts.grafana.interpolation import Window

Array = NDArray[np.float64]
Labels = Mapping[str, str]

STEP = 30.0
MINUTE = 60.0


class Day(Protocol):
    """A simulated day, as far as it is needed here; times are seconds since the epoch."""

    @property
    def name(self) -> str:
        """`healthy` or `incident`."""

    @property
    def start(self) -> float:
        """Midnight."""

    @property
    def at(self) -> float:
        """When dashboards are opened."""

    @property
    def tsdb(self) -> Path:
        """Folder of blocks."""

    @property
    def logs(self) -> Path:
        """JSON lines, one log entry each."""

    @property
    def truth(self) -> Mapping[str, Array]:
        """Name to one number for each step of STEP seconds."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """`alerts`: name, labels, begin and end (ms) of each that fired."""


@dataclass(frozen=True)
class Facts:
    """A day's truth, for one dashboard's time range.

    Attributes:
        known: `Day.truth`, read once.
    """

    day: Day
    window: Window
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


@dataclass(frozen=True)
class Check:
    """A panel's query and what it must show.

    Attributes:
        uid: Of the dashboard.
        panel: The panel's title.
        ref: Letter of its query.
        expected: Truth for a series, by its labels; None where the simulation does not know it.
        tolerance: Mean deviation that is allowed, as a share of the mean.
        reason: Why it cannot be exact.
        over: Seconds over which the query takes the mean.
        least: What is never too much, in the panel's unit.
    """

    uid: str
    panel: str
    ref: str
    expected: Callable[[Facts, Labels], Array | None]
    tolerance: float
    reason: str
    over: float = 0.0
    least: float = 1e-9


def _named(template: str) -> Callable[[Facts, Labels], Array | None]:
    """Return what finds truth by a name with labels of the series in it."""

    def expected(facts: Facts, labels: Labels) -> Array | None:
        try:
            return facts.get(template.format_map(labels))
        except KeyError:
            return None

    return expected


def _error_ratio(facts: Facts, labels: Labels) -> Array | None:
    requests = facts.get(f"requests/{labels.get('app')}")
    errors = facts.get(f"errors/{labels.get('app')}")
    if requests is None or errors is None:
        return None
    width = 5 * MINUTE
    with np.errstate(divide="ignore", invalid="ignore"):
        return trailing_mean(errors, width) / trailing_mean(requests, width)


def _restarts(facts: Facts, _: Labels) -> Array:
    return facts.sum(f"restarts/{_namespace()}/")


def _pods_ready(facts: Facts, _: Labels) -> Array | None:
    return facts.get(f"pods_ready/{_namespace()}")


def _memory(facts: Facts, _: Labels) -> Array:
    return facts.sum(f"memory/{_namespace()}/")


def _backlog(facts: Facts, labels: Labels) -> Array:
    return facts.sum(f"backlog/{labels['redpanda_group']}/")


def _consumed(facts: Facts, labels: Labels) -> Array | None:
    return facts.sum("consumed/") if labels["process_status"] == "success" else None


def _unavailable(facts: Facts, labels: Labels) -> Array | None:
    """Return the share of requests and probes of six hours that failed (base/config/slos)."""
    probe = facts.get("probe/backend")
    if probe is None or labels["sloth_slo"] != "api-availability":
        return None
    width = 6 * 60 * MINUTE
    failed = trailing_mean(facts.sum("api_errors") + (1 - probe) / STEP, width)
    return failed / trailing_mean(facts.sum("api_requests") + 1 / STEP, width)


def _total(prefix: str) -> Callable[[Facts, Labels], Array | None]:
    return lambda facts, _: facts.sum(prefix)


def _of_namespace(what: str) -> Callable[[Facts, Labels], Array | None]:
    return lambda facts, labels: facts.sum(f"{what}/{labels['namespace']}/")


def _of_tier(resource: str) -> Callable[[Facts, Labels], Array | None]:
    def expected(facts: Facts, _: Labels) -> Array | None:
        capacity, tier = facts.get(f"capacity/{resource}"), facts.get(f"budget/tier.{resource}")
        return None if capacity is None or tier is None else capacity / tier

    return expected


def _alerts(facts: Facts, _: Labels) -> Array:
    at = facts.window.end
    firing = [
        alert
        for alert in facts.day.summary["alerts"]
        if alert["start"] <= at <= alert["end"]
        and alert["labels"].get("severity", "none") != "none"
    ]
    return facts.constant(len(firing))


def _lines(facts: Facts, _: Labels) -> Array:
    return facts.constant(_count_lines(facts.day.logs, facts.window))


_SCRAPED = "scraped every 30 s, and a pod that came or went is seen a scrape later"
_RATE = "a rate is extrapolated from scrapes to the ends of its range"

_CONSTANT = "it does not change within a day"
_BRIEF = "a container that lives for one scrape has no rate"
_FEW = "a counter's first count has no rate, and few errors make an uneven share"

CHECKS = (
    Check(
        "todo-overview", "CPU by pod", "A", _named("cpu/{namespace}/{pod}"), 0.05, _BRIEF, 300, 0.01
    ),
    Check(
        "todo-overview", "Memory by pod", "A", _named("memory/{namespace}/{pod}"), 0.02, _SCRAPED
    ),
    Check("todo-overview", "Memory", "A", _memory, 0.02, _SCRAPED),
    Check(
        "todo-overview",
        "Request rate by app",
        "A",
        _named("requests/{app}"),
        0.1,
        _RATE,
        5 * MINUTE,
    ),
    Check("todo-overview", "Server errors", "A", _error_ratio, 0.3, _FEW, least=0.001),
    Check("todo-overview", "Probes", "A", _named("probe/{job}"), 0.0, "0 or 1"),
    Check("todo-overview", "Pods", "A", _pods_ready, 0.0, "a count"),
    Check("todo-overview", "Restarts so far", "A", _restarts, 0.0, "a count"),
    Check("todo-overview", "Alerts firing", "A", _alerts, 0.0, "a count"),
    Check("todo-logs", "Lines", "A", _lines, 0.001, "a line at the very end of the range"),
    Check("todo-events", "Published by topic", "A", _named("published/{topic}"), 0.2, _RATE, 120),
    Check("todo-events", "Processed by outcome", "A", _consumed, 0.2, _RATE, 120),
    # A tenth of what the objective allows.
    Check("todo-slo", "All objectives", "F", _unavailable, 0.1, _FEW, least=0.0005),
    Check("todo-events", "Consumer lag in the broker", "A", _backlog, 0.05, _SCRAPED),
    Check("cluster-capacity", "CPU of the cluster", "D", _total("node_cpu/"), 0.05, _RATE, 120),
    Check("cluster-capacity", "Memory of the cluster", "D", _total("node_memory/"), 0.02, _SCRAPED),
    Check("cluster-capacity", "CPU by namespace", "A", _of_namespace("cpu"), 0.1, _RATE, 300, 0.01),
    Check("cluster-capacity", "Memory by namespace", "A", _of_namespace("memory"), 0.02, _SCRAPED),
    Check(
        "cluster-capacity",
        "Volume use",
        "A",
        _named("volume/{namespace}/{persistentvolumeclaim}"),
        0.01,
        _SCRAPED,
    ),
    Check("cluster-capacity", "Free tier", "A", _of_tier("cpu"), 0.0, _CONSTANT),
    Check("cluster-capacity", "Free tier", "B", _of_tier("memory"), 0.0, _CONSTANT),
    Check("stack-health", "Series in memory", "B", _named("budget/series.limit"), 0.0, _CONSTANT),
)


def compare(
    opened: Opened, day: Day, known: Mapping[str, Array], checks: tuple[Check, ...] = CHECKS
) -> list[Finding]:
    """Return a finding for each series that deviates from the truth by more than it may.

    Args:
        opened: A dashboard with its answers.
        day: The day that they are of.
        known: `day.truth`, which takes a while to read.
        checks: What must hold.
    """
    facts = Facts(day, opened.window, known)
    findings = []
    for check in checks:
        if check.uid != opened.dashboard.uid:
            continue
        results = [
            r for r in opened.results if r.where == check.panel and r.target.ref == check.ref
        ]
        if not results:
            text = f"there is no query {check.ref} in a panel {check.panel!r}"
            findings.append(
                Finding(
                    "scripts/lab/proof/truth.py", None, f"{check.uid}: {text}", "correct CHECKS"
                )
            )
        for result in results:
            findings += _judge(check, result, facts, opened)
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


def _judge(check: Check, result: Result, facts: Facts, opened: Opened) -> Iterator[Finding]:
    path, line = opened.dashboard.where(check.panel)
    place = f"panel {check.panel!r}, query {check.ref}: {facts.day.name}"
    compared = 0
    for series in result.data:
        expected = check.expected(facts, series["metric"])
        if expected is None:
            continue
        shown, true = _pairs(series, expected, check.over, facts.day.start)
        if not len(shown):
            continue
        compared += 1
        deviation, size = float(np.mean(np.abs(shown - true))), float(np.mean(np.abs(true)))
        if deviation > check.tolerance * size + check.least:
            name = ", ".join(f"{k}={v}" for k, v in series["metric"].items() if k != "__name__")
            means = f"{np.mean(shown):.4g} is shown, {np.mean(true):.4g} is true"
            text = f"{place}: {means} on average, {deviation:.2g} apart, of {{{name}}}"
            allowed = f"{check.tolerance:.1%} are allowed ({check.reason})"
            yield Finding(path, line, text, f"correct the query, or the simulation; {allowed}")
    if not compared and result.finite:
        text = f"{place}: no series is one that the simulation knows"
        yield Finding(
            path, line, text, "correct the labels in CHECKS of scripts/lab/proof/truth.py"
        )


def _pairs(
    series: Mapping[str, Any], expected: Array, over: float, start: float
) -> tuple[Array, Array]:
    """Return what is shown and what is true at each point where both are known."""
    smooth = trailing_mean(expected, over) if over else expected
    drawn = np.array(list(points(series)), dtype=np.float64).reshape(-1, 2)
    index = ((drawn[:, 0] - start) // STEP).astype(int)
    known = (index >= 0) & (index < len(smooth))
    shown, true = drawn[known, 1], smooth[index[known]]
    both = np.isfinite(shown) & np.isfinite(true)
    return shown[both], true[both]


def _namespace() -> str:
    return namespaces.application()


@functools.cache
def _count_lines(logs: Path, window: Window) -> int:
    """Count the application's lines in a time range, without Loki."""
    first, last = window.start * 10**6, window.end * 10**6
    count = 0
    with logs.open(encoding="utf-8") as lines:
        for line in lines:
            sync = json.loads(line)
            labels = sync["labels"]
            if labels.get("namespace") == _namespace() and labels.get("container"):
                count += first < int(sync["timestamp"]) <= last
    return count
