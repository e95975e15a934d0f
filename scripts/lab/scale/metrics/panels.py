"""What panels show through Thanos beside a Prometheus alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from scripts.core.columns import aligned
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.grafana import evaluation
from scripts.grafana.evaluation import OpenedDashboard, QueryResult
from scripts.grafana.model import DashboardModel, VariableModel
from scripts.grafana.timing import TimeRange
from scripts.model.clusters import LABEL as CLUSTER
from scripts.model.dashboards import LOGQL
from scripts.servers.api import Api
from scripts.servers.monitoring import Servers

# What legends say of it, where there is one.
IN_CLUSTER = "in_cluster"
_ALL = "$__all"
# Two servers add up the same numbers in another order.
EXACT = 1e-9
# Seconds between first and last missing point up to which it is no gap where exactness is not asked
# for: a rate of next to nothing comes and goes with a single scrape. Prometheus' own lookback.
BRIEF = 300.0
_MISSING, _LACKS = "is missing", "lacks a point"
Points = Mapping[float, float]


@dataclass(frozen=True)
class Difference:
    """A query that is answered differently: where, and what the first difference is."""

    dashboard: str
    panel: str
    ref: str
    text: str
    expr: str

    @property
    def gap(self) -> bool:
        """Whether a series or a point is missing."""
        return self.text.endswith(_MISSING) or _LACKS in self.text

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.dashboard}: panel {self.panel!r}, query {self.ref}: {self.text}: {self.expr}"


def open_metrics(
    api: Api, dashboard: DashboardModel, time_range: TimeRange, cluster: str = ""
) -> OpenedDashboard:
    """Open a dashboard without its queries of logs.

    Args:
        api: Of what answers PromQL.
        dashboard: Which one.
        time_range: The dashboard's.
        cluster: What its variable `cluster` stands at; by default All.
    """
    return evaluation.open_dashboard(Servers(api, api), of_metrics(dashboard, cluster), time_range)


def of_metrics(dashboard: DashboardModel, cluster: str = "") -> DashboardModel:
    """Return a dashboard without its queries of logs, at a cluster or at All."""
    return replace(
        dashboard,
        panels=tuple(
            replace(panel, targets=targets)
            for panel in dashboard.panels
            if (targets := tuple(t for t in panel.targets if t.language != LOGQL))
        ),
        variables=tuple(
            _without_logs(replace(v, current=(cluster or _ALL,)) if v.name == CLUSTER else v)
            for v in dashboard.variables
        ),
        annotations=tuple(a for a in dashboard.annotations if a.target.language != LOGQL),
    )


def _without_logs(variable: VariableModel) -> VariableModel:
    """Return a variable whose options only Loki knows at everything."""
    if variable.language != LOGQL:
        return variable
    return replace(
        variable, kind="constant", language="", query=variable.all_value or ".+", current=("",)
    )


def differences(
    expected: OpenedDashboard,
    actual: OpenedDashboard,
    ignored: Sequence[str] = (),
    tolerance: float = EXACT,
) -> list[Difference]:
    """Compare what two servers make of a dashboard.

    Args:
        expected: What is right.
        actual: What is judged.
        ignored: Labels that are left out on both sides.
        tolerance: Deviation of a series that is allowed on average, as a share of its mean; then
            points may be missing for BRIEF. By default each point has to be the same.
    """
    uid, found = expected.dashboard.uid, []
    for name, value in expected.values.items():
        if name != CLUSTER and actual.values[name] != value:
            text = f"{value.values!r} was to be found, {actual.values[name].values!r} is"
            found.append(Difference(uid, f"variable {name}", "-", text, ""))
    if len(expected.results) != len(actual.results):
        text = f"{len(expected.results)} queries were to be asked, {len(actual.results)} are"
        return [*found, Difference(uid, "all", "-", text, "")]
    for one, other in zip(expected.results, actual.results, strict=True):
        if text := difference(one, other, ignored, tolerance):
            found.append(Difference(uid, one.title, one.target.ref, text, other.expr))
    return found


def difference(
    expected: QueryResult,
    actual: QueryResult,
    ignored: Sequence[str] = (),
    tolerance: float = EXACT,
) -> str:
    """Say how an answer is not the expected one; empty where it is."""
    if actual.error or expected.error:
        return f"refused: {actual.error or expected.error}"
    if twice := _twice(actual, ignored) - _twice(expected, ignored):
        return f"{_named(next(iter(twice)))} is there more than once"
    ones, others = _series(expected, ignored), _series(actual, ignored)
    for labels in sorted(ones.keys() - others.keys()) or sorted(others.keys() - ones.keys()):
        return f"{_named(labels)} {_MISSING if labels in ones else 'is too much'}"
    for labels, points in ones.items():
        if text := _points(points, others[labels], tolerance):
            return f"{_named(labels)} {text}"
    return ""


def _points(expected: Points, actual: Points, tolerance: float) -> str:
    exact = tolerance == EXACT
    lacking = _longest(sorted(expected), actual)
    if lacking and (exact or lacking[-1] - lacking[0] > BRIEF or not actual):
        return f"{_LACKS} at {lacking[0]:.0f} and {len(lacking) - 1} after it"
    if exact and (more := sorted(actual.keys() - expected.keys())):
        return f"has a point at {more[0]:.0f}"
    pairs = [(expected[m], actual[m]) for m in sorted(expected.keys() & actual.keys())]
    if exact:
        for one, other in pairs:
            if not _same(one, other):
                return f"is {other:.12g}, and not {one:.12g}"
        return ""
    known = [(one, other) for one, other in pairs if math.isfinite(one) and math.isfinite(other)]
    size = sum(abs(one) for one, _ in known)
    apart = sum(abs(one - other) for one, other in known)
    if apart > tolerance * size + EXACT:
        return f"is {apart / size if size else apart:.1%} apart on average"
    return ""


def _longest(expected: Sequence[float], actual: Points) -> list[float]:
    """Return the longest run of expected moments, one step after another, without a point."""
    step = min((b - a for a, b in pairwise(expected)), default=0.0)
    longest: list[float] = []
    run: list[float] = []
    for moment in expected:
        if run and moment - run[-1] > step:
            run = []
        run = [] if moment in actual else [*run, moment]
        longest = max(longest, run, key=len)
    return longest


def _same(one: float, other: float) -> bool:
    both_nan = math.isnan(one) and math.isnan(other)
    return both_nan or math.isclose(one, other, rel_tol=EXACT, abs_tol=EXACT)


Labels = tuple[tuple[str, str], ...]


def _labels(series: Json, ignored: Sequence[str]) -> Labels:
    return tuple(sorted((k, v) for k, v in series["metric"].items() if k not in ignored))


def _series(result: QueryResult, ignored: Sequence[str]) -> dict[Labels, Points]:
    return {_labels(one, ignored): dict(evaluation.samples(one)) for one in result.data}


def _twice(result: QueryResult, ignored: Sequence[str]) -> set[Labels]:
    counts = Counter(_labels(one, ignored) for one in result.data)
    return {labels for labels, count in counts.items() if count > 1}


def _named(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in labels) + "}"


@dataclass
class Tally:
    """What one way of asking costs and shows beside another.

    Attributes:
        panels: With queries of metrics.
        queries: Of panels and annotations.
        different: How many of them are answered differently.
        alone: Seconds and samples of a Prometheus.
        through: The same of Thanos.
    """

    name: str
    panels: int = 0
    queries: int = 0
    different: int = 0
    alone: tuple[float, int] = (0.0, 0)
    through: tuple[float, int] = (0.0, 0)

    def add(self, expected: OpenedDashboard, actual: OpenedDashboard, different: int) -> None:
        """Count a dashboard."""
        self.panels += len(expected.dashboard.panels)
        self.queries += len(expected.results)
        self.different += different
        self.alone = (self.alone[0] + expected.seconds, self.alone[1] + expected.samples)
        self.through = (self.through[0] + actual.seconds, self.through[1] + actual.samples)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line of the table."""
        seconds, samples = zip(self.alone, self.through, strict=True)
        return (
            self.name,
            str(self.panels),
            str(self.queries),
            str(self.queries - self.different),
            str(self.different),
            f"{seconds[0]:.1f}",
            f"{seconds[1]:.1f}",
            _ratio(*seconds),
            f"{samples[0]:,}",
            f"{samples[1]:,}",
            _ratio(*samples),
        )


HEAD = (
    "asked for",
    "panels",
    "queries",
    "equal",
    "different",
    "s alone",
    "s Thanos",
    "ratio",
    "samples alone",
    "samples Thanos",
    "ratio",
)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return lines below a head, the first column to the left, numbers to the right."""
    return "\n".join(aligned((head, *lines)))


def finding(board: DashboardModel, where: str, different: Difference, fix: str) -> Finding:
    """Return a difference as a finding, at the panel's code."""
    path, line = board.source(different.panel.removeprefix("annotation "))
    return Finding(path, line, f"{where}: {different}", fix)


def _ratio(alone: float, through: float) -> str:
    return f"{through / alone:.1f}" if alone else "-"
