"""Open a dashboard as a browser would: its variables first, then every query of every panel."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from scripts.core import screen, yamlfile
from scripts.core.yamlfile import Json
from scripts.grafana import interpolation, model, timing
from scripts.grafana.interpolation import VariableValue
from scripts.grafana.model import AnnotationQuery, DashboardModel, PanelModel, Target
from scripts.grafana.timing import TimeRange, Timing, nanoseconds, seconds
from scripts.grafana.variables import Resolver
from scripts.model.dashboards import LOGQL, variable_names
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers

# What is checked of a dashboard is checked over more than it opens with.
RANGE = 6 * timing.HOUR
# How many queries are sent at one time.
_THREADS = 2


@dataclass(frozen=True)
class QueryResult:
    """What a server answered to one query.

    Attributes:
        title: Of the panel, or `annotation …`.
        panel_id: 0 for an annotation.
        expr: The query as it was sent.
        step: Milliseconds between two points.
        type: `matrix`, `vector` or `streams`; empty where the server refused.
        data: As the server's API returns it.
        error: The server's message; empty where it answered.
        samples: Samples that Prometheus loaded, over all steps; None of Loki.
        seconds: Until the whole answer was here.
    """

    title: str
    panel_id: int
    target: Target
    expr: str
    step: int
    type: str = ""
    data: Sequence[Json] = ()
    error: str = ""
    samples: int | None = None
    seconds: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether there is a line, or a value that can be drawn."""
        if self.type == "streams":
            return any(stream["values"] for stream in self.data)
        return any(math.isfinite(value) for series in self.data for _, value in samples(series))


@dataclass(frozen=True)
class OpenedDashboard:
    """A dashboard with data.

    Attributes:
        values: Each variable, as it stands when the dashboard is opened.
        found: Options that a variable's own query found; those of type `query` only.
        refused: Variable to what the server said of its query.
        results: Of panels, in their order, then of annotations.
        events: What each annotation marks.
        seconds: From the first request to the last answer, two at a time.
    """

    dashboard: DashboardModel
    time_range: TimeRange
    values: Mapping[str, VariableValue]
    found: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, str]
    results: tuple[QueryResult, ...]
    events: tuple[Json, ...]
    seconds: float

    @property
    def samples(self) -> int:
        """Samples that Prometheus loaded for the whole dashboard."""
        return sum(result.samples or 0 for result in self.results)


class _Query(NamedTuple):
    """A query to run: its place, when it is evaluated, and the variables that hold for it."""

    title: str
    panel_id: int
    target: Target
    timing: Timing
    values: Mapping[str, VariableValue]


def time_range_at(at: float, length: int = RANGE) -> TimeRange:
    """Return the time range of a dashboard at a moment (s since the epoch).

    Args:
        at: When it is opened.
        length: In milliseconds, as `DashboardModel.length`.
    """
    end = round(at * 1000)
    return TimeRange(end - length, end)


def open_dashboard(
    servers: Servers, dashboard: DashboardModel, time_range: TimeRange
) -> OpenedDashboard:
    """Run all that a dashboard asks when it is opened.

    Args:
        servers: Prometheus and Loki, with data.
        dashboard: `model.committed()`, or `model.read(json, model.datasources())` of any other.
        time_range: The dashboard's.
    """
    started = time.perf_counter()
    resolver = Resolver(servers, dashboard, time_range)
    values = resolver.values()
    results = run(servers, dashboard, time_range, values)
    of_annotations = results[len(results) - len(dashboard.annotations) :]
    return OpenedDashboard(
        dashboard=dashboard,
        time_range=time_range,
        values=values,
        found=resolver.found,
        refused=resolver.refused,
        results=results,
        events=tuple(
            event
            for annotation, result in zip(dashboard.annotations, of_annotations, strict=True)
            for event in events(annotation, result)
        ),
        seconds=time.perf_counter() - started,
    )


def run(
    servers: Servers,
    dashboard: DashboardModel,
    time_range: TimeRange,
    values: Mapping[str, VariableValue],
    only: str = "",
) -> tuple[QueryResult, ...]:
    """Run the queries of panels and annotations, two at a time.

    Args:
        servers: Prometheus and Loki.
        dashboard: Whose queries.
        time_range: The dashboard's.
        values: Of its variables.
        only: Name of a variable; queries that do not use it are left out.

    Returns:
        One result for each query; a panel that repeats has one for each value and query.
    """
    queries = [
        query
        for query in _queries(dashboard, time_range, values)
        if not only or only in variable_names(query.target.expr)
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(lambda query: _result(servers, query), queries))


def samples(series: Json) -> Iterator[tuple[float, float]]:
    """Yield time (s) and value of a series of a matrix or a vector, not of a stream."""
    for moment, value in series.get("values") or [series["value"]]:
        yield float(moment), float(value)


def events(annotation: AnnotationQuery, result: QueryResult) -> Iterator[Json]:
    """Yield an annotation's marks: one for each time that its value is above 0 without a gap."""
    for series in result.data:
        text = interpolation.legend(annotation.title, series.get("metric") or series["stream"])
        common = {"name": annotation.name, "color": annotation.color, "text": text}
        if result.type == "streams":
            for moment, *_ in series["values"]:
                yield common | {"time": int(moment) // 10**6, "timeEnd": None}
            continue
        begin = end = 0
        for moment, value in samples(series):
            if value > 0:
                now = round(moment * 1000)
                if begin and now - end > result.step:
                    yield common | {"time": begin, "timeEnd": end}
                    begin = now
                begin, end = begin or now, now
        if begin:
            yield common | {"time": begin, "timeEnd": end}


def document(opened: OpenedDashboard, day: str) -> Json:
    """Return what the preview draws, as JSON."""
    panels: dict[str, dict[str, Json]] = {}
    for result in opened.results:
        if not result.panel_id:
            continue
        panels.setdefault(str(result.panel_id), {})[result.target.ref] = {
            "expr": result.expr,
            "language": result.target.language,
            "step": result.step,
            "instant": result.target.instant,
            "resultType": result.type,
            "result": result.data,
            "error": result.error or None,
            "samples": result.samples,
            "seconds": round(result.seconds, 4),
        }
    return {
        "uid": opened.dashboard.uid,
        "day": day,
        "from": opened.time_range.start,
        "to": opened.time_range.end,
        "variables": {
            name: {"text": v.text, "value": v.values} for name, v in opened.values.items()
        },
        "panels": panels,
        "annotations": list(opened.events),
    }


def timing_of(
    panel: PanelModel, target: Target, time_range: TimeRange, scrape_interval: int
) -> Timing:
    """Return the steps of a query, as Grafana chooses them.

    Args:
        panel: Whose width and options count.
        target: The query.
        time_range: The dashboard's.
        scrape_interval: The data source's, in milliseconds.
    """
    points, least = panel.max_data_points, panel.min_interval
    if target.language == LOGQL:
        return timing.loki_timing(
            time_range, points, target.min_step, instant=target.instant, min_interval=least
        )
    return timing.prometheus_timing(
        time_range, points, scrape_interval, target.min_step, target.interval_factor, least
    )


def _queries(
    dashboard: DashboardModel, time_range: TimeRange, values: Mapping[str, VariableValue]
) -> Iterator[_Query]:
    scrape_interval = model.scrape_interval()
    for panel in dashboard.panels:
        for scoped in _repeated(panel, values):
            for target in panel.targets:
                when = timing_of(panel, target, time_range, scrape_interval)
                yield _Query(panel.title, panel.id, target, when, scoped)
    for annotation in dashboard.annotations:
        if annotation.target.language == LOGQL:
            when = timing.loki_timing(time_range, screen.WINDOW_PIXELS)
        else:
            when = timing.prometheus_timing(time_range, screen.WINDOW_PIXELS, scrape_interval)
        yield _Query(f"annotation {annotation.name}", 0, annotation.target, when, values)


def _repeated(
    panel: PanelModel, values: Mapping[str, VariableValue]
) -> Iterator[Mapping[str, VariableValue]]:
    """Yield the variables of each copy of a panel."""
    value = values.get(panel.repeat)
    if value is None or value.raw:
        yield values
        return
    for option in (value.values,) if isinstance(value.values, str) else value.values:
        yield {**values, panel.repeat: interpolation.with_option(value, option)}


def _result(servers: Servers, query: _Query) -> QueryResult:
    title, panel_id, target, when, values = query
    expr, kind, data, error, loaded = target.expr, "", [], "", None
    started = time.perf_counter()
    try:
        expr = interpolation.interpolate(expr, values, when.built_in, target.language)
        send = _query_loki if target.language == LOGQL else _query_prometheus
        answer = send(servers, expr, target, when)
        kind, data = answer["resultType"], answer["result"]
        if kind == "scalar":
            # Grafana draws a scalar as a series without labels.
            kind, data = "vector", [{"metric": {}, "value": data}]
        loaded = yamlfile.get(answer, "stats", "samples", "totalQueryableSamples")
    except (ApiError, interpolation.VariableError) as refused:
        error = str(refused)
    duration = time.perf_counter() - started
    return QueryResult(
        title, panel_id, target, expr, when.step, kind, data, error, loaded, duration
    )


def _query_prometheus(servers: Servers, expr: str, target: Target, when: Timing) -> Json:
    form = {"query": expr, "stats": "all"}
    if target.instant:
        # The end of the time range as it is, not aligned.
        form["time"] = seconds(int(when.built_in["__to"]))
        return servers.prometheus.form("/api/v1/query", form)["data"]
    form |= when.time_range.prometheus | {"step": seconds(when.step)}
    return servers.prometheus.form("/api/v1/query_range", form)["data"]


def _query_loki(servers: Servers, expr: str, target: Target, when: Timing) -> Json:
    form = {"query": expr, "direction": "backward", "limit": str(target.max_lines)}
    if target.instant:
        form["time"] = nanoseconds(when.time_range.end)
        return servers.loki.get("/loki/api/v1/query", form)["data"]
    form |= when.time_range.loki | {"step": f"{when.step}ms"}
    return servers.loki.get("/loki/api/v1/query_range", form)["data"]
